//! Evaluation suites: cases, what every answer must keep, and what it is
//! scored by. Plain data, as `docs/evals.md` describes it.
//!
//! `opsrepo` reads suites from files, `checks::score` judges single answers,
//! `analysis::compare` judges a suite's numbers, `evals` runs it all.

use crate::finding::Tier;
use crate::units::Ratio;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// Most repeats of a case.
pub const MAX_REPEATS: u32 = 1000;
/// Most cases of a suite.
pub const MAX_CASES: usize = 1_000_000;
/// Longest line of a cases file, in bytes.
pub const MAX_CASE_LEN: usize = 1 << 20;

/// One suite: `apps/<app>/evals/<name>.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Always `tidegate/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// What it proves, in plain words.
    pub title: String,
    /// When it runs, and whether it may cost money.
    #[serde(default = "recorded")]
    pub tier: Tier,
    /// What kind of proof it is.
    #[serde(default)]
    pub kind: SuiteKind,
    /// JSONL files with one [`Case`] a line, relative to the suite's folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Cases written in the suite itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<Case>,
    /// How often each case is asked.
    #[serde(default = "once")]
    pub repeats: u32,
    /// Seed of the first repeat; repeat `k` asks with `seed + k` where the
    /// provider takes a seed.
    #[serde(default)]
    pub seed: u64,
    /// What every answer must keep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// How many answers must keep all checks. All of them, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<PassRule>,
    /// What answers are scored by, and how good they must be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<ScoreRule>,
    /// What asking may cost, against production's answers on the same inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostRule>,
    /// Confidence of every interval of this suite.
    #[serde(default = "confidence")]
    pub confidence: Ratio,
    /// Most tokens one run may use with a paid provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_cap: Option<u64>,
}

fn recorded() -> Tier {
    Tier::Recorded
}

fn once() -> u32 {
    1
}

fn confidence() -> Ratio {
    Ratio(0.95)
}

/// What kind of proof a suite is.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum SuiteKind {
    /// Examples with known good answers.
    #[default]
    Golden,
    /// Attacks: a kept check is a resisted attack.
    Adversarial,
    /// Cases that failed in production once. Always run, zero tolerance.
    Danger,
    /// Retrieval: cases name relevant documents.
    Retrieval,
}

/// One case.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Unique in the suite.
    pub id: String,
    /// Variables of the prompt.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String, Value>,
    /// Messages of the app, as the gateway would get them (`role`, `content`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Value>,
    /// Reference answers; scores take the best one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<String>,
    /// What the answer must be grounded in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Relevant documents, with their grade (1 if all are alike).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub relevant: BTreeMap<String, f64>,
    /// Documents retrieved for this case, best first, where the answer does not
    /// tell (`{"documents": [...]}` in its tool calls).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retrieved: Vec<String>,
    /// What answers to this case must keep, beside the suite's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Groups it belongs to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// A rule an answer keeps or breaks.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Check {
    /// The answer is this text, without regard to white space around it.
    Equals(String),
    /// It holds this text, without regard to case.
    Contains(String),
    /// It holds at least one of these.
    ContainsAny(Vec<String>),
    /// It holds all of these.
    ContainsAll(Vec<String>),
    /// It holds none of these.
    NotContains(Vec<String>),
    /// This regular expression matches somewhere (linear time, no look-around).
    Matches(String),
    /// This one matches nowhere.
    NotMatches(String),
    /// It is JSON that keeps this JSON Schema (2020-12): a schema, or the path
    /// of a file relative to the suite's folder.
    JsonSchema(Value),
    /// The value at an RFC 9535 path of the answer's JSON.
    JsonPath(JsonPathRule),
    /// How long it is.
    Length(LengthRule),
    /// Its language, ISO 639-1.
    Language(String),
    /// A tool it must call.
    ToolCall(ToolCallRule),
    /// Tools it must not call; empty: none at all.
    NoToolCall(Vec<String>),
    /// True: it declines. False: it does not.
    Refuses(bool),
    /// None of these is in it: `secrets`, `personal_data`, `injection`.
    Free(Vec<Harm>),
    /// A verifiable instruction, named as in IFEval (Zhou et al. 2023).
    Instruction(InstructionRule),
    /// It is near a reference answer.
    Similarity(SimilarityRule),
    /// A classifier of `tidegate.yaml`, by its name, does not flag it.
    Moderation(String),
}

/// What an answer must be free of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Harm {
    /// Keys, tokens, passwords.
    Secrets,
    /// Personal data that was not in the input.
    PersonalData,
    /// Instructions to a model.
    Injection,
}

/// A value inside the answer's JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonPathRule {
    /// For example `$.order.status`.
    pub path: String,
    /// The value there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
    /// Something is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
}

/// Limits of length; those that are present hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LengthRule {
    /// What is counted.
    #[serde(default)]
    pub unit: LengthUnit,
    /// At least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u64>,
    /// At most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
}

