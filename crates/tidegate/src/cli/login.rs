//! `login`, `whoami`: which server, who am I there, and whose log do I trust.

use super::client::Api;
use super::context::Known;
use super::failure::{Exit, Failure};
use super::output::talk;
use super::run::{Run, ask};
use clap::Args;
use control::views::WhoAmI;
use std::io::IsTerminal as _;

/// Remember a server and a token, and pin the key of its audit log.
#[derive(Debug, Args)]
pub struct Login {
    /// Trust the log's key although another one was seen before
    #[arg(long)]
    accept_new_key: bool,
}

/// `tidegate login`.
pub async fn login(run: &Run, args: Login) -> Result<Exit, Failure> {
    let server = run.api.base().to_owned();
    let token = match (&run.global.token, &run.global.token_file) {
        (None, None) => prompt_token(run)?,
        _ => run.api.token().unwrap_or_default().to_owned(),
    };
    let me: WhoAmI = Api::new(&server, Some(token.clone())).get("whoami").await?;
    let mut contexts = run.contexts.load()?;
    let known = contexts.servers.entry(server.clone()).or_default();
    check_pin(known, &me.log_key, args.accept_new_key)?;
    if known.log_key.as_deref() != Some(me.log_key.as_str()) {
        known.verified = None;
    }
    known.log_key = Some(me.log_key.clone());
    known.token = Some(token);
    contexts.current = Some(server.clone());
    run.contexts.save(&contexts)?;
    talk(&format!(
        "Signed in to {server} as {}. The key of its audit log is pinned.",
        me.person.name
    ));
    show(run, &me)
}

/// `tidegate whoami`.
pub async fn whoami(run: &Run) -> Result<Exit, Failure> {
    let me: WhoAmI = run.api.get("whoami").await?;
    show(run, &me)
}

fn show(run: &Run, me: &WhoAmI) -> Result<Exit, Failure> {
    let roles: Vec<_> = me.person.roles.iter().map(|r| r.key()).collect();
    run.out.one(me, |out| {
        out.facts(&[
            ("name", me.person.name.to_string()),
            ("display", me.person.display.clone()),
            ("email", me.person.email.clone()),
            ("roles", roles.join(", ")),
            ("server", run.api.base().to_owned()),
            ("installation", me.origin.clone()),
            ("environment", me.environment.to_string()),
            ("gateway", me.gateway_url.clone().unwrap_or_default()),
            ("log key", me.log_key.clone()),
        ])
    })?;
    Ok(Exit::Ok)
}

fn prompt_token(run: &Run) -> Result<String, Failure> {
    if run.global.no_input {
        return Err(Failure::usage("no token was given")
            .fix("set TIDEGATE_TOKEN, or name a file with `--token-file`"));
    }
    // Read from a pipe too, so that a secret store can hand it over.
    let question = if std::io::stdin().is_terminal() { "Token: " } else { "" };
    let token = ask(question)?;
    if token.is_empty() {
        return Err(Failure::usage("no token was given")
            .fix("an admin makes one with `tidegate token create --person NAME`"));
    }
    Ok(token)
}

/// A server whose log key changed is either rebuilt or not what it was.
fn check_pin(known: &Known, now: &str, accept: bool) -> Result<(), Failure> {
    match known.log_key.as_deref() {
        Some(pinned) if pinned != now && !accept => Err(Failure::new(
            Exit::NotVerified,
            "this server's audit log is signed by another key than before",
        )
        .why(format!("pinned: {pinned}\nnow: {now}"))
        .fix("ask whoever runs the server; if it was set up anew, repeat with `--accept-new-key`")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_log_key_is_not_taken_silently() {
        let known = Known { log_key: Some("a".to_owned()), ..Known::default() };
        assert!(check_pin(&known, "a", false).is_ok());
        assert_eq!(check_pin(&known, "b", false).unwrap_err().exit, Exit::NotVerified);
        assert!(check_pin(&known, "b", true).is_ok());
        assert!(check_pin(&Known::default(), "b", false).is_ok());
    }
}
