//! Readers: they call the gateway and reject what does not name the order.

use crate::world::{AGAIN, World};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Different questions, so that there is enough evidence of different inputs.
pub const QUESTIONS: u64 = 400;
/// Readers of one app at a time.
const READERS: u64 = 3;
/// Pause between two questions of one reader.
const PAUSE: Duration = Duration::from_millis(12);

/// Reads until aborted.
pub async fn read(world: Arc<World>, app: String) {
    let mut readers = tokio::task::JoinSet::new();
    for reader in 0..READERS {
        let (world, app) = (Arc::clone(&world), app.clone());
        readers.spawn(async move {
            let mut n = reader;
            loop {
                n += READERS;
                let pause = if ask(&world, &app, n).await.is_some() { PAUSE } else { AGAIN };
                tokio::time::sleep(pause).await;
            }
        });
    }
    readers.join_all().await;
}

async fn ask(world: &World, app: &str, n: u64) -> Option<()> {
    let question = n % QUESTIONS;
    let body = json!({
        "model": format!("app/{app}"),
        "messages": [{"role": "user", "content": "?"}],
        "tidegate": {"vars": {"n": question.to_string()}},
    });
    // Another subject each time: both arms see every question in the end.
    let (status, headers, answer) =
        world.gateway("/v1/chat/completions", &format!("reader-{n}"), &body).await?;
    if status != 200 {
        return None;
    }
    let text = answer.pointer("/choices/0/message/content")?.as_str()?;
    let rejected = !text.contains(&format!("order {question}"));
    let request = headers.get("x-request-id")?.to_str().ok()?;
    let note = json!({"request_id": request, "name": "rejected", "value": u8::from(rejected)});
    world.gateway("/api/v1/feedback", "", &note).await.map(drop)
}
