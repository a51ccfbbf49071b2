//! Changing a password.

use super::password::{MAX_PASSWORD, PasswordHash, refuse_weak};
use super::too_many;
use crate::caller::{Caller, secret_hash};
use crate::incidents::plain_entry;
use crate::problem::{Problem, ProblemKind};
use crate::{Control, not_found};
use domain::ids::PersonName;
use domain::params;
use domain::people::{Permission, Person};
use store::{Index, Kind, Tx};

impl Control {
    /// Sets a password: one's own with the old one, an admin anybody's. All
    /// other sessions of the person end.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_person`, `weak_password`, `wrong_password`,
    /// `too_many_tries`; `token_cannot_breed` for one's own first password, asked
    /// with a token.
    pub async fn set_password(
        &self,
        caller: &Caller,
        person: &PersonName,
        current: Option<&str>,
        password: &str,
    ) -> Result<(), Problem> {
        let own = caller.name() == person;
        if !own {
            caller.must(Permission::Administer)?;
        }
        if self.store.get::<Person>(Kind::Person, person).await?.is_none() {
            return Err(not_found("person", person.as_str()));
        }
        refuse_weak(password, person.as_str())?;
        let known = self.store.get::<PasswordHash>(Kind::Password, person).await?;
        match &known {
            Some(known) if own => self.check_current(caller, &known.doc, current).await?,
            None if own => caller.must_be_here("set a first password")?,
            _ => {}
        }
        let hash = PasswordHash::of(password).await?;
        let now = self.clock.now();
        let mut tx = Tx::new(now);
        match &known {
            Some(k) => {
                tx.update(Kind::Password, person, k.generation, &hash, Index::none());
            }
            None => {
                tx.create(Kind::Password, person, &hash, Index::none());
            }
        }
        let others = self.sessions_of(person).await?;
        for other in others.iter().filter(|s| caller.session.as_ref() != Some(&s.id)) {
            tx.delete(Kind::Session, &other.id, other.generation);
        }
        tx.audit(
            plain_entry(now, caller.actor(), "person.password_set", format!("person/{person}"))
                .from(caller.source.as_deref())
                .with(params! {"before" => known.is_some()})
                .into(),
        );
        self.store.commit(tx).await?;
        Ok(())
    }

    /// The old password, or nobody who finds an open page keeps the account.
    async fn check_current(
        &self,
        caller: &Caller,
        known: &PasswordHash,
        current: Option<&str>,
    ) -> Result<(), Problem> {
        let name = secret_hash(caller.name().as_str());
        let address = caller.source.as_deref().unwrap_or("-");
        let made = self.tries.begin(Some(&name), address, self.clock.now()).map_err(too_many)?;
        let current = current.unwrap_or_default();
        if current.len() > MAX_PASSWORD || !known.is(current).await? {
            return Err(Problem::new(
                ProblemKind::NotAllowed,
                "wrong_password",
                "this is not the present password",
                "send it as `current`, or ask an admin to set a new one",
            )
            .at("current"));
        }
        self.tries.succeeded(made);
        Ok(())
    }
}
