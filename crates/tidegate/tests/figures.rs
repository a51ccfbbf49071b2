//! Trying a text before anybody is asked, what answers cost, and the key figures:
//! through a real server with real answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, send, wait_for};
use serde_json::{Value, json};

const PROMPT: &str = "apps/support-summary/prompts/summary/system.j2";

fn api(tide: &Tide, who: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let auth = [("authorization", format!("Bearer {}", tide.token(who)))];
    let body = if method == "GET" { String::new() } else { body.to_string() };
    let (status, _, answer) = send(method, &tide.control, &format!("/api/v1/{path}"), &auth, &body);
    (status, answer)
}

/// The edited prompt of a try.
fn edited(tide: &Tide) -> Value {
    let (_, files) = api(tide, "ana", "GET", &format!("apps/{APP}/files"), &json!({}));
    let file = files["items"].as_array().or(files["files"].as_array()).unwrap();
    let prompt = file.iter().find(|f| f["kind"] == "prompt").expect("a prompt");
    let text = format!("Be brief. {}", prompt["text"].as_str().unwrap());
    json!({prompt["path"].as_str().unwrap_or(PROMPT): text})
}

#[test]
fn a_text_is_tried_beside_todays_and_nobody_else_is_asked() {
    let tide = Tide::start();
    tide.people(&[("ana", "editor"), ("irina", "auditor")]);
    let path = format!("apps/{APP}/try");
    let files = edited(&tide);
    let own = json!({"variables": {"ticket": "T-1001", "transcript": "Customer: hello?"}});
    let body = json!({"files": files, "bump": "patch", "input": own});
    let (status, tried) = api(&tide, "ana", "POST", &path, &body);
    assert_eq!(status, 200, "{tried}");
    assert!(tried["today"]["text"].is_string() && tried["new"]["text"].is_string(), "{tried}");
    assert_ne!(tried["today"]["release"], tried["new"]["release"]);
    assert!(tried["new"]["prompt_tokens"].as_u64() > Some(0));
    assert!(tried["new"]["cost_usd"].as_f64() > Some(0.0));
    assert_eq!(tried["left_today"], 19);

    // It is written down, and is no request of the app.
    let log = tide.run("irina", ["audit", "list", "-o", "json", "--action", "app.tried"]).ok();
    assert_eq!(log.json()[0]["entry"]["details"]["tries_today"], 1);
    let (_, requests) = api(&tide, "irina", "GET", "requests", &json!({}));
    assert_eq!(requests["items"], json!([]));
    let (_, costs) = api(&tide, "irina", "GET", "costs", &json!({}));
    assert_eq!(costs["total"]["requests"], 0, "{costs}");
    assert_eq!(costs["summary"]["code"], "costs_none");
    let tries = costs["beside"].as_array().unwrap().iter().find(|b| b["kind"] == "try").unwrap();
    assert_eq!(tries["requests"], 2);

    // What cannot be asked says why, and costs no try.
    let no = |body: Value| {
        let (status, said) = api(&tide, "ana", "POST", &path, &body);
        (status, said["code"].as_str().unwrap_or_default().to_owned())
    };
    let (_, files_now) = api(&tide, "ana", "GET", &format!("apps/{APP}/files"), &json!({}));
    let model = files_now["files"].as_array().unwrap().iter().find(|f| f["kind"] == "model");
    let model = model.expect("a model");
    let elsewhere = "apiVersion: tidegate/v1\nversion: 1.0.1\nprovider: {kind: openai, \
        base_url: \"http://127.0.0.1:9/v1\", key_env: PATH}\nprovider_model: x-2026-01-01\n\
        context_window: 8192\ntokenizer: o200k_base\n\
        prices: {input_per_million: 0.15, output_per_million: 0.60}\n";
    let foreign = json!({model["path"].as_str().unwrap(): elsewhere});
    assert_eq!(no(json!({"files": foreign, "input": own})), (409, "model_not_agreed".to_owned()));
    assert_eq!(no(json!({"files": {}})), (422, "one_input".to_owned()));
    let both = json!({"text": "x", "example": {"suite": "s", "case": "c"}});
    assert_eq!(no(json!({"input": both})), (422, "one_input".to_owned()));
    let case = json!({"example": {"suite": "nothing", "case": "c"}});
    assert_eq!(no(json!({"input": case})), (404, "no_such_case".to_owned()));
    let long = json!({"variables": {"ticket": "T-1001", "transcript": "long ".repeat(20_000)}});
    assert_eq!(no(json!({"input": long})).1, "input_too_long");
    assert_eq!(api(&tide, "irina", "POST", &path, &body).0, 403, "auditors try nothing");

    // A model without an answer is said beside the other, not instead of it.
    let unknown = json!({"variables": {"ticket": "T-none", "transcript": "Customer: hello?"}});
    let (status, said) = api(&tide, "ana", "POST", &path, &json!({"input": unknown}));
    assert_eq!(status, 200, "{said}");
    assert!(said["new"]["error"].as_str().unwrap().contains("no recorded answer"), "{said}");
    assert_eq!(said["summary"]["code"], "tried_no_new");

    // As often as a day has.
    let (mut status, mut left) = (200, 18);
    while status == 200 {
        let (now, said) = api(&tide, "ana", "POST", &path, &body);
        (status, left) = (now, said["left_today"].as_u64().unwrap_or(left));
    }
    assert_eq!((status, left), (429, 0));
    let (_, offer) = api(&tide, "ana", "GET", &path, &json!({}));
    assert_eq!((&offer["left_today"], &offer["limit"]), (&json!(0), &json!(20)));
}

