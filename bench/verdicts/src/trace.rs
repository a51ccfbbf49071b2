//! A recorded rollout, drawn lazily: what is not asked for is never drawn.

use crate::law::{Sampler, normal_quantile};
use crate::rng::{Rng, fraction, mix};
use crate::world::World;
use analysis::{Outcome, Side};
use domain::units::Timestamp;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const DAY: f64 = 86_400.0;
/// With a season, traffic too swings by this much around its mean.
const TIDE: f64 = 0.6;

/// A world made ready to be drawn from.
#[derive(Debug)]
pub struct Source {
    /// What it was made from.
    pub world: World,
    samplers: Vec<Sampler>,
}

impl Source {
    /// Tabulates the laws.
    pub fn new(world: World) -> Self {
        let samplers = world.laws.iter().map(|law| Sampler::new(*law)).collect();
        Self { world, samplers }
    }
}

/// A measurement that becomes known later.
#[derive(Debug)]
struct Late {
    at: i64,
    order: u64,
    of: Outcome,
}

impl PartialEq for Late {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Late {}
impl PartialOrd for Late {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Late {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Given out: the next one is to be drawn.
    Done,
    /// Drawn, not given out.
    Waiting,
    /// A pair whose first answer is out.
    TwinLeft,
    /// The recording has ended.
    Over,
}

/// One rollout being read.
#[derive(Debug)]
pub struct Trace<'a> {
    source: &'a Source,
    rng: Rng,
    salt: u64,
    /// Seconds of the latest request drawn.
    time: f64,
    order: u64,
    stage: Stage,
    request: Outcome,
    twin: Outcome,
    news: Outcome,
    late: BinaryHeap<Reverse<Late>>,
    shown: Shown,
    noise: f64,
    noise_minute: i64,
    served: [u64; 2],
    before: [u64; 2],
    before_onset: u64,
}

/// Which outcome is the current one.
#[derive(Debug, Clone, Copy)]
enum Shown {
    Request,
    Twin,
    News,
}

fn blank() -> Outcome {
    Outcome {
        at: Timestamp(0),
        side: Side::Baseline,
        share: 0.0,
        unit: None,
        pair: None,
        input: None,
        segment: None,
        answer: None,
        step: 0,
        failed: false,
        values: Vec::new(),
    }
}

impl<'a> Trace<'a> {
    /// Rollout number `run` of that world under that seed.
    pub fn new(source: &'a Source, seed: u64, run: u64) -> Self {
        let mut rng = Rng::new(seed, run);
        let salt = rng.bits();
        Self {
            source,
            rng,
            salt,
            time: 0.0,
            order: 0,
            stage: Stage::Done,
            request: blank(),
            twin: blank(),
            news: blank(),
            late: BinaryHeap::new(),
            shown: Shown::Request,
            noise: 0.0,
            noise_minute: -1,
            served: [0; 2],
            before: [0; 2],
            before_onset: 0,
        }
    }

    /// The outcome [`Trace::advance`] went to.
    pub fn current(&self) -> &Outcome {
        match self.shown {
            Shown::Request => &self.request,
            Shown::Twin => &self.twin,
            Shown::News => &self.news,
        }
    }

    /// Answers given before the current outcome: control's, the candidate's.
    pub fn served_before(&self) -> [u64; 2] {
        self.before
    }

    /// Candidate answers given before the harm began.
    pub fn before_onset(&self) -> u64 {
        self.before_onset
    }

    /// Goes to the next outcome and tells when it became known (milliseconds
    /// since the start); none at the end of the recording.
    pub fn advance(&mut self) -> Option<i64> {
        self.before = self.served;
        if self.stage == Stage::TwinLeft {
            self.stage = Stage::Done;
            self.shown = Shown::Twin;
            self.count(self.twin.side);
            return Some(self.twin.at.0);
        }
        if self.stage == Stage::Done {
            self.draw_request();
        }
        let request = if self.stage == Stage::Waiting { self.request.at.0 } else { i64::MAX };
        if self.late.peek().is_some_and(|Reverse(l)| l.at <= request) {
            return self.late_news();
        }
        if self.stage != Stage::Waiting {
            return None;
        }
        self.shown = Shown::Request;
        self.count(self.request.side);
        self.stage = if self.source.world.pairs.is_some() { Stage::TwinLeft } else { Stage::Done };
        Some(request)
    }

    fn count(&mut self, side: Side) {
        let arm = usize::from(side == Side::Candidate);
        self.served[arm] += 1;
        if arm == 1 && self.time < self.source.world.onset * self.source.world.duration {
            self.before_onset += 1;
        }
    }

