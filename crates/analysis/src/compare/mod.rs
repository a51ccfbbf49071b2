//! What a suite's numbers prove: shares of kept checks, scores beside
//! production's on the same cases, answers that change from repeat to repeat.
//!
//! - [`share`]: intervals of a share, what zero hits prove, how many cases a
//!   zero-tolerance check needs,
//! - [`paired`]: the mean difference of scores on the same cases,
//! - [`sequence`]: an interval that holds at every look, to stop early,
//! - [`agreement`]: a judge beside the people who labelled the same answers,
//! - [`repeats`]: cases whose repeats disagree; discordant pairs.
//!
//! Everywhere the case is what is independent, not the answer: repeats of a
//! case tell more about that case, not about other inputs.

pub mod agreement;
pub mod paired;
pub mod repeats;
pub mod sequence;
pub mod share;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

/// An interval of a measured number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How it was made.
    pub method: Method,
}

/// How an interval was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Clopper and Pearson 1934: exact for independent cases.
    ClopperPearson,
    /// Korn and Graubard 1998: the same with an effective number of cases, for
    /// repeats.
    KornGraubard,
    /// Hartigan 1969: exact for few symmetric differences.
    SubsetMeans,
    /// Efron 1987: bootstrap, bias-corrected and accelerated.
    Bca,
    /// Student's t.
    Student,
    /// All values are alike: as wide as what may be hidden among them.
    AllAlike,
    /// Waudby-Smith and Ramdas 2024: valid at every look.
    EmpiricalBernstein,
    /// Too few cases to say anything: the whole range.
    TooFew,
}
