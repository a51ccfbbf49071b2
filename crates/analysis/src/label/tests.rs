use super::*;
use proptest::prelude::*;

fn coins(probability: f64, candidate: u64, control: u64) -> Coins {
    Coins { probability, candidate, control }
}

/// One outcome per second: bad or not, at this probability, with this label.
fn history(outcomes: &[(bool, f64)], labels: u32) -> Vec<Labels> {
    let one = |(i, (bad, p)): (usize, &(bool, f64))| {
        let candidate = u64::from(labels >> i & 1);
        let (it, none) = (coins(*p, candidate, 1 - candidate), coins(*p, 0, 0));
        let (events, others) = if *bad { (it, none) } else { (none, it) };
        Labels { second: i as i64, events, others, requests: i as u64 + 1 }
    };
    outcomes.iter().enumerate().map(one).collect()
}

fn chance_of(outcomes: &[(bool, f64)], labels: u32) -> f64 {
    let one = |(i, (_, p)): (usize, &(bool, f64))| if labels >> i & 1 == 1 { *p } else { 1.0 - p };
    outcomes.iter().enumerate().map(one).product()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Every labelling there is: those that stop have at most the risk.
    #[test]
    fn the_risk_is_kept_exactly(
        outcomes in proptest::collection::vec((any::<bool>(), 0.1..0.9_f64), 1..10),
        risk in 0.02..0.4_f64,
        planned in proptest::option::of(1..20_u64),
    ) {
        let schedule = planned.map_or(Schedule::Events, |requests| Schedule::Planned { requests });
        let mut stopped = 0.0;
        for labels in 0..1_u32 << outcomes.len() {
            let found = too_many(&history(&outcomes, labels), risk, schedule);
            prop_assert_eq!(found.stopped.is_some(), found.evidence <= risk);
            if found.stopped.is_some() {
                stopped += chance_of(&outcomes, labels);
            }
        }
        prop_assert!(stopped <= risk + 1e-12, "{} of {}", stopped, risk);
    }

    #[test]
    fn a_stop_is_never_taken_back(
        outcomes in proptest::collection::vec((any::<bool>(), 0.1..0.9_f64), 2..24),
        labels in any::<u32>(),
        cut in 1..24_usize,
    ) {
        let whole = history(&outcomes, labels);
        let part = whole.get(..cut.min(whole.len())).unwrap();
        let (early, late) = (too_many(part, 0.2, Schedule::Events), too_many(&whole, 0.2, Schedule::Events));
        prop_assert!(late.evidence <= early.evidence);
        prop_assert!(early.stopped.is_none() || early.stopped == late.stopped);
    }
}

#[test]
fn all_bad_answers_from_one_arm_stop_soon_and_even_ones_never() {
    let one_sided: Vec<Labels> = (0..20)
        .map(|second| Labels {
            second,
            events: coins(0.5, 1, 0),
            others: coins(0.5, 1, 2),
            requests: 0,
        })
        .collect();
    let found = too_many(&one_sided, 0.01, Schedule::Events);
    assert!(found.stopped.is_some_and(|second| (6..12).contains(&second)), "{found:?}");
    let even: Vec<Labels> = (0..3_000)
        .map(|second| Labels {
            second,
            events: coins(0.5, 1, 1),
            others: coins(0.5, 9, 9),
            requests: 0,
        })
        .collect();
    assert_eq!(too_many(&even, 0.05, Schedule::Events).stopped, None);
}

#[test]
fn harm_that_begins_after_the_exact_law_is_still_found() {
    let quiet = (0..EXACT_EVENTS as i64).map(|second| Labels {
        second,
        events: coins(0.5, 1, 1),
        others: coins(0.5, 50, 50),
        requests: 0,
    });
    let harm = (0..400).map(|i| Labels {
        second: EXACT_EVENTS as i64 + i,
        events: coins(0.5, 3, 1),
        others: coins(0.5, 48, 50),
        requests: 0,
    });
    let found = too_many(&quiet.chain(harm).collect::<Vec<_>>(), 0.01, Schedule::Events);
    assert!(found.stopped.is_some_and(|second| second >= EXACT_EVENTS as i64), "{found:?}");
}

#[test]
fn the_estimate_finds_the_ratio_behind_mixed_shares() {
    let labels: Vec<Labels> = [0.05, 0.25, 0.5]
        .iter()
        .map(|share| {
            let (candidate, control) = (share * 3_000.0, (1.0 - share) * 1_000.0);
            Labels {
                second: 0,
                events: coins(*share, candidate as u64, control as u64),
                others: coins(*share, 0, 0),
                requests: 0,
            }
        })
        .collect();
    let ratio = estimated_ratio(&labels).unwrap();
    assert!((ratio - 3.0).abs() < 0.01, "{ratio}");
    assert_eq!(estimated_ratio(&[]), None);
}

#[test]
fn all_risk_is_released_in_the_end_and_never_more() {
    for schedule in [Schedule::Events, Schedule::Planned { requests: 1_000 }] {
        let released: Vec<f64> = (0..40).map(|i| schedule.released(1 << i, 1 << i)).collect();
        assert!(released.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(released.iter().all(|share| (0.0..=1.0).contains(share)));
        assert!(released[39] > 0.97);
    }
}
