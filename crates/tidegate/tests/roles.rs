//! Control and gateways in processes of their own: they join, they agree, and a
//! gateway serves on when everything else is gone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, ask, send};

fn control_only() -> Tide {
    let mut tide = Tide::init(&[(&format!("apps/{APP}/rollout.yaml"), common::QUICK_ROLLOUT)]);
    tide.restart_with(&["--role", "control"]);
    tide.people(&[("omar", "operator")]);
    tide
}

#[test]
fn gateways_join_and_all_take_up_a_kill() {
    let tide = control_only();
    let gateways = [tide.join("east"), tide.join("west")];
    let token = tide.token("omar");
    for gateway in &gateways {
        let (status, headers, body) = ask(gateway.gateway(), &token, "u-1");
        assert_eq!((status, headers["x-tidegate-fallback"].as_str()), (200, "none"), "{body}");
    }
    // The answer of the command is the fact: both serve it.
    let killed = tide.run("omar", ["kill", APP, "--yes", "-o", "json"]).ok().json();
    assert_eq!(killed["gateways"], serde_json::json!([2, 2]), "{killed}");
    for gateway in &gateways {
        assert_eq!(ask(gateway.gateway(), &token, "u-1").1["x-tidegate-fallback"], "rules");
    }
    let listed = tide.run("omar", ["gateway", "list", "-o", "json"]).ok().json();
    let names: Vec<_> =
        listed.as_array().unwrap().iter().map(|g| g["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["east", "west"]);
}

#[test]
fn a_gateway_serves_on_with_control_gone_and_the_data_deleted() {
    let mut tide = control_only();
    let gateway = tide.join("east");
    let token = tide.token("omar");
    let before = ask(gateway.gateway(), &token, "u-1");
    assert_eq!(before.0, 200, "{}", before.2);
    tide.kill();
    std::fs::remove_dir_all(tide.data()).unwrap();
    let after = ask(gateway.gateway(), &token, "u-1");
    assert_eq!(after.0, 200, "{}", after.2);
    assert_eq!(before.1["x-tidegate-release"], after.1["x-tidegate-release"]);
}

#[test]
fn a_gateway_refuses_what_another_installation_signed() {
    let tide = control_only();
    let other = Tide::init(&[]).up();
    let made = tide.run("admin", ["token", "create", "--gateway"]).ok();
    let key = other.run("admin", ["whoami", "-o", "json"]).ok().json();
    let dir = tide.path("stranger");
    let hashing = tide.data().join("keys/hashing.key");
    let gateway = tide.serve([
        "--role",
        "gateway",
        "--control",
        &tide.control,
        "--data",
        &dir.to_string_lossy(),
        "--gateway-token",
        made.stdout.trim(),
        "--vkey",
        key["log_key"].as_str().unwrap(),
        "--hash-key-file",
        &hashing.to_string_lossy(),
    ]);
    let (status, _, _) = ask(gateway.gateway(), &tide.token("omar"), "u-1");
    assert_ne!(status, 200);
    assert_ne!(send("GET", gateway.gateway(), "/readyz", &[], "").0, 200);
}

#[test]
fn a_directory_is_served_once_and_a_restart_goes_on_with_the_same_log() {
    let mut tide = Tide::init(&[]).up();
    let data = tide.data().to_string_lossy().into_owned();
    tide.run(
        "admin",
        ["serve", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0", "--data", &data],
    )
    .code(7)
    .says("stop the other");
    tide.run("admin", ["audit", "verify"]).ok();
    tide.kill();
    tide.restart();
    tide.run("admin", ["audit", "verify"]).ok();
    tide.run("admin", ["init", &data]).code(7).says("not empty");
    let login = tide.token_file("admin").to_string_lossy().into_owned();
    tide.run_as(None, ["login", "--token-file", &login]).ok().says("pinned");
}
