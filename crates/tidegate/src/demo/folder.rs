//! The folder the demo makes and leaves behind to be looked at.

use super::DemoError;
use std::path::{Path, PathBuf};

/// Marks a folder as the demo's own, so that it may be made anew.
const MARK: &str = "made-by-tidegate-demo.txt";
const MARK_TEXT: &str = "\
This folder was made by `tidegate demo` and is emptied when the demo runs again.
`data/` is an ordinary data directory of `tidegate serve`.
";

/// The demo's folder.
pub struct Folder(PathBuf);

impl Folder {
    /// A fresh one. A demo's own folder is emptied; anything else is left alone.
    ///
    /// # Errors
    /// If there is something that no demo made.
    pub fn fresh(path: &Path) -> Result<Self, DemoError> {
        let unusable = |e: std::io::Error| DemoError::new(format!("`{}`: {e}", path.display()));
        if path.exists() {
            let is_empty = path.is_dir() && path.read_dir().map_err(unusable)?.next().is_none();
            if !is_empty && !path.join(MARK).is_file() {
                return Err(DemoError::new(format!(
                    "`{}` is there and was not made by a demo, so it is left alone; name another folder with `--dir`",
                    path.display()
                )));
            }
            std::fs::remove_dir_all(path).map_err(unusable)?;
        }
        std::fs::create_dir_all(path).map_err(unusable)?;
        std::fs::write(path.join(MARK), MARK_TEXT).map_err(unusable)?;
        Ok(Self(path.canonicalize().map_err(unusable)?))
    }

    /// The data directory of the server.
    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// Where the server's log goes.
    pub fn log(&self) -> PathBuf {
        self.0.join("server.log")
    }

    /// Where the server says where it listens.
    pub fn ready(&self) -> PathBuf {
        self.0.join("ready.json")
    }

    /// Where the seed of the ops repo is written.
    pub fn seed(&self) -> PathBuf {
        self.0.join("ops")
    }

    /// Where the ops repo is cloned to, to be checked.
    pub fn clone_of_ops(&self) -> PathBuf {
        self.0.join("clone")
    }

    /// Where the copy of the state goes that somebody tampered with.
    pub fn tampered(&self) -> PathBuf {
        self.0.join("tampered")
    }

    /// Where a person's token is kept for trying things by hand.
    pub fn token(&self, person: &str) -> PathBuf {
        self.0.join(format!("{person}.token"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_demos_own_folder_is_emptied() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("demo");
        let folder = Folder::fresh(&path).unwrap();
        std::fs::write(folder.log(), "old").unwrap();
        let again = Folder::fresh(&path).unwrap();
        assert!(!again.log().exists());

        let precious = temp.path().join("precious");
        std::fs::create_dir(&precious).unwrap();
        std::fs::write(precious.join("thesis.txt"), "years of work").unwrap();
        let refused = Folder::fresh(&precious).err().unwrap().to_string();
        assert!(refused.contains("--dir"), "{refused}");
        assert!(precious.join("thesis.txt").exists());
    }
}
