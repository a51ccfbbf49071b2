//! What there is to look at once the story is told: a rollout that goes back by
//! itself while one watches, one that waits for a decision on its cost, a change
//! with two answers that got worse, and a copy of the audit log that somebody
//! tampered with.
//!
//! Nothing here is staged either: two more apps have traffic of their own, their
//! changes go through the same checks and approvals, and what follows is what the
//! server makes of the answers.

use super::DemoError;
use super::content::{self, APP, COSTS, SHORTER, SLOWS, Ticket};
use super::desk::Dice;
use super::folder::Folder;
use super::people::{Cast, app_token};
use super::server::Server;
use super::story::Teller;
use connect::http::{Client, read_all};
use control::views::{ChangeView, Edit, NewApproval, NewChange};
use domain::approval::Decision;
use domain::change::ChangeState;
use domain::ids::ChangeId;
use http::{Request, header};
use http_body_util::Full;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Requests a second of each of the two apps.
const RATE: u32 = 6;
/// People who use them.
const READERS: u64 = 2_000;
/// How long only short chats come in; then long ones do too, on which the new
/// version of one app is slow.
const SHORT_CHATS: Duration = Duration::from_secs(150);
/// How often the server is asked what is new.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a change may take until it waits for people, or its rollout begins.
const WITHIN: Duration = Duration::from_secs(60);
/// Largest answer read, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Traffic of the two apps; ends when dropped.
pub struct Gallery(Vec<JoinHandle<()>>);

