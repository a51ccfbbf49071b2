//! Every call that leaves the house: HTTP, the providers that answer, and a
//! metrics server.
//!
//! - [`classifier`]: what a classifier outside says of a text,
//! - [`forge`]: pull requests and statuses at GitHub and Gitea,
//! - [`guard`]: which addresses people may have messages sent to,
//! - [`http`]: one pooled client for everything that dials out,
//! - [`mail`], [`webhook`]: messages to people and their programs,
//! - [`oidc`]: who somebody is, as a company's OpenID provider says,
//! - [`prometheus`]: one number of a metrics server, or why there is none,
//! - [`provider`]: what a gateway asks for an answer, whole or as a stream,
//! - [`sse`]: server-sent events cut at their boundaries, byte for byte,
//! - [`tap`]: what is learnt from an answer while it passes through.
//!
//! What must stay true:
//! - nothing here decides who answers, what a failure means for a release, or
//!   what a caller is told: it reports what happened, once, in a closed set of
//!   kinds;
//! - an answer's bytes are passed on as they came. Only what arrives incomplete
//!   (a torn event at a cut) is held back;
//! - every length that comes from outside has a named limit;
//! - prompts, answers and keys print redacted.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")
)]

pub mod classifier;
pub mod embeddings;
pub mod forge;
pub mod guard;
pub mod http;
pub mod mail;
pub mod oidc;
pub mod prometheus;
pub mod provider;
pub mod sse;
pub mod tap;
pub mod webhook;
