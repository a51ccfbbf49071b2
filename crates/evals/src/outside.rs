//! What others say of answers: embeddings of any OpenAI-compatible endpoint, and
//! classifiers of `tidegate.yaml`.
//!
//! Asked within the limits of the run, kept in the journal, recorded and replayed
//! like answers. Recorded are the cosine of two texts and the verdict on one,
//! under digests of the texts: nothing of a text, and no vector a text could be
//! guessed from, gets into a file. Texts are redacted before they leave, so that
//! a recorded answer and a live one ask the same.

use crate::ask::Asker;
use crate::journal::Journal;
use crate::plan::Releases;
use crate::recorder::Recorder;
use crate::subject::{Cause, NoAnswer, count};
use checks::redact::redact;
use connect::classifier::{Keys, NoJudgement, judge};
use connect::embeddings::{Embedded, Embedder, MAX_TEXTS, cosine};
use connect::http::Client;
use connect::provider::{Failure, FailureKind, Recordings};
use domain::classifier::{Classifier, Judgement};
use domain::finding::Tier;
use domain::ids::Digest;
use domain::recording::Recording;
use domain::snapshot::{ModelContent, Provider};
use domain::suite::{Answer, Case};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Characters of a digest in a key.
const SHORT: usize = 12;
/// Characters of a text shown to a classifier; what is longer is shown in pieces.
const PIECE: usize = 20_000;

/// Somebody outside who is asked about answers.
#[derive(Debug)]
pub(crate) struct Outside {
    /// As the suite names it.
    name: String,
    /// Under which its words are recorded.
    model: String,
    /// Digest of all that shapes what it says.
    settings: Digest,
    tokenizer: String,
    source: Source,
    recorded: Vec<Arc<Recordings>>,
    journal: Option<Arc<Journal>>,
    recorder: Option<Arc<Recorder>>,
}

#[derive(Debug)]
enum Source {
    /// Nobody: only recordings.
    Recorded,
    Embedder(Box<Embedder>, Client),
    Classifier(Box<Classifier>, Keys, Client),
}

/// What is recorded of a judgement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Verdict {
    flagged: bool,
    categories: Vec<(String, Option<f64>)>,
}

/// One question: its key, and the digest of what is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    key: String,
    digest: Digest,
}

impl Key {
    fn of(kind: &str, texts: &[&str]) -> Self {
        // Two texts in one list of JSON cannot be taken for two others.
        let digest = Digest::of(serde_json::Value::from(texts.to_vec()).to_string().as_bytes());
        let hex = digest.hex();
        let short = hex.get(..SHORT).unwrap_or_default();
        // As keys of answers are written, which no scanner takes for a secret.
        Self { key: format!("eval/{kind}@{short}"), digest }
    }
}

