//! Against control: is the candidate worse, and is it shown not worse?
//!
//! Two questions with two risks. *Worse* rejects "no difference", at
//! `risk.false_stop` shared equally by the signals with a `notice`, over all
//! looks. *Not worse* rejects "worse by `notice`", at `risk.false_promote` for
//! each signal (all must pass, so the risk is not divided), over all looks as
//! well. Both also ask that the estimate points the same way: a difference
//! nearer to nothing than to `notice` never stops, however sure it is, and one
//! nearer to `notice` than to nothing never passes.
//!
//! | kind | worse | not worse |
//! | --- | --- | --- |
//! | rate | labels of the bad answers | `times`: labels of the bad ones at that ratio, or a negligible rate; `by`: bet on means |
//! | score | bet on means | bet on means, margin granted |
//! | latency, amount | labels beyond a pooled quantile | the same, margin granted |

use crate::betting::{self, Bet, Pair, Sums};
use crate::cells::Cell;
use crate::events::{self, Granted};
use crate::label::{self, Labels, Schedule};
use crate::measure::{self, Counts, Source, Values};
use crate::series::{Moment, Probabilities, Series};
use crate::tails;
use domain::policy::{Notice, RolloutPolicy, Signal, SignalKind, Worse};

/// A rate that is shown to be lower than this is not worse than any control,
/// unless the signal's own `limit` says otherwise: where bad answers are so
/// rare, ratios cannot be measured in any sensible time.
pub const NEGLIGIBLE_RATE: f64 = 0.01;

/// What the comparison said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Compared {
    pub worse: bool,
    pub not_worse: bool,
    /// The smallest risk at which "worse" would have been said by now.
    pub evidence: f64,
    pub boundary: f64,
    /// Further outcomes of the candidate before it could be shown not worse,
    /// if they come as they did so far.
    pub needed: Option<u64>,
}

/// The two answers before the estimate is asked.
struct Tested {
    worse: f64,
    not_worse: f64,
    /// Of the way from no difference (0) to `notice` (1).
    way: f64,
    needed: Option<u64>,
}

/// The bets on either question.
struct Bets {
    worse: Bet,
    not_worse: Bet,
}

struct Question<'a> {
    series: &'a Series<'a>,
    signal: &'a Signal,
    source: Source<'a>,
    notice: Notice,
    schedule: Schedule,
    stop_risk: f64,
    promote_risk: f64,
    probabilities: Probabilities,
    candidate_n: u64,
}

/// Compares the arms by this signal's `notice`.
pub(crate) fn look(
    policy: &RolloutPolicy,
    signal: &Signal,
    notice: Notice,
    series: &Series<'_>,
    candidate_n: u64,
) -> Compared {
    let shared_by = policy.signals.iter().filter(|s| s.notice.is_some()).count().max(1);
    let source = Source::of(signal);
    let question = Question {
        series,
        signal,
        source,
        notice,
        schedule: policy
            .planned
            .map_or(Schedule::Events, |plan| Schedule::Planned { requests: plan.requests }),
        stop_risk: policy.risk.false_stop.0 / shared_by as f64,
        promote_risk: policy.risk.false_promote.0,
        probabilities: series.probabilities(source, signal.kind),
        candidate_n,
    };
    let tested = match signal.kind {
        SignalKind::Rate => question.rate(),
        SignalKind::Score => question.score(),
        SignalKind::Latency | SignalKind::Amount => question.values(),
    };
    let not_worse = tested.not_worse <= question.promote_risk && tested.way < 0.5;
    Compared {
        worse: tested.worse <= question.stop_risk && tested.way >= 0.5,
        not_worse,
        evidence: tested.worse,
        boundary: question.stop_risk,
        needed: if not_worse || tested.way >= 0.5 { None } else { tested.needed },
    }
}

