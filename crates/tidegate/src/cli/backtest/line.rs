//! One line of a trace: one outcome, read in place.
//!
//! A trace has millions of lines, so names are compared where they stand and
//! the outcome is filled again and again: a line allocates nothing. Keys nobody
//! knows are ignored, since recordings carry more than a policy asks for; what
//! is known must make sense.

use analysis::{Label, Outcome, Side};
use domain::policy::RolloutPolicy;
use domain::telemetry::answer_hash;
use domain::units::{MAX_SPAN_MILLIS, Timestamp};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt::{self, Write as _};

/// The metric that says that an answer failed, whatever the policy watches.
const FAILED: &str = "error";
/// Both arms answered one input: either answer is the candidate's with this
/// probability.
const OF_TWO: f64 = 0.5;

/// What a policy knows of a trace: the names of its signals and the share.
pub struct Names {
    signals: Vec<String>,
    /// What people label, by the name of their word and the signal's index.
    labels: Vec<(String, u16)>,
    share: Option<f64>,
}

impl Names {
    /// Those of a policy.
    pub fn of(policy: &RolloutPolicy) -> Self {
        Self {
            signals: policy.signals.iter().map(|signal| signal.name.clone()).collect(),
            labels: (0..)
                .zip(&policy.signals)
                .filter_map(|(index, signal)| Some((signal.label_name()?, index)))
                .collect(),
            share: policy.planned.and_then(|planned| planned.share).map(|share| share.fraction()),
        }
    }
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Counted from 1, if it is at one place.
    pub column: Option<usize>,
    /// What is wrong and what to do.
    pub problem: String,
}

/// The line being read.
pub struct Line<'n> {
    names: &'n Names,
    /// What it says. Holds the last line that was read well.
    pub outcome: Outcome,
    /// What people say in it of an answer that a judge judges: signal and number.
    labels: Vec<(u16, f64)>,
    /// Seconds since the start, as far as the last line told, well or not.
    pub time: Option<f64>,
}

impl<'n> Line<'n> {
    /// Before the first line.
    pub fn new(names: &'n Names) -> Self {
        let outcome = Outcome {
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
            values: Vec::with_capacity(names.signals.len()),
        };
        Self { names, outcome, labels: Vec::new(), time: None }
    }

    /// Labels of people in the last line that was read well. Without `answer`
    /// nobody knows what they are about, nor whether it was chosen by chance.
    pub fn labels(&self) -> impl Iterator<Item = Label> + '_ {
        let side = self.outcome.side;
        self.outcome.answer.into_iter().flat_map(move |answer| {
            let labels = self.labels.iter();
            labels.map(move |(signal, value)| Label {
                side,
                answer,
                signal: *signal,
                value: *value,
            })
        })
    }

    /// True if the last line is nothing but a label: that is no outcome.
    pub fn is_label(&self) -> bool {
        !self.labels.is_empty() && self.outcome.values.is_empty()
    }

    /// Reads one line.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), Wrong> {
        (self.time, self.outcome.failed) = (None, false);
        self.outcome.values.clear();
        self.labels.clear();
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let read = (Fields { line: self }).deserialize(&mut json).and_then(|()| json.end());
        match read {
            Ok(()) => {
                self.outcome.at = millis(self.time.unwrap_or_default());
                self.outcome.values.sort_unstable_by_key(|(signal, _)| *signal);
                Ok(())
            }
            Err(error) => {
                self.time = self.time.or_else(|| only_time(bytes));
                Err(wrong(&error))
            }
        }
    }
}

/// Seconds in milliseconds, rounded up: what became known after a look must not
/// be seen by it.
pub fn millis(seconds: f64) -> Timestamp {
    // Bounded when it was read.
    Timestamp((seconds * 1000.0).ceil() as i64)
}

