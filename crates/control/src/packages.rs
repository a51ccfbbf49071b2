//! Evidence for people outside: gathers the story of a release or a change and
//! hands it over as one signed file (`domain::evidence`).
//!
//! One package is made at a time, every part of it is bounded, and what is too
//! large or may not be shown is left out by name and digest, never silently.

use crate::caller::Caller;
use crate::git::blocking;
use crate::incidents::entry;
use crate::problem::{Problem, ProblemKind};
use crate::records::{AppRecord, ReleaseRecord, RolloutRecord};
use crate::{Control, why, wrong};
use domain::audit::Entry;
use domain::bom::Material;
use domain::change::Change;
use domain::evidence::{
    self, AliasPart, BadArchive, ChangePart, LeftOut, LoggedEntry, NoPackage, ReleasePart,
    RolloutPart, Story, Subject, Telling,
};
use domain::ids::{AppName, ChangeId, Digest, ReleaseId};
use domain::incident::Incident;
use domain::manifest::diff;
use domain::note::sign_checkpoint;
use domain::params;
use domain::people::{Permission, Role, may};
use domain::rollout::Report;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{AuditQuery, Kind, MAX_PAGE, Query, Tx};

/// Most changes, rollouts and incidents of each that one package tells of; a
/// release is rarely proposed more than twice.
const MAX_OF_EACH: usize = 50;
/// Most entries of the audit log in a package.
const MAX_LOGGED: usize = 3_000;
/// Longest diff, report of suites or list of cases, in bytes.
const MAX_PART: usize = 8 << 20;
/// The action under which a download is written down. It is no part of the
/// story: who reads evidence must not alter it.
const DOWNLOADED: &str = "evidence.downloaded";

/// A package on its way out.
#[derive(Debug)]
pub struct Package {
    /// Name for the file.
    pub name: String,
    /// The archive.
    pub bytes: Vec<u8>,
}

impl Control {
    /// The evidence of a release, by id or unique prefix.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_release`, `evidence_too_large`.
    pub async fn release_evidence(&self, caller: &Caller, id: &str) -> Result<Package, Problem> {
        may_carry_away(caller)?;
        let id = self.find_release(id).await?;
        let release = self.release_record(id).await?;
        let app = release.manifest.app.clone();
        let mut changes: Vec<Change> = self.of_app(Kind::Change, &app).await?;
        changes.retain(|c| c.release == Some(id) || Some(c.id) == release.change);
        let mut rollouts: Vec<RolloutRecord> = self.of_app(Kind::Rollout, &app).await?;
        rollouts.retain(|r| r.state.candidate == id);
        self.tell(caller, Subject::Release(id), app, Some(release), changes, rollouts).await
    }

    /// The evidence of a change.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_change`, `evidence_too_large`.
    pub async fn change_evidence(&self, caller: &Caller, id: ChangeId) -> Result<Package, Problem> {
        may_carry_away(caller)?;
        let change = self.change_record(id).await?.doc;
        let release = match change.release {
            Some(id) => Some(self.release_record(id).await?),
            None => None,
        };
        let app = change.app.clone();
        let mut rollouts: Vec<RolloutRecord> = self.of_app(Kind::Rollout, &app).await?;
        rollouts.retain(|r| r.state.change == id);
        self.tell(caller, Subject::Change(id), app, release, vec![change], rollouts).await
    }

