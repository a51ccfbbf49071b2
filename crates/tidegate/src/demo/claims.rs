//! Everything that was told, checked again: from the server's state, from git,
//! from the readers' diary and from the audit log.

use super::DemoError;
use super::content::APP;
use super::desk::Desk;
use super::folder::Folder;
use super::people::Cast;
use super::server::{Server, tidegate};
use super::story::{Happened, Teller};
use control::views::{AppView, ReleaseView};
use domain::change::ChangeState;
use domain::rollout::Phase;
use std::time::Duration;

/// How long the readers may take to see the release everyone is back on.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// One claim and whether it held.
pub struct Claim {
    what: String,
    holds: bool,
}

/// Checks every claim.
///
/// # Errors
/// When the server or git cannot be asked; a claim that does not hold is no error.
pub async fn check(
    server: &Server,
    cast: &Cast,
    desk: &Desk,
    folder: &Folder,
    happened: &Happened,
) -> Result<Vec<Claim>, DemoError> {
    let mut claims = Vec::new();
    let mut claim = |what: String, holds: bool| claims.push(Claim { what, holds });

    let (good, bad) = (&happened.good_rollout, &happened.bad_rollout);
    let app: AppView = cast.irina.get(&format!("apps/{APP}")).await?;
    claim(
        "the good change was promoted by evidence and is live".into(),
        good.phase == Phase::Promoted
            && happened.good.state == ChangeState::Live
            && app.production == Some(good.candidate)
            && good.candidate != happened.first,
    );
    claim(
        "the bad change was rolled back by itself, by nobody's hand".into(),
        bad.phase == Phase::RolledBack
            && happened.bad.state == ChangeState::RolledBack
            && decided_by_controller(cast, bad).await?,
    );

    let git = git(server, cast, folder, happened).await?;
    claim(
        "git says so too: `production` was moved by a commit on `main`".into(),
        git.promoted_by_commit,
    );
    claim(
        "git was reconciled: the bad change is reverted by a commit on `main`".into(),
        git.reverted,
    );

    let (rejected, exposed) = desk.look(|d| {
        let seen = d.seen.get(&bad.candidate.short()).cloned().unwrap_or_default();
        (seen.rejected, seen.read)
    });
    claim(
        format!("readers of the bad release threw {rejected} of {exposed} summaries away"),
        rejected > 0 && rejected == exposed,
    );
    let unhurt = desk.look(|d| {
        d.seen
            .iter()
            .filter(|(r, _)| **r != bad.candidate.short())
            .map(|(_, s)| s.rejected)
            .sum::<u64>()
    });
    claim("nobody else threw one away".into(), unhurt == 0);
    claim(
        format!("the server counted {} harmed requests", bad.requests_harmed),
        bad.requests_harmed > 0 && bad.requests_harmed <= rejected,
    );
    claim("the swing back was measured".into(), bad.swing_back.is_some());
    claim("readers get the good release again".into(), back(desk, good.candidate).await);

    let denied: ReleaseView = cast.irina.get(&format!("releases/{}", bad.candidate)).await?;
    claim("the failed release is denied until a person clears it".into(), denied.denied.is_some());
    claim(
        "`why` names the release tuple and its difference to the last good one".into(),
        happened.why.served.release == bad.candidate
            && happened.why.last_good.as_ref().map(|r| r.id) == Some(good.candidate)
            && happened.why.differences.iter().any(|d| !d.same()),
    );
    let (whole, said) = verify_audit(server, cast, folder).await?;
    claim(format!("`tidegate audit verify`: {said}"), whole);
    Ok(claims)
}

/// Prints the claims; true if all hold.
pub fn print(teller: &Teller, claims: &[Claim]) -> bool {
    teller.head("Is all of this true? Checked again from state, git and audit log");
    for claim in claims {
        teller.say(&format!("{} {}", if claim.holds { "yes" } else { "NO " }, claim.what));
    }
    claims.iter().all(|c| c.holds)
}

