//! The loop: everything that follows by itself, again and again.
//!
//! One loop in a fixed order, woken by every command and by a timer. Each part
//! reads the world, does what is missing and may be repeated at any time, so
//! "just happened", "was killed in between" and "was forgotten" are one path.

use crate::Control;
use crate::incidents::entry;
use crate::problem::{Problem, ProblemKind};
use domain::audit::Actor;
use domain::incident::Incident;
use std::sync::{Arc, PoisonError};
use store::{Kind, Query, Tx};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Longest time between two looks for paid suites: a new day may have begun.
const PAY_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

impl Control {
    /// Starts the loop. It ends when `shutdown` turns true.
    ///
    /// # Errors
    /// Another process runs the loop of this data directory.
    pub fn run(
        self: Arc<Self>,
        mut shutdown: watch::Receiver<bool>,
    ) -> Result<JoinHandle<()>, Problem> {
        let claim = self.store.claim().map_err(|e| {
            Problem::new(
                ProblemKind::Refused,
                "in_use",
                e.to_string(),
                "stop the other `tidegate serve` first, or give this one another data directory",
            )
        })?;
        tokio::task::spawn(Arc::clone(&self).keep_house(shutdown.clone()));
        tokio::task::spawn(Arc::clone(&self).keep_asking(shutdown.clone()));
        tokio::task::spawn(Arc::clone(&self).keep_paying(shutdown.clone()));
        tokio::task::spawn(Arc::clone(&self).keep_telling(shutdown.clone()));
        tokio::task::spawn(Arc::clone(&self).keep_visiting(shutdown.clone()));
        Ok(tokio::task::spawn(async move {
            let _until_the_end = claim;
            while !*shutdown.borrow() {
                self.look().await;
                let turn = tokio::time::sleep(self.config.look_every.into());
                tokio::select! {
                    () = turn => {}
                    () = self.wake.notified() => {}
                    _ = shutdown.changed() => {}
                }
            }
        }))
    }

    /// Asks paid suites, apart from everything else: a provider takes minutes.
    async fn keep_paying(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        while !*shutdown.borrow() {
            tokio::select! {
                () = async {
                    report("asking paid suites", self.pay_for_suites().await);
                    report("asking scheduled suites", self.run_scheduled().await);
                    let turn = tokio::time::sleep(PAY_EVERY);
                    tokio::select! {
                        () = turn => {}
                        () = self.wake_payer.notified() => {}
                    }
                } => {}
                _ = shutdown.changed() => {}
            }
        }
    }

    /// One look at everything. A part that fails is tried at the next look; it
    /// does not keep the others from theirs.
    pub async fn look(&self) {
        report("taking in pushes", self.take_in_pushes().await);
        report("running gates", self.check_changes().await);
        report("telling git", self.run_effects().await);
        report("looking at rollouts", self.look_at_rollouts().await);
        report("looking at experiments", self.look_at_experiments().await);
        report("looking at previews", self.look_at_previews().await);
        report("publishing", self.follow().await);
        report("reminding of reasons", self.note_overdue_reasons().await);
        report("noting refusals", self.note_folded_refusals(false).await);
        report("signing the log", self.checkpoint().await);
    }

    /// Starts new apps and publishes, if anything was written since the last
    /// look: an idle installation stays idle.
    async fn follow(&self) -> Result<(), Problem> {
        let commits = *self.store.subscribe().borrow();
        let seen = (commits, self.main().await?.head);
        let mut last = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner).take();
        if last != Some(seen) {
            self.start_new_apps().await?;
            self.publish().await?;
            last = Some(seen);
        }
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = last;
        Ok(())
    }

    /// A break-glass action without a reason after an hour is written down.
    async fn note_overdue_reasons(&self) -> Result<(), Problem> {
        let now = self.clock.now();
        let open = Query::of(Kind::Incident).state("open").newest_first();
        for mut incident in self.store.list::<Incident>(open).await?.items {
            if incident.doc.reason_due.is_none_or(|due| due > now) || incident.doc.reason.is_some()
            {
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
