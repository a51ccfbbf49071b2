//! Signing in by a company's OpenID provider: where the browser is sent, and
//! who comes back.
//!
//! The browser keeps one secret in a cookie while it is away; everything else of
//! the flow follows from it (`connect::oidc`). Who somebody is here is decided
//! once, by a table of subjects or by a verified address, and kept by issuer and
//! subject: an address that is given to somebody else later lets nobody in.
//!
//! What must stay true:
//! - an answer is taken once, from the browser that asked, for the provider it
//!   asked;
//! - whoever is not known here stays outside unless the file says `create`, and
//!   is told what to do;
//! - a provider gives roles only where the file maps them, never `agent`, and
//!   never takes the last admin away.

mod people;

use crate::Control;
use crate::caller::secret_hash;
use crate::problem::{Problem, ProblemKind};
use crate::refusals::Refusal;
use crate::sessions::{Session, Way};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
pub use connect::oidc::Returned;
use connect::oidc::{Begun, Claims, Provider, SignOnError};
use domain::units::{Span, Timestamp};
use opsrepo::SignOnSpec;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How long somebody may take at the provider.
pub const AWAY: Span = Span::from_secs(600);
/// Answers remembered, so that none is taken twice; the oldest go first. The
/// provider takes a code only once, too.
const MAX_USED: usize = 10_000;
/// Longest path somebody is brought back to, in bytes.
const MAX_TO: usize = 1024;

/// A provider people may sign in by.
#[derive(Debug)]
pub struct SignOn {
    /// What the file says of it.
    pub spec: SignOnSpec,
    /// How it is asked.
    pub provider: Provider,
}

/// Answers that were taken already.
#[derive(Default)]
pub(crate) struct UsedStates(Mutex<BTreeMap<String, Timestamp>>);

impl UsedStates {
    /// True the first time.
    fn take(&self, state: &str, now: Timestamp) -> bool {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, at| now.since(*at) < AWAY);
        while used.len() >= MAX_USED {
            let oldest = used.iter().min_by_key(|(_, at)| **at).map(|(state, _)| state.clone());
            oldest.and_then(|state| used.remove(&state));
        }
        used.insert(secret_hash(state), now).is_none()
    }
}

/// A sign-in that begins.
pub struct Departure {
    /// For the browser's cookie, while it is away.
    pub cookie: String,
    /// Where it is sent.
    pub location: String,
}

impl std::fmt::Debug for Departure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Departure(..)")
    }
}

/// A provider, for the page that offers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignOnView {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Where the browser goes, relative to the page's base.
    pub url: String,
}

/// The provider somebody came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameBy {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Where a browser signs out there, too.
    pub sign_out: Option<String>,
}

/// What the cookie says: when it was made, and where to go afterwards.
struct Kept<'a> {
    at: Timestamp,
    provider: &'a str,
    to: String,
}

impl<'a> Kept<'a> {
    /// `<ms>.<secret>.<provider>.<path>`; the whole of it is the flow's secret, so
    /// nothing of it can be exchanged.
    fn write(at: Timestamp, provider: &str, to: &str) -> Result<String, Problem> {
        let secret = crate::people::fresh_secret("")?;
        Ok(format!("{}.{secret}.{provider}.{}", at.0, URL_SAFE_NO_PAD.encode(to)))
    }

    fn read(cookie: &'a str) -> Option<Self> {
        let mut parts = cookie.splitn(3, '.');
        let at = Timestamp(parts.next()?.parse().ok()?);
        let secret = parts.next().filter(|s| s.len() == 64)?;
        let (provider, to) = parts.next()?.rsplit_once('.')?;
        let to = String::from_utf8(URL_SAFE_NO_PAD.decode(to).ok()?).ok()?;
        (!secret.is_empty()).then_some(Self { at, provider, to })
    }
}

