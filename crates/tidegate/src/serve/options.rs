//! The server's configuration: flags and environment, every fault reported at
//! once, before anything listens.

use super::installation::DEFAULT_DATA;
use crate::cli::failure::Failure;
use clap::{Args, ValueEnum};
use connect::http::Client;
use connect::prometheus::{BadServer, Login, Prometheus};
use control::sign_on::SignOn;
use domain::ids::GatewayName;
use domain::note::VerifyingKey;
use domain::units::{Share, Span};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ServeRole {
    /// Control and one gateway in one process.
    All,
    /// Control alone; gateways join over HTTP.
    Control,
    /// A gateway that joins a control elsewhere.
    Gateway,
}

/// Run the server.
#[derive(Debug, Args)]
pub struct Serve {
    /// The data directory; of a gateway, where it keeps its snapshot
    #[arg(long, env = "TIDEGATE_DATA", default_value = DEFAULT_DATA, value_name = "DIR")]
    pub data: PathBuf,
    /// What this process is
    #[arg(long, env = "TIDEGATE_ROLE", value_enum, default_value_t = ServeRole::All)]
    pub role: ServeRole,
    /// Where people, git and gateways are served; port 0 picks a free one
    #[arg(long, env = "TIDEGATE_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Where apps are served; port 0 picks a free one
    #[arg(
        long,
        env = "TIDEGATE_GATEWAY_LISTEN",
        default_value = "127.0.0.1:8081",
        value_name = "ADDRESS"
    )]
    pub gateway_listen: SocketAddr,
    /// The address people reach the control port by, for links
    #[arg(long, env = "TIDEGATE_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// The address apps reach the gateway by
    #[arg(long, env = "TIDEGATE_GATEWAY_URL", value_name = "URL")]
    pub gateway_url: Option<String>,
    /// Gateway role: the control port to join
    #[arg(long, env = "TIDEGATE_CONTROL", value_name = "URL")]
    pub control: Option<String>,
    /// Gateway role: token from `token create --gateway`
    #[arg(long, env = "TIDEGATE_GATEWAY_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub gateway_token: Option<String>,
    /// Gateway role: the installation's verifier key; snapshots signed by
    /// another are refused
    #[arg(long, env = "TIDEGATE_VKEY", value_name = "KEY")]
    pub vkey: Option<String>,
    /// Gateway role: file with the installation's hashing key
    /// (`keys/hashing.key` of its data directory)
    #[arg(long, env = "TIDEGATE_HASH_KEY_FILE", value_name = "FILE")]
    pub hash_key_file: Option<PathBuf>,
    /// Name of the gateway, unique in the installation
    #[arg(long, env = "TIDEGATE_GATEWAY_NAME", default_value = "main", value_name = "NAME")]
    pub gateway_name: GatewayName,
    /// Share of answers whose redacted texts are kept; failed ones always are
    #[arg(long, env = "TIDEGATE_KEEP_TEXTS", default_value = "100%", value_name = "SHARE")]
    pub keep_texts: Share,
    /// The metrics server whose numbers `source: {prometheus: …}` reads
    #[arg(long, env = "TIDEGATE_PROMETHEUS_URL", value_name = "URL")]
    pub prometheus_url: Option<String>,
    /// Bearer token for the metrics server
    #[arg(long, env = "TIDEGATE_PROMETHEUS_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub prometheus_token: Option<String>,
    /// Name for the metrics server, instead of a token
    #[arg(long, env = "TIDEGATE_PROMETHEUS_USER", value_name = "NAME")]
    pub prometheus_user: Option<String>,
    /// Password that goes with the name
    #[arg(
        long,
        env = "TIDEGATE_PROMETHEUS_PASSWORD",
        hide_env_values = true,
        value_name = "PASSWORD"
    )]
    pub prometheus_password: Option<String>,
    /// File that names the OpenID providers people sign in by
    #[arg(long, env = "TIDEGATE_SIGN_ON_FILE", value_name = "FILE")]
    pub sign_on_file: Option<PathBuf>,
    /// How often control looks when nothing wakes it
    #[arg(long, env = "TIDEGATE_LOOK_EVERY", default_value = "1s", value_name = "TIME")]
    pub look_every: Span,
    /// Let everybody look through the eyes of anybody: for a demo, whose people
    /// nobody is
    #[arg(long, hide = true)]
    pub demo: bool,
    /// File the addresses are written to once everything is served
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// What to log, for example `info` or `tidegate_control=debug`
    #[arg(long, env = "TIDEGATE_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
}

/// What a gateway needs that joins from outside.
#[derive(Debug)]
pub struct Join {
    /// The control port.
    pub control: String,
    /// The token.
    pub token: String,
    /// The key snapshots must be signed by.
    pub key: VerifyingKey,
    /// Key of the hashes in telemetry.
    pub hash_key: [u8; 32],
}