impl Outside {
    /// An embeddings model of the repository.
    ///
    /// # Errors
    /// There is no such model, or it cannot be asked.
    pub(crate) fn embeddings(
        name: &str,
        releases: &Releases,
        tier: Tier,
    ) -> Result<Self, NoAnswer> {
        let model = releases.beside.models.get(name).ok_or_else(|| {
            let mend = format!("add `models/{name}.yaml`, or leave `embeddings` out");
            unusable(format!("there is no model `{name}` that reads"), mend)
        })?;
        let source = match releases.client.as_ref().filter(|_| asks(releases, tier)) {
            Some(client) if matches!(model.provider, Provider::Openai { .. }) => {
                let secret = |name: &str| releases.secrets.get(name).cloned();
                let embedder = Embedder::new(model, &secret).map_err(|why| {
                    let message = format!("the embeddings model `{name}` cannot be asked: {why}");
                    unusable(message, "mend the model's provider, or set its key".to_owned())
                })?;
                Source::Embedder(Box::new(embedder), client.clone())
            }
            _ => Source::Recorded,
        };
        // Two plain values always have a JSON form.
        let who = serde_json::to_vec(&model.provider_model).unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            model: model.provider_model.clone(),
            settings: Digest::of(&who),
            tokenizer: model.tokenizer.clone(),
            source,
            recorded: recordings(model, releases),
            journal: None,
            recorder: releases.beside.recorder.clone(),
        })
    }

    /// A classifier of `tidegate.yaml`.
    ///
    /// # Errors
    /// There is none of this name.
    pub(crate) fn classifier(
        name: &str,
        releases: &Releases,
        tier: Tier,
    ) -> Result<Self, NoAnswer> {
        let classifier = releases.beside.classifiers.get(name).ok_or_else(|| {
            let mend = "add it to `classifiers` in `tidegate.yaml`, or mend its name".to_owned();
            unusable(format!("there is no classifier `{name}`"), mend)
        })?;
        let source = match releases.client.as_ref().filter(|_| asks(releases, tier)) {
            Some(client) => Source::Classifier(
                Box::new(classifier.clone()),
                releases.beside.classifier_keys.clone(),
                client.clone(),
            ),
            None => Source::Recorded,
        };
        let shapes = (&classifier.shape, &classifier.model, classifier.flag_at);
        let settings = serde_json::to_vec(&shapes).unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            model: format!("classifier/{name}"),
            settings: Digest::of(&settings),
            tokenizer: String::new(),
            source,
            recorded: releases.of_app.clone(),
            journal: None,
            recorder: releases.beside.recorder.clone(),
        })
    }

    /// Who answers, for the journal's name.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(format!("{} {}", self.model, self.settings).as_bytes())
    }

    /// With a journal for what is paid.
    #[must_use]
    pub(crate) fn kept_in(self, journal: Option<Arc<Journal>>) -> Self {
        Self { journal, ..self }
    }

    /// True if asking may cost money.
    pub(crate) fn is_live(&self) -> bool {
        !matches!(self.source, Source::Recorded)
    }

    /// How near each answer is to the nearest of its case's references, in
    /// [0, 1]: a cosine below 0 is no nearness.
    pub(crate) async fn similarities(
        &self,
        asker: &Asker,
        case: &Case,
        answers: &[&str],
    ) -> Vec<Result<f64, NoAnswer>> {
        let wanted: Vec<String> = case.expected.iter().map(|text| redact(text)).collect();
        let given: Vec<String> = answers.iter().map(|text| redact(text)).collect();
        let mut known: BTreeMap<Key, Result<f64, NoAnswer>> = BTreeMap::new();
        let mut open: BTreeMap<Key, (&str, &str)> = BTreeMap::new();
        for (a, b) in given.iter().flat_map(|a| wanted.iter().map(move |b| (a, b))) {
            let key = Key::of("similarity", &[a, b]);
            match self.known(case, &key) {
                Ok(Some(text)) => {
                    known.insert(key, self.number(case, &text));
                }
                Ok(None) => {
                    open.insert(key, (a, b));
                }
                Err(why) => {
                    known.insert(key, Err(why));
                }
            }
        }
        if !open.is_empty() {
            let vectors = self.vectors(asker, open.values().flat_map(|(a, b)| [*a, *b])).await;
            for (key, (a, b)) in open {
                let of = |text: &str| vectors.as_ref().map(|all| all.get(text));
                let value = match (of(a), of(b)) {
                    (Ok(Some(a)), Ok(Some(b))) => {
                        let text = cosine(a, b).to_string();
                        self.keep(&key, &text).and_then(|()| self.number(case, &text))
                    }
                    (Err(why), _) | (_, Err(why)) => Err(why.clone()),
                    _ => Err(unusable("a text has no vector".to_owned(), String::new())),
                };
                known.insert(key, value);
            }
        }
        given
            .iter()
            .map(|a| {
                wanted.iter().try_fold(0.0, |best: f64, b| {
                    let key = Key::of("similarity", &[a, b]);
                    match known.get(&key) {
                        Some(Ok(value)) => Ok(best.max(*value)),
                        Some(Err(why)) => Err(why.clone()),
                        None => Ok(best),
                    }
                })
            })
            .collect()
    }

    /// What the classifier says of a text, all its pieces together.
    pub(crate) async fn moderate(
        &self,
        asker: &Asker,
        case: &Case,
        text: &str,
    ) -> Result<Judgement, NoAnswer> {
        let text = redact(text);
        let letters: Vec<char> = text.chars().collect();
        let mut all = Judgement::default();
        for piece in letters.chunks(PIECE) {
            let piece: String = piece.iter().collect();
            let one = self.moderate_piece(asker, case, &piece).await?;
            all.flagged |= one.flagged;
            all.categories.extend(one.categories);
        }
        all.categories.sort_by(|a, b| b.1.unwrap_or(0.0).total_cmp(&a.1.unwrap_or(0.0)));
        Ok(all)
    }

    async fn moderate_piece(
        &self,
        asker: &Asker,
        case: &Case,
        text: &str,
    ) -> Result<Judgement, NoAnswer> {
        let key = Key::of("moderation", &[text]);
        let said = match self.known(case, &key)? {
            Some(said) => said,
            None => {
                let Source::Classifier(classifier, keys, client) = &self.source else {
                    return Err(self.missing(case, &key));
                };
                let once = || async move {
                    judge(client, keys, classifier, text).await.map(|j| (j, 0)).map_err(failure)
                };
                let judgement = asker.outside(&self.name, 0, once).await?;
                let verdict =
                    Verdict { flagged: judgement.flagged, categories: judgement.categories };
                let said = serde_json::to_string(&verdict)
                    .map_err(|e| unusable(e.to_string(), String::new()))?;
                self.keep(&key, &said)?;
                said
            }
        };
        let verdict: Verdict = serde_json::from_str(&said).map_err(|_| {
            let what = "the recorded verdict of the classifier is malformed";
            self.malformed(case, what)
        })?;
        Ok(Judgement { flagged: verdict.flagged, categories: verdict.categories })
    }

    /// Vectors of texts, each asked once, in batches.
    async fn vectors<'t>(
        &self,
        asker: &Asker,
        texts: impl Iterator<Item = &'t str>,
    ) -> Result<BTreeMap<&'t str, Vec<f64>>, NoAnswer> {
        let texts: Vec<&str> = texts.collect::<BTreeSet<_>>().into_iter().collect();
        let Source::Embedder(embedder, client) = &self.source else {
            return Err(unusable("nobody may be asked".to_owned(), String::new()));
        };
        let mut vectors = BTreeMap::new();
        let mut length = None;
        for batch in texts.chunks(MAX_TEXTS) {
            let need = batch.iter().filter_map(|text| count(&self.tokenizer, text));
            let need: u64 = need.map(u64::from).sum();
            let patience = asker.limits().timeout;
            let once = || async move {
                let Embedded { vectors, tokens } = embedder.embed(client, batch, patience).await?;
                Ok((vectors, tokens.unwrap_or(need)))
            };
            let came = asker.outside(&self.name, need, once).await?;
            let own = came.first().map(Vec::len);
            if *length.get_or_insert(own) != own {
                return Err(NoAnswer::new(
                    Cause::Garbage,
                    format!("`{}` makes vectors of different lengths", self.name),
                    "name a model that makes one kind of vector",
                ));
            }
            vectors.extend(batch.iter().copied().zip(came));
        }
        Ok(vectors)
    }

    /// What is known of a question: recorded, or paid for before.
    fn known(&self, case: &Case, key: &Key) -> Result<Option<String>, NoAnswer> {
        if let Some(recorder) = &self.recorder
            && let Some(found) = recorder.find(&self.model, &key.key)
            && self.fits(&found, key)
        {
            return Ok(Some(found.response));
        }
        if self.is_live() {
            let kept = self
                .journal
                .as_ref()
                .filter(|_| !self.recorder.as_ref().is_some_and(|recorder| recorder.asks_again()));
            let kept = kept.and_then(|journal| journal.find(&key.key, 0, key.digest));
            if let (Some(answer), Some(recorder)) = (&kept, &self.recorder) {
                recorder.keep(self.line(recorder, key, &answer.text));
            }
            return Ok(kept.map(|answer| answer.text));
        }
        let found = self.recorded.iter().rev().find_map(|file| file.find(&self.model, &key.key));
        match found {
            Some(found) if self.fits(found, key) => Ok(Some(found.response.clone())),
            Some(found) => Err(NoAnswer::new(
                Cause::Stale,
                format!(
                    "what `{}` said of case `{}` is stale: its settings are not those recorded on {}",
                    self.name,
                    case.id,
                    found.asked.as_ref().map_or("an unknown day", |asked| asked.on.as_str())
                ),
                "record it again: `tidegate eval record`",
            )),
            None => Err(self.missing(case, key)),
        }
    }

    fn fits(&self, found: &Recording, key: &Key) -> bool {
        let asked = found.asked.as_ref();
        asked.is_none_or(|asked| asked.prompt == key.digest && asked.parameters == self.settings)
    }

    /// Keeps a reply: what was paid for is on disk before it is counted.
    fn keep(&self, key: &Key, said: &str) -> Result<(), NoAnswer> {
        if let Some(journal) = &self.journal {
            let answer = Answer { text: said.to_owned(), ..Answer::default() };
            journal.keep(&key.key, 0, key.digest, &answer).map_err(|e| {
                let mend = "make room, then go on with `--resume`";
                NoAnswer::new(Cause::GivenUp, e.to_string(), mend)
            })?;
        }
        if let Some(recorder) = &self.recorder {
            recorder.keep(self.line(recorder, key, said));
        }
        Ok(())
    }

    fn line(&self, recorder: &Recorder, key: &Key, said: &str) -> Recording {
        Recording {
            model: self.model.clone(),
            key: key.key.clone(),
            response: said.to_owned(),
            prompt_tokens: None,
            completion_tokens: None,
            latency_ms: None,
            tool_calls: Vec::new(),
            asked: Some(recorder.asked(key.digest, self.settings)),
        }
    }

    fn number(&self, case: &Case, text: &str) -> Result<f64, NoAnswer> {
        let number: Option<f64> = text.trim().parse().ok();
        number.filter(|n| (-1.0..=1.0).contains(n)).map(|n| n.max(0.0)).ok_or_else(|| {
            self.malformed(case, "the recorded similarity is no number from -1 to 1")
        })
    }

    fn malformed(&self, case: &Case, what: &str) -> NoAnswer {
        NoAnswer::new(
            Cause::Garbage,
            format!("case `{}`, `{}`: {what}", case.id, self.name),
            "record it again: `tidegate eval record --again`",
        )
    }

    fn missing(&self, case: &Case, key: &Key) -> NoAnswer {
        NoAnswer::new(
            Cause::Missing,
            format!(
                "nothing is recorded of `{}` about an answer to case `{}`, model `{}`, key `{}`",
                self.name, case.id, self.model, key.key
            ),
            "record it once: `tidegate eval record`",
        )
    }
}

