//! Rules about the shape of the repository, as ordinary tests. A rule that is
//! only written down is forgotten; each of these names the file and the mend.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod arrows;
mod docs;
mod files;
mod tree;