#[test]
fn costs_and_figures_are_made_of_what_happened() {
    let tide = Tide::start();
    tide.people(&[("ana", "editor"), ("omar", "operator")]);
    let questions: String = (0..30)
        .map(|n| {
            let vars = json!({"ticket": "T-1001", "transcript": format!("Customer: q {n}")});
            format!("{}\n", json!({"vars": vars}))
        })
        .collect();
    tide.traffic("omar", &questions, &["--rate", "200"]);
    let costs = wait_for("the costs of thirty answers", || {
        let (_, costs) = api(&tide, "ana", "GET", &format!("costs?app={APP}"), &json!({}));
        (costs["total"]["requests"] == 30).then_some(costs)
    });
    assert!(costs["total"]["usd"].as_f64() > Some(0.0), "{costs}");
    assert_eq!(costs["by_app"][0]["key"], APP);
    assert_eq!(costs["by_provider"][0]["key"], "recordings");
    assert_eq!(costs["by_day"].as_array().unwrap().len(), 1);
    let forecast = &costs["forecast"]["text"]["text"];
    assert_eq!(*forecast, "Forecast needs 7 days; you have 0.");
    tide.run("ana", ["cost"]).ok().prints("by model").prints("recordings");
    tide.run("ana", ["cost", "--month", "2026-13"]).code(2).says("2026-11");

    let (status, kpis) = api(&tide, "ana", "GET", "kpis?days=30", &json!({}));
    assert_eq!(status, 200, "{kpis}");
    let cards = kpis["cards"].as_array().unwrap();
    assert_eq!(cards.len(), 7);
    for card in cards {
        assert!(card["value"].is_null() && card["text"]["code"] == "too_few", "{card}");
        assert_eq!(card["trend"].as_array().unwrap().len(), 12);
    }
    tide.run("ana", ["kpi"]).ok().prints("Too few changes that went live to say (0 of 5).");
    tide.run("ana", ["kpi", "--csv"]).ok().prints("figure,at,app,object,value,text");
    assert_eq!(api(&tide, "ana", "GET", "kpis?days=0", &json!({})).1["code"], "bad_period");
}
