//! Scores, groundedness: how much of what an answer states its context supports.
//!
//! Lexical: no model is asked, so it is free, always the same, and blind to
//! paraphrase. A statement is a sentence or an item of a list. It is supported
//! as far as its words stand in the context, near each other; numbers and names
//! that the context does not have, and a `not` too many or too few, count
//! against it. How well this agrees with people is in `docs/scores.md`; it
//! finds invented facts better than facts told wrongly.

use super::text::sentences;
use super::words::folded;
use std::collections::{BTreeSet, HashSet};

/// Most statements of an answer that are looked at.
pub const MAX_STATEMENTS: usize = 500;
/// Most sentences of a context that are looked at.
pub const MAX_CONTEXT_SENTENCES: usize = 5000;
/// A statement counts whole from this share of support on …
const WHOLE: f64 = 0.7;
/// … and not at all up to this one; between them in proportion.
const NOTHING: f64 = 0.3;
/// Least support by nearness before a `not` is compared.
const NEAR: f64 = 0.5;
/// How many neighbouring sentences of the context are read as one.
const WINDOW: usize = 3;
/// What is left of the support if a number is not in the context.
const NUMBER_MISSING: f64 = 0.4;
/// What is left if a name is not.
const NAME_MISSING: f64 = 0.55;
/// What is left if only one of both says `not`.
const NEGATION_DIFFERS: f64 = 0.5;

/// Words that say nothing by themselves.
const EMPTY_WORDS: &str = "a an the and or but if then so as of to in on at by for from with about into over under between through during before after above below up down out off again further once is are was were be been being am do does did doing have has had having will would shall should can could may might must it its this that these those he she they them his her their we you your our us me my mine who whom which what when where why how there here all any both each few more most other some such only own same than too very just also based given passage passages provided according text context following mentioned mentions states stated say says said";
/// Words that turn a statement round.
const NEGATIONS: &str = "not no never none nothing nobody neither nor cannot cant dont doesnt didnt isnt arent wasnt werent wont wouldnt shouldnt couldnt without hardly";
/// Numbers as words.
const NUMBERS: [&str; 13] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve",
];

/// One statement of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The statement, word for word.
    pub text: String,
    /// 1 if the context supports it, 0 if not, between where it is not clear.
    pub support: f64,
}

/// How far an answer's statements are supported, in their order. Statements
/// without content (`Here you are:`) are left out.
pub fn statements(answer: &str, context: &str) -> Vec<Statement> {
    let ground = Ground::new(context);
    answer
        .lines()
        .flat_map(sentences)
        .filter_map(|text| {
            let parts = Parts::new(text);
            let support = ground.support(&parts)?;
            Some(Statement { text: text.to_owned(), support })
        })
        .take(MAX_STATEMENTS)
        .collect()
}

/// Share of the answer's statements that the context supports. None if it states nothing or there
/// is no context.
pub fn groundedness(answer: &str, context: &str) -> Option<f64> {
    if context.trim().is_empty() {
        return None;
    }
    let statements = statements(answer, context);
    let sum: f64 = statements.iter().map(|statement| statement.support).sum();
    (!statements.is_empty()).then(|| sum / statements.len() as f64)
}

fn is_in(list: &str, word: &str) -> bool {
    list.split(' ').any(|known| known == word)
}

/// What a text says.
struct Parts {
    words: BTreeSet<String>,
    numbers: BTreeSet<String>,
    names: BTreeSet<String>,
    negated: bool,
}

impl Parts {
    fn new(text: &str) -> Self {
        let all = folded(text);
        let negated = all.iter().any(|word| is_in(NEGATIONS, word));
        let words = all
            .iter()
            .filter(|word| !is_in(EMPTY_WORDS, word) && !is_in(NEGATIONS, word) && !is_digits(word))
            .map(|word| stem(word))
            .collect();
        Self { words, numbers: numbers(text), names: names(text), negated }
    }
}

/// The context, ready to be asked.
struct Ground {
    words: HashSet<String>,
    numbers: HashSet<String>,
    windows: Vec<(HashSet<String>, bool)>,
}

impl Ground {
    fn new(context: &str) -> Self {
        let parts: Vec<Parts> =
            sentences(context).take(MAX_CONTEXT_SENTENCES).map(Parts::new).collect();
        let windows = (0..parts.len()).flat_map(|i| [(i, 1), (i, WINDOW)]).filter_map(|(i, n)| {
            let window = parts.get(i..(i + n).min(parts.len()))?;
            let words = window.iter().flat_map(|part| part.words.iter().cloned()).collect();
            Some((words, window.iter().any(|part| part.negated)))
        });
        Self {
            windows: windows.collect(),
            words: parts.iter().flat_map(|part| part.words.iter().cloned()).collect(),
            numbers: parts.iter().flat_map(|part| part.numbers.iter().cloned()).collect(),
        }
    }

