//! The bill of materials of a release: CycloneDX 1.6 as JSON, with models,
//! prompts and data (ML-BOM).
//!
//! Source: ECMA-424 (CycloneDX 1.6), <https://cyclonedx.org/docs/1.6/json/>.
//! The same release gives the same document, byte for byte: the serial number
//! comes from the release id and there is no time in it but the release's own.

use crate::component::{Component, ComponentKind};
use crate::ids::{AppName, Digest, ReleaseId};
use crate::snapshot::{ModelContent, PromptContent, PromptMessage, Provider};
use crate::units::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Media type of the document.
pub const MEDIA_TYPE: &str = "application/vnd.cyclonedx+json; version=1.6";

/// What a bill of materials is made of.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// The release.
    pub release: ReleaseId,
    /// Its app.
    pub app: &'a AppName,
    /// Names, versions and digests.
    pub components: &'a BTreeMap<ComponentKind, Component>,
    /// Their contents, as served.
    pub contents: &'a BTreeMap<ComponentKind, Value>,
    /// The commit it was composed from, 40 hexadecimal digits.
    pub commit: &'a str,
    /// When it was composed.
    pub created_at: Timestamp,
    /// Version of Tidegate that writes the document.
    pub tool_version: &'a str,
}

/// The document.
pub fn bom(material: &Material<'_>) -> Value {
    let id = material.release.to_string();
    let listed: Vec<Value> =
        material.components.iter().map(|(kind, c)| listed(*kind, c, material)).collect();
    let parts: Vec<String> =
        material.components.iter().map(|(kind, c)| reference(*kind, c)).collect();
    let mut dependencies = vec![json!({"ref": id, "dependsOn": parts})];
    dependencies.extend(parts.iter().map(|part| json!({"ref": part})));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial(&id),
        "version": 1,
        "metadata": {
            "timestamp": material.created_at.iso(),
            "tools": {"components": [
                {"type": "application", "name": "tidegate", "version": material.tool_version},
            ]},
            "component": {
                "type": "application",
                "bom-ref": id,
                "name": material.app.as_str(),
                "version": id,
                "properties": [property("tidegate:git:commit", material.commit)],
            },
        },
        "components": listed,
        "dependencies": dependencies,
    })
}

fn listed(kind: ComponentKind, component: &Component, material: &Material<'_>) -> Value {
    let mut entry = Map::new();
    entry.insert("type".into(), kind_of(kind).into());
    entry.insert("bom-ref".into(), reference(kind, component).into());
    entry.insert("name".into(), component.name.clone().into());
    entry.insert("version".into(), component.version.to_string().into());
    // The digest is that of the canonical form (RFC 8785) of the content.
    entry.insert("hashes".into(), json!([{"alg": "SHA-256", "content": component.digest.hex()}]));
    let mut properties = vec![property("tidegate:component:kind", kind.key())];
    let content = material.contents.get(&kind);
    match kind {
        ComponentKind::Model => {
            if let Some(model) = content.and_then(read::<ModelContent>) {
                describe_model(&mut entry, &mut properties, &model);
            }
        }
        ComponentKind::Prompt => {
            if let Some(prompt) = content.and_then(read::<PromptContent>) {
                entry.insert("data".into(), prompt_data(&prompt));
            }
        }
        ComponentKind::Code => {}
        _ => {
            entry.insert("data".into(), json!([{"type": data_type(kind), "name": kind.key()}]));
        }
    }
    entry.insert("properties".into(), properties.into());
    Value::Object(entry)
}

fn read<T: serde::de::DeserializeOwned>(content: &Value) -> Option<T> {
    serde_json::from_value(content.clone()).ok()
}

fn describe_model(entry: &mut Map<String, Value>, properties: &mut Vec<Value>, m: &ModelContent) {
    let (provider, address) = match &m.provider {
        Provider::Replay { .. } => ("replay", None),
        Provider::Openai { base_url, .. } => ("openai-compatible", Some(base_url)),
        Provider::Rules {} => ("rules", None),
    };
    entry.insert("publisher".into(), provider.into());
    entry.insert(
        "modelCard".into(),
        json!({"modelParameters": {
            "task": "text-generation",
            "inputs": [{"format": "text"}],
            "outputs": [{"format": "text"}],
        }}),
    );
    if let Some(address) = address {
        // A distribution address would promise the weights; this is a service.
        properties.push(property("tidegate:model:endpoint", address));
    }
    properties.extend([
        property("tidegate:model:provider_model", &m.provider_model),
        property("tidegate:model:context_window", &m.context_window.to_string()),
        property("tidegate:model:tokenizer", &m.tokenizer),
        property("tidegate:model:usd_per_million_input", &m.price_input_per_million.to_string()),
        property("tidegate:model:usd_per_million_output", &m.price_output_per_million.to_string()),
    ]);
}

