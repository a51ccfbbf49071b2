//! One-time codes: a link that signs somebody in once.

use super::{CODE_LIFETIME, FIRST_SIGN_IN, refused};
use crate::caller::{Caller, secret_hash};
use crate::incidents::plain_entry;
use crate::problem::Problem;
use crate::{Control, not_found};
use domain::audit::Actor;
use domain::ids::PersonName;
use domain::params;
use domain::people::{Permission, Person};
use domain::units::Timestamp;
use serde::{Deserialize, Serialize};
use store::{CommitError, Index, Kind, Tx};

/// A one-time code, in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CodeRecord {
    pub(super) person: PersonName,
    pub(super) expires_at: Timestamp,
    /// The token it was made with: what it opens ends with that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) made_with: Option<String>,
}

/// A one-time code just made: the only time it is shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct MadeCode {
    /// The code.
    pub code: String,
    /// The page that signs in with it.
    pub url: String,
    /// Not valid from then on.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for MadeCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MadeCode(until {})", self.expires_at.iso())
    }
}

impl Control {
    /// A code opens once: taking it away is part of being let in.
    pub(super) async fn by_code(&self, code: &str, now: Timestamp) -> Result<CodeRecord, Problem> {
        let id = secret_hash(code);
        let found = self.store.get::<CodeRecord>(Kind::SignInCode, &id).await?;
        let found = found.ok_or_else(refused)?;
        let mut tx = Tx::new(now);
        tx.delete(Kind::SignInCode, &id, found.generation);
        match self.store.commit(tx).await {
            Ok(_) => {}
            Err(CommitError::Conflict { .. }) => return Err(refused()),
            Err(other) => return Err(other.into()),
        }
        if found.doc.expires_at <= now {
            return Err(refused());
        }
        Ok(found.doc)
    }

    /// Makes a one-time code for oneself; an admin for anybody. Made with a token,
    /// it opens a session that ends with the token.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_person`.
    pub async fn make_sign_in_code(
        &self,
        caller: &Caller,
        person: &PersonName,
    ) -> Result<MadeCode, Problem> {
        if caller.name() != person {
            caller.must(Permission::Administer)?;
        }
        let made_with = caller.token.as_ref().map(|token| token.hash.clone());
        self.write_code(person, caller.actor(), caller.source.as_deref(), made_with).await
    }

    /// A code for the first admin, while nobody has ever signed in by browser.
    ///
    /// # Errors
    /// The store could not be read or written.
    pub async fn first_sign_in(&self) -> Result<Option<MadeCode>, Problem> {
        if self.store.get::<Timestamp>(Kind::Meta, FIRST_SIGN_IN).await?.is_some() {
            return Ok(None);
        }
        let people = self.all::<Person>(Kind::Person).await?;
        let admin = people
            .into_iter()
            .map(|p| p.doc)
            .find(|p| domain::people::may(&p.roles, Permission::Administer));
        let Some(admin) = admin else { return Ok(None) };
        self.write_code(&admin.name, Actor::System, None, None).await.map(Some)
    }

    async fn write_code(
        &self,
        person: &PersonName,
        actor: Actor,
        source: Option<&str>,
        made_with: Option<String>,
    ) -> Result<MadeCode, Problem> {
        if self.store.get::<Person>(Kind::Person, person).await?.is_none() {
            return Err(not_found("person", person.as_str()));
        }
        let mut bytes = [0; 20];
        getrandom::fill(&mut bytes).map_err(|e| crate::wrong("random numbers", &e))?;
        let code = hex::encode(bytes);
        let now = self.clock.now();
        let expires_at = now.plus(CODE_LIFETIME);
        let record = CodeRecord { person: person.clone(), expires_at, made_with };
        let mut tx = Tx::new(now);
        tx.create(Kind::SignInCode, secret_hash(&code), &record, Index::none().parent(person));
        tx.audit(
            plain_entry(now, actor, "session.code_made", format!("person/{person}"))
                .from(source)
                .with(params! {"expires_at" => expires_at})
                .into(),
        );
        self.store.commit(tx).await?;
        Ok(MadeCode { url: self.url(&format!("signin?code={code}")), code, expires_at })
    }
}
