//! Scores, consistency: how far a case's repeats tell the same story.
//!
//! What a model knows it says again; what it makes up differs from draw to draw
//! (SelfCheckGPT; Manakul, Liusie and Gales 2023). Each repeat is held against
//! the others as against a context, by the lexical measure of
//! [`groundedness`](super::groundedness), with its limits: a number, a name or a
//! `not` that the others do not have counts against it.

use super::grounded::groundedness;
use super::overlap::normalised;

/// Most other repeats one is held against.
pub const MAX_OTHERS: usize = 10;

/// For each repeat, the share of what it states that the others state too, in
/// [0, 1]; where it states nothing (a bare label, a number), the share of the
/// others that say the same. None if there are fewer than two repeats. An empty
/// repeat agrees with nothing.
pub fn consistency(repeats: &[&str]) -> Vec<Option<f64>> {
    let value = |(i, text): (usize, &&str)| {
        let others = repeats.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, text)| *text);
        let others: Vec<&str> = others.take(MAX_OTHERS).collect();
        if others.is_empty() {
            return None;
        }
        if text.trim().is_empty() {
            return Some(0.0);
        }
        groundedness(text, &others.join("\n")).or_else(|| {
            let said = normalised(text);
            let same = others.iter().filter(|other| normalised(other) == said).count();
            Some(same as f64 / others.len() as f64)
        })
    };
    repeats.iter().enumerate().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(repeats: &[&str]) -> f64 {
        let values = consistency(repeats);
        values.iter().map(|value| value.unwrap()).sum::<f64>() / values.len() as f64
    }

    #[test]
    fn the_same_story_is_whole_and_another_is_not() {
        let told = "The refund of 40 euro was sent on Monday. Amara was told.";
        assert_eq!(mean(&[told, told, told]), 1.0);
        let other = "The refund of 90 euro was sent on Monday. Amara was told.";
        let refused = "The refund of 40 euro was not sent on Monday. Amara was told.";
        for contrary in [other, refused] {
            let now = mean(&[told, told, contrary]);
            assert!(now < 0.95, "{now}: {contrary}");
        }
        // One that differs among many costs less than one of two.
        assert!(mean(&[told, told, told, told, other]) > mean(&[told, other]));
    }

    #[test]
    fn labels_are_compared_as_they_are() {
        assert_eq!(mean(&["No.", "no", "No"]), 1.0);
        assert_eq!(consistency(&["No", "No", "Not"]), [Some(0.5), Some(0.5), Some(0.0)]);
        assert_eq!(consistency(&["a refund"]), [None]);
        assert_eq!(consistency(&[]), []);
        assert_eq!(consistency(&["", "The order is late."])[0], Some(0.0));
    }
}
