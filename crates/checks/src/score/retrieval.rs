//! Scores, retrieval: how many of the relevant documents came, and how early.

use std::collections::{BTreeMap, BTreeSet};

/// How many documents count if nothing is said.
pub const DEFAULT_K: u32 = 10;

/// The first `k` different documents; one that comes twice counts where it
/// comes first.
fn first(retrieved: &[String], k: u32) -> impl Iterator<Item = &str> {
    let mut seen = BTreeSet::new();
    let k = usize::try_from(k).unwrap_or(usize::MAX);
    retrieved.iter().map(String::as_str).filter(move |id| seen.insert(*id)).take(k)
}

/// Share of the relevant documents (those with a grade above 0) that are among
/// the first `k`. None if no document is relevant.
pub fn recall_at_k(retrieved: &[String], relevant: &BTreeMap<String, f64>, k: u32) -> Option<f64> {
    let wanted = relevant.values().filter(|grade| **grade > 0.0).count();
    let found = first(retrieved, k).filter(|id| grade(relevant, id) > 0.0).count();
    (wanted > 0).then(|| found as f64 / wanted as f64)
}

/// Normalised discounted cumulative gain of the first `k`: grades divided by
/// `log2(1 + rank)`, against the best order there could be (Järvelin and
/// Kekäläinen 2002, with the discount in use since, which also tells rank 1 from
/// rank 2). None if no document is relevant.
pub fn ndcg_at_k(retrieved: &[String], relevant: &BTreeMap<String, f64>, k: u32) -> Option<f64> {
    let gain = |grades: &mut dyn Iterator<Item = f64>| -> f64 {
        grades.zip(2_u32..).map(|(grade, rank)| grade / f64::from(rank).log2()).sum()
    };
    let mut best: Vec<f64> = relevant.keys().map(|id| grade(relevant, id)).collect();
    best.sort_by(|a, b| b.total_cmp(a));
    let best = gain(&mut best.into_iter().take(usize::try_from(k).unwrap_or(usize::MAX)));
    let got = gain(&mut first(retrieved, k).map(|id| grade(relevant, id)));
    (best > 0.0).then(|| (got / best).clamp(0.0, 1.0))
}

/// Grades that are no use count as not relevant.
fn grade(relevant: &BTreeMap<String, f64>, id: &str) -> f64 {
    relevant.get(id).copied().filter(|grade| grade.is_finite()).unwrap_or(0.0).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn recall_counts_different_documents() {
        let relevant = [("a", 1.0), ("b", 2.0), ("c", 0.0)].map(|(k, v)| (k.to_owned(), v)).into();
        assert_eq!(recall_at_k(&ids("a a x b"), &relevant, 2), Some(0.5));
        assert_eq!(recall_at_k(&ids("a a x b"), &relevant, 3), Some(1.0));
        assert_eq!(recall_at_k(&ids("c"), &BTreeMap::new(), 3), None);
    }

    #[test]
    fn gain_falls_with_rank() {
        let relevant = [("a", 3.0), ("b", 2.0)].map(|(k, v)| (k.to_owned(), v)).into();
        assert_eq!(ndcg_at_k(&ids("a b"), &relevant, 10), Some(1.0));
        // (2 + 3 / log2 3) / (3 + 2 / log2 3), worked out by hand.
        let swapped = ndcg_at_k(&ids("b a"), &relevant, 10).unwrap();
        assert!((swapped - 0.913_402).abs() < 1e-6, "{swapped}");
        assert_eq!(ndcg_at_k(&ids("x y"), &relevant, 10), Some(0.0));
        assert_eq!(ndcg_at_k(&ids("b a"), &relevant, 1), Some(2.0 / 3.0));
    }
}