    fn late_news(&mut self) -> Option<i64> {
        let Reverse(news) = self.late.pop()?;
        if news.at as f64 > self.source.world.duration * 1000.0 {
            self.stage = Stage::Over;
            self.late.clear();
            return None;
        }
        self.news = news.of;
        self.shown = Shown::News;
        Some(news.at)
    }

    fn draw_request(&mut self) {
        let world = &self.source.world;
        let tide = if world.season == 0.0 { 1.0 } else { 1.0 + TIDE * self.daily() };
        self.time += self.rng.exponential() / (world.rate * tide);
        if self.time >= world.duration {
            self.stage = Stage::Over;
            return;
        }
        self.order += 1;
        self.stage = Stage::Waiting;
        let progress = self.time / world.duration;
        let mut level = if world.season == 0.0 { 0.0 } else { world.season * self.daily() };
        let mut share = world.share(progress);
        self.request.at = Timestamp((self.time * 1000.0) as i64);
        self.request.segment = None;
        if !world.tenants.is_empty() {
            let mut u = self.rng.uniform();
            for (i, tenant) in world.tenants.iter().enumerate() {
                if u < tenant.part || i + 1 == world.tenants.len() {
                    level += tenant.level;
                    share *= tenant.share;
                    self.request.segment = Some(mix(i as u64 + 1));
                    break;
                }
                u -= tenant.part;
            }
        }
        level += self.noise();
        if world.pairs.is_some() {
            self.draw_pair(level);
            return;
        }
        let side = self.assign(share, &mut level);
        self.request.side = side;
        self.request.share = share;
        self.measure(level, None);
    }

    /// Draws who answers; a sticky unit brings its own level.
    fn assign(&mut self, share: f64, level: &mut f64) -> Side {
        let draw = match self.source.world.units {
            None => {
                self.request.unit = None;
                self.rng.uniform()
            }
            Some(units) => {
                // Squared, so that some units ask much more often than others.
                let u = self.rng.uniform();
                let id = mix(self.salt ^ ((u * u * units.count as f64) as u64 + 1));
                *level += units.spread * normal_quantile(fraction(mix(id ^ 1)).max(1e-9));
                self.request.unit = Some(id);
                fraction(mix(id ^ 2))
            }
        };
        if draw < share { Side::Candidate } else { Side::Baseline }
    }

    /// Measures the request's answer; `common` is what both answers to one
    /// input have in common, signal by signal, and how strongly.
    fn measure(&mut self, level: f64, common: Option<(&[f64], f64)>) {
        let source = self.source;
        let world = &source.world;
        let worse = world.bad
            && self.request.side == Side::Candidate
            && self.time >= world.onset * world.duration;
        let shared = if world.correlation > 0.0 { self.rng.normal() } else { 0.0 };
        self.request.values.clear();
        for (i, sampler) in source.samplers.iter().enumerate() {
            let value = if sampler.is_rate() && world.correlation == 0.0 && common.is_none() {
                sampler.bad(worse, level, self.rng.uniform())
            } else {
                let mut z = self.rng.normal();
                if world.correlation > 0.0 {
                    let c = world.correlation;
                    z = c.sqrt() * shared + (1.0 - c).sqrt() * z;
                }
                if let Some((inputs, c)) = common.filter(|_| sampler.is_rate()) {
                    // The latent correlation of two rare events is far above
                    // their own: a share of the inputs decides alone.
                    z = if self.rng.uniform() < c { inputs[i] } else { z };
                } else if let Some((inputs, c)) = common {
                    z = c.sqrt() * inputs[i] + (1.0 - c).sqrt() * z;
                }
                sampler.value(worse, level, z)
            };
            let signal = i as u16;
            match world.delays[i] {
                None => self.request.values.push((signal, value)),
                Some(mean) => {
                    let wait = mean * (0.25 + 0.75 * self.rng.exponential());
                    let at = self.request.at.0 + (wait * 1000.0) as i64;
                    let values = vec![(signal, value)];
                    let of = Outcome { at: Timestamp(at), values, ..self.request.clone() };
                    self.late.push(Reverse(Late { at, order: self.order, of }));
                }
            }
        }
    }

