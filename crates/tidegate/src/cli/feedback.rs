//! `feedback`: what somebody says about an answer.

use super::client::Api;
use super::failure::{Exit, Failure};
use super::output::talk;
use super::run::Run;
use clap::Args;
use control::views::WhoAmI;
use domain::ids::{AppName, RequestId};
use domain::telemetry::Feedback as Post;

/// What to do when the server does not say where its gateway is.
const UNTOLD: &str = "sign in as a person, or name the gateway with `--gateway URL`: \
                      a program's token is good there and nowhere else";

/// Which answer, and what is said.
#[derive(Debug, Args)]
pub struct Feedback {
    /// The request, from the `x-request-id` header
    #[arg(required_unless_present = "subject")]
    request: Option<RequestId>,
    /// Name of the signal, for example `accepted`
    #[arg(long)]
    name: String,
    /// The number; 0 or 1 for yes-or-no signals
    #[arg(long, allow_negative_numbers = true)]
    value: f64,
    /// Instead of a request: the latest answer of this subject
    #[arg(long, requires = "app", conflicts_with = "request")]
    subject: Option<String>,
    /// The app, with `--subject`
    #[arg(short, long)]
    app: Option<AppName>,
    /// In words
    #[arg(long)]
    comment: Option<String>,
    /// The remark is about the mirrored answer
    #[arg(long)]
    shadow: bool,
    /// Address of the gateway [default: the one the server names]
    #[arg(long, env = "TIDEGATE_GATEWAY")]
    gateway: Option<String>,
}

/// Runs it.
pub async fn run(run: &Run, args: Feedback) -> Result<Exit, Failure> {
    let gateway = gateway(run, args.gateway).await?;
    let post = Post {
        request_id: args.request,
        subject: args.subject,
        app: args.app,
        name: args.name,
        value: args.value,
        comment: args.comment,
        shadow: args.shadow,
    };
    let api = Api::new(&gateway, run.api.token().map(str::to_owned));
    api.post_raw("/api/v1/feedback", &post).await?;
    talk("Noted.");
    Ok(Exit::Ok)
}

/// The gateway's address: as given, or as the server says.
pub async fn gateway(run: &Run, given: Option<String>) -> Result<String, Failure> {
    if let Some(gateway) = given {
        return Ok(gateway);
    }
    let me: WhoAmI = run.api.get("whoami").await.map_err(|failure| match failure.exit {
        // Only people are told: a program's token opens gateways alone.
        Exit::NotAllowed => Failure { fix: Some(UNTOLD.to_owned()), ..failure },
        _ => failure,
    })?;
    me.gateway_url.ok_or_else(|| {
        Failure::usage("this server runs no gateway of its own")
            .fix("name one with `--gateway URL`")
    })
}
