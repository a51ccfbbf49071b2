//! An ops repo made of recorded answers: one app, one suite, one model for each
//! system that answered.

use crate::Failed;
use connect::provider::Recordings;
use domain::ids::AppName;
use domain::snapshot::ServedRelease;
use evals::{How, Loaded, Release, Releases, SuiteReport, evaluate, read_judges};
use opsrepo::Files;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const APP: &str = "bench";

/// What systems answered to the same inputs, and what is asked of answers.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// The suite, without its first line.
    pub(crate) suite: String,
    /// Its cases.
    pub(crate) cases: Vec<Value>,
    /// System → case → answer.
    pub(crate) answers: BTreeMap<String, Vec<(String, String)>>,
    /// More files: judges, their models.
    pub(crate) more: Vec<(String, String)>,
    /// The prompt all systems got.
    pub(crate) prompt: String,
    /// Port of a provider on loopback that answers instead of recordings.
    pub(crate) live: Option<u16>,
}

impl World {
    /// Puts a change from one system to another through the suite.
    pub(crate) async fn change(&self, from: &str, to: &str) -> Result<SuiteReport, Failed> {
        let (loaded, releases) = self.ready(from, to)?;
        Ok(evaluate(loaded, &releases, &How::default(), &|_| {}).await)
    }

    /// The suite, and both systems as releases.
    pub(crate) fn ready(&self, from: &str, to: &str) -> Result<(Arc<Loaded>, Releases), Failed> {
        let app: AppName = APP.parse().map_err(|e| format!("{e}"))?;
        let files = self.files(to);
        let (loaded, findings) = Loaded::all(&files, &app);
        let loaded = loaded.into_iter().next().ok_or_else(|| format!("no suite: {findings:?}"))?;
        let mut recordings = BTreeMap::new();
        let candidate = release(&files, &app, &mut recordings)?;
        let production = release(&self.files(from), &app, &mut recordings)?;
        let (desired, _) = opsrepo::parse(&files);
        let (judges, findings) = read_judges(&files, &desired, &app);
        if let Some(finding) = findings.first() {
            return Err(format!("a judge does not read: {}", finding.message));
        }
        let releases = Releases {
            candidate,
            production: Some(production),
            recordings,
            of_app: Releases::recordings_of(&files, &app),
            secrets: BTreeMap::new(),
            client: (!judges.is_empty() || self.live.is_some()).then(connect::http::Client::new),
            judges,
            beside: evals::Beside::default(),
        };
        Ok((Arc::new(loaded), releases))
    }

    fn files(&self, serving: &str) -> Files {
        let mut files = vec![
            ("tidegate.yaml".to_owned(), ROOT.to_owned()),
            (at("app.yaml"), APP_FILE.to_owned()),
            (at("rollout.yaml"), ROLLOUT.to_owned()),
            (
                at("release.yaml"),
                format!(
                    "apiVersion: tidegate/v1\nversion: 1.0.0\nprompt: ask\nmodel: {serving}\nparameters: {{temperature: 0}}\n"
                ),
            ),
            (at("prompts/ask/prompt.yaml"), PROMPT.to_owned()),
            (at("prompts/ask/user.j2"), format!("{}\n", self.prompt)),
            (at("evals/real.yaml"), format!("apiVersion: tidegate/v1\n{}", self.suite)),
            (at("evals/cases.jsonl"), lines(self.cases.iter().cloned())),
        ];
        for (name, answers) in &self.answers {
            let recorded = answers
                .iter()
                .map(|(key, response)| json!({"model": name, "key": key, "response": response}));
            files.push((at(&format!("evals/recordings/{name}.jsonl")), lines(recorded)));
            files.push((format!("models/{name}.yaml"), model(name, self.live)));
        }
        files.extend(self.more.iter().cloned());
        files.into_iter().map(|(path, text)| (path, text.into_bytes())).collect()
    }
}

fn at(file: &str) -> String {
    format!("apps/{APP}/{file}")
}

fn lines(rows: impl Iterator<Item = Value>) -> String {
    rows.map(|row| format!("{row}\n")).collect()
}

fn release(
    files: &Files,
    app: &AppName,
    recordings: &mut BTreeMap<domain::ids::Digest, Arc<Recordings>>,
) -> Result<Release, Failed> {
    let (desired, _) = opsrepo::parse(files);
    let release = desired
        .compose(app)
        .map_err(|found| found.iter().map(|f| f.message.as_str()).collect::<Vec<_>>().join("; "))?;
    for file in desired.models.values().flat_map(|model| &model.recordings) {
        let parsed = Recordings::parse(file.digest, &file.bytes).map_err(|e| format!("{e:?}"))?;
        recordings.insert(file.digest, Arc::new(parsed));
    }
    let served = ServedRelease {
        app: app.clone(),
        components: release.manifest.components,
        contents: release.contents,
    };
    Ok(Release { id: release.id, served })
}

/// One price for all, so that growth of cost is growth of tokens.
fn model(name: &str, live: Option<u16>) -> String {
    let provider = match live {
        Some(port) => format!("{{kind: openai, base_url: \"http://127.0.0.1:{port}/v1\"}}"),
        None => format!(
            "{{kind: replay, key: \"{{{{ id }}}}\", recordings: [apps/{APP}/evals/recordings/{name}.jsonl]}}"
        ),
    };
    format!(
        "apiVersion: tidegate/v1\nversion: 1.0.0\nprovider: {provider}\n\
         provider_model: {name}\ncontext_window: 100000\ntokenizer: cl100k_base\n\
         prices: {{input_per_million: 1, output_per_million: 1}}\n"
    )
}

const ROOT: &str = "apiVersion: tidegate/v1\n";
const APP_FILE: &str = "\
apiVersion: tidegate/v1
owner: bench
risk: medium
audience: internal
variables:
  id: {description: Which case., example: c-1}
";
const ROLLOUT: &str = "\
apiVersion: tidegate/v1
subject: user
steps: [{promote: {}}]
signals:
  - {name: error, kind: rate, worse: higher, limit: 5%, action: rollback}
";
const PROMPT: &str = "\
apiVersion: tidegate/v1
version: 1.0.0
changelog: First version.
messages: [{role: user, template: user.j2}]
";
