//! Signed notes and checkpoints (C2SP `signed-note`, `tlog-checkpoint`).
//!
//! A note is text that ends in a line end, an empty line, and signature lines
//! `— name base64(key id ‖ signature)`. A checkpoint is a note of three lines:
//! the log's name, its size, its root. Other implementations verify them.
//!
//! What must stay true: a signature of a key we know that does not fit refuses
//! the whole note; one of an unknown key is ignored, because witnesses add
//! theirs.

use crate::keys::{PublicKey, SIGNATURE_LEN, SecretKey};
use crate::merkle::Hash;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr};

/// The signature type byte of Ed25519.
const ED25519: u8 = 0x01;
/// What begins a signature line: an em dash and a space.
const LINE: &str = "\u{2014} ";
/// Most signature lines a note may carry.
pub const MAX_SIGNATURES: usize = 100;
/// Longest note that is looked at, in bytes.
pub const MAX_NOTE_LEN: usize = 1_000_000;

/// Why a note, a checkpoint or a key of notes is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// A key's name must stand in a line and in a key.
    #[error("`{0}` cannot name a key: it must not be empty, and have no white space and no `+`")]
    KeyName(String),
    /// Not a verifier key.
    #[error("`{0}` is not a verifier key; one looks like `example.com/log+530d903a+AekyeR…`")]
    VerifierKey(String),
    /// The text cannot be signed.
    #[error("the text of a note must end with a line end and have no control characters")]
    Text,
    /// Not a note.
    #[error("this is not a signed note: {0}")]
    Malformed(&'static str),
    /// A signature by a key we know does not fit the text.
    #[error("the signature of `{0}` does not fit: the note was altered")]
    Forged(String),
    /// No key we know has signed.
    #[error("no known key has signed this note")]
    Unsigned,
    /// Not a checkpoint, or one of another log.
    #[error("this is not a checkpoint of `{0}`")]
    OtherLog(String),
}

/// A named private key for notes.
#[derive(Debug, Clone)]
pub struct SigningKey {
    name: String,
    secret: SecretKey,
}

impl SigningKey {
    /// Names a key.
    ///
    /// # Errors
    /// [`NoteError::KeyName`].
    pub fn new(name: &str, secret: SecretKey) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), secret })
    }

    /// The public half, under the same name.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey { name: self.name.clone(), public: self.secret.public() }
    }

    /// Signs a text into a note.
    ///
    /// # Errors
    /// [`NoteError::Text`].
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        check_text(text)?;
        let mut blob = self.verifying_key().id().to_vec();
        blob.extend_from_slice(&self.secret.sign(text.as_bytes()));
        Ok(format!("{text}\n{LINE}{} {}\n", self.name, STANDARD.encode(blob)))
    }
}

/// A named public key for notes. Its text form is `name+id+base64`, as other
/// tools read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    public: PublicKey,
}

impl VerifyingKey {
    /// Names a public key.
    ///
    /// # Errors
    /// [`NoteError::KeyName`].
    pub fn new(name: &str, public: PublicKey) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), public })
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key itself.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The four bytes that stand before its signatures: a hint, not a proof.
    pub fn id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', ED25519])
            .chain_update(self.public.as_bytes())
            .finalize();
        let [a, b, c, d, ..] = <[u8; 32]>::from(hash);
        [a, b, c, d]
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(self.public.as_bytes());
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id()), STANDARD.encode(key))
    }
}

impl FromStr for VerifyingKey {
    type Err = NoteError;
    fn from_str(text: &str) -> Result<Self, NoteError> {
        let bad = || NoteError::VerifierKey(text.to_owned());
        let (name, rest) = text.split_once('+').ok_or_else(bad)?;
        let (_, key) = rest.split_once('+').ok_or_else(bad)?;
        let key = STANDARD.decode(key).map_err(|_| bad())?;
        let (kind, bytes) = key.split_first().ok_or_else(bad)?;
        if *kind != ED25519 {
            return Err(bad());
        }
        let public =
            PublicKey::from_bytes(bytes.try_into().map_err(|_| bad())?).map_err(|_| bad())?;
        let key = Self::new(name, public)?;
        // The id inside must be the key's own.
        if key.to_string() == text { Ok(key) } else { Err(bad()) }
    }
}

fn check_name(name: &str) -> Result<(), NoteError> {
    let bad =
        name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+');
    if bad { Err(NoteError::KeyName(name.to_owned())) } else { Ok(()) }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    let good = text.ends_with('\n') && !text.chars().any(|c| c.is_control() && c != '\n');
    if good { Ok(()) } else { Err(NoteError::Text) }
}

