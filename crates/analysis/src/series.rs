//! Cells of a rollout in the order in which their outcomes became known, the
//! two compared arms side by side.
//!
//! While the candidate only answers mirrored copies, its outcomes are compared
//! with control's of the same step: each input has both answers, so either is
//! the candidate's with probability one half. Mirrored copies beside a weight
//! are not compared, because their originals are in no fixed relation to
//! control; they still count toward absolute limits.

use crate::cells::{Cell, CellKey};
use crate::measure::Source;
use crate::tails;
use domain::policy::SignalKind;
use domain::routing::Arm;
use domain::units::{Share, Timestamp};
use std::collections::BTreeMap;

/// If the arms' measured outcomes would be so unlikely under the gateway's own
/// shares, the shares do not describe who was measured.
const MISMATCH_RISK: f64 = 1e-3;

/// One second of one step at one probability.
#[derive(Debug, Default)]
pub(crate) struct Moment<'a> {
    pub second: i64,
    pub group: Group,
    pub control: Vec<&'a Cell>,
    pub candidate: Vec<&'a Cell>,
    /// Users' requests up to and in this second.
    pub requests: u64,
}

/// Requests that were assigned alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    pub step: u32,
    pub share: Share,
}

impl Group {
    /// Probability of the candidate's label.
    pub(crate) fn probability(self) -> f64 {
        if self.share == Share::NONE { 0.5 } else { self.share.fraction() }
    }

    fn is_mirrored(self) -> bool {
        self.share == Share::NONE
    }
}

#[derive(Debug)]
pub(crate) struct Series<'a> {
    pub moments: Vec<Moment<'a>>,
}

impl<'a> Series<'a> {
    /// Everything known at `now`.
    pub(crate) fn new(
        cells: impl IntoIterator<Item = (&'a CellKey, &'a Cell)>,
        now: Timestamp,
    ) -> Self {
        let mut by_time = BTreeMap::<(i64, Group), Moment<'a>>::new();
        for (key, cell) in cells {
            if key.second > now.second() {
                continue;
            }
            let group = Group { step: key.step, share: key.share };
            let moment = by_time.entry((key.second, group)).or_default();
            match key.arm {
                Arm::Control => moment.control.push(cell),
                Arm::Candidate => moment.candidate.push(cell),
                Arm::Shadow if group.is_mirrored() => moment.candidate.push(cell),
                Arm::Shadow | Arm::Stable => {}
            }
            if key.arm != Arm::Shadow {
                moment.requests = moment.requests.saturating_add(cell.n);
            }
        }
        let mut requests = 0_u64;
        let moments = by_time
            .into_iter()
            .map(|((second, group), moment)| {
                requests = requests.saturating_add(moment.requests);
                Moment { second, group, requests, ..moment }
            })
            .collect();
        Self { moments }
    }

    /// Second of the candidate's latest outcome.
    pub(crate) fn last_measured(&self, source: Source<'_>, kind: SignalKind) -> Option<i64> {
        let measured = |cell: &&Cell| source.measured(kind, cell) > 0;
        self.moments
            .iter()
            .rev()
            .find(|moment| moment.candidate.iter().any(measured))
            .map(|moment| moment.second)
    }

    /// The probability of the candidate's label for each group: the gateway's
    /// own share, unless the outcomes that were measured contradict it. Where
    /// not every request is measured by itself (labels may come for one arm
    /// only, or once per input; mirrored copies may be shed), the measured
    /// share counts as well, and each question gets the one that makes its
    /// answer harder. Under the measured share the count of events is at most
    /// binomially spread.
    pub(crate) fn probabilities(&self, source: Source<'_>, kind: SignalKind) -> Probabilities {
        let mut measured = BTreeMap::<Group, (u64, u64)>::new();
        for moment in &self.moments {
            let counts = measured.entry(moment.group).or_default();
            let count = |cells: &[&Cell]| {
                cells
                    .iter()
                    .fold(0_u64, |sum, cell| sum.saturating_add(source.measured(kind, cell)))
            };
            counts.0 = counts.0.saturating_add(count(&moment.candidate));
            counts.1 = counts.1.saturating_add(count(&moment.control));
        }
        let complete = source.is_complete();
        let of_group = |(group, (candidate, control)): (Group, (u64, u64))| {
            let (p, n) = (group.probability(), candidate.saturating_add(control));
            let told = if n == 0 { p } else { candidate as f64 / n as f64 };
            let odd = tails::upper(candidate, n, p).min(tails::lower(candidate, n, p))
                < MISMATCH_RISK / 2.0;
            let fair = if odd { told } else { p };
            if complete && !group.is_mirrored() {
                return (group, (fair, fair));
            }
            (group, (fair.max(told), fair.min(told)))
        };
        Probabilities(measured.into_iter().map(of_group).collect())
    }
}

/// See [`Series::probabilities`].
#[derive(Debug)]
pub(crate) struct Probabilities(BTreeMap<Group, (f64, f64)>);

impl Probabilities {
    /// For showing harm: a candidate with more outcomes than its share must not
    /// look worse for it.
    pub(crate) fn for_harm(&self, group: Group) -> f64 {
        self.0.get(&group).map_or_else(|| group.probability(), |(high, _)| *high)
    }

    /// For showing its absence: a candidate with fewer outcomes than its share
    /// must not look better for it.
    pub(crate) fn for_none(&self, group: Group) -> f64 {
        self.0.get(&group).map_or_else(|| group.probability(), |(_, low)| *low)
    }
}
