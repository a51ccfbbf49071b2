//! Texts turned into vectors by any HTTP API that speaks OpenAI's embeddings.
//!
//! An answer that is not one vector of numbers for each text, all of one length,
//! is a failure: nothing is padded, cut or taken for zero. Nothing is retried
//! here; the caller does, as for every other call.

use crate::http::{Client, ReadError, SendError, read_all};
use crate::provider::{Failure, FailureKind};
use bytes::Bytes;
use domain::snapshot::{ModelContent, Provider};
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use serde::Deserialize;
use std::fmt;
use std::time::Duration;
use tokio::time::timeout;

/// Most texts of one request.
pub const MAX_TEXTS: usize = 96;
/// Longest answer, in bytes: 96 vectors of 4096 numbers of 24 characters.
pub const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Most numbers of a vector.
pub const MAX_LENGTH: usize = 65_536;

/// Somebody who makes vectors.
pub struct Embedder {
    uri: Uri,
    authorization: Option<HeaderValue>,
    model: String,
}

impl fmt::Debug for Embedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedder").field("uri", &self.uri).finish_non_exhaustive()
    }
}

/// What came of some texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// One for each text, in their order, all of one length.
    pub vectors: Vec<Vec<f64>>,
    /// Tokens the provider counted, if it says.
    pub tokens: Option<u64>,
}

impl Embedder {
    /// From a model entry.
    ///
    /// # Errors
    /// It has no HTTP provider, no usable address, or no key.
    pub fn new(
        model: &ModelContent,
        secret: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let Provider::Openai { base_url, key_env } = &model.provider else {
            return Err("its provider makes no vectors; only `openai` does".to_owned());
        };
        let uri: Uri = format!("{}/embeddings", base_url.trim_end_matches('/'))
            .parse()
            .map_err(|_| format!("`{base_url}` is not an address"))?;
        let authorization = key_env.as_deref().map(|name| key(name, secret)).transpose()?;
        Ok(Self { uri, authorization, model: model.provider_model.clone() })
    }

    /// Vectors of at most [`MAX_TEXTS`] texts, within this time.
    ///
    /// # Errors
    /// The provider's, or an answer of another shape.
    pub async fn embed(
        &self,
        client: &Client,
        texts: &[&str],
        patience: Duration,
    ) -> Result<Embedded, Failure> {
        timeout(patience, self.exchange(client, texts))
            .await
            .unwrap_or_else(|_| Err(Failure::timeout()))
    }

