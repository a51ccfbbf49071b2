//! From state to snapshot.
//!
//! Level-triggered: whatever changed, the whole snapshot is compiled from the
//! store and git, compared with the last published one, and published under
//! the next generation if it differs. Calling this too often costs time, never
//! truth; forgetting it is repaired by the next look.

use crate::experiments::ExperimentRecord;
use crate::problem::Problem;
use crate::records::{
    AppRecord, Around, PublishedRecord, ReleaseRecord, RolloutRecord, TokenRecord,
};
use crate::{Control, wrong};
use domain::ids::{AppName, Digest, Generation, ReleaseId};
use domain::people::{Permission, Person, may};
use domain::snapshot::{AppSnapshot, FORMAT, Grant, RolloutExposure, SignedSnapshot, Snapshot};
use domain::units::Timestamp;
use opsrepo::AppSpec;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::{Index, Kind, Tx};

/// The snapshot gateways should serve, with its generation.
#[derive(Debug, Clone)]
pub struct Published {
    /// Its generation.
    pub generation: Generation,
    /// As it travels.
    pub signed: SignedSnapshot,
}

impl Control {
    /// Compiles and publishes if anything differs. Returns the generation that
    /// carries the present state.
    ///
    /// # Errors
    /// The store or git could not be read; the last snapshot stays published.
    pub async fn publish(&self) -> Result<Generation, Problem> {
        let _one_at_a_time = self.publishing.lock().await;
        let mut snapshot = self.compile().await?;
        let content = content_digest(&snapshot)?;
        let last = self.store.get::<PublishedRecord>(Kind::Meta, "snapshot").await?;
        let unchanged = last.as_ref().is_some_and(|l| l.doc.content == content);
        let generation = match &last {
            Some(l) if unchanged => l.doc.generation,
            Some(l) => l.doc.generation.next(),
            None => Generation(1),
        };
        if unchanged && self.published.borrow().as_ref().is_some_and(|p| p.generation == generation)
        {
            return Ok(generation);
        }
        if !unchanged {
            let record = PublishedRecord { generation, content };
            let mut tx = Tx::new(self.clock.now());
            match &last {
                Some(l) => tx.update(Kind::Meta, "snapshot", l.generation, &record, Index::none()),
                None => tx.create(Kind::Meta, "snapshot", &record, Index::none()),
            };
            self.store.commit(tx).await?;
        }
        snapshot.generation = generation;
        snapshot.issued_at = self.clock.now();
        let signed = SignedSnapshot::sign(&snapshot, &self.keys.secret)
            .map_err(|e| wrong("snapshot", &e))?;
        self.published.send_replace(Some(Arc::new(Published { generation, signed })));
        tracing::debug!(%generation, "published");
        Ok(generation)
    }

    /// The snapshot, once there is one newer than `have`.
    pub async fn snapshot_after(
        &self,
        have: Generation,
        wait: std::time::Duration,
    ) -> Option<Arc<Published>> {
        let mut published = self.published.subscribe();
        let newer = async {
            published
                .wait_for(|p| p.as_ref().is_some_and(|p| p.generation > have))
                .await
                .ok()?
                .clone()
        };
        tokio::time::timeout(wait, newer).await.ok().flatten()
    }

