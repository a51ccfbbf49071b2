//! `why REQUEST_ID`: the release tuple behind one answer, and what made it
//! differ from the last good one.

use super::change::paint_diff;
use super::failure::{Exit, Failure};
use super::output::{Format, Out, Style, table};
use super::run::Run;
use super::text;
use clap::Args;
use control::views::WhyView;
use domain::ids::RequestId;

/// Most characters of an answer shown.
const ANSWER: usize = 600;

/// Which request.
#[derive(Debug, Args)]
pub struct Why {
    /// The request, from the `x-request-id` header
    request: RequestId,
}

/// Runs it.
pub async fn run(run: &Run, args: Why) -> Result<Exit, Failure> {
    let why: WhyView = run.api.get(&format!("requests/{}/explain", args.request)).await?;
    match run.out.format {
        Format::Table => run.out.write(&text(&run.out, &why))?,
        _ => run.out.one(&why, |_| String::new())?,
    }
    Ok(Exit::Ok)
}

/// The explanation for people.
fn text(out: &Out, why: &WhyView) -> String {
    let served = &why.served;
    let mut lines = format!(
        "{}  {}  {}\n{}\n\n",
        why.id,
        out.time(served.at),
        serde_json::to_value(served.status)
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default(),
        out.paint(Style::Bold, &why.summary.text),
    );
    lines.push_str(&components(out, why));
    for (kind, diff) in why.texts.iter().filter(|(_, diff)| !diff.is_empty()) {
        lines.push_str(&format!("\n{kind}:\n{}", paint_diff(out, diff)));
    }
    lines.push('\n');
    lines.push_str(&out.facts(&facts(out, why)));
    lines
}

fn facts(out: &Out, why: &WhyView) -> Vec<(&'static str, String)> {
    let served = &why.served;
    let feedback: Vec<_> = why
        .feedback
        .iter()
        .map(|f| {
            let about = if f.shadow { " (mirrored answer)" } else { "" };
            format!("{} = {} {}{about}", f.name, f.value, out.time(f.at))
        })
        .collect();
    vec![
        ("arm", format!("{}, bucket {} of 10,000", served.arm.key(), served.bucket)),
        ("rollout", served.rollout.map(|r| r.to_string()).unwrap_or_default()),
        ("served by", served.served_model.clone().unwrap_or_default()),
        ("fallback", served.fallback.clone()),
        ("error", served.error.clone().unwrap_or_default()),
        ("took", format!("{} ms", served.latency_us / 1000)),
        ("cost", format!("${:.6}", served.cost_nano_usd as f64 / 1e9)),
        ("answer", served.answer.as_deref().map(|a| text::shorten(a, ANSWER)).unwrap_or_default()),
        (
            "mirrored",
            why.shadow
                .as_ref()
                .and_then(|s| s.answer.as_deref())
                .map(|a| text::shorten(a, ANSWER))
                .unwrap_or_default(),
        ),
        ("feedback", feedback.join("\n")),
        ("change", why.change.map(|c| c.to_string()).unwrap_or_default()),
        ("commit", why.commit.clone().unwrap_or_default()),
        ("outcome", why.outcome.as_ref().map(|o| o.text.clone()).unwrap_or_default()),
    ]
}

/// The two release tuples side by side, changed rows marked; one alone if the
/// answer came from the last good release itself.
fn components(out: &Out, why: &WhyView) -> String {
    let label = |c: &Option<domain::component::Component>| {
        c.as_ref().map_or_else(
            || "–".to_owned(),
            |c| format!("{} {}", c.label(), c.digest.hex().get(..8).unwrap_or_default()),
        )
    };
    let this = format!("THIS ANSWER {}", out.release(&why.release.id));
    let Some(good) = &why.last_good else {
        let titles = ["COMPONENT".to_owned(), this];
        let rows: Vec<Vec<String>> = why
            .release
            .manifest
            .components
            .iter()
            .map(|(kind, c)| vec![kind.to_string(), label(&Some(c.clone()))])
            .collect();
        return table(&titles, &rows, out.tty);
    };
    let good = format!("LAST GOOD {}", out.release(&good.id));
    let titles = [String::new(), "COMPONENT".to_owned(), good, this];
    let rows: Vec<Vec<String>> = why
        .differences
        .iter()
        .map(|d| {
            let mark = if d.same() { " " } else { "≠" };
            vec![mark.to_owned(), d.kind.to_string(), label(&d.before), label(&d.after)]
        })
        .collect();
    table(&titles, &rows, out.tty)
}