    async fn exchange(&self, client: &Client, texts: &[&str]) -> Result<Embedded, Failure> {
        let body = serde_json::json!({
            "model": self.model, "input": texts, "encoding_format": "float",
        });
        let mut request = Request::new(Full::new(Bytes::from(body.to_string())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json.clone());
        headers.insert(header::ACCEPT, json);
        if let Some(key) = &self.authorization {
            headers.insert(header::AUTHORIZATION, key.clone());
        }
        let response = client.send(request).await.map_err(|e| {
            let kind = match e {
                SendError::Connect { .. } => FailureKind::Unreachable,
                SendError::Cut { .. } => FailureKind::CutBefore,
            };
            Failure::new(kind, e.to_string())
        })?;
        let status = response.status();
        if !status.is_success() {
            let after = response.headers().get(header::RETRY_AFTER);
            let retry_after = after.and_then(|v| v.to_str().ok()).map(str::to_owned);
            let message = format!("the provider answered with status {}", status.as_u16());
            let failure = Failure::new(FailureKind::Refused(status.as_u16()), message);
            return Err(Failure { retry_after, ..failure });
        }
        let body = read_all(response.into_body(), MAX_ANSWER_BYTES).await.map_err(|e| match e {
            ReadError::Cut(_) => {
                Failure::new(FailureKind::CutBefore, "the provider's answer was cut")
            }
            ReadError::TooLarge(limit) => Failure::new(
                FailureKind::TooLarge,
                format!("the provider's answer is longer than {limit} bytes"),
            ),
        })?;
        read(&body, texts.len())
    }
}

fn key(name: &str, secret: &dyn Fn(&str) -> Option<String>) -> Result<HeaderValue, String> {
    let key = secret(name).filter(|key| !key.trim().is_empty());
    let key = key.ok_or_else(|| format!("the environment has no `{name}`"))?;
    let mut value = HeaderValue::try_from(format!("Bearer {}", key.trim()))
        .map_err(|_| format!("the value of `{name}` fits no header"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<Option<f64>>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
}

/// Reads vectors. Numbers are never quoted: they are what somebody wrote, in
/// another form.
fn read(body: &[u8], texts: usize) -> Result<Embedded, Failure> {
    let bad = |why: String| {
        Failure::new(FailureKind::Garbage, format!("the provider's vectors are malformed: {why}"))
    };
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|_| bad("the answer is not a list of embeddings".to_owned()))?;
    if answer.data.len() != texts {
        return Err(bad(format!("{} came for {texts} texts", answer.data.len())));
    }
    let mut vectors: Vec<Option<Vec<f64>>> = vec![None; texts];
    for item in answer.data {
        let i = item.index;
        let Some(slot) = vectors.get_mut(i) else {
            return Err(bad(format!("there is no text {i}")));
        };
        if slot.is_some() {
            return Err(bad(format!("two came for text {i}")));
        }
        if item.embedding.is_empty() || item.embedding.len() > MAX_LENGTH {
            return Err(bad(format!("that of text {i} has {} numbers", item.embedding.len())));
        }
        let numbers: Option<Vec<f64>> =
            item.embedding.into_iter().map(|n| n.filter(|n| n.is_finite())).collect();
        let numbers =
            numbers.ok_or_else(|| bad(format!("that of text {i} has what is no number")))?;
        if numbers.iter().all(|n| *n == 0.0) {
            return Err(bad(format!("that of text {i} has no direction: all are zero")));
        }
        *slot = Some(numbers);
    }
    let vectors: Vec<Vec<f64>> = vectors.into_iter().flatten().collect();
    let length = vectors.first().map_or(0, Vec::len);
    if let Some(other) = vectors.iter().find(|vector| vector.len() != length) {
        return Err(bad(format!("they have {length} and {} numbers", other.len())));
    }
    Ok(Embedded { vectors, tokens: answer.usage.and_then(|usage| usage.prompt_tokens) })
}

/// The cosine of two vectors of one length, in [−1, 1]. Each is scaled by its
/// largest number first, so that no square is lost or overflows.
pub fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let scaled = |v: &[f64]| -> Vec<f64> {
        let most = v.iter().fold(0.0_f64, |most, n| most.max(n.abs()));
        v.iter().map(|n| n / most).collect()
    };
    let (a, b) = (scaled(a), scaled(b));
    let dot: f64 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
    let norm = |v: &[f64]| v.iter().map(|n| n * n).sum::<f64>().sqrt();
    (dot / (norm(&a) * norm(&b))).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_come_back_in_the_order_of_the_texts() {
        let body = br#"{"data":[{"index":1,"embedding":[0,2]},{"index":0,"embedding":[1,0.5]}],
            "usage":{"prompt_tokens":7}}"#;
        let got = read(body, 2).unwrap();
        assert_eq!(got.vectors, [vec![1.0, 0.5], vec![0.0, 2.0]]);
        assert_eq!(got.tokens, Some(7));
    }

    #[test]
    fn what_is_malformed_is_never_a_vector() {
        for (body, why) in [
            ("{}", "not a list"),
            (r#"{"data":[{"index":0,"embedding":"AAAA"}]}"#, "not a list"),
            (r#"{"data":[]}"#, "0 came for 2"),
            (r#"{"data":[{"index":0,"embedding":[1]}]}"#, "1 came for 2"),
            (r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}"#, "two came"),
            (r#"{"data":[{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}]}"#, "no text 2"),
            (r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[]}]}"#, "0 numbers"),
            (
                r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[null]}]}"#,
                "no number",
            ),
            (
                r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[0]}]}"#,
                "no direction",
            ),
            (
                r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}]}"#,
                "1 and 2 numbers",
            ),
            (
                r#"{"data":[{"index":0,"embedding":[NaN]},{"index":1,"embedding":[1]}]}"#,
                "not a list",
            ),
        ] {
            let said = read(body.as_bytes(), 2).unwrap_err();
            assert_eq!(said.kind, FailureKind::Garbage);
            assert!(said.message.contains(why), "{body}: {}", said.message);
        }
    }

    #[test]
    fn the_cosine_is_exact_where_it_can_be() {
        assert!((cosine(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]) - 1.0).abs() < 1e-15);
        assert_eq!(cosine(&[1.0, 0.0], &[0.0, 5.0]), 0.0);
        assert_eq!(cosine(&[1.0], &[-3.0]), -1.0);
        let far = cosine(&[1e-200, 0.0], &[1e200, 1e200]);
        assert!((far - 0.5_f64.sqrt()).abs() < 1e-12, "{far}");
    }
}