    fn draw_pair(&mut self, level: f64) {
        let Some(pairs) = self.source.world.pairs else { return };
        let inputs: Vec<f64> = self.source.samplers.iter().map(|_| self.rng.normal()).collect();
        self.request.share = 0.5;
        self.request.unit = None;
        self.request.pair = pairs.told.then(|| mix(self.salt ^ self.order));
        self.request.side = Side::Candidate;
        self.measure(level, Some((&inputs, pairs.correlation)));
        self.twin.clone_from(&self.request);
        self.request.side = Side::Baseline;
        self.measure(level, Some((&inputs, pairs.correlation)));
    }

    fn daily(&self) -> f64 {
        (std::f64::consts::TAU * self.time / DAY).sin()
    }

    fn noise(&mut self) -> f64 {
        let Some(noise) = self.source.world.noise else { return 0.0 };
        let minute = (self.time / 60.0) as i64;
        if minute != self.noise_minute {
            let steps = (minute - self.noise_minute) as f64;
            let kept = if self.noise_minute < 0 { 0.0 } else { noise.memory.powf(steps) };
            let fresh = noise.spread * (1.0 - kept * kept).sqrt() * self.rng.normal();
            self.noise = kept * self.noise + fresh;
            self.noise_minute = minute;
        }
        self.noise
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::Law;
    use crate::world::{Pairs, Tenant, Units};

    fn read(world: World) -> (Vec<Outcome>, [u64; 2]) {
        let source = Source::new(world);
        let mut trace = Trace::new(&source, 1, 1);
        let mut all = Vec::new();
        while trace.advance().is_some() {
            all.push(trace.current().clone());
        }
        (all, trace.served_before())
    }

    fn rate() -> World {
        World::calm(1.0, 20_000.0, 0.1, Law::Rate { p: 0.05, times: 2.0 })
    }

    #[test]
    fn a_calm_world_has_its_rates_and_shares() {
        let (all, served) = read(rate());
        assert!((all.len() as f64 - 20_000.0).abs() < 600.0);
        assert!((served[1] as f64 / all.len() as f64 - 0.1).abs() < 0.01);
        let bad = |side| {
            let of: Vec<f64> =
                all.iter().filter(|o| o.side == side).map(|o| o.values[0].1).collect();
            of.iter().sum::<f64>() / of.len() as f64
        };
        assert!((bad(Side::Baseline) - 0.05).abs() < 0.01);
        assert!((bad(Side::Candidate) - 0.10).abs() < 0.03);
        assert!(all.windows(2).all(|w| w[0].at <= w[1].at));
    }

    #[test]
    fn late_news_come_in_order_and_name_the_side_that_answered() {
        let mut world = rate();
        world.laws.push(Law::Beta { mean: 0.85, count: 7.25, by: 0.03 });
        world.delays.push(Some(3600.0));
        let (all, served) = read(world);
        assert!(all.windows(2).all(|w| w[0].at <= w[1].at));
        let late = all.iter().filter(|o| o.values[0].0 == 1).count();
        let requests = all.iter().filter(|o| o.values[0].0 == 0).count();
        assert_eq!(requests as u64, served[0] + served[1]);
        assert!(late > requests * 6 / 10 && late < requests);
    }

    #[test]
    fn a_unit_only_ever_moves_to_the_candidate() {
        let mut world = rate();
        world.units = Some(Units { count: 50, spread: 0.5 });
        world.steps = vec![(0.0, 0.05), (0.3, 0.25), (0.6, 0.5)];
        let (all, _) = read(world);
        let mut moved = std::collections::HashMap::new();
        for outcome in &all {
            let was = moved.insert(outcome.unit, outcome.side);
            assert!(was != Some(Side::Candidate) || outcome.side == Side::Candidate);
        }
    }

    #[test]
    fn both_arms_answer_each_input_of_a_pair() {
        let mut world = rate();
        world.pairs = Some(Pairs { correlation: 0.5, told: true });
        let (all, served) = read(world);
        assert_eq!(served[0], served[1]);
        assert!(all.chunks(2).all(|p| p[0].pair == p[1].pair && p[0].side != p[1].side));
    }

    #[test]
    fn tenants_have_their_own_levels_and_shares() {
        let mut world = rate();
        world.tenants = vec![
            Tenant { part: 0.5, level: 0.0, share: 1.0 },
            Tenant { part: 0.5, level: 1.0, share: 4.0 },
        ];
        let expected = world.candidates(0.0);
        let (all, served) = read(world);
        assert!((served[1] as f64 / expected - 1.0).abs() < 0.05);
        assert!(all.iter().all(|o| (o.share - 0.1).abs() < 1e-9 || (o.share - 0.4).abs() < 1e-9));
    }
}
