//! Signing in with a browser: sessions, one-time codes, passwords.
//!
//! A session is an opaque secret of 32 random bytes; the store has its SHA-256
//! and nothing else. What a page must send back to write (the CSRF token) is
//! derived from the secret, so that it is the session's own and is kept nowhere.
//!
//! What must stay true:
//! - every sign-in makes a new secret; the session a browser came with ends.
//!   Whoever planted it there holds nothing;
//! - a session never outlives what it was opened with: the token, the person,
//!   the person's last role;
//! - an unknown name and a wrong password take the same time and say the same.

mod change;
mod codes;
mod password;
mod tries;

pub(crate) use codes::CodeRecord;
pub use codes::MadeCode;
pub use password::{MAX_PASSWORD, MIN_PASSWORD};
pub(crate) use tries::Tries;

use crate::caller::{Caller, not_signed_in, secret_hash};
use crate::incidents::plain_entry;
use crate::problem::{Problem, ProblemKind};
use crate::records::TokenRecord;
use crate::{Control, not_found};
use domain::ids::PersonName;
use domain::params;
use domain::people::{Permission, Person};
use domain::units::{Span, Timestamp};
use password::PasswordHash;
use serde::{Deserialize, Serialize};
use store::{CommitError, Index, Kind, Query, Tx, Versioned};

/// A session ends after so long without a request.
pub const IDLE: Span = Span::from_secs(12 * 3600);
/// A session ends after so long, whatever is done with it.
pub const LONGEST: Span = Span::from_secs(7 * 86_400);
/// How long a one-time code opens the door.
pub const CODE_LIFETIME: Span = Span::from_secs(3600);
/// Sessions of one person; the oldest end for new ones.
pub const MAX_SESSIONS: usize = 20;
/// A session's last use is written down at most so often.
const NOTE_USE_EVERY: Span = Span::from_secs(300);
/// Times a session is written again when another request was faster.
const MAX_TRIES: u32 = 5;
/// Marks that somebody signed in with a browser once.
const FIRST_SIGN_IN: &str = "first-sign-in";

/// What a session is, in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionRecord {
    person: PersonName,
    /// The token it was opened with: without it, it ends.
    #[serde(default)]
    token: Option<String>,
    /// The OpenID provider somebody came by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    opened_at: Timestamp,
    used_at: Timestamp,
    expires_at: Timestamp,
}

impl SessionRecord {
    fn is_over(&self, now: Timestamp) -> bool {
        now >= self.expires_at || now >= self.used_at.plus(IDLE)
    }
}

/// What somebody shows to be let in.
#[derive(Clone)]
pub enum SignIn {
    /// A personal token.
    Token(String),
    /// A name and a password.
    Password {
        /// The name.
        login: String,
        /// The password.
        password: String,
    },
    /// A one-time code.
    Code(String),
}

/// An open session. The secret goes into the browser's cookie and nowhere else.
pub struct Session {
    /// The secret.
    pub secret: String,
    /// Whose it is.
    pub caller: Caller,
    /// When it ends whatever is done with it.
    pub expires_at: Timestamp,
    /// Id of the OpenID provider its owner came by.
    pub provider: Option<String>,
}

/// How somebody came in.
#[derive(Default)]
pub(crate) struct Way<'a> {
    /// In a word, for the log.
    pub(crate) how: &'a str,
    /// The token the session ends with, and when that is.
    pub(crate) token: Option<(String, Timestamp)>,
    /// The OpenID provider.
    pub(crate) provider: Option<String>,
    /// The session the browser had before.
    pub(crate) before: Option<&'a str>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.caller.name())
    }
}

/// The token a page sends with every write of this session.
pub fn csrf_token(secret: &str) -> String {
    secret_hash(&format!("tidegate page {secret}"))
}

