//! How much is read. Everything here bounds work on input from outside; each
//! limit is far above what people write by hand.

/// Largest YAML file, in bytes.
pub const MAX_YAML_LEN: usize = 256 * 1024;
/// Largest template file, in bytes.
pub const MAX_TEMPLATE_LEN: usize = 256 * 1024;
/// Largest recordings file, in bytes.
pub const MAX_RECORDINGS_LEN: usize = 64 * 1024 * 1024;
/// Most sampled values of a feature view.
pub const MAX_SAMPLES: usize = 10_000;
/// Largest file of any kind read from a commit, in bytes.
pub const MAX_FILE_LEN: usize = MAX_RECORDINGS_LEN;
/// Most bytes read from one commit.
pub const MAX_COMMIT_LEN: usize = 512 * 1024 * 1024;
/// Most files read from one commit.
pub const MAX_FILES: usize = 20_000;
/// Deepest nesting of a YAML file.
pub const MAX_YAML_DEPTH: usize = 32;
/// Most nodes (keys, values, items) in a YAML file.
pub const MAX_YAML_NODES: usize = 50_000;
/// Most faults reported for one file; more would only bury the first ones.
pub const MAX_FAULTS_PER_FILE: usize = 25;
/// Longest text diff handed out, in bytes; the rest is cut and said so.
pub const MAX_DIFF_LEN: usize = 1024 * 1024;
/// How many commits of `main` are searched for the trailer of an effect. An
/// effect is retried within minutes, so its commit is among the newest.
pub const MAX_EFFECT_WALK: usize = 5_000;
/// Most commits looked at to list the contributors of a branch.
pub const MAX_CONTRIBUTOR_WALK: usize = 5_000;
/// How often a compare-and-swap on a ref is tried again after losing.
pub const MAX_SWAP_TRIES: usize = 5;
/// Most branches a push may touch at once.
pub const MAX_REFS_PER_PUSH: usize = 100;
/// Largest head of an answer of `git http-backend`, in bytes.
pub const MAX_CGI_HEAD: usize = 32 * 1024;
