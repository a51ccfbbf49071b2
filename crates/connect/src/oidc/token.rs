//! Whether an id token is believed: OpenID Connect Core 1.0, section 3.1.3.7,
//! check by check.
//!
//! The signature is checked by a library; everything else here, with our own
//! clock. What must stay true: the algorithm is one of [`ALGORITHMS`] whatever
//! the token says (a token that is not signed, or signed with a secret, is
//! none), and fits the key it names.

use domain::units::{Span, Timestamp};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};

/// How far the provider's clock may be from ours.
pub const CLOCK_SKEW: Span = Span::from_secs(60);
/// An id token is taken for so long after it was issued, whatever it says: it is
/// used at once.
pub const LONGEST_AGE: Span = Span::from_secs(600);
/// Longest id token, in bytes.
const MAX_TOKEN: usize = 64 << 10;
/// Signatures that are believed: by a key pair, never by a shared secret.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// What is said about a person.
#[derive(Clone, Default, Deserialize)]
pub struct Claims {
    /// The person, as the provider knows them: never given to another.
    #[serde(default)]
    pub sub: String,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Claims({} claims)", self.rest.len())
    }
}

impl Claims {
    /// The e-mail address, in lower case, if the provider has verified it.
    pub fn verified_email(&self) -> Option<String> {
        // Some providers write the word as a string.
        let verified = match self.rest.get("email_verified")? {
            Value::Bool(yes) => *yes,
            Value::String(word) => word == "true",
            _ => false,
        };
        let email = self.rest.get("email").and_then(Value::as_str)?.trim().to_lowercase();
        (verified && email.contains('@')).then_some(email)
    }

    /// A claim that is one text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.rest.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// A claim that is a list of texts, or one.
    pub fn list(&self, name: &str) -> Vec<&str> {
        match self.rest.get(name) {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(one)) => vec![one],
            _ => Vec::new(),
        }
    }

    /// Adds what the userinfo endpoint says, if it speaks of the same person
    /// (section 5.3.2). What the signed token said stays.
    pub(crate) fn join(&mut self, more: Claims) -> Result<(), Doubt> {
        if more.sub != self.sub {
            return Err(Doubt::Claim("userinfo speaks of another subject"));
        }
        for (name, value) in more.rest {
            self.rest.entry(name).or_insert(value);
        }
        Ok(())
    }
}

/// What the token must say.
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) now: Timestamp,
}

/// Why it is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Doubt {
    #[error("it cannot be read")]
    Unreadable,
    #[error("it is signed with `{0}`, which is not believed")]
    Algorithm(String),
    #[error("it is signed with a key the provider does not publish")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
    #[error("{0}")]
    Claim(&'static str),
}

/// The header, with the algorithm as the token spells it: the library's own type
/// has no word for `none`.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood; none are (RFC 7515, section 4.1.11).
    crit: Option<Value>,
}

/// The claims of a token that passes every check.
pub(crate) fn believe(
    token: &str,
    keys: &JwkSet,
    expected: &Expected<'_>,
) -> Result<Claims, Doubt> {
    if token.len() > MAX_TOKEN {
        return Err(Doubt::Unreadable);
    }
    let header = header(token)?;
    let named = header.alg.parse::<Algorithm>().ok();
    let algorithm = named.filter(|a| ALGORITHMS.contains(a));
    let algorithm = algorithm.ok_or_else(|| Doubt::Algorithm(short(&header.alg)))?;
    if header.crit.is_some() {
        return Err(Doubt::Claim("its header asks for an extension"));
    }
    let key = find(keys, header.kid.as_deref(), algorithm)?;
    let key = DecodingKey::from_jwk(key).map_err(|_| Doubt::UnknownKey)?;
    let mut rules = Validation::new(algorithm);
    // Checked below, by our clock and for every case of the specification.
    rules.required_spec_claims.clear();
    rules.validate_exp = false;
    rules.validate_nbf = false;
    rules.validate_aud = false;
    let claims = jsonwebtoken::decode::<Claims>(token, &key, &rules);
    let claims = claims.map_err(|_| Doubt::Signature)?.claims;
    check(&claims, expected)?;
    Ok(claims)
}

