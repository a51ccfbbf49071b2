//! A classifier outside the house asked about one text.
//!
//! An answer that does not have the shape it should is a failure, never "not
//! flagged": no list is turned into its first element, no missing score into a
//! zero. Nothing is retried; the caller says what a failure means.

use crate::http::{Client, ReadError, SendError, read_all};
use bytes::Bytes;
use domain::classifier::{Classifier, Judgement, Shape};
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tokio::time::timeout;

/// Longest answer, in bytes.
pub const MAX_ANSWER_BYTES: usize = 256 << 10;
/// From this score on a text is flagged, where nothing is said ([`Shape::Score`]).
pub const FLAG_AT: f64 = 0.5;

/// Finds keys by the name of their environment variable. Prints nothing.
#[derive(Clone)]
pub struct Keys(Arc<Find>);

type Find = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Keys {
    /// Found like this.
    pub fn new(find: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }

    /// There are none.
    pub fn none() -> Self {
        Self::new(|_| None)
    }

    /// The key of this name.
    pub fn find(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// Why a text was not judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoJudgement {
    /// The address cannot be dialled.
    #[error("`{0}` is not an address such as `https://moderation.example.com/v1/moderations`")]
    Address(String),
    /// The server has no such variable, or its value fits no header.
    #[error("the server's environment has no usable `{0}`")]
    NoKey(String),
    /// Nothing came back in time.
    #[error("it did not answer within {0}")]
    Late(domain::units::Span),
    /// It could not be reached, or the connection broke.
    #[error("{0}")]
    Unreachable(String),
    /// It answered with a failure.
    #[error("it answered with status {0}")]
    Status(u16),
    /// What it answered is not of its shape.
    #[error("its answer is not of the shape `{shape}`: {why}")]
    Shape {
        /// As `tidegate.yaml` names it.
        shape: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// Asks about a text. Takes no longer than the classifier's `timeout`.
///
/// # Errors
/// [`NoJudgement`].
pub async fn judge(
    client: &Client,
    keys: &Keys,
    classifier: &Classifier,
    text: &str,
) -> Result<Judgement, NoJudgement> {
    let request = request(keys, classifier, text)?;
    let exchange = async {
        let response = client.send(request).await.map_err(|e| unreachable(&e))?;
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            return Err(NoJudgement::Status(head.status.as_u16()));
        }
        match read_all(body, MAX_ANSWER_BYTES).await {
            Ok(bytes) => read(classifier, &bytes),
            Err(ReadError::Cut(why)) => Err(NoJudgement::Unreachable(why)),
            Err(e @ ReadError::TooLarge(_)) => Err(malformed(classifier, e)),
        }
    };
    timeout(classifier.timeout.into(), exchange)
        .await
        .unwrap_or(Err(NoJudgement::Late(classifier.timeout)))
}

fn unreachable(error: &SendError) -> NoJudgement {
    NoJudgement::Unreachable(error.to_string())
}

fn request(
    keys: &Keys,
    classifier: &Classifier,
    text: &str,
) -> Result<Request<Full<Bytes>>, NoJudgement> {
    let bad = || NoJudgement::Address(classifier.url.clone());
    let uri: Uri = classifier.url.parse().map_err(|_| bad())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(bad());
    }
    let body = match (classifier.shape, &classifier.model) {
        (Shape::Openai, Some(model)) => serde_json::json!({"input": text, "model": model}),
        (Shape::Openai, None) => serde_json::json!({"input": text}),
        (Shape::Score, _) => serde_json::json!({"text": text}),
    };
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json");
    if let Some(name) = &classifier.key_env {
        let no_key = || NoJudgement::NoKey(name.clone());
        let key = keys.find(name).ok_or_else(no_key)?;
        let mut value =
            HeaderValue::try_from(format!("Bearer {}", key.trim())).map_err(|_| no_key())?;
        value.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, value);
    }
    request.body(Full::new(Bytes::from(body.to_string()))).map_err(|_| bad())
}

#[derive(Deserialize)]
struct Moderations {
    results: Vec<Moderation>,
}

#[derive(Deserialize)]
struct Moderation {
    flagged: bool,
    #[serde(default)]
    categories: BTreeMap<String, Option<bool>>,
    #[serde(default)]
    category_scores: BTreeMap<String, Option<f64>>,
}

#[derive(Deserialize)]
struct Scored {
    score: f64,
    label: String,
}

fn malformed(classifier: &Classifier, why: impl fmt::Display) -> NoJudgement {
    let shape = match classifier.shape {
        Shape::Openai => "openai",
        Shape::Score => "score",
    };
    NoJudgement::Shape { shape, why: why.to_string() }
}