    async fn tell(
        &self,
        caller: &Caller,
        subject: Subject,
        app: AppName,
        release: Option<Arc<ReleaseRecord>>,
        changes: Vec<Change>,
        rollouts: Vec<RolloutRecord>,
    ) -> Result<Package, Problem> {
        let _one_at_a_time = self.packing.lock().await;
        let mut left_out = Vec::new();
        let changes = newest(changes, "changes", &mut left_out);
        let rollouts = newest(rollouts, "rollouts", &mut left_out);
        let mut incidents: Vec<Incident> = self.of_app(Kind::Incident, &app).await?;
        incidents.retain(|i| {
            let of_rollout = rollouts.iter().any(|r| Some(r.state.id) == i.rollout);
            of_rollout || release.as_ref().is_some_and(|r| i.suspect == Some(r.id))
        });
        let incidents = newest(incidents, "incidents", &mut left_out);
        let mut objects: Vec<String> = vec![subject.to_string()];
        objects.extend(release.iter().map(|r| format!("release/{}", r.id)));
        objects.extend(changes.iter().map(|c| format!("change/{}", c.id)));
        objects.extend(rollouts.iter().map(|r| format!("rollout/{}", r.state.id)));
        objects.extend(incidents.iter().map(|i| format!("incident/{}", i.id)));
        let (entries, checkpoint) = self.logged(&app, objects, &mut left_out).await?;
        let aliases = match &release {
            Some(release) => self.aliases(&app, release.id).await?,
            None => Vec::new(),
        };
        let before = changes.last().and_then(|c| c.production);
        let release = match release {
            Some(record) => Some(self.release_part(&record, before, &mut left_out).await?),
            None => None,
        };
        let mut told = Vec::new();
        for change in changes {
            told.push(self.change_part(change, &mut left_out).await?);
        }
        let mut tried = Vec::new();
        for rollout in rollouts {
            tried.push(self.rollout_part(rollout, &mut left_out).await?);
        }
        let story = Story {
            subject: subject.clone(),
            app: app.clone(),
            origin: self.config.origin.clone(),
            environment: self.config.environment.to_string(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            release,
            changes: told,
            rollouts: tried,
            incidents,
            aliases,
            entries,
            checkpoint,
            left_out,
        };
        let (key, log) = (self.keys.secret.clone(), self.keys.log.verifying_key());
        let packed = tokio::task::spawn_blocking(move || evidence::package(&story, &key, &log));
        let bytes = packed.await.map_err(|e| wrong("the evidence", &e))?.map_err(unpackable)?;
        let mut tx = Tx::new(self.clock.now());
        tx.audit(
            entry(self.clock.now(), caller.actor(), DOWNLOADED, &app)
                .on(subject.to_string())
                .from(caller.source.as_deref())
                .with(params! {"package" => Digest::of(&bytes), "bytes" => bytes.len()})
                .into(),
        );
        self.store.commit(tx).await?;
        let name = match subject {
            Subject::Change(id) => id.to_string(),
            Subject::Release(id) => id.short(),
        };
        Ok(Package { name: format!("tidegate-evidence-{name}.zip"), bytes })
    }

    /// Every object of a kind and an app, oldest first.
    async fn of_app<T: DeserializeOwned>(
        &self,
        kind: Kind,
        app: &AppName,
    ) -> Result<Vec<T>, Problem> {
        let mut all = Vec::new();
        let mut query = Query::of(kind).app(app).limit(MAX_PAGE);
        loop {
            let page = self.store.list::<T>(query.clone()).await?;
            all.extend(page.items.into_iter().map(|item| item.doc));
            match page.next {
                Some(next) => query = query.after(Some(next)),
                None => return Ok(all),
            }
        }
    }

    /// Entries on these objects, and those on the app that name one of them, each
    /// proven against the log as it was when the last of them came in.
    async fn logged(
        &self,
        app: &AppName,
        objects: Vec<String>,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<(Vec<LoggedEntry>, String), Problem> {
        let mut found: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        let ids: Vec<String> = objects
            .iter()
            .filter_map(|o| o.split_once('/').map(|(_, id)| format!("\"{id}\"")))
            .collect();
        let about_app = format!("app/{app}");
        for object in objects.iter().chain([&about_app]) {
            let mut query = AuditQuery {
                object: Some(object.clone()),
                oldest_first: true,
                limit: MAX_PAGE,
                ..AuditQuery::default()
            };
            loop {
                let page = self.store.audit(&query).await?;
                for row in page.items {
                    let entry = row.entry()?;
                    let names = object != &about_app || names_one(&entry, &ids);
                    if entry.action != DOWNLOADED && names && found.len() <= MAX_LOGGED {
                        found.insert(row.index, row.bytes);
                    }
                }
                match page.next.filter(|_| found.len() <= MAX_LOGGED) {
                    Some(next) => query.cursor = Some(next),
                    None => break,
                }
            }
        }
        if found.len() > MAX_LOGGED {
            left_out.push(LeftOut {
                what: evidence::LOG.to_owned(),
                why: format!("more than {MAX_LOGGED} entries; the whole log is at /log/"),
                digest: None,
            });
        }
        let size = match found.keys().take(MAX_LOGGED).next_back() {
            Some(last) => last.saturating_add(1),
            None => self.store.log_size().await?,
        };
        let log = |e: store::LogError| wrong("the audit log", &e);
        let root = self.store.log_root(size).await.map_err(log)?;
        // Size and root are durable: the log has long been there.
        let checkpoint = sign_checkpoint(&self.keys.log, &self.config.origin, size, &root)
            .map_err(|e| wrong("the checkpoint", &e))?;
        let mut entries = Vec::with_capacity(found.len());
        for (index, bytes) in found.into_iter().take(MAX_LOGGED) {
            let proof = self.store.inclusion(index, size).await.map_err(log)?;
            entries.push(LoggedEntry { index, bytes, proof });
        }
        Ok((entries, checkpoint))
    }

    async fn aliases(&self, app: &AppName, id: ReleaseId) -> Result<Vec<AliasPart>, Problem> {
        let Some(record) = self.store.get::<AppRecord>(Kind::App, app).await? else {
            return Ok(Vec::new());
        };
        let history = record.doc.history;
        let ends = history.iter().skip(1).map(|p| Some(p.at)).chain([None]);
        let parts = history.iter().zip(ends).filter(|(p, _)| p.release == id);
        Ok(parts
            .map(|(p, until)| AliasPart {
                release: id,
                from: p.at,
                until,
                by: serde_json::to_value(p.by)
                    .ok()
                    .and_then(|by| by.as_str().map(str::to_owned))
                    .unwrap_or_default(),
            })
            .collect())
    }

    async fn release_part(
        &self,
        record: &ReleaseRecord,
        before: Option<ReleaseId>,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<ReleasePart, Problem> {
        let before = match before.filter(|before| *before != record.id) {
            Some(id) => Some(self.release_record(id).await?),
            None => None,
        };
        let mut contents = record.served.contents.clone();
        contents.retain(|kind, content| {
            let shown = !holds_secret(content);
            if !shown {
                let digest = record.manifest.components.get(kind).map(|c| c.digest);
                left_out.push(LeftOut {
                    what: format!("release/components/{}.json", kind.key()),
                    why: "something in it looks like a secret".to_owned(),
                    digest,
                });
            }
            shown
        });
        let (differences, texts) = match &before {
            Some(before) => {
                let texts = why::texts(before, record);
                (diff(&before.manifest, &record.manifest), texts)
            }
            None => (Vec::new(), BTreeMap::new()),
        };
        let texts = record
            .manifest
            .components
            .keys()
            .filter_map(|kind| Some((*kind, checks::redact::redact(texts.get(kind.key())?))))
            .collect();
        Ok(ReleasePart {
            id: record.id,
            manifest: record.manifest.clone(),
            envelope: record.envelope.clone(),
            contents,
            bom: domain::bom::bom(&Material {
                release: record.id,
                app: &record.manifest.app,
                components: &record.manifest.components,
                contents: &record.served.contents,
                commit: &record.commit,
                created_at: record.created_at,
                tool_version: env!("CARGO_PKG_VERSION"),
            }),
            commit: record.commit.clone(),
            created_at: record.created_at,
            before: before.map(|b| b.id),
            differences,
            texts,
        })
    }

    async fn change_part(
        &self,
        mut change: Change,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<ChangePart, Problem> {
        let folder = format!("change/{}", change.id);
        let parse = |text: &str| text.parse().map_err(|e| wrong("git", &e));
        let (base, head) = (parse(&change.base)?, parse(&change.head)?);
        let repo = self.repo.clone();
        let diff = blocking(move || repo.diff(base, head)).await?;
        let diff = within(diff.into_bytes(), &format!("{folder}/change.diff"), left_out);
        let evaluation =
            self.kept_part(change.evals, &format!("{folder}/evaluation.json"), left_out).await?;
        let cases =
            self.kept_part(change.eval_cases, &format!("{folder}/cases.jsonl"), left_out).await?;
        change.title = checks::redact::redact(&change.title);
        change.why = checks::redact::redact(&change.why);
        Ok(ChangePart {
            change,
            diff: checks::redact::redact(&diff.map(text).unwrap_or_default()),
            evaluation: evaluation.and_then(|bytes: Vec<u8>| serde_json::from_slice(&bytes).ok()),
            cases: cases.map(text),
        })
    }

    async fn kept_part(
        &self,
        digest: Option<Digest>,
        name: &str,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<Option<Vec<u8>>, Problem> {
        let Some(digest) = digest else { return Ok(None) };
        Ok(self.store.get_blob(&digest).await?.and_then(|bytes| within(bytes, name, left_out)))
    }

    async fn rollout_part(
        &self,
        record: RolloutRecord,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<RolloutPart, Problem> {
        let id = record.state.id;
        let mut telling = Telling::default();
        let mut query = Query::of(Kind::Tick).parent(id).limit(MAX_PAGE);
        loop {
            let page = self.store.list::<Report>(query.clone()).await?;
            page.items.into_iter().for_each(|look| telling.push(look.doc));
            match page.next {
                Some(next) => query = query.after(Some(next)),
                None => break,
            }
        }
        let (looks, all_looks, passed_over) = telling.done();
        if passed_over > 0 {
            left_out.push(LeftOut {
                what: format!("rollout/{id}/looks.jsonl"),
                why: format!("{passed_over} more looks that said something new"),
                digest: None,
            });
        }
        let around = json!({
            "git_commit": record.git_commit, "git_settled": record.git_settled,
            "swing_back": record.swing_back, "harm": record.harm, "incident": record.incident,
            "risk": record.risk(), "spent": record.spent,
        });
        Ok(RolloutPart { state: record.state, around, looks, all_looks })
    }
}

/// Agents speak for people, and evidence is for people.
fn may_carry_away(caller: &Caller) -> Result<(), Problem> {
    if may(&caller.person.roles, Permission::Read) && !caller.person.roles.contains(&Role::Agent) {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::NotAllowed,
        "not_allowed",
        format!("`{}` may not download evidence: agents may not", caller.person.name),
        "ask a person to download it",
    ))
}

/// The newest of a list that is oldest first, in the same order.
fn newest<T>(mut all: Vec<T>, what: &str, left_out: &mut Vec<LeftOut>) -> Vec<T> {
    let over = all.len().saturating_sub(MAX_OF_EACH);
    if over > 0 {
        all.drain(..over);
        left_out.push(LeftOut {
            what: what.to_owned(),
            why: format!("{over} older ones; a package tells of {MAX_OF_EACH}"),
            digest: None,
        });
    }
    all
}

/// True if an entry about the app is about one of these too.
fn names_one(entry: &Entry, ids: &[String]) -> bool {
    let details = entry.details.to_string();
    ids.iter().any(|id| details.contains(id))
}

fn within(bytes: Vec<u8>, name: &str, left_out: &mut Vec<LeftOut>) -> Option<Vec<u8>> {
    if bytes.len() <= MAX_PART {
        return Some(bytes);
    }
    left_out.push(LeftOut {
        what: name.to_owned(),
        why: format!("{} bytes; a part has at most {MAX_PART}", bytes.len()),
        digest: Some(Digest::of(&bytes)),
    });
    None
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// True if a text in it looks like a secret.
fn holds_secret(content: &Value) -> bool {
    match content {
        Value::String(text) => checks::secrets::scan(text).iter().any(|hit| hit.kind.is_secret()),
        Value::Array(items) => items.iter().any(holds_secret),
        Value::Object(fields) => fields.values().any(holds_secret),
        _ => false,
    }
}

fn unpackable(error: NoPackage) -> Problem {
    match error {
        NoPackage::Archive(bad @ BadArchive::TooLarge { .. }) => Problem::new(
            ProblemKind::Refused,
            "evidence_too_large",
            format!("the evidence does not fit in one package: {bad}"),
            "take the evidence of its changes one by one",
        ),
        other => wrong("the evidence", &other),
    }
}