/// A path of this server, whatever was asked for: nobody is sent elsewhere.
fn local(to: Option<&str>) -> String {
    let fine = |to: &&str| {
        let rest = to.strip_prefix('/').unwrap_or(to);
        to.len() <= MAX_TO
            && !rest.starts_with(['/', '\\'])
            && !to.contains("//")
            && !to.chars().any(|c| c.is_control() || c == '\\')
            && !rest.split(['?', '#']).next().unwrap_or_default().contains(':')
    };
    to.filter(fine).unwrap_or_default().trim_start_matches('/').to_owned()
}

impl Control {
    /// The providers people may sign in by.
    pub fn sign_on_providers(&self) -> Vec<SignOnView> {
        let view = |on: &Arc<SignOn>| SignOnView {
            id: on.spec.id.clone(),
            name: on.spec.name.clone(),
            url: format!("signin/{}", on.spec.id),
        };
        self.config.sign_on.iter().map(view).collect()
    }

    /// The provider of this id.
    ///
    /// # Errors
    /// `no_such_provider`.
    pub fn sign_on_provider(&self, id: &str) -> Result<&SignOn, Problem> {
        self.config.sign_on.iter().find(|on| on.spec.id == id).map(AsRef::as_ref).ok_or_else(|| {
            Problem::new(
                ProblemKind::NotFound,
                "no_such_provider",
                "nobody signs in by this provider here",
                "open the sign-in page and choose one of those it shows",
            )
        })
    }

    /// The provider a session came by, and where to sign out there; none if this
    /// server no longer knows it.
    pub async fn came_by(&self, id: &str) -> Option<CameBy> {
        let on = self.sign_on_provider(id).ok()?;
        let sign_out = on.provider.sign_out_address(&self.url("signin")).await;
        Some(CameBy { id: id.to_owned(), name: on.spec.name.clone(), sign_out })
    }

    fn redirect(&self, id: &str) -> String {
        self.url(&format!("signin/{id}/callback"))
    }

    /// Sends a browser to a provider.
    ///
    /// # Errors
    /// `no_such_provider`; `sign_on_unavailable` if the provider cannot be asked.
    pub async fn begin_sign_on(&self, id: &str, to: Option<&str>) -> Result<Departure, Problem> {
        let on = self.sign_on_provider(id)?;
        let now = self.clock.now();
        let cookie = Kept::write(now, id, &local(to))?;
        let redirect = self.redirect(id);
        let begun = Begun { secret: &cookie, redirect: &redirect };
        let location = on.provider.begin(&begun, now).await;
        let location = location.map_err(|error| self.sign_on_failed(on, &error))?;
        Ok(Departure { cookie, location })
    }

    /// Lets in whoever comes back from a provider, and says where they wanted to
    /// go. The session the browser had before ends.
    ///
    /// # Errors
    /// `sign_on_refused` with a sentence, `sign_on_unavailable`, `too_many_tries`.
    pub async fn finish_sign_on(
        &self,
        id: &str,
        cookie: Option<&str>,
        returned: &Returned,
        source: Option<String>,
        before: Option<&str>,
    ) -> Result<(Session, String), Problem> {
        let on = self.sign_on_provider(id)?;
        let now = self.clock.now();
        let address = source.as_deref().unwrap_or("-").to_owned();
        let made = self.tries.begin(None, &address, now).map_err(crate::sessions::too_many)?;
        let known = self.come_back(on, cookie, returned, now).await;
        let known = match known {
            Ok((claims, to)) => self.who_is(on, &claims, now).await.map(|person| (person, to)),
            Err(problem) => Err(problem),
        };
        let unavailable = known.as_ref().is_err_and(|p| p.kind == ProblemKind::Failed);
        if known.is_ok() || unavailable {
            self.tries.succeeded(made);
        }
        let (person, to) = match known {
            Ok(known) => known,
            Err(problem) => {
                self.note_refused(Refusal {
                    who: None,
                    source,
                    what: format!("sign in by {id}"),
                    code: problem.code.clone(),
                })
                .await;
                return Err(problem);
            }
        };
        let how = format!("sign-on {id}");
        let provider = Some(id.to_owned());
        let way = Way { how: &how, provider, before, ..Way::default() };
        Ok((self.let_in(&person, source, way, now).await?, to))
    }