fn read(classifier: &Classifier, bytes: &[u8]) -> Result<Judgement, NoJudgement> {
    let bad = |why: &dyn fmt::Display| malformed(classifier, why);
    match classifier.shape {
        Shape::Openai => {
            let answer: Moderations = serde_json::from_slice(bytes).map_err(|e| bad(&e))?;
            let [one] = answer.results.as_slice() else {
                return Err(bad(&format!("{} results for one text", answer.results.len())));
            };
            Ok(openai(one, classifier.flag_at))
        }
        Shape::Score => {
            let answer: Scored = serde_json::from_slice(bytes).map_err(|e| bad(&e))?;
            if !(0.0..=1.0).contains(&answer.score) {
                return Err(bad(&format!("a score of {}, not of 0 to 1", answer.score)));
            }
            let flagged = answer.score >= classifier.flag_at.unwrap_or(FLAG_AT);
            let categories = flagged.then_some((answer.label, Some(answer.score)));
            Ok(Judgement { flagged, categories: categories.into_iter().collect() })
        }
    }
}

fn openai(one: &Moderation, flag_at: Option<f64>) -> Judgement {
    let score = |name: &str| one.category_scores.get(name).copied().flatten();
    let mut categories: BTreeMap<&str, Option<f64>> = one
        .categories
        .iter()
        .filter(|(_, flagged)| **flagged == Some(true))
        .map(|(name, _)| (name.as_str(), score(name)))
        .collect();
    if let Some(least) = flag_at {
        let above = one.category_scores.iter().filter(|(_, s)| s.is_some_and(|s| s >= least));
        categories.extend(above.map(|(name, score)| (name.as_str(), *score)));
    }
    let flagged = one.flagged || !categories.is_empty();
    let mut categories: Vec<_> =
        categories.into_iter().map(|(name, score)| (name.to_owned(), score)).collect();
    categories.sort_by(|a, b| b.1.unwrap_or(0.0).total_cmp(&a.1.unwrap_or(0.0)));
    Judgement { flagged, categories }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::classifier::OnFailure;
    use domain::units::Span;

    fn classifier(shape: Shape, flag_at: Option<f64>) -> Classifier {
        Classifier {
            url: "http://127.0.0.1:1/".to_owned(),
            shape,
            model: None,
            key_env: None,
            timeout: Span::from_secs(1),
            flag_at,
            on_failure: OnFailure::Warn,
        }
    }

    #[test]
    fn moderations_are_read_with_and_without_a_limit_of_ones_own() {
        let body = br#"{"id":"m","model":"x","results":[{"flagged":false,
            "categories":{"hate":false,"illicit":null},"category_scores":{"hate":0.4,"illicit":null},
            "category_applied_input_types":{"hate":["text"]}}]}"#;
        let plain = read(&classifier(Shape::Openai, None), body).unwrap();
        assert_eq!(plain, Judgement::default());
        let strict = read(&classifier(Shape::Openai, Some(0.3)), body).unwrap();
        assert!(strict.flagged);
        assert_eq!(strict.categories, [("hate".to_owned(), Some(0.4))]);
        let flagged = br#"{"results":[{"flagged":true,"categories":{"a":true,"b":true},"category_scores":{"a":0.2,"b":0.9}}]}"#;
        let names: Vec<_> = read(&classifier(Shape::Openai, None), flagged)
            .unwrap()
            .categories
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["b", "a"]);
    }

    #[test]
    fn what_has_another_shape_is_never_a_pass() {
        for (shape, body) in [
            (Shape::Openai, "{}"),
            (Shape::Openai, r#"{"results":[]}"#),
            (Shape::Openai, r#"{"results":[{"flagged":false},{"flagged":true}]}"#),
            (Shape::Openai, r#"{"results":[{"categories":{}}]}"#),
            (Shape::Openai, "<html>"),
            (Shape::Score, r#"{"label":"safe"}"#),
            (Shape::Score, r#"{"score":"0.1","label":"safe"}"#),
            (Shape::Score, r#"{"score":-0.1,"label":"safe"}"#),
            (Shape::Score, r#"{"score":7,"label":"safe"}"#),
            (Shape::Score, r#"{"score":null,"label":"safe"}"#),
        ] {
            let read = read(&classifier(shape, None), body.as_bytes());
            assert!(matches!(read, Err(NoJudgement::Shape { .. })), "{body}: {read:?}");
        }
    }

    #[test]
    fn a_score_flags_from_the_limit_on() {
        let body = br#"{"score":0.5,"label":"toxic"}"#;
        assert!(read(&classifier(Shape::Score, None), body).unwrap().flagged);
        assert!(!read(&classifier(Shape::Score, Some(0.51)), body).unwrap().flagged);
    }
}
