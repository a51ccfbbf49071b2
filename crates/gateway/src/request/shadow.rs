//! Mirrored requests: the candidate answers too, and nobody sees it.
//!
//! Started beside the call, never awaited, and shed first: a request that finds
//! no free place is not mirrored, and that is counted. The copy renders the
//! candidate's own prompt with the same variables, on its own task: the request
//! it copies pays for nothing but starting it.

use super::answer::{Job, ask, status_midway, status_of};
use super::complete::Known;
use super::pending::Pending;
use crate::snapshot::Compiled;
use crate::state::Shared;
use connect::provider::{Failure, ReplyBody};
use domain::ids::{AppName, ReleaseId};
use domain::routing::{Arm, Decision};
use domain::telemetry::AnswerStatus;
use std::sync::Arc;
use tokio::time::Instant;

/// A copy on its way.
struct Copy {
    shared: Arc<Shared>,
    compiled: Arc<Compiled>,
    app: AppName,
    candidate: ReleaseId,
    job: Job,
    pending: Pending,
}

/// Mirrors a request, if its decision says so and there is room.
pub(super) fn mirror(known: &Known, original: &Pending) {
    let Some(candidate) = original.decision().shadow else { return };
    let Ok(permit) = known.shared.shadow.clone().try_acquire_owned() else {
        known.shared.counters.shadow_shed.add(1);
        return;
    };
    let decision = Decision {
        arm: Arm::Shadow,
        release: candidate,
        shadow: None,
        ..original.decision().clone()
    };
    let copy = Copy {
        shared: known.shared.clone(),
        compiled: known.caller.compiled.clone(),
        app: known.app.clone(),
        candidate,
        job: known.job.clone(),
        pending: original.copy(decision, known.shared.now(), Instant::now()),
    };
    tokio::spawn(async move {
        let _held = permit;
        copy.answer().await;
    });
}

impl Copy {
    async fn answer(mut self) {
        let Some(app) = self.compiled.apps.get(&self.app) else { return };
        // The copy has all the time an app grants, from now on.
        self.job.deadline = Instant::now() + app.snapshot.timeout.into();
        self.job.retries = 0;
        let ready = match self.job.ready(&self.compiled, app, &self.candidate) {
            Ok(ready) => ready,
            Err(why) => {
                // The stable release could make a call of this request: the
                // candidate's fault.
                let (status, why) = (AnswerStatus::ProviderError, why.to_string());
                return self.pending.finish(status, Some(why), Default::default());
            }
        };
        self.pending.served = Some(ready.served.clone());
        self.pending.prompt = ready.call.messages.clone();
        match ask(&self.shared, ready).await {
            Ok(reply) => drain(reply.body, self.pending).await,
            Err(failure) => fail(&failure, status_of(&failure), self.pending),
        }
    }
}

async fn drain(body: ReplyBody, mut pending: Pending) {
    pending.first_byte();
    match body {
        ReplyBody::Whole(whole) => pending.finish(AnswerStatus::Ok, None, whole.summary),
        ReplyBody::Stream(mut stream) => loop {
            match stream.next().await {
                Some(Ok(_)) => {}
                Some(Err(failure)) => return fail(&failure, status_midway(&failure), pending),
                None => return pending.finish(AnswerStatus::Ok, None, stream.take_summary()),
            }
        },
    }
}

fn fail(failure: &Failure, status: AnswerStatus, mut pending: Pending) {
    pending.retries = failure.retries;
    pending.finish(status, Some(failure.message.clone()), Default::default());
}
