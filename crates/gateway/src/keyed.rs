//! Keyed hashes: what stands in telemetry for a subject, a tenant, an input.
//!
//! HMAC-SHA256 (RFC 2104) with a label per purpose, so that the same text as a
//! subject and as a tenant gives different hashes. Every part is preceded by
//! its length: no two lists of parts meet.

use domain::ids::Digest;

const BLOCK: usize = 64;
/// Hexadecimal digits of a hashed name: 128 bits.
const NAME_DIGITS: usize = 32;

/// The keyed hash of these parts.
pub(crate) fn hash(key: &[u8; 32], label: &str, parts: &[&[u8]]) -> Digest {
    let mut message = Vec::new();
    for part in std::iter::once(&label.as_bytes()).chain(parts) {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(part);
    }
    hmac(key, &message)
}

/// The keyed hash of a name, as 32 hexadecimal digits.
pub(crate) fn name(key: &[u8; 32], label: &str, text: &str) -> String {
    let mut digits = hash(key, label, &[text.as_bytes()]).hex();
    digits.truncate(NAME_DIGITS);
    digits
}

fn hmac(key: &[u8; 32], message: &[u8]) -> Digest {
    let pad = |byte: u8| {
        let mut block = vec![byte; BLOCK];
        block.iter_mut().zip(key).for_each(|(b, k)| *b ^= k);
        block
    };
    let mut inner = pad(0x36);
    inner.extend_from_slice(message);
    let mut outer = pad(0x5c);
    outer.extend_from_slice(Digest::of(&inner).as_bytes());
    Digest::of(&outer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 test case 4 has a key of 25 bytes, 1 to 25; zeros after it
    /// change nothing, as HMAC pads a short key with them.
    #[test]
    fn agrees_with_rfc_4231() {
        let mut key = [0; 32];
        (1..=25_u8).zip(&mut key).for_each(|(n, k)| *k = n);
        assert_eq!(
            hmac(&key, &[0xcd; 50]).hex(),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
        );
    }

    #[test]
    fn parts_and_labels_do_not_run_together() {
        let key = [7; 32];
        assert_ne!(hash(&key, "a", &[b"bc"]), hash(&key, "ab", &[b"c"]));
        assert_ne!(hash(&key, "x", &[b"a", b"b"]), hash(&key, "x", &[b"ab"]));
        assert_ne!(name(&key, "subject", "ana"), name(&key, "tenant", "ana"));
    }
}
