//! Sticky assignment: `vectors/assignment.json` was computed by a program in
//! another language; and the promises made to users hold over a million of them.

use serde::Deserialize;
use tidegate_domain::rollout::Exposure;
use tidegate_domain::routing::{Arm, arm, bucket, is_mirrored};
use tidegate_domain::units::Share;

const VECTORS: &str = include_str!("../../vectors/assignment.json");

#[derive(Deserialize)]
struct Vectors {
    buckets: Vec<Place>,
    arms: Vec<Arms>,
}

#[derive(Deserialize)]
struct Place {
    salt: String,
    subject: String,
    bucket: u16,
}

#[derive(Deserialize)]
struct Arms {
    weight: u16,
    shadow: u16,
    buckets: Vec<BucketArm>,
}

#[derive(Deserialize)]
struct BucketArm {
    bucket: u16,
    arm: Arm,
    mirrored: bool,
}

fn exposure(weight: u16, shadow: u16) -> Exposure {
    Exposure { weight: Share::from_bp(weight), shadow: Share::from_bp(shadow) }
}

#[test]
fn places_and_arms_are_those_of_the_vectors() {
    let vectors: Vectors = serde_json::from_str(VECTORS).unwrap();
    assert!(vectors.buckets.len() > 30 && vectors.arms.len() > 20);
    for place in vectors.buckets {
        assert_eq!(bucket(&place.salt, &place.subject), place.bucket, "{:?}", place.subject);
    }
    for row in vectors.arms {
        let exposure = exposure(row.weight, row.shadow);
        for place in row.buckets {
            assert_eq!(
                arm(place.bucket, exposure),
                place.arm,
                "{} at weight {}",
                place.bucket,
                row.weight
            );
            assert_eq!(is_mirrored(place.bucket, exposure), place.mirrored);
        }
    }
}

/// Candidate, control and the rest among all places, for every weight there is.
#[test]
fn groups_are_exact_equal_and_disjoint_at_every_weight() {
    for weight in (0..=10_000_u16).step_by(7).chain([1, 4999, 5000, 5001, 9999, 10_000]) {
        let exposure = exposure(weight, 0);
        let count = |wanted| (0..10_000).filter(|b| arm(*b, exposure) == wanted).count();
        assert_eq!(count(Arm::Candidate), usize::from(weight));
        assert_eq!(
            count(Arm::Control),
            usize::from(weight.min(10_000 - weight)),
            "weight {weight}"
        );
    }
}

#[test]
fn a_million_people_keep_the_candidate_while_it_grows() {
    const PEOPLE: usize = 1_000_000;
    let mut places = vec![0_usize; 10_000];
    let mut name = String::new();
    for i in 0..PEOPLE {
        name.clear();
        std::fmt::Write::write_fmt(&mut name, format_args!("user-{i}")).unwrap();
        places[usize::from(bucket("support-summary/1", &name))] += 1;
    }
    let everyone = || places.iter().zip(0_u16..);
    let mut had = vec![false; 10_000];
    for percent in [0_u16, 1, 5, 25, 50, 100] {
        let exposure = exposure(percent * 100, 0);
        let mut people = [0_usize; 2];
        for (count, place) in everyone() {
            match arm(place, exposure) {
                Arm::Candidate => {
                    people[0] += count;
                    had[usize::from(place)] = true;
                }
                other => {
                    assert!(
                        !had[usize::from(place)],
                        "place {place} lost the candidate at {percent}%"
                    );
                    people[1] += if other == Arm::Control { *count } else { 0 };
                }
            }
        }
        let points = |people: usize| people as f64 * 100.0 / PEOPLE as f64;
        let control = percent.min(100 - percent);
        assert!((points(people[0]) - f64::from(percent)).abs() <= 0.1, "{percent}%: {people:?}");
        assert!((points(people[1]) - f64::from(control)).abs() <= 0.1, "{percent}%: {people:?}");
    }
}

/// Chi-square of counts against an equal spread.
fn chi_square(counts: &[f64]) -> f64 {
    let expected = counts.iter().sum::<f64>() / counts.len() as f64;
    counts.iter().map(|c| (c - expected).powi(2) / expected).sum()
}

/// With 99 degrees of freedom, 99.9999 % of honest samples stay below 180 and
/// above 45. The salts are fixed, so this does not flicker.
#[test]
fn places_are_spread_evenly_and_salts_are_independent() {
    let salts: Vec<String> = (1..=8).map(|i| format!("support-summary/{i}")).collect();
    let mut total = 0.0;
    for pair in salts.windows(2) {
        let mut places = vec![0.0; 100];
        let mut joint = vec![0.0; 100];
        for i in 0..10_000 {
            let subject = format!("{i}@example.com");
            let (a, b) = (bucket(&pair[0], &subject), bucket(&pair[1], &subject));
            places[usize::from(a / 100)] += 1.0;
            joint[usize::from(a / 1000 * 10 + b / 1000)] += 1.0;
        }
        let (spread, together) = (chi_square(&places), chi_square(&joint));
        assert!((45.0..180.0).contains(&spread), "{}: {spread}", pair[0]);
        assert!((45.0..180.0).contains(&together), "{pair:?}: {together}");
        total += spread;
    }
    // Seven salts: 693 degrees of freedom, standard deviation 37.
    assert!((545.0..841.0).contains(&total), "{total}");
}

/// A salt ends where the subject begins.
#[test]
fn a_longer_salt_is_another_salt() {
    assert_ne!(bucket("ab", "c"), bucket("a", "bc"));
}
