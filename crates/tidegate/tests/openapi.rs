//! Real answers, held against the committed description of the interface: no
//! field that is not in it, none missing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, send, wait_for};
use serde_json::{Value, json};
use std::cell::RefCell;

/// The committed description, and every answer that was not as it says.
struct Described {
    document: Value,
    faults: RefCell<Vec<String>>,
}

impl Described {
    fn committed() -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../api/openapi.json");
        let document = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        Self { document, faults: RefCell::default() }
    }

    /// Notes what of this answer is not as described.
    fn hold(&self, method: &str, path: &str, status: u16, answer: &Value) {
        let operation = &self.document["paths"][path][method];
        let response = match &operation["responses"][status.to_string()] {
            Value::Null => &self.document["components"]["responses"]["Problem"],
            response => response,
        };
        let content = response["content"].as_object().expect("an answer");
        let schema = &content.values().next().unwrap()["schema"];
        let place = format!("{method} {path} {status}");
        self.look(&place, schema, answer);
    }

    /// Goes down by hand as far as there are objects and lists, so that a fault
    /// is told where it is and not as "none of these".
    fn look(&self, place: &str, schema: &Value, value: &Value) {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap();
            return self.look(place, &self.document["components"]["schemas"][name], value);
        }
        if let Some(either) = schema["anyOf"].as_array() {
            if !value.is_null() {
                self.look(place, &either[0], value);
            }
            return;
        }
        let mut whole = schema.clone();
        whole["components"] = self.document["components"].clone();
        if jsonschema::validator_for(&whole).expect("a schema").is_valid(value) {
            return;
        }
        let before = self.faults.borrow().len();
        if let (Some(fields), Some(found)) = (schema["properties"].as_object(), value.as_object()) {
            for (name, value) in found {
                match fields.get(name) {
                    Some(schema) => self.look(&format!("{place}/{name}"), schema, value),
                    None => self.fault(format!("{place}/{name} is not described: {value}")),
                }
            }
            let required = schema["required"].as_array().into_iter().flatten();
            for name in required.filter_map(Value::as_str).filter(|n| !found.contains_key(*n)) {
                self.fault(format!("{place}/{name} is missing"));
            }
        }
        for (i, item) in value.as_array().into_iter().flatten().enumerate() {
            self.look(&format!("{place}/{i}"), &schema["items"], item);
        }
        if self.faults.borrow().len() == before {
            self.fault(format!("{place} is not {schema}: {value}"));
        }
    }

    fn fault(&self, text: String) {
        self.faults.borrow_mut().push(text);
    }
}