/// The files of a prompt, by name: their texts stay in the release.
fn prompt_data(prompt: &PromptContent) -> Value {
    let files = prompt.messages.iter().filter_map(|message| match message {
        PromptMessage::Template { file, .. } => Some(file.clone()),
        PromptMessage::Conversation => None,
    });
    let partials = prompt.partials.keys().map(|name| format!("_shared/{name}"));
    files.chain(partials).map(|name| json!({"type": "definition", "name": name})).collect()
}

fn kind_of(kind: ComponentKind) -> &'static str {
    match kind {
        ComponentKind::Code => "application",
        ComponentKind::Model | ComponentKind::Judge => "machine-learning-model",
        _ => "data",
    }
}

fn data_type(kind: ComponentKind) -> &'static str {
    match kind {
        ComponentKind::FeatureView | ComponentKind::Index => "dataset",
        ComponentKind::Tools | ComponentKind::Answer => "definition",
        _ => "configuration",
    }
}

fn reference(kind: ComponentKind, component: &Component) -> String {
    format!("{}:{}", kind.key(), component.label())
}

fn property(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

/// A version 8 UUID (RFC 9562, section 5.8): the first bits of the digest of
/// the release id.
fn serial(id: &str) -> String {
    let mut bits = u128::from_be_bytes(first_half(Digest::of(id.as_bytes()).as_bytes()));
    bits = bits & !(0xf << 76) | (0x8 << 76);
    bits = bits & !(0x3 << 62) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32)
    )
}

fn first_half(bytes: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|i| bytes.get(i).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn material(
        model: &str,
    ) -> (BTreeMap<ComponentKind, Component>, BTreeMap<ComponentKind, Value>) {
        let component = |name: &str| Component {
            name: name.into(),
            version: "1.2.0".parse().unwrap(),
            digest: Digest::of(name.as_bytes()),
        };
        let components = BTreeMap::from([
            (ComponentKind::Prompt, component("summary")),
            (ComponentKind::Model, component(model)),
        ]);
        let contents = BTreeMap::from([
            (
                ComponentKind::Model,
                json!({
                    "provider": {"kind": "openai", "base_url": "https://api.example.com/v1"},
                    "provider_model": "m-2026-01-01", "context_window": 8000,
                    "tokenizer": "cl100k_base",
                    "price_input_per_million": 2.5, "price_output_per_million": 10.0,
                }),
            ),
            (
                ComponentKind::Prompt,
                json!({"messages": [{"kind": "template", "role": "system", "file": "prompts/summary/system.j2",
                    "template": "never shown"}], "partials": {"tone.j2": "nor this"}}),
            ),
        ]);
        (components, contents)
    }

    fn document(model: &str) -> Value {
        let (components, contents) = material(model);
        bom(&Material {
            release: ReleaseId(Digest::of(model.as_bytes())),
            app: &"demo".parse().unwrap(),
            components: &components,
            contents: &contents,
            commit: "0123456789012345678901234567890123456789",
            created_at: Timestamp(0),
            tool_version: "0.1.0",
        })
    }

    #[test]
    fn every_component_is_listed_once_and_named_by_the_app() {
        let bom = document("gpt");
        assert_eq!(
            bom["dependencies"][0]["dependsOn"],
            json!(["prompt:summary@1.2.0", "model:gpt@1.2.0"])
        );
        assert_eq!(bom["components"][1]["type"], "machine-learning-model");
        assert_eq!(bom["components"][1]["hashes"][0]["content"], Digest::of(b"gpt").hex());
        assert_eq!(bom["components"][0]["data"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn texts_of_prompts_stay_out() {
        let text = document("gpt").to_string();
        assert!(!text.contains("never shown") && !text.contains("nor this"), "{text}");
    }

    #[test]
    fn the_serial_number_is_a_uuid_of_the_release() {
        let serial = document("gpt")["serialNumber"].as_str().unwrap().to_owned();
        assert_eq!(serial, document("gpt")["serialNumber"]);
        assert_ne!(serial, document("other")["serialNumber"]);
        let hex: Vec<&str> = serial.trim_start_matches("urn:uuid:").split('-').collect();
        assert_eq!(hex.iter().map(|h| h.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(hex[2].starts_with('8') && "89ab".contains(&hex[3][..1]), "{serial}");
    }
}
