//! What the integration tests share.

use std::path::PathBuf;

/// The built `helper` example. Cargo builds examples with the tests unless it is
/// told to build single targets only.
pub fn helper() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("tests lie in deps/");
    let helper = folder.join("examples").join("helper");
    assert!(
        helper.exists(),
        "`helper` is not built; run `cargo test -p tidegate-opsrepo` or add `--examples`"
    );
    helper
}
