//! Release identity: `vectors/release_identity.json` was computed by programs
//! in other languages; this implementation must agree to the byte.

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tidegate_domain::component::{ComponentKind, ResolvedComponent};
use tidegate_domain::ids::{AppName, Digest, ReleaseId};
use tidegate_domain::jcs;
use tidegate_domain::manifest::{Manifest, Release, compose, diff};

const VECTORS: &str = include_str!("../../vectors/release_identity.json");

#[derive(Deserialize)]
struct Vectors {
    releases: Vec<Vector>,
    same: Vec<Same>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    app: AppName,
    components: BTreeMap<ComponentKind, Given>,
    expect: Expect,
}

#[derive(Deserialize, Clone)]
struct Given {
    name: String,
    version: semver::Version,
    content: Value,
}

#[derive(Deserialize)]
struct Expect {
    components: BTreeMap<ComponentKind, ExpectComponent>,
    manifest: String,
    id: ReleaseId,
}

#[derive(Deserialize)]
struct ExpectComponent {
    canonical: String,
    digest: Digest,
}

#[derive(Deserialize)]
struct Same {
    why: String,
    texts: Vec<String>,
    canonical: String,
}

#[derive(Deserialize)]
struct Refused {
    why: String,
    text: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(VECTORS).unwrap()
}

fn canonical(value: &Value) -> String {
    String::from_utf8(jcs::canonical(value).unwrap()).unwrap()
}

fn resolved(given: Given) -> ResolvedComponent {
    ResolvedComponent { name: given.name, version: given.version, content: given.content }
}

#[test]
fn releases_have_the_ids_of_the_vectors() {
    let vectors = vectors();
    assert!(vectors.releases.len() >= 7);
    for vector in vectors.releases {
        let name = &vector.name;
        for (kind, given) in &vector.components {
            let want = &vector.expect.components[kind];
            assert_eq!(canonical(&given.content), want.canonical, "{name}: {kind}");
        }
        let given = vector.components.into_iter().map(|(kind, c)| (kind, resolved(c))).collect();
        let release = compose(&vector.app, given).unwrap();
        let bytes = release.manifest.canonical().unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), vector.expect.manifest, "{name}");
        assert_eq!(release.id, vector.expect.id, "{name}");
        for (kind, component) in &release.manifest.components {
            assert_eq!(component.digest, vector.expect.components[kind].digest, "{name}: {kind}");
        }
    }
}

#[test]
fn texts_of_one_value_have_one_form_and_others_are_refused() {
    let vectors = vectors();
    for same in vectors.same {
        for text in same.texts {
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(canonical(&value), same.canonical, "{}: {text}", same.why);
        }
    }
    for refused in vectors.refused {
        let form = serde_json::from_str::<Value>(&refused.text).map(|v| jcs::canonical(&v));
        assert!(!matches!(form, Ok(Ok(_))), "{}: {}", refused.why, refused.text);
    }
}

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
        any::<f64>()
            .prop_filter("beyond what a canonical form has", |x| x.abs() <= 9_007_199_254_740_991.0)
            .prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ]
}

fn contents() -> impl Strategy<Value = Value> {
    scalars().prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("\\PC{0,5}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn components() -> impl Strategy<Value = BTreeMap<ComponentKind, ResolvedComponent>> {
    let one =
        ("[a-z]{1,8}", 0_u64..9, 0_u64..9, contents()).prop_map(|(name, major, minor, content)| {
            ResolvedComponent { name, version: semver::Version::new(major, minor, 0), content }
        });
    let kinds = proptest::sample::select(ComponentKind::ALL.to_vec());
    proptest::collection::btree_map(kinds, one, 1..5)
}

fn release(app: &str, parts: &BTreeMap<ComponentKind, ResolvedComponent>) -> Release {
    compose(&app.parse().unwrap(), parts.clone()).unwrap()
}

/// The same value with the keys of every object put in the other way round.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(reversed).collect(),
        Value::Object(map) => Value::Object(
            map.iter().rev().map(|(k, v)| (k.clone(), reversed(v))).collect::<Map<_, _>>(),
        ),
        other => other.clone(),
    }
}

