//! An editor and an approver on one app, change after change.

use crate::world::{AGAIN, World};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a change ended.
#[derive(Debug, Clone)]
pub struct Fate {
    pub was_good: bool,
    pub rollout: String,
    pub phase: String,
}

/// A release with this model; the seed makes it another release each time.
pub fn release(model: &str, n: u64) -> String {
    format!(
        "apiVersion: tidegate/v1\nversion: 1.0.{n}\nprompt: p\nmodel: {model}\nparameters: {{seed: {n}}}\n"
    )
}

/// Takes changes through until no more are wanted; gives how each ended.
pub async fn play(world: Arc<World>, app: String) -> BTreeMap<String, Fate> {
    let mut fates = BTreeMap::new();
    let mut n = 0;
    // A good one and a bad one at least, however slow the machine.
    while n < 2 || !world.is_closing() {
        n += 1;
        let was_good = n % 2 == 1;
        let change = propose(&world, &app, n, was_good).await;
        approve(&world, &change).await;
        let rollout = rollout_of(&world, &change).await;
        let phase = end_of(&world, &change, &rollout).await;
        world.one_decided();
        fates.insert(change, Fate { was_good, rollout, phase });
    }
    fates
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

/// Proposes, knowing that an answer may be lost: looks before trying again.
async fn propose(world: &World, app: &str, n: u64, was_good: bool) -> String {
    let title = format!("{app} change {n}");
    let model = if was_good { "good" } else { "bad" };
    let body = json!({
        "app": app,
        "title": title,
        "why": "because this is a test of many kills",
        "edits": [{"path": format!("apps/{app}/release.yaml"), "content": release(model, n)}],
    });
    loop {
        match world.api("ana", Method::POST, "changes", &body).await {
            Some((200..=299, change)) => {
                let id = text(&change, "id");
                world.acknowledged("change.created", format!("change/{id}"));
                return id;
            }
            Some((status @ 400..=499, problem)) => {
                panic!("{title} was refused with {status}: {problem}")
            }
            _ => {}
        }
        let page = world
            .until_ok("ana", Method::GET, &format!("changes?app={app}&limit=5"), &Value::Null)
            .await;
        let mine = page["items"].as_array().expect("rows").iter().find(|c| c["title"] == *title);
        if let Some(change) = mine {
            return text(change, "id");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Approves once the checks have passed.
async fn approve(world: &World, change: &str) {
    loop {
        let seen =
            world.until_ok("priya", Method::GET, &format!("changes/{change}"), &Value::Null).await;
        match seen["state"].as_str().expect("a state") {
            "checking" => {}
            "needs_approval" => {
                let yes = json!({"decision": "approve", "content": seen["content"]});
                let path = format!("changes/{change}/approvals");
                match world.api("priya", Method::POST, &path, &yes).await {
                    Some((200..=299, _)) => {
                        world.acknowledged("change.approved", format!("change/{change}"));
                        return;
                    }
                    // Approved by the try whose answer was lost: seen at the next look.
                    Some((409 | 412, _)) | None | Some((500.., _)) => {}
                    Some((status, problem)) => panic!("{change}: {status}: {problem}"),
                }
            }
            "needs_fixes" => panic!("{change} did not pass: {}", seen["report"]),
            _ => return,
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn rollout_of(world: &World, change: &str) -> String {
    loop {
        let seen =
            world.until_ok("omar", Method::GET, &format!("changes/{change}"), &Value::Null).await;
        if let Some(rollout) = seen["rollout"].as_str() {
            return rollout.to_owned();
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Waits until rollout and change have ended.
async fn end_of(world: &World, change: &str, rollout: &str) -> String {
    loop {
        let seen =
            world.until_ok("omar", Method::GET, &format!("rollouts/{rollout}"), &Value::Null).await;
        let phase = seen["phase"]["name"].as_str().expect("a phase").to_owned();
        assert_ne!(phase, "paused", "{rollout}: {}", seen["report"]["summary"]);
        let state =
            world.until_ok("omar", Method::GET, &format!("changes/{change}"), &Value::Null).await;
        let done = matches!(state["state"].as_str(), Some("live" | "rolled_back"));
        if matches!(phase.as_str(), "promoted" | "rolled_back") && done {
            return phase;
        }
        tokio::time::sleep(AGAIN).await;
    }
}
