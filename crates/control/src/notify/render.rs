//! The words of messages. Each carries the server's own sentence, one link, and
//! what is asked of whoever reads it.

use super::{DeliveryRecord, Item};
use connect::webhook::MAX_BODY;
use serde_json::{Value, json};

/// Longest sentence in a message, in characters.
const MAX_TEXT: usize = 2000;
/// Longest subject, in characters.
const MAX_SUBJECT: usize = 150;
/// Things of a digest that a webhook lists.
const MAX_LISTED: usize = 10;

pub(super) fn subject(record: &DeliveryRecord) -> String {
    match record.items.as_slice() {
        [one] => clip(&one.subject, MAX_SUBJECT),
        many => {
            let asked = many.iter().filter(|item| item.ask.is_some()).count();
            let all = many.len() + record.left_out as usize;
            match asked {
                0 => format!("{all} things happened"),
                1 => format!("Needs you: 1 of {all} things that happened"),
                _ => format!("Needs you: {asked} of {all} things that happened"),
            }
        }
    }
}

/// What happened, and how often.
pub(super) fn what(item: &Item) -> String {
    let text = clip(&item.what.text, MAX_TEXT);
    match item.again {
        0 => text,
        1 => format!("{text} (and once more)"),
        again => format!("{text} (and {again} times more)"),
    }
}

fn one(item: &Item) -> String {
    let ask = item.ask.as_ref().map(|ask| format!("\n{}", ask.text)).unwrap_or_default();
    format!("{}\n{ask}\n{}\n", what(item), item.url)
}

/// Plain text, for e-mail.
pub(super) fn text(record: &DeliveryRecord, from: &str) -> String {
    let body = match record.items.as_slice() {
        [item] => one(item),
        many => many
            .iter()
            .map(|item| format!("{}\n{}", clip(&item.subject, MAX_SUBJECT), one(item)))
            .collect::<Vec<_>>()
            .join("\n"),
    };
    let more = match record.left_out {
        0 => String::new(),
        n => format!("\nAnd {n} more, in the inbox.\n"),
    };
    format!("{body}{more}\n-- \nTidegate, {from}. How you are told is set under Settings.\n")
}

/// `{"text": …}` as Slack, Mattermost and others take it.
pub(super) fn slack(record: &DeliveryRecord) -> Vec<u8> {
    let lines: Vec<String> = record
        .items
        .iter()
        .map(|item| {
            let asked = match item.asked.as_slice() {
                [] => String::new(),
                names => {
                    let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
                    format!("\nAsked: {}", escape(&names.join(", ")))
                }
            };
            let subject = escape(&clip(&item.subject, MAX_SUBJECT));
            format!("*{subject}*\n{}{asked}\n<{}|Open>", escape(&what(item)), escape(&item.url))
        })
        .collect();
    json!({"text": lines.join("\n\n")}).to_string().into_bytes()
}

/// What Slack reads as markup, as text.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The body of Standard Webhooks: type, timestamp, data. Within its limit of
/// size, whatever a sentence was made from.
pub(super) fn webhook(record: &DeliveryRecord, from: &str) -> Vec<u8> {
    let whole = envelope(record, from, true).to_string().into_bytes();
    if whole.len() <= MAX_BODY {
        return whole;
    }
    envelope(record, from, false).to_string().into_bytes()
}

fn envelope(record: &DeliveryRecord, from: &str, params: bool) -> Value {
    let items: Vec<Value> =
        record.items.iter().take(MAX_LISTED).map(|item| data(item, params)).collect();
    let first = record.items.first();
    let event = first.map_or("nothing", |item| item.event.key());
    let at = first.map_or(record.created_at, |item| item.at);
    let data = match items.as_slice() {
        [one] => one.clone(),
        _ => json!({"items": items, "left_out": record.left_out}),
    };
    let mut body =
        json!({"type": format!("tidegate.{event}"), "timestamp": at.iso(), "data": data});
    body["data"]["installation"] = json!(from);
    body
}

fn data(item: &Item, params: bool) -> Value {
    let mut data = json!({
        "event": item.event,
        "app": item.app,
        "subject": clip(&item.subject, MAX_SUBJECT),
        "code": item.what.code,
        "text": clip(&item.what.text, MAX_TEXT / 2),
        "asked": item.asked.iter().take(20).collect::<Vec<_>>(),
        "url": item.url,
        "repeats": item.again,
    });
    if params {
        data["params"] = Value::Object(item.what.params.clone());
    }
    data
}

fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
