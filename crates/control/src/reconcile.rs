//! The loop: everything that follows by itself, again and again.
//!
//! One loop in a fixed order, woken by every command and by a timer. Each part
//! reads the world, does what is missing and may be repeated at any time, so
//! "just happened", "was killed in between" and "was forgotten" are one path.

use crate::Control;
use crate::incidents::entry;
use crate::problem::Problem;
use domain::audit::Actor;
use domain::incident::Incident;
use std::sync::Arc;
use store::{Kind, Query, Tx};
use tokio::sync::watch;
use tokio::task::JoinHandle;

impl Control {
    /// Starts the loop. It ends when `shutdown` turns true.
    pub fn run(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) -> JoinHandle<()> {
        tokio::task::spawn(async move {
            while !*shutdown.borrow() {
                self.look().await;
                let turn = tokio::time::sleep(self.config.look_every.into());
                tokio::select! {
                    () = turn => {}
                    () = self.wake.notified() => {}
                    _ = shutdown.changed() => {}
                }
            }
        })
    }

    /// One look at everything. A part that fails is tried at the next look; it
    /// does not keep the others from theirs.
    pub async fn look(&self) {
        report("taking in pushes", self.take_in_pushes().await);
        report("running gates", self.check_changes().await);
        report("telling git", self.run_effects().await);
        report("starting new apps", self.start_new_apps().await);
        report("looking at rollouts", self.look_at_rollouts().await);
        report("publishing", self.publish().await);
        report("reminding of reasons", self.note_overdue_reasons().await);
    }

    /// A break-glass action without a reason after an hour is written down.
    async fn note_overdue_reasons(&self) -> Result<(), Problem> {
        let now = self.clock.now();
        let open = Query::of(Kind::Incident).state("open").newest_first();
        for mut incident in self.store.list::<Incident>(open).await?.items {
            if incident.doc.reason_due.is_none_or(|due| due > now) || incident.doc.reason.is_some() {
                continue;
            }
            incident.doc.reason_due = None;
            let mut tx = Tx::new(now);
            tx.audit(
                entry(now, Actor::System, "incident.reason_overdue", &incident.doc.app)
                    .on(format!("incident/{}", incident.doc.id))
                    .into(),
            );
            crate::incidents::update(&mut tx, &incident);
            self.store.commit(tx).await?;
        }
        Ok(())
    }
}

fn report<T>(what: &str, result: Result<T, Problem>) {
    if let Err(problem) = result {
        tracing::warn!(%problem, "{what} failed; trying again at the next look");
    }
}
