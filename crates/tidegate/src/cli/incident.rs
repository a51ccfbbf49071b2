//! `incident list|get|reason`.

use super::failure::{Exit, Failure};
use super::output::Out;
use super::paging::Paging;
use super::run::Run;
use super::text;
use clap::Subcommand;
use domain::ids::{AppName, IncidentId};
use domain::incident::Incident as View;

/// Verbs on incidents.
#[derive(Debug, Subcommand)]
pub enum Incident {
    /// Incidents, newest first
    List {
        /// Only of this app
        #[arg(short, long)]
        app: Option<AppName>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One incident
    Get {
        /// Its number
        incident: IncidentId,
    },
    /// Give the reason that was left for later
    Reason {
        /// Its number
        incident: IncidentId,
        /// Why you acted; the same as `--reason`
        text: Option<String>,
    },
}

/// Runs a verb.
pub async fn run(run: &Run, verb: Incident) -> Result<Exit, Failure> {
    match verb {
        Incident::List { app, paging } => {
            let parameters = [("app", app.map(String::from))];
            let rows = paging.fetch::<View>(run, "incidents", &parameters).await?;
            run.out
                .list(&rows.items)
                .column("INCIDENT", |i, _| i.id.to_string())
                .column("APP", |i, _| i.app.to_string())
                .column("OPENED", |i, out: &Out| out.time(i.opened_at))
                .column("BY", |i, _| {
                    i.opened_by.as_ref().map_or("tidegate".to_owned(), |p| p.to_string())
                })
                .column("HARMED", |i, _| i.requests_harmed.to_string())
                .column("WHAT", |i, out: &Out| {
                    if out.tty { text::shorten(&i.what.text, 70) } else { i.what.text.clone() }
                })
                .print()?;
            rows.say();
        }
        Incident::Get { incident } => {
            let incident: View = run.api.get(&format!("incidents/{incident}")).await?;
            show(run, &incident)?;
        }
        Incident::Reason { incident, text } => {
            let reason = reason(incident, text, run.global.reason.clone())?;
            let body = serde_json::json!({ "reason": reason });
            let incident: View =
                run.api.post(&format!("incidents/{incident}/reason"), &body, None).await?;
            show(run, &incident)?;
        }
    }
    Ok(Exit::Ok)
}

/// The reason, however it was given.
fn reason(
    incident: IncidentId,
    text: Option<String>,
    flag: Option<String>,
) -> Result<String, Failure> {
    match (text, flag) {
        (Some(reason), None) | (None, Some(reason)) => Ok(reason),
        (None, None) => Err(Failure::usage("the reason is missing")
            .fix(format!("say why you acted: tidegate incident reason {incident} TEXT"))),
        (Some(_), Some(_)) => Err(Failure::usage("the reason is given twice")
            .fix("leave out the text or `--reason`; reasons are kept as they are")),
    }
}

fn show(run: &Run, incident: &View) -> Result<(), Failure> {
    run.out.one(incident, |out| {
        let differs: Vec<_> = incident
            .differences
            .iter()
            .filter(|d| !d.same())
            .map(super::release::difference)
            .collect();
        let reason = match (&incident.reason, incident.reason_due) {
            (Some(reason), _) => reason.clone(),
            (None, Some(due)) => format!(
                "missing, due {}: tidegate incident reason {} TEXT",
                out.time(due),
                incident.id
            ),
            (None, None) => String::new(),
        };
        out.facts(&[
            ("incident", incident.id.to_string()),
            ("app", incident.app.to_string()),
            ("what", incident.what.text.clone()),
            ("opened", out.time(incident.opened_at)),
            ("by", incident.opened_by.as_ref().map_or("tidegate".to_owned(), ToString::to_string)),
            ("reason", reason),
            ("rollout", incident.rollout.map(|r| r.to_string()).unwrap_or_default()),
            ("suspect", incident.suspect.as_ref().map(|r| out.release(r)).unwrap_or_default()),
            ("restored", incident.restored.as_ref().map(|r| out.release(r)).unwrap_or_default()),
            ("differs", differs.join("\n")),
            ("exposed", text::plural(incident.requests_exposed, "request")),
            ("harmed", text::plural(incident.requests_harmed, "request")),
            ("swing back", incident.swing_back.map(|s| s.to_string()).unwrap_or_default()),
            ("reverted", incident.revert_commit.clone().unwrap_or_default()),
            ("closed", incident.closed_at.map(|t| out.time(t)).unwrap_or_default()),
        ])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_text_or_the_flag() {
        let given = |text: Option<&str>, flag: Option<&str>| {
            reason(IncidentId(1), text.map(str::to_owned), flag.map(str::to_owned)).ok()
        };
        assert_eq!(given(Some("a"), None).as_deref(), Some("a"));
        assert_eq!(given(None, Some("b")).as_deref(), Some("b"));
        assert_eq!((given(None, None), given(Some("a"), Some("b"))), (None, None));
    }
}
