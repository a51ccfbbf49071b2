//! What a judge said of either arm, as people would have: by the errors it is
//! known to make, or by people's labels on a part of the same answers.
//!
//! For people to read: tests go on comparing what the judge said. Both arms share
//! the judge, so its errors cost these tests sharpness and no validity.
//!
//! Which answers are labelled is decided by a hash of the answer alone
//! ([`HumanLabels::chooses`]): not by who asks, not by who answered, not by what
//! the judge said. So the labelled answers are a random sample of the judged
//! ones, and labels on any others are not used. A chosen answer that nobody has
//! labelled yet is in neither part, as what is labelled first may be what is easy.

use crate::judge::{self, Arm, FEW_LABELS};
use crate::outcome::Side;
use domain::policy::{HumanLabels, Judge, Signal, SignalKind, Worse};
use domain::verdict::{Corrected, Estimate, Labelled, Labels};
use std::collections::BTreeMap;

/// Level of the intervals, for one look.
const LEVEL: f64 = 0.95;

/// Most chosen answers that are kept for each signal. Beyond, the share of chosen
/// ones is halved; ten thousand labels know a rate to one part in a hundred.
pub const MAX_CHOSEN: usize = 10_000;

/// Judged answers of both arms. Of a rate 1 is bad, whatever the signal calls 1.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    /// What is known of its errors.
    known: Judge,
    people: Option<People>,
    /// The signal's 1 is good.
    flipped: bool,
    /// Lowest and highest value.
    range: (f64, f64),
    /// Answers that are not chosen to be labelled.
    control: Arm,
    candidate: Arm,
}

/// Answers that people are asked to label.
#[derive(Debug, Clone)]
struct People {
    asked: HumanLabels,
    name: String,
    halvings: u32,
    chosen: BTreeMap<(Side, u64), Chosen>,
    unused: u64,
}

/// What is known of one chosen answer; either may come first.
#[derive(Debug, Clone, Copy, Default)]
struct Chosen {
    judge: Option<f64>,
    human: Option<f64>,
}

/// What was judged on one side.
#[derive(Clone, Copy, Default)]
struct Known {
    /// All judged answers.
    judged: Arm,
    /// Without those that wait for their label.
    joined: Arm,
    /// Judged answers that are chosen.
    chosen: u64,
}

impl Known {
    fn worth(self, effect: f64) -> Self {
        Self { judged: self.judged.worth(effect), joined: self.joined.worth(effect), ..self }
    }

    fn has_enough(&self) -> bool {
        self.joined.labels() >= FEW_LABELS
    }
}

impl Judged {
    /// None if nothing is known of a judge, or its numbers have no bounds.
    pub(super) fn new(signal: &Signal) -> Option<Self> {
        let judge = signal.judge.as_ref()?;
        let range = match signal.kind {
            SignalKind::Rate => (0.0, 1.0),
            SignalKind::Score => signal.range?,
            SignalKind::Latency | SignalKind::Amount => return None,
        };
        let people = judge.human.clone().zip(signal.label_name());
        Some(Self {
            known: Judge { human: None, ..judge.clone() },
            people: people.map(|(asked, name)| People {
                asked,
                name,
                halvings: 0,
                chosen: BTreeMap::new(),
                unused: 0,
            }),
            flipped: signal.worse == Worse::Lower && signal.kind == SignalKind::Rate,
            range,
            control: Arm::default(),
            candidate: Arm::default(),
        })
    }

    /// Takes in what the judge said of one answer, within the signal's bounds.
    pub(super) fn add(&mut self, side: Side, answer: Option<u64>, value: f64) {
        let value = if self.flipped { 1.0 - value } else { value };
        if let Some((people, answer)) = self.people.as_mut().zip(answer)
            && people.asked.chooses(answer, people.halvings)
        {
            let chosen = people.chosen.entry((side, answer)).or_default();
            if chosen.judge.is_none() {
                chosen.judge = Some(value);
                self.make_room();
                return;
            }
        }
        self.arm(side).add(value, None);
    }

    /// Takes in what a person said of one answer; none if it is no number of this
    /// signal. The first word on an answer stands.
    pub(super) fn label(&mut self, side: Side, answer: u64, value: Option<f64>) {
        let flipped = self.flipped;
        let Some(people) = &mut self.people else { return };
        let chosen = people.asked.chooses(answer, people.halvings);
        match value.filter(|_| chosen) {
            Some(value) => {
                let value = if flipped { 1.0 - value } else { value };
                let chosen = people.chosen.entry((side, answer)).or_default();
                chosen.human = chosen.human.or(Some(value));
                self.make_room();
            }
            None => people.unused = people.unused.saturating_add(1),
        }
    }