/// True if anybody may be asked, and not only recordings.
fn asks(releases: &Releases, tier: Tier) -> bool {
    releases.beside.recorder.is_some() || matches!(tier, Tier::Paid | Tier::Scheduled)
}

/// Where words of a model are recorded: beside the suites, or in its own files.
fn recordings(model: &ModelContent, releases: &Releases) -> Vec<Arc<Recordings>> {
    let own = match &model.provider {
        Provider::Replay { recordings, .. } => recordings.as_slice(),
        _ => &[],
    };
    let own = own.iter().filter_map(|digest| releases.recordings.get(digest).cloned());
    own.chain(releases.of_app.iter().cloned()).collect()
}

fn unusable(message: String, mend: String) -> NoAnswer {
    NoAnswer::new(Cause::Unusable, message, mend)
}

fn failure(why: NoJudgement) -> Failure {
    let message = why.to_string();
    let kind = match why {
        NoJudgement::Address(_) | NoJudgement::NoKey(_) => FailureKind::Misconfigured,
        NoJudgement::Late(_) => FailureKind::Timeout,
        NoJudgement::Unreachable(_) => FailureKind::Unreachable,
        NoJudgement::Status(status) => FailureKind::Refused(status),
        NoJudgement::Shape { .. } => FailureKind::Garbage,
    };
    Failure::new(kind, message)
}
