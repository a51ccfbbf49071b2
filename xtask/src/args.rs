//! Reading the words after a verb. Small on purpose: xtask is built before
//! everything else, so it has no argument parser among its dependencies.

use crate::Failed;

/// The options of one verb, taken one by one; what is left over is an error.
pub struct Args {
    words: Vec<String>,
    known: Vec<&'static str>,
}

impl Args {
    /// From the words after the verb; none if help was asked for and given.
    pub fn read(words: &[String], help: &str) -> Option<Self> {
        if words.iter().any(|w| w == "--help" || w == "-h") {
            print!("{help}");
            return None;
        }
        Some(Self { words: words.to_vec(), known: Vec::new() })
    }

    /// True if the flag is there.
    pub fn flag(&mut self, name: &'static str) -> bool {
        self.known.push(name);
        let before = self.words.len();
        self.words.retain(|w| w != name);
        self.words.len() != before
    }

    /// Every value given for the option, in order.
    pub fn values(&mut self, name: &'static str) -> Result<Vec<String>, Failed> {
        self.known.push(name);
        let mut found = Vec::new();
        while let Some(at) = self.words.iter().position(|w| {
            w == name || w.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))
        }) {
            let word = self.words.remove(at);
            match word.split_once('=') {
                Some((_, value)) => found.push(value.to_owned()),
                None if at < self.words.len() => found.push(self.words.remove(at)),
                None => return Err(format!("`{name}` needs a value")),
            }
        }
        Ok(found)
    }

    /// The one value of the option, if given.
    pub fn value(&mut self, name: &'static str) -> Result<Option<String>, Failed> {
        let mut all = self.values(name)?;
        if all.len() > 1 {
            return Err(format!("`{name}` is given {} times; give it once", all.len()));
        }
        Ok(all.pop())
    }

    /// A whole number, or this one if the option is absent.
    pub fn number(&mut self, name: &'static str, otherwise: u64) -> Result<u64, Failed> {
        match self.value(name)? {
            None => Ok(otherwise),
            Some(text) => {
                text.parse().map_err(|_| format!("`{name} {text}` is not a whole number"))
            }
        }
    }

    /// Nothing may be left over.
    pub fn done(self) -> Result<(), Failed> {
        match self.words.first() {
            None => Ok(()),
            Some(word) => Err(unknown("option", word, &self.known)),
        }
    }
}

/// The error for a word nobody knows, with the nearest known one.
pub fn unknown(what: &str, given: &str, known: &[&str]) -> Failed {
    let near = known.iter().map(|k| (distance(given, k), *k)).min().filter(|(d, _)| *d <= 3);
    match near {
        Some((_, word)) => format!("there is no {what} `{given}`; did you mean `{word}`?"),
        None => format!("there is no {what} `{given}`; there is {}", known.join(", ")),
    }
}

/// Edits between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let keep = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = keep.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Args {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        Args::read(&words, "").expect("no help asked for")
    }

    #[test]
    fn options_are_taken_in_both_spellings_and_leftovers_are_errors() {
        let mut given = args(&["--set=a", "--set", "b", "--exit"]);
        assert_eq!(given.values("--set"), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert!(given.flag("--exit"));
        assert_eq!(given.done(), Ok(()));

        let mut wrong = args(&["--exti"]);
        assert!(!wrong.flag("--exit"));
        assert_eq!(
            wrong.done(),
            Err("there is no option `--exti`; did you mean `--exit`?".to_owned())
        );
    }

    #[test]
    fn an_option_without_its_value_says_so() {
        assert_eq!(args(&["--data"]).value("--data"), Err("`--data` needs a value".to_owned()));
        assert!(args(&["--seconds", "soon"]).number("--seconds", 1).is_err());
    }
}
