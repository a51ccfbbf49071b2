//! A release, ready to be asked, and why it may have no answer.
//!
//! Requests are made by `checks::template::Recipe`, as the gateway makes them.
//! Who answers depends on the model and on what the run may spend: recordings
//! of a `replay` model under its own keys, recordings of an evaluation under the
//! case's key, or the real provider.

use crate::recorder::Recorder;
use bytes::Bytes;
use checks::template::Recipe;
use connect::http::Client;
use connect::provider::{Prepared, Recordings};
use domain::component::ComponentKind;
use domain::finding::Tier;
use domain::ids::{Digest, ReleaseId};
use domain::price::{Price, PriceList, Quote};
use domain::recording::Recording;
use domain::snapshot::{ModelContent, Provider, ServedRelease};
use domain::suite::{Answer, Case};
use std::sync::Arc;

/// Characters of a digest that tell requests of one case apart in a key.
const SHORT: usize = 12;

/// A release and who answers for it.
#[derive(Debug)]
pub struct Subject {
    /// Which release.
    pub release: ReleaseId,
    /// Name of its model entry.
    pub model_name: String,
    pub(crate) recipe: Recipe,
    pub(crate) parameters: Arc<[(String, Bytes)]>,
    pub(crate) source: Source,
    /// Prices of the days of a month, the first being today's.
    pub(crate) prices: Vec<(u32, Price)>,
    /// True if the list has a price for it.
    pub(crate) listed: bool,
    /// Where replies are recorded, if they are.
    pub(crate) recorder: Option<Arc<Recorder>>,
    parameters_digest: Digest,
    provider: Digest,
}

#[derive(Debug)]
pub(crate) enum Source {
    Recorded(Vec<Arc<Recordings>>),
    Live { prepared: Box<Prepared>, client: Client },
    Nobody(String),
}

/// Where recordings and keys come from.
pub struct Recorded<'a> {
    /// The recordings a `replay` model names, by digest.
    pub by_digest: &'a dyn Fn(&Digest) -> Option<Arc<Recordings>>,
    /// What `eval record` wrote for the app.
    pub of_app: &'a [Arc<Recordings>],
    /// Keys of providers, by the name of their environment variable.
    pub secret: &'a dyn Fn(&str) -> Option<String>,
    /// The client for paid calls; none where nothing may be spent.
    pub client: Option<&'a Client>,
    /// The price list and the day it is asked for; the model's own price where
    /// there is none.
    pub prices: Option<(&'a PriceList, i64)>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NoAnswer {
    /// What kind of reason.
    pub cause: Cause,
    /// What happened, in words without content of prompts or answers.
    pub message: String,
    /// What to do.
    pub mend: String,
}

/// Kinds of reasons, worst for the run last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// No recording.
    Missing,
    /// A recording of another prompt or other parameters.
    Stale,
    /// The prompt could not be rendered.
    Render,
    /// The release cannot be asked at all.
    Unusable,
    /// A judge replied, but not with grades.
    Malformed,
    /// Somebody outside answered in another form than its API has.
    Garbage,
    /// The provider failed or refused.
    Provider,
    /// The provider took too long.
    Timeout,
    /// The provider asked for a longer pause than the run has patience.
    RateLimited,
    /// The token cap is spent.
    OverCap,
    /// The run gave up on the provider.
    GivenUp,
}

impl Cause {
    /// All of them.
    pub(crate) const ALL: [Self; 11] = [
        Self::Missing,
        Self::Stale,
        Self::Render,
        Self::Unusable,
        Self::Malformed,
        Self::Garbage,
        Self::Provider,
        Self::Timeout,
        Self::RateLimited,
        Self::OverCap,
        Self::GivenUp,
    ];

    /// Code of the finding.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "no_recording",
            Self::Stale => "stale_recording",
            Self::Render => "not_rendered",
            Self::Unusable => "release_unusable",
            Self::Malformed => "judge_malformed",
            Self::Garbage => "answer_malformed",
            Self::Provider => "provider_failed",
            Self::Timeout => "provider_hung",
            Self::RateLimited => "rate_limited",
            Self::OverCap => "token_cap",
            Self::GivenUp => "given_up",
        }
    }
}

impl NoAnswer {
    pub(crate) fn new(cause: Cause, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { cause, message: message.into(), mend: mend.into() }
    }
}

