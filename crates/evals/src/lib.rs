//! Runs suites against releases: plans calls, asks, scores, compares, reports.
//!
//! The path of an evaluation, one file a station:
//! [`Loaded`] (a suite with its cases) and [`Subject`] (a release, ready to be
//! asked) → [`run`] (every case, every repeat, both releases) → [`Asker`]
//! (limits, pauses, retries, the journal) → rows of numbers, one a case →
//! [`decide`] (intervals and rules) → [`SuiteReport`] → a gate's result, JUnit,
//! SARIF.
//!
//! What must stay true:
//! - the same inputs give the same report, byte for byte: no clock, no path of a
//!   machine, no order of arrival gets into it;
//! - an answer that was paid for is on disk before it is counted, and is never
//!   paid for again;
//! - what could not be asked is an error of the suite, never a broken or a kept
//!   check: nothing is made up;
//! - memory holds a row of numbers for each case and the texts of the few cases
//!   under way, whatever the number of cases.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")
)]

mod ask;
mod cost;
mod decide;
mod detail;
mod drift;
mod journal;
mod judge;
mod junit;
mod load;
mod outside;
mod outsiders;
mod plan;
mod record;
mod recorder;
mod report;
mod row;
mod run;
mod sarif;
mod stop;
mod subject;
mod validate;
mod worse;

pub use ask::{Asker, Limits};
pub use cost::{Growth, Money, Spent};
pub use decide::{About, decide};
pub use detail::{CasePage, CaseReason, CaseReport, CaseScore, Filter, lines, page};
pub use drift::drift;
pub use journal::{Journal, JournalError};
pub use judge::{JudgeEntry, JudgeReport, read_judges};
pub use junit::{Results, junit};
pub use load::Loaded;
pub use outsiders::{Outsiders, asks_others, unasked};
pub use plan::{Beside, How, Release, Releases, evaluate, suites_gate};
pub use record::{Recorded as RecordedSuite, record};
pub use recorder::Recorder;
pub use report::{ApprovalAsked, EvalReport, ScoreReport, SuiteReport};
pub use row::{ArmRow, CaseRow};
pub use run::{Options, Progress, Suite, SuiteRun, run};
pub use sarif::sarif;
pub use subject::{Cause, NoAnswer, Recorded, Subject};
pub use validate::{NO_APP, fallback_gate, validate};
pub use worse::{Example, Reason, Worse};