    fn arm(&mut self, side: Side) -> &mut Arm {
        match side {
            Side::Candidate => &mut self.candidate,
            Side::Baseline => &mut self.control,
        }
    }

    /// Halves the share until what is chosen fits. Who leaves counts as an answer
    /// that was never chosen.
    fn make_room(&mut self) {
        let Some(people) = &mut self.people else { return };
        let mut left = Vec::new();
        while people.chosen.len() > MAX_CHOSEN {
            people.halvings = people.halvings.saturating_add(1);
            let (asked, halvings) = (&people.asked, people.halvings);
            people.chosen.retain(|(side, answer), known| {
                let stays = asked.chooses(*answer, halvings) || halvings >= u64::BITS;
                if !stays {
                    left.push((*side, *known));
                }
                stays
            });
            if halvings >= u64::BITS {
                break;
            }
        }
        let labels = left.iter().filter(|(_, known)| known.human.is_some()).count();
        people.unused = people.unused.saturating_add(labels as u64);
        for (side, known) in left {
            if let Some(value) = known.judge {
                self.arm(side).add(value, None);
            }
        }
    }

    fn known(&self) -> [Known; 2] {
        let start = |arm: Arm| Known { judged: arm, joined: arm, chosen: 0 };
        let [mut control, mut candidate] = [start(self.control), start(self.candidate)];
        for ((side, _), known) in self.people.iter().flat_map(|people| &people.chosen) {
            let Some(judge) = known.judge else { continue };
            let of = match side {
                Side::Candidate => &mut candidate,
                Side::Baseline => &mut control,
            };
            of.chosen = of.chosen.saturating_add(1);
            of.judged.add(judge, None);
            if known.human.is_some() {
                of.joined.add(judge, known.human);
            }
        }
        [control, candidate]
    }

    /// Both arms as people would have measured them, over all answers alike, and
    /// how far people are with labelling. `effect` is how many answers are worth
    /// one that stands alone: those of a sticky subject resemble each other. No
    /// correction while nothing can be said of the candidate.
    pub(super) fn corrected(&self, effect: f64) -> (Option<Corrected>, Option<Labels>) {
        let counted = self.known();
        let [control, candidate] = counted.map(|known| known.worth(effect));
        let labels = self.people.as_ref().map(|people| Labels {
            name: people.name.clone(),
            share: people.asked.share.fraction() / 2.0_f64.powi(people.halvings.min(64) as i32),
            control: labelled(&counted[0], &control),
            candidate: labelled(&counted[1], &candidate),
            unused: people.unused,
        });
        (self.estimates(&control, &candidate, counted[1].joined.labels()), labels)
    }

    fn estimates(&self, control: &Known, candidate: &Known, labels: u64) -> Option<Corrected> {
        let asked =
            Judge { human: self.people.as_ref().map(|p| p.asked.clone()), ..self.known.clone() };
        let of = |known: &Known| match known.has_enough() {
            true => known.joined.corrected(&asked, LEVEL),
            false => known.judged.corrected(&self.known, LEVEL),
        };
        let by_people = candidate.has_enough();
        let found = of(candidate)?;
        // One kind of estimate for both, the one that both can have.
        let difference = match by_people && control.has_enough() {
            true => judge::difference(&candidate.joined, &control.joined, &asked, LEVEL),
            false => judge::difference(&candidate.judged, &control.judged, &self.known, LEVEL),
        };
        Some(Corrected {
            control: of(control).map(|value| self.value(value)),
            candidate: self.value(found),
            difference: difference.map(|difference| self.mirrored(difference, 0.0)),
            labels: if by_people { labels } else { found.labels },
            by_people,
        })
    }

    fn value(&self, found: judge::Corrected) -> Estimate {
        let Estimate { value, low, high } = self.mirrored(found, 1.0);
        let within = |x: f64| x.clamp(self.range.0, self.range.1);
        Estimate { value: within(value), low: within(low), high: within(high) }
    }

    /// In terms of the signal, of which the mirror image of x is `all` − x.
    fn mirrored(&self, bad: judge::Corrected, all: f64) -> Estimate {
        let judge::Corrected { value, low, high, .. } = bad;
        if self.flipped {
            Estimate { value: all - value, low: all - high, high: all - low }
        } else {
            Estimate { value, low, high }
        }
    }
}

/// `counted` as they are, `worth` as many as stand alone.
fn labelled(counted: &Known, worth: &Known) -> Labelled {
    Labelled {
        judged: counted.judged.judged(),
        chosen: counted.chosen,
        labelled: counted.joined.labels(),
        wanted: FEW_LABELS.saturating_sub(worth.joined.labels()),
    }
}

#[cfg(test)]
mod tests;
