//! The audit log as outsiders see it: checkpoints, tiles, proofs.

use crate::caller::Caller;
use crate::problem::{Problem, ProblemKind};
use crate::views::{AuditVerification, AuditView, Page};
use crate::{Control, wrong};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::merkle;
use domain::note::{open_checkpoint, sign_checkpoint};
use domain::params;
use domain::sentence::Sentence;
use domain::tlog_proof::TlogProof;
use store::{AuditQuery, LogError};

/// Entries read at a time when the whole log is checked.
const CHUNK: u32 = 1000;

impl Control {
    /// The signed checkpoint of the log as it is now. Size and root were made
    /// durable by the transaction that appended; only then is this signed.
    ///
    /// # Errors
    /// The store could not be read or written.
    pub async fn checkpoint(&self) -> Result<String, Problem> {
        let _single_signer = self.signing_log.lock().await;
        let size = self.store.log_size().await?;
        if let Some(last) = self.store.checkpoint().await?.filter(|c| c.size == size) {
            return Ok(last.note);
        }
        let root = self.store.log_root(size).await.map_err(log_failed)?;
        let note = sign_checkpoint(&self.keys.log, &self.config.origin, size, &root)
            .map_err(|e| wrong("the checkpoint", &e))?;
        self.store
            .save_checkpoint(size, &root, &note, self.clock.now())
            .await
            .map_err(log_failed)?;
        Ok(note)
    }

    /// A hash tile, if the log has got that far.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn tile(
        &self,
        level: u8,
        index: u64,
        width: u16,
    ) -> Result<Option<Vec<u8>>, Problem> {
        Ok(self.store.log_tile(level, index, width).await?)
    }

    /// An entry bundle, if the log has got that far.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn entries_tile(&self, index: u64, width: u16) -> Result<Option<Vec<u8>>, Problem> {
        Ok(self.store.log_bundle(index, width).await?)
    }

    /// Rows of the log, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn audit(
        &self,
        _caller: &Caller,
        query: AuditQuery,
    ) -> Result<Page<AuditView>, Problem> {
        let page = self.store.audit(&query).await?;
        let items = page
            .items
            .iter()
            .map(|row| Ok(AuditView { index: row.index, entry: row.entry()? }))
            .collect::<Result<Vec<_>, store::StoreError>>()?;
        Ok(Page { items, next: page.next.map(|c| c.to_string()) })
    }

    /// A `.tlog-proof` (C2SP tlog-proof v1) that entry `index` is in the log.
    ///
    /// # Errors
    /// `no_such_entry`.
    pub async fn proof(&self, _caller: &Caller, index: u64) -> Result<String, Problem> {
        let note = self.checkpoint().await?;
        let size = self.store.log_size().await?;
        if index >= size {
            return Err(Problem::new(
                ProblemKind::NotFound,
                "no_such_entry",
                format!("the log has {size} entries; the last is {}", size.saturating_sub(1)),
                "`tidegate audit list` shows them",
            ));
        }
        let hashes = self.store.inclusion(index, size).await.map_err(log_failed)?;
        Ok(TlogProof { index, hashes, checkpoint: note }.text())
    }

    /// Recomputes the whole tree from the entries and checks the checkpoint
    /// against it. An outsider does the same with `tidegate audit verify`.
    ///
    /// # Errors
    /// The store could not be read. A log that does not verify is an answer.
    pub async fn verify_log(&self, _caller: &Caller) -> Result<AuditVerification, Problem> {
        let note = self.checkpoint().await?;
        let key = self.keys.log.verifying_key();
        let signed = open_checkpoint(&note, &self.config.origin, &[key]);
        let size = self.store.log_size().await?;
        let mut edge = merkle::Edge::default();
        while edge.size() < size {
            let entries = self.store.log_entries(edge.size(), CHUNK).await?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                edge.append(merkle::leaf_hash(&entry.bytes));
            }
        }
        let (entries, root) = (edge.size(), STANDARD.encode(edge.root()));
        let whole = signed.as_ref().is_ok_and(|c| c.size <= entries) && entries == size && {
            let at = signed.as_ref().map_or(0, |c| c.size);
            // The checkpoint may be younger than `size`: compare at its size.
            self.store.log_root(at).await.map_err(log_failed)? == signed.map_or([0; 32], |c| c.root)
                && self.store.log_root(size).await.map_err(log_failed)? == edge.root()
        };
        let template = if whole {
            "{entries} entries, unbroken; the checkpoint's signature holds."
        } else {
            "The log does not verify: the hash over its {entries} entries is not the signed one."
        };
        let code = if whole { "log_whole" } else { "log_broken" };
        let summary = Sentence::render(code, template, params! {"entries" => entries});
        Ok(AuditVerification { whole, entries, root, summary })
    }
}

fn log_failed(error: LogError) -> Problem {
    wrong("the audit log", &error)
}
