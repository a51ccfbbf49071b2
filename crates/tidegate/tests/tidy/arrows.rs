//! Which room knows which, and who may do what only one may do.

use crate::tree::{crates, read, shipped, sources, table};

/// What each crate may know of the others. Rooms point one way only.
const MAY_KNOW: [(&str, &[&str]); 11] = [
    ("domain", &[]),
    ("analysis", &["domain"]),
    ("checks", &["domain"]),
    // `checks` because a suite is read only if its checks can be compiled.
    ("opsrepo", &["domain", "checks"]),
    ("store", &["domain", "analysis"]),
    ("connect", &["domain"]),
    ("gateway", &["domain", "analysis", "checks", "connect"]),
    ("evals", &["domain", "analysis", "checks", "opsrepo", "connect"]),
    ("control", &["domain", "analysis", "checks", "opsrepo", "store", "connect", "evals"]),
    // `opsrepo` for the types of git over HTTP, which `api` only carries.
    ("api", &["domain", "analysis", "opsrepo", "control", "store"]),
    (
        "tidegate",
        &[
            "domain", "analysis", "checks", "opsrepo", "store", "connect", "gateway", "evals",
            "control", "api",
        ],
    ),
];

/// What the pure core may be built on. No async, no I/O, no clock, no random
/// source, no logging.
const CORE_MAY_USE: [&str; 9] = [
    "base64",
    "ed25519-dalek",
    "hex",
    "semver",
    "serde",
    "serde_json",
    "serde_json_canonicalizer",
    "sha2",
    "thiserror",
];

/// Crates that no pure room may be built on.
const IMPURE: [&str; 9] =
    ["tokio", "hyper", "axum", "sqlx", "git2", "tracing", "getrandom", "rand", "hyper-util"];

#[test]
fn crates_know_only_what_stands_below_them() {
    let rooms: Vec<&str> = MAY_KNOW.iter().map(|(room, _)| *room).collect();
    let mut wrong = Vec::new();
    for name in crates() {
        let Some((_, allowed)) = MAY_KNOW.iter().find(|(room, _)| *room == name) else {
            wrong.push(format!("crates/{name} is a new room: give it its place in MAY_KNOW"));
            continue;
        };
        let manifest = read(&format!("crates/{name}/Cargo.toml"));
        for (dependency, _) in table(&manifest, "dependencies") {
            if rooms.contains(&dependency.as_str()) && !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("crates/{name} may not know `{dependency}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_crate_obeys_the_lints_of_the_workspace() {
    for name in crates() {
        let manifest = read(&format!("crates/{name}/Cargo.toml"));
        let lints = table(&manifest, "lints");
        assert_eq!(
            lints,
            [("workspace".to_owned(), "true".to_owned())],
            "crates/{name}/Cargo.toml"
        );
    }
}

#[test]
fn the_core_is_built_on_a_short_list() {
    let manifest = read("crates/domain/Cargo.toml");
    for (dependency, _) in table(&manifest, "dependencies") {
        assert!(
            CORE_MAY_USE.contains(&dependency.as_str()),
            "`domain` may not be built on `{dependency}`: it has no async, I/O, clock, random source or logging"
        );
    }
    for name in ["analysis", "checks"] {
        let manifest = read(&format!("crates/{name}/Cargo.toml"));
        for (dependency, _) in table(&manifest, "dependencies") {
            assert!(
                !IMPURE.contains(&dependency.as_str()),
                "`{name}` may not be built on `{dependency}`"
            );
        }
    }
}

/// What only some rooms may do: a word in shipped code, the rooms, and what to
/// do instead.
const ONLY: [(&str, &[&str], &str); 9] = [
    ("sqlx::", &["store"], "go through `store::Store`"),
    ("git2::", &["opsrepo"], "go through `opsrepo::Repo`"),
    (
        "Command::new(\"git\")",
        &["opsrepo", "tidegate"],
        "go through `opsrepo`; only the demo clones as a person would",
    ),
    (
        "TcpListener",
        &["api", "gateway", "tidegate"],
        "only `api` and `gateway` listen; the binary hands them a socket",
    ),
    ("axum::serve", &["api"], "only `api` serves the control port"),
    ("TcpStream::connect", &["connect"], "dial out through `connect`"),
    ("hyper_util::client", &["connect"], "dial out through `connect::http::Client`"),
    ("hyper_rustls", &["connect"], "dial out through `connect::http::Client`"),
    ("SystemTime::now", &["tidegate"], "take a `Timestamp` or a `Clock`"),
];

#[test]
fn each_door_to_the_outside_has_one_room() {
    let mut wrong = Vec::new();
    for name in crates() {
        for file in sources(&name) {
            let text = shipped(&file);
            for (word, rooms, instead) in ONLY {
                if text.contains(word) && !rooms.contains(&name.as_str()) {
                    wrong.push(format!("{file}: `{word}`: {instead}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_wait_for_nothing() {
    for name in ["domain", "analysis", "checks"] {
        for file in sources(name) {
            let text = shipped(&file);
            for word in [
                "async fn",
                ".await",
                "std::fs",
                "std::net::Tcp",
                "std::net::Udp",
                "ToSocketAddrs",
                "std::thread",
                "Instant::now",
            ] {
                assert!(!text.contains(word), "{file}: `{word}` in a pure crate");
            }
        }
    }
}
