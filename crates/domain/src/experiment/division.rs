//! Which places belong to which variant.
//!
//! Places are those of sticky assignment, [0, 10 000). At the beginning each
//! variant has one stretch of them. When shares change, a variant that loses
//! gives up its highest places, and those that gain take just these: as many
//! subjects move as must, and nobody moves between two variants of which
//! neither lost or neither gained. Weighted rendezvous hashing would need no
//! table, but takes logarithms, on which ports in other languages would have to
//! agree to the last bit, and moves more people when several shares change at
//! once.

use crate::units::{FULL, Share};
use serde::{Deserialize, Serialize};

/// The places of every variant: for each stretch the place it ends before, and
/// its variant, by place in the policy. Stretches follow each other from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Division(Vec<(u16, u8)>);

impl Division {
    /// One stretch for each variant, in order. Shares that do not add up to
    /// everything leave the last places to nobody.
    pub fn of(shares: &[Share]) -> Self {
        let mut owners = Vec::with_capacity(usize::from(FULL));
        for (variant, share) in (0_u8..).zip(shares) {
            let room = usize::from(FULL).saturating_sub(owners.len());
            owners.extend(std::iter::repeat_n(variant, usize::from(share.bp()).min(room)));
        }
        Self::stretches(&owners)
    }

    /// The variant of a place; none if the place is nobody's.
    pub fn variant(&self, place: u16) -> Option<u8> {
        let at = self.0.partition_point(|(until, _)| *until <= place);
        self.0.get(at).map(|(_, variant)| *variant)
    }

    /// What each of so many variants has.
    pub fn shares(&self, variants: usize) -> Vec<Share> {
        let mut places = vec![0_u16; variants];
        let mut from = 0;
        for (until, variant) in &self.0 {
            if let Some(sum) = places.get_mut(usize::from(*variant)) {
                *sum = sum.saturating_add(until.saturating_sub(from));
            }
            from = *until;
        }
        places.into_iter().map(Share::from_bp).collect()
    }

    /// The same places divided by other shares, with as few of them in other
    /// hands as possible.
    #[must_use]
    pub fn moved(&self, shares: &[Share]) -> Self {
        let mut owners: Vec<Option<u8>> = (0..FULL).map(|place| self.variant(place)).collect();
        let has = self.shares(shares.len());
        let mut surplus: Vec<u16> =
            has.iter().zip(shares).map(|(has, due)| has.bp().saturating_sub(due.bp())).collect();
        for owner in owners.iter_mut().rev() {
            match owner.map(|variant| surplus.get_mut(usize::from(variant))) {
                Some(Some(0)) | None => {}
                Some(Some(left)) => {
                    *left -= 1;
                    *owner = None;
                }
                // A variant there is no more.
                Some(None) => *owner = None,
            }
        }
        let mut missing =
            has.iter().zip(shares).map(|(has, due)| due.bp().saturating_sub(has.bp()));
        let mut gaining = (0_u8..).zip(missing.by_ref()).collect::<Vec<_>>().into_iter();
        let mut now = gaining.next();
        for owner in owners.iter_mut().filter(|owner| owner.is_none()) {
            while now.is_some_and(|(_, left)| left == 0) {
                now = gaining.next();
            }
            let Some((variant, left)) = &mut now else { break };
            *owner = Some(*variant);
            *left -= 1;
        }
        let owners: Vec<u8> = owners.into_iter().map_while(|owner| owner).collect();
        Self::stretches(&owners)
    }

    fn stretches(owners: &[u8]) -> Self {
        let mut stretches: Vec<(u16, u8)> = Vec::new();
        for (until, owner) in (1_u16..).zip(owners) {
            match stretches.last_mut() {
                Some((end, last)) if last == owner => *end = until,
                _ => stretches.push((until, *owner)),
            }
        }
        Self(stretches)
    }
}

