//! The API as commands call it: typed requests, and failures in words.

use super::failure::{Exit, Failure};
use bytes::Bytes;
use connect::http::{Client, SendError, read_all};
use control::views::Page;
use domain::ids::Generation;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Write as _;

/// Longest answer read, in bytes: a page of request records with bodies.
pub const MAX_ANSWER: usize = 64 << 20;

/// A server, and who is asking. Prints without the token.
#[derive(Clone)]
pub struct Api {
    http: Client,
    base: String,
    token: Option<String>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Api({})", self.base)
    }
}

/// An answer as it came.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

impl Api {
    /// For the server at this address.
    pub fn new(base: &str, token: Option<String>) -> Self {
        Self { http: Client::new(), base: base.trim_end_matches('/').to_owned(), token }
    }

    /// The server's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The token, for handing on to a gateway.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// `GET /api/v1/{path}`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let answer = self.send(Method::GET, &api(path), None, Bytes::new()).await?;
        read(&answer)
    }

    /// Every row of `GET /api/v1/{path}`, page by page.
    pub async fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Page<T>, Failure> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let place = query(&[("cursor", cursor.take())]);
            let page: Page<T> = self.get(&format!("{path}{place}")).await?;
            items.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(Page { items, next: None });
            }
        }
    }

    /// `POST /api/v1/{path}` with a JSON body.
    pub async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
        if_match: Option<Generation>,
    ) -> Result<T, Failure> {
        let answer = self.send(Method::POST, &api(path), if_match, json(body)?).await?;
        read(&answer)
    }

    /// `PATCH /api/v1/{path}` with a JSON body.
    pub async fn patch<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
        if_match: Option<Generation>,
    ) -> Result<T, Failure> {
        let answer = self.send(Method::PATCH, &api(path), if_match, json(body)?).await?;
        read(&answer)
    }

    /// `DELETE /api/v1/{path}`.
    pub async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.send(Method::DELETE, &api(path), None, Bytes::new()).await.map(|_| ())
    }

    /// `PUT /api/v1/{path}` with a JSON body.
    pub async fn put<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
        if_match: Option<Generation>,
    ) -> Result<T, Failure> {
        let answer = self.send(Method::PUT, &api(path), if_match, json(body)?).await?;
        read(&answer)
    }

    /// Any path of the server, as bytes.
    pub async fn bytes(&self, path: &str) -> Result<Bytes, Failure> {
        self.send(Method::GET, path, None, Bytes::new()).await.map(|answer| answer.body)
    }

    /// `GET /api/v1/{path}`, handed over piece by piece as it comes: for answers
    /// of any length.
    pub async fn stream(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let request = self.request(Method::GET, &api(path), None, Bytes::new())?;
        let response = self.http.send(request).await.map_err(|e| self.unreachable(&e))?;
        let (head, mut body) = response.into_parts();
        if !head.status.is_success() {
            let body = read_all(body, MAX_ANSWER).await.map_err(|e| self.cut(&e))?;
            return Err(Failure::from_answer(head.status.as_u16(), &body));
        }
        while let Some(frame) = body.frame().await {
            if let Some(data) = frame.map_err(|e| self.cut(&e))?.data_ref() {
                take(data)?;
            }
        }
        Ok(())
    }

    /// Any path of the server with a JSON body.
    pub async fn post_raw<B: Serialize>(&self, path: &str, body: &B) -> Result<Answer, Failure> {
        self.send(Method::POST, path, None, json(body)?).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        if_match: Option<Generation>,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let request = self.request(method, path, if_match, body)?;
        let answer = self.exchange(request).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(Failure::from_answer(answer.status.as_u16(), &answer.body))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        if_match: Option<Generation>,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("tidegate/", env!("CARGO_PKG_VERSION")));
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(generation) = if_match {
            request = request.header(header::IF_MATCH, format!("\"{generation}\""));
        }
        request.body(Full::new(body)).map_err(|_| {
            Failure::usage(format!(
                "`{}` is not an address of a server, or the token has odd characters",
                self.base
            ))
            .fix("write it like `http://127.0.0.1:8080`")
        })
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let response = self.http.send(request).await.map_err(|e| self.unreachable(&e))?;
        let (head, body) = response.into_parts();
        let body = read_all(body, MAX_ANSWER).await.map_err(|e| self.cut(&e))?;
        Ok(Answer { status: head.status, body })
    }

    fn cut(&self, error: &dyn std::fmt::Display) -> Failure {
        Failure::new(Exit::Failed, format!("the answer of {} did not arrive whole", self.base))
            .why(error.to_string())
    }

    fn unreachable(&self, error: &SendError) -> Failure {
        Failure::new(Exit::Failed, format!("cannot reach the server at {}", self.base))
            .why(error.to_string())
            .fix("is it running? start it with `tidegate serve`, or name another with `--server`")
    }
}

fn api(path: &str) -> String {
    format!("/api/v1/{path}")
}

fn json<B: Serialize>(body: &B) -> Result<Bytes, Failure> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|e| Failure::new(Exit::Failed, format!("cannot write the request: {e}")))
}

/// Reads an answer as a document.
pub fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Failure> {
    serde_json::from_slice(&answer.body).map_err(|e| {
        Failure::new(Exit::Failed, "the server's answer could not be read")
            .why(e.to_string())
            .fix("are the server and this program of the same version? see `tidegate version`")
    })
}

/// A query string from the parameters that are given; empty without any.
pub fn query(parameters: &[(&str, Option<String>)]) -> String {
    let mut text = String::new();
    for (name, value) in parameters {
        if let Some(value) = value {
            let mark = if text.is_empty() { '?' } else { '&' };
            text.push_str(&format!("{mark}{name}={}", escape(value)));
        }
    }
    text
}

/// Percent-encodes everything but unreserved characters (RFC 3986), so that a
/// name with a slash cannot become another path.
pub fn escape(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            // Writing to a string cannot fail.
            _ => write!(out, "%{byte:02X}").unwrap_or_default(),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place_in_a_path() {
        assert_eq!(escape("../apps?x=1 ü"), "..%2Fapps%3Fx%3D1%20%C3%BC");
        assert_eq!(
            query(&[
                ("app", Some("a&b".to_owned())),
                ("state", None),
                ("limit", Some("3".to_owned()))
            ]),
            "?app=a%26b&limit=3"
        );
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named_with_what_to_do() {
        // Port 0 is never listened on.
        let failure = Api::new("http://127.0.0.1:0", None).get::<()>("whoami").await.unwrap_err();
        assert_eq!(failure.exit, Exit::Failed);
        assert!(failure.error.contains("http://127.0.0.1:0"), "{}", failure.error);
        assert!(failure.fix.is_some_and(|fix| fix.contains("tidegate serve")));
    }
}
