//! Rollouts made of numbers: seeded outcomes, folded into cells.

#![allow(dead_code, reason = "each test file uses its part")]

use analysis::{Cell, CellKey, Cells, Window};
use domain::ids::{Digest, ReleaseId, RolloutId};
use domain::policy::RolloutPolicy;
use domain::routing::Arm;
use domain::telemetry::AnswerStatus;
use domain::units::{Share, Timestamp};
use domain::verdict::Verdict;
use tidegate_analysis as analysis;

/// SplitMix64: small, seeded, the same everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

pub fn policy(signals: &str, risk: &str) -> RolloutPolicy {
    let text = format!(r#"{{"apiVersion":"tidegate/v1","risk":{risk},"signals":{signals}}}"#);
    let policy: RolloutPolicy = serde_json::from_str(&text).unwrap();
    assert_eq!(policy.faults(), []);
    policy
}

pub fn key(arm: Arm, step: u32, share: f64, second: i64) -> CellKey {
    CellKey {
        app: "app".parse().unwrap(),
        release: ReleaseId(Digest::of(arm.key().as_bytes())),
        arm,
        rollout: Some(RolloutId(1)),
        step,
        share: Share::from_bp((share * 10_000.0) as u16),
        second,
    }
}

/// A trace under the making.
#[derive(Default)]
pub struct Trace(pub Cells);

impl Trace {
    pub fn cell(&mut self, arm: Arm, share: f64, second: i64) -> &mut Cell {
        self.0.entry(key(arm, 0, share, second))
    }

    pub fn label(&mut self, arm: Arm, share: f64, second: i64, name: &str, value: f64) {
        let cell = self.cell(arm, share, second);
        cell.n += 1;
        cell.add_feedback(name, value);
    }

    pub fn answer(
        &mut self,
        arm: Arm,
        share: f64,
        second: i64,
        ok: bool,
        latency_ms: f64,
        cost: f64,
    ) {
        let cell = self.cell(arm, share, second);
        cell.n += 1;
        let status = if ok { AnswerStatus::Ok } else { AnswerStatus::ProviderError };
        *cell.status.entry(status).or_default() += 1;
        cell.cost_usd.add(cost).unwrap();
        if ok {
            cell.latency_ms.add(latency_ms).unwrap();
        }
    }

    /// `bad` of `n` labels for each arm, spread evenly over as many seconds.
    pub fn labels(name: &str, control: (u64, u64), candidate: (u64, u64), share: f64) -> Self {
        let mut trace = Self::default();
        for (arm, (bad, n)) in [(Arm::Control, control), (Arm::Candidate, candidate)] {
            for i in 0..n {
                let value = ((i + 1) * bad / n - i * bad / n) as f64;
                trace.label(arm, share, i as i64, name, value);
            }
        }
        trace
    }

    pub fn cells(&self) -> Vec<(CellKey, Cell)> {
        self.0.iter().map(|(key, cell)| (key.clone(), cell.clone())).collect()
    }

    /// The verdict at this second; silence since the last outcome is fine.
    pub fn verdict(&self, policy: &RolloutPolicy, signal: usize, second: i64) -> Verdict {
        let window = Window { step: 0, exposed: false };
        let now = Timestamp(second * 1000);
        analysis::verdict(policy, &policy.signals[signal], &self.cells(), &window, now)
    }
}
