//! DSSE envelopes: how manifests and evidence are signed (in-toto's "dead
//! simple signing envelope").
//!
//! The signature covers the payload's type and its exact bytes, so nothing is
//! ever parsed before it is verified, and what was verified is never
//! re-serialised. Several keys may sign; a verifier counts distinct keys.

use crate::keys::{PublicKey, SecretKey};
use base64::Engine as _;
use base64::alphabet::{STANDARD as STANDARD_ALPHABET, URL_SAFE as URL_SAFE_ALPHABET};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

/// The payload type of in-toto statements.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// The payload type of a release manifest.
pub const MANIFEST: &str = "application/vnd.tidegate.manifest+json";

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&STANDARD_ALPHABET, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&URL_SAFE_ALPHABET, LENIENT);

/// A signed payload as it is stored and sent (JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Base64 of the payload's exact bytes.
    pub payload: String,
    /// What the payload is.
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// Who signed.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature of an [`Envelope`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeSignature {
    /// Which key; a hint, never trusted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub keyid: String,
    /// Base64 of the signature.
    pub sig: String,
}

/// Why an envelope is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DsseError {
    /// The payload is not what the reader asked for.
    #[error("the envelope holds `{found}`, not `{wanted}`")]
    OtherType {
        /// Type in the envelope.
        found: String,
        /// Type asked for.
        wanted: String,
    },
    /// The payload is not base64.
    #[error("the payload of the envelope is not base64")]
    Payload,
    /// Too few known keys have signed.
    #[error("{found} of {wanted} needed known keys have signed this envelope")]
    Unsigned {
        /// Distinct known keys whose signature fits.
        found: usize,
        /// How many were asked for.
        wanted: usize,
    },
}

impl Envelope {
    /// True if payload and signatures are in the usual alphabet, as [`sign`]
    /// writes them: then two envelopes of one meaning are one text.
    pub fn is_written_plainly(&self, payload: &[u8]) -> bool {
        let plainly = |text: &str, bytes: &[u8]| STANDARD.encode(bytes) == text;
        plainly(&self.payload, payload)
            && self.signatures.iter().all(|s| decode(&s.sig).is_some_and(|b| plainly(&s.sig, &b)))
    }
}

/// The bytes a signature covers: `DSSEv1 <len> <type> <len> <payload>`.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Signs a payload.
pub fn sign(payload_type: &str, payload: &[u8], key: &SecretKey) -> Envelope {
    Envelope {
        payload: STANDARD.encode(payload),
        payload_type: payload_type.to_owned(),
        signatures: vec![EnvelopeSignature {
            keyid: key.public().id(),
            sig: STANDARD.encode(key.sign(&pae(payload_type, payload))),
        }],
    }
}

/// Verifies that one of `keys` signed a payload of this type, and returns the
/// payload's exact bytes.
///
/// # Errors
/// [`DsseError`].
pub fn verify(
    envelope: &Envelope,
    payload_type: &str,
    keys: &[PublicKey],
) -> Result<Vec<u8>, DsseError> {
    verify_threshold(envelope, payload_type, keys, 1)
}

/// As [`verify`], but so many *different* keys must have signed.
///
/// # Errors
/// [`DsseError`].
pub fn verify_threshold(
    envelope: &Envelope,
    payload_type: &str,
    keys: &[PublicKey],
    wanted: usize,
) -> Result<Vec<u8>, DsseError> {
    if envelope.payload_type != payload_type {
        return Err(DsseError::OtherType {
            found: envelope.payload_type.clone(),
            wanted: payload_type.to_owned(),
        });
    }
    let payload = decode(&envelope.payload).ok_or(DsseError::Payload)?;
    let signed = pae(payload_type, &payload);
    let signatures: Vec<_> = envelope.signatures.iter().filter_map(|s| decode(&s.sig)).collect();
    let mut counted: Vec<&PublicKey> = Vec::new();
    for key in keys {
        if !counted.contains(&key) && signatures.iter().any(|s| key.verify(&signed, s)) {
            counted.push(key);
        }
    }
    // A threshold of nothing would accept anything.
    let wanted = wanted.max(1);
    if counted.len() < wanted {
        return Err(DsseError::Unsigned { found: counted.len(), wanted });
    }
    Ok(payload)
}

/// Both alphabets are accepted, with and without padding.
fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_random([seed; 32])
    }

    #[test]
    fn the_signed_bytes_are_those_of_the_specification() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        assert_eq!(pae("é", "ü".as_bytes()), "DSSEv1 2 é 2 ü".as_bytes(), "lengths count bytes");
    }

    #[test]
    fn envelopes_survive_json_and_verify() {
        let envelope = sign(MANIFEST, b"{}\xff", &key(1));
        let json = serde_json::to_string(&envelope).unwrap();
        assert!(json.starts_with(r#"{"payload":"e33/","payloadType":"#), "{json}");
        let read: Envelope = serde_json::from_str(&json).unwrap();
        assert_eq!(
            verify(&read, MANIFEST, &[key(2).public(), key(1).public()]),
            Ok(b"{}\xff".to_vec())
        );
        let url_safe = Envelope { payload: "e33_".to_owned(), ..read };
        assert!(verify(&url_safe, MANIFEST, &[key(1).public()]).is_ok());
    }

    #[test]
    fn other_keys_types_and_payloads_are_refused() {
        let envelope = sign(MANIFEST, b"{}", &key(1));
        let unsigned = Err(DsseError::Unsigned { found: 0, wanted: 1 });
        assert_eq!(verify(&envelope, MANIFEST, &[key(2).public()]), unsigned);
        assert_eq!(verify(&envelope, MANIFEST, &[]), unsigned);
        assert!(matches!(
            verify(&envelope, IN_TOTO, &[key(1).public()]),
            Err(DsseError::OtherType { .. })
        ));
        let retyped = Envelope { payload_type: IN_TOTO.to_owned(), ..envelope.clone() };
        assert_eq!(verify(&retyped, IN_TOTO, &[key(1).public()]), unsigned);
        let other = Envelope { payload: "e33/".to_owned(), ..envelope.clone() };
        assert_eq!(verify(&other, MANIFEST, &[key(1).public()]), unsigned);
        let broken = Envelope { payload: "*".to_owned(), ..envelope };
        assert_eq!(verify(&broken, MANIFEST, &[key(1).public()]), Err(DsseError::Payload));
    }

    #[test]
    fn a_threshold_counts_keys_not_signatures() {
        let mut envelope = sign(MANIFEST, b"{}", &key(1));
        envelope.signatures.push(envelope.signatures[0].clone());
        let keys = [key(1).public(), key(1).public(), key(2).public()];
        let one = Err(DsseError::Unsigned { found: 1, wanted: 2 });
        assert_eq!(verify_threshold(&envelope, MANIFEST, &keys, 2), one);
        envelope.signatures.extend(sign(MANIFEST, b"{}", &key(2)).signatures);
        assert!(verify_threshold(&envelope, MANIFEST, &keys, 2).is_ok());
        assert!(verify_threshold(&sign(MANIFEST, b"", &key(3)), MANIFEST, &keys, 0).is_err());
    }
}
