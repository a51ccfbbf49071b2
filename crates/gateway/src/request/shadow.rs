//! Mirrored requests: the candidate answers too, and nobody sees it.
//!
//! Started beside the call, never awaited, and shed first: a request that finds
//! no free place is not mirrored, and that is counted. The copy renders the
//! candidate's own prompt with the same variables.

use super::answer::{NoCall, ask, status_of};
use super::complete::Known;
use super::pending::Pending;
use crate::snapshot::App;
use connect::provider::{Failure, ReplyBody};
use domain::routing::{Arm, Decision};
use domain::telemetry::AnswerStatus;
use tokio::time::Instant;

/// Mirrors a request, if its decision says so and there is room.
pub(super) fn mirror(known: &Known, app: &App, original: &Pending) {
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
    let mut pending = original.copy(decision, known.shared.now(), Instant::now());
    let mut ready = match known.job.ready(&known.caller.compiled, app, &candidate) {
        Ok(ready) => Some(ready),
        Err(why) => {
            // The stable release could make a call of this request: the
            // candidate's fault.
            let why = match why {
                NoCall::Unusable(why) => why.to_string(),
                NoCall::Render(error) => error.to_string(),
            };
            return pending.finish(AnswerStatus::ProviderError, Some(why), Default::default());
        }
    };
    if let Some(ready) = &mut ready {
        pending.served = Some(ready.served.clone());
        pending.prompt = ready.call.messages.clone();
        // The copy has all the time an app grants, from now on.
        ready.call.deadline = Instant::now() + app.snapshot.timeout.into();
        ready.call.retries = 0;
    }
    let shared = known.shared.clone();
    tokio::spawn(async move {
        let _held = permit;
        match ask(&shared, &mut ready).await {
            Ok(reply) => drain(reply.body, pending).await,
            Err(failure) => fail(&failure, pending),
        }
    });
}

async fn drain(body: ReplyBody, mut pending: Pending) {
    pending.first_byte();
    match body {
        ReplyBody::Whole(whole) => pending.finish(AnswerStatus::Ok, None, whole.summary),
        ReplyBody::Stream(mut stream) => loop {
            match stream.next().await {
                Some(Ok(_)) => {}
                Some(Err(failure)) => return fail(&failure, pending),
                None => return pending.finish(AnswerStatus::Ok, None, stream.take_summary()),
            }
        },
    }
}

fn fail(failure: &Failure, mut pending: Pending) {
    pending.retries = failure.retries;
    pending.finish(status_of(failure), Some(failure.message.clone()), Default::default());
}