/// What a length counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LengthUnit {
    /// Characters (Unicode scalar values).
    Characters,
    /// Words (UAX #29).
    #[default]
    Words,
    /// Sentences (UAX #29).
    Sentences,
    /// Lines that are not empty.
    Lines,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCallRule {
    /// The tool.
    pub name: String,
    /// Arguments that must be there with these values; others may be, too.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub arguments: Map<String, Value>,
}

/// A verifiable instruction with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstructionRule {
    /// For example `length_constraints:number_words`.
    pub id: String,
    /// Its settings, as IFEval names them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
}

/// How near an answer must be to the nearest reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimilarityRule {
    /// Least similarity, from 0 to 1.
    pub at_least: Ratio,
    /// The model of the repository that makes vectors; words are compared if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embeddings: Option<String>,
}

/// How many answers must keep all their checks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassRule {
    /// Least share of answers. The gate is on the interval's lower end, so few
    /// cases prove little.
    pub at_least: Ratio,
    /// Only the measured share counts, not the interval. For small suites.
    #[serde(default)]
    pub point: bool,
    /// The share may be this much below production's on the same inputs; the
    /// lower end of the paired difference's interval decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_worse_by: Option<Ratio>,
}

/// One measure of quality.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreRule {
    /// The measure.
    pub metric: Metric,
    /// Which judge, for [`Metric::Judge`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<String>,
    /// The model of the repository that makes vectors, for
    /// [`Metric::Similarity`]; words are compared if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embeddings: Option<String>,
    /// How many documents count, for retrieval; 10 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k: Option<u32>,
    /// Least mean: the interval's lower end must not be below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Ratio>,
    /// The mean may be this much below production's on the same inputs; the
    /// lower end of the paired difference's interval decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_worse_by: Option<Ratio>,
}

/// A measure of one answer, in [0, 1], more is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Equal to a reference after SQuAD's normalisation (Rajpurkar et al. 2016).
    ExactMatch,
    /// Token overlap F1 as in SQuAD.
    F1,
    /// Sentence BLEU (Papineni et al. 2002; as `sacrebleu`), divided by 100.
    Bleu,
    /// ROUGE-1 F (Lin 2004; as `rouge-score` with stemmer off).
    Rouge1,
    /// ROUGE-2 F.
    Rouge2,
    /// ROUGE-L F.
    RougeL,
    /// Recall of ROUGE-1: what of the reference is there. Falls by omission.
    Recall,
    /// Cosine of embeddings, or of words where no model is named.
    Similarity,
    /// Share of the answer's statements that the context supports.
    Groundedness,
    /// Share of what a repeat states that the case's other repeats state too
    /// (SelfCheckGPT; Manakul, Liusie and Gales 2023). One less it is the rate of
    /// contradictions.
    Consistency,
    /// Share of relevant documents among the first `k`.
    RecallAtK,
    /// Normalised discounted cumulative gain of the first `k`
    /// (Järvelin and Kekäläinen 2002).
    Ndcg,
    /// What a judge says.
    Judge,
}

/// Limits on what answers cost, each against production on the same inputs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostRule {
    /// Most growth of tokens (prompt and answer), for example `15%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Ratio>,
    /// Most growth of money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<Ratio>,
    /// Most milliseconds of the 95th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<u64>,
}

/// What a model gave for one case, from a provider or a recording.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The text; empty if there is none.
    pub text: String,
    /// Calls of tools, in order: `{"name", "arguments"}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Why there is no answer, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Tokens of the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u32>,
    /// Tokens of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u32>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
}

/// One call of a tool.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// Its arguments; null where they are not JSON.
    pub arguments: Value,
}

/// How an answer kept one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Stable name: the check's kind, such as `contains`.
    pub check: String,
    /// Kept.
    pub kept: bool,
    /// What was asked and what was found, in one sentence, if it was broken.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// One measured score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreResult {
    /// The measure.
    pub metric: Metric,
    /// Its value in [0, 1]; none if it could not be measured.
    pub value: Option<f64>,
    /// Why it could not be, or what is remarkable.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

// Cases and answers may hold what people wrote: they print without content.
impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("text_len", &self.text.len())
            .field("error", &self.error.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ToolCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolCall").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Check {
    /// The embeddings model it asks, if it asks one.
    pub fn embeddings(&self) -> Option<&str> {
        match self {
            Self::Similarity(rule) => rule.embeddings.as_deref(),
            _ => None,
        }
    }

    /// Its key in a suite.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Equals(_) => "equals",
            Self::Contains(_) => "contains",
            Self::ContainsAny(_) => "contains_any",
            Self::ContainsAll(_) => "contains_all",
            Self::NotContains(_) => "not_contains",
            Self::Matches(_) => "matches",
            Self::NotMatches(_) => "not_matches",
            Self::JsonSchema(_) => "json_schema",
            Self::JsonPath(_) => "json_path",
            Self::Length(_) => "length",
            Self::Language(_) => "language",
            Self::ToolCall(_) => "tool_call",
            Self::NoToolCall(_) => "no_tool_call",
            Self::Refuses(_) => "refuses",
            Self::Free(_) => "free",
            Self::Instruction(_) => "instruction",
            Self::Similarity(_) => "similarity",
            Self::Moderation(_) => "moderation",
        }
    }
}
