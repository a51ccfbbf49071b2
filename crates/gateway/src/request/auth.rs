//! Who calls: one look-up by the token's digest in the snapshot.
//!
//! The digest is what is compared, so how long a comparison takes tells nothing
//! about a token.

use super::{ApiError, Code};
use crate::snapshot::{Compiled, Meter};
use crate::state::Serving;
use domain::ids::{AppName, Digest};
use domain::snapshot::{Grant, PreviewGrant};
use domain::units::Timestamp;
use http::{HeaderMap, header};
use std::sync::Arc;

/// A caller with a valid token.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The snapshot the token was found in; the one the request is served from.
    pub(crate) compiled: Arc<Compiled>,
    pub(crate) token: Digest,
}

impl Caller {
    /// What the token grants.
    pub(crate) fn grant(&self) -> Option<&Grant> {
        self.compiled.tokens.get(&self.token)
    }

    /// The preview the token is for, and what it has spent.
    pub(crate) fn preview(&self) -> Option<(&PreviewGrant, &Arc<Meter>)> {
        let preview = self.grant()?.preview.as_ref()?;
        self.compiled.meters.get(&self.token).map(|meter| (preview, meter))
    }

    /// True if the token is for this app.
    pub(crate) fn may_call(&self, app: &AppName) -> bool {
        self.grant().is_some_and(|g| g.apps.is_empty() || g.apps.contains(app))
    }
}

/// Finds the caller.
///
/// # Errors
/// 503 before the first snapshot, 401 without a valid token.
pub(crate) fn authorize(
    serving: &Serving,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Caller, ApiError> {
    let compiled = serving.compiled.clone().ok_or_else(|| {
        ApiError::new(Code::NotReady, "this gateway has no snapshot yet")
            .hint("wait for control; `/readyz` says when it is ready")
    })?;
    let refuse = |message: &str, hint: &str| ApiError::new(Code::InvalidApiKey, message).hint(hint);
    if compiled.tokens.is_empty() {
        return Err(refuse(
            "no token is valid: the installation has none for gateways",
            "make one with `tidegate token create`",
        ));
    }
    let token = bearer(headers).ok_or_else(|| {
        refuse(
            "the request has no token",
            "send `Authorization: Bearer tgk_…`; clients call it the API key",
        )
    })?;
    let token = Digest::of(token.as_bytes());
    let grant = compiled.tokens.get(&token).ok_or_else(|| {
        refuse("the token is not known", "check it, or make a new one with `tidegate token create`")
    })?;
    let ended = grant.expires_at.is_some_and(|end| end <= now);
    if let Some(preview) = grant.preview.as_ref().filter(|_| ended) {
        let number = preview.change.0;
        return Err(refuse(
            &format!("the preview of {} has expired", preview.change),
            &format!("make another with `tidegate change preview {number}`"),
        ));
    }
    if ended {
        return Err(refuse("the token has expired", "make a new one with `tidegate token create`"));
    }
    Ok(Caller { compiled, token })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
