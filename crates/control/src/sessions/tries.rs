//! Tries to sign in, counted: whoever guesses is slowed down before the guess
//! is looked at. Only failures count in the end, so people who sign in often
//! are never stopped.
//!
//! What must stay true: a try is counted before anything is compared, or many
//! at once would all pass; memory is bounded, whatever names are tried.

use domain::units::{Span, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How long failures are remembered, from the first one on.
pub const WINDOW: Span = Span::from_secs(900);
/// Failures for one name from one address.
pub const PER_NAME_AND_ADDRESS: u32 = 8;
/// Failures for one name from anywhere: guesses that are spread out.
pub const PER_NAME: u32 = 100;
/// Failures from one address, whatever the name: one password, many names.
pub const PER_ADDRESS: u32 = 60;
/// Most windows remembered; the oldest go first.
const MAX_KEPT: usize = 20_000;

struct Window {
    since: Timestamp,
    failures: u32,
}

/// Who failed how often.
#[derive(Default)]
pub(crate) struct Tries(Mutex<HashMap<String, Window>>);

/// A try that was let through; say how it went.
pub(crate) struct Try(Vec<String>);

/// What is counted for a try.
fn keys(name: Option<&str>, address: &str) -> Vec<(String, u32)> {
    let mut keys = vec![(format!("address {address}"), PER_ADDRESS)];
    if let Some(name) = name {
        keys.push((format!("name {name}"), PER_NAME));
        keys.push((format!("name {name} address {address}"), PER_NAME_AND_ADDRESS));
    }
    keys
}

impl Tries {
    /// Counts a try, or says how long to wait.
    pub(crate) fn begin(
        &self,
        name: Option<&str>,
        address: &str,
        now: Timestamp,
    ) -> Result<Try, Span> {
        let keys = keys(name, address);
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = keys
            .iter()
            .filter_map(|(key, limit)| {
                let window = windows.get(key)?;
                let over = now.since(window.since) >= WINDOW;
                (!over && window.failures >= *limit).then(|| window.since.plus(WINDOW).since(now))
            })
            .max();
        if let Some(wait) = wait {
            return Err(wait);
        }
        for (key, _) in &keys {
            let window = windows.entry(key.clone()).or_insert(Window { since: now, failures: 0 });
            if now.since(window.since) >= WINDOW {
                *window = Window { since: now, failures: 0 };
            }
            window.failures = window.failures.saturating_add(1);
        }
        if windows.len() > MAX_KEPT {
            windows.retain(|_, window| now.since(window.since) < WINDOW);
            while windows.len() > MAX_KEPT {
                let oldest = windows.iter().min_by_key(|(_, w)| w.since).map(|(k, _)| k.clone());
                oldest.and_then(|key| windows.remove(&key));
            }
        }
        Ok(Try(keys.into_iter().map(|(key, _)| key).collect()))
    }

    /// It was the right word after all: nothing is counted.
    pub(crate) fn succeeded(&self, made: Try) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in made.0 {
            if let Some(window) = windows.get_mut(&key) {
                window.failures = window.failures.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp(1_000_000);

    fn fail(tries: &Tries, name: &str, address: &str) -> bool {
        tries.begin(Some(name), address, T).is_ok()
    }

    #[test]
    fn failures_add_up_per_name_and_address_and_end_with_the_window() {
        let tries = Tries::default();
        let passed = std::iter::repeat_with(|| fail(&tries, "ana", "a")).take(20);
        assert_eq!(passed.filter(|passed| *passed).count(), PER_NAME_AND_ADDRESS as usize);
        assert!(fail(&tries, "ana", "b"), "another address still may: nobody is locked out");
        assert!(fail(&tries, "bob", "a"), "and another name");
        let wait = tries.begin(Some("ana"), "a", T.plus(Span::from_secs(60))).err().unwrap();
        assert_eq!(wait, Span::from_secs(840));
        assert!(tries.begin(Some("ana"), "a", T.plus(WINDOW)).is_ok());
    }

    #[test]
    fn spread_guesses_are_stopped_too() {
        let tries = Tries::default();
        let passed = (0..200).filter(|i| fail(&tries, "ana", &format!("a{i}"))).count();
        assert_eq!(passed, PER_NAME as usize);
        let tries = Tries::default();
        let passed = (0..200).filter(|i| fail(&tries, &format!("p{i}"), "a")).count();
        assert_eq!(passed, PER_ADDRESS as usize);
    }

    #[test]
    fn who_knows_the_word_is_never_stopped() {
        let tries = Tries::default();
        for _ in 0..1_000 {
            let made = tries.begin(Some("ana"), "a", T).ok().unwrap();
            tries.succeeded(made);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let tries = Tries::default();
        for i in 0..7_000 {
            fail(&tries, &format!("p{i}"), &format!("a{i}"));
        }
        assert!(tries.0.lock().unwrap().len() <= MAX_KEPT);
    }
}
