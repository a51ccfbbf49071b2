//! Raising versions for people who do not think in versions.

use opsrepo::{Edits, Files};
use semver::Version;
use std::collections::BTreeSet;
use std::str::FromStr;

/// How far a version is raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bump {
    Patch,
    Minor,
    Major,
}

impl FromStr for Bump {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "patch" => Ok(Self::Patch),
            "minor" => Ok(Self::Minor),
            "major" => Ok(Self::Major),
            _ => Err(()),
        }
    }
}

/// Raises the version of every prompt with an edited file whose `prompt.yaml`
/// still says the old one.
pub(crate) fn raise_versions(files: &Files, edits: &mut Edits, bump: Bump) {
    for folder in edited_prompts(edits) {
        let path = format!("{folder}/prompt.yaml");
        let edited = edits.get(&path).cloned().flatten();
        let Some(text) = edited.or_else(|| files.get(&path).cloned()) else { continue };
        let Ok(text) = String::from_utf8(text) else { continue };
        let old = files.get(&path).and_then(|f| std::str::from_utf8(f).ok()).and_then(version_line);
        let now = version_line(&text);
        if let (Some((_, old)), Some((line, now))) = (old, now)
            && old == now
        {
            edits.insert(path, Some(with_version(&text, line, &raised(&now, bump)).into_bytes()));
        }
    }
}

/// Folders `apps/<app>/prompts/<name>` with an edit in them.
fn edited_prompts(edits: &Edits) -> BTreeSet<String> {
    edits
        .keys()
        .filter_map(|path| {
            let parts: Vec<&str> = path.split('/').collect();
            match parts.as_slice() {
                ["apps", _, "prompts", _, _, ..] => Some(parts[..4].join("/")),
                _ => None,
            }
        })
        .collect()
}

/// The line of a top-level `version:` and what it says.
fn version_line(text: &str) -> Option<(usize, Version)> {
    text.lines().enumerate().find_map(|(i, line)| {
        let value = line.strip_prefix("version:")?;
        let value = value.split('#').next().unwrap_or_default();
        let version = value.trim().trim_matches(['"', '\'']).parse().ok()?;
        Some((i, version))
    })
}

fn with_version(text: &str, line: usize, version: &Version) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    for (i, old) in text.split_inclusive('\n').enumerate() {
        if i == line {
            out.push_str(&format!("version: {version}"));
            if old.ends_with('\n') {
                out.push('\n');
            }
        } else {
            out.push_str(old);
        }
    }
    out
}

fn raised(version: &Version, bump: Bump) -> Version {
    match bump {
        Bump::Patch => Version::new(version.major, version.minor, version.patch.saturating_add(1)),
        Bump::Minor => Version::new(version.major, version.minor.saturating_add(1), 0),
        Bump::Major => Version::new(version.major.saturating_add(1), 0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(version: &str) -> Files {
        let yaml = format!("apiVersion: tidegate/v1\nversion: {version} # kept\nmessages: []\n");
        Files::from([
            ("apps/a/prompts/p/prompt.yaml".to_owned(), yaml.into_bytes()),
            ("apps/a/prompts/p/system.j2".to_owned(), b"old".to_vec()),
        ])
    }

    #[test]
    fn an_edited_template_raises_its_prompts_version() {
        let mut edits =
            Edits::from([("apps/a/prompts/p/system.j2".to_owned(), Some(b"new".to_vec()))]);
        raise_versions(&files("1.2.3"), &mut edits, Bump::Minor);
        let yaml = edits["apps/a/prompts/p/prompt.yaml"].clone().unwrap();
        assert_eq!(
            String::from_utf8(yaml).unwrap(),
            "apiVersion: tidegate/v1\nversion: 1.3.0\nmessages: []\n"
        );
    }

    #[test]
    fn a_version_the_author_raised_stays() {
        let yaml = files("2.0.0")["apps/a/prompts/p/prompt.yaml"].clone();
        let mut edits =
            Edits::from([("apps/a/prompts/p/prompt.yaml".to_owned(), Some(yaml.clone()))]);
        raise_versions(&files("1.2.3"), &mut edits, Bump::Patch);
        assert_eq!(edits["apps/a/prompts/p/prompt.yaml"], Some(yaml));
    }

    #[test]
    fn other_files_raise_nothing() {
        let mut edits = Edits::from([("models/m.yaml".to_owned(), Some(b"x".to_vec()))]);
        raise_versions(&files("1.0.0"), &mut edits, Bump::Patch);
        assert_eq!(edits.len(), 1);
    }
}