impl Control {
    /// Lets somebody in. The session the browser came with, if any, ends.
    ///
    /// # Errors
    /// `sign_in_failed`, whatever of it was wrong; `too_many_tries` with the
    /// time to wait; `not_allowed` for a person without a role.
    pub async fn sign_in(
        &self,
        shown: SignIn,
        source: Option<String>,
        before: Option<&str>,
    ) -> Result<Session, Problem> {
        let now = self.clock.now();
        let name = match &shown {
            SignIn::Password { login, .. } => Some(secret_hash(&login.to_lowercase())),
            _ => None,
        };
        let address = source.as_deref().unwrap_or("-");
        let made = match self.tries.begin(name.as_deref(), address, now) {
            Ok(made) => made,
            Err(wait) => {
                tracing::warn!(address, "too many tries to sign in");
                return Err(too_many(wait));
            }
        };
        let (person, token, how) = match shown {
            SignIn::Token(secret) => {
                let record = self.token(&secret).await.map_err(|_| refused())?;
                let person = record.person.ok_or_else(refused)?;
                (person, Some((record.hash, record.expires_at)), "token")
            }
            SignIn::Password { login, password } => {
                (self.by_password(&login, &password).await?, None, "password")
            }
            SignIn::Code(code) => {
                let code = self.by_code(&code, now).await?;
                let token = match code.made_with {
                    Some(hash) => Some(self.living(&hash, now).await?),
                    None => None,
                };
                (code.person, token, "code")
            }
        };
        self.tries.succeeded(made);
        let way = Way { how, token, before, ..Way::default() };
        self.let_in(&person, source, way, now).await
    }

    /// Opens a session for somebody who has shown who they are.
    pub(crate) async fn let_in(
        &self,
        person: &PersonName,
        source: Option<String>,
        way: Way<'_>,
        now: Timestamp,
    ) -> Result<Session, Problem> {
        let person = self.store.get::<Person>(Kind::Person, person).await?.ok_or_else(refused)?;
        let caller = Caller { person: person.doc, source, session: None, token: None };
        caller.must(Permission::Read)?;
        self.open_session(caller, way, now).await
    }

    /// A token that has not ended, and when it does.
    async fn living(&self, hash: &str, now: Timestamp) -> Result<(String, Timestamp), Problem> {
        let token = self.store.token_by_hash::<TokenRecord>(hash).await?;
        let token = token.filter(|t| t.doc.expires_at > now).ok_or_else(refused)?;
        Ok((token.doc.hash, token.doc.expires_at))
    }

    async fn by_password(&self, login: &str, password: &str) -> Result<PersonName, Problem> {
        // Nobody's password is compared like everybody's, so that the clock does
        // not tell which names there are.
        let name = login.parse::<PersonName>().ok();
        let stored = match &name {
            Some(name) => self.store.get::<PasswordHash>(Kind::Password, name).await?,
            None => None,
        };
        let hash = stored.map_or_else(PasswordHash::nobodys, |stored| stored.doc);
        let known = password.len() <= MAX_PASSWORD && hash.is(password).await?;
        name.filter(|_| known).ok_or_else(refused)
    }

