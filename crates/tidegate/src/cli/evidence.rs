//! `evidence get|verify`: the signed story of a release or a change.
//!
//! `verify` asks nobody: a file and, better, a key noted down beforehand.

use super::client::escape;
use super::failure::{Exit, Failure};
use super::output::talk;
use super::run::Run;
use clap::Subcommand;
use domain::evidence::{Key, MAX_ARCHIVE, Verified, verify};
use domain::ids::ChangeId;
use serde::Serialize;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Verbs on evidence.
#[derive(Debug, Subcommand)]
pub enum Evidence {
    /// Download the evidence of a release or a change as one signed file
    Get {
        /// A change (`ch-41`, 41), or a release by id or the beginning of it
        #[arg(value_name = "ID")]
        about: String,
        /// Where to write it [default: tidegate-evidence-ID.zip here]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Check a package, offline; status 11 if anything does not match
    Verify {
        /// The package
        file: PathBuf,
        /// The key you trust: a verifier key, a public key in PEM or base64, or a
        /// file with one of these [default: the one inside, which proves only
        /// that the package is whole]
        #[arg(long, env = "TIDEGATE_VKEY")]
        key: Option<String>,
    },
}

impl Evidence {
    /// True if this asks no server.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Verify { .. })
    }
}

/// What was written.
#[derive(Debug, Serialize)]
struct Got {
    file: PathBuf,
    #[serde(flatten)]
    verified: Verified,
}

/// Runs a verb.
pub async fn run(run: &Run, verb: Evidence) -> Result<Exit, Failure> {
    match verb {
        Evidence::Get { about, out } => get(run, &about, out).await,
        Evidence::Verify { file, key } => check(run, &file, key),
    }
}

async fn get(run: &Run, about: &str, out: Option<PathBuf>) -> Result<Exit, Failure> {
    // Releases begin with `rel-`; whatever reads as a change is one.
    let (path, name) = match about.parse::<ChangeId>() {
        Ok(id) => (format!("/api/v1/changes/{id}/evidence"), id.to_string()),
        Err(_) => {
            (format!("/api/v1/releases/{}/evidence", escape(about)), about.replace(['/', ':'], "-"))
        }
    };
    let bytes = run.api.bytes(&path).await?;
    // A file that arrived whole is the least that can be said of it.
    let verified = verify(&bytes, None).map_err(|e| no_match("the download", &e.to_string()))?;
    let file = out.unwrap_or_else(|| PathBuf::from(format!("tidegate-evidence-{name}.zip")));
    std::fs::write(&file, &bytes).map_err(|e| {
        Failure::new(Exit::Failed, format!("cannot write `{}`", file.display()))
            .why(e.to_string())
            .fix("name another file with `--out FILE`")
    })?;
    say_left_out(&verified);
    let got = Got { file, verified };
    run.out.one(&got, |out| {
        out.facts(&[
            ("package", got.file.display().to_string()),
            ("about", got.verified.about.clone()),
            ("files", got.verified.files.to_string()),
            ("bytes", bytes.len().to_string()),
        ])
    })?;
    Ok(Exit::Ok)
}

fn check(run: &Run, file: &Path, key: Option<String>) -> Result<Exit, Failure> {
    let bytes = contents(file)?;
    let key = key.map(|text| trusted(&text)).transpose()?;
    let verified = verify(&bytes, key.as_ref())
        .map_err(|e| no_match(&file.display().to_string(), &e.to_string()))?;
    if !verified.pinned {
        talk(&format!(
            "It is whole. Whose it is was not checked: it was signed with the key inside,\n  {}\n\
             Compare that with a key you have from elsewhere, or give yours with `--key`.",
            verified.key
        ));
    }
    say_left_out(&verified);
    run.out.one(&verified, |out| {
        out.facts(&[
            ("about", format!("{} of {}", verified.about, verified.app)),
            ("from", verified.origin.clone()),
            ("files", format!("{}, all as they were signed", verified.files)),
            ("log", format!("{} entries, in the log of {}", verified.entries, verified.log_size)),
            ("key", if verified.pinned { "yours".to_owned() } else { verified.key.clone() }),
        ])
    })?;
    Ok(Exit::Ok)
}

fn say_left_out(verified: &Verified) {
    for what in &verified.left_out {
        talk(&format!("left out: {what}"));
    }
}

/// A file of at most the size a package can have: more is none.
fn contents(file: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |e: std::io::Error| {
        Failure::usage(format!("cannot read `{}`: {e}", file.display()))
            .fix("name the file that `tidegate evidence get` wrote")
    };
    let limit = u64::try_from(MAX_ARCHIVE).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let open = std::fs::File::open(file).map_err(unreadable)?;
    open.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// The key itself, or the file it is in.
fn trusted(text: &str) -> Result<Key, Failure> {
    let written = match text.parse() {
        Ok(key) => return Ok(key),
        Err(_) => std::fs::read_to_string(text).unwrap_or_else(|_| text.to_owned()),
    };
    written.parse().map_err(|e: domain::keys::BadKey| {
        Failure::usage(format!("`{text}` is no key, and no file with one"))
            .why(e.to_string())
            .fix("`tidegate whoami` shows the key of a server you trust")
    })
}

fn no_match(what: &str, why: &str) -> Failure {
    Failure::new(Exit::NotVerified, format!("{what} does not verify: {why}"))
        .fix("trust nothing in it; ask for it again from where it came")
}
