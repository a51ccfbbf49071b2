//! A chat request, parsed once.
//!
//! One pass over the body takes what Tidegate reads as values and everything
//! else as slices of the body itself: unknown fields travel on untouched, with
//! no copy and no second parse. Messages are such slices too: they are spliced
//! into the provider's request as they came.
//!
//! Fields the caller may not repeat (`model`, `messages`, …) are refused when
//! given twice: two readers of one body must not see two requests.

use super::ApiError;
use bytes::Bytes;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Most fields of a request.
const MAX_FIELDS: usize = 256;

/// A parsed request. Prints redacted.
#[derive(Clone)]
pub(crate) struct ChatRequest {
    /// `app/<name>`, as sent.
    pub(crate) model: String,
    /// Each message, JSON as it came.
    pub(crate) messages: Vec<Bytes>,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) choices: u32,
    pub(crate) user: Option<String>,
    pub(crate) safety_identifier: Option<String>,
    pub(crate) tidegate: Extension,
    /// Everything for the provider, name and JSON.
    pub(crate) fields: Arc<[(String, Bytes)]>,
}

impl fmt::Debug for ChatRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatRequest")
            .field("model", &self.model)
            .field("messages", &self.messages.len())
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// The body key `tidegate`: what a request says to Tidegate alone.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extension {
    /// Variables of the app's prompts.
    #[serde(default)]
    pub(crate) vars: Map<String, Value>,
    /// What the request is about, in the caller's words: a known key whose form
    /// is checked; nothing is routed by it.
    #[serde(default, rename = "intent")]
    _intent: Option<String>,
    /// Facts about the subject: `tenant`, `country`, `device`, `conversation`, …
    #[serde(default)]
    pub(crate) attrs: BTreeMap<String, Value>,
}

impl Extension {
    /// An attribute that is a text or a number.
    pub(crate) fn attr(&self, name: &str) -> Option<String> {
        match self.attrs.get(name)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

#[derive(Deserialize, Serialize)]
struct StreamOptions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    include_usage: Option<bool>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl ChatRequest {
    /// Parses a body.
    ///
    /// # Errors
    /// 400 with line, column and what was wanted.
    pub(crate) fn parse(body: &Bytes) -> Result<Self, ApiError> {
        let wanted = "a chat completion request";
        let hint = "see the fields of `POST /v1/chat/completions`; `model` is `app/<name>`, variables go in `tidegate.vars`";
        let parsed: Parsed<'_> =
            serde_json::from_slice(body).map_err(|e| ApiError::json(&e, wanted).hint(hint))?;
        Ok(parsed.own(body))
    }
}

/// What the gateway reads in the body of a chat request, for tools that look at
/// bodies without serving them (the fuzzer).
#[derive(Debug)]
pub struct ReadBody {
    /// The messages, as they came.
    pub messages: Vec<Bytes>,
    /// The fields that would be passed on, name and JSON.
    pub fields: Vec<(String, Bytes)>,
}

/// Reads a body as the gateway does.
///
/// # Errors
/// The JSON a caller would get.
pub fn read_body(body: &Bytes) -> Result<ReadBody, Value> {
    ChatRequest::parse(body)
        .map(|request| ReadBody { messages: request.messages, fields: request.fields.to_vec() })
        .map_err(|error| error.body())
}

/// What the one pass gives: values, and slices of the body.
#[derive(Default)]
struct Parsed<'a> {
    model: Option<String>,
    messages: Option<Vec<&'a RawValue>>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    user: Option<String>,
    safety_identifier: Option<String>,
    n: Option<u32>,
    tidegate: Option<Extension>,
    rest: Vec<(String, &'a RawValue)>,
}

impl Parsed<'_> {
    fn own(self, body: &Bytes) -> ChatRequest {
        let slice = |raw: &RawValue| body.slice_ref(raw.get().as_bytes());
        let text = |text: &String| Bytes::from(Value::from(text.as_str()).to_string());
        let mut fields: Vec<(String, Bytes)> =
            self.rest.iter().map(|(name, raw)| (name.clone(), slice(raw))).collect();
        let include_usage = self.stream_options.as_ref().and_then(|o| o.include_usage);
        let options =
            self.stream_options.and_then(|o| serde_json::to_vec(&o).ok()).map(Bytes::from);
        let read = [
            ("stream_options", options),
            ("user", self.user.as_ref().map(text)),
            ("safety_identifier", self.safety_identifier.as_ref().map(text)),
            ("n", self.n.map(|n| Bytes::from(n.to_string()))),
        ];
        fields.extend(read.into_iter().filter_map(|(name, json)| Some((name.to_owned(), json?))));
        ChatRequest {
            model: self.model.unwrap_or_default(),
            messages: self.messages.iter().flatten().map(|raw| slice(raw)).collect(),
            stream: self.stream.unwrap_or(false),
            include_usage: include_usage.unwrap_or(false),
            choices: self.n.unwrap_or(1),
            user: self.user,
            safety_identifier: self.safety_identifier,
            tidegate: self.tidegate.unwrap_or_default(),
            fields: fields.into(),
        }
    }
}

impl<'de> Deserialize<'de> for Parsed<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(OnePass)
    }
}

struct OnePass;

