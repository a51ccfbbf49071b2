//! `change preview`: try a change before any user sees it.

use super::failure::{Exit, Failure};
use super::output::{Out, talk};
use super::run::Run;
use clap::Args;
use control::preview::{MadePreview, NewPreview, PreviewView};
use domain::ids::ChangeId;

/// What kind of endpoint, or what to do with it.
#[derive(Debug, Args)]
pub struct Preview {
    /// The change's number
    change: ChangeId,
    /// How long it lives, in hours [default: 24, at most 168]
    #[arg(long)]
    hours: Option<f64>,
    /// Tokens of prompts and answers it may spend [default: 100000]
    #[arg(long)]
    tokens: Option<u64>,
    /// Answer with this model of the catalogue instead: a cheaper one
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Make none: show where the one there is stands
    #[arg(long, conflicts_with_all = ["hours", "tokens", "model", "stop"])]
    show: bool,
    /// Take it away
    #[arg(long, conflicts_with_all = ["hours", "tokens", "model"])]
    stop: bool,
}

/// Makes one, shows it or takes it away.
pub async fn run(run: &Run, args: Preview) -> Result<Exit, Failure> {
    let path = format!("changes/{}/preview", args.change);
    if args.stop {
        run.api.delete(&path).await?;
    }
    if args.stop || args.show {
        let preview: PreviewView = run.api.get(&path).await?;
        run.out.one(&preview, |out| facts(out, &preview))?;
        return Ok(Exit::Ok);
    }
    let new = NewPreview { hours: args.hours, tokens: args.tokens, model: args.model };
    let made: MadePreview = run.api.post(&path, &new, None).await?;
    let number = made.preview.change.0;
    run.out.one(&made, |out| {
        out.facts(&[("token", made.token.clone())]) + &facts(out, &made.preview)
    })?;
    talk(&format!(
        "The token is shown once. Send recorded traffic: tidegate traffic replay -a {} -f FILE --app-token TOKEN\nEnd it: tidegate change preview {number} --stop",
        made.preview.app
    ));
    Ok(Exit::Ok)
}

fn facts(out: &Out, preview: &PreviewView) -> String {
    let state = match &preview.ended {
        None => "answering".to_owned(),
        Some(ended) => format!("ended {} ({})", out.time(ended.at), ended.why),
    };
    let about = match (preview.current, preview.swapped) {
        (true, _) => "",
        (false, true) => " (with another model than the change has)",
        (false, false) => " (not what the change is now: make another)",
    };
    out.facts(&[
        ("preview", format!("of {}", preview.change)),
        ("state", state),
        ("base url", preview.base_url.clone().unwrap_or_default()),
        ("model", preview.model.clone()),
        ("release", out.release(&preview.release) + about),
        ("answered by", preview.answered_by.clone()),
        ("tokens", format!("{} of {}", preview.used, preview.cap)),
        ("requests", preview.requests.to_string()),
        ("made by", preview.by.to_string()),
        ("until", preview.expires_at.iso()),
    ])
}
