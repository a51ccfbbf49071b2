//! Promotion and rollback: editing `environments/<env>/aliases.yaml`.
//!
//! People keep comments and an order of their own in this file, so it is edited
//! as text where its shape allows. Every edit is read back and must say exactly
//! what was meant; otherwise the file is written anew in its plainest form.

use super::{CommitId, NewCommit, Repo, RepoError, Result, read, write};
use crate::format::aliases::{Alias, Aliases, AliasesFile};
use crate::yaml::{
    self,
    tree::{Entry, Kind, Node},
};
use domain::ids::{AppName, EnvName, ReleaseId};
use domain::manifest::API_VERSION;
use std::collections::BTreeMap;

type Apps = BTreeMap<AppName, Aliases>;

impl Repo {
    /// Sets or clears aliases of an app in one commit on `main`; other lines of
    /// the file keep their order and comments. Returns `main` as it is if the
    /// aliases already are what they should be.
    ///
    /// # Errors
    /// [`RepoError::NotEditable`] if the aliases file does not read.
    pub fn set_aliases(
        &self,
        env: &EnvName,
        app: &AppName,
        aliases: &[(Alias, Option<ReleaseId>)],
        new: &NewCommit<'_>,
    ) -> Result<CommitId> {
        let path = format!("environments/{env}/aliases.yaml");
        self.move_main(new, |git, head| {
            let before = read::file(git, head, &path)?;
            let Some(after) = edited(&path, before.as_deref(), app, aliases)? else {
                return Ok(head);
            };
            let edits = BTreeMap::from([(path.clone(), Some(after.into_bytes()))]);
            let tree = write::tree_with(git, Some(read::commit(git, head)?.tree_id()), &edits)?;
            write::commit_object(git, tree, &[head], new)
        })
    }
}

/// The file with these aliases; none if it has them already.
fn edited(
    path: &str,
    before: Option<&[u8]>,
    app: &AppName,
    aliases: &[(Alias, Option<ReleaseId>)],
) -> Result<Option<String>> {
    let (apps, text) = match before {
        None => (Apps::new(), None),
        Some(bytes) => {
            let (apps, text) = parsed(path, bytes)?;
            (apps, Some(text))
        }
    };
    let mut wanted = apps.clone();
    let entry = wanted.entry(app.clone()).or_default();
    for (alias, release) in aliases {
        match alias {
            Alias::Production => entry.production = *release,
            Alias::Candidate => entry.candidate = *release,
        }
    }
    wanted.retain(|_, aliases| *aliases != Aliases::default());
    if wanted == apps {
        return Ok(None);
    }
    let in_place = text.and_then(|text| {
        let mut text = text;
        for (alias, release) in aliases {
            text = in_place(&text, app, *alias, *release)?;
        }
        let (now, _) = parsed(path, text.as_bytes()).ok()?;
        (now == wanted).then_some(text)
    });
    Ok(Some(in_place.unwrap_or_else(|| plain(&wanted))))
}

/// What the file says, apps without aliases left out, and its text.
fn parsed(path: &str, bytes: &[u8]) -> Result<(Apps, String)> {
    let reading = yaml::read::<AliasesFile>(path, bytes);
    match (reading.value, reading.findings.first()) {
        (Some(file), None) => {
            let mut apps = file.apps;
            apps.retain(|_, aliases| *aliases != Aliases::default());
            // Reading succeeded, so the bytes are UTF-8.
            Ok((apps, crate::text::unify(&String::from_utf8_lossy(bytes))))
        }
        (_, finding) => Err(RepoError::NotEditable {
            file: path.to_owned(),
            problem: finding.map_or_else(|| "it does not read".to_owned(), |f| f.message.clone()),
        }),
    }
}

/// The file in its plainest form.
fn plain(apps: &Apps) -> String {
    let mut text = format!("apiVersion: {API_VERSION}\napps:");
    if apps.is_empty() {
        text.push_str(" {}");
    }
    text.push('\n');
    for (app, aliases) in apps {
        text.push_str(&format!("  {app}:\n"));
        for alias in Alias::ALL {
            if let Some(release) = aliases.get(alias) {
                text.push_str(&format!("    {alias}: {release}\n"));
            }
        }
    }
    text
}

/// One alias edited in the text; none where the shape is not the usual one.
fn in_place(text: &str, app: &AppName, alias: Alias, release: Option<ReleaseId>) -> Option<String> {
    let root = yaml::tree_of(text)?;
    let apps = find(&root, "apps")?;
    let Some(known) = find(&apps.value, app.as_str()) else {
        let Some(release) = release else { return Some(text.to_owned()) };
        let (first, last) = ends(&apps.value)?;
        let indent = indent(text, first)?;
        let line = format!("{indent}{app}:\n{indent}  {alias}: {release}\n");
        return Some(insert_after(text, last.value.span.end, &line));
    };
    match (find(&known.value, alias.key()), release) {
        (Some(entry), Some(release)) => {
            let (Kind::Plain(_) | Kind::Text(_)) = entry.value.kind else { return None };
            let span = entry.value.span.clone();
            let (head, tail) = (text.get(..span.start)?, text.get(span.end..)?);
            let gap = if head.ends_with(':') { " " } else { "" };
            Some(format!("{head}{gap}{release}{tail}"))
        }
        (Some(entry), None) => {
            // The last alias goes with its app.
            let (first, _) = ends(&known.value)?;
            let only = matches!(&known.value.kind, Kind::Map(entries) if entries.len() == 1);
            let from = if only { known.key_span.start } else { entry.key_span.start };
            indent(text, first)?;
            Some(without_lines(text, from, entry.value.span.end.max(entry.key_span.end)))
        }
        (None, Some(release)) => {
            let (first, last) = ends(&known.value)?;
            let line = format!("{}{alias}: {release}\n", indent(text, first)?);
            Some(insert_after(text, last.value.span.end.max(last.key_span.end), &line))
        }
        (None, None) => Some(text.to_owned()),
    }
}