    /// A blob that a published release names.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Problem> {
        Ok(self.store.get_blob(digest).await?)
    }

    /// The newest generation.
    pub fn newest(&self) -> Generation {
        self.published.borrow().as_ref().map_or(Generation(0), |p| p.generation)
    }

    async fn compile(&self) -> Result<Snapshot, Problem> {
        let main = self.main().await?;
        let mut apps = BTreeMap::new();
        let mut wanted = BTreeSet::new();
        for record in self.all::<AppRecord>(Kind::App).await? {
            let Some(spec) = main.desired.apps.get(&record.doc.app) else { continue };
            let app = self.compile_app(&record.doc, spec).await?;
            wanted.insert(app.production);
            wanted.extend(app.rollout.iter().map(|r| r.candidate));
            let variants = app.experiment.iter().flat_map(|experiment| &experiment.variants);
            wanted.extend(variants.map(|variant| variant.release));
            apps.insert(record.doc.app.clone(), app);
        }
        let tokens = self.grants().await?;
        wanted.extend(tokens.values().filter_map(|grant| Some(grant.preview.as_ref()?.release)));
        let mut releases = BTreeMap::new();
        let mut blobs = BTreeSet::new();
        for id in wanted {
            let record = self.release_record(id).await?;
            blobs.extend(record.blobs.iter().copied());
            releases.insert(id, record.served.clone());
        }
        Ok(Snapshot {
            format: FORMAT,
            environment: self.config.environment.clone(),
            generation: Generation(0),
            issued_at: Timestamp(0),
            apps,
            releases,
            tokens,
            blobs,
        })
    }

    async fn compile_app(
        &self,
        record: &AppRecord,
        spec: &AppSpec,
    ) -> Result<AppSnapshot, Problem> {
        let rollout = match record.rollout {
            Some(id) => self.store.get::<RolloutRecord>(Kind::Rollout, id).await?,
            None => None,
        };
        let experiment = match record.experiment {
            // Who throws the kill switch is never answered by a variant after it.
            Some(id) if record.killed.is_none() => {
                self.store.get::<ExperimentRecord>(Kind::Experiment, id).await?
            }
            _ => None,
        };
        let subject = rollout
            .as_ref()
            .map(|r| r.doc.state.policy.subject)
            .or_else(|| experiment.as_ref().map(|e| e.doc.state.subject))
            .or_else(|| spec.rollout.as_ref().map(|p| p.subject))
            .unwrap_or_default();
        let around = record.around().cloned().unwrap_or_else(|| Around::of(spec));
        Ok(AppSnapshot {
            production: record.production,
            salt: record.salt.clone(),
            subject,
            rollout: rollout.filter(|r| !r.doc.state.phase.is_final()).map(|r| RolloutExposure {
                rollout: r.doc.state.id,
                step: u32::try_from(r.doc.state.step).unwrap_or(u32::MAX),
                candidate: r.doc.state.candidate,
                exposure: r.doc.state.exposure,
            }),
            experiment: experiment.and_then(|e| e.doc.state.exposure()),
            killed: record.killed.clone(),
            fallback: around
                .fallback
                .as_ref()
                .map(serde_json::to_value)
                .transpose()
                .map_err(|e| wrong("the fallback", &e))?,
            on_error: around.on_error,
            timeout: around.timeout,
            retries: around.retries,
        })
    }

    /// A release, from memory if it was asked for before: releases never change.
    pub(crate) async fn release_record(
        &self,
        id: ReleaseId,
    ) -> Result<Arc<ReleaseRecord>, Problem> {
        if let Some(known) = self.releases.lock().await.get(&id) {
            return Ok(known.clone());
        }
        let found = self
            .store
            .get::<ReleaseRecord>(Kind::Release, id)
            .await?
            .ok_or_else(|| crate::not_found("release", &id.short()))?;
        let record = Arc::new(found.doc);
        self.releases.lock().await.insert(id, record.clone());
        Ok(record)
    }

    async fn grants(&self) -> Result<BTreeMap<String, Grant>, Problem> {
        let people: BTreeMap<_, _> = self
            .all::<Person>(Kind::Person)
            .await?
            .into_iter()
            .map(|p| (p.doc.name.clone(), p.doc))
            .collect();
        let tokens = self.all::<TokenRecord>(Kind::Token).await?;
        Ok(tokens
            .into_iter()
            .filter_map(|token| {
                let token = token.doc;
                let grant = match &token.person {
                    Some(name) => person_grant(&token, people.get(name)?)?,
                    None if token.gateway => return None,
                    None => app_grant(&token),
                };
                Some((token.hash, grant))
            })
            .collect())
    }
}

fn person_grant(token: &TokenRecord, person: &Person) -> Option<Grant> {
    may(&person.roles, Permission::Call).then(|| Grant {
        name: person.name.to_string(),
        apps: token.apps.clone(),
        operate: may(&person.roles, Permission::Operate),
        expires_at: Some(token.expires_at),
        preview: None,
    })
}

fn app_grant(token: &TokenRecord) -> Grant {
    Grant {
        name: token.note.clone(),
        apps: token.apps.clone(),
        operate: false,
        expires_at: Some(token.expires_at),
        preview: token.preview.clone(),
    }
}

/// Digest of everything but generation and time.
fn content_digest(snapshot: &Snapshot) -> Result<Digest, Problem> {
    serde_json::to_vec(snapshot).map(|bytes| Digest::of(&bytes)).map_err(|e| wrong("snapshot", &e))
}

/// Used by the start of a new app: a salt of its own.
pub(crate) fn fresh_salt(app: &AppName) -> Result<String, Problem> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(|e| crate::wrong("random numbers", &e))?;
    Ok(format!("{app}/{}", hex::encode(bytes)))
}
