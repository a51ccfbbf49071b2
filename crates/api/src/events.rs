//! `/api/v1/events`: what moved, as server-sent events.
//!
//! An event names a topic and never carries its content: the page asks for what
//! it shows, with its own rights, by the resource's own address. What must stay
//! true:
//! - the stream keeps a place in the ring of [`control::events`] and nothing
//!   else: a reader that does not read costs no memory, and one that fell too
//!   far behind is told to look at everything (`resync`);
//! - a stream ends when the right to listen does: at once when the session, the
//!   token or the person changes, and at the next beat when time ran out.

use crate::Api;
use crate::extract::{Params, secret, source};
use crate::problem::ApiError;
use crate::session;
use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use control::Caller;
use control::caller::{not_signed_in, secret_hash};
use control::events::{Event, Missed, Topics, topics};
use control::problem::{Problem, ProblemKind};
use domain::ids::PersonName;
use domain::units::Span;
use futures_util::stream::unfold;
use http::request::Parts;
use http::{HeaderMap, header};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

/// How often a quiet stream says that it is alive.
const BEAT: Duration = Duration::from_secs(15);
/// How long a browser waits before it comes back, in milliseconds.
const RETRY: u32 = 3_000;
/// Open streams of one person; a browser shares one among its tabs.
const MAX_PER_PERSON: u32 = 50;
/// Open streams in all.
const MAX_STREAMS: u32 = 2_000;

/// Who listens, and with what they showed that they may.
pub(crate) struct Listener {
    caller: Caller,
    credential: Credential,
    source: Option<String>,
}

enum Credential {
    Token(String),
    Session(String),
}

impl FromRequestParts<Api> for Listener {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let source = source(parts);
        if parts.headers.contains_key(header::AUTHORIZATION) {
            let secret = secret(&parts.headers)?;
            let caller = api.control.authenticate(&secret, source.clone()).await?;
            return Ok(Self { caller, credential: Credential::Token(secret), source });
        }
        let secret = session::cookie(&parts.headers)
            .ok_or_else(|| ApiError::from(not_signed_in("this needs a token")))?;
        let session = api.control.authenticate_session(&secret, source.clone()).await?;
        Ok(Self { caller: session.caller, credential: Credential::Session(secret), source })
    }
}

impl Listener {
    /// Topics of the sign-in itself.
    fn own(&self) -> BTreeSet<String> {
        let sign_in = match &self.credential {
            Credential::Token(secret) => format!("token:{}", secret_hash(secret)),
            Credential::Session(secret) => format!("session:{}", secret_hash(secret)),
        };
        [sign_in, format!("person:{}", self.caller.name())].into()
    }

    async fn still_may(&self, api: &Api) -> bool {
        let source = self.source.clone();
        match &self.credential {
            Credential::Token(secret) => api.control.authenticate(secret, source).await.is_ok(),
            Credential::Session(secret) => {
                api.control.look_at_session(secret, source).await.is_ok()
            }
        }
    }
}

/// Streams that are open, by person.
#[derive(Clone, Default)]
pub(crate) struct Open(Arc<Mutex<BTreeMap<PersonName, u32>>>);

impl Open {
    fn one_more(&self, person: &PersonName) -> Result<Slot, ApiError> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.get(person).copied().unwrap_or_default();
        if own >= MAX_PER_PERSON || open.values().sum::<u32>() >= MAX_STREAMS {
            return Err(Problem::new(
                ProblemKind::TooMany,
                "too_many_streams",
                format!("{own} pages of yours listen already"),
                "close some, or ask again from time to time",
            )
            .after(Span::from_secs(10))
            .into());
        }
        open.insert(person.clone(), own + 1);
        Ok(Slot { open: self.clone(), person: person.clone() })
    }
}

