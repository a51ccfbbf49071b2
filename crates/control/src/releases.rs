//! Releases: the list, one of them, its bill of materials, and the way back
//! from the deny list. By commit and by component, so that commits, releases
//! and models lead to each other.

use crate::caller::Caller;
use crate::incidents::entry;
use crate::listing::ListQuery;
use crate::problem::{Problem, ProblemKind};
use crate::records::{AppRecord, DeniedRecord, ReleaseRecord};
use crate::views::{Page, ReleaseView};
use crate::{Control, not_found};
use domain::bom::Material;
use domain::component::{Component, ComponentKind};
use domain::facts::PolicyAction;
use domain::ids::ReleaseId;
use domain::people::Permission;
use serde_json::Value;
use std::str::FromStr;
use store::{Kind, Tx};

/// Fewest digits of a commit that name it.
const MIN_COMMIT_DIGITS: usize = 4;

/// Which releases of a list are wanted.
#[derive(Debug, Clone, Default)]
pub struct Only {
    /// Composed from this commit, or from the change that was merged by it.
    /// The beginning of it is enough.
    pub commit: Option<CommitDigits>,
    /// With this component.
    pub component: Option<Wanted>,
}

/// The beginning of a commit's id.
#[derive(Debug, Clone)]
pub struct CommitDigits(String);

impl CommitDigits {
    fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CommitDigits {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let digits = text.to_ascii_lowercase();
        if digits.len() >= MIN_COMMIT_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self(digits));
        }
        Err(Problem::new(
            ProblemKind::Invalid,
            "no_commit",
            format!("`{text}` is no commit"),
            format!("give {MIN_COMMIT_DIGITS} to 40 hexadecimal digits"),
        )
        .at("commit"))
    }
}

/// A component as people write it: `summariser`, `summariser@1.2.0`,
/// `model:summariser@1.2.0`.
#[derive(Debug, Clone)]
pub struct Wanted {
    kind: Option<String>,
    name: String,
    version: Option<String>,
}

impl FromStr for Wanted {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let (kind, label) = match text.split_once(':') {
            Some((kind, label)) => (Some(kind.to_owned()), label),
            None => (None, text),
        };
        let (name, version) = match label.split_once('@') {
            Some((name, version)) => (name, Some(version.to_owned())),
            None => (label, None),
        };
        let known = |word: &String| ComponentKind::ALL.iter().any(|k| k.key() == word);
        if let Some(kind) = kind.as_ref().filter(|kind| !known(kind)) {
            let kinds = ComponentKind::ALL.map(ComponentKind::key).join(", ");
            return Err(Problem::new(
                ProblemKind::Invalid,
                "no_such_component_kind",
                format!("`{kind}` is no kind of component"),
                format!("one of {kinds}"),
            )
            .at("component"));
        }
        Ok(Self { kind, name: name.to_owned(), version })
    }
}

impl Wanted {
    fn is(&self, kind: ComponentKind, component: &Component) -> bool {
        self.kind.as_ref().is_none_or(|wanted| wanted == kind.key())
            && self.name == component.name
            && self.version.as_ref().is_none_or(|v| *v == component.version.to_string())
    }
}

/// Releases looked at for a prefix: two are too many already.
const MAX_PREFIX: u32 = 3;

