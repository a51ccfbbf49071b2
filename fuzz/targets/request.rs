//! JSON bodies: of a chat request, of feedback, and of every write to the
//! control port. What is read is what came; what is refused says what is wrong.

#![no_main]

use bytes::Bytes;
use control::views;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let body = Bytes::copy_from_slice(input);
    match gateway::read_body(&body) {
        Ok(read) => {
            for message in &read.messages {
                assert!(serde_json::from_slice::<Value>(message).is_ok());
            }
            for (name, field) in &read.fields {
                assert!(serde_json::from_slice::<Value>(field).is_ok(), "{name}");
                assert!(!matches!(name.as_str(), "model" | "messages" | "tidegate"), "{name}");
            }
        }
        Err(error) => {
            let message = error.pointer("/error/message").or_else(|| error.pointer("/message"));
            assert!(message.and_then(Value::as_str).is_some_and(|m| !m.is_empty()), "{error}");
        }
    }
    let _ = serde_json::from_slice::<domain::telemetry::Feedback>(input);
    let _ = serde_json::from_slice::<views::NewChange>(input);
    let _ = serde_json::from_slice::<views::UpdateChange>(input);
    let _ = serde_json::from_slice::<views::NewApproval>(input);
    let _ = serde_json::from_slice::<views::NewAction>(input);
    let _ = serde_json::from_slice::<views::NewToken>(input);
    let _ = serde_json::from_slice::<views::PersonView>(input);
    let _ = serde_json::from_slice::<domain::snapshot::SignedSnapshot>(input);
});
