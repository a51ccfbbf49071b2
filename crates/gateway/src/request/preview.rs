//! Requests with the token of a preview: answered by a change's release, as long
//! as the token's cap lasts, and never compared with anything.

use super::complete::Wish;
use super::{ApiError, Code};
use crate::snapshot::{Meter, Tab};
use domain::ids::ChangeId;
use domain::routing::{Arm, Decision};
use domain::snapshot::PreviewGrant;
use domain::units::Share;
use std::sync::Arc;

/// A request a preview answers.
pub(super) struct Admitted {
    pub(super) change: ChangeId,
    pub(super) decision: Decision,
    pub(super) tab: Tab,
}

/// Takes a request in, in place of what was routed.
///
/// # Errors
/// 429 once the cap is spent.
pub(super) fn admit(
    grant: &PreviewGrant,
    meter: &Arc<Meter>,
    routed: &Decision,
    bytes: usize,
) -> Result<Admitted, ApiError> {
    let used = meter.used();
    if used >= grant.cap {
        return Err(spent(grant, used));
    }
    Ok(Admitted {
        change: grant.change,
        tab: Tab::open(meter, bytes),
        decision: Decision {
            arm: Arm::Preview,
            release: grant.release,
            bucket: routed.bucket,
            rollout: None,
            step: 0,
            share: Share::NONE,
            drawn: None,
            shadow: None,
            killed: false,
        },
    })
}

/// A preview shows what the release does: the app's own wish for a fallback
/// would hide its failures. Who asks for one by header still gets it.
pub(super) fn wish(asked: Wish) -> Wish {
    match asked {
        Wish::App => Wish::Never,
        other => other,
    }
}

fn spent(grant: &PreviewGrant, used: u64) -> ApiError {
    let PreviewGrant { change, cap, .. } = grant;
    ApiError::new(
        Code::PreviewSpent,
        format!("the preview of {change} has spent its cap of {cap} tokens ({used} used)"),
    )
    .hint(format!(
        "make another with a higher cap: `tidegate change preview {} --tokens {}`",
        change.0,
        cap.saturating_mul(2)
    ))
}
