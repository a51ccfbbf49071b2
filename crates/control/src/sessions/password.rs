//! Passwords: Argon2id with the parameters OWASP's Password Storage Cheat Sheet
//! names first (19 MiB, 2 passes, 1 lane), each under a salt of its own. The
//! parameters are kept with the hash, so that they can be raised later.

use crate::problem::{Problem, ProblemKind};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

/// Shortest password, in characters.
pub const MIN_PASSWORD: usize = 12;
/// Longest password, in bytes: hashing more is work for whoever wants to keep
/// us busy.
pub const MAX_PASSWORD: usize = 1024;
/// Memory of one hash, in KiB.
const MEMORY: u32 = 19_456;
/// Passes over it.
const PASSES: u32 = 2;
/// Lanes.
const LANES: u32 = 1;
const SALT: usize = 16;
const HASH: usize = 32;
/// Hashes computed at one time. More would let a crowd at the door take the
/// memory and cores that serve everybody else.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// A password as stored: nothing it could be told from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PasswordHash {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    hash: String,
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

impl PasswordHash {
    /// Hashes a new password.
    ///
    /// # Errors
    /// No randomness, or no memory.
    pub(crate) async fn of(password: &str) -> Result<Self, Problem> {
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(|e| crate::wrong("random numbers", &e))?;
        let mut made = Self::empty(hex::encode(salt));
        made.hash = hex::encode(made.derive(password).await?);
        Ok(made)
    }

    /// Of nobody: takes as long to compare with as any other, and equals none.
    pub(crate) fn nobodys() -> Self {
        Self::empty("00".repeat(SALT))
    }

    fn empty(salt: String) -> Self {
        Self { memory_kib: MEMORY, passes: PASSES, lanes: LANES, salt, hash: String::new() }
    }

    /// True if this is the password.
    ///
    /// # Errors
    /// No memory, or a stored hash of another form.
    pub(crate) async fn is(&self, password: &str) -> Result<bool, Problem> {
        let derived = self.derive(password).await?;
        let mut stored = [0; HASH];
        let read = hex::decode_to_slice(&self.hash, &mut stored).is_ok();
        // Every byte is looked at, whatever the first ones say.
        let differences = stored.iter().zip(derived).fold(0, |all, (a, b)| all | (a ^ b));
        Ok(read && differences == 0)
    }

    async fn derive(&self, password: &str) -> Result<[u8; HASH], Problem> {
        let fail = |e: &dyn std::fmt::Display| crate::wrong("the password", e);
        let _turn = AT_ONCE.acquire().await.map_err(|e| fail(&e))?;
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(HASH))
            .map_err(|e| fail(&e))?;
        let (password, salt) = (password.to_owned(), self.salt.clone());
        tokio::task::spawn_blocking(move || {
            let salt = hex::decode(&salt).map_err(|e| e.to_string())?;
            let mut hash = [0; HASH];
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into(password.as_bytes(), &salt, &mut hash)
                .map_err(|e| e.to_string())?;
            Ok(hash)
        })
        .await
        .map_err(|e| fail(&e))?
        .map_err(|e: String| fail(&e))
    }
}

/// Refuses a password that is guessed in no time.
pub(crate) fn refuse_weak(password: &str, name: &str) -> Result<(), Problem> {
    let no = |detail: String| {
        Err(Problem::new(
            ProblemKind::Invalid,
            "weak_password",
            detail,
            "take a few unrelated words, or what a password manager makes",
        )
        .at("password"))
    };
    let length = password.chars().count();
    if length < MIN_PASSWORD {
        return no(format!("the password has {length} characters; at least {MIN_PASSWORD}"));
    }
    if password.len() > MAX_PASSWORD {
        return no(format!("the password is longer than {MAX_PASSWORD} bytes"));
    }
    let different: std::collections::BTreeSet<char> = password.chars().collect();
    if different.len() < 5 {
        return no("the password is a few characters again and again".to_owned());
    }
    if password.to_lowercase().contains(&name.to_lowercase()) {
        return no("the password has the person's name in it".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the reference implementation: `echo -n password | argon2 somesalt
    /// -id -m 16 -t 2 -p 1`, as listed in its own tests for version 0x13.
    #[tokio::test]
    async fn the_hash_is_that_of_the_reference_implementation() {
        let reference = PasswordHash {
            memory_kib: 65_536,
            passes: 2,
            lanes: 1,
            salt: hex::encode("somesalt"),
            hash: "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7".to_owned(),
        };
        assert!(reference.is("password").await.unwrap());
        assert!(!reference.is("Password").await.unwrap());
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_nobodys_is_never() {
        let hash = PasswordHash::of("correct horse battery").await.unwrap();
        assert!(hash.is("correct horse battery").await.unwrap());
        assert!(!hash.is("correct horse batterz").await.unwrap());
        assert!(!PasswordHash::nobodys().is("").await.unwrap());
        let again = PasswordHash::of("correct horse battery").await.unwrap();
        assert_ne!(hash, again, "each has a salt of its own");
        let read: PasswordHash =
            serde_json::from_str(&serde_json::to_string(&hash).unwrap()).unwrap();
        assert!(read.is("correct horse battery").await.unwrap());
        assert_eq!((hash.memory_kib, hash.passes, hash.lanes), (19_456, 2, 1), "OWASP's");
    }

    #[test]
    fn weak_passwords_are_refused_with_the_field() {
        for weak in ["short", "aaaaaaaaaaaaaaaa", "my name is Ana Ruiz", &"long".repeat(300)] {
            let problem = refuse_weak(weak, "ana").unwrap_err();
            assert_eq!((problem.code.as_str(), problem.fields.len()), ("weak_password", 1));
        }
        assert!(refuse_weak("correct horse battery", "ana").is_ok());
    }
}
