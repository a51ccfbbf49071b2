//! The request path.
pub mod config;
pub mod link;

pub use config::{Config, Secrets};
pub use link::{BoxFuture, HttpLink, Link, LinkError};