/// One open stream; counted until it is dropped.
struct Slot {
    open: Open,
    person: PersonName,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.open.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = open.get(&self.person).map_or(0, |own| own.saturating_sub(1));
        if left == 0 {
            open.remove(&self.person);
        } else {
            open.insert(self.person.clone(), left);
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    topics: String,
}

struct Stream {
    api: Api,
    listener: Listener,
    topics: Topics,
    place: u64,
    newest: watch::Receiver<u64>,
    beat: Interval,
    greeting: Option<String>,
    over: bool,
    _slot: Slot,
}

pub(crate) async fn listen(
    State(api): State<Api>,
    listener: Listener,
    Params(wanted): Params<Wanted>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let topics = topics(&listener.caller, &wanted.topics, listener.own())?;
    let slot = api.streams.one_more(listener.caller.name())?;
    let newest = api.control.events().subscribe();
    let now = api.control.events().place();
    // An id that is no number is from nobody we know: as good as too old.
    let last = headers
        .get("last-event-id")
        .map(|id| id.to_str().ok().and_then(|id| id.trim().parse().ok()).unwrap_or(0));
    let mut beat = interval_at(tokio::time::Instant::now() + BEAT, BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let place = last.unwrap_or(now);
    // Names the place, so that who is cut off before the first event comes back
    // to it.
    let greeting =
        last.is_none().then(|| format!("retry: {RETRY}\nid: {now}\nevent: ready\ndata: {{}}\n\n"));
    let greeting = greeting.or_else(|| Some(format!("retry: {RETRY}\n\n")));
    let stream =
        Stream { api, listener, topics, place, newest, beat, greeting, over: false, _slot: slot };
    let body = Body::from_stream(unfold(stream, |mut stream| async move {
        let text = stream.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), stream))
    }));
    let headers = [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        // A proxy that collects answers would keep events to itself.
        ("x-accel-buffering", "no"),
    ];
    Ok((headers, body).into_response())
}

impl Stream {
    /// The next piece of text; none at the end.
    async fn next(&mut self) -> Option<String> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        let mut shutdown = self.api.shutdown.clone();
        while !self.over {
            // Marked as seen before it is read: what comes in between wakes us.
            self.newest.borrow_and_update();
            let missed = self.api.control.events().since(self.place, self.topics.all());
            let (events, place) = match missed {
                Missed::TooMuch(place) => {
                    self.place = place;
                    if !self.listener.still_may(&self.api).await {
                        return self.farewell();
                    }
                    return Some(format!("id: {place}\nevent: resync\ndata: {{}}\n\n"));
                }
                Missed::Events(events, place) => (events, place),
            };
            self.place = place;
            let mine = events.iter().any(|event| self.topics.concerns_listener(event));
            if mine && !self.listener.still_may(&self.api).await {
                return self.farewell();
            }
            let told = events.into_iter().filter_map(|event| self.topics.told(event));
            let text = written(told, place);
            if !text.is_empty() {
                return Some(text);
            }
            tokio::select! {
                changed = self.newest.changed() => changed.ok()?,
                () = stopped(&mut shutdown) => return None,
                _ = self.beat.tick() => {
                    if !self.listener.still_may(&self.api).await {
                        return self.farewell();
                    }
                    return Some(": beat\n\n".to_owned());
                }
            }
        }
        None
    }

    /// The last word of a stream whose listener may no longer listen.
    fn farewell(&mut self) -> Option<String> {
        self.over = true;
        Some("event: signed_out\ndata: {}\n\n".to_owned())
    }
}

/// Returns when the server is told to stop; a sender that is gone means the same.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    shutdown.wait_for(|stop| *stop).await.ok();
}

/// Events as text. Each carries the place after all of them: who has read one
/// has been sent the others.
fn written(events: impl Iterator<Item = Event>, place: u64) -> String {
    let events: Vec<_> = events.collect();
    let last = events.len().saturating_sub(1);
    events.iter().enumerate().fold(String::new(), |mut text, (i, event)| {
        // An event always has a JSON form, and writing to a string cannot fail.
        let data = serde_json::to_string(event).unwrap_or_default();
        let id = if i == last { format!("id: {place}\n") } else { String::new() };
        write!(text, "{id}event: changed\ndata: {data}\n\n").unwrap_or_default();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::units::Timestamp;

    #[test]
    fn only_the_last_of_a_batch_names_the_place() {
        let event =
            |topic: &str| Event { topic: topic.to_owned(), version: Some(3), at: Timestamp(7) };
        let text = written([event("apps"), event("change:41")].into_iter(), 12);
        assert_eq!(
            text,
            "event: changed\ndata: {\"topic\":\"apps\",\"version\":3,\"at\":7}\n\n\
             id: 12\nevent: changed\ndata: {\"topic\":\"change:41\",\"version\":3,\"at\":7}\n\n"
        );
        assert_eq!(written(std::iter::empty(), 12), "");
    }

    #[test]
    fn streams_are_counted_and_given_back() {
        let open = Open::default();
        let ana: PersonName = "ana".parse().unwrap();
        let slots: Vec<_> =
            std::iter::repeat_with(|| open.one_more(&ana)).map_while(Result::ok).collect();
        assert_eq!(slots.len(), MAX_PER_PERSON as usize);
        assert!(open.one_more(&"bob".parse().unwrap()).is_ok(), "others still may");
        drop(slots);
        assert!(open.one_more(&ana).is_ok());
        assert!(open.0.lock().unwrap().is_empty());
    }
}
