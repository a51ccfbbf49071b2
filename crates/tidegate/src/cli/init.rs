//! `init [DIR]`: a data directory with everything a server needs.

use super::failure::{Exit, Failure};
use super::output::talk;
use super::run::Run;
use crate::serve::installation::{DEFAULT_DATA, Installation};
use clap::Args;
use control::views::PersonView;
use domain::ids::{AppName, EnvName, PersonName};
use opsrepo::Files;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What the installation begins with.
#[derive(Debug, Args)]
pub struct Init {
    /// The data directory to make
    #[arg(default_value = DEFAULT_DATA)]
    dir: PathBuf,
    /// Name of the first admin
    #[arg(long, default_value = "admin")]
    admin: PersonName,
    /// The admin's name as people say it
    #[arg(long, default_value = "")]
    display: String,
    /// The admin's e-mail address
    #[arg(long, default_value = "")]
    email: String,
    /// Name of the example app that is put into the ops repo
    #[arg(long, default_value = "support-summary", conflicts_with = "from")]
    app: AppName,
    /// Fill the ops repo with the files of this folder instead
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Name of the installation in its audit log, for example
    /// `tidegate.example.com`
    #[arg(long, default_value = "tidegate.localhost")]
    origin: String,
    /// The environment whose releases it serves
    #[arg(long, default_value = "production")]
    environment: EnvName,
    /// Also write the admin's token into this file, readable by you only
    #[arg(long, value_name = "FILE")]
    write_token: Option<PathBuf>,
}

/// Runs it.
pub async fn run(run: &Run, args: Init) -> Result<Exit, Failure> {
    let files = match &args.from {
        Some(dir) => folder(dir)?,
        None => opsrepo::scaffold::starter(&args.app),
    };
    let installation = Installation { origin: args.origin, environment: args.environment };
    let config = installation.config(&args.dir, run.clock.clone())?;
    let admin = PersonView {
        name: args.admin,
        display: args.display,
        email: args.email,
        roles: domain::people::Role::ALL
            .into_iter()
            .filter(|role| *role != domain::people::Role::Agent)
            .collect(),
    };
    let report = control::init(config, control::InitOptions { admin, files })
        .await
        .map_err(crate::serve::from_problem)?;
    installation.save(&args.dir)?;
    if let Some(path) = &args.write_token {
        write_secret(path, &report.admin_token)?;
    }
    let document = json!({
        "data": args.dir,
        "admin_token": report.admin_token,
        "log_key": report.log_key,
        "files": report.files,
    });
    run.out.one(&document, |out| {
        out.facts(&[
            ("data", args.dir.display().to_string()),
            ("token", report.admin_token.clone()),
            ("log key", report.log_key.clone()),
            ("files", report.files.to_string()),
        ])
    })?;
    talk("The token is shown once. Note down the log key: it proves the audit log.");
    talk(&format!(
        "Next: tidegate serve --data {}   then: tidegate login --token TOKEN",
        args.dir.display()
    ));
    Ok(Exit::Ok)
}

/// Every file below a folder, hidden ones left out.
pub fn folder(dir: &Path) -> Result<Files, Failure> {
    let mut files = Files::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        let fail =
            |e: std::io::Error| Failure::usage(format!("cannot read `{}`: {e}", folder.display()));
        for entry in std::fs::read_dir(&folder).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            if path.file_name().is_none_or(|n| n.to_string_lossy().starts_with('.')) {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if let Ok(relative) = path.strip_prefix(dir) {
                let content = std::fs::read(&path).map_err(|e| {
                    Failure::usage(format!("cannot read `{}`: {e}", path.display()))
                })?;
                files.insert(relative.to_string_lossy().into_owned(), content);
            }
        }
    }
    Ok(files)
}

fn write_secret(path: &Path, secret: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .and_then(|mut file| writeln!(file, "{secret}"))
        .map_err(|e| Failure::usage(format!("cannot write the token to `{}`: {e}", path.display())))
}
