//! The outcomes of the last so-and-so long, counted in buckets.
//!
//! A window is cut into [`BUCKETS`] pieces at fixed times, so that it needs as
//! many numbers however busy it is, and a count never decays: it is exact to
//! one piece, which is counted whole until its last moment has left the window.

use domain::units::{Span, Timestamp};
use std::collections::VecDeque;

/// Pieces of a window; one more is under way.
pub(super) const BUCKETS: i64 = 240;

/// What was counted, by the piece of time it fell in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ring<T> {
    span: i64,
    width: i64,
    buckets: VecDeque<(i64, T)>,
}

impl<T: Default> Ring<T> {
    /// An empty window of this length.
    pub(super) fn new(span: Span) -> Self {
        let width = (span.millis().saturating_add(BUCKETS - 1) / BUCKETS).max(1);
        Self { span: span.millis(), width, buckets: VecDeque::new() }
    }

    /// The piece that `at` falls in. Time does not go back: what comes late
    /// counts to the newest piece. Nothing only if there is no memory.
    pub(super) fn bucket(&mut self, at: Timestamp) -> Option<&mut T> {
        let newest = self.buckets.back().map_or(i64::MIN, |(index, _)| *index);
        let index = at.0.div_euclid(self.width).max(newest);
        if index != newest || self.buckets.is_empty() {
            self.buckets.push_back((index, T::default()));
            // A jump of the clock must not make the ring longer than it is.
            let oldest = index.saturating_sub(BUCKETS);
            self.drop_while(|bucket| bucket < oldest);
        }
        self.buckets.back_mut().map(|(_, counted)| counted)
    }

    /// Forgets what has left the window, and shows the rest, oldest first.
    pub(super) fn within(&mut self, now: Timestamp) -> impl Iterator<Item = &T> {
        let from = now.0.saturating_sub(self.span);
        let width = self.width;
        self.drop_while(|index| index.saturating_add(1).saturating_mul(width) <= from);
        self.buckets.iter().map(|(_, counted)| counted)
    }

    fn drop_while(&mut self, old: impl Fn(i64) -> bool) {
        while self.buckets.front().is_some_and(|(index, _)| old(*index)) {
            self.buckets.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(ring: &mut Ring<u64>, second: i64) -> u64 {
        ring.within(Timestamp(second * 1000)).sum()
    }

    #[test]
    fn a_window_holds_what_is_in_it_to_one_piece() {
        let mut ring = Ring::<u64>::new(Span::from_secs(240));
        for second in 0..1000 {
            *ring.bucket(Timestamp(second * 1000)).unwrap() += 1;
            // The last 240 seconds and the one that is leaving.
            assert_eq!(count(&mut ring, second), (second as u64 + 1).min(241));
        }
        assert_eq!(count(&mut ring, 1100), 140);
        assert_eq!(count(&mut ring, 1239), 1);
        assert_eq!(count(&mut ring, 1240), 0);
    }

    #[test]
    fn long_windows_and_jumping_clocks_need_no_more_memory() {
        let mut ring = Ring::<u64>::new(Span::from_secs(3 * 86_400));
        for i in 0..100_000_i64 {
            *ring.bucket(Timestamp(i * 37_000)).unwrap() += 1;
            assert!(ring.buckets.len() <= BUCKETS as usize + 1);
        }
        *ring.bucket(Timestamp(i64::MAX)).unwrap() += 1;
        *ring.bucket(Timestamp(i64::MIN)).unwrap() += 1;
        assert_eq!(ring.within(Timestamp(i64::MAX)).sum::<u64>(), 2);
        assert_eq!(ring.buckets.len(), 1);
    }

    #[test]
    fn windows_shorter_than_their_pieces_are_counted_by_the_millisecond() {
        let mut ring = Ring::<u64>::new(Span::from_millis(5));
        (0..20).for_each(|ms| *ring.bucket(Timestamp(ms)).unwrap() += 1);
        assert_eq!(ring.within(Timestamp(19)).sum::<u64>(), 6);
    }
}
