//! `token create|list|revoke`.

use super::client::escape;
use super::failure::{Exit, Failure};
use super::output::{Out, talk};
use super::run::Run;
use clap::{Args, Subcommand};
use control::views::{MadeToken, NewToken, Page, TokenView};
use domain::ids::{AppName, PersonName};
use domain::units::Span;

/// Verbs on tokens.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token; its secret is printed once
    Create(Create),
    /// Every token, without secrets
    List,
    /// Make a token useless at once
    Revoke {
        /// Its id, from `token list`
        id: String,
    },
}

/// For whom or what.
#[derive(Debug, Args)]
pub struct Create {
    /// For a person: acts with the person's roles
    #[arg(long)]
    person: Option<PersonName>,
    /// For a program: may call this app through the gateway; may be repeated
    #[arg(short, long)]
    app: Vec<AppName>,
    /// Lets a gateway process join
    #[arg(long)]
    gateway: bool,
    /// What it is for
    #[arg(long, default_value = "")]
    note: String,
    /// Not valid after so long [default: a year]
    #[arg(long, value_name = "TIME")]
    lifetime: Option<Span>,
}

/// Runs a verb.
pub async fn run(run: &Run, verb: Token) -> Result<Exit, Failure> {
    match verb {
        Token::Create(args) => create(run, args).await?,
        Token::List => list(run).await?,
        Token::Revoke { id } => {
            run.confirm(&format!("The token `{id}` stops working at once."))?;
            run.api.delete(&format!("tokens/{}", escape(&id))).await?;
            talk(&format!("Revoked `{id}`."));
        }
    }
    Ok(Exit::Ok)
}

async fn create(run: &Run, args: Create) -> Result<(), Failure> {
    if args.person.is_none() && args.app.is_empty() && !args.gateway {
        return Err(Failure::usage("the token is for nobody and nothing").fix(
            "add `--person NAME` for a person, `--app APP` for a program that calls an app, \
             or `--gateway` for a gateway that joins",
        ));
    }
    let new = NewToken {
        person: args.person,
        apps: args.app.into_iter().collect(),
        gateway: args.gateway,
        note: args.note,
        lifetime: args.lifetime,
    };
    let made: MadeToken = run.api.post("tokens", &new, None).await?;
    talk(&format!(
        "This secret is shown once. The token is valid until {}; revoke it with: tidegate token revoke {}",
        made.token.expires_at.iso(),
        made.token.id
    ));
    run.out.one(&made, |_| format!("{}\n", made.secret))
}

async fn list(run: &Run) -> Result<(), Failure> {
    let page: Page<TokenView> = run.api.all("tokens").await?;
    run.out
        .list(&page.items)
        .column("TOKEN", |t, _| t.id.clone())
        .column("FOR", |t, _| holder(t))
        .column("NOTE", |t, _| t.note.clone())
        .column("CREATED", |t, out: &Out| out.time(t.created_at))
        .column("EXPIRES", |t, out: &Out| out.time(t.expires_at))
        .print()
}

fn holder(token: &TokenView) -> String {
    let mut holders: Vec<String> = Vec::new();
    holders.extend(token.person.as_ref().map(|p| format!("person {p}")));
    holders.extend(token.apps.iter().map(|a| format!("app {a}")));
    if token.gateway {
        holders.push("gateway".to_owned());
    }
    holders.join(", ")
}