/// Shares in whole basis points that add up to everything: rounded down, and
/// what is left over goes to those who lost most by it, the first of equals
/// first (the method of the largest remainder). Who has nothing gets nothing.
pub fn whole(shares: &[f64]) -> Vec<Share> {
    let sound = |share: &f64| if share.is_finite() { share.max(0.0) } else { 0.0 };
    let total: f64 = shares.iter().map(sound).sum();
    if total <= 0.0 {
        return vec![Share::NONE; shares.len()];
    }
    let exact: Vec<f64> =
        shares.iter().map(|share| sound(share) / total * f64::from(FULL)).collect();
    // At most 10 000 each.
    let mut places: Vec<u16> = exact.iter().map(|places| places.floor() as u16).collect();
    let given: u32 = places.iter().map(|places| u32::from(*places)).sum();
    let left = usize::try_from(u32::from(FULL).saturating_sub(given)).unwrap_or(0);
    let mut order: Vec<usize> = (0..exact.len()).filter(|i| exact[*i] > 0.0).collect();
    order.sort_by(|a, b| (exact[*b].fract()).total_cmp(&exact[*a].fract()).then(a.cmp(b)));
    for i in order.into_iter().cycle().take(left) {
        places[i] = places[i].saturating_add(1);
    }
    places.into_iter().map(Share::from_bp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bp(shares: &[u16]) -> Vec<Share> {
        shares.iter().map(|bp| Share::from_bp(*bp)).collect()
    }

    fn moves(before: &Division, after: &Division) -> Vec<(Option<u8>, Option<u8>)> {
        (0..FULL)
            .map(|place| (before.variant(place), after.variant(place)))
            .filter(|(from, to)| from != to)
            .collect()
    }

    fn some_shares(variants: usize) -> impl Strategy<Value = Vec<Share>> {
        proptest::collection::vec(0.0..1.0_f64, variants).prop_map(|mut shares| {
            shares[0] += 0.01;
            whole(&shares)
        })
    }

    fn some_history() -> impl Strategy<Value = Vec<Vec<Share>>> {
        (2..=10_usize).prop_flat_map(|k| proptest::collection::vec(some_shares(k), 1..8))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Whatever came before: shares are met to the place, no place is
        /// nobody's, and exactly as many move as must.
        #[test]
        fn shares_are_met_and_no_more_move_than_must(history in some_history()) {
            let mut division = Division::of(&history[0]);
            for shares in &history {
                let next = division.moved(shares);
                prop_assert_eq!(&next.shares(shares.len()), shares);
                prop_assert!((0..FULL).all(|place| next.variant(place).is_some()));
                let had = division.shares(shares.len());
                let gained: usize = had
                    .iter()
                    .zip(shares)
                    .map(|(had, has)| usize::from(has.bp().saturating_sub(had.bp())))
                    .sum();
                prop_assert_eq!(moves(&division, &next).len(), gained);
                division = next;
            }
        }

        /// Raising one variant's share never moves a subject between two others.
        #[test]
        fn who_grows_takes_and_nobody_else_does(history in some_history(), grows in 0..10_usize, by in 0.0..1.0_f64) {
            let k = history[0].len();
            let grows = grows % k;
            let division = history.iter().fold(Division::default(), |d, shares| d.moved(shares));
            let mut wanted: Vec<f64> = division.shares(k).iter().map(|s| s.fraction()).collect();
            wanted[grows] += by;
            let after = division.moved(&whole(&wanted));
            for (from, to) in moves(&division, &after) {
                // Rounding may hand a single place back.
                prop_assert!(usize::from(to.unwrap()) == grows || by < 1e-3, "{from:?} to {to:?}");
            }
            // And the other way round: who shrinks gives, and nobody else does.
            for (from, to) in moves(&after, &after.moved(&division.shares(k))) {
                prop_assert!(usize::from(from.unwrap()) == grows || by < 1e-3, "{from:?} to {to:?}");
            }
        }

        #[test]
        fn whole_shares_are_near_and_add_up(shares in proptest::collection::vec(0.0..1.0_f64, 1..11)) {
            let total: f64 = shares.iter().sum();
            let bp = whole(&shares);
            let sum: u32 = bp.iter().map(|s| u32::from(s.bp())).sum();
            prop_assert!(total == 0.0 || sum == 10_000);
            for (exact, got) in shares.iter().zip(&bp) {
                prop_assert!(total == 0.0 || (exact / total - got.fraction()).abs() < 1.0001e-4);
            }
        }
    }

    /// Golden: what another language must reproduce.
    #[test]
    fn a_division_is_this() {
        let first = Division::of(&bp(&[3334, 3333, 3333]));
        assert_eq!(serde_json::to_string(&first).unwrap(), "[[3334,0],[6667,1],[10000,2]]");
        let second = first.moved(&bp(&[1000, 8000, 1000]));
        assert_eq!(
            serde_json::to_string(&second).unwrap(),
            "[[1000,0],[6667,1],[7667,2],[10000,1]]"
        );
        let third = second.moved(&bp(&[2000, 8000, 0]));
        assert_eq!(
            serde_json::to_string(&third).unwrap(),
            "[[1000,0],[6667,1],[7667,0],[10000,1]]"
        );
        for (place, variant) in [(0, 0), (999, 0), (1000, 1), (6666, 1), (6667, 0), (9999, 1)] {
            assert_eq!(third.variant(place), Some(variant), "{place}");
        }
        assert_eq!(third.variant(10_000), None);
    }

    #[test]
    fn broken_tables_are_nobodys_places_and_no_panic() {
        let odd: Division = serde_json::from_str("[[5,200],[3,1]]").unwrap();
        assert_eq!(odd.variant(9), None);
        assert_eq!(odd.shares(2), bp(&[0, 0]));
        assert_eq!(odd.moved(&bp(&[5000, 5000])).shares(2), bp(&[5000, 5000]));
        assert_eq!(Division::of(&bp(&[9000, 9000])).shares(2), bp(&[9000, 1000]));
        assert_eq!(whole(&[f64::NAN, 0.0]), bp(&[0, 0]));
        assert_eq!(whole(&[1.0, 1.0, 1.0]), bp(&[3334, 3333, 3333]));
        assert_eq!(whole(&[0.0, 1e-9, 1.0]), bp(&[0, 0, 10_000]));
    }
}