/// One question, ready to be asked.
#[derive(Clone)]
pub struct Request {
    pub(crate) messages: Bytes,
    /// Digest of the messages.
    pub(crate) prompt: Digest,
    /// Key of its recording.
    pub(crate) key: String,
    /// What all keys of this case and repeat begin with, where the key holds a
    /// digest.
    prefix: Option<String>,
}

impl Subject {
    /// Makes a release ready for suites of this tier: `paid` and `scheduled` ask
    /// the real provider, the others never do.
    ///
    /// # Errors
    /// [`Cause::Unusable`] if no request can be made of it.
    pub fn new(
        release: ReleaseId,
        served: &ServedRelease,
        tier: Tier,
        stock: &Recorded<'_>,
    ) -> Result<Self, NoAnswer> {
        let unusable = |why: String| {
            let message = format!("the release {} cannot be asked: {why}", release.short());
            NoAnswer::new(
                Cause::Unusable,
                message,
                "mend the release's model, prompt or parameters",
            )
        };
        let recipe = Recipe::of(served).map_err(|e| unusable(e.to_string()))?;
        let source = source(recipe.model(), tier, stock).map_err(unusable)?;
        let parameters: Arc<[(String, Bytes)]> =
            recipe.parameters().iter().map(|(n, v)| (n.clone(), Bytes::from(v.clone()))).collect();
        let text: String = recipe.parameters().iter().map(|(n, v)| format!("{n}={v}\n")).collect();
        let model = recipe.model();
        let provider = serde_json::to_vec(&(&model.provider, &model.provider_model));
        let name = served.components.get(&ComponentKind::Model).map(|c| c.name.clone());
        let listed = stock.prices.filter(|(list, day)| {
            matches!(list.on(&model.provider_model, *day), Quote::Valid(_) | Quote::Past(_))
        });
        let prices = match stock.prices {
            Some((list, day)) => list.month(model, day),
            None => vec![(1, model.into())],
        };
        Ok(Self {
            prices,
            listed: listed.is_some(),
            recorder: None,
            release,
            model_name: name.unwrap_or_default(),
            parameters_digest: Digest::of(text.as_bytes()),
            // Two plain values always have a JSON form.
            provider: Digest::of(&provider.unwrap_or_default()),
            recipe,
            parameters,
            source,
        })
    }

    /// Digest of who answers: part of the journal's name.
    pub fn provider(&self) -> Digest {
        self.provider
    }

    /// Digest of the parameters.
    pub fn parameters_digest(&self) -> Digest {
        self.parameters_digest
    }

    /// The model's entry.
    pub fn model(&self) -> &ModelContent {
        self.recipe.model()
    }

    /// What a million tokens cost on the day that was asked for.
    pub(crate) fn price(&self) -> Price {
        self.prices.first().map_or_else(|| self.model().into(), |(_, price)| *price)
    }

    /// True if answers cost money.
    pub fn is_live(&self) -> bool {
        matches!(self.source, Source::Live { .. })
    }

    /// The question of a case.
    ///
    /// # Errors
    /// When the prompt or the key cannot be rendered.
    pub fn request(&self, suite: &str, case: &Case, repeat: u32) -> Result<Request, NoAnswer> {
        let render = |e: checks::template::RenderError| {
            NoAnswer::new(
                Cause::Render,
                format!("case `{}` cannot be rendered: {e}", case.id),
                "give the case every variable the prompt needs",
            )
        };
        let conversation: Vec<Vec<u8>> =
            case.messages.iter().map(|m| m.to_string().into_bytes()).collect();
        let messages = self.recipe.messages(&case.variables, &conversation).map_err(render)?;
        let prompt = Digest::of(&messages);
        let (key, prefix) = match self.recipe.key(&case.variables).map_err(render)? {
            Some(key) if repeat == 0 => (key, None),
            Some(key) => (format!("{key}#{repeat}"), None),
            None => {
                let both = format!("{prompt} {}", self.parameters_digest);
                let digest = Digest::of(both.as_bytes()).hex();
                let prefix = format!("eval/{suite}/{}/{repeat}@", case.id);
                let short = digest.get(..SHORT).unwrap_or_default();
                (format!("{prefix}{short}"), Some(prefix))
            }
        };
        Ok(Request { messages: messages.into(), prompt, key, prefix })
    }

