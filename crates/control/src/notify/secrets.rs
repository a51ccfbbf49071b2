//! How the secrets of channels are kept: by reference, or sealed.
//!
//! Sealed is AES-256-GCM under a key of the data directory, bound to the object
//! it belongs to: a copy of the database alone tells nothing, and a sealed text
//! moved to another channel does not open. References name only what was meant
//! for this, so that nobody can have another secret of the server sent to an
//! address of their choice.

use crate::Control;
use crate::problem::{Problem, ProblemKind};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the name of a variable must begin with to be sent somewhere.
pub(super) const ENV_PREFIX: &str = "TIDEGATE_NOTIFY_";
/// The folder of the data directory whose files may be named.
pub(super) const FOLDER: &str = "secrets";
/// Longest secret or address, in bytes.
pub(super) const MAX_SECRET: usize = 4096;

/// A secret, or where it is.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Held {
    /// A variable of the server's environment.
    Env(String),
    /// A file of the folder `secrets` in the data directory.
    File(String),
    /// Nonce and sealed text, in base64.
    Sealed(String),
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Held {
    /// Where it is, for people.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Env(name) => format!("env:{name}"),
            Self::File(name) => format!("file:{name}"),
            Self::Sealed(_) => "kept here".to_owned(),
        }
    }
}

fn bad_reference(text: String, hint: String, field: &str) -> Problem {
    Problem::new(ProblemKind::Invalid, "bad_reference", text, hint).at(field)
}

impl Control {
    /// Keeps what a person gave: a reference as it is, anything else sealed.
    pub(super) fn hold(&self, given: &str, owner: &str, field: &str) -> Result<Held, Problem> {
        let given = given.trim();
        if given.is_empty() || given.len() > MAX_SECRET {
            let text = format!("`{field}` has {} bytes", given.len());
            let hint = format!("send 1 to {MAX_SECRET}");
            return Err(Problem::new(ProblemKind::Invalid, "bad_secret", text, hint).at(field));
        }
        if let Some(name) = given.strip_prefix("env:") {
            if !name.starts_with(ENV_PREFIX) {
                return Err(bad_reference(
                    format!("`{name}` is no variable for this"),
                    format!(
                        "name one that begins with `{ENV_PREFIX}`, so that no other secret can be sent"
                    ),
                    field,
                ));
            }
            return Ok(Held::Env(name.to_owned()));
        }
        if let Some(name) = given.strip_prefix("file:") {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
                return Err(bad_reference(
                    format!("`{name}` is no file for this"),
                    format!(
                        "name a file in the folder `{FOLDER}` of the data directory, without a path"
                    ),
                    field,
                ));
            }
            return Ok(Held::File(name.to_owned()));
        }
        self.seal(given, owner).map(Held::Sealed)
    }

    /// The secret itself.
    pub(super) fn reveal(&self, held: &Held, owner: &str) -> Result<String, String> {
        match held {
            Held::Env(name) => self
                .config
                .env_keys
                .find(name)
                .map(|value| value.trim().to_owned())
                .ok_or_else(|| format!("the server's environment has no `{name}`")),
            Held::File(name) => {
                let path = self.config.data.join(FOLDER).join(name);
                let text = std::fs::read_to_string(&path)
                    .map_err(|e| format!("`{FOLDER}/{name}` cannot be read: {e}"))?;
                if text.len() > MAX_SECRET {
                    return Err(format!("`{FOLDER}/{name}` is longer than {MAX_SECRET} bytes"));
                }
                Ok(text.trim().to_owned())
            }
            Held::Sealed(sealed) => self
                .unseal(sealed, owner)
                .ok_or_else(|| "the secret was sealed under another key; give it anew".to_owned()),
        }
    }

    fn sealing(&self) -> Option<RandomizedNonceKey> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.keys.sealing).ok()
    }

    fn seal(&self, text: &str, owner: &str) -> Result<String, Problem> {
        let failed = || crate::wrong("sealing a secret", &"the key cannot be used");
        let mut bytes = text.as_bytes().to_vec();
        let nonce = self
            .sealing()
            .ok_or_else(failed)?
            .seal_in_place_append_tag(Aad::from(owner.as_bytes()), &mut bytes)
            .map_err(|_| failed())?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.extend(bytes);
        Ok(STANDARD.encode(sealed))
    }

    fn unseal(&self, sealed: &str, owner: &str) -> Option<String> {
        let sealed = STANDARD.decode(sealed).ok()?;
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let open =
            self.sealing()?.open_in_place(nonce, Aad::from(owner.as_bytes()), &mut text).ok()?;
        String::from_utf8(open.to_vec()).ok()
    }
}
