//! The request path. This file is its map.
//!
//! A request passes, in this order, through
//!
//! | step | where | what it is then |
//! | --- | --- | --- |
//! | accept, route by path | [`server`] | `http::Request<Incoming>` |
//! | one look at the state | [`state`] | `Arc<Serving>`: taken once, used to the end |
//! | token | `request::auth` | a grant of the snapshot |
//! | read, parse (once) | `request::ingress`, `request::chat` | `ChatRequest` |
//! | who answers | `domain::routing::route` | `Decision` |
//! | kill switch, failures | `request::fallback` | an answer from `fallback.yaml` |
//! | render | `request::answer`, `checks::template` | `connect::provider::Call` |
//! | mirror | `request::shadow` | a task nobody waits for |
//! | call | `connect::provider` | `Reply`, or `Failure` |
//! | answer | `request::complete`, `request::stream`, `request::respond` | `http::Response<Body>` |
//! | remember | `request::pending`, [`telemetry`] | one `Event` by `try_send` |
//!
//! Beside the path, and never waited for by it: [`snapshot`] (follow control,
//! verify, keep on disk, compile), [`journal`] (kills thrown here), [`telemetry`]
//! (hash, redact, fold, ship), [`link`] (the one thread to control).
//!
//! What must stay true:
//! - nothing on the path locks, touches disk, waits for control or reads a body
//!   twice. `tests/absences.rs` and this crate's `clippy.toml` look after it;
//! - one request sees one snapshot, also when it streams for minutes;
//! - telemetry and mirrored requests may be dropped, and the drop is counted; a
//!   request may not;
//! - a stream that fails after its first byte says so in an error event, and is
//!   counted; it never just ends;
//! - every request to a known app leaves exactly one event: answered, failed,
//!   refused, or abandoned by its caller;
//! - with control, git and the store gone, the last snapshot serves on, a
//!   restarted gateway serves from disk, and the kill switch works.
//!
//! Why hyper and not a framework: the path is four routes, and every layer
//! between the socket and the provider costs each request.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")
)]

pub mod config;
mod gateway;
pub mod journal;
mod keyed;
pub mod link;
mod metrics;
mod request;
pub mod server;
pub mod snapshot;
pub mod state;
pub mod telemetry;

pub use config::{Config, Secrets};
pub use gateway::{Gateway, StartError};
pub use link::{BoxFuture, HttpLink, Link, LinkError};
pub use request::{ReadBody, read_body};