    /// The recorded answer of a question.
    pub(crate) fn recorded(
        &self,
        files: &[Arc<Recordings>],
        case: &Case,
        request: &Request,
    ) -> Result<Answer, NoAnswer> {
        let model = &self.model().provider_model;
        let found = files.iter().rev().find_map(|file| file.find(model, &request.key));
        let Some(found) = found else {
            let older = request
                .prefix
                .as_ref()
                .and_then(|prefix| files.iter().rev().find_map(|file| file.begins(model, prefix)));
            return Err(match older {
                Some(older) => self.stale(case, request, older),
                None => missing(model, case, request),
            });
        };
        if let Some(asked) = &found.asked
            && (asked.prompt != request.prompt || asked.parameters != self.parameters_digest)
        {
            return Err(self.stale(case, request, found));
        }
        Ok(answer(found, self, request))
    }

    /// What a recorder has of a question.
    pub(crate) fn recorded_by(&self, recorder: &Recorder, request: &Request) -> Option<Answer> {
        let found = recorder.find(&self.model().provider_model, &request.key)?;
        let fits = found.asked.as_ref().is_none_or(|asked| {
            asked.prompt == request.prompt && asked.parameters == self.parameters_digest
        });
        fits.then(|| answer(&found, self, request))
    }

    /// Keeps an answer, and says how a replay will have it.
    pub(crate) fn record(&self, recorder: &Recorder, request: &Request, came: &Answer) -> Answer {
        let asked = recorder.asked(request.prompt, self.parameters_digest);
        let line = crate::record::line(&self.model().provider_model, &request.key, came, asked);
        let replayed = answer(&line, self, request);
        recorder.keep(line);
        replayed
    }

    fn stale(&self, case: &Case, request: &Request, found: &Recording) -> NoAnswer {
        let (what, on) = match &found.asked {
            Some(asked) if asked.prompt != request.prompt => ("prompt", asked.on.as_str()),
            Some(asked) => ("parameters", asked.on.as_str()),
            None => ("prompt", "an unknown day"),
        };
        NoAnswer::new(
            Cause::Stale,
            format!(
                "the recording of case `{}` by `{}` is stale: the {what} of {} is not the one recorded on {on}",
                case.id,
                self.model().provider_model,
                self.release.short(),
            ),
            "record it again: `tidegate eval record`",
        )
    }
}

fn source(model: &ModelContent, tier: Tier, stock: &Recorded<'_>) -> Result<Source, String> {
    let paid = matches!(tier, Tier::Paid | Tier::Scheduled);
    match &model.provider {
        Provider::Replay { recordings, .. } => {
            let files = recordings
                .iter()
                .map(|d| (stock.by_digest)(d).ok_or(format!("its recordings `{d}` are not here")))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Source::Recorded(files))
        }
        Provider::Rules {} => {
            Ok(Source::Nobody("its answers come from `fallback.yaml`, not from a model".to_owned()))
        }
        Provider::Openai { .. } if !paid => Ok(Source::Recorded(stock.of_app.to_vec())),
        Provider::Openai { .. } => {
            let Some(client) = stock.client else {
                return Ok(Source::Nobody("nothing may be spent here".to_owned()));
            };
            let stock = connect::provider::Stock { secret: stock.secret, recordings: &|_| None };
            let prepared = Prepared::new(model, &stock).map_err(|e| e.to_string())?;
            Ok(Source::Live { prepared: Box::new(prepared), client: client.clone() })
        }
    }
}

fn missing(model: &str, case: &Case, request: &Request) -> NoAnswer {
    let mend = if request.prefix.is_some() {
        "record it once: `tidegate eval record`".to_owned()
    } else {
        format!(
            "add a line with `\"model\": \"{model}\"`, this `key` and a `response` to one of the model's recordings files"
        )
    };
    NoAnswer::new(
        Cause::Missing,
        format!("no recorded answer of `{model}` for case `{}`, key `{}`", case.id, request.key),
        mend,
    )
}

fn answer(found: &Recording, subject: &Subject, request: &Request) -> Answer {
    let model = subject.model();
    let tokens = |given: Option<u32>, text: &str| given.or_else(|| count(&model.tokenizer, text));
    let messages = String::from_utf8_lossy(&request.messages);
    Answer {
        text: found.response.clone(),
        tool_calls: found.tool_calls.clone(),
        error: None,
        prompt_tokens: tokens(found.prompt_tokens, &messages),
        completion_tokens: tokens(found.completion_tokens, &found.response),
        latency_ms: found.latency_ms,
    }
}

/// Tokens of a text by the model's own tokenizer.
pub(crate) fn count(tokenizer: &str, text: &str) -> Option<u32> {
    checks::tokens::count(tokenizer, text).ok().and_then(|n| u32::try_from(n).ok())
}
