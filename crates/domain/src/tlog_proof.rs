//! The proof that one entry is in the audit log, as a file anybody can check:
//! C2SP tlog-proof v1 (<https://c2sp.org/tlog-proof>): the entry's place, the
//! hashes from leaf to root, and the signed checkpoint they lead to.

use crate::merkle::{Hash, leaf_hash, verify_inclusion};
use crate::note::{Checkpoint, NoteError, VerifyingKey, open_checkpoint};
use base64::{Engine as _, engine::general_purpose::STANDARD};

const FIRST: &str = "c2sp.org/tlog-proof@v1";
/// Most hashes of a proof: a log of 2^63 entries has no longer one.
const MAX_HASHES: usize = 63;

/// A proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Place of the entry, from 0.
    pub index: u64,
    /// Hashes from the leaf to the root.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoProof {
    /// Not of the form.
    #[error("this is no proof in the form of C2SP tlog-proof v1")]
    Form,
    /// The checkpoint's signature.
    #[error("the checkpoint of the proof: {0}")]
    Checkpoint(#[from] NoteError),
    /// The hashes lead elsewhere.
    #[error("the proof does not lead from this entry to the signed root")]
    Elsewhere,
}

impl TlogProof {
    /// Its text.
    pub fn text(&self) -> String {
        let mut text = format!("{FIRST}\nindex {}\n", self.index);
        for hash in &self.hashes {
            text.push_str(&STANDARD.encode(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }

    /// Reads exactly what [`TlogProof::text`] writes.
    ///
    /// # Errors
    /// [`NoProof::Form`].
    pub fn parse(text: &str) -> Result<Self, NoProof> {
        let (head, checkpoint) = text.split_once("\n\n").ok_or(NoProof::Form)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FIRST) {
            return Err(NoProof::Form);
        }
        let index = lines.next().and_then(|line| line.strip_prefix("index ")?.parse().ok());
        let hashes: Option<Vec<Hash>> = lines
            .take(MAX_HASHES + 1)
            .map(|line| STANDARD.decode(line).ok()?.try_into().ok())
            .collect();
        let (Some(index), Some(hashes)) = (index, hashes) else { return Err(NoProof::Form) };
        let proof = Self { index, hashes, checkpoint: checkpoint.to_owned() };
        // One proof has one text.
        if proof.hashes.len() > MAX_HASHES || proof.text() != text {
            return Err(NoProof::Form);
        }
        Ok(proof)
    }

    /// Checks that the log of `key` has this entry, and says at which state.
    ///
    /// # Errors
    /// [`NoProof`].
    pub fn verify(&self, entry: &[u8], key: &VerifyingKey) -> Result<Checkpoint, NoProof> {
        let at = open_checkpoint(&self.checkpoint, key.name(), std::slice::from_ref(key))?;
        let leaf = leaf_hash(entry);
        if verify_inclusion(&leaf, self.index, at.size, &self.hashes, &at.root) {
            return Ok(at);
        }
        Err(NoProof::Elsewhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use crate::merkle::Edge;
    use crate::note::{SigningKey, sign_checkpoint};

    #[test]
    fn a_proof_is_for_one_entry_of_one_log() {
        let key = SigningKey::new("log.example.org", SecretKey::from_random([3; 32])).unwrap();
        let mut edge = Edge::default();
        let entries: [&[u8]; 2] = [b"first", b"second"];
        for entry in entries {
            edge.append(leaf_hash(entry));
        }
        let checkpoint = sign_checkpoint(&key, "log.example.org", 2, &edge.root()).unwrap();
        let proof = TlogProof { index: 1, hashes: vec![leaf_hash(b"first")], checkpoint };
        let read = TlogProof::parse(&proof.text()).unwrap();
        assert_eq!(read, proof);
        let vkey = key.verifying_key();
        assert_eq!(read.verify(b"second", &vkey).unwrap().size, 2);
        assert_eq!(read.verify(b"first", &vkey), Err(NoProof::Elsewhere));
        let other = SigningKey::new("log.example.org", SecretKey::from_random([4; 32])).unwrap();
        assert!(matches!(
            read.verify(b"second", &other.verifying_key()),
            Err(NoProof::Checkpoint(_))
        ));
        for bad in ["", "x\n\n", "c2sp.org/tlog-proof@v1\nindex 01\n\n"] {
            assert_eq!(TlogProof::parse(bad), Err(NoProof::Form), "{bad:?}");
        }
        let longer = proof.text().replace("index 1", "index 1 ");
        assert_eq!(TlogProof::parse(&longer), Err(NoProof::Form));
    }
}