    /// None if the statement has no content.
    fn support(&self, statement: &Parts) -> Option<f64> {
        if statement.words.is_empty() && statement.numbers.is_empty() {
            return None;
        }
        let share = |known: &HashSet<String>| {
            let found = statement.words.iter().filter(|word| known.contains(*word)).count();
            found as f64 / statement.words.len().max(1) as f64
        };
        let mut near = 0.0;
        let mut negated = statement.negated;
        for (words, turned) in &self.windows {
            let here = share(words);
            if here > near {
                near = here;
                negated = *turned;
            }
        }
        let mut support =
            if statement.words.is_empty() { 1.0 } else { (share(&self.words) + near) / 2.0 };
        if !statement.numbers.iter().all(|number| self.numbers.contains(number)) {
            support *= NUMBER_MISSING;
        }
        if !statement.names.iter().all(|name| self.words.contains(name)) {
            support *= NAME_MISSING;
        }
        if statement.negated != negated && near > NEAR {
            support *= NEGATION_DIFFERS;
        }
        Some(((support - NOTHING) / (WHOLE - NOTHING)).clamp(0.0, 1.0))
    }
}

fn is_digits(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_digit())
}

/// Numbers in one spelling: `1,200.50` is `1200.5`, `three` is `3`.
fn numbers(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',');
    for run in text.split(|c| !is_part(c)) {
        let run = run.trim_matches(['.', ',']).replace(',', "");
        if run.is_empty() {
            continue;
        }
        let run =
            if run.contains('.') { run.trim_end_matches('0').trim_end_matches('.') } else { &run };
        found.insert(run.to_owned());
    }
    for word in folded(text) {
        if let Some(n) = NUMBERS.iter().position(|number| *number == word).filter(|n| *n > 1) {
            found.insert(n.to_string());
        }
    }
    found
}

/// Words with a capital inside a sentence: mostly names.
fn names(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut begins = true;
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let capital = bare.chars().next().is_some_and(char::is_uppercase);
        if capital && !begins && bare.chars().count() > 1 {
            // A word that says nothing is in no context's words either.
            let says = |word: &&String| {
                !is_digits(word) && !is_in(EMPTY_WORDS, word) && !is_in(NEGATIONS, word)
            };
            names.extend(folded(bare).iter().filter(says).map(|word| stem(word)));
        }
        begins = word.ends_with([':', '.', '!', '?', '-', '•', '*']) || bare.is_empty();
    }
    names
}

/// A word without its commonest English endings; crude, but the same for both
/// sides.
fn stem(word: &str) -> String {
    for end in ["ingly", "edly", "ies", "ing", "ed", "ly", "es", "s"] {
        if let Some(root) = word.strip_suffix(end)
            && root.chars().count() >= 3
            && word.is_ascii()
        {
            return root.trim_end_matches('e').to_owned();
        }
    }
    word.strip_suffix('e').filter(|root| root.len() >= 3).unwrap_or(word).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: &str = "Orders over 50 euros ship free. Returns are accepted within 30 days. \
        Anna Berg leads the returns team in Oslo. Opened software is not refunded.";

    fn of(answer: &str) -> f64 {
        groundedness(answer, CONTEXT).unwrap()
    }

    #[test]
    fn a_text_supports_itself_whatever_is_written_large() {
        for text in ["Order A-7 was refunded.", "It is what The Hague said, And Not more."] {
            assert_eq!(groundedness(text, text), Some(1.0), "{text}");
        }
    }

    #[test]
    fn what_is_there_is_supported_and_what_is_not_is_less() {
        let good = of("Returns are accepted within 30 days.");
        assert!(good > 0.95, "{good}");
        for (answer, why) in [
            ("Returns are accepted within 60 days.", "number"),
            ("The returns team in Oslo is led by Karl Berg.", "name"),
            ("Opened software is refunded.", "negation"),
            ("Gift cards never expire and can be combined.", "invented"),
        ] {
            assert!(of(answer) < 0.75, "{why}: {}", of(answer));
        }
    }

    #[test]
    fn each_statement_is_judged_alone() {
        let answer = "- Orders over 50 euros ship free\n- Delivery takes 2 days\nHere:";
        let support: Vec<bool> =
            statements(answer, CONTEXT).iter().map(|s| s.support > 0.5).collect();
        assert_eq!(support, [true, false]);
        assert_eq!(groundedness("x", " "), None);
    }
}
