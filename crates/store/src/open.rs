//! Opening a data directory.

use crate::commit::Touched;
use crate::db::Db;
use crate::error::{OpenError, StoreError};
use crate::migrate::{self, migrate};
use sqlx::sqlite::SqliteSynchronous;
use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// Who is told of commits.
pub(crate) type Listener = Box<dyn Fn(&Touched) + Send + Sync>;

/// The durable state of one installation. Cheap to clone; all clones are one
/// store.
#[derive(Clone)]
pub struct Store {
    pub(crate) state: Db,
    pub(crate) telemetry: Db,
    pub(crate) commits: Arc<watch::Sender<u64>>,
    pub(crate) listener: Arc<OnceLock<Listener>>,
    directory: PathBuf,
}

impl Store {
    /// Opens the store in this directory, making it if it is not there and
    /// bringing its files to the present schema.
    ///
    /// # Errors
    /// [`OpenError`] says which file and what to do: a newer schema, a disk that
    /// is full or cannot be written, a damaged file.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        make_directory(path)?;
        let state =
            open_file(&path.join("state.db"), SqliteSynchronous::Full, migrate::STATE).await?;
        let telemetry =
            open_file(&path.join("telemetry.db"), SqliteSynchronous::Normal, migrate::TELEMETRY)
                .await
                .map_err(|error| match error {
                    OpenError::State { file, problem } => OpenError::Telemetry { file, problem },
                    other => other,
                })?;
        let (commits, _) = watch::channel(0);
        Ok(Self {
            state,
            telemetry,
            commits: Arc::new(commits),
            listener: Arc::new(OnceLock::new()),
            directory: path.to_path_buf(),
        })
    }

    /// Claims the directory for this process as the one that acts on it, until
    /// the claim is dropped or the process ends in whatever way. Reading and
    /// writing are safe without; two controllers on one directory would carry
    /// out every effect twice.
    ///
    /// # Errors
    /// [`OpenError::InUse`] if another process holds the claim.
    pub fn claim(&self) -> Result<Claim, OpenError> {
        let problem = |problem| OpenError::Directory { path: self.directory.clone(), problem };
        let file = File::create(self.directory.join("controller.lock")).map_err(problem)?;
        match file.try_lock() {
            Ok(()) => Ok(Claim { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: self.directory.clone() }),
            Err(TryLockError::Error(error)) => Err(problem(error)),
        }
    }

    /// Tells of every commit, so that whoever waits for work or shows the state
    /// need not poll. The number has no meaning but that it changed.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// Tells this listener what every commit from now on wrote; the first one
    /// told stays. It must not block: the next commit waits for it.
    pub fn listen(&self, listener: impl Fn(&Touched) + Send + Sync + 'static) {
        let _only_one = self.listener.set(Box::new(listener)).is_ok();
    }

    /// Writes a copy of the state, as of now, to a file that is not there yet;
    /// whoever writes meanwhile is not kept waiting.
    ///
    /// # Errors
    /// The store's; the file is there already.
    pub async fn copy_state(&self, file: &Path) -> Result<(), StoreError> {
        self.state.copy_to(file).await
    }

    /// Closes all connections. Not needed for durability; it leaves tidy files.
    ///
    /// # Errors
    /// The store's.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.state.close().await?;
        self.telemetry.close().await
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.directory.display())
    }
}

/// The right to act on a data directory. See [`Store::claim`].
#[derive(Debug)]
#[must_use = "the claim ends when this is dropped"]
pub struct Claim {
    _file: File,
}

fn make_directory(path: &Path) -> Result<(), OpenError> {
    let problem = |problem| OpenError::Directory { path: path.to_path_buf(), problem };
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    // Hashed tokens and redacted answers are nobody else's business.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(problem)
}

async fn open_file(
    file: &Path,
    durable: SqliteSynchronous,
    migrations: migrate::Migrations,
) -> Result<Db, OpenError> {
    let db = Db::open(file, durable)
        .await
        .map_err(|problem| OpenError::State { file: file.to_path_buf(), problem })?;
    migrate(&db, file, migrations).await?;
    Ok(db)
}
