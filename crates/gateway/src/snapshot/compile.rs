//! A snapshot made ready: templates compiled, recordings parsed, providers
//! prepared, so that a request only looks things up.
//!
//! Releases are immutable, so a release compiled once is carried over from
//! snapshot to snapshot: a new generation costs what is new in it.

use super::meter::{Meter, meters};
use bytes::Bytes;
use checks::score::Schema;
use checks::template::{KeyTemplate, Recipe};
use connect::provider::{Choice, Prepared, Recordings, Rules, Stock};
use domain::component::ComponentKind;
use domain::fallback::Fallback;
use domain::ids::{AppName, Digest, Generation, ReleaseId};
use domain::snapshot::{AppSnapshot, Grant, ModelContent, Provider, ServedRelease, Snapshot};
use domain::units::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A snapshot, ready to serve.
#[derive(Debug)]
pub struct Compiled {
    /// Its generation.
    pub generation: Generation,
    /// When control compiled it.
    pub issued_at: Timestamp,
    /// The apps.
    pub apps: BTreeMap<AppName, App>,
    /// Who may call, by digest of the token.
    pub tokens: HashMap<Digest, Grant>,
    /// What the tokens of previews have spent.
    pub meters: HashMap<Digest, Arc<Meter>>,
    releases: HashMap<ReleaseId, Result<Arc<Served>, Unusable>>,
    recordings: HashMap<Digest, Arc<Recordings>>,
}

/// One app.
#[derive(Debug)]
pub struct App {
    /// How it is served.
    pub snapshot: AppSnapshot,
    /// Its deterministic answers.
    pub fallback: Option<Fallbacks>,
    /// What every answer must be.
    pub answer_schema: Option<Arc<Schema>>,
}

/// A release, ready to answer.
#[derive(Debug)]
pub struct Served {
    /// Which.
    pub id: ReleaseId,
    /// What it makes of a request.
    pub recipe: Recipe,
    /// Who answers.
    pub provider: Prepared,
    /// The provider is told the app's fallback answer.
    pub needs_fallback: bool,
    /// Parameters of the release, name and JSON.
    pub parameters: Arc<[(String, Bytes)]>,
    /// Price of a million prompt tokens and of a million answer tokens, in USD.
    pub prices: (f64, f64),
    /// Name of the model's tokenizer, for estimates.
    pub tokenizer: String,
}

/// Why a release cannot answer on this gateway.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub Arc<str>);

impl Unusable {
    fn new(why: impl std::fmt::Display) -> Self {
        Self(why.to_string().into())
    }
}

/// The compiled fallback of an app.
#[derive(Debug)]
pub struct Fallbacks {
    /// Which text.
    pub rules: Rules,
    answers: Vec<KeyTemplate>,
    default: Option<KeyTemplate>,
    hand_over: Option<KeyTemplate>,
}

impl Fallbacks {
    /// Compiles the content of a `fallback.yaml`.
    ///
    /// # Errors
    /// When a rule or a text of it cannot be used.
    pub fn compile(content: &Value) -> Result<Self, Unusable> {
        let content: Fallback = serde_json::from_value(content.clone()).map_err(Unusable::new)?;
        // A one-line template over all of the request's variables, declared or
        // not: what a fallback needs, and what a key is.
        let text = |text: &String| KeyTemplate::compile(text).map_err(|e| Unusable::new(e.message));
        Ok(Self {
            rules: Rules::compile(&content).map_err(Unusable::new)?,
            answers: content
                .rules
                .iter()
                .map(|rule| text(&rule.answer))
                .collect::<Result<_, _>>()?,
            default: content.default.as_ref().map(text).transpose()?,
            hand_over: content.hand_over.as_ref().map(text).transpose()?,
        })
    }

    /// The template of a choice.
    pub fn template(&self, choice: Choice) -> Option<&KeyTemplate> {
        match choice {
            Choice::Rule(i) => self.answers.get(i),
            Choice::Default => self.default.as_ref(),
            Choice::HandOver => self.hand_over.as_ref(),
        }
    }
}

