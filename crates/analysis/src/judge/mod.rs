//! What people would have said, from what a judge said of every answer.
//!
//! A judge is cheap and wrong now and then; a person is right and dear. Two ways
//! to have both: a judge whose errors were measured once ([`calibrated`]), and
//! people who label a random sample of what the judge judged ([`powered`]). Both
//! give an interval that holds the uncertainty of the labels, not only that of
//! the answers.
//!
//! An [`Arm`] is a handful of whole numbers, so arms merge exactly and in any
//! order. A judge must not know which arm answered: then its errors cost
//! sharpness here and nothing elsewhere, as tests on labels compare arms under
//! one judge.
//!
//! Intervals here are for one look. They describe; verdicts that may be looked
//! at every minute come from the tests of [`crate::engine`].

pub mod calibrated;
pub mod powered;
mod sums;

#[cfg(test)]
mod tests;

pub use sums::Arm;

use calibrated::Calibration;
use domain::policy::Judge;

/// Human labels of an arm below which they correct nothing: a calibrated judge is
/// trusted more, and without one there is nothing to say.
pub const FEW_LABELS: u64 = 10;

/// A value as people would have measured it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Corrected {
    /// The estimate.
    pub value: f64,
    /// Lower end of its confidence interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Human labels it rests on: the arm's own, or those of the judge's
    /// calibration.
    pub labels: u64,
}

/// How a corrected mean is had.
enum Way {
    /// From labels of the arm itself.
    Powered,
    /// From the judge's known errors.
    Calibrated(Calibration),
}

impl Arm {
    /// The arm's mean as people would have measured it, with a confidence
    /// interval of this level (0.95, say) for one look.
    ///
    /// With `human` labels of the arm itself, the prediction-powered mean;
    /// with the judge's sensitivity, specificity and number of calibration
    /// labels, the corrected rate, for which 1 is bad and 0 is good. With both,
    /// the arm's own labels once there are [`FEW_LABELS`] of them. None if
    /// neither can be had: too few labels, a judge that is no better than a coin, or
    /// labels that are all alike on a scale nobody told.
    pub fn corrected(&self, judge: &Judge, level: f64) -> Option<Corrected> {
        match self.way(judge)? {
            Way::Powered => powered::mean(self, level).map(|estimate| estimate.corrected()),
            Way::Calibrated(calibration) => calibration.rate(self, level),
        }
    }

    fn way(&self, judge: &Judge) -> Option<Way> {
        if judge.human.is_some() && self.labels() >= FEW_LABELS {
            return Some(Way::Powered);
        }
        Calibration::of(judge).filter(|_| self.is_binary()).map(Way::Calibrated)
    }
}

/// How much higher the mean of `a` is than that of `b`, as people would have
/// measured it. Of arms that the same calibrated judge judged, the uncertainty
/// of its calibration counts once. Where one arm has too few labels, both are
/// compared by the calibration. None where [`Arm::corrected`] is none for
/// either arm.
pub fn difference(a: &Arm, b: &Arm, judge: &Judge, level: f64) -> Option<Corrected> {
    match (a.way(judge)?, b.way(judge)?) {
        (Way::Powered, Way::Powered) => powered::difference(a, b, level),
        // One kind of estimate for both, the one that both can have.
        (Way::Calibrated(calibration), _) | (_, Way::Calibrated(calibration)) => {
            calibration.difference(a, b, level)
        }
    }
}

/// The quantile of Student's distribution with `df` degrees of freedom that
/// cuts off half of what a two-sided interval of this level leaves out; none
/// for a level or degrees that are none.
fn student(level: f64, df: f64) -> Option<f64> {
    use statrs::distribution::{ContinuousCDF as _, Normal, StudentsT};
    if !(level > 0.0 && level < 1.0 && df > 0.0) {
        return None;
    }
    let p = (1.0 + level) / 2.0;
    // From here on the two agree to all digits shown to anybody.
    if df > 1e6 {
        return Some(Normal::standard().inverse_cdf(p));
    }
    Some(StudentsT::new(0.0, 1.0, df).ok()?.inverse_cdf(p))
}