fn find<'n>(node: &'n Node, key: &str) -> Option<&'n Entry> {
    match &node.kind {
        Kind::Map(entries) => entries.iter().find(|entry| entry.key == key),
        _ => None,
    }
}

fn ends(node: &Node) -> Option<(&Entry, &Entry)> {
    match &node.kind {
        Kind::Map(entries) => Some((entries.first()?, entries.last()?)),
        _ => None,
    }
}

/// The blanks before a key that is first on its line; none in `{...}` style.
fn indent<'t>(text: &'t str, entry: &Entry) -> Option<&'t str> {
    let before = text.get(..entry.key_span.start)?;
    let line = before.get(before.rfind('\n').map_or(0, |at| at + 1)..)?;
    line.chars().all(|c| c == ' ').then_some(line)
}

fn insert_after(text: &str, at: usize, line: &str) -> String {
    let end = text.get(at..).and_then(|rest| rest.find('\n')).map(|n| at + n + 1);
    match end.and_then(|end| Some((text.get(..end)?, text.get(end..)?))) {
        Some((head, tail)) => format!("{head}{line}{tail}"),
        None => format!("{text}\n{line}"),
    }
}

/// The text without the lines from one place to another.
fn without_lines(text: &str, from: usize, to: usize) -> String {
    let start = text.get(..from).and_then(|head| head.rfind('\n')).map_or(0, |at| at + 1);
    let end = text.get(to..).and_then(|rest| rest.find('\n')).map_or(text.len(), |n| to + n + 1);
    format!("{}{}", text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::Digest;

    fn id(n: u8) -> ReleaseId {
        ReleaseId(Digest::of(&[n]))
    }

    fn set(text: &str, app: &str, aliases: &[(Alias, Option<ReleaseId>)]) -> Option<String> {
        edited("aliases.yaml", Some(text.as_bytes()), &app.parse().unwrap(), aliases).unwrap()
    }

    #[test]
    fn comments_and_order_stay() {
        let before = format!(
            "# Promoted state.\napiVersion: tidegate/v1\napps:\n  zebra:   # first on purpose\n    production: {}  # since May\n  alpha:\n    candidate: {}\n    production: {}\n# the end\n",
            id(1),
            id(2),
            id(3)
        );
        let after = set(
            &before,
            "zebra",
            &[(Alias::Production, Some(id(9))), (Alias::Candidate, Some(id(8)))],
        )
        .unwrap();
        insta::assert_snapshot!(after);
        let after = set(&after, "alpha", &[(Alias::Candidate, None)]).unwrap();
        let after = set(&after, "new", &[(Alias::Production, Some(id(4)))]).unwrap();
        insta::assert_snapshot!(after);
        let after =
            set(&after, "zebra", &[(Alias::Production, None), (Alias::Candidate, None)]).unwrap();
        insta::assert_snapshot!(after);
    }

    #[test]
    fn nothing_to_do_is_no_edit() {
        let text = plain(&Apps::from([(
            "a".parse().unwrap(),
            Aliases { production: Some(id(1)), candidate: None },
        )]));
        assert_eq!(
            set(&text, "a", &[(Alias::Production, Some(id(1))), (Alias::Candidate, None)]),
            None
        );
        assert_eq!(set(&text, "b", &[(Alias::Candidate, None)]), None);
    }

    #[test]
    fn a_file_that_does_not_read_is_not_edited() {
        let error = edited(
            "a.yaml",
            Some(b"apiVersion: tidegate/v1\napp: {}\n"),
            &"a".parse().unwrap(),
            &[],
        )
        .unwrap_err();
        assert!(error.to_string().contains("`app` is not a key here"), "{error}");
    }

    proptest::proptest! {
        /// Whatever style the file has, the edit says what was meant.
        #[test]
        fn any_sequence_of_edits_says_what_was_meant(
            flow in proptest::bool::ANY,
            edits in proptest::collection::vec((0_usize..3, proptest::bool::ANY, proptest::option::of(0_u8..4)), 1..20),
        ) {
            let names = ["a", "b.c", "123"];
            let mut text = if flow {
                format!("apiVersion: tidegate/v1\napps: {{a: {{production: {}}}}}\n", id(0))
            } else {
                format!("apiVersion: tidegate/v1\napps:\n  a:\n    production: {}", id(0))
            };
            let mut model = Apps::from([("a".parse().unwrap(), Aliases { production: Some(id(0)), candidate: None })]);
            for (app, production, release) in edits {
                let release = release.map(id);
                let alias = if production { Alias::Production } else { Alias::Candidate };
                if let Some(after) = set(&text, names[app], &[(alias, release)]) {
                    text = after;
                }
                let entry = model.entry(names[app].parse().unwrap()).or_default();
                if production { entry.production = release } else { entry.candidate = release }
                model.retain(|_, aliases| *aliases != Aliases::default());
                let (now, _) = parsed("a.yaml", text.as_bytes()).unwrap();
                proptest::prop_assert_eq!(&now, &model, "{}", text);
            }
        }
    }
}