/// The time of a line that is wrong elsewhere.
fn only_time(bytes: &[u8]) -> Option<f64> {
    struct Time(Option<f64>);
    impl<'de> Visitor<'de> for Time {
        type Value = Option<f64>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Option<f64>, A::Error> {
            while let Some(key) = map.next_key_seed(KeyOf)? {
                match key {
                    Key::Time => self.0 = Some(map.next_value_seed(Number(TIME))?),
                    _ => drop(map.next_value::<IgnoredAny>()?),
                }
            }
            Ok(self.0)
        }
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let time = json.deserialize_map(Time(None)).ok()??;
    check_time(time).is_ok().then_some(time)
}

fn wrong(error: &serde_json::Error) -> Wrong {
    let text = error.to_string();
    let problem = text.split(" at line ").next().unwrap_or_default();
    let problem = match problem {
        "expected value" | "expected ident" => {
            "this is no JSON value; `NaN` and infinities are none, leave out what was not measured"
        }
        "number out of range" => "the number is out of range; leave out what was not measured",
        eof if eof.starts_with("EOF") => {
            "the line ends in the middle; write one whole JSON object a line"
        }
        other => other,
    };
    Wrong { column: Some(error.column().max(1)), problem: problem.to_owned() }
}

const TIME: &str = "`t` as a number: seconds since the rollout started";

fn check_time(time: f64) -> Result<(), &'static str> {
    if time < 0.0 {
        Err("`t` is negative; it counts seconds from the start of the rollout")
    } else if time * 1000.0 > MAX_SPAN_MILLIS as f64 {
        Err("`t` is more than ten years; it counts seconds from the start of the rollout")
    } else {
        Ok(())
    }
}

/// Keys of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Time,
    Arm,
    Metrics,
    Share,
    Unit,
    Segment,
    Pair,
    Input,
    Answer,
    Other,
}

impl Key {
    fn name(self) -> &'static str {
        match self {
            Self::Time => "t",
            Self::Arm => "arm",
            Self::Metrics => "metrics",
            Self::Share => "share",
            Self::Unit => "unit",
            Self::Segment => "segment",
            Self::Pair => "pair",
            Self::Input => "input",
            Self::Answer => "answer",
            Self::Other => "",
        }
    }
}

struct KeyOf;

