//! Scores, overlap with a reference: exact match and F1 as SQuAD defines them,
//! ROUGE as `rouge-score` computes it, and a cosine of words.
//!
//! Rajpurkar et al. 2016 (SQuAD), Lin 2004 (ROUGE). ROUGE keeps Latin letters
//! and digits only, like the reference program, so answers in other scripts
//! score 0: [`has_rouge_tokens`] tells.

use super::words::{counts, f1, folded, ratio, shared, split};
use std::collections::HashMap;

/// A text after SQuAD's normalisation: lower case, without ASCII punctuation,
/// without the articles `a`, `an` and `the`, white space made single.
pub fn normalised(text: &str) -> Vec<String> {
    let text: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    // Articles are cut out at word boundaries, as the reference program does: in
    // `a–b` the dash is a boundary too, so the `a` goes.
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_word(c) != is_word(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        kept.push_str(if matches!(run, "a" | "an" | "the") { " " } else { run });
        rest = after;
    }
    split(&kept).map(str::to_owned).collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// 1 if both are equal after normalisation.
pub fn exact_match(answer: &str, reference: &str) -> f64 {
    f64::from(u8::from(normalised(answer) == normalised(reference)))
}

/// F1 of the words both have after normalisation. If one side has no words, 1
/// if both have none.
pub fn squad_f1(answer: &str, reference: &str) -> f64 {
    let (answer, reference) = (normalised(answer), normalised(reference));
    if answer.is_empty() || reference.is_empty() {
        return f64::from(u8::from(answer == reference));
    }
    let (given, wanted) = (answer.len() as u64, reference.len() as u64);
    let common = shared(&counts(answer), &counts(reference));
    f1(ratio(common, given), ratio(common, wanted))
}

/// Precision, recall and F of one kind of ROUGE.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rouge {
    /// Share of the answer that is in the reference.
    pub precision: f64,
    /// Share of the reference that is in the answer.
    pub recall: f64,
    /// Their harmonic mean.
    pub f: f64,
}

impl Rouge {
    fn of(common: u64, given: u64, wanted: u64) -> Self {
        let (precision, recall) = (ratio(common, given), ratio(common, wanted));
        Self { precision, recall, f: f1(precision, recall) }
    }
}

/// Two texts cut for ROUGE: lower-case runs of `[a-z0-9]`, as numbers.
#[derive(Debug, Clone)]
pub struct RougePair {
    answer: Vec<u32>,
    reference: Vec<u32>,
}

/// True if ROUGE sees anything in this text.
pub fn has_rouge_tokens(text: &str) -> bool {
    rouge_tokens(text).next().is_some()
}

fn rouge_tokens(text: &str) -> impl Iterator<Item = String> {
    let lower = text.to_lowercase();
    let tokens: Vec<String> = lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|token| !token.is_empty())
        .map(str::to_owned)
        .collect();
    tokens.into_iter()
}

impl RougePair {
    /// Cuts both.
    pub fn new(answer: &str, reference: &str) -> Self {
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut number = |token: String| {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            *numbers.entry(token).or_insert(next)
        };
        let answer = rouge_tokens(answer).map(&mut number).collect();
        let reference = rouge_tokens(reference).map(&mut number).collect();
        Self { answer, reference }
    }

    /// ROUGE-N: overlap of runs of `n` words.
    pub fn n(&self, n: usize) -> Rouge {
        let n = n.max(1);
        let of = |tokens: &[u32]| tokens.len().saturating_sub(n - 1) as u64;
        let common = shared(&counts(self.answer.windows(n)), &counts(self.reference.windows(n)));
        Rouge::of(common, of(&self.answer), of(&self.reference))
    }

    /// ROUGE-L: the longest common subsequence.
    pub fn l(&self) -> Rouge {
        let common = longest_common(&self.answer, &self.reference);
        Rouge::of(common, self.answer.len() as u64, self.reference.len() as u64)
    }
}

