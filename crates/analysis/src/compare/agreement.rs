//! How well a judge agrees with people who labelled the same answers.

use serde::{Deserialize, Serialize};

/// Agreement of two raters on the same answers, both in [0, 1], more is better.
/// From ½ on an answer counts as good.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Answers both rated.
    pub labelled: u64,
    /// Share on which both say good, or both bad.
    pub agreement: f64,
    /// Mean of the judge's rating less the people's: above zero it is too kind.
    pub bias: f64,
    /// Cohen's kappa (Educational and Psychological Measurement 20, 1960):
    /// agreement beyond what the two rates of "good" give by chance. None where
    /// chance alone agrees always.
    pub kappa: Option<f64>,
    /// Matthews' correlation coefficient (Biochimica et Biophysica Acta 405,
    /// 1975). None where one of the two always says the same.
    pub mcc: Option<f64>,
}

impl Agreement {
    /// From pairs of (judge, people). None without a pair.
    pub fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        let n = pairs.len() as f64;
        if pairs.is_empty() {
            return None;
        }
        let good = |rating: f64| rating >= 0.5;
        let count = |judge: bool, people: bool| {
            pairs.iter().filter(|(j, p)| good(*j) == judge && good(*p) == people).count() as f64
        };
        let (both, neither) = (count(true, true), count(false, false));
        let (kind, harsh) = (count(true, false), count(false, true));
        let agreement = (both + neither) / n;
        let chance =
            ((both + kind) * (both + harsh) + (neither + harsh) * (neither + kind)) / (n * n);
        let spread = (both + kind) * (both + harsh) * (neither + kind) * (neither + harsh);
        Some(Self {
            labelled: pairs.len() as u64,
            agreement,
            bias: pairs.iter().map(|(judge, people)| judge - people).sum::<f64>() / n,
            kappa: (chance < 1.0).then(|| (agreement - chance) / (1.0 - chance)),
            mcc: (spread > 0.0).then(|| (both * neither - kind * harsh) / spread.sqrt()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kappa_and_mcc_are_those_of_the_textbook() {
        // 20 both good, 5 kind, 10 harsh, 15 both bad: kappa 0.4, the example
        // that textbooks give.
        let pairs =
            [vec![(1.0, 1.0); 20], vec![(1.0, 0.0); 5], vec![(0.0, 1.0); 10], vec![(0.0, 0.0); 15]]
                .concat();
        let got = Agreement::of(&pairs).unwrap();
        assert!((got.agreement - 0.7).abs() < 1e-12 && (got.kappa.unwrap() - 0.4).abs() < 1e-12);
        // (20·15 − 5·10) / √(25·30·20·25).
        assert!((got.mcc.unwrap() - 250.0 / 375_000_f64.sqrt()).abs() < 1e-12);
        assert!((got.bias + 0.1).abs() < 1e-12);
    }

    #[test]
    fn a_judge_that_always_says_good_agrees_by_chance_only() {
        let pairs = [vec![(0.9, 1.0); 6], vec![(0.9, 0.0); 4]].concat();
        let got = Agreement::of(&pairs).unwrap();
        assert_eq!((got.kappa, got.mcc), (Some(0.0), None));
        assert!(got.bias > 0.29, "{got:?}");
        assert_eq!(Agreement::of(&[]), None);
        assert_eq!(Agreement::of(&[(1.0, 1.0)]).unwrap().kappa, None);
    }
}
