//! Tokens that are believed, and every one that must not be.

use super::*;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use jsonwebtoken::EncodingKey;
use serde_json::json;

const NOW: Timestamp = Timestamp(1_760_000_000_000);
const ISSUER: &str = "https://login.example.com";

/// An Ed25519 key in PKCS #8, from a seed (RFC 8410, section 7).
fn key(seed: u8) -> (EncodingKey, Value) {
    let mut der = hex::decode("302e020100300506032b657004220420").unwrap();
    der.extend([seed; 32]);
    let public = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]).verifying_key();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": B64.encode(public.as_bytes()), "kid": format!("k{seed}")});
    (EncodingKey::from_ed_der(&der), jwk)
}

fn keys(all: &[Value]) -> JwkSet {
    serde_json::from_value(json!({ "keys": all })).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "248289761001", "aud": "tidegate", "nonce": "n-1",
        "iat": 1_760_000_000, "exp": 1_760_000_300, "email": "Ana@Example.com", "email_verified": true,
    })
}

fn signed(seed: u8, kid: Option<&str>, claims: &Value) -> String {
    let mut header = jsonwebtoken::Header::new(Algorithm::EdDSA);
    header.kid = kid.map(str::to_owned);
    jsonwebtoken::encode(&header, claims, &key(seed).0).unwrap()
}

fn look(token: &str, keys: &JwkSet) -> Result<Claims, Doubt> {
    let expected = Expected { issuer: ISSUER, client_id: "tidegate", nonce: "n-1", now: NOW };
    believe(token, keys, &expected)
}

fn raw(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| B64.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), B64.encode(signature))
}

#[test]
fn a_token_that_is_right_is_believed_and_speaks_for_an_address_only_when_verified() {
    let set = keys(&[key(1).1]);
    let believed = look(&signed(1, Some("k1"), &claims()), &set).unwrap();
    assert_eq!(believed.sub, "248289761001");
    assert_eq!(believed.verified_email().as_deref(), Some("ana@example.com"));
    let mut other = claims();
    other["email_verified"] = json!(false);
    assert_eq!(look(&signed(1, None, &other), &set).unwrap().verified_email(), None);
    other.as_object_mut().unwrap().remove("email_verified");
    assert_eq!(look(&signed(1, None, &other), &set).unwrap().verified_email(), None);
}

#[test]
fn a_claim_that_is_wrong_is_refused() {
    let set = keys(&[key(1).1]);
    let with = |name: &str, value: Value| {
        let mut all = claims();
        if value.is_null() {
            all.as_object_mut().unwrap().remove(name);
        } else {
            all[name] = value;
        }
        look(&signed(1, Some("k1"), &all), &set).map(|_| ())
    };
    let skew = CLOCK_SKEW.millis() / 1000;
    let now = NOW.0 / 1000;
    for (name, value) in [
        ("iss", json!("https://login.example.com/")),
        ("iss", json!("https://evil.example")),
        ("iss", Value::Null),
        ("sub", json!("")),
        ("sub", Value::Null),
        ("aud", json!("another")),
        ("aud", json!(["another"])),
        ("aud", json!(["tidegate", "another"])),
        ("aud", Value::Null),
        ("azp", json!("another")),
        ("azp", json!(7)),
        ("nonce", json!("n-2")),
        ("nonce", Value::Null),
        ("exp", json!(now - skew)),
        ("exp", json!("never")),
        ("exp", Value::Null),
        ("iat", json!(now + skew + 1)),
        ("iat", json!(now - 661)),
        ("iat", Value::Null),
        ("nbf", json!(now + skew + 1)),
    ] {
        let refused = with(name, value.clone());
        assert!(matches!(refused, Err(Doubt::Claim(_))), "{name} {value}: {refused:?}");
    }
    for (name, value) in [
        ("exp", json!(now - skew + 1)),
        ("iat", json!(now + skew)),
        ("aud", json!(["tidegate"])),
        ("azp", json!("tidegate")),
    ] {
        assert_eq!(with(name, value.clone()), Ok(()), "{name} {value}");
    }
}

#[test]
fn a_signature_that_is_none_or_by_a_secret_is_refused() {
    let (_, public) = key(1);
    let set = keys(std::slice::from_ref(&public));
    for none in ["none", "None", "NONE", "", "nOnE"] {
        for signature in [&b""[..], b"x"] {
            let token = raw(&json!({"alg": none, "kid": "k1"}), &claims(), signature);
            assert!(matches!(look(&token, &set), Err(Doubt::Algorithm(_))), "{none}");
        }
    }
    // The oldest trick: the public key, taken for the secret of an HMAC.
    let x = B64.decode(public["x"].as_str().unwrap()).unwrap();
    for secret in [x.as_slice(), public["x"].as_str().unwrap().as_bytes()] {
        let mut header = jsonwebtoken::Header::new(Algorithm::HS256);
        header.kid = Some("k1".to_owned());
        let forged =
            jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap();
        assert!(matches!(look(&forged, &set), Err(Doubt::Algorithm(_))));
    }
}

#[test]
fn a_token_by_another_key_or_changed_on_the_way_is_refused() {
    let set = keys(&[key(1).1]);
    assert!(matches!(look(&signed(2, Some("k1"), &claims()), &set), Err(Doubt::Signature)));
    assert!(matches!(look(&signed(2, Some("k2"), &claims()), &set), Err(Doubt::UnknownKey)));
    let token = signed(1, Some("k1"), &claims());
    let (head, rest) = token.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let mut other = claims();
    other["sub"] = json!("another");
    let changed = format!("{head}.{}.{signature}", B64.encode(other.to_string()));
    assert!(matches!(look(&changed, &set), Err(Doubt::Signature)));
    for odd in ["", ".", "..", "a.b.c", "a.b.c.d", &token[..token.len() / 2]] {
        assert!(look(odd, &set).is_err(), "{odd}");
    }
    let critical = raw(&json!({"alg": "EdDSA", "crit": ["b64"], "b64": false}), &claims(), b"x");
    assert!(matches!(look(&critical, &set), Err(Doubt::Claim(_))));
}

#[test]
fn a_key_is_used_only_for_what_it_is_for() {
    let mut encrypts = key(1).1;
    encrypts["use"] = json!("enc");
    let token = signed(1, Some("k1"), &claims());
    assert!(matches!(look(&token, &keys(&[encrypts])), Err(Doubt::UnknownKey)));
    // Two that fit a token without a name: neither.
    let unnamed = signed(1, None, &claims());
    assert!(matches!(look(&unnamed, &keys(&[key(1).1, key(2).1])), Err(Doubt::UnknownKey)));
    // A secret that a provider publishes is no key.
    let secret = json!({"kty": "oct", "k": B64.encode([7; 32]), "kid": "k1"});
    assert!(matches!(look(&token, &keys(&[secret])), Err(Doubt::UnknownKey)));
}

#[test]
fn userinfo_adds_but_speaks_of_the_same_person_and_changes_nothing() {
    let claims = |value: Value| serde_json::from_value::<Claims>(value).unwrap();
    let mut signed = claims(json!({"sub": "1", "email": "a@x"}));
    let other = claims(json!({"sub": "2", "groups": ["admins"]}));
    assert!(signed.join(other).is_err());
    assert!(signed.list("groups").is_empty());
    signed.join(claims(json!({"sub": "1", "email": "b@x", "groups": ["g"]}))).unwrap();
    assert_eq!((signed.text("email"), signed.list("groups")), (Some("a@x"), vec!["g"]));
}