/// JSON text with the keys of every object the other way round, and white space.
fn reversed_text(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[ {} ]", items.iter().map(reversed_text).collect::<Vec<_>>().join("\n, "))
        }
        Value::Object(map) => {
            let pair = |(k, v): (&String, &Value)| format!("{} :\t{}", json!(k), reversed_text(v));
            format!("{{ {} }}", map.iter().rev().map(pair).collect::<Vec<_>>().join(" ,\r\n"))
        }
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn key_order_and_white_space_never_change_the_id(parts in components()) {
        let id = release("app", &parts).id;
        let mut turned = parts.clone();
        turned.values_mut().for_each(|c| c.content = reversed(&c.content));
        prop_assert_eq!(release("app", &turned).id, id);
        let mut read = parts.clone();
        for component in read.values_mut() {
            component.content = serde_json::from_str(&reversed_text(&component.content)).unwrap();
        }
        prop_assert_eq!(release("app", &read).id, id);
    }

    #[test]
    fn every_component_and_the_app_change_the_id(parts in components(), pick: prop::sample::Index) {
        let id = release("app", &parts).id;
        prop_assert_ne!(release("other", &parts).id, id);
        let kind = *pick.get(&parts.keys().copied().collect::<Vec<_>>());
        let altered = |alter: &dyn Fn(&mut ResolvedComponent)| {
            let mut parts = parts.clone();
            alter(parts.get_mut(&kind).unwrap());
            release("app", &parts).id
        };
        prop_assert_ne!(altered(&|c| c.name.push('x')), id);
        prop_assert_ne!(altered(&|c| c.version.patch += 1), id);
        prop_assert_ne!(altered(&|c| c.version.pre = "rc.1".parse().unwrap()), id);
        prop_assert_ne!(altered(&|c| c.version.build = "b1".parse().unwrap()), id);
        prop_assert_ne!(altered(&|c| c.content = json!([c.content])), id);
        let mut fewer = parts.clone();
        fewer.remove(&kind);
        prop_assert_ne!(release("app", &fewer).id, id);
        for other in ComponentKind::ALL.into_iter().filter(|k| !parts.contains_key(k)) {
            let mut moved = parts.clone();
            let component = moved.remove(&kind).unwrap();
            moved.insert(other, component);
            prop_assert_ne!(release("app", &moved).id, id, "the kind counts");
        }
    }

    /// Any one scalar anywhere in the content counts.
    #[test]
    fn content_that_differs_has_another_digest(a in contents(), b in contents()) {
        let (x, y) = (jcs::canonical(&a).unwrap(), jcs::canonical(&b).unwrap());
        let same = serde_json::from_slice::<Value>(&x).unwrap() == serde_json::from_slice::<Value>(&y).unwrap();
        prop_assert_eq!(x == y, same);
    }

    #[test]
    fn ids_survive_storing_and_reading(parts in components()) {
        let release = release("app", &parts);
        let read: Manifest = serde_json::from_slice(&release.manifest.canonical().unwrap()).unwrap();
        prop_assert_eq!(&read, &release.manifest);
        prop_assert_eq!(read.id().unwrap(), release.id);
        let pretty: Manifest = serde_json::from_str(&serde_json::to_string_pretty(&read).unwrap()).unwrap();
        prop_assert_eq!(pretty.id().unwrap(), release.id);
        for (kind, content) in &release.contents {
            let canonical = jcs::canonical(content).unwrap();
            let again: Value = serde_json::from_slice(&canonical).unwrap();
            prop_assert_eq!(&jcs::canonical(&again).unwrap(), &canonical);
            let stored: Value = serde_json::from_str(&content.to_string()).unwrap();
            prop_assert_eq!(&jcs::canonical(&stored).unwrap(), &canonical);
            prop_assert_eq!(Digest::of(&canonical), release.manifest.components[kind].digest);
        }
    }

    #[test]
    fn a_difference_names_exactly_what_differs(before in components(), after in components()) {
        let (before, after) = (release("app", &before), release("app", &after));
        let differences = diff(&before.manifest, &after.manifest);
        prop_assert_eq!(differences.iter().all(|d| d.same()), before.id == after.id);
        for difference in differences {
            prop_assert_eq!(difference.before.as_ref(), before.manifest.components.get(&difference.kind));
            prop_assert_eq!(difference.after.as_ref(), after.manifest.components.get(&difference.kind));
        }
    }
}

#[test]
fn a_manifest_with_an_unknown_key_is_refused() {
    let text = r#"{"apiVersion":"tidegate/v1","app":"a","components":{},"kind":"Release","at":1}"#;
    assert!(serde_json::from_str::<Manifest>(text).is_err());
}

#[test]
fn content_without_a_canonical_form_is_named() {
    let content = json!({"seed": 9_007_199_254_740_993_u64});
    let part = ResolvedComponent {
        name: "default".into(),
        version: semver::Version::new(1, 0, 0),
        content,
    };
    let error =
        compose(&"a".parse().unwrap(), [(ComponentKind::Parameters, part)].into()).unwrap_err();
    assert_eq!(error.place, "parameters default.seed");
}