impl<'de> Visitor<'de> for OnePass {
    type Value = Parsed<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parsed<'de>, A::Error> {
        let mut seen: u16 = 0;
        let mut out = Parsed::default();
        while let Some(name) = map.next_key::<String>()? {
            let known = [
                "model",
                "messages",
                "stream",
                "stream_options",
                "user",
                "safety_identifier",
                "n",
                "tidegate",
            ]
            .iter()
            .position(|known| *known == name);
            if let Some(place) = known {
                let bit = 1_u16 << place;
                if seen & bit != 0 {
                    return Err(A::Error::custom(format_args!("`{name}` is given twice")));
                }
                seen |= bit;
            }
            match name.as_str() {
                "model" => out.model = Some(map.next_value()?),
                "messages" => out.messages = map.next_value()?,
                "stream" => out.stream = map.next_value()?,
                "stream_options" => out.stream_options = map.next_value()?,
                "user" => out.user = map.next_value()?,
                "safety_identifier" => out.safety_identifier = map.next_value()?,
                "n" => out.n = map.next_value()?,
                "tidegate" => out.tidegate = map.next_value()?,
                _ if out.rest.len() >= MAX_FIELDS => {
                    map.next_value::<IgnoredAny>()?;
                    return Err(A::Error::custom(format_args!("more than {MAX_FIELDS} fields")));
                }
                _ => out.rest.push((name, map.next_value()?)),
            }
        }
        if out.model.is_none() {
            return Err(A::Error::custom("`model` is missing; write `app/<name>`"));
        }
        Ok(out)
    }
}

/// The text of the last user message: for the fallback's rules alone, so it is
/// read from its slice only when a rule asks.
pub(crate) fn last_user_text(messages: &[Bytes]) -> Option<String> {
    #[derive(Deserialize)]
    struct Message {
        role: String,
        #[serde(default)]
        content: Value,
    }
    messages.iter().rev().find_map(|raw| {
        let message: Message = serde_json::from_slice(raw).ok()?;
        if message.role != "user" {
            return None;
        }
        match message.content {
            Value::String(text) => Some(text),
            Value::Array(parts) => {
                let texts: Vec<&str> =
                    parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
                Some(texts.join("\n"))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field(request: &ChatRequest, name: &str) -> Option<String> {
        let (_, json) = request.fields.iter().find(|(n, _)| n == name)?;
        Some(String::from_utf8(json.to_vec()).unwrap())
    }

    #[test]
    fn what_is_not_ours_stays_as_it_came() {
        let body = Bytes::from_static(
            br#"{"model":"app/x","messages":[ {"role":"user", "content":"a\u0041"} ],"temperature":0.10,
                "new_field":{"b": [1,  2], "a":"\u00e9"},"stream":null,"n":2,"user":"u",
                "stream_options":{"include_usage":true,"later":1},"tidegate":{"vars":{"t":"x"},"attrs":{"tenant":"acme"}}}"#,
        );
        let request = ChatRequest::parse(&body).unwrap();
        assert_eq!(
            request.messages,
            [Bytes::from_static(br#"{"role":"user", "content":"a\u0041"}"#)]
        );
        assert_eq!(field(&request, "temperature").as_deref(), Some("0.10"));
        assert_eq!(
            field(&request, "new_field").as_deref(),
            Some(r#"{"b": [1,  2], "a":"\u00e9"}"#)
        );
        assert_eq!(field(&request, "user").as_deref(), Some("\"u\""));
        assert_eq!(field(&request, "n").as_deref(), Some("2"));
        assert_eq!(field(&request, "tidegate"), None);
        let options: Value =
            serde_json::from_str(&field(&request, "stream_options").unwrap()).unwrap();
        assert_eq!(options, serde_json::json!({"include_usage": true, "later": 1}));
        assert_eq!((request.choices, request.stream, request.include_usage), (2, false, true));
        assert_eq!(request.tidegate.attr("tenant").as_deref(), Some("acme"));
        // No copy: the slices lie in the body.
        let range = body.as_ptr_range();
        assert!(request.messages.iter().all(|m| range.contains(&m.as_ptr())));
    }

    #[test]
    fn a_wrong_body_is_told_with_its_place() {
        let cases = [
            ("{\n  \"model\": \"app/x\",\n  \"stream\": \"yes\"}", 3, "boolean"),
            ("{\"model\":\"app/x\",\n\"model\":\"app/y\"}", 2, "given twice"),
            ("{\"messages\":[]}", 1, "`model` is missing"),
            ("{\"model\":\"app/x\",\"tidegate\":{\"var\":{}}}", 1, "`vars`"),
            ("{\"model\":\"app/x\"", 1, "EOF"),
            ("[]", 1, "object"),
        ];
        for (body, line, part) in cases {
            let error = ChatRequest::parse(&Bytes::from(body)).expect_err(body).body();
            let error = &error["error"];
            assert_eq!(error["tidegate"]["line"], line, "{body}: {error}");
            assert!(error["message"].as_str().unwrap().contains(part), "{body}: {error}");
        }
    }

    #[test]
    fn the_last_user_message_is_found_in_either_form() {
        let raw = |text: &'static str| Bytes::from_static(text.as_bytes());
        let messages = [
            raw(r#"{"role":"user","content":"first"}"#),
            raw(
                r#"{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{}},{"type":"text","text":"b"}]}"#,
            ),
            raw(r#"{"role":"assistant","content":"no"}"#),
        ];
        assert_eq!(last_user_text(&messages).as_deref(), Some("a\nb"));
        assert_eq!(last_user_text(&messages[..1]).as_deref(), Some("first"));
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _parsed = ChatRequest::parse(&Bytes::from(body));
        }
        #[test]
        fn nearly_right_bodies_neither(text in r#"\{"(model|messages|n|stream|tidegate)":["\[\]{}a-z0-9:,\\-]{0,40}\}"#) {
            let _parsed = ChatRequest::parse(&Bytes::from(text));
        }
    }
}
