//! Evidence: the story of a change that went back, as one file that verifies
//! without a server, and what happens to it in other hands.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::{APP, Tide, send};
use domain::evidence::{File, Key, STATEMENT, read, verify, write};
use serde_json::Value;

/// Hostile words where people may type them.
const HOSTILE: &str = "<script>alert(1)</script> our readers asked, says jo@example.com";

/// A change of a prompt that users reject, after it went back.
fn went_back() -> (Tide, String) {
    let tide = Tide::start();
    tide.people(&[
        ("ana", "editor"),
        ("priya", "approver"),
        ("omar", "operator"),
        ("irina", "auditor"),
        ("bot", "agent"),
    ]);
    let prompt = tide.write(
        "prompt.j2",
        "Summarise in two sentences. Write in {{ language }}.\n{% include \"facts-only.j2\" %}\n",
    );
    let prompt = format!("@{}", prompt.display());
    let usual = ["change", "create", "-a", APP, "--why", HOSTILE, "--wait", "-o", "json"];
    let change = tide.run("ana", usual.iter().chain(&["--prompt", &prompt])).ok().json();
    let change = change["id"].as_str().unwrap().to_owned();
    let yes = ["change", "approve", &change, "--wait", "--comment", "<b>Reads well</b>"];
    tide.run("priya", yes).ok();
    let questions: String = (0..40)
        .map(|n| {
            let line = serde_json::json!({
                "vars": {"ticket": "T-1001", "transcript": format!("Customer: q {n}")},
            });
            format!("{line}\n")
        })
        .collect();
    tide.traffic("omar", &questions, &["--rate", "200"]);
    tide.run("omar", ["rollback", APP, "--yes", "--reason", "users <i>complain</i>"]).ok();
    tide.run("ana", ["rollout", "watch", APP]).code(9);
    (tide, change)
}

/// A package and the key to check it with, without the server.
fn packed(tide: &Tide, about: &str, name: &str) -> Vec<u8> {
    let file = tide.path(name);
    let out = file.to_string_lossy().into_owned();
    tide.run("irina", ["evidence", "get", about, "--out", &out]).ok();
    std::fs::read(file).unwrap()
}

#[test]
fn a_package_tells_the_whole_story_and_verifies_with_everything_down() {
    let (mut tide, change) = went_back();
    let first = packed(&tide, &change, "first.zip");
    // The download is written down, and alters nothing of the story.
    let log = tide.run("irina", ["audit", "list", "-o", "json", "--action", "evidence.downloaded"]);
    assert_eq!(log.ok().json().as_array().unwrap().len(), 1);
    assert_eq!(packed(&tide, &change, "second.zip"), first, "the same story, other bytes");
    let release = tide.run("ana", ["change", "get", &change, "-o", "json"]).ok().json();
    let release = release["release"].as_str().unwrap().to_owned();
    let short = release.replace("sha256:", "");
    let of_release = packed(&tide, &short[..12.min(short.len())], "release.zip");
    let key = tide.run("irina", ["whoami", "-o", "json"]).ok().json();
    let key = key["log_key"].as_str().unwrap().to_owned();
    let token = tide.token("bot");
    let auth = [("authorization", format!("Bearer {token}"))];
    let path = format!("/api/v1/changes/{change}/evidence");
    assert_eq!(send("GET", &tide.control, &path, &auth, "").0, 403, "agents carry nothing away");
    tide.kill();

    let file = tide.path("first.zip").to_string_lossy().into_owned();
    tide.run("irina", ["evidence", "verify", &file, "--key", &key]).ok().prints("yours");
    tide.run("irina", ["evidence", "verify", &file]).ok().says("Whose it is was not checked");
    let stranger = "LXUaO8mB8kMfD0nLFMRuAnXbOAXYXHUTiM7lzHnGVA0=";
    let said = tide.run("irina", ["evidence", "verify", &file, "--key", stranger]);
    assert!(said.code == 11 || said.code == 2, "{said:?}");

    let files = read(&first).unwrap();
    let text = |name: &str| {
        let names: Vec<&str> = files.iter().map(|f| f.name.as_str()).collect();
        // Numbers may skip one that a lost race had taken.
        let fits = |f: &&File| {
            f.name == name
                || name
                    .split_once('*')
                    .is_some_and(|(a, b)| f.name.starts_with(a) && f.name.ends_with(b))
        };
        let file = files.iter().find(fits);
        let file = file.unwrap_or_else(|| panic!("no {name} in {names:?}"));
        String::from_utf8(file.bytes.clone()).unwrap()
    };
    let approvals: Value =
        serde_json::from_str(&text(&format!("change/{change}/approvals.json"))).unwrap();
    assert_eq!(approvals["decisions"][0]["counts"], true, "{approvals}");
    assert_eq!(approvals["decisions"][0]["decision"]["content"], approvals["content"]);
    assert!(text(&format!("change/{change}/checks.json")).contains("template-lint"));
    assert!(text(&format!("change/{change}/change.diff")).contains("+Summarise in two sentences."));
    assert!(text("rollout/*/looks.jsonl").lines().count() >= 2);
    assert!(text("incident/*.json").contains("complain"));
    assert!(text("release/bom.cdx.json").contains("CycloneDX"));
    let page = text("report.html");
    assert!(page.contains("&lt;script&gt;") && page.contains("&lt;b&gt;Reads well"), "{page}");
    assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains("http://"));
    let all: String = files.iter().map(|f| String::from_utf8_lossy(&f.bytes)).collect();
    assert!(!all.contains("jo@example.com"), "personal data of a justification");
    assert!(!all.contains("PRIVATE KEY") && !all.contains("tgp_"));
    let key: Key = key.parse().unwrap();
    let of_release = verify(&of_release, Some(&key)).unwrap();
    assert_eq!(of_release.about, format!("release/{release}"));
    assert!(of_release.entries >= 5, "{of_release:?}");

    in_other_hands(&first, &files, &key);
}

/// Whatever is altered, and however well it is packed again, is named.
fn in_other_hands(bytes: &[u8], files: &[File], key: &Key) {
    let no = |bytes: &[u8]| verify(bytes, Some(key)).unwrap_err();
    for (at, file) in files.iter().enumerate() {
        // One letter of it, in its middle.
        let mut bent = files.to_vec();
        let middle = file.bytes.len() / 2;
        bent[at].bytes[middle] ^= 1;
        let said = no(&write(&bent).unwrap());
        assert_eq!(said.file.as_deref(), Some(file.name.as_str()), "{said}");
        // Gone.
        let mut fewer = files.to_vec();
        fewer.remove(at);
        let said = no(&write(&fewer).unwrap()).to_string();
        assert!(said.contains(&file.name), "{said}");
        // In another place.
        let mut moved = files.to_vec();
        moved.swap(at, (at + 1) % files.len());
        assert!(no(&write(&moved).unwrap()).file.is_some());
    }
    let mut more = files.to_vec();
    more.push(File::new("change/extra.json", "{}"));
    assert!(no(&write(&more).unwrap()).to_string().contains("change/extra.json"));
    // Every byte of the statement, the form of which is signed as well.
    for at in 0..files[0].bytes.len().min(400) {
        let mut bent = files.to_vec();
        bent[0].bytes[at] ^= 1;
        assert!(no(&write(&bent).unwrap()).to_string().contains(STATEMENT), "byte {at}");
    }
    // The archive itself: a bit anywhere, an end anywhere.
    for at in (0..bytes.len()).step_by(997) {
        let mut bent = bytes.to_vec();
        bent[at] ^= 0x10;
        no(&bent);
        no(&bytes[..at]);
    }
}