impl Question<'_> {
    fn rate(&self) -> Tested {
        let chance = |group| self.probabilities.for_harm(group);
        let ones_bad = self.signal.worse == Worse::Higher;
        let labels = events::rates(self.series, self.source, ones_bad, chance);
        let worse = label::too_many(&labels, self.stop_risk, self.schedule).evidence;
        match self.notice {
            Notice::Times(times) if ones_bad => {
                let ratio = label::estimated_ratio(&labels).unwrap_or(1.0);
                let (not_worse, needed) = self.rate_not_worse(times);
                Tested { worse, not_worse, way: (ratio - 1.0) / (times - 1.0), needed }
            }
            _ => {
                let (bet, way) = self.means(
                    |cell| {
                        let counts = self.source.counts(cell);
                        Sums::of_ones(counts.n, counts.ones)
                    },
                    (0.0, 1.0),
                );
                let needed = self.needed(bet.not_worse.standing);
                Tested { worse, not_worse: bet.not_worse.evidence, way, needed }
            }
        }
    }

    /// At half the risk each: too few of the bad labels for this ratio, or a
    /// candidate whose bad answers are negligibly rare.
    fn rate_not_worse(&self, times: f64) -> (f64, Option<u64>) {
        let labels: Vec<Labels> = events::rates(self.series, self.source, true, |group| {
            self.probabilities.for_none(group)
        })
        .into_iter()
        .map(|group| group.with_ratio(times).mirrored())
        .collect();
        let found = label::too_many(&labels, self.promote_risk / 2.0, self.schedule);
        let by_labels = 2.0 * found.evidence;
        let counts =
            self.candidate(Counts::default(), |sum, cell| sum.merge(self.source.counts(cell)));
        let rare = self.signal.limit.map_or(NEGLIGIBLE_RATE, |limit| limit.0);
        // With x bad answers a look may only use 2^-(x+1) of its half of the
        // risk; each x has one moment at which it first suffices, so the sum
        // over all x, and with it over all looks, is at most that half.
        let weight = 2.0_f64.powf(counts.ones as f64 + 2.0);
        let by_rarity = (weight * tails::lower(counts.ones, counts.n, rare)).min(1.0);
        let enough =
            ((self.promote_risk / weight).ln() / (-rare.clamp(1e-9, 0.999_999)).ln_1p()).ceil();
        let until_rare = (counts.ones == 0).then_some((enough as u64).saturating_sub(counts.n));
        let needed = [self.needed(2.0 * found.standing), until_rare].into_iter().flatten().min();
        (by_labels.min(by_rarity), needed)
    }

    fn score(&self) -> Tested {
        let range = self.signal.range.unwrap_or((0.0, 1.0));
        let (bet, way) = self.means(|cell| self.source.sums(cell), range);
        Tested {
            worse: bet.worse.evidence,
            not_worse: bet.not_worse.evidence,
            way,
            needed: self.needed(bet.not_worse.standing),
        }
    }

    /// Both bets on means, and the way from no difference to the notice.
    fn means(&self, sums: impl Fn(&Cell) -> Sums, range: (f64, f64)) -> (Bets, f64) {
        let sign = if self.signal.worse == Worse::Higher { 1.0 } else { -1.0 };
        let (scale, shift) = match self.notice {
            Notice::Times(times) => (sign / times, 0.0),
            Notice::By(by) => (sign, -by.0),
        };
        let total = |cells: &[&Cell]| {
            cells.iter().fold(Sums::default(), |mut sum, cell| {
                sum.merge(sums(cell));
                sum
            })
        };
        let raw: Vec<Pair> = self
            .series
            .moments
            .iter()
            .map(|moment| Pair {
                second: moment.second,
                probability: moment.group.probability(),
                candidate: total(&moment.candidate),
                control: total(&moment.control),
            })
            .collect();
        let ends = |scale: f64, shift: f64| {
            let (a, b) = (scale * range.0 + shift, scale * range.1 + shift);
            (a.min(b), a.max(b))
        };
        let plain = ends(sign, 0.0);
        let as_is: Vec<Pair> = raw
            .iter()
            .map(|pair| Pair {
                candidate: pair.candidate.moved(sign, 0.0),
                control: pair.control.moved(sign, 0.0),
                ..*pair
            })
            .collect();
        let worse = betting::higher(&as_is, plain.0, plain.1);
        let granted = ends(scale, shift);
        let swapped: Vec<Pair> = raw
            .iter()
            .map(|pair| Pair {
                probability: 1.0 - pair.probability,
                candidate: pair.control.moved(sign, 0.0),
                control: pair.candidate.moved(scale, shift),
                ..*pair
            })
            .collect();
        let not_worse = betting::higher(&swapped, plain.0.min(granted.0), plain.1.max(granted.1));
        let mean = |pick: fn(&Pair) -> Sums| {
            raw.iter()
                .fold(Sums::default(), |mut sum, pair| {
                    sum.merge(pick(pair));
                    sum
                })
                .mean()
        };
        let way = self.way(mean(|pair| pair.candidate), mean(|pair| pair.control));
        (Bets { worse, not_worse }, way)
    }

    fn values(&self) -> Tested {
        let (q, worse) = (measure::compared_quantile(self.signal), self.signal.worse);
        let plain = events::beyond(self.series, self.source, q, worse, None, |group| {
            self.probabilities.for_harm(group)
        });
        let granted = Granted(self.notice, worse);
        let margin: Vec<Labels> =
            events::beyond(self.series, self.source, q, worse, Some(granted), |group| {
                self.probabilities.for_none(group)
            })
            .into_iter()
            .map(Labels::mirrored)
            .collect();
        let not_worse = label::too_many(&margin, self.promote_risk, self.schedule);
        let all = |values: &mut Values, cell: &Cell| self.source.add_values(cell, values);
        let candidate = self.candidate(Values::default(), all);
        let control = self.control(Values::default(), all);
        let both_fail = [&candidate, &control].iter().all(|v| v.quantile(q) == Some(f64::INFINITY));
        let at = |values: &Values| {
            if both_fail { values.sketch.quantile(q) } else { values.quantile(q) }
        };
        Tested {
            worse: label::too_many(&plain, self.stop_risk, self.schedule).evidence,
            not_worse: not_worse.evidence,
            way: self.way(at(&candidate), at(&control)),
            needed: self.needed(not_worse.standing),
        }
    }

    /// Of the way from control's value to control's value and `notice`.
    fn way(&self, candidate: Option<f64>, control: Option<f64>) -> f64 {
        let (Some(candidate), Some(control)) = (candidate, control) else { return 0.5 };
        let sign = if self.signal.worse == Worse::Higher { 1.0 } else { -1.0 };
        let difference = sign * (candidate - control);
        let margin = match self.notice {
            Notice::Times(times) => sign * (times - 1.0) * control.abs(),
            Notice::By(by) => by.0,
        };
        if margin > 0.0 && margin.is_finite() {
            difference / margin
        } else if difference > 0.0 {
            f64::INFINITY
        } else {
            0.0
        }
    }

    /// How many more outcomes of the candidate, if evidence grows on as it did.
    fn needed(&self, evidence: f64) -> Option<u64> {
        let have = -evidence.clamp(1e-300, 1.0).ln();
        let wanted = -self.promote_risk.ln();
        (have > 0.05 && have < wanted)
            .then(|| (self.candidate_n as f64 * (wanted / have - 1.0)).ceil() as u64)
    }

    fn candidate<T>(&self, start: T, add: impl Fn(&mut T, &Cell)) -> T {
        fold(self.series, start, |moment| &moment.candidate, add)
    }

    fn control<T>(&self, start: T, add: impl Fn(&mut T, &Cell)) -> T {
        fold(self.series, start, |moment| &moment.control, add)
    }
}

fn fold<'a, T>(
    series: &'a Series<'a>,
    start: T,
    side: impl Fn(&'a Moment<'a>) -> &'a Vec<&'a Cell>,
    add: impl Fn(&mut T, &Cell),
) -> T {
    let mut all = start;
    series.moments.iter().flat_map(side).for_each(|cell| add(&mut all, cell));
    all
}