impl Compiled {
    /// Makes a snapshot ready. `blob` gives the bytes of the blobs it names;
    /// `secret` the keys of providers; `last` is what was served so far.
    pub fn new(
        snapshot: Snapshot,
        last: Option<&Compiled>,
        blob: &dyn Fn(&Digest) -> Option<Bytes>,
        secret: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let recordings = read_recordings(&snapshot, last, blob);
        let parsed: HashMap<_, _> =
            recordings.iter().filter_map(|(d, r)| Some((*d, r.as_ref().ok()?.clone()))).collect();
        let stock = Stock { secret, recordings: &|digest| parsed.get(digest).cloned() };
        let known = |id: &ReleaseId| last?.releases.get(id)?.as_ref().ok().cloned();
        let releases = snapshot
            .releases
            .iter()
            .map(|(id, release)| {
                let served = match known(id) {
                    Some(served) => Ok(served),
                    None => bad_recordings(release, &recordings)
                        .map_or_else(|| serve(*id, release, &stock).map(Arc::new), Err),
                };
                if let Err(why) = &served {
                    tracing::error!(app = %release.app, release = %id.short(), %why, "a release cannot answer here");
                }
                (*id, served)
            })
            .collect();
        let apps = snapshot.apps.into_iter().map(|(name, app)| {
            let fallback = app.fallback.as_ref().and_then(|content| {
                Fallbacks::compile(content)
                    .map_err(
                        |why| tracing::error!(app = %name, %why, "the fallback cannot be used"),
                    )
                    .ok()
            });
            let answer_schema = answer_schema(&name, &app, &snapshot.releases, last);
            (name, App { snapshot: app, fallback, answer_schema })
        });
        let tokens = tokens(snapshot.tokens);
        Self {
            meters: meters(&tokens, last.map(|last| &last.meters)),
            generation: snapshot.generation,
            issued_at: snapshot.issued_at,
            apps: apps.collect(),
            tokens,
            releases,
            recordings: parsed,
        }
    }

    /// A release, or why it cannot answer.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn release(&self, id: &ReleaseId) -> Result<Arc<Served>, Unusable> {
        self.releases
            .get(id)
            .cloned()
            .unwrap_or_else(|| Err(Unusable::new("the snapshot does not hold this release")))
    }
}

/// The schema of an app's answers: its callers were promised what production
/// says, whoever answers; where it promises nothing yet, what the candidate
/// will. What was compiled before is carried over. One that cannot be used is
/// said here and checks nothing.
fn answer_schema(
    name: &AppName,
    app: &AppSnapshot,
    releases: &BTreeMap<ReleaseId, ServedRelease>,
    last: Option<&Compiled>,
) -> Option<Arc<Schema>> {
    let named =
        |app: &AppSnapshot| [Some(app.production), app.rollout.as_ref().map(|r| r.candidate)];
    let before = last.and_then(|last| last.apps.get(name));
    if let Some(same) = before.filter(|before| named(&before.snapshot) == named(app)) {
        return same.answer_schema.clone();
    }
    let schema = |id| releases.get(&id)?.contents.get(&ComponentKind::Answer)?.get("schema");
    let schema = named(app).into_iter().flatten().find_map(schema)?;
    Schema::new(schema)
        .map_err(|why| {
            tracing::error!(app = %name, at = %why.pointer, why = %why.message, "the schema of the answers cannot be used");
        })
        .ok()
        .map(Arc::new)
}

fn tokens(grants: BTreeMap<String, Grant>) -> HashMap<Digest, Grant> {
    let read = |(hex, grant): (String, Grant)| {
        let digest = format!("sha256:{}", hex.trim_start_matches("sha256:")).parse().ok()?;
        Some((digest, grant))
    };
    grants.into_iter().filter_map(read).collect()
}

type Read = HashMap<Digest, Result<Arc<Recordings>, Unusable>>;

/// Parses the recordings the releases name, each file once.
fn read_recordings(
    snapshot: &Snapshot,
    last: Option<&Compiled>,
    blob: &dyn Fn(&Digest) -> Option<Bytes>,
) -> Read {
    let named: BTreeSet<Digest> = snapshot.releases.values().flat_map(recordings_of).collect();
    let read = |digest: &Digest| {
        if let Some(known) = last.and_then(|l| l.recordings.get(digest)) {
            return Ok(known.clone());
        }
        let bytes = blob(digest).ok_or_else(|| {
            Unusable::new(format!("the recordings `{digest}` are not on this gateway"))
        })?;
        Recordings::parse(*digest, &bytes).map(Arc::new).map_err(Unusable::new)
    };
    named.into_iter().map(|digest| (digest, read(&digest))).collect()
}

fn recordings_of(release: &ServedRelease) -> Vec<Digest> {
    match checks::template::model(release) {
        Ok(ModelContent { provider: Provider::Replay { recordings, .. }, .. }) => recordings,
        _ => Vec::new(),
    }
}

/// The first recordings file of a release that could not be read.
fn bad_recordings(release: &ServedRelease, read: &Read) -> Option<Unusable> {
    recordings_of(release).iter().find_map(|digest| read.get(digest)?.as_ref().err().cloned())
}

fn serve(id: ReleaseId, release: &ServedRelease, stock: &Stock<'_>) -> Result<Served, Unusable> {
    let recipe = Recipe::of(release).map_err(Unusable::new)?;
    let model = recipe.model();
    let json = |(name, value): &(String, String)| (name.clone(), Bytes::from(value.clone()));
    Ok(Served {
        id,
        provider: Prepared::new(model, stock).map_err(Unusable::new)?,
        needs_fallback: matches!(model.provider, Provider::Rules {}),
        parameters: recipe.parameters().iter().map(json).collect(),
        prices: (model.price_input_per_million, model.price_output_per_million),
        tokenizer: model.tokenizer.clone(),
        recipe,
    })
}
