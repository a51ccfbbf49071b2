//! Making a repository and taking it over at start.

use super::{MAIN, RepoError, Result, io};
use crate::hook::{CONTEXT_VARIABLE, EXE_VARIABLE};
use git2::{Repository, RepositoryInitOptions};
use std::fs;
use std::path::{Path, PathBuf};

/// Settings of every ops repo, written at each start.
const CONFIG: [(&str, &str); 10] = [
    // A ref on disk names an object on disk, also after a power cut.
    ("core.fsync", "committed,reference"),
    // What a ref was before can be looked up.
    ("core.logAllRefUpdates", "true"),
    // Nothing is thrown away behind the server's back.
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("receive.autogc", "false"),
    // What arrives is checked, and is not endless.
    ("receive.fsckObjects", "true"),
    ("receive.maxInputSize", "536870912"),
    ("receive.unpackLimit", "5000"),
    // Refs of Tidegate's own are no business of a clone.
    ("uploadpack.hideRefs", "refs/tidegate"),
    ("uploadpack.allowFilter", "true"),
];

/// The same durability in the only word libgit2 knows for it. Git calls that word
/// outdated, three times in every push, so it stands where git does not look.
const OWN_CONFIG: &str = "libgit2.config";
const OUTDATED: &str = "core.fsyncObjectFiles";

/// Hooks and what they do without the server.
const HOOKS: [(&str, &str); 2] = [
    (
        "pre-receive",
        "echo 'This repository belongs to a Tidegate server. Push to the address the server names, not into its folder.' >&2; exit 1",
    ),
    ("post-receive", "exit 0"),
];

/// Makes a bare repository, lets `fill` write its first commit, and moves it to
/// its place.
pub(super) fn create(path: &Path, fill: impl FnOnce(&Repository) -> Result<()>) -> Result<()> {
    let path = std::path::absolute(path).map_err(io("finding the repository"))?;
    let taken = match fs::read_dir(&path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => path.exists(),
    };
    if taken {
        return Err(RepoError::Exists(path.display().to_string()));
    }
    let partial = partial(&path);
    match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(io("removing an unfinished repository")(error));
        }
        _ => {}
    }
    let mut options = RepositoryInitOptions::new();
    options.bare(true).mkpath(true).external_template(false).initial_head(MAIN);
    let git = Repository::init_opts(&partial, &options)?;
    configure(&git)?;
    fill(&git)?;
    drop(git);
    fs::rename(&partial, &path).map_err(io("moving the new repository to its place"))
}

/// Where a repository is while it is made.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    path.with_file_name(name)
}

/// Writes the settings that are not as they should be.
pub(super) fn configure(git: &Repository) -> Result<()> {
    let mut config = git.config()?.open_level(git2::ConfigLevel::Local)?;
    // Hooks of the machine's own configuration do not apply here.
    let hooks = git.path().join("hooks").display().to_string();
    let hooks = ("core.hooksPath", hooks.as_str());
    for (name, value) in CONFIG.into_iter().chain([hooks]) {
        if config.get_string(name).ok().as_deref() != Some(value) {
            config.set_str(name, value)?;
        }
    }
    if config.get_string(OUTDATED).is_ok() {
        config.remove(OUTDATED)?;
    }
    let own = git.path().join(OWN_CONFIG);
    let text = "[core]\n\tfsyncObjectFiles = true\n";
    if fs::read(&own).ok().as_deref() != Some(text.as_bytes()) {
        fs::write(&own, text).map_err(io("writing the settings of the repository"))?;
    }
    durable(git)
}

/// Makes what this handle writes durable. Needed once for every handle.
pub(super) fn durable(git: &Repository) -> Result<()> {
    let own = git.path().join(OWN_CONFIG);
    Ok(git.config()?.add_file(&own, git2::ConfigLevel::App, true)?)
}

/// Writes the hooks, each by rename so that a push never meets half of one.
pub(super) fn install_hooks(path: &Path) -> Result<()> {
    let folder = path.join("hooks");
    fs::create_dir_all(&folder).map_err(io("making the hooks folder"))?;
    for (name, otherwise) in HOOKS {
        let script = format!(
            "#!/bin/sh\n# Written by Tidegate at every start.\nif [ -z \"${EXE_VARIABLE}\" ] || [ -z \"${CONTEXT_VARIABLE}\" ]; then {otherwise}; fi\nexec \"${EXE_VARIABLE}\" git-hook {name}\n"
        );
        let target = folder.join(name);
        if fs::read(&target).ok().as_deref() == Some(script.as_bytes()) {
            continue;
        }
        let fresh = folder.join(format!("{name}.new"));
        fs::write(&fresh, script).map_err(io("writing a hook"))?;
        executable(&fresh)?;
        fs::rename(&fresh, &target).map_err(io("installing a hook"))?;
    }
    Ok(())
}

#[cfg(unix)]
fn executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(io("making a hook executable"))
}

#[cfg(not(unix))]
fn executable(_: &Path) -> Result<()> {
    Ok(())
}

/// Removes lock files left by a process that was killed, which would otherwise
/// block their ref for ever.
///
/// Safe because one server owns the repository: whoever held a lock when this
/// process starts is an earlier self, or a `git receive-pack` of it that lost
/// its client with it. Called once, before anything is written or served.
pub(super) fn remove_locks(path: &Path) -> Result<()> {
    for name in ["HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock"] {
        remove(&path.join(name))?;
    }
    let mut folders = vec![path.join("refs")];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(io("looking for lock files")(error)),
        };
        for entry in entries {
            let entry = entry.map_err(io("looking for lock files"))?;
            let kind = entry.file_type().map_err(io("looking for lock files"))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if entry.path().extension().is_some_and(|end| end == "lock") {
                // A ref cannot end in `.lock`, so this is no ref.
                remove(&entry.path())?;
            }
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(io("removing a lock file")(error))
        }
        _ => Ok(()),
    }
}
