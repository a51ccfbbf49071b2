//! YAML files of an ops repo: whatever a person or a push puts there, the whole
//! repository reads to the end, and every fault has a place and a mend.

#![no_main]

use domain::ids::AppName;
use libfuzzer_sys::fuzz_target;
use opsrepo::Files;

/// The files, one of which is replaced by the input.
const PATHS: [&str; 8] = [
    "tidegate.yaml",
    "apps/a/app.yaml",
    "apps/a/release.yaml",
    "apps/a/rollout.yaml",
    "apps/a/fallback.yaml",
    "apps/a/prompts/p/prompt.yaml",
    "models/m.yaml",
    "environments/production/aliases.yaml",
];

fn good() -> Files {
    let texts = [
        "apiVersion: tidegate/v1\n",
        "apiVersion: tidegate/v1\nowner: o\nrisk: low\naudience: internal\nvariables: {q: {example: x}}\n",
        "apiVersion: tidegate/v1\nversion: 1.0.0\nprompt: p\nmodel: m\n",
        "apiVersion: tidegate/v1\nsteps: [{weight: {share: 5%, hold: 1m}}, {promote: {}}]\nsignals: [{name: error, kind: rate, limit: 1%, action: rollback}]\n",
        "apiVersion: tidegate/v1\nhand_over: wait\n",
        "apiVersion: tidegate/v1\nversion: 1.0.0\nchangelog: c\nmessages: [{role: user, template: u.j2}]\n",
        "apiVersion: tidegate/v1\nversion: 1.0.0\nprovider: {kind: rules}\nprovider_model: r-1\ncontext_window: 100\ntokenizer: o200k_base\nprices: {input_per_million: 0, output_per_million: 0}\n",
        "apiVersion: tidegate/v1\n",
    ];
    let mut files: Files = PATHS
        .iter()
        .zip(texts)
        .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
        .collect();
    files.insert("apps/a/prompts/p/u.j2".to_owned(), b"{{ q }}\n".to_vec());
    files
}

fuzz_target!(|input: &[u8]| {
    // The first byte says which file it is.
    let Some((which, text)) = input.split_first() else { return };
    let mut files = good();
    let path = PATHS[usize::from(*which) % PATHS.len()];
    files.insert(path.to_owned(), text.to_vec());
    let (desired, findings) = opsrepo::parse(&files);
    for finding in &findings {
        assert!(!finding.message.is_empty() && !finding.mend.is_empty(), "{finding:?}");
        assert!(finding.place.as_ref().is_some_and(|p| !p.file.is_empty()), "{finding:?}");
    }
    let app: AppName = "a".parse().expect("a name");
    if let Ok(release) = desired.compose(&app) {
        // The same files always make the same release.
        let again = opsrepo::parse(&files).0.compose(&app).expect("composed before");
        assert_eq!(release.id, again.id);
    }
    let _ = desired.content_digest(&app);
});
