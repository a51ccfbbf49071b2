//! What `tidegate init` writes: a small ops repo that works without keys.
//!
//! Its files are the templates people start from, so they are commented; they
//! lie in `starter/` beside this crate's sources. `@APP@` becomes the app's name.

use crate::Files;
use domain::ids::AppName;

/// Path in the repository, and content. `@APP@` stands for the app in both.
const STARTER: [(&str, &str); 18] = [
    (".gitignore", include_str!("../starter/gitignore")),
    ("README.md", include_str!("../starter/README.md")),
    ("tidegate.yaml", include_str!("../starter/tidegate.yaml")),
    ("apps/@APP@/app.yaml", include_str!("../starter/app.yaml")),
    ("apps/@APP@/release.yaml", include_str!("../starter/release.yaml")),
    ("apps/@APP@/rollout.yaml", include_str!("../starter/rollout.yaml")),
    ("apps/@APP@/fallback.yaml", include_str!("../starter/fallback.yaml")),
    ("apps/@APP@/prompts/summary/prompt.yaml", include_str!("../starter/prompt.yaml")),
    ("apps/@APP@/prompts/summary/system.j2", include_str!("../starter/system.j2")),
    ("apps/@APP@/prompts/summary/user.j2", include_str!("../starter/user.j2")),
    ("apps/@APP@/evals/recordings/starter.jsonl", include_str!("../starter/recordings.jsonl")),
    ("environments/production/aliases.yaml", include_str!("../starter/aliases.yaml")),
    ("models/live.yaml", include_str!("../starter/live.yaml")),
    ("models/recorded.yaml", include_str!("../starter/recorded.yaml")),
    ("policies/releases.cedar", include_str!("../starter/policies/releases.cedar")),
    ("policies/people.cedar", include_str!("../starter/policies/people.cedar")),
    ("policies/tests/releases.yaml", include_str!("../starter/policies/releases.yaml")),
    ("prompts/_shared/facts-only.j2", include_str!("../starter/facts-only.j2")),
];

/// A complete ops repo with one app that summarises support conversations and
/// answers from recordings.
pub fn starter(app: &AppName) -> Files {
    STARTER
        .into_iter()
        .map(|(path, text)| {
            let named = |text: &str| text.replace("@APP@", app.as_str());
            (named(path), named(text).into_bytes())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starter_reads_without_findings_and_composes() {
        for name in ["support-summary", "42"] {
            let app: AppName = name.parse().unwrap();
            let (desired, findings) = crate::parse(&starter(&app));
            assert_eq!(findings, [], "{name}");
            let release = desired.compose(&app).unwrap();
            let kinds: Vec<&str> = release.manifest.components.keys().map(|k| k.key()).collect();
            assert_eq!(kinds, ["prompt", "model", "parameters"]);
            assert_eq!(desired.blobs(&app).len(), 1);
            assert_eq!(desired.apps[&app].requirements.len(), 1);
            assert!(desired.apps[&app].fallback.is_some());
            assert_eq!(desired.policy(&app).unwrap().steps.len(), 5);
        }
    }

    #[test]
    fn the_partial_is_in_the_prompt() {
        let app: AppName = "a".parse().unwrap();
        let release = crate::parse(&starter(&app)).0.compose(&app).unwrap();
        let prompt = &release.contents[&domain::component::ComponentKind::Prompt];
        assert!(prompt["partials"]["facts-only.j2"].is_string(), "{prompt}");
    }
}
