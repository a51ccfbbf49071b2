//! Objects: JSON documents with a generation.
//!
//! Every noun of Tidegate is a serde type of its own crate; the store keeps it
//! whole and knows three words about it ([`Index`]) to find it by. So a new
//! field is no migration, and a rule never hides in SQL.
//!
//! Pages are cut by the order of creation, not by an offset: an object made
//! between two pages moves nothing, and the thousandth page costs as much as
//! the first.

use crate::{Store, StoreError};
use domain::ids::{AppName, Generation};
use domain::units::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};
use std::fmt;

/// Most items in one page; a larger `limit` counts as this.
pub const MAX_PAGE: u32 = 1000;

/// Items in a page if nothing is said.
pub const DEFAULT_PAGE: u32 = 100;

/// The kinds of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A change.
    Change,
    /// A rollout's state.
    Rollout,
    /// A live experiment.
    Experiment,
    /// Where an alias points.
    Alias,
    /// An app and what is set on it (kill switch).
    App,
    /// An incident.
    Incident,
    /// A person.
    Person,
    /// A token; its id is the hexadecimal SHA-256 of the secret.
    Token,
    /// A release.
    Release,
    /// A report of the rollout controller; its parent is the rollout.
    Tick,
    /// A release that may not come back until a person clears it.
    Denied,
    /// A gateway, as last heard of.
    Gateway,
    /// Settings of the installation.
    Meta,
    /// A push that was taken in.
    Push,
    /// A browser session; its id is the hexadecimal SHA-256 of the secret.
    Session,
    /// A person's password, hashed.
    Password,
    /// A one-time sign-in code; its id is the hexadecimal SHA-256 of the code.
    SignInCode,
    /// A person's draft of a change.
    Draft,
    /// The preview of a change; its id is the change's.
    Preview,
    /// Who somebody at an OpenID provider is here.
    SignOn,
    /// A command that was sent with a key, and its answer.
    Once,
    /// A way by which people are told things.
    Channel,
    /// A message on its way to people, or arrived.
    Delivery,
    /// How a person wants to be told; its id is the person's.
    Preferences,
    /// What somebody said of a case of a change; its parent is the change.
    Mark,
    /// What somebody asked models while writing, by person and day.
    Tries,
}

impl Kind {
    /// The word in the database and in messages.
    pub fn key(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Rollout => "rollout",
            Self::Experiment => "experiment",
            Self::Alias => "alias",
            Self::App => "app",
            Self::Incident => "incident",
            Self::Person => "person",
            Self::Token => "token",
            Self::Release => "release",
            Self::Tick => "tick",
            Self::Denied => "denied",
            Self::Gateway => "gateway",
            Self::Meta => "meta",
            Self::Push => "push",
            Self::Session => "session",
            Self::Password => "password",
            Self::SignInCode => "sign_in_code",
            Self::Draft => "draft",
            Self::Preview => "preview",
            Self::SignOn => "sign_on",
            Self::Once => "once",
            Self::Channel => "channel",
            Self::Delivery => "delivery",
            Self::Preferences => "preferences",
            Self::Mark => "mark",
            Self::Tries => "tries",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// What an object is found by, beside its id. Written anew with every version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// The app it belongs to.
    pub app: Option<AppName>,
    /// Its state, in one word.
    pub state: Option<String>,
    /// The object it belongs to.
    pub parent: Option<String>,
}

impl Index {
    /// Found by nothing but its id.
    pub fn none() -> Self {
        Self::default()
    }

    /// Also found by this app.
    #[must_use]
    pub fn app(mut self, app: &AppName) -> Self {
        self.app = Some(app.clone());
        self
    }

    /// Also found by this state.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Also found by what it belongs to.
    #[must_use]
    pub fn parent(mut self, parent: impl fmt::Display) -> Self {
        self.parent = Some(parent.to_string());
        self
    }
}

/// An object as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Versioned<T> {
    /// Its id.
    pub id: String,
    /// Its version: 1 when created, one more with every write.
    pub generation: Generation,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// The document.
    pub doc: T,
}

