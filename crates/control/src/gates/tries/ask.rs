//! One release asked once, within limits of tokens and time.

use super::{MAX_ANSWER_TOKENS, MAX_INPUT_TOKENS, MAX_WAIT, Tried};
use crate::Control;
use crate::changes::invalid;
use crate::problem::{Problem, ProblemKind};
use bytes::Bytes;
use checks::template::Recipe;
use connect::http::Client;
use connect::provider::{Call, Failure, FailureKind, Prepared, Recordings, ReplyBody, Stock};
use domain::component::ComponentKind;
use domain::ids::{AppName, Digest, ReleaseId};
use domain::snapshot::{Provider, ServedRelease};
use domain::units::Timestamp;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Spend, TRY};
use tokio::time::Instant;

/// Names of the parameter that bounds an answer.
const BOUNDS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

impl Control {
    pub(super) fn question(
        &self,
        release: ReleaseId,
        served: &ServedRelease,
        recordings: &BTreeMap<Digest, Arc<Recordings>>,
    ) -> Result<Question, Problem> {
        let recipe = Recipe::of(served).map_err(|e| unusable(&e))?;
        if matches!(recipe.model().provider, Provider::Rules {}) {
            return Err(unusable(&"its answers come from `fallback.yaml`, not from a model"));
        }
        let stock = Stock {
            secret: &|name| self.config.env_keys.find(name),
            recordings: &|digest| recordings.get(digest).cloned(),
        };
        let prepared = Prepared::new(recipe.model(), &stock).map_err(|e| unusable(&e))?;
        let model = served.components.get(&ComponentKind::Model);
        let model = model.map(domain::component::Component::label).unwrap_or_default();
        Ok(Question { release, model, recipe, prepared })
    }
}

/// A release, ready to be asked.
pub(super) struct Question {
    release: ReleaseId,
    model: String,
    recipe: Recipe,
    prepared: Prepared,
}

/// The same with what it is asked.
pub(super) struct Ready {
    pub(super) release: ReleaseId,
    model: String,
    recipe: Recipe,
    prepared: Prepared,
    messages: Bytes,
    local: Option<String>,
    prompt_tokens: u64,
}

impl Question {
    pub(super) fn ready(
        self,
        variables: &Map<String, Value>,
        conversation: &[Vec<u8>],
    ) -> Result<Ready, Problem> {
        let Self { release, model, recipe, prepared } = self;
        let render = |e: checks::template::RenderError| {
            invalid(
                "variables_missing",
                &format!("the prompt cannot be rendered: {e}"),
                "give every variable it needs in `input.variables`",
                "input",
            )
        };
        let messages = recipe.messages(variables, conversation).map_err(render)?;
        let text = String::from_utf8_lossy(&messages);
        let tokens = checks::tokens::count(&recipe.model().tokenizer, &text).unwrap_or(text.len());
        if tokens > MAX_INPUT_TOKENS {
            let detail =
                format!("this input is {tokens} tokens; a try has at most {MAX_INPUT_TOKENS}");
            return Err(invalid("input_too_long", &detail, "try a shorter one", "input"));
        }
        let local = recipe.key(variables).map_err(render)?;
        let prompt_tokens = u64::try_from(tokens).unwrap_or(u64::MAX);
        Ok(Ready {
            release,
            model,
            recipe,
            prepared,
            messages: messages.into(),
            local,
            prompt_tokens,
        })
    }
}

impl Ready {
    pub(super) async fn ask(self, client: &Client, now: Timestamp) -> Tried {
        let parameters: Arc<[(String, Bytes)]> = self
            .recipe
            .parameters()
            .iter()
            .map(|(n, v)| (n.clone(), Bytes::from(v.clone())))
            .collect();
        let bounded = parameters.iter().any(|(name, _)| BOUNDS.contains(&name.as_str()));
        let bound = ("max_tokens".to_owned(), Bytes::from(MAX_ANSWER_TOKENS.to_string()));
        let begun = Instant::now();
        let deadline = begun + MAX_WAIT;
        let call = Call {
            id: "chatcmpl-try".to_owned(),
            created: now,
            messages: self.messages,
            fields: if bounded { Arc::new([]) } else { Arc::new([bound]) },
            parameters,
            choices: 1,
            stream: false,
            include_usage: false,
            local: self.local,
            deadline,
            retries: 0,
        };
        // The provider's own deadline is the first to come; this one is for a
        // provider that does not keep it.
        let reply = tokio::time::timeout_at(deadline, self.prepared.call(client, call)).await;
        let reply = reply.unwrap_or_else(|_| {
            let words = format!("the provider took longer than {} s", MAX_WAIT.as_secs());
            Err(Failure::new(FailureKind::Timeout, words))
        });
        let summary = match reply {
            Ok(reply) => match reply.body {
                ReplyBody::Whole(whole) => Ok(whole.summary),
                ReplyBody::Stream(_) => Err("a stream came, and none was asked for".to_owned()),
            },
            Err(failure) => Err(failure.message),
        };
        let latency_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let model = self.recipe.model();
        let mut tried = Tried {
            release: self.release,
            model: self.model,
            text: None,
            error: None,
            latency_ms,
            prompt_tokens: self.prompt_tokens,
            completion_tokens: 0,
            cost_usd: 0.0,
            finish_reason: None,
        };
        match summary {
            Ok(summary) => {
                let counted = || {
                    let tokens = checks::tokens::count(&model.tokenizer, &summary.text);
                    u64::try_from(tokens.unwrap_or(summary.text.len())).unwrap_or(u64::MAX)
                };
                let usage = summary.usage;
                tried.prompt_tokens = usage.map_or(tried.prompt_tokens, |u| u.prompt_tokens);
                tried.completion_tokens = usage.map_or_else(counted, |u| u.completion_tokens);
                tried.cost_usd = (tried.prompt_tokens as f64 * model.price_input_per_million
                    + tried.completion_tokens as f64 * model.price_output_per_million)
                    / 1e6;
                tried.finish_reason = summary.finish_reason;
                tried.text = Some(summary.text);
            }
            Err(why) => tried.error = Some(why),
        }
        tried
    }
}

pub(super) fn spend(app: &AppName, tried: &Tried, now: Timestamp) -> Spend {
    let answered = tried.text.is_some();
    Spend {
        day: now.second().div_euclid(86_400),
        app: app.clone(),
        release: tried.release,
        arm: TRY.to_owned(),
        requests: 1,
        prompt_tokens: if answered { tried.prompt_tokens } else { 0 },
        completion_tokens: tried.completion_tokens,
        cost_nano_usd: (tried.cost_usd * 1e9).round().max(0.0) as u64,
    }
}

fn unusable(why: &dyn std::fmt::Display) -> Problem {
    Problem::new(
        ProblemKind::Refused,
        "cannot_be_tried",
        format!("this cannot be asked here: {why}"),
        "the server needs the provider's key in its environment; recordings answer without one",
    )
}