impl Serve {
    /// Everything that is wrong with these options, at once.
    pub fn check(&self) -> Result<(), Failure> {
        let mut faults = Vec::new();
        if self.look_every == Span::ZERO {
            faults.push("`--look-every` must be longer than nothing".to_owned());
        }
        for (flag, url) in [
            ("--public-url", &self.public_url),
            ("--gateway-url", &self.gateway_url),
            ("--control", &self.control),
            ("--prometheus-url", &self.prometheus_url),
        ] {
            if let Some(url) = url.as_deref().filter(|u| !is_url(u)) {
                faults.push(format!(
                    "`{flag} {url}` is not an address such as `http://127.0.0.1:8080`"
                ));
            }
        }
        if self.role == ServeRole::All
            && self.listen == self.gateway_listen
            && self.listen.port() != 0
        {
            faults.push(format!("`--listen` and `--gateway-listen` are both {}", self.listen));
        }
        faults.extend(self.prometheus_faults());
        if let Err(sign_on) = self.sign_on() {
            faults.extend(sign_on);
        }
        if self.role == ServeRole::Gateway {
            faults.extend(self.join_faults());
        } else if self.control.is_some() {
            faults.push("`--control` is for `--role gateway`".to_owned());
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(Failure::usage("the configuration has faults")
            .why(faults.join("\n"))
            .fix("see `tidegate serve --help`"))
    }

    fn prometheus_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let (token, user) = (&self.prometheus_token, &self.prometheus_user);
        if token.is_some() && user.is_some() {
            faults.push("give `--prometheus-token` or `--prometheus-user`, not both".to_owned());
        }
        if user.is_some() != self.prometheus_password.is_some() {
            let both = "`--prometheus-user` and `--prometheus-password` go together";
            faults.push(both.to_owned());
        }
        if self.prometheus_url.is_none() && (token.is_some() || user.is_some()) {
            faults.push("a login for the metrics server needs `--prometheus-url`".to_owned());
        }
        let readable = self.prometheus_url.as_deref().is_some_and(is_url);
        if let (true, true, Err(error)) = (faults.is_empty(), readable, self.prometheus()) {
            faults.push(format!("`--prometheus-url`: {error}"));
        }
        faults
    }

    /// The metrics server, if one is named.
    pub fn prometheus(&self) -> Result<Option<Prometheus>, BadServer> {
        let login = match (&self.prometheus_token, &self.prometheus_user) {
            (Some(token), _) => Login::Token(token.clone()),
            (None, Some(user)) => Login::Password {
                user: user.clone(),
                password: self.prometheus_password.clone().unwrap_or_default(),
            },
            (None, None) => Login::Nobody,
        };
        let address = self.prometheus_url.as_deref();
        address.map(|address| Prometheus::new(Client::new(), address, &login)).transpose()
    }

    /// The providers people sign in by.
    ///
    /// # Errors
    /// Everything that is wrong with their file, a line each.
    pub fn sign_on(&self) -> Result<Vec<Arc<SignOn>>, Vec<String>> {
        let Some(path) = &self.sign_on_file else { return Ok(Vec::new()) };
        super::sign_on::read(path)
    }

    fn join_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (flag, missing) in [
            ("--control", self.control.is_none()),
            ("--gateway-token", self.gateway_token.is_none()),
            ("--vkey", self.vkey.is_none()),
            ("--hash-key-file", self.hash_key_file.is_none()),
        ] {
            if missing {
                faults.push(format!("`--role gateway` needs `{flag}`"));
            }
        }
        if let Some(Err(error)) = self.vkey.as_ref().map(|k| k.parse::<VerifyingKey>()) {
            faults.push(format!("`--vkey`: {error}"));
        }
        if let Some(Err(problem)) = self.hash_key_file.as_ref().map(|path| hash_key(path)) {
            faults.push(format!("`--hash-key-file`: {problem}"));
        }
        faults
    }

    /// What a joining gateway needs; none for other roles. Call after
    /// [`Serve::check`].
    pub fn join(&self) -> Option<Join> {
        Some(Join {
            control: self.control.clone()?,
            token: self.gateway_token.clone()?,
            key: self.vkey.as_ref()?.parse().ok()?,
            hash_key: hash_key(self.hash_key_file.as_ref()?).ok()?,
        })
    }
}

fn is_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<http::Uri>() else { return false };
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|h| !h.is_empty())
}

fn hash_key(path: &Path) -> Result<[u8; 32], String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("`{}`: {e}", path.display()))?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes)
        .map_err(|_| format!("`{}` does not hold 64 hexadecimal digits", path.display()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        serve: Serve,
    }

    fn faults(args: &[&str]) -> String {
        let line = Line::try_parse_from([&["serve"], args].concat()).unwrap();
        line.serve.check().err().and_then(|f| f.why).unwrap_or_default()
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        insta::assert_snapshot!(
            faults(&["--role", "gateway", "--public-url", "here", "--look-every", "0", "--vkey", "k"]),
            @r"
        `--look-every` must be longer than nothing
        `--public-url here` is not an address such as `http://127.0.0.1:8080`
        `--role gateway` needs `--control`
        `--role gateway` needs `--gateway-token`
        `--role gateway` needs `--hash-key-file`
        `--vkey`: `k` is not a verifier key; one looks like `example.com/log+530d903a+AekyeR…`
        "
        );
    }

    #[test]
    fn a_metrics_server_is_named_whole_or_not_at_all() {
        assert_eq!(faults(&["--prometheus-url", "http://127.0.0.1:9090"]), "");
        insta::assert_snapshot!(
            faults(&["--prometheus-token", "t", "--prometheus-user", "u"]),
            @r"
        give `--prometheus-token` or `--prometheus-user`, not both
        `--prometheus-user` and `--prometheus-password` go together
        a login for the metrics server needs `--prometheus-url`
        "
        );
        let said = faults(&["--prometheus-url", "http://u:p@host"]);
        assert!(said.contains("is not an address"), "{said}");
    }

    #[test]
    fn the_defaults_are_fine_and_one_port_cannot_serve_twice() {
        assert_eq!(faults(&[]), "");
        assert_eq!(faults(&["--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"]), "");
        assert!(faults(&["--gateway-listen", "127.0.0.1:8080"]).contains("both 127.0.0.1:8080"));
    }
}