impl<'de> DeserializeSeed<'de> for KeyOf {
    type Value = Key;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Key, D::Error> {
        d.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyOf {
    type Value = Key;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<Key, E> {
        Ok(match key {
            "t" => Key::Time,
            "arm" => Key::Arm,
            "metrics" => Key::Metrics,
            "share" => Key::Share,
            "unit" => Key::Unit,
            "segment" => Key::Segment,
            "pair" => Key::Pair,
            "input" => Key::Input,
            "answer" => Key::Answer,
            _ => Key::Other,
        })
    }
}

/// The whole line, into [`Line`].
struct Fields<'l, 'n> {
    line: &'l mut Line<'n>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one JSON object a line, with `t`, `arm` and `metrics`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Line { names, outcome, labels, time } = self.line;
        let mut given = [false; 9];
        let (mut share, mut unit, mut segment, mut pair) = (None, None, None, None);
        let (mut input, mut answer) = (None, None);
        while let Some(key) = map.next_key_seed(KeyOf)? {
            if let Some(given) = given.get_mut(key as usize) {
                if *given {
                    return Err(de::Error::custom(format!("`{}` is given twice", key.name())));
                }
                *given = true;
            }
            match key {
                Key::Time => {
                    let seconds = map.next_value_seed(Number(TIME))?;
                    check_time(seconds).map_err(de::Error::custom)?;
                    *time = Some(seconds);
                }
                Key::Arm => outcome.side = map.next_value_seed(Arm)?,
                Key::Metrics => map.next_value_seed(Metrics {
                    names,
                    values: &mut outcome.values,
                    labels,
                    failed: &mut outcome.failed,
                })?,
                Key::Share => share = map.next_value_seed(Share)?,
                Key::Unit => unit = map.next_value_seed(Hashed("unit"))?,
                Key::Segment => segment = map.next_value_seed(Hashed("segment"))?,
                Key::Pair => pair = map.next_value_seed(Hashed("pair"))?,
                Key::Input => input = map.next_value_seed(Hashed("input"))?,
                Key::Answer => answer = map.next_value_seed(Hashed("answer"))?,
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        for key in [Key::Time, Key::Arm, Key::Metrics] {
            if !given.get(key as usize).is_some_and(|given| *given) {
                return Err(de::Error::custom(format!("`{}` is missing", key.name())));
            }
        }
        let planned = if pair.is_some() { Some(OF_TWO) } else { names.share };
        outcome.share = share.or(planned).ok_or_else(|| {
            de::Error::custom(
                "`share` is missing, and the policy has no `planned.share`; give one of them",
            )
        })?;
        (outcome.unit, outcome.segment) = (unit, segment);
        (outcome.pair, outcome.input, outcome.answer) = (pair, input, answer);
        Ok(())
    }
}

/// A finite number; the text says of what.
struct Number(&'static str);

impl<'de> DeserializeSeed<'de> for Number {
    type Value = f64;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<f64, D::Error> {
        d.deserialize_f64(self)
    }
}

impl Visitor<'_> for Number {
    type Value = f64;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
    fn visit_f64<E: de::Error>(self, v: f64) -> Result<f64, E> {
        Ok(v)
    }
    fn visit_u64<E: de::Error>(self, v: u64) -> Result<f64, E> {
        Ok(v as f64)
    }
    fn visit_i64<E: de::Error>(self, v: i64) -> Result<f64, E> {
        Ok(v as f64)
    }
}

struct Arm;

impl<'de> DeserializeSeed<'de> for Arm {
    type Value = Side;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Side, D::Error> {
        d.deserialize_str(self)
    }
}

impl Visitor<'_> for Arm {
    type Value = Side;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`arm` as `baseline` or `candidate`")
    }
    fn visit_str<E: de::Error>(self, arm: &str) -> Result<Side, E> {
        match arm {
            "baseline" => Ok(Side::Baseline),
            "candidate" => Ok(Side::Candidate),
            other => {
                Err(E::custom(format!("`{other}` is not an arm; write `baseline` or `candidate`")))
            }
        }
    }
}

/// The probability with which this request could have been the candidate's.
struct Share;

const SHARE: &str = "`share` as a number from 0 to 1";

impl<'de> DeserializeSeed<'de> for Share {
    type Value = Option<f64>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Option<f64>, D::Error> {
        d.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Share {
    type Value = Option<f64>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHARE)
    }
    fn visit_none<E: de::Error>(self) -> Result<Option<f64>, E> {
        Ok(None)
    }
    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Option<f64>, D::Error> {
        let share = Number(SHARE).deserialize(d)?;
        if (0.0..=1.0).contains(&share) {
            return Ok(Some(share));
        }
        Err(de::Error::custom(format!("a share of {share} is out of range; write 0 to 1")))
    }
}

/// Text or a number, by its hash; empty text is none. The hash is fixed for
/// ever, so that the same recording gives the same verdict everywhere.
struct Hashed(&'static str);

impl Hashed {
    /// Answers are named as the gateway's own are, so that a sample that was
    /// chosen by the request id is known again.
    fn of(&self, what: impl fmt::Display) -> u64 {
        match self.0 == Key::Answer.name() {
            true => answer_hash(&what.to_string()),
            false => hash(what),
        }
    }

    /// Other recorders may keep the input, or the answer, itself under this name.
    fn is_lenient(&self) -> bool {
        [Key::Input.name(), Key::Answer.name()].contains(&self.0)
    }
}

impl<'de> DeserializeSeed<'de> for Hashed {
    type Value = Option<u64>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Option<u64>, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Hashed {
    type Value = Option<u64>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` as text or a number", self.0)
    }
    fn visit_unit<E: de::Error>(self) -> Result<Option<u64>, E> {
        Ok(None)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<u64>, E> {
        Ok((!text.is_empty()).then(|| hashed_already(text).unwrap_or_else(|| self.of(text))))
    }
    fn visit_bool<E: de::Error>(self, v: bool) -> Result<Option<u64>, E> {
        if self.is_lenient() {
            return Ok(None);
        }
        Err(E::invalid_type(de::Unexpected::Bool(v), &self))
    }
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Option<u64>, A::Error> {
        if !self.is_lenient() {
            return Err(de::Error::invalid_type(de::Unexpected::Seq, &self));
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<u64>, A::Error> {
        if !self.is_lenient() {
            return Err(de::Error::invalid_type(de::Unexpected::Map, &self));
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Option<u64>, E> {
        Ok(Some(self.of(v)))
    }
    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Option<u64>, E> {
        Ok(Some(self.of(v)))
    }
    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Option<u64>, E> {
        Ok(Some(self.of(v)))
    }
}

/// FNV-1a over the text, mixed so that every bit depends on every byte
/// (Fowler, Noll & Vo; the finaliser of MurmurHash3).
struct Fnv(u64);

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(())
    }
}

/// Sixteen hexadecimal digits are a 64-bit hash already. Traces made of
/// Tidegate's own telemetry carry what its controller saw, so that a replay sees
/// the same.
fn hashed_already(text: &str) -> Option<u64> {
    let digits = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// The hash of what this reads as.
fn hash(what: impl fmt::Display) -> u64 {
    let mut fnv = Fnv(0xcbf2_9ce4_8422_2325);
    // Hashing never fails.
    write!(fnv, "{what}").ok();
    let mut mixed = fnv.0;
    for factor in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(factor);
    }
    mixed ^ (mixed >> 33)
}

/// Name → number. Names the policy does not know are ignored.
struct Metrics<'a> {
    names: &'a Names,
    values: &'a mut Vec<(u16, f64)>,
    labels: &'a mut Vec<(u16, f64)>,
    failed: &'a mut bool,
}

impl<'de> DeserializeSeed<'de> for Metrics<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Metrics<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`metrics` as an object of names and numbers")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(metric) = map.next_key_seed(MetricOf(self.names))? {
            let Metric { signal, label, fails } = metric;
            if signal.is_none() && label.is_none() && !fails {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let Some(value) = map.next_value_seed(Measured)? else { continue };
            *self.failed |= fails && value == 1.0;
            self.label(label, value)?;
            let Some(signal) = signal else { continue };
            if self.values.iter().any(|(known, _)| *known == signal) {
                let name = self.names.signals.get(usize::from(signal));
                return Err(twice(name.map_or("", String::as_str)));
            }
            self.values.push((signal, value));
        }
        Ok(())
    }
}

impl Metrics<'_> {
    /// Takes in a label for every signal that asks for it under this name.
    fn label<E: de::Error>(&mut self, first: Option<usize>, value: f64) -> Result<(), E> {
        let Some((name, _)) = first.and_then(|first| self.names.labels.get(first)) else {
            return Ok(());
        };
        for (_, signal) in self.names.labels.iter().filter(|(of, _)| of == name) {
            if self.labels.iter().any(|(known, _)| known == signal) {
                return Err(twice(name));
            }
            self.labels.push((*signal, value));
        }
        Ok(())
    }
}

fn twice<E: de::Error>(name: &str) -> E {
    E::custom(format!("`{name}` is given twice"))
}

/// What a policy knows a name as.
struct Metric {
    /// The index of the signal.
    signal: Option<u16>,
    /// The place of the first label of that name.
    label: Option<usize>,
    /// It says that an answer failed.
    fails: bool,
}

struct MetricOf<'a>(&'a Names);

impl<'de> DeserializeSeed<'de> for MetricOf<'_> {
    type Value = Metric;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_str(self)
    }
}

impl Visitor<'_> for MetricOf<'_> {
    type Value = Metric;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a metric")
    }
    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        let signal = self.0.signals.iter().position(|known| known == name);
        Ok(Metric {
            signal: signal.and_then(|signal| u16::try_from(signal).ok()),
            label: self.0.labels.iter().position(|(known, _)| known == name),
            fails: name == FAILED,
        })
    }
}

/// A measured number; `true` and `false` are 1 and 0, `null` was not measured.
struct Measured;

impl<'de> DeserializeSeed<'de> for Measured {
    type Value = Option<f64>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Option<f64>, D::Error> {
        d.deserialize_any(self)
    }
}

impl Visitor<'_> for Measured {
    type Value = Option<f64>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or nothing for what was not measured")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Option<f64>, E> {
        Ok(None)
    }
    fn visit_bool<E: de::Error>(self, v: bool) -> Result<Option<f64>, E> {
        Ok(Some(f64::from(u8::from(v))))
    }
    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Option<f64>, E> {
        Ok(Some(v))
    }
    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Option<f64>, E> {
        Ok(Some(v as f64))
    }
    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Option<f64>, E> {
        Ok(Some(v as f64))
    }
}

#[cfg(test)]
mod tests;
