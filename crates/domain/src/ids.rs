//! Typed names: one type per noun, checked when made, printed one way.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr};

/// Longest name of an app, environment, component or person, in bytes.
pub const MAX_NAME_LEN: usize = 63;

/// A name or id that is not of its form, with what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {wanted}")]
pub struct InvalidId {
    /// What was given.
    pub given: String,
    /// What is accepted, in words.
    pub wanted: &'static str,
}

fn is_slug(text: &str) -> bool {
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= MAX_NAME_LEN
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.')
        })
}

macro_rules! slug {
    ($(#[$doc:meta])* $name:ident, $wanted:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if is_slug(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId { given: text.to_owned(), wanted: $wanted })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

slug!(
    /// The name of one micro app, for example `support-summary`.
    AppName,
    "an app name: lower-case letters, digits, `-`, `_` or `.`, at most 63, beginning with a letter or digit"
);
slug!(
    /// The name of an environment, for example `production`.
    EnvName,
    "an environment name: lower-case letters, digits, `-`, `_` or `.`, at most 63"
);
slug!(
    /// The sign-in name of a person or an agent, for example `ana`.
    PersonName,
    "a person's name for signing in: lower-case letters, digits, `-`, `_` or `.`, at most 63"
);
slug!(
    /// The name of a gateway process, unique in the installation.
    GatewayName,
    "a gateway name: lower-case letters, digits, `-`, `_` or `.`, at most 63"
);

/// A SHA-256 digest, written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The raw 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From raw bytes, as a hash function gave them.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 64 hexadecimal digits without the prefix.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl FromStr for Digest {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let bad = || InvalidId {
            given: text.to_owned(),
            wanted: "a digest: `sha256:` and 64 lower-case hexadecimal digits",
        };
        let digits = text.strip_prefix("sha256:").ok_or_else(bad)?;
        if digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| bad())?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The id of a release: the digest of its manifest's canonical form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReleaseId(pub Digest);

impl ReleaseId {
    /// The short form people read, for example `rel-7c1f0e2a`.
    pub fn short(&self) -> String {
        format!("rel-{}", &self.0.hex()[..8])
    }

    /// True if `text` is this id in full, or a prefix (of at least four
    /// digits) of its short or long form.
    pub fn matches(&self, text: &str) -> bool {
        let digits =
            text.strip_prefix("rel-").or_else(|| text.strip_prefix("sha256:")).unwrap_or(text);
        digits.len() >= 4 && self.0.hex().starts_with(digits)
    }
}

impl FromStr for ReleaseId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.parse().map(Self)
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $wanted:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub u64);

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let digits = text.strip_prefix($prefix).unwrap_or(text);
                digits
                    .parse()
                    .map(Self)
                    .map_err(|_| InvalidId { given: text.to_owned(), wanted: $wanted })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

numbered!(
    /// The number of a change, written `ch-41`; `41` is accepted too.
    ChangeId, "ch-", "a change: a number such as `41` or `ch-41`"
);
numbered!(
    /// The number of a rollout, written `ro-128`.
    RolloutId, "ro-", "a rollout: `ro-` and a number"
);
numbered!(
    /// The number of a live experiment, written `ex-12`. Numbers of experiments
    /// and rollouts come from one sequence: telemetry keeps the outcomes of both
    /// in the same tables.
    ExperimentId, "ex-", "an experiment: `ex-` and a number"
);

impl ExperimentId {
    /// The number under which its outcomes are kept. No rollout has it.
    pub fn trial(self) -> RolloutId {
        RolloutId(self.0)
    }
}

numbered!(
    /// The number of an incident, written `inc-7`.
    IncidentId, "inc-", "an incident: `inc-` and a number"
);

/// The id of one request through a gateway: `req_` and 24 base-32 characters.
/// Made by the gateway from random bytes and carried in `x-request-id`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId(String);

impl RequestId {
    /// From 15 random bytes (120 bits: no two requests meet).
    pub fn from_random(bytes: [u8; 15]) -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let mut text = String::with_capacity(28);
        text.push_str("req_");
        for chunk in bytes.chunks(5) {
            let word = chunk.iter().fold(0_u64, |acc, b| acc << 8 | u64::from(*b));
            for i in (0..8).rev() {
                text.push(char::from(ALPHABET[(word >> (5 * i) & 31) as usize]));
            }
        }
        Self(text)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RequestId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let ok = text.len() == 28
            && text.starts_with("req_")
            && text.bytes().skip(4).all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if ok {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId {
                given: text.to_owned(),
                wanted: "a request id: `req_` and 24 letters and digits, as in the `x-request-id` header",
            })
        }
    }
}

impl TryFrom<String> for RequestId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> String {
        id.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Counts versions of one object or of the snapshot; only ever grows.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_28_characters_and_read_back() {
        let id = RequestId::from_random([255; 15]);
        assert_eq!(id.as_str().len(), 28);
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
    }

    #[test]
    fn names_say_what_is_wanted() {
        let error = "Support Summary".parse::<AppName>().expect_err("has a space");
        assert!(error.to_string().contains("lower-case letters"), "{error}");
    }

    #[test]
    fn a_release_is_found_by_a_prefix_of_either_form() {
        let id = ReleaseId(Digest::of(b"x"));
        assert!(id.matches(&id.short()));
        assert!(id.matches(&id.to_string()));
        assert!(!id.matches("rel-"));
    }
}