/// Length of the longest common subsequence, 64 columns at a step (Hyyrö 2004,
/// "Bit-parallel LCS-length computation revisited"): answers may have 100 000
/// words, and the plain table would take minutes.
fn longest_common(a: &[u32], b: &[u32]) -> u64 {
    if a.is_empty() || b.is_empty() {
        return 0;
    }
    let width = a.len().div_ceil(64);
    let mut places: HashMap<u32, Vec<u64>> = HashMap::new();
    let wanted: std::collections::HashSet<u32> = b.iter().copied().collect();
    for (i, token) in a.iter().enumerate().filter(|(_, token)| wanted.contains(token)) {
        let bits = places.entry(*token).or_insert_with(|| vec![0; width]);
        if let Some(word) = bits.get_mut(i / 64) {
            *word |= 1 << (i % 64);
        }
    }
    // A zero bit marks a column where the subsequence grows.
    let mut row = vec![u64::MAX; width];
    for token in b {
        let Some(bits) = places.get(token) else { continue };
        let mut carry = false;
        for (v, m) in row.iter_mut().zip(bits) {
            let u = *v & m;
            let (sum, over) = v.overflowing_add(u);
            let (sum, again) = sum.overflowing_add(u64::from(carry));
            carry = over || again;
            *v = sum | (*v & !m);
        }
    }
    let grown = |(i, v): (usize, &u64)| {
        let used = a.len().saturating_sub(i * 64).min(64);
        let mask = if used == 64 { u64::MAX } else { (1_u64 << used) - 1 };
        u64::from((!v & mask).count_ones())
    };
    row.iter().enumerate().map(grown).sum()
}

/// Cosine of the counts of words: 1 for the same words, 0 for none in common.
/// What is meant by other words it does not see.
pub fn cosine(a: &str, b: &str) -> f64 {
    let (a, b) = (counts(folded(a)), counts(folded(b)));
    if a.is_empty() || b.is_empty() {
        return f64::from(u8::from(a.is_empty() && b.is_empty()));
    }
    let norm = |m: &HashMap<String, u64>| m.values().map(|n| (*n as f64).powi(2)).sum::<f64>();
    let dot: f64 = a.iter().filter_map(|(word, n)| Some(*n as f64 * *b.get(word)? as f64)).sum();
    (dot / (norm(&a) * norm(&b)).sqrt()).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn squad_forgives_case_articles_and_punctuation() {
        assert_eq!(exact_match("The  Eiffel Tower!", "eiffel tower"), 1.0);
        assert_eq!(exact_match("a–b", "–b"), 1.0);
        assert_eq!(exact_match("theatre", "atre"), 0.0);
        // Two of three words of the answer, two of two of the reference.
        assert_eq!(squad_f1("in Paris France", "paris, france"), 0.8);
        assert_eq!(squad_f1("the", "a"), 1.0);
        assert_eq!(squad_f1("the", "b"), 0.0);
    }

    #[test]
    fn rouge_counts_runs_and_order() {
        let pair = RougePair::new("the cat sat on the mat", "the cat lay on the mat");
        assert_eq!(pair.n(1), Rouge::of(5, 6, 6));
        assert_eq!(pair.n(2), Rouge::of(3, 5, 5));
        assert_eq!(pair.l(), Rouge::of(5, 6, 6));
        assert_eq!(RougePair::new("", "x").l(), Rouge::default());
    }

    proptest! {
        #[test]
        fn the_fast_subsequence_is_as_long_as_the_tables(
            a in prop::collection::vec(0_u32..5, 0..200),
            b in prop::collection::vec(0_u32..5, 0..200),
        ) {
            let mut table = vec![vec![0_u64; b.len() + 1]; a.len() + 1];
            for i in 0..a.len() {
                for j in 0..b.len() {
                    table[i + 1][j + 1] = if a[i] == b[j] {
                        table[i][j] + 1
                    } else {
                        table[i][j + 1].max(table[i + 1][j])
                    };
                }
            }
            prop_assert_eq!(longest_common(&a, &b), table[a.len()][b.len()]);
        }

        #[test]
        fn every_overlap_is_a_share_and_whole_for_itself(a in ".{0,60}", b in ".{0,60}") {
            for value in [exact_match(&a, &b), squad_f1(&a, &b), cosine(&a, &b), RougePair::new(&a, &b).l().f] {
                prop_assert!((0.0..=1.0).contains(&value), "{value}");
            }
            prop_assert_eq!(squad_f1(&a, &a), 1.0);
            prop_assert!((cosine(&a, &a) - 1.0).abs() < 1e-9);
        }
    }
}
