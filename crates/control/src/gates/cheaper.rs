//! A change's branch with another model in its place, for its preview: composed
//! and judged by the same policies, because trying is no way round them.

use crate::git::blocking;
use crate::policies;
use crate::problem::{Problem, ProblemKind};
use crate::{Control, wrong};
use domain::change::Change;
use domain::finding::{Finding, GateOutcome};
use domain::manifest::Release;
use domain::units::Timestamp;
use opsrepo::{CommitId, Desired};

/// What a branch makes with another model.
pub(crate) struct Cheaper {
    pub(crate) release: Release,
    pub(crate) desired: Desired,
    pub(crate) commit: CommitId,
}

impl Control {
    /// Composes the branch of a change with another model of its catalogue.
    ///
    /// # Errors
    /// `no_such_model`, `does_not_compose`; `policy_denies` when a policy, or a
    /// rule for models, says no to this model.
    pub(crate) async fn compose_with_model(
        &self,
        change: &Change,
        model: &str,
        now: Timestamp,
    ) -> Result<Cheaper, Problem> {
        let subject = self.subject(change).await?;
        let known = self.known_of(change, now).await?;
        let production = self.app_record(&change.app).await?.doc.production;
        let production = self.release_record(production).await?;
        let (app, model) = (change.app.clone(), model.to_owned());
        let judged = blocking(move || {
            if !subject.desired.models.contains_key(&model) {
                return Ok(Err(no_such_model(&model, &subject.desired)));
            }
            let release = match subject.desired.compose_with_model(&app, &model) {
                Ok(release) => release,
                Err(findings) => return Ok(Err(refused("does_not_compose", findings))),
            };
            let asked = policies::Asked {
                app: &app,
                branch: &subject.desired,
                main: &subject.main,
                release: Some(&release),
                production: Some(&production),
                paths: &subject.paths,
                known: &known,
            };
            let said = policies::part(&asked, now);
            for gate in [said.gate, said.model] {
                if gate.outcome == GateOutcome::Failed {
                    return Ok(Err(refused("policy_denies", gate.findings)));
                }
            }
            Ok(Ok(Cheaper { release, desired: subject.desired, commit: subject.commit }))
        });
        judged.await.map_err(|e: Problem| wrong("the preview", &e))?
    }
}

fn no_such_model(model: &str, desired: &Desired) -> Problem {
    let known: Vec<_> = desired.models.keys().map(String::as_str).collect();
    Problem::new(
        ProblemKind::Invalid,
        "no_such_model",
        format!("the change's branch has no model `{model}`"),
        format!("name one of {}", known.join(", ")),
    )
    .at("model")
}

fn refused(code: &str, findings: Vec<Finding>) -> Problem {
    let first = findings
        .into_iter()
        .find(|finding| finding.severity == domain::finding::Severity::Error)
        .map_or_else(
            || ("it was refused".to_owned(), "name another model".to_owned()),
            |finding| (finding.message, finding.mend),
        );
    Problem::new(
        ProblemKind::Refused,
        code,
        format!("the preview cannot have this model: {}", first.0),
        first.1,
    )
    .at("model")
}