/// Verifies a note and returns its text. At least one of `keys` must have
/// signed, and each of them that did must fit.
///
/// # Errors
/// [`NoteError`]: malformed, forged or unsigned.
pub fn verify<'a>(note: &'a str, keys: &[VerifyingKey]) -> Result<&'a str, NoteError> {
    let (text, lines) = take_apart(note)?;
    let mut verified = false;
    for (count, line) in lines.lines().enumerate() {
        if count >= MAX_SIGNATURES {
            return Err(NoteError::Malformed("it carries more than 100 signatures"));
        }
        let (name, id, signature) = signature_line(line)?;
        for key in keys.iter().filter(|k| k.name == name && k.id() == id) {
            if signature.len() != SIGNATURE_LEN || !key.public.verify(text.as_bytes(), &signature) {
                return Err(NoteError::Forged(key.name.clone()));
            }
            verified = true;
        }
    }
    if verified { Ok(text) } else { Err(NoteError::Unsigned) }
}

/// The text with its last line end, and the signature lines.
fn take_apart(note: &str) -> Result<(&str, &str), NoteError> {
    if note.len() > MAX_NOTE_LEN {
        return Err(NoteError::Malformed("it is longer than a megabyte"));
    }
    let malformed = NoteError::Malformed("there is no empty line before the signatures");
    let at = note.rfind("\n\n").ok_or(malformed)?;
    let text = note.get(..=at).unwrap_or_default();
    let lines = note.get(at + 2..).unwrap_or_default();
    check_text(text)?;
    if lines.is_empty() || !lines.ends_with('\n') || lines.contains('\r') {
        return Err(NoteError::Malformed("the signature lines are cut off"));
    }
    Ok((text, lines))
}

fn signature_line(line: &str) -> Result<(&str, [u8; 4], Vec<u8>), NoteError> {
    let malformed = NoteError::Malformed("a signature line is not of the form `— name base64`");
    let parts = line.strip_prefix(LINE).and_then(|l| l.split_once(' '));
    let (name, blob) = parts.ok_or(malformed.clone())?;
    check_name(name)?;
    let blob = STANDARD.decode(blob).map_err(|_| malformed.clone())?;
    let (id, signature) = blob.split_first_chunk::<4>().ok_or(malformed)?;
    Ok((name, *id, signature.to_vec()))
}

/// The state of a log at one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name: a URL without scheme.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The three lines that are signed.
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Reads the three lines. Extension lines are refused: this log has none.
    pub fn parse(body: &str) -> Option<Self> {
        let (origin, rest) = body.split_once('\n')?;
        let (size, rest) = rest.split_once('\n')?;
        let root = STANDARD.decode(rest.strip_suffix('\n')?).ok()?.try_into().ok()?;
        let checkpoint = Self { origin: origin.to_owned(), size: size.parse().ok()?, root };
        // One state has one text: no leading zeros, no signs.
        (checkpoint.body() == body && !origin.is_empty()).then_some(checkpoint)
    }
}

/// Signs the state of a log. Save size and root durably *before* this: two
/// signed checkpoints that contradict each other end all trust in a log.
///
/// # Errors
/// [`NoteError::Text`] if the origin cannot stand in a line.
pub fn sign_checkpoint(
    key: &SigningKey,
    origin: &str,
    size: u64,
    root: &Hash,
) -> Result<String, NoteError> {
    let body = Checkpoint { origin: origin.to_owned(), size, root: *root }.body();
    if Checkpoint::parse(&body).is_none() {
        return Err(NoteError::Text);
    }
    key.sign(&body)
}

