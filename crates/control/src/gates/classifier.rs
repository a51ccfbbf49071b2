//! The gate `classifier`: prompts a change edits, shown to the classifier its app
//! names.
//!
//! Which classifiers there are is for `tidegate.yaml` on `main`: a change can
//! neither send texts where nobody agreed to, nor drop the classifier it is
//! judged by. The gate stands behind the static ones, so nothing is sent that has
//! a secret in it, and texts are redacted before they leave.

use super::Judged;
use checks::gate::Gate;
use connect::classifier::judge;
use connect::http::Client;
use domain::classifier::{Classifier, Judgement, OnFailure};
use domain::finding::{Finding, GateResult, Place, Severity, Tier};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::runtime::Handle;

const NAME: &str = "classifier";
const TITLE: &str = "What a classifier outside says of the prompts";
/// Longest text sent at once, in characters; longer ones are sent in pieces.
const PIECE: usize = 20_000;
/// Most pieces of one change sent to one classifier.
const MAX_PIECES: usize = 40;
/// Longest time one classifier may take for a whole change.
const MAX_TOTAL: Duration = Duration::from_secs(120);

/// One text on its way out.
struct Piece {
    file: String,
    text: String,
}

/// What came of one classifier.
#[derive(Default)]
struct Asked {
    /// Files it flags, with what it said.
    flagged: BTreeMap<String, Judgement>,
    /// Why it did not judge everything, and what it was on.
    failed: Option<(String, String)>,
}

impl Judged {
    /// The gate, if the app names a classifier or did before the change.
    pub(super) fn classifier_gate(&self) -> Option<Gate<'_>> {
        let of = |desired: &opsrepo::Desired| desired.apps.get(&self.app)?.classifier.clone();
        let names: BTreeSet<String> =
            [of(&self.subject.desired), of(&self.subject.base)].into_iter().flatten().collect();
        if names.is_empty() {
            return None;
        }
        Some(Gate::new((NAME, TITLE), Tier::Recorded, move || self.classify(&names)))
    }

    fn classify(&self, names: &BTreeSet<String>) -> GateResult {
        let pieces = self.prompts_to_show();
        if pieces.is_empty() {
            let summary = "The change edits no prompt.";
            let mut result = GateResult::of(NAME, TITLE, Tier::Recorded, summary, Vec::new());
            result.outcome = domain::finding::GateOutcome::Skipped;
            return result;
        }
        let mut findings = Vec::new();
        for name in names {
            match self.subject.main.settings.classifiers.get(name) {
                Some(classifier) => {
                    let asked = Handle::current().block_on(self.ask(classifier, &pieces));
                    findings.extend(told(name, classifier, asked));
                }
                None => findings.push(unknown(&self.app, name)),
            }
        }
        let files: BTreeSet<_> = pieces.iter().map(|piece| &piece.file).collect();
        let summary = match findings.len() {
            0 => format!("{} prompt files shown; none flagged.", files.len()),
            n => format!("{} prompt files shown; {n} problems.", files.len()),
        };
        GateResult::of(NAME, TITLE, Tier::Recorded, summary, findings)
    }

    /// Texts of prompts the change adds or edits, in pieces, redacted.
    fn prompts_to_show(&self) -> Vec<Piece> {
        let own = format!("apps/{}/prompts/", self.app);
        // `prompt.yaml` lists the templates; no model reads it.
        let shown = |path: &String| {
            (path.starts_with(&own) || path.starts_with("prompts/_shared/"))
                && !path.ends_with("/prompt.yaml")
        };
        self.changed_texts()
            .into_iter()
            .filter(|(path, _)| shown(path))
            .flat_map(|(file, text)| {
                let text: Vec<char> = checks::redact::redact(&text).chars().collect();
                let pieces: Vec<Piece> = text
                    .chunks(PIECE)
                    .map(|piece| Piece { file: file.clone(), text: piece.iter().collect() })
                    .collect();
                pieces
            })
            .filter(|piece| !piece.text.trim().is_empty())
            .collect()
    }

    /// Asks about one piece after the other, up to the first failure.
    async fn ask(&self, classifier: &Classifier, pieces: &[Piece]) -> Asked {
        let (mut asked, client) = (Asked::default(), Client::new());
        let mut on = String::new();
        let all = async {
            for piece in pieces.iter().take(MAX_PIECES) {
                on.clone_from(&piece.file);
                match judge(&client, &self.keys, classifier, &piece.text).await {
                    Ok(said) if said.flagged => {
                        asked.flagged.entry(piece.file.clone()).or_insert(said);
                    }
                    Ok(_) => {}
                    Err(why) => return Some(why.to_string()),
                }
            }
            (pieces.len() > MAX_PIECES)
                .then(|| format!("the change has more than {MAX_PIECES} pieces of text to show it"))
        };
        let failed = tokio::time::timeout(MAX_TOTAL, all).await;
        let late = || Some(format!("it took longer than {MAX_TOTAL:?} for the whole change"));
        asked.failed = failed.unwrap_or_else(|_| late()).map(|why| (on, why));
        asked
    }
}

fn told(name: &str, classifier: &Classifier, asked: Asked) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        asked.flagged.into_iter().map(|(file, said)| flagged(name, file, &said)).collect();
    if let Some((file, why)) = asked.failed {
        let severity = match classifier.on_failure {
            OnFailure::Warn => Severity::Warning,
            OnFailure::Fail => Severity::Error,
        };
        findings.push(Finding {
            code: "classifier_no_answer".to_owned(),
            severity,
            place: Some(Place { file, ..Place::default() }),
            message: format!("the classifier `{name}` did not judge this prompt: {why}"),
            explanation: "What was not judged is not known to be harmless; `on_failure` in \
                          `tidegate.yaml` says what that means for a change."
                .to_owned(),
            mend: "see that the classifier answers, then update the change to check it again"
                .to_owned(),
            replacement: None,
            excerpt: None,
        });
    }
    findings
}

fn flagged(name: &str, file: String, said: &Judgement) -> Finding {
    let categories: Vec<String> = said
        .categories
        .iter()
        .map(|(category, score)| match score {
            Some(score) => format!("{category} ({score:.2})"),
            None => category.clone(),
        })
        .collect();
    let what = match categories.is_empty() {
        true => "without saying why".to_owned(),
        false => format!("as {}", categories.join(", ")),
    };
    Finding {
        code: "classifier_flagged".to_owned(),
        severity: Severity::Error,
        place: Some(Place { file, ..Place::default() }),
        message: format!("the classifier `{name}` flags this prompt {what}"),
        explanation: "What stands in a prompt is said with the app's own voice.".to_owned(),
        mend: "say it otherwise; if the classifier is wrong, ask who keeps `tidegate.yaml`"
            .to_owned(),
        replacement: None,
        excerpt: None,
    }
}

fn unknown(app: &domain::ids::AppName, name: &str) -> Finding {
    Finding {
        code: "classifier_unknown".to_owned(),
        severity: Severity::Error,
        place: Some(Place {
            file: format!("apps/{app}/app.yaml"),
            field: Some("classifier".to_owned()),
            ..Place::default()
        }),
        message: format!("`tidegate.yaml` on `main` has no classifier `{name}`"),
        explanation: "Texts are sent only where somebody agreed to before: a change cannot bring \
                      the classifier it is judged by."
            .to_owned(),
        mend: "propose the classifier in `tidegate.yaml` first, then name it here".to_owned(),
        replacement: None,
        excerpt: None,
    }
}
