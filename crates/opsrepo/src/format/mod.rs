//! The files of an ops repo, one file here per format there.
//!
//! Every format has `apiVersion: tidegate/v1` and refuses keys it does not
//! know. The structs here are the formats; what only several files together can
//! say is checked in [`crate::parse`].

pub mod aliases;
pub mod app;
pub mod experiment;
pub mod fallback;
pub mod feature;
pub mod judge;
pub mod model;
pub mod policy_cases;
pub mod prices;
pub mod prompt;
pub mod release;
pub mod rollout;
pub mod settings;
pub mod sign_on;
pub mod suite;

#[cfg(test)]
mod published;

/// A fault of a file that reads: the field (dotted path) and what is wrong with
/// it, the code of the finding and the mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Dotted path such as `rules[2].when`. Empty for the file as a whole.
    pub(crate) field: String,
    /// Stable code of the finding.
    pub(crate) code: &'static str,
    /// What is wrong, in one sentence.
    pub(crate) message: String,
    /// What to do.
    pub(crate) mend: String,
    /// What to write instead, if it is that simple.
    pub(crate) replacement: Option<String>,
}

impl Fault {
    /// A fault of a field.
    pub(crate) fn new(
        field: impl Into<String>,
        code: &'static str,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            code,
            message: message.into(),
            mend: mend.into(),
            replacement: None,
        }
    }

    /// With what to write instead.
    #[must_use]
    pub(crate) fn replace(mut self, text: Option<&str>) -> Self {
        self.replacement = text.map(str::to_owned);
        self
    }
}

/// A file format with an `apiVersion` and rules its types cannot say.
pub(crate) trait Format: serde::de::DeserializeOwned {
    /// Keys every file of this format has.
    const REQUIRED: &'static [&'static str];
    /// True if no rule about one list needs another: then the faults of a list
    /// are told although an item of another does not read.
    const LISTS_STAND_ALONE: bool = false;
    /// The `apiVersion` that was written.
    fn api_version(&self) -> &str;
    /// Faults the types cannot say.
    fn faults(&self) -> Vec<Fault>;
}
