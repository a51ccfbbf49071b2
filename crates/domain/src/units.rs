//! Time, spans and shares as people write them in files.
//!
//! Numbers are seconds; strings carry units (`30m`, `72h`). A share of traffic
//! is exact to one part in ten thousand.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// A point in time: milliseconds since 1970-01-01 UTC. Always an argument.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment plus a span.
    #[must_use]
    pub fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.millis()))
    }

    /// The span from `earlier` to this moment; zero if it lies after.
    pub fn since(self, earlier: Timestamp) -> Span {
        Span::from_millis(self.0.saturating_sub(earlier.0).max(0))
    }

    /// The whole second this moment falls in.
    pub fn second(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// ISO 8601 in UTC with milliseconds, for example `2026-11-21T14:03:12.250Z`.
    pub fn iso(self) -> String {
        let (date, ms) = (self.date(), self.0.rem_euclid(86_400_000));
        let (h, m, s, milli) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
        format!("{date}T{h:02}:{m:02}:{s:02}.{milli:03}Z")
    }

    /// Only the date in UTC, for example `2026-11-21`.
    pub fn date(self) -> String {
        let (year, month, day) = civil(self.0.div_euclid(86_400_000));
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// Only the time of day in UTC, for example `14:03:12`.
    pub fn clock(self) -> String {
        let s = self.0.div_euclid(1000).rem_euclid(86_400);
        format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    }
}

/// Where the time comes from. The binary hands in the system's clock, tests a
/// hand of their own; nothing else in Tidegate reads a clock.
#[derive(Clone)]
pub struct Clock(std::sync::Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that asks this function.
    pub fn new(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(std::sync::Arc::new(read))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Days since 1970-01-01 → year, month, day (Hinnant, "chrono-compatible
/// low-level date algorithms", `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// Days from 1970-01-01 to a day written `YYYY-MM-DD`; none if there is no such
/// day (Hinnant, `days_from_civil`; proved by going back).
pub fn day_number(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let mut number = |length: usize| {
        let part = parts.next()?;
        let digits = part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<i64>().ok()).flatten()
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    if parts.next().is_some() {
        return None;
    }
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let doy = (153 * shifted + 2) / 5 + day - 1;
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    (civil(days) == (year, month, day)).then_some(days)
}

/// Longest span a file may name: ten years.
pub const MAX_SPAN_MILLIS: i64 = 10 * 366 * 86_400_000;

/// A length of time in whole milliseconds, never negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(i64);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// From milliseconds; negative counts as zero.
    pub const fn from_millis(ms: i64) -> Self {
        Self(if ms < 0 { 0 } else { ms })
    }

    /// From whole seconds.
    pub const fn from_secs(s: i64) -> Self {
        Self::from_millis(s.saturating_mul(1000))
    }

    /// Length in milliseconds.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Length in seconds.
    pub fn secs(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl From<Span> for std::time::Duration {
    fn from(span: Span) -> Self {
        std::time::Duration::from_millis(span.0.unsigned_abs())
    }
}

impl FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || {
            format!(
                "`{text}` is not a length of time; write seconds as a number or for example `500ms`, `30s`, `10m`, `72h`, `7d`"
            )
        };
        let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let number: f64 = text[..split].trim().parse().map_err(|_| wanted())?;
        let unit = match &text[split..] {
            "ms" => 1.0,
            "" | "s" => 1000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return Err(wanted()),
        };
        let ms = number * unit;
        if !ms.is_finite() || ms < 0.0 || ms > MAX_SPAN_MILLIS as f64 {
            return Err(format!("`{text}` is out of range; a length of time is 0 to 10 years"));
        }
        Ok(Self(ms.round() as i64))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
            if self.0 >= ms && self.0 % ms == 0 {
                return write!(f, "{}{unit}", self.0 / ms);
            }
        }
        if self.0 == 0 { f.write_str("0s") } else { write!(f, "{}ms", self.0) }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// What a number-or-text field may hold; the visitor behind [`Span`] and [`Share`].
struct NumberOrText<T>(std::marker::PhantomData<T>, &'static str);

trait FromNumberOrText: Sized {
    fn from_number(number: f64) -> Result<Self, String>;
    fn from_text(text: &str) -> Result<Self, String>;
}

impl<T: FromNumberOrText> de::Visitor<'_> for NumberOrText<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }
    fn visit_u64<E: de::Error>(self, v: u64) -> Result<T, E> {
        T::from_number(v as f64).map_err(E::custom)
    }
    fn visit_i64<E: de::Error>(self, v: i64) -> Result<T, E> {
        T::from_number(v as f64).map_err(E::custom)
    }
    fn visit_f64<E: de::Error>(self, v: f64) -> Result<T, E> {
        T::from_number(v).map_err(E::custom)
    }
    fn visit_str<E: de::Error>(self, v: &str) -> Result<T, E> {
        T::from_text(v).map_err(E::custom)
    }
}

impl FromNumberOrText for Span {
    fn from_number(number: f64) -> Result<Self, String> {
        format!("{number}s").parse()
    }
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(NumberOrText(
            std::marker::PhantomData,
            "a length of time: seconds as a number, or for example `30m`",
        ))
    }
}

/// Ten thousand basis points are everything.
pub const FULL: u16 = 10_000;

/// A share of traffic in basis points, 0 to 10 000: exact to 1/10 000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u16);

impl Share {
    /// Nobody.
    pub const NONE: Share = Share(0);
    /// Everybody.
    pub const ALL: Share = Share(FULL);

    /// From basis points; more than 10 000 is everything.
    pub const fn from_bp(bp: u16) -> Self {
        Self(if bp > FULL { FULL } else { bp })
    }

    /// In basis points.
    pub const fn bp(self) -> u16 {
        self.0
    }

    /// As a number from 0 to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(FULL)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 100.0)
    }
}

impl FromNumberOrText for Share {
    fn from_number(number: f64) -> Result<Self, String> {
        let bp = number * f64::from(FULL);
        let whole = bp.round();
        if !(0.0..=f64::from(FULL)).contains(&whole) {
            return Err(format!(
                "a share of {number} is out of range; write a number from 0 to 1 or a percentage such as `5%`"
            ));
        }
        if (bp - whole).abs() > 1e-6 {
            return Err(format!("a share of {number} is finer than 0.01%, the smallest step"));
        }
        Ok(Self(whole as u16))
    }
    fn from_text(text: &str) -> Result<Self, String> {
        let percent = text.strip_suffix('%').map(str::trim);
        let number: f64 = percent.unwrap_or(text).parse().map_err(|_| {
            format!(
                "`{text}` is not a share; write a percentage such as `5%` or a number from 0 to 1"
            )
        })?;
        Self::from_number(if percent.is_some() { number / 100.0 } else { number })
    }
}

impl FromStr for Share {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::from_text(text)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(NumberOrText(
            std::marker::PhantomData,
            "a share: a percentage such as `5%` or a number from 0 to 1",
        ))
    }
}

/// A plain number that people may also write as a percentage: `1%` is 0.01.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd)]
pub struct Ratio(pub f64);

impl FromNumberOrText for Ratio {
    fn from_number(number: f64) -> Result<Self, String> {
        if number.is_finite() {
            Ok(Self(number))
        } else {
            Err("a number must be finite".to_owned())
        }
    }
    fn from_text(text: &str) -> Result<Self, String> {
        let percent = text.strip_suffix('%').map(str::trim);
        let number: f64 = percent
            .unwrap_or(text)
            .parse()
            .map_err(|_| format!("`{text}` is not a number or a percentage such as `1%`"))?;
        Self::from_number(if percent.is_some() { number / 100.0 } else { number })
    }
}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(NumberOrText(
            std::marker::PhantomData,
            "a number, or a percentage such as `1%`",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_what_people_write() {
        for (text, ms) in [("30m", 1_800_000), ("1.5h", 5_400_000), ("60", 60_000), ("250ms", 250)]
        {
            assert_eq!(text.parse::<Span>().map(Span::millis), Ok(ms), "{text}");
        }
        assert!("soon".parse::<Span>().is_err());
        assert!("-1s".parse::<Span>().is_err());
        assert_eq!(serde_json::from_str::<Span>("60").ok(), Some(Span::from_secs(60)));
    }

    #[test]
    fn shares_are_exact_or_refused() {
        assert_eq!("5%".parse(), Ok(Share::from_bp(500)));
        assert_eq!("0.01%".parse(), Ok(Share::from_bp(1)));
        assert!("0.001%".parse::<Share>().is_err());
        assert!("101%".parse::<Share>().is_err());
        assert_eq!(Share::from_bp(2550).to_string(), "25.5%");
    }

    #[test]
    fn days_are_counted_and_what_is_no_day_has_no_number() {
        for (day, number) in
            [("1970-01-01", 0), ("1970-03-01", 59), ("2000-02-29", 11_016), ("2026-11-21", 20_778)]
        {
            assert_eq!(day_number(day), Some(number), "{day}");
        }
        for bad in [
            "2027-02-29",
            "2027-13-01",
            "2027-00-10",
            "2027-01-00",
            "2027-1-1",
            "soon",
            "",
            "2027-01-01-01",
            "+027-01-01",
        ] {
            assert_eq!(day_number(bad), None, "{bad}");
        }
    }

    #[test]
    fn iso_agrees_with_known_dates() {
        assert_eq!(Timestamp(0).iso(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(951_782_400_000).iso(), "2000-02-29T00:00:00.000Z");
        assert_eq!(Timestamp(-1).iso(), "1969-12-31T23:59:59.999Z");
    }
}