/// Verifies a signed checkpoint of the log called `origin`.
///
/// # Errors
/// As [`verify`], and [`NoteError::OtherLog`].
pub fn open_checkpoint(
    note: &str,
    origin: &str,
    keys: &[VerifyingKey],
) -> Result<Checkpoint, NoteError> {
    Checkpoint::parse(verify(note, keys)?)
        .filter(|c| c.origin == origin)
        .ok_or_else(|| NoteError::OtherLog(origin.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use signed_note::{Note, StandardVerifier, VerifierList};

    fn key(name: &str, seed: u8) -> SigningKey {
        SigningKey::new(name, SecretKey::from_random([seed; 32])).unwrap()
    }

    fn accepted_by_the_other_implementation(note: &str, vkey: &str) -> bool {
        let keys = VerifierList::new(vec![Box::new(StandardVerifier::new(vkey).unwrap())]);
        Note::from_bytes(note.as_bytes())
            .is_ok_and(|n| n.verify(&keys).is_ok_and(|(known, _)| !known.is_empty()))
    }

    /// The key and the note of the signed-note specification.
    #[test]
    fn the_example_of_the_specification_verifies() {
        let vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
        let note = "This is an example message.\n\n\
            \u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
        let key: VerifyingKey = vkey.parse().unwrap();
        assert_eq!(key.to_string(), vkey);
        assert_eq!(hex::encode(key.id()), "530d903a");
        assert_eq!(verify(note, &[key]), Ok("This is an example message.\n"));
        assert!(accepted_by_the_other_implementation(note, vkey));
    }

    #[test]
    fn the_other_implementation_accepts_our_notes_and_keys() {
        let key = key("log.example.org/tidegate", 7);
        let note = sign_checkpoint(&key, "log.example.org/tidegate", 300, &[9; 32]).unwrap();
        let vkey = key.verifying_key().to_string();
        assert!(accepted_by_the_other_implementation(&note, &vkey), "{note}");
        let other = self::key("log.example.org/tidegate", 8).verifying_key().to_string();
        assert!(!accepted_by_the_other_implementation(&note, &other));
        let theirs = Note::from_bytes(note.as_bytes()).unwrap();
        let theirs = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
        assert_eq!((theirs.origin(), theirs.size()), ("log.example.org/tidegate", 300));
        assert_eq!(theirs.hash().0, [9; 32]);
        let ours =
            open_checkpoint(&note, "log.example.org/tidegate", &[key.verifying_key()]).unwrap();
        assert_eq!((ours.size, ours.root), (300, [9; 32]));
        assert_eq!(
            open_checkpoint(&note, "another.org", &[key.verifying_key()]),
            Err(NoteError::OtherLog("another.org".to_owned()))
        );
    }

    #[test]
    fn unknown_signatures_are_ignored_and_known_ones_must_fit() {
        let (ours, witness) = (key("ours", 1), key("witness", 2));
        let note = ours.sign("text\n").unwrap();
        let cosigned =
            format!("{note}{}", witness.sign("text\n").unwrap().split_once("\n\n").unwrap().1);
        let (our_key, their_key) = (ours.verifying_key(), witness.verifying_key());
        assert_eq!(verify(&cosigned, std::slice::from_ref(&our_key)), Ok("text\n"));
        assert_eq!(verify(&cosigned, &[our_key.clone(), their_key.clone()]), Ok("text\n"));
        assert_eq!(verify(&note, std::slice::from_ref(&their_key)), Err(NoteError::Unsigned));
        let wrong =
            format!("{note}{}", witness.sign("test\n").unwrap().split_once("\n\n").unwrap().1);
        assert_eq!(verify(&wrong, std::slice::from_ref(&our_key)), Ok("text\n"));
        assert_eq!(
            verify(&wrong, &[our_key, their_key]),
            Err(NoteError::Forged("witness".to_owned()))
        );
    }

    #[test]
    fn what_is_no_note_is_refused() {
        let key = key("k", 1);
        let good = key.sign("a\nb\n").unwrap();
        let keys = [key.verifying_key()];
        for bad in [
            String::new(),
            "a\nb\n".to_owned(),
            good.trim_end().to_owned(),
            good.replace("a\n", "a\r\n"),
            good.replace('\u{2014}', "-"),
            good.replace("k ", "k"),
            "\n\n".to_owned(),
            "\u{2014} k AAAA\n".to_owned(),
        ] {
            assert!(verify(&bad, &keys).is_err(), "{bad:?}");
        }
        assert_eq!(key.sign("no line end"), Err(NoteError::Text));
        assert_eq!(key.sign("tab\tinside\n"), Err(NoteError::Text));
        for name in ["", "a b", "a+b", "a\u{a0}b"] {
            assert!(SigningKey::new(name, SecretKey::from_random([0; 32])).is_err(), "{name:?}");
        }
        assert!("k+00000000+AAAA".parse::<VerifyingKey>().is_err());
        let vkey = keys[0].to_string();
        assert!(
            vkey.replacen("k+", "l+", 1).parse::<VerifyingKey>().is_err(),
            "id of another name"
        );
        assert!(sign_checkpoint(&key, "two\nlines", 1, &[0; 32]).is_err());
        assert!(Checkpoint::parse("o\n01\nAAAA\n").is_none());
    }

    #[test]
    fn sixteen_signatures_are_accepted_and_a_hundred_are_the_limit() {
        let ours = key("ours", 1);
        let line = key("other", 2).sign("t\n").unwrap().split_once("\n\n").unwrap().1.to_owned();
        let note = |others: usize| format!("{}{}", ours.sign("t\n").unwrap(), line.repeat(others));
        assert!(verify(&note(99), &[ours.verifying_key()]).is_ok());
        assert!(verify(&note(100), &[ours.verifying_key()]).is_err());
    }

    proptest! {
        #[test]
        fn texts_survive_and_any_altered_byte_is_noticed(text in "[a-zäß0-9\n ]{1,80}", at: usize) {
            let text = format!("{text}\n");
            let key = key("k", 1);
            let note = key.sign(&text).unwrap();
            prop_assert_eq!(verify(&note, &[key.verifying_key()]), Ok(text.as_str()));
            let mut bytes = note.clone().into_bytes();
            let place = at % text.len();
            bytes[place] = if bytes[place] == b'z' { b'y' } else { b'z' };
            if let Ok(bent) = String::from_utf8(bytes) {
                prop_assert!(verify(&bent, &[key.verifying_key()]).is_err());
            }
        }

        #[test]
        fn any_text_is_answered(text in "\\PC{0,60}(\n\n)?(\u{2014} [a-z]{0,3} [A-Za-z0-9+/=]{0,20}\n)?") {
            prop_assert!(verify(&text, &[key("k", 1).verifying_key()]).is_err());
            prop_assert!(text.parse::<VerifyingKey>().is_err());
            prop_assert!(Checkpoint::parse(&text).is_none_or(|c| c.body() == text));
        }
    }
}
