//! The installation's signing key: one Ed25519 key signs manifests, snapshots,
//! checkpoints and evidence.
//!
//! One key can serve all four because each signs a form no other has: DSSE
//! prefixes the payload type, a snapshot its own line, a note begins with the
//! log's name. Random bytes are an argument; nothing here invents a key.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes,
};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use std::fmt;

/// Length of a signature, in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// A key that cannot be read. Says nothing of the key itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// The private key file.
    #[error(
        "this is not an Ed25519 private key in PEM (`-----BEGIN PRIVATE KEY-----`); make one with `openssl genpkey -algorithm ed25519`"
    )]
    Private,
    /// The public key file.
    #[error(
        "this is not an Ed25519 public key in PEM (`-----BEGIN PUBLIC KEY-----`) or base64 of 32 bytes"
    )]
    Public,
}

/// A private Ed25519 key. Prints redacted; wiped when dropped.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key made of 32 bytes from a cryptographic random source.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&bytes))
    }

    /// Reads PKCS#8 PEM, as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// [`BadKey::Private`].
    pub fn from_pem(pem: &str) -> Result<Self, BadKey> {
        SigningKey::from_pkcs8_pem(pem).map(Self).map_err(|_| BadKey::Private)
    }

    /// PKCS#8 PEM, to be kept in a file only the server may read. The one way
    /// by which the key leaves this type.
    ///
    /// # Errors
    /// [`BadKey::Private`] if it cannot be written; no known key does that.
    pub fn to_pem(&self) -> Result<String, BadKey> {
        // Without the public half: OpenSSL 3.0 does not read the newer form
        // that carries it.
        let key = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| BadKey::Private)?;
        Ok(pem.as_str().to_owned())
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The signature over exactly these bytes. Callers prefix what makes their
    /// form unlike any other's.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(… of {})", self.public().id())
    }
}

/// A public Ed25519 key. Its text form is base64 of its 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// From 32 bytes.
    ///
    /// # Errors
    /// [`BadKey::Public`] if they are no point of the curve.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadKey> {
        VerifyingKey::from_bytes(bytes).map(Self).map_err(|_| BadKey::Public)
    }

    /// A short name for lists and key ids: the first eight bytes of the key's
    /// SHA-256, in hexadecimal. Only a hint; never proves anything.
    pub fn id(&self) -> String {
        crate::ids::Digest::of(self.as_bytes()).hex().chars().take(16).collect()
    }

    /// PEM, for `openssl` and other verifiers.
    ///
    /// # Errors
    /// [`BadKey::Public`] if it cannot be written; no known key does that.
    pub fn to_pem(&self) -> Result<String, BadKey> {
        self.0.to_public_key_pem(LineEnding::LF).map_err(|_| BadKey::Public)
    }

    /// True if the signature over these bytes was made with the private half.
    /// Keys of small order and malleable signatures are refused.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|s| self.0.verify_strict(message, &s).is_ok())
    }
}

impl std::str::FromStr for PublicKey {
    type Err = BadKey;
    fn from_str(text: &str) -> Result<Self, BadKey> {
        if text.trim_start().starts_with("-----") {
            return VerifyingKey::from_public_key_pem(text).map(Self).map_err(|_| BadKey::Public);
        }
        let bytes = STANDARD.decode(text.trim()).map_err(|_| BadKey::Public)?;
        Self::from_bytes(&bytes.try_into().map_err(|_| BadKey::Public)?)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032 section 7.1, test 2.
    const SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    const PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

    fn key() -> SecretKey {
        SecretKey::from_random(hex::decode(SEED).unwrap().try_into().unwrap())
    }

    #[test]
    fn signatures_are_those_of_rfc_8032() {
        assert_eq!(hex::encode(key().public().as_bytes()), PUBLIC);
        assert_eq!(hex::encode(key().sign(&[0x72])), SIGNATURE);
        assert!(key().public().verify(&[0x72], &hex::decode(SIGNATURE).unwrap()));
        assert!(!key().public().verify(&[0x73], &hex::decode(SIGNATURE).unwrap()));
        assert!(!key().public().verify(&[0x72], b"short"));
    }

    #[test]
    fn keys_read_back_from_every_form() {
        let read = SecretKey::from_pem(&key().to_pem().unwrap()).unwrap();
        assert_eq!(read.public(), key().public());
        assert_eq!(key().public().to_pem().unwrap().parse(), Ok(key().public()));
        assert_eq!(key().public().to_string().parse(), Ok(key().public()));
        assert_eq!(SecretKey::from_pem("x").map(|_| ()), Err(BadKey::Private));
        assert_eq!("AAAA".parse::<PublicKey>(), Err(BadKey::Public));
    }

    /// The forms in which OpenSSL reads and writes this key pair.
    #[test]
    fn keys_are_read_and_written_as_openssl_does() {
        let private = "-----BEGIN PRIVATE KEY-----\n\
                       MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n\
                       -----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\n\
                      MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n\
                      -----END PUBLIC KEY-----\n";
        assert_eq!(SecretKey::from_pem(private).unwrap().public(), public.parse().unwrap());
        assert_eq!(key().to_pem().unwrap(), private);
        assert_eq!(key().public().to_pem().unwrap(), public);
    }

    #[test]
    fn a_secret_key_prints_redacted() {
        let shown = format!("{:?}", key());
        assert!(!shown.contains(&SEED[..8]), "{shown}");
        assert!(!shown.contains("4ccd"), "{shown}");
    }
}