    async fn open_session(
        &self,
        caller: Caller,
        way: Way<'_>,
        now: Timestamp,
    ) -> Result<Session, Problem> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|e| crate::wrong("random numbers", &e))?;
        let secret = format!("tgs_{}", hex::encode(bytes));
        let longest = now.plus(LONGEST);
        let record = SessionRecord {
            person: caller.name().clone(),
            token: way.token.as_ref().map(|(hash, _)| hash.clone()),
            provider: way.provider.clone(),
            opened_at: now,
            used_at: now,
            expires_at: way.token.as_ref().map_or(longest, |(_, ends)| (*ends).min(longest)),
        };
        let id = secret_hash(&secret);
        let mut tries = MAX_TRIES;
        loop {
            let tx = self.opening(&caller, &id, &record, &way).await?;
            tries -= 1;
            match self.store.commit(tx).await {
                Ok(_) => break,
                // A session that was to end was used or ended meanwhile.
                Err(CommitError::Conflict { .. }) if tries > 0 => {}
                Err(other) => return Err(other.into()),
            }
        }
        let caller = Caller { session: Some(id), ..caller };
        let (expires_at, provider) = (record.expires_at, record.provider);
        Ok(Session { secret, caller, expires_at, provider })
    }

    /// Everything that goes with a new session: those that end for it, and the
    /// entry.
    async fn opening(
        &self,
        caller: &Caller,
        id: &str,
        record: &SessionRecord,
        way: &Way<'_>,
    ) -> Result<Tx, Problem> {
        let now = record.opened_at;
        let mut tx = Tx::new(now);
        tx.create(Kind::Session, id, record, Index::none().parent(&record.person));
        let before = way.before.map(secret_hash);
        if let Some(old) = &before
            && let Some(old) = self.store.get::<SessionRecord>(Kind::Session, old).await?
        {
            tx.delete(Kind::Session, &old.id, old.generation);
        }
        let open = self.sessions_of(caller.name()).await?;
        let too_many = (open.len() + 1).saturating_sub(MAX_SESSIONS);
        for old in open.iter().filter(|s| Some(&s.id) != before.as_ref()).take(too_many) {
            tx.delete(Kind::Session, &old.id, old.generation);
        }
        if self.store.get::<Timestamp>(Kind::Meta, FIRST_SIGN_IN).await?.is_none() {
            tx.put(Kind::Meta, FIRST_SIGN_IN, &now, Index::none());
        }
        tx.audit(
            plain_entry(now, caller.actor(), "session.opened", session_object(id))
                .from(caller.source.as_deref())
                .with(params! {"how" => way.how, "expires_at" => record.expires_at})
                .into(),
        );
        Ok(tx)
    }

    async fn sessions_of(
        &self,
        person: &PersonName,
    ) -> Result<Vec<Versioned<SessionRecord>>, Problem> {
        let query = Query::of(Kind::Session).parent(person).limit(store::MAX_PAGE);
        Ok(self.store.list::<SessionRecord>(query).await?.items)
    }

    /// Whose session is this? Notes that it is in use.
    ///
    /// # Errors
    /// `not_signed_in` for one that is unknown or over; `not_allowed` for
    /// somebody whose roles were all taken away.
    pub async fn authenticate_session(
        &self,
        secret: &str,
        source: Option<String>,
    ) -> Result<Session, Problem> {
        let session = self.look_at_session(secret, source).await?;
        self.note_use(secret).await?;
        Ok(session)
    }

    /// The same without noting it: a page that is only open is not in use.
    ///
    /// # Errors
    /// As [`Control::authenticate_session`].
    pub async fn look_at_session(
        &self,
        secret: &str,
        source: Option<String>,
    ) -> Result<Session, Problem> {
        let id = secret_hash(secret);
        let over = || not_signed_in("you are signed out: the session is over");
        let found = self.store.get::<SessionRecord>(Kind::Session, &id).await?.ok_or_else(over)?;
        let now = self.clock.now();
        if found.doc.is_over(now) {
            return Err(Problem::new(
                ProblemKind::NotSignedIn,
                "login_expired",
                format!(
                    "you were signed out: a session ends {IDLE} after its last use, and after {LONGEST}"
                ),
                "sign in again; what you were typing is kept as a draft",
            ));
        }
        let mut held = None;
        if let Some(token) = &found.doc.token {
            let token = self.store.token_by_hash::<TokenRecord>(token).await?;
            let token = token.filter(|t| t.doc.expires_at > now).ok_or_else(over)?.doc;
            // What an admin's token let somebody else into is that person's own.
            held = (token.person.as_ref() == Some(&found.doc.person)).then(|| token.held());
        }
        let person = self.store.get::<Person>(Kind::Person, &found.doc.person).await?;
        let person = person.ok_or_else(over)?.doc;
        let caller = Caller { person, source, session: Some(id), token: held };
        caller.must(Permission::Read)?;
        let (expires_at, provider) = (found.doc.expires_at, found.doc.provider);
        Ok(Session { secret: secret.to_owned(), caller, expires_at, provider })
    }

    async fn note_use(&self, secret: &str) -> Result<(), Problem> {
        let (id, now) = (secret_hash(secret), self.clock.now());
        let found = self.store.get::<SessionRecord>(Kind::Session, &id).await?;
        let stale = |s: &Versioned<SessionRecord>| now.since(s.doc.used_at) >= NOTE_USE_EVERY;
        let Some(mut found) = found.filter(stale) else { return Ok(()) };
        found.doc.used_at = now;
        let mut tx = Tx::new(now);
        let index = Index::none().parent(&found.doc.person);
        tx.update(Kind::Session, &id, found.generation, &found.doc, index);
        match self.store.commit(tx).await {
            // Another request noted it, or the session was ended meanwhile.
            Ok(_) | Err(CommitError::Conflict { .. }) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    /// Signs out. A session that is over already is as good.
    ///
    /// # Errors
    /// The store could not be written.
    pub async fn sign_out(&self, session: &Session) -> Result<(), Problem> {
        let (id, now) = (secret_hash(&session.secret), self.clock.now());
        let found = self.store.get::<SessionRecord>(Kind::Session, &id).await?;
        let Some(found) = found else { return Ok(()) };
        let mut tx = Tx::new(now);
        tx.delete(Kind::Session, &id, found.generation);
        tx.audit(
            plain_entry(now, session.caller.actor(), "session.closed", session_object(&id))
                .from(session.caller.source.as_deref())
                .into(),
        );
        self.store.commit(tx).await?;
        Ok(())
    }

    /// In a demo, become another of its people. The session so far ends.
    ///
    /// # Errors
    /// `demo_only` anywhere else; `no_such_person`.
    pub async fn view_as(&self, session: Session, person: &PersonName) -> Result<Session, Problem> {
        if !self.config.demo {
            return Err(Problem::new(
                ProblemKind::NotAllowed,
                "demo_only",
                "only a demo lets you be somebody else",
                "sign in as that person",
            ));
        }
        let now = self.clock.now();
        let known = self.store.get::<Person>(Kind::Person, person).await?;
        let known = known.ok_or_else(|| not_found("person", person.as_str()))?;
        let source = session.caller.source;
        let caller = Caller { person: known.doc, source, session: None, token: None };
        caller.must(Permission::Read)?;
        let how = format!("as seen by {}", session.caller.person.name);
        let before = Some(session.secret.as_str());
        self.open_session(caller, Way { how: &how, before, ..Way::default() }, now).await
    }

    /// Forgets sessions and codes that are over.
    pub(crate) async fn forget_sessions(&self, now: Timestamp) -> Result<(), Problem> {
        let mut tx = Tx::new(now);
        for session in self.all::<SessionRecord>(Kind::Session).await? {
            if session.doc.is_over(now) {
                tx.delete(Kind::Session, &session.id, session.generation);
            }
        }
        for code in self.all::<CodeRecord>(Kind::SignInCode).await? {
            if code.doc.expires_at <= now {
                tx.delete(Kind::SignInCode, &code.id, code.generation);
            }
        }
        if tx.is_empty() {
            return Ok(());
        }
        match self.store.commit(tx).await {
            // One was used or ended meanwhile: the next turn takes the rest.
            Ok(_) | Err(CommitError::Conflict { .. }) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }
}

/// Enough to tell sessions apart in the log, not enough to find one.
fn session_object(id: &str) -> String {
    format!("session/{}", id.chars().take(12).collect::<String>())
}

fn refused() -> Problem {
    Problem::new(
        ProblemKind::NotSignedIn,
        "sign_in_failed",
        "this does not let anybody in",
        "check the spelling; a one-time link works once and for an hour, and an admin can make a new one",
    )
}

pub(crate) fn too_many(wait: Span) -> Problem {
    Problem::new(
        ProblemKind::TooMany,
        "too_many_tries",
        "too many tries to sign in",
        format!("try again in {} s", wait.secs().ceil()),
    )
    .after(wait)
}