    async fn come_back(
        &self,
        on: &SignOn,
        cookie: Option<&str>,
        returned: &Returned,
        now: Timestamp,
    ) -> Result<(Claims, String), Problem> {
        let id = on.spec.id.as_str();
        let foreign = || SignOnError::Foreign("this browser did not begin it, or too long ago");
        let kept = cookie
            .and_then(Kept::read)
            .filter(|kept| kept.provider == id && now >= kept.at && now.since(kept.at) < AWAY);
        let (cookie, kept) = cookie.zip(kept).ok_or_else(|| self.sign_on_failed(on, &foreign()))?;
        let redirect = self.redirect(id);
        let begun = Begun { secret: cookie, redirect: &redirect };
        let state = begun.state(on.provider.issuer());
        if returned.state.as_deref() != Some(&state) {
            return Err(self.sign_on_failed(on, &foreign()));
        }
        if !self.used_states.take(&state, now) {
            let again = SignOnError::Foreign("this answer was used already");
            return Err(self.sign_on_failed(on, &again));
        }
        let claims = on.provider.finish(&begun, returned, now).await;
        let claims = claims.map_err(|error| self.sign_on_failed(on, &error))?;
        Ok((claims, kept.to))
    }

    /// What people are told; the log of the server says more.
    fn sign_on_failed(&self, on: &SignOn, error: &SignOnError) -> Problem {
        let name = &on.spec.name;
        tracing::warn!(provider = on.spec.id, %error, "a sign-on failed");
        let (kind, code) = match error {
            SignOnError::Unreachable(_) | SignOnError::Issuer(_) | SignOnError::Answer(_) => {
                (ProblemKind::Failed, "sign_on_unavailable")
            }
            _ => (ProblemKind::NotSignedIn, "sign_on_refused"),
        };
        let hint = match error {
            SignOnError::Foreign(_) => {
                "begin again on the sign-in page of Tidegate, in one window and within 10 minutes"
            }
            SignOnError::Refused(_) => "ask whoever looks after the accounts there",
            _ => "try again; if it stays, whoever runs Tidegate finds more in its log",
        };
        Problem::new(kind, code, format!("signing in with {name} did not work: {error}"), hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for (to, want) in [
            ("/changes/41", "changes/41"),
            ("changes?state=open#x", "changes?state=open#x"),
            ("/", ""),
            ("//evil.example", ""),
            ("/\\evil.example", ""),
            ("https://evil.example", ""),
            ("javascript:alert(1)", ""),
            ("/a//b", ""),
            ("/a\r\nset-cookie: x", ""),
        ] {
            assert_eq!(local(Some(to)), want, "{to}");
        }
        assert_eq!(local(Some(&"a".repeat(MAX_TO + 1))), "");
    }

    #[test]
    fn a_cookie_is_read_back_and_anything_else_is_none() {
        let cookie = Kept::write(Timestamp(7), "my.idp", "changes/1").unwrap();
        let kept = Kept::read(&cookie).unwrap();
        assert_eq!(
            (kept.at, kept.provider, kept.to.as_str()),
            (Timestamp(7), "my.idp", "changes/1")
        );
        for bad in ["", "7", "7.short.p.", "x.y.z.w", &cookie[..20], "7..p.AA"] {
            assert!(Kept::read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_answer_is_taken_once_and_memory_is_bounded() {
        let used = UsedStates::default();
        assert!(used.take("s", Timestamp(0)) && !used.take("s", Timestamp(1)));
        for n in 0..(MAX_USED as i64 + 50) {
            used.take(&format!("s{n}"), Timestamp(n % 1000));
        }
        assert!(used.0.lock().unwrap().len() <= MAX_USED);
        assert!(used.take("late", Timestamp(AWAY.millis() * 3)));
        assert_eq!(used.0.lock().unwrap().len(), 1);
    }
}
