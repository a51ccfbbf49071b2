//! Kills thrown at a gateway while control was out of reach: written into the
//! state and the audit log afterwards, each exactly once.

use crate::Control;
use crate::experiments::End;
use crate::incidents::{self, entry};
use crate::problem::Problem;
use crate::rollouts::update_app;
use domain::audit::Actor;
use domain::experiment::live::Ending;
use domain::ids::Generation;
use domain::incident::IncidentKind;
use domain::params;
use domain::sentence::Sentence;
use domain::snapshot::{Kill, LocalKill};
use store::{Index, Kind, Tx};

impl Control {
    /// Takes in a gateway's journal; the generation returned carries it.
    ///
    /// # Errors
    /// The store could not be written; the gateway keeps its word and sends the
    /// journal again.
    pub async fn journal(&self, entries: &[LocalKill]) -> Result<Generation, Problem> {
        for kill in entries {
            self.take_in_kill(kill).await?;
        }
        let generation = self.publish().await?;
        self.wake();
        Ok(generation)
    }

    async fn take_in_kill(&self, kill: &LocalKill) -> Result<(), Problem> {
        let seen = format!("local-kill/{}", kill.id);
        if self.store.get::<LocalKill>(Kind::Meta, &seen).await?.is_some() {
            return Ok(());
        }
        let now = self.clock.now();
        let mut tx = Tx::new(now);
        tx.create(Kind::Meta, &seen, kill, Index::none());
        let actor = kill.by.parse().map_or(Actor::System, Actor::Person);
        let action = if kill.killed { "app.killed" } else { "app.unkilled" };
        tx.audit(
            entry(now, actor.clone(), action, &kill.app)
                .because(Some(&kill.reason))
                .with(params! {"gateway" => kill.gateway, "at" => kill.at, "local" => true})
                .into(),
        );
        // An app that git no longer has keeps its audit entry and nothing else.
        if let Ok(mut app) = self.app_record(&kill.app).await {
            match (&actor, kill.killed, &app.doc.killed) {
                (Actor::Person(by), true, None) => {
                    app.doc.killed = Some(Kill { since: kill.at, by: by.clone() });
                    let end = End {
                        how: Ending::Killed,
                        actor: actor.clone(),
                        reason: Some(&kill.reason),
                        source: None,
                        now,
                    };
                    self.end_experiment(&mut tx, &mut app, &end).await?;
                    update_app(&mut tx, &app);
                    let what = Sentence::render(
                        "killed",
                        "{person} threw the kill switch of {app} at gateway {gateway}.",
                        params! {"person" => by, "app" => kill.app, "gateway" => kill.gateway},
                    );
                    let mut incident =
                        self.new_incident(&kill.app, IncidentKind::Killed, now, what).await?;
                    incident.opened_by = Some(by.clone());
                    incident.suspect = Some(app.doc.production);
                    incidents::set_reason(&mut incident, Some(&kill.reason), now);
                    incidents::create(&mut tx, &incident, actor);
                }
                // Only a kill from before it: one thrown since then stands.
                (_, false, Some(thrown)) if thrown.since <= kill.at => {
                    app.doc.killed = None;
                    update_app(&mut tx, &app);
                    self.close_kill_incidents(&mut tx, &kill.app, now).await?;
                }
                _ => {}
            }
        }
        self.store.commit(tx).await?;
        Ok(())
    }
}