fn header(token: &str) -> Result<Header, Doubt> {
    use base64::Engine as _;
    let mut parts = token.split('.');
    let (Some(first), Some(_), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Doubt::Unreadable);
    };
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(first);
    let bytes = bytes.map_err(|_| Doubt::Unreadable)?;
    serde_json::from_slice(&bytes).map_err(|_| Doubt::Unreadable)
}

fn short(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric()).take(16).collect()
}

/// The one key that can have made it.
fn find<'a>(keys: &'a JwkSet, kid: Option<&str>, algorithm: Algorithm) -> Result<&'a Jwk, Doubt> {
    let mut fitting = keys.keys.iter().filter(|key| {
        let common = &key.common;
        let signs = common.public_key_use.as_ref().is_none_or(|u| *u == PublicKeyUse::Signature);
        let named = kid.is_none_or(|kid| common.key_id.as_deref() == Some(kid));
        let same = common.key_algorithm.is_none_or(|a| a.to_string() == format!("{algorithm:?}"));
        signs && named && same && fits(key, algorithm)
    });
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => Ok(key),
        // Two that fit and no name: neither is believed.
        _ => Err(Doubt::UnknownKey),
    }
}

/// True if a key of this kind can make such a signature.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm as A;
    match &key.algorithm {
        AlgorithmParameters::RSA(_) => {
            matches!(algorithm, A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512)
        }
        AlgorithmParameters::EllipticCurve(curve) => matches!(
            (&curve.curve, algorithm),
            (EllipticCurve::P256, A::ES256) | (EllipticCurve::P384, A::ES384)
        ),
        AlgorithmParameters::OctetKeyPair(pair) => {
            algorithm == A::EdDSA && pair.curve == EllipticCurve::Ed25519
        }
        AlgorithmParameters::OctetKey(_) => false,
    }
}

/// Everything but the signature.
fn check(claims: &Claims, expected: &Expected<'_>) -> Result<(), Doubt> {
    let text = |name| claims.rest.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(Doubt::Claim("it was issued by another issuer"));
    }
    if claims.sub.is_empty() || claims.sub.len() > 255 {
        return Err(Doubt::Claim("it names no subject"));
    }
    let audience = claims.list("aud");
    if !audience.contains(&expected.client_id) {
        return Err(Doubt::Claim("it is for another client"));
    }
    let party = claims.rest.get("azp");
    let for_us = party.is_none_or(|azp| azp.as_str() == Some(expected.client_id));
    if !for_us || (audience.len() > 1 && party.is_none()) {
        return Err(Doubt::Claim("it was made for another client"));
    }
    if text("nonce") != Some(expected.nonce) {
        return Err(Doubt::Claim("its nonce is not the one of this sign-in"));
    }
    let (now, skew) = (expected.now.0, CLOCK_SKEW.millis());
    let at = |name| claims.rest.get(name).and_then(millis);
    let expires = at("exp").ok_or(Doubt::Claim("it does not say when it expires"))?;
    if now >= expires.saturating_add(skew) {
        return Err(Doubt::Claim("it has expired"));
    }
    let issued = at("iat").ok_or(Doubt::Claim("it does not say when it was issued"))?;
    if issued > now.saturating_add(skew)
        || at("nbf").is_some_and(|nbf| nbf > now.saturating_add(skew))
    {
        return Err(Doubt::Claim("it is from the future: are both clocks right?"));
    }
    if now.saturating_sub(issued) > LONGEST_AGE.millis().saturating_add(skew) {
        return Err(Doubt::Claim("it was issued too long ago"));
    }
    Ok(())
}

/// A NumericDate, in milliseconds.
fn millis(value: &Value) -> Option<i64> {
    let seconds = value.as_f64().filter(|s| s.is_finite() && *s >= 0.0)?;
    // Saturates; no provider's clock is there.
    Some((seconds * 1000.0) as i64)
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
