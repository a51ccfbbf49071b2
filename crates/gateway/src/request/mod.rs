//! What happens to one request. The order of the files along the path:
//! `auth` → `ingress` → `chat` → `complete` (→ `answer` → `shadow`, `fallback`,
//! `stream`) → `respond`; `pending` remembers; `preview` answers for a change
//! instead of what is routed. Beside it the small routes:
//! `models`, `feedback`, `admin`, `health`.
//!
//! Nothing in this folder locks, touches disk, or waits for control, save
//! `admin`, where an operator waits for the journal.

pub(crate) mod admin;
mod answer;
mod auth;
mod chat;
mod complete;
mod error;
mod fallback;
pub(crate) mod feedback;
pub(crate) mod health;
mod ingress;
pub(crate) mod models;
mod pending;
mod preview;
mod respond;
mod shadow;
mod stream;

pub(crate) use chat::ChatRequest;
pub use chat::{ReadBody, read_body};
pub(crate) use complete::complete;
pub(crate) use error::{ApiError, Code};
pub(crate) use respond::{Body, json, plain_error};