/// A place between two items of a list; opaque to everybody but the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub(crate) i64);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::str::FromStr for Cursor {
    type Err = domain::ids::InvalidId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| domain::ids::InvalidId {
            given: text.to_owned(),
            wanted: "a cursor: the `next` of the page before",
        })
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; none if this is the last.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Cuts a list that was read one item longer than a page.
    pub(crate) fn cut(mut rows: Vec<(i64, T)>, limit: u32) -> Self {
        let limit = limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|(seq, _)| Cursor(*seq));
        Self { items: rows.into_iter().map(|(_, item)| item).collect(), next }
    }
}

/// Which objects, in order of creation.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Of this kind.
    pub kind: Kind,
    /// Of this app.
    pub app: Option<AppName>,
    /// In one of these states; any if empty.
    pub states: Vec<String>,
    /// Belonging to this object.
    pub parent: Option<String>,
    /// Newest first instead of oldest first.
    pub newest_first: bool,
    /// At most so many, up to [`MAX_PAGE`].
    pub limit: u32,
    /// Only what comes after this place.
    pub cursor: Option<Cursor>,
}

impl Query {
    /// Everything of this kind, oldest first.
    pub fn of(kind: Kind) -> Self {
        Self {
            kind,
            app: None,
            states: Vec::new(),
            parent: None,
            newest_first: false,
            limit: DEFAULT_PAGE,
            cursor: None,
        }
    }

    /// Only of this app.
    #[must_use]
    pub fn app(mut self, app: &AppName) -> Self {
        self.app = Some(app.clone());
        self
    }

    /// Only in this state, or in another one named before.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.states.push(state.into());
        self
    }

    /// Only belonging to this object.
    #[must_use]
    pub fn parent(mut self, parent: impl fmt::Display) -> Self {
        self.parent = Some(parent.to_string());
        self
    }

    /// Newest first.
    #[must_use]
    pub fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }

    /// At most so many.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Only what comes after this place.
    #[must_use]
    pub fn after(mut self, cursor: Option<Cursor>) -> Self {
        self.cursor = cursor;
        self
    }

    pub(crate) fn page_size(&self) -> u32 {
        self.limit.clamp(1, MAX_PAGE)
    }

    fn filter(&self, sql: &mut QueryBuilder<Sqlite>) {
        sql.push(" FROM objects WHERE kind = ").push_bind(self.kind.key());
        if let Some(app) = &self.app {
            sql.push(" AND app = ").push_bind(app.as_str().to_owned());
        }
        if let Some(parent) = &self.parent {
            sql.push(" AND parent = ").push_bind(parent.clone());
        }
        if let [state] = self.states.as_slice() {
            sql.push(" AND state = ").push_bind(state.clone());
        } else if !self.states.is_empty() {
            sql.push(" AND state IN (");
            let mut states = sql.separated(", ");
            for state in &self.states {
                states.push_bind(state.clone());
            }
            sql.push(")");
        }
    }

    pub(crate) fn sql(&self, before: &str) -> QueryBuilder<Sqlite> {
        let mut sql = QueryBuilder::new(before);
        sql.push("SELECT seq, id, generation, created_at, updated_at, doc");
        self.filter(&mut sql);
        if let Some(cursor) = self.cursor {
            sql.push(if self.newest_first { " AND seq < " } else { " AND seq > " });
            sql.push_bind(cursor.0);
        }
        sql.push(if self.newest_first { " ORDER BY seq DESC" } else { " ORDER BY seq" });
        sql.push(" LIMIT ").push_bind(i64::from(self.page_size()) + 1);
        sql
    }
}

/// The ids that begin like this: a range of the index of ids.
pub(crate) fn ids_sql(before: &str, kind: Kind, prefix: &str, limit: u32) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(before);
    sql.push("SELECT id FROM objects WHERE kind = ").push_bind(kind.key());
    sql.push(" AND id >= ").push_bind(prefix.to_owned());
    // No character comes after this one.
    sql.push(" AND id < ").push_bind(format!("{prefix}\u{10FFFF}"));
    sql.push(" ORDER BY id LIMIT ").push_bind(i64::from(limit.clamp(1, MAX_PAGE)));
    sql
}

/// A number as the database gives it back.
pub(crate) fn unsigned(number: i64, what: &'static str) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::OutOfRange { what })
}

/// A number as the database keeps it.
pub(crate) fn signed(number: u64, what: &'static str) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::OutOfRange { what })
}

