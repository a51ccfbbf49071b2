//! One e-mail through a team's own mail server.
//!
//! Plain text only: a message is a sentence and a link. TLS is either from the
//! first byte or by STARTTLS, and with STARTTLS it is required: a server that
//! does not offer it gets neither password nor message.

use crate::guard::{Private, Reach};
use crate::http::innermost;
use crate::webhook::NotSent;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::timeout;

/// How long a server may take for one message.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// How the connection is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Begins plain and must turn to TLS before anything is said (RFC 3207).
    #[default]
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// Not at all: for a relay on the same machine.
    None,
}

impl Protection {
    /// The usual port.
    pub fn port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

/// A mail server.
#[derive(Clone)]
pub struct Server {
    /// Its name, which its certificate must carry.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// TLS.
    pub protection: Protection,
    /// Name and password, if it wants them.
    pub login: Option<(String, String)>,
    /// Where it may be.
    pub reach: Reach,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({}:{})", self.host, self.port)
    }
}

/// An e-mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// From whom, for example `Tidegate <tidegate@example.com>`.
    pub from: String,
    /// The recipient's name.
    pub name: String,
    /// The recipient's address.
    pub address: String,
    /// One line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// Stable across repetitions, without brackets, for example `msg_1@example.com`.
    pub id: String,
}

/// True if this can stand in `From`.
pub fn is_sender(text: &str) -> bool {
    !text.chars().any(char::is_control) && text.parse::<Mailbox>().is_ok()
}

/// One line, whatever is in it: what ends a line begins a header, and the
/// library that writes headers fails on the rest.
fn line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn message(mail: &Mail) -> Result<Message, NotSent> {
    let wrong = |what: &str| NotSent::Wrong(format!("{what} is no e-mail address"));
    let from: Mailbox = line(&mail.from).parse().map_err(|_| wrong("the sender"))?;
    let address = mail.address.parse().map_err(|_| wrong("the recipient's address"))?;
    let name = line(&mail.name);
    let mut message = Message::builder()
        .from(from)
        .to(Mailbox::new(Some(name).filter(|n| !n.is_empty()), address))
        .subject(line(&mail.subject))
        .message_id(Some(format!("<{}>", line(&mail.id))))
        .header(ContentType::TEXT_PLAIN)
        .body(mail.text.clone())
        .map_err(|e| NotSent::Wrong(e.to_string()))?;
    // So that nobody's holiday answers it (RFC 3834).
    let name = HeaderName::new_from_ascii_str("Auto-Submitted");
    message.headers_mut().insert_raw(HeaderValue::new(name, "auto-generated".to_owned()));
    Ok(message)
}

/// Exactly what would be sent.
///
/// # Errors
/// An address that is none.
pub fn preview(mail: &Mail) -> Result<String, NotSent> {
    Ok(String::from_utf8_lossy(&message(mail)?.formatted()).into_owned())
}

/// Hands a mail over.
///
/// # Errors
/// [`NotSent`]; final where the server refuses the message for good (5xx).
pub async fn send(server: &Server, mail: &Mail) -> Result<(), NotSent> {
    let message = message(mail)?;
    let addresses = server
        .reach
        .resolve(&server.host, server.port)
        .await
        .map_err(|error| unreachable(&error))?;
    let Some(first) = addresses.first() else {
        return Err(NotSent::Unreachable("the mail server has no address".to_owned()));
    };
    let parameters = || {
        TlsParameters::new_rustls(server.host.clone())
            .map_err(|e| NotSent::Wrong(format!("TLS to `{}`: {}", server.host, innermost(&e))))
    };
    let tls = match server.protection {
        Protection::Starttls => Tls::Required(parameters()?),
        Protection::Tls => Tls::Wrapper(parameters()?),
        Protection::None => Tls::None,
    };
    // To the address that was looked at, under the name that was asked for.
    let mut transport =
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(first.ip().to_string())
            .port(server.port)
            .tls(tls)
            .hello_name(ClientId::default())
            .timeout(Some(TIMEOUT));
    if let Some((name, password)) = &server.login {
        transport = transport.credentials(Credentials::new(name.clone(), password.clone()));
    }
    match timeout(TIMEOUT, transport.build().send(message)).await {
        Err(_) => Err(NotSent::Late(TIMEOUT.as_secs())),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(refused(&error)),
    }
}

fn refused(error: &lettre::transport::smtp::Error) -> NotSent {
    match error.status() {
        // Refused for good: address or message. A refused login may be mended.
        Some(code) if error.is_permanent() && !matches!(u16::from(code), 530..=538) => {
            NotSent::Wrong(format!("the mail server refused it for good, with {code}"))
        }
        Some(code) => NotSent::Unreachable(format!("the mail server answered with {code}")),
        None => NotSent::Unreachable(format!("the mail server: {}", innermost(error))),
    }
}

fn unreachable(error: &std::io::Error) -> NotSent {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Private>()) {
        Some(private) => NotSent::Private(private.clone()),
        None => NotSent::Unreachable(format!("the mail server: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Mail {
        Mail {
            from: "Tidegate <tidegate@example.com>".to_owned(),
            name: "Priya Sháh".to_owned(),
            address: "priya@example.com".to_owned(),
            subject: "Needs you: mail\r\nBcc: eve@example.com".to_owned(),
            text: "One sentence.\n.\nhttps://tide.example/changes/1\n".to_owned(),
            id: "msg_1@tide.example".to_owned(),
        }
    }

    #[test]
    fn nothing_in_a_mail_becomes_a_header_of_it() {
        let text = preview(&mail()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.to_ascii_lowercase().starts_with("bcc:")), "{head}");
        assert!(head.contains("Message-ID: <msg_1@tide.example>"), "{head}");
        assert!(head.contains("Auto-Submitted: auto-generated"), "{head}");
        assert!(body.contains("https://tide.example/changes/1"), "{body}");
        let name = Mail { name: "Eve\r\nBcc: x@example.com".to_owned(), ..mail() };
        let head = preview(&name).unwrap();
        assert!(!head.contains("\nBcc:"), "{head}");
    }

    #[tokio::test]
    async fn addresses_that_are_none_are_refused_for_good() {
        let server = Server {
            host: "localhost".to_owned(),
            port: 1,
            protection: Protection::None,
            login: None,
            reach: Reach::Public,
        };
        let bad = Mail { address: "nobody".to_owned(), ..mail() };
        assert!(send(&server, &bad).await.unwrap_err().is_final());
        let private = send(&server, &mail()).await.unwrap_err();
        assert!(matches!(private, NotSent::Private(_)), "{private:?}");
    }
}