/// True if the audit log says that the controller decided this rollout.
async fn decided_by_controller(
    cast: &Cast,
    rollout: &control::views::RolloutView,
) -> Result<bool, DemoError> {
    let object = format!("rollout/{}", rollout.id);
    let page: control::views::Page<control::views::AuditView> = cast
        .irina
        .get(&format!("audit?object={}&limit=200", crate::cli::client::escape(&object)))
        .await?;
    let people = page
        .items
        .iter()
        .filter(|row| matches!(row.entry.actor, domain::audit::Actor::Person(_)))
        .count();
    Ok(!page.items.is_empty() && people == 0)
}

struct Git {
    promoted_by_commit: bool,
    reverted: bool,
}

/// Clones the ops repo over HTTP with plain git, as anybody could, and reads
/// what its commits say.
async fn git(
    server: &Server,
    cast: &Cast,
    folder: &Folder,
    happened: &Happened,
) -> Result<Git, DemoError> {
    let clone = folder.clone_of_ops();
    let url = format!("{}/git/ops.git", server.control);
    // The token travels in the environment: other users see command lines.
    let helper =
        r#"credential.helper=!f() { echo username=irina; echo "password=$TIDEGATE_TOKEN"; }; f"#;
    let target = clone.display().to_string();
    run_git(cast, &["-c", "credential.helper=", "-c", helper, "clone", "--quiet", &url, &target])
        .await?;
    let at = |commit: &str, path: &str| {
        let what = format!("{commit}:{path}");
        let target = target.clone();
        async move { run_git(cast, &["-C", &target, "show", &what]).await }
    };
    let aliases = "environments/production/aliases.yaml";
    let prompt = "apps/support-summary/prompts/summary/system.j2";
    let good = happened.good_rollout.candidate.to_string();
    let promotion = happened.good_rollout.git_commit.clone().unwrap_or_default();
    let promoted_by_commit = at(&promotion, aliases).await?.contains(&good)
        && !at(&format!("{promotion}^"), aliases)
            .await?
            .lines()
            .any(|l| l.contains("production:") && l.contains(&good))
        && at("origin/main", aliases).await?.contains(&good);

    let merge = happened.bad.merge_commit.clone().unwrap_or_default();
    let revert = happened.bad.revert_commit.clone().unwrap_or_default();
    let before = at(&format!("{merge}^"), prompt).await?;
    let reverted = at(&merge, prompt).await? != before
        && at(&revert, prompt).await? == before
        && at("origin/main", prompt).await? == before;
    Ok(Git { promoted_by_commit, reverted })
}

async fn run_git(cast: &Cast, words: &[&str]) -> Result<String, DemoError> {
    let output = tokio::process::Command::new("git")
        .args(words)
        .env("TIDEGATE_TOKEN", &cast.irina_token)
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .await
        .map_err(|e| DemoError::new(format!("`git` cannot be started: {e}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let what = words.iter().rev().take(2).rev().copied().collect::<Vec<_>>().join(" ");
        return Err(DemoError::new(format!("`git ... {what}` failed: {}", said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// True once a reader gets this release again.
async fn back(desk: &Desk, good: domain::ids::ReleaseId) -> bool {
    let good = good.short();
    let before = desk.look(|d| d.seen.get(&good).map_or(0, |s| s.read));
    let look = async {
        while desk.look(|d| d.seen.get(&good).map_or(0, |s| s.read)) <= before {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SEEN_WITHIN, look).await.is_ok()
}

/// Runs `tidegate audit verify`, which trusts nothing the server says.
async fn verify_audit(
    server: &Server,
    cast: &Cast,
    folder: &Folder,
) -> Result<(bool, String), DemoError> {
    let output = tidegate()?
        .args(["audit", "verify"])
        .env("TIDEGATE_SERVER", &server.control)
        .env("TIDEGATE_TOKEN", &cast.irina_token)
        .env("TIDEGATE_CONFIG", folder.token("irina").with_extension("json"))
        .output()
        .await
        .map_err(|e| DemoError::new(format!("`tidegate audit verify` cannot be started: {e}")))?;
    let said = if output.status.success() { output.stdout } else { output.stderr };
    let said = String::from_utf8_lossy(&said).trim().replace('\n', "; ");
    Ok((output.status.success(), said))
}
