//! External signals: a metrics server is asked beside the loop, what it says is
//! kept, and looks judge what was kept.
//!
//! Asking and judging are apart for two reasons. A server that does not answer
//! must not hold up the limits of anything; and a verdict must be a function of
//! what is stored, so that a restart or a replay says the same.

use crate::Control;
use crate::problem::Problem;
use crate::records::{AppRecord, RolloutRecord};
use analysis::gauge::{fresh_for, gauge_verdict};
use domain::external::{ARM_PLACEHOLDER, ExternalSample, Read};
use domain::policy::{Signal, SignalSource};
use domain::rollout::Observation;
use domain::routing::Arm;
use domain::units::{Span, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::Kind;
use tokio::sync::watch;

/// What was asked last, by rollout and signal. In memory only: after a restart
/// everything is asked at once.
type Asked = BTreeMap<(domain::ids::RolloutId, String), Timestamp>;

impl Control {
    /// Asks for external signals of rollouts under way, each once a check, until
    /// `shutdown` turns true.
    pub(crate) async fn keep_asking(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        let mut asked = Asked::new();
        while !*shutdown.borrow() {
            if let Err(problem) = self.ask_for_external(&mut asked).await {
                tracing::warn!(%problem, "external signals could not be kept; asking again");
            }
            tokio::select! {
                () = tokio::time::sleep(self.config.look_every.into()) => {}
                _ = shutdown.changed() => {}
            }
        }
    }

    /// One round of questions.
    async fn ask_for_external(&self, asked: &mut Asked) -> Result<(), Problem> {
        let mut open = Vec::new();
        for app in self.all::<AppRecord>(Kind::App).await? {
            if let Some(id) = app.doc.rollout {
                let record = self.rollout_record(id).await?.doc;
                if record.state.phase.is_open() && record.state.policy.signals.iter().any(external)
                {
                    open.push(record);
                }
            }
        }
        asked.retain(|(id, _), _| open.iter().any(|record| record.state.id == *id));
        let now = self.clock.now();
        let questions = open.iter().flat_map(|record| {
            let every = record.state.policy.check_every;
            let signals = record.state.policy.signals.iter();
            signals.filter_map(move |s| Some((record, s, s.source.as_ref()?, every)))
        });
        let due: Vec<_> = questions
            .filter(|(record, signal, _, every)| {
                let key = (record.state.id, signal.name.clone());
                // A clock set back makes a question due.
                asked.get(&key).is_none_or(|last| now < *last || now.since(*last) >= *every)
            })
            .collect();
        let asking = due.iter().map(|(_, signal, source, every)| {
            self.sample(signal, source, fresh_for(signal, *every), now)
        });
        let samples = futures_util::future::join_all(asking).await;
        for ((record, ..), sample) in due.iter().zip(samples) {
            let id = record.state.id;
            self.store.add_external(id, &sample).await?;
            asked.insert((id, sample.signal), now);
        }
        Ok(())
    }

    async fn sample(
        &self,
        signal: &Signal,
        source: &SignalSource,
        fresh: Span,
        now: Timestamp,
    ) -> ExternalSample {
        let of = async |arm: Arm| match &self.config.prometheus {
            Some(server) => {
                let expression = source.prometheus.replace(ARM_PLACEHOLDER, arm.key());
                server.read(&expression, now, fresh).await
            }
            None => Read::Failed(
                "no metrics server is configured; start the server with `--prometheus-url`"
                    .to_owned(),
            ),
        };
        let by_arm = source.prometheus.contains(ARM_PLACEHOLDER);
        let candidate = of(Arm::Candidate).await;
        let control = if by_arm { Some(of(Arm::Control).await) } else { None };
        if let Read::Failed(why) = &candidate {
            tracing::warn!(signal = signal.name, why, "an external signal has no number");
        }
        // Known only now: a look meanwhile could not have seen it.
        let at = self.clock.now();
        ExternalSample { signal: signal.name.clone(), at, candidate, control }
    }

    /// Puts the verdicts on external signals into what a look sees.
    pub(crate) async fn judge_external(
        &self,
        record: &RolloutRecord,
        seen: &mut Observation,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let policy = &record.state.policy;
        for signal in policy.signals.iter().filter(|s| external(s)) {
            let samples = self.store.external(record.state.id, &signal.name, now).await?;
            let verdict = gauge_verdict(signal, policy.check_every, &samples, now);
            match seen.verdicts.iter_mut().find(|v| v.signal == signal.name) {
                Some(place) => *place = verdict,
                None => seen.verdicts.push(verdict),
            }
        }
        Ok(())
    }
}

fn external(signal: &Signal) -> bool {
    signal.source.is_some()
}