#[test]
fn answers_are_as_described() {
    let tide = Tide::start();
    tide.people(&[("ana", "editor"), ("priya", "approver"), ("omar", "operator")]);
    let described = Described::committed();
    let (_, _, served) = send("GET", &tide.control, "/api/v1/openapi.json", &[], "");
    assert_eq!(served["openapi"], described.document["openapi"]);
    let ask = |who: &str, method: &str, path: &str, address: &str, body: Value| {
        let auth = [("authorization", format!("Bearer {}", tide.token(who)))];
        let full = format!("/api/v1{address}");
        let method_upper = method.to_uppercase();
        let (status, _, answer) =
            send(&method_upper, &tide.control, &full, &auth, &body.to_string());
        described.hold(method, &format!("/api/v1{path}"), status, &answer);
        (status, answer)
    };
    let get = |path: &str, address: &str| ask("ana", "get", path, address, json!({})).1;

    let files = get("/apps/{app}/files", &format!("/apps/{APP}/files"));
    let prompt = files["files"].as_array().unwrap().iter().find(|f| f["kind"] == "prompt").unwrap();
    let (path, text) = (prompt["path"].as_str().unwrap(), prompt["text"].as_str().unwrap());
    let edited = format!("{text}\nBe brief.\n");
    let check = json!({"files": {path: format!("{text}{{{{ nothing }}}}")}});
    let address = format!("/apps/{APP}/check");
    assert_eq!(ask("ana", "post", "/apps/{app}/check", &address, check).0, 200);
    let draft = json!({"files": {path: edited}, "why": "so far"});
    ask("ana", "put", "/drafts/{app}", &format!("/drafts/{APP}"), draft);
    get("/drafts/{app}", &format!("/drafts/{APP}"));
    let change = json!({
        "app": APP, "why": "our readers asked for it", "bump": "patch",
        "edits": [{"path": path, "content": edited}],
    });
    assert_eq!(ask("ana", "post", "/changes", "/changes", change).0, 201);
    let change = wait_for("the checks", || {
        let change = get("/changes/{id}", "/changes/1");
        (change["state"] == "needs_approval").then_some(change)
    });
    ask("priya", "get", "/inbox", "/inbox", json!({}));
    get("/changes/{id}/checks", "/changes/1/checks");
    let preview = ("/changes/{id}/preview", "/changes/1/preview");
    let asked = json!({"hours": 1, "tokens": 100});
    assert_eq!(ask("ana", "post", preview.0, preview.1, asked).0, 201);
    get(preview.0, preview.1);
    assert_eq!(ask("ana", "delete", preview.0, preview.1, json!({})).0, 200);
    get("/policies", "/policies");
    get("/changes/{id}/evals", "/changes/1/evals");
    get("/changes/{id}/evals/cases", "/changes/1/evals/cases");
    let case = json!({"id": "by-hand", "variables": {"ticket": "T-1", "transcript": "x"}});
    let danger = json!({"case": case, "why": "it went wrong once"});
    let address = format!("/apps/{APP}/danger");
    assert_eq!(ask("ana", "post", "/apps/{app}/danger", &address, danger).0, 201);
    let yes = json!({"decision": "approve", "content": change["content"]});
    assert_eq!(
        ask("ana", "post", "/changes/{id}/approvals", "/changes/1/approvals", yes.clone()).0,
        403
    );
    ask("priya", "post", "/changes/{id}/approvals", "/changes/1/approvals", yes);
    wait_for("a look at the rollout", || {
        let page = get("/rollouts", "/rollouts");
        page["items"].get(0).filter(|r| !r["report"].is_null()).cloned()
    });
    let pause = json!({"kind": "pause"});
    ask("omar", "post", "/rollouts/{id}/actions", "/rollouts/ro-1/actions", pause);
    ask("priya", "get", "/inbox", "/inbox", json!({}));
    for (path, address) in [
        ("/rollouts/{id}", "/rollouts/ro-1"),
        ("/rollouts/{id}/ticks", "/rollouts/ro-1/ticks"),
        ("/rollouts/{id}/series", "/rollouts/ro-1/series"),
        ("/rollouts/{id}/sample", "/rollouts/ro-1/sample"),
        ("/rollouts/{id}", "/rollouts/ro-99"),
    ] {
        get(path, address);
    }
    let kill = json!({"kind": "kill"});
    ask("omar", "post", "/apps/{app}/actions", &format!("/apps/{APP}/actions"), kill);
    ask("omar", "get", "/inbox", "/inbox", json!({}));
    let release = get("/releases", "/releases")["items"][0]["id"].as_str().unwrap().to_owned();
    for (path, address) in [
        ("/whoami", "/whoami".to_owned()),
        ("/git", "/git".to_owned()),
        ("/gateways", "/gateways".to_owned()),
        ("/apps", "/apps".to_owned()),
        ("/apps/{app}", format!("/apps/{APP}")),
        ("/apps/{app}/call", format!("/apps/{APP}/call")),
        ("/models", format!("/models?app={APP}")),
        ("/models", "/models".to_owned()),
        ("/changes", "/changes".to_owned()),
        ("/changes", "/changes?state=nothing".to_owned()),
        ("/changes/{id}/diff", "/changes/1/diff".to_owned()),
        ("/releases/{id}", format!("/releases/{release}")),
        ("/incidents", "/incidents".to_owned()),
        ("/incidents/{id}", "/incidents/inc-1".to_owned()),
        ("/experiments", "/experiments".to_owned()),
        ("/requests", "/requests".to_owned()),
        ("/people", "/people".to_owned()),
        ("/tokens", "/tokens".to_owned()),
        ("/audit", "/audit?limit=1000".to_owned()),
        ("/audit/verify", "/audit/verify".to_owned()),
    ] {
        get(path, &address);
    }
    let own = json!({"person": "ana", "note": "a second one", "lifetime": "1h"});
    assert_eq!(ask("ana", "post", "/tokens", "/tokens", own).0, 201);
    ask("ana", "post", "/people/{id}/sign-in-code", "/people/ana/sign-in-code", json!({}));
    let session = json!({"token": tide.token("ana")});
    assert_eq!(ask("ana", "post", "/session", "/session", session).0, 200);
    assert_eq!(ask("ana", "post", "/session", "/session", json!({"token": "tgp_wrong"})).0, 401);
    let faults = described.faults.into_inner();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