impl Control {
    /// Releases, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn releases(
        &self,
        _caller: &Caller,
        query: ListQuery,
        only: &Only,
    ) -> Result<Page<ReleaseView>, Problem> {
        let mut query = query.of(Kind::Release);
        loop {
            let page = self.store.list::<ReleaseRecord>(query.clone()).await?;
            let mut items = Vec::new();
            for release in &page.items {
                if self.wanted(&release.doc, only).await? {
                    items.push(release_view(self, &release.doc).await?);
                }
            }
            // A page without a match says nothing: the next one may have some.
            match page.next {
                Some(next) if items.is_empty() => query = query.after(Some(next)),
                next => return Ok(Page { items, next: next.map(|c| c.to_string()) }),
            }
        }
    }

    async fn wanted(&self, release: &ReleaseRecord, only: &Only) -> Result<bool, Problem> {
        if let Some(component) = &only.component
            && !release.manifest.components.iter().any(|(kind, c)| component.is(*kind, c))
        {
            return Ok(false);
        }
        let Some(commit) = &only.commit else { return Ok(true) };
        if release.commit.starts_with(commit.as_str()) {
            return Ok(true);
        }
        let Some(change) = release.change else { return Ok(false) };
        let merged = self.change_record(change).await?.doc.merge_commit;
        Ok(merged.is_some_and(|merged| merged.starts_with(commit.as_str())))
    }

    /// The bill of materials of one release.
    ///
    /// # Errors
    /// `no_such_release`, `ambiguous_release`.
    pub async fn release_bom(&self, _caller: &Caller, id: &str) -> Result<Value, Problem> {
        let record = self.release_record(self.find_release(id).await?).await?;
        Ok(domain::bom::bom(&Material {
            release: record.id,
            app: &record.manifest.app,
            components: &record.manifest.components,
            contents: &record.served.contents,
            commit: &record.commit,
            created_at: record.created_at,
            tool_version: env!("CARGO_PKG_VERSION"),
        }))
    }

    /// One release, by id or unique prefix.
    ///
    /// # Errors
    /// `no_such_release`, `ambiguous_release`.
    pub async fn release(&self, _caller: &Caller, id: &str) -> Result<ReleaseView, Problem> {
        let record = self.release_record(self.find_release(id).await?).await?;
        release_view(self, &record).await
    }

    pub(crate) async fn find_release(&self, text: &str) -> Result<ReleaseId, Problem> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let digits =
            text.strip_prefix("rel-").or_else(|| text.strip_prefix("sha256:")).unwrap_or(text);
        let ids = self.store.ids(Kind::Release, &format!("sha256:{digits}"), MAX_PREFIX).await?;
        let ids = ids.iter().filter_map(|id| id.parse::<ReleaseId>().ok());
        let found: Vec<_> = ids.filter(|id| id.matches(text)).collect();
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(not_found("release", text)),
            _ => Err(Problem::new(
                ProblemKind::Invalid,
                "ambiguous_release",
                format!("`{text}` fits several releases"),
                "give more digits",
            )),
        }
    }

    /// Takes a failed release off the deny list.
    ///
    /// # Errors
    /// `not_allowed`, `not_denied`, `reason_missing`.
    pub async fn clear_release(
        &self,
        caller: &Caller,
        id: &str,
        reason: &str,
    ) -> Result<ReleaseView, Problem> {
        caller.must(Permission::ClearDenied)?;
        let id = self.find_release(id).await?;
        let Some(denied) = self.store.get::<DeniedRecord>(Kind::Denied, id).await? else {
            return Err(Problem::new(
                ProblemKind::Refused,
                "not_denied",
                format!("{} is not refused", id.short()),
                "nothing to clear",
            ));
        };
        self.policies_allow(caller, PolicyAction::Clear, Some(&denied.doc.app)).await?;
        if reason.trim().chars().count() < 10 {
            return Err(Problem::new(
                ProblemKind::Invalid,
                "reason_missing",
                "clearing a failed release needs a written reason of at least 10 characters",
                "say why it may be tried again",
            )
            .at("reason"));
        }
        let mut tx = Tx::new(self.clock.now());
        tx.delete(Kind::Denied, id, denied.generation);
        tx.audit(
            entry(self.clock.now(), caller.actor(), "release.cleared", &denied.doc.app)
                .on(format!("release/{id}"))
                .because(Some(reason))
                .from(caller.source.as_deref())
                .into(),
        );
        self.store.commit(tx).await?;
        let record = self.release_record(id).await?;
        release_view(self, &record).await
    }
}

pub(crate) async fn release_view(
    control: &Control,
    record: &ReleaseRecord,
) -> Result<ReleaseView, Problem> {
    let app = &record.manifest.app;
    let denied = control.store.get::<DeniedRecord>(Kind::Denied, record.id).await?;
    let live = control.store.get::<AppRecord>(Kind::App, app).await?;
    Ok(ReleaseView {
        id: record.id,
        app: app.clone(),
        manifest: record.manifest.clone(),
        envelope: record.envelope.clone(),
        change: record.change,
        commit: record.commit.clone(),
        created_at: record.created_at,
        denied: denied.map(|d| d.doc.because),
        live: live.is_some_and(|a| a.doc.production == record.id),
        url: control.url(&format!("releases/{}", record.id)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::Digest;

    #[test]
    fn a_component_is_found_by_what_is_known_of_it() {
        let component = Component {
            name: "gpt".into(),
            version: "1.2.0".parse().unwrap(),
            digest: Digest::of(b""),
        };
        let fits =
            |text: &str| text.parse::<Wanted>().unwrap().is(ComponentKind::Model, &component);
        assert!(fits("gpt") && fits("gpt@1.2.0") && fits("model:gpt") && fits("model:gpt@1.2.0"));
        assert!(!fits("gp") && !fits("gpt@1.2") && !fits("prompt:gpt"));
        assert_eq!("modle:gpt".parse::<Wanted>().unwrap_err().code, "no_such_component_kind");
        assert_eq!("ab".parse::<CommitDigits>().unwrap_err().code, "no_commit");
        assert_eq!("ABCD1".parse::<CommitDigits>().unwrap().as_str(), "abcd1");
    }
}
