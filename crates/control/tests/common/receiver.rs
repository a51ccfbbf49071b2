//! Receivers of messages, on the loopback: a program that takes posts, and a
//! mail server. Both keep what they were sent and answer as they are told.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A post as it came.
#[derive(Debug, Clone)]
pub struct Post {
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Post {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

/// A program on the loopback.
#[derive(Clone)]
pub struct Program {
    pub url: String,
    posts: Arc<Mutex<Vec<Post>>>,
    answers: Arc<Mutex<VecDeque<String>>>,
}

impl Program {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let program = Self { url, posts: Arc::default(), answers: Arc::default() };
        let serving = program.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        program
    }

    /// The next answers, such as `500` or `429 retry-after: 3600`; then 204.
    pub fn answer(&self, answers: &[&str]) {
        self.answers.lock().unwrap().extend(answers.iter().map(|a| (*a).to_owned()));
    }

    /// What came since the last time.
    pub fn posts(&self) -> Vec<Post> {
        std::mem::take(&mut self.posts.lock().unwrap())
    }

    async fn serve(self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let (mut headers, mut length, mut line) = (Vec::new(), 0, String::new());
        while stream.read_line(&mut line).await.unwrap_or(0) > 2 {
            if let Some((name, value)) = line.split_once(':') {
                let pair = (name.to_ascii_lowercase(), value.trim().to_owned());
                if pair.0 == "content-length" {
                    length = pair.1.parse().unwrap();
                }
                headers.push(pair);
            }
            line.clear();
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        self.posts.lock().unwrap().push(Post { headers, body: String::from_utf8(body).unwrap() });
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or_else(|| "204".to_owned());
        let (status, more) = answer.split_once(' ').unwrap_or((&answer, "x-a: b"));
        let head = format!(
            "HTTP/1.1 {status} x\r\n{more}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        stream.get_mut().write_all(head.as_bytes()).await.ok();
    }
}

/// A mail as it came: the envelope's recipient, and the text.
#[derive(Debug, Clone)]
pub struct Letter {
    pub to: String,
    pub text: String,
}

/// A mail server on the loopback (RFC 5321, no TLS).
#[derive(Clone)]
pub struct MailServer {
    pub port: u16,
    letters: Arc<Mutex<Vec<Letter>>>,
    refusals: Arc<Mutex<VecDeque<String>>>,
}

impl MailServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { port, letters: Arc::default(), refusals: Arc::default() };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        server
    }

    /// Refuses the next recipient like this, for example `450 later`.
    pub fn refuse(&self, how: &str) {
        self.refusals.lock().unwrap().push_back(how.to_owned());
    }

    pub fn letters(&self) -> Vec<Letter> {
        std::mem::take(&mut self.letters.lock().unwrap())
    }

    async fn serve(self, stream: TcpStream) -> Option<()> {
        let mut stream = BufReader::new(stream);
        let mut to = String::new();
        say(&mut stream, "220 mail.test").await?;
        loop {
            let line = hear(&mut stream).await?;
            let verb = line.get(..4).unwrap_or("").to_ascii_uppercase();
            let refusal = self.refusals.lock().unwrap().front().cloned();
            match (verb.as_str(), refusal) {
                ("RCPT", Some(refusal)) => {
                    self.refusals.lock().unwrap().pop_front();
                    say(&mut stream, &refusal).await?;
                }
                ("RCPT", None) => {
                    let (from, end) = (line.find('<')? + 1, line.find('>')?);
                    to = line[from..end].to_owned();
                    say(&mut stream, "250 ok").await?;
                }
                ("DATA", _) => {
                    say(&mut stream, "354 go on").await?;
                    let mut text = String::new();
                    loop {
                        let line = hear(&mut stream).await?;
                        if line == "." {
                            break;
                        }
                        text.push_str(line.strip_prefix("..").unwrap_or(&line));
                        text.push('\n');
                    }
                    self.letters.lock().unwrap().push(Letter { to: to.clone(), text });
                    say(&mut stream, "250 taken").await?;
                }
                ("QUIT", _) => return say(&mut stream, "221 bye").await,
                _ => say(&mut stream, "250 ok").await?,
            }
        }
    }
}

async fn say(stream: &mut BufReader<TcpStream>, text: &str) -> Option<()> {
    stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).await.ok()
}

async fn hear(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let n = stream.read_line(&mut line).await.ok()?;
    (n > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}
