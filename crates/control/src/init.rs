//! A new installation: data directory, ops repo, keys, first admin.

use crate::git::REPO_DIR;
use crate::incidents::plain_entry;
use crate::keys::Keys;
use crate::people::By;
use crate::problem::{Problem, ProblemKind};
use crate::views::{NewToken, PersonView};
use crate::{Config, Control, wrong};
use domain::audit::Actor;
use domain::ids::PersonName;
use domain::people::Role;
use opsrepo::{Files, Identity, Repo};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use store::{Store, Tx};

/// What a new installation begins with.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// The first admin.
    pub admin: PersonView,
    /// Files of the ops repo.
    pub files: Files,
}

/// What [`init`] made. The secret is shown once and kept nowhere.
pub struct InitReport {
    /// The admin's token.
    pub admin_token: String,
    /// Verification key of the audit log: note it down.
    pub log_key: String,
    /// Files in the ops repo.
    pub files: usize,
}

impl std::fmt::Debug for InitReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InitReport({} files)", self.files)
    }
}

/// Makes an installation in `config.data`.
///
/// The repository is made last but one and the admin's record last; an `init`
/// that was killed leaves a directory that a second `init` refuses to touch and
/// names.
///
/// # Errors
/// The directory holds something already; it cannot be written; the files of
/// the ops repo do not read.
pub async fn init(config: Config, options: InitOptions) -> Result<InitReport, Problem> {
    refuse_existing(&config.data)?;
    refuse_bad_files(&options.files)?;
    make_private(&config.data).map_err(|e| wrong("the data directory", &e))?;
    let keys = Keys::open(&config.data, &config.origin)?;
    let log_key = keys.log.verifying_key().to_string();
    let author = Identity {
        name: if options.admin.display.is_empty() {
            options.admin.name.to_string()
        } else {
            options.admin.display.clone()
        },
        email: if options.admin.email.is_empty() {
            format!("{}@tidegate.invalid", options.admin.name)
        } else {
            options.admin.email.clone()
        },
    };
    let now = config.clock.now();
    let path = config.data.join(REPO_DIR);
    Repo::init(&path, &options.files, &author, now).map_err(crate::git::problem)?;
    begin_log(&config).await?;
    let control = Control::open(config).await?;
    let mut admin = options.admin;
    admin.roles.insert(Role::Admin);
    let now = control.clock.now();
    let mut tx = Tx::new(now);
    control.write_person(&mut tx, &admin, By::system(), now).await?;
    control.store.commit(tx).await?;
    let mut tx = Tx::new(now);
    let token = own_token(admin.name.clone(), "made by `tidegate init`");
    let made = control.write_token(&mut tx, token, By::system(), now).await?;
    control.store.commit(tx).await?;
    Ok(InitReport { admin_token: made.secret, log_key, files: options.files.len() })
}

/// The log's first entry: the installation itself.
async fn begin_log(config: &Config) -> Result<(), Problem> {
    let store = Store::open(&config.data).await.map_err(|e| wrong("the store", &e))?;
    let now = config.clock.now();
    let mut tx = Tx::new(now);
    tx.audit(
        plain_entry(now, Actor::System, "installation.created", "installation".to_owned()).into(),
    );
    store.commit(tx).await?;
    Ok(store.close().await?)
}

fn own_token(person: PersonName, note: &str) -> NewToken {
    NewToken {
        person: Some(person),
        apps: BTreeSet::new(),
        gateway: false,
        note: note.to_owned(),
        lifetime: None,
    }
}

/// Keys, hashed tokens and redacted answers are nobody else's business.
fn make_private(data: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(data)?;
    std::fs::set_permissions(data, std::fs::Permissions::from_mode(0o700))
}

fn refuse_existing(data: &Path) -> Result<(), Problem> {
    let empty = std::fs::read_dir(data).map(|mut entries| entries.next().is_none()).unwrap_or(true);
    if empty {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::Refused,
        "not_empty",
        format!("`{}` is not empty", data.display()),
        "name another directory; an installation is never overwritten",
    ))
}

fn refuse_bad_files(files: &Files) -> Result<(), Problem> {
    let (desired, findings) = opsrepo::parse(files);
    let errors: Vec<_> =
        findings.iter().filter(|f| f.severity == domain::finding::Severity::Error).collect();
    if let Some(first) = errors.first() {
        let all: Vec<_> = errors.iter().map(|f| one_line(f)).collect();
        return Err(Problem::new(
            ProblemKind::Invalid,
            &first.code,
            all.join("\n"),
            first.mend.clone(),
        ));
    }
    if desired.apps.is_empty() {
        return Err(Problem::new(
            ProblemKind::Invalid,
            "no_apps",
            "the files hold no app",
            "add `apps/<name>/app.yaml`",
        ));
    }
    Ok(())
}

/// A finding as compilers print one: `file:line:column: message`.
fn one_line(finding: &domain::finding::Finding) -> String {
    match &finding.place {
        Some(p) => format!(
            "{}:{}:{}: {}",
            p.file,
            p.line.unwrap_or(1),
            p.column.unwrap_or(1),
            finding.message
        ),
        None => finding.message.clone(),
    }
}