fn read<T: DeserializeOwned>(kind: Kind, row: &SqliteRow) -> Result<Versioned<T>, StoreError> {
    let id: String = row.try_get("id")?;
    let doc: &str = row.try_get("doc")?;
    let doc = serde_json::from_str(doc)
        .map_err(|error| StoreError::not_json(format!("{kind} `{id}`"), &error))?;
    Ok(Versioned {
        generation: Generation(unsigned(row.try_get("generation")?, "a stored generation")?),
        created_at: Timestamp(row.try_get("created_at")?),
        updated_at: Timestamp(row.try_get("updated_at")?),
        id,
        doc,
    })
}

impl Store {
    /// One object, if it exists.
    ///
    /// # Errors
    /// The store's, or a document of another form.
    pub async fn get<T: DeserializeOwned>(
        &self,
        kind: Kind,
        id: impl fmt::Display,
    ) -> Result<Option<Versioned<T>>, StoreError> {
        let row = sqlx::query(
            "SELECT id, generation, created_at, updated_at, doc FROM objects WHERE kind = ? AND id = ?",
        )
        .bind(kind.key())
        .bind(id.to_string())
        .fetch_optional(self.state.readers())
        .await?;
        row.as_ref().map(|row| read(kind, row)).transpose()
    }

    /// A page of objects.
    ///
    /// # Errors
    /// The store's, or a document of another form.
    pub async fn list<T: DeserializeOwned>(
        &self,
        query: Query,
    ) -> Result<Page<Versioned<T>>, StoreError> {
        let rows = query.sql("").build().fetch_all(self.state.readers()).await?;
        let rows = rows
            .iter()
            .map(|row| Ok((row.try_get("seq")?, read(query.kind, row)?)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok(Page::cut(rows, query.page_size()))
    }

    /// Ids of a kind that begin like this, in their order, at most so many.
    ///
    /// # Errors
    /// The store's.
    pub async fn ids(
        &self,
        kind: Kind,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let mut sql = ids_sql("", kind, prefix, limit);
        Ok(sql.build_query_scalar().fetch_all(self.state.readers()).await?)
    }

    /// How many objects there are, whatever the page.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(&self, query: &Query) -> Result<u64, StoreError> {
        let mut sql = QueryBuilder::new("SELECT COUNT(*)");
        query.filter(&mut sql);
        let count: i64 = sql.build_query_scalar().fetch_one(self.state.readers()).await?;
        unsigned(count, "a count")
    }

    /// The token whose secret has this SHA-256, in hexadecimal digits. Tokens are
    /// objects with that as their id: one lookup by key, and the secret is
    /// nowhere.
    ///
    /// # Errors
    /// The store's, or a document of another form.
    pub async fn token_by_hash<T: DeserializeOwned>(
        &self,
        hex_sha256: &str,
    ) -> Result<Option<Versioned<T>>, StoreError> {
        self.get(Kind::Token, hex_sha256).await
    }

    /// Forgets messages that arrived, or were dropped, before this moment, and
    /// what was to be done for them; says how many messages went.
    ///
    /// # Errors
    /// The store's.
    pub async fn prune_deliveries(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut writing = self.state.write().await?;
        let gone = sqlx::query(
            "DELETE FROM objects WHERE kind = 'delivery' AND state IN ('sent', 'dropped')
             AND updated_at < ?",
        )
        .bind(before.0)
        .execute(writing.connection())
        .await?;
        sqlx::query("DELETE FROM effects WHERE kind = 'notify' AND done_at < ?")
            .bind(before.0)
            .execute(writing.connection())
            .await?;
        writing.commit().await?;
        Ok(gone.rows_affected())
    }

    /// Forgets all but the latest `keep` reports of a rollout; says how many
    /// went.
    ///
    /// # Errors
    /// The store's.
    pub async fn prune_ticks(
        &self,
        rollout: domain::ids::RolloutId,
        keep: u32,
    ) -> Result<u64, StoreError> {
        let mut writing = self.state.write().await?;
        let gone = sqlx::query(
            "DELETE FROM objects WHERE kind = 'tick' AND parent = ?1 AND seq <= (
                SELECT seq FROM objects WHERE kind = 'tick' AND parent = ?1
                ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
        )
        .bind(rollout.to_string())
        .bind(i64::from(keep))
        .execute(writing.connection())
        .await?;
        writing.commit().await?;
        Ok(gone.rows_affected())
    }
}