impl Drop for Gallery {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Opens it, and says what there is.
///
/// # Errors
/// When a change is not where it should be in time.
pub async fn open(
    teller: &Teller,
    server: &Server,
    cast: &Cast,
    folder: &Folder,
) -> Result<Gallery, DemoError> {
    teller.head("More to look at, in the browser or by command");
    let mut traffic = Vec::new();
    for app in [SLOWS, COSTS] {
        let token = app_token(server, app).await?;
        traffic.push(send_for_ever(server, app, token, content::tickets()?));
    }
    let gallery = Gallery(traffic);
    for app in [SLOWS, COSTS] {
        let change = propose(cast, app, SHORTER.title, SHORTER.why, content::shorter(app)).await?;
        let change = approve(cast, change).await?;
        let rollout = change.rollout.map(|r| r.to_string()).unwrap_or_default();
        teller.say(&match app {
            SLOWS => format!("`{app}` rolls {} out ({rollout}): in about three minutes it is too slow and goes back by itself", change.id),
            _ => format!("`{app}` rolls {} out ({rollout}): it will pause, and ask whether it may cost that much", change.id),
        });
    }
    let friendly = content::friendlier();
    let change = propose(cast, APP, friendly.title, friendly.why, friendly.files).await?;
    teller.say(&format!("{} waits for approval: two of its answers got worse", change.id));
    let copy = tamper(folder).await?;
    teller.say(&format!(
        "somebody altered a copy of the audit log: tidegate audit verify --data {}",
        copy.display()
    ));
    Ok(gallery)
}

async fn propose(
    cast: &Cast,
    app: &str,
    title: &str,
    why: &str,
    files: Vec<(String, String)>,
) -> Result<ChangeView, DemoError> {
    let new = NewChange {
        app: app.parse().map_err(|e: domain::ids::InvalidId| DemoError::new(e.to_string()))?,
        title: Some(title.to_owned()),
        why: why.to_owned(),
        edits: files.into_iter().map(|(path, text)| Edit { path, content: Some(text) }).collect(),
        branch: None,
        bump: None,
    };
    let change: ChangeView = cast.ana.post("changes", &new, None).await?;
    let change = until(cast, change.id, |c| c.state != ChangeState::Checking).await?;
    if change.state == ChangeState::NeedsApproval {
        return Ok(change);
    }
    Err(DemoError::new(format!("{} is not ready for approval: {}", change.id, change.summary.text)))
}

async fn approve(cast: &Cast, change: ChangeView) -> Result<ChangeView, DemoError> {
    let yes = NewApproval {
        decision: Decision::Approve,
        comment: "Reads well.".to_owned(),
        content: change.content,
    };
    let path = format!("changes/{}/approvals", change.id);
    let _: ChangeView = cast.priya.post(&path, &yes, Some(change.generation)).await?;
    until(cast, change.id, |c| c.rollout.is_some()).await
}

async fn until(
    cast: &Cast,
    id: ChangeId,
    there: impl Fn(&ChangeView) -> bool,
) -> Result<ChangeView, DemoError> {
    let looking = async {
        loop {
            let change: ChangeView = cast.irina.get(&format!("changes/{id}")).await?;
            if there(&change) {
                return Ok(change);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let late = || Err(DemoError::new(format!("{id} took longer than {} s", WITHIN.as_secs())));
    tokio::time::timeout(WITHIN, looking).await.unwrap_or_else(|_| late())
}

/// Asks an app at an even rate until dropped. What fails is the app's to count.
fn send_for_ever(
    server: &Server,
    app: &str,
    token: String,
    tickets: Vec<Ticket>,
) -> JoinHandle<()> {
    let url = format!("{}/v1/chat/completions", server.gateway);
    let (client, app) = (Arc::new(Client::new()), app.to_owned());
    let (short, long): (Vec<_>, Vec<_>) = tickets.into_iter().partition(|t| !t.is_long());
    tokio::spawn(async move {
        let begun = Instant::now();
        let mut every = tokio::time::interval(Duration::from_secs(1) / RATE);
        let mut dice = Dice::new();
        loop {
            every.tick().await;
            let long_ones = begun.elapsed() > SHORT_CHATS && dice.roll(2) == 0;
            let from = if long_ones { &long } else { &short };
            let pick = usize::try_from(dice.roll(from.len() as u64)).unwrap_or(0);
            let Some(ticket) = from.get(pick) else { continue };
            let body = json!({
                "model": format!("app/{app}"),
                "messages": [{"role": "user", "content": "Please summarise this chat."}],
                "tidegate": {"vars": ticket.vars},
            });
            let request = Request::post(&url)
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::AUTHORIZATION, format!("Bearer {token}"))
                .header("x-tidegate-subject", format!("reader-{:04}", dice.roll(READERS)))
                .body(Full::new(body.to_string().into()));
            let (client, Ok(request)) = (Arc::clone(&client), request) else { continue };
            tokio::spawn(async move {
                if let Ok(response) = client.send(request).await {
                    // Nobody reads it here; the connection is for the next one.
                    read_all(response.into_body(), MAX_ANSWER).await.ok();
                }
            });
        }
    })
}

/// A copy of the installation's state in which an approval has another reason:
/// what somebody with access to the disk could do, and what the log's hashes say.
async fn tamper(folder: &Folder) -> Result<PathBuf, DemoError> {
    const TRUE: &[u8] = b"Reads well.";
    const FALSE: &[u8] = b"Reads fine.";
    let copy = folder.tampered();
    let failed = |e: &dyn std::fmt::Display| DemoError::new(format!("`{}`: {e}", copy.display()));
    std::fs::create_dir_all(copy.join("keys")).map_err(|e| failed(&e))?;
    for file in ["installation.json", "keys/signing.pem", "keys/hashing.key"] {
        std::fs::copy(folder.data().join(file), copy.join(file)).map_err(|e| failed(&e))?;
    }
    let state = copy.join("state.db");
    let store = store::Store::open(&folder.data()).await.map_err(|e| failed(&e))?;
    let copied = store.copy_state(&state).await;
    store.close().await.map_err(|e| failed(&e))?;
    copied.map_err(|e| failed(&e))?;
    let mut bytes = std::fs::read(&state).map_err(|e| failed(&e))?;
    let places: Vec<usize> = bytes
        .windows(TRUE.len())
        .enumerate()
        .filter(|(_, window)| *window == TRUE)
        .map(|(at, _)| at)
        .collect();
    for at in &places {
        if let Some(place) = bytes.get_mut(*at..at + TRUE.len()) {
            place.copy_from_slice(FALSE);
        }
    }
    if places.is_empty() {
        return Err(failed(&"there is no approval in the log to tamper with"));
    }
    std::fs::write(&state, bytes).map_err(|e| failed(&e))?;
    Ok(copy)
}
