//! From control's word to what requests are served with: follow, verify, fetch,
//! compile, keep on disk, swap. None of it on the request path.
//!
//! What must stay true:
//! - only a snapshot with the installation's signature is used, from wherever
//!   it came, disk included;
//! - generations only grow: an older or equal one is refused;
//! - a snapshot is used only with all blobs it names, each checked by digest;
//! - it is on disk before it is served, so that a restart with control gone
//!   never goes back behind what control was told; a full disk is reported and
//!   does not stop the swap;
//! - one release that cannot be used (a missing key, a bad recording) fails its
//!   own requests, and counts against that release. It never holds back the
//!   snapshot: a rollback must reach every gateway.

mod compile;
mod disk;
mod follow;
mod meter;

pub use compile::{App, Compiled, Fallbacks, Served, Unusable};
pub use disk::{Disk, DiskError};
pub(crate) use follow::{cold_start, follow};
pub use meter::Meter;
pub(crate) use meter::{Tab, tokens_of};
