//! People and tokens.

use crate::caller::{Caller, secret_hash};
use crate::incidents::plain_entry;
use crate::listing::ListQuery;
use crate::problem::{Problem, ProblemKind};
use crate::records::TokenRecord;
use crate::views::{MadeToken, NewToken, Page, PersonView, TokenView, WhoAmI};
use crate::{Control, not_found};
use domain::audit::Actor;
use domain::facts::PolicyAction;
use domain::ids::PersonName;
use domain::params;
use domain::people::{Permission, Person, Role};
use domain::units::{Span, Timestamp};
use std::collections::BTreeSet;
use store::{Index, Kind, Tx};

/// How long a token lives at most, and where nobody says: a year.
pub const MAX_LIFETIME: Span = Span::from_secs(365 * 86_400);

/// Who writes, and from where.
pub(crate) struct By<'a> {
    actor: Actor,
    source: Option<&'a str>,
}

impl<'a> By<'a> {
    /// A person.
    fn caller(caller: &'a Caller) -> Self {
        Self { actor: caller.actor(), source: caller.source.as_deref() }
    }

    /// The system itself.
    pub(crate) fn system() -> Self {
        Self { actor: Actor::System, source: None }
    }
}

impl Control {
    /// The caller, and what a client needs to know of this installation.
    ///
    /// # Errors
    /// None at present.
    pub async fn whoami(&self, caller: &Caller) -> Result<WhoAmI, Problem> {
        Ok(WhoAmI {
            person: view(&caller.person),
            origin: self.config.origin.clone(),
            log_key: self.log_key(),
            environment: self.config.environment.clone(),
            gateway_url: self.config.gateway_url.clone(),
        })
    }

    /// People, in the order they were added.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn people(
        &self,
        _caller: &Caller,
        query: ListQuery,
    ) -> Result<Page<PersonView>, Problem> {
        let page = self.store.list::<Person>(query.oldest_first(Kind::Person)).await?;
        let items = page.items.iter().map(|p| view(&p.doc)).collect();
        Ok(Page { items, next: page.next.map(|c| c.to_string()) })
    }

    /// Adds a person or changes one.
    ///
    /// # Errors
    /// `not_allowed`; `last_admin` when nobody could manage people any more.
    pub async fn put_person(
        &self,
        caller: &Caller,
        person: PersonView,
    ) -> Result<PersonView, Problem> {
        caller.must(Permission::Administer)?;
        self.policies_allow(caller, PolicyAction::ManagePeople, None).await?;
        if caller.person.name == person.name && !person.roles.contains(&Role::Admin) {
            return Err(Problem::new(
                ProblemKind::Refused,
                "last_admin",
                "you cannot take the admin role from yourself",
                "ask another admin to do it",
            )
            .at("roles"));
        }
        let now = self.clock.now();
        let mut tx = Tx::new(now);
        let doc = self.write_person(&mut tx, &person, By::caller(caller), now).await?;
        self.store.commit(tx).await?;
        self.publish().await?;
        Ok(view(&doc))
    }

    pub(crate) async fn write_person(
        &self,
        tx: &mut Tx,
        person: &PersonView,
        by: By<'_>,
        now: Timestamp,
    ) -> Result<Person, Problem> {
        let known = self.store.get::<Person>(Kind::Person, person.name.as_str()).await?;
        let mut doc = from_view(person);
        // What is left out stays: commits already made carry the address, and
        // whose they are decides who may approve.
        if let Some(known) = &known {
            if person.display.is_empty() {
                doc.display.clone_from(&known.doc.display);
            }
            if person.email.is_empty() {
                doc.email.clone_from(&known.doc.email);
            }
        }
        match &known {
            Some(k) => {
                tx.update(Kind::Person, person.name.as_str(), k.generation, &doc, Index::default());
            }
            None => {
                tx.create(Kind::Person, person.name.as_str(), &doc, Index::default());
            }
        }
        let action = if known.is_some() { "person.changed" } else { "person.added" };
        let details = params! {"roles" => person.roles, "before" => known.map(|k| k.doc.roles)};
        tx.audit(
            plain_entry(now, by.actor, action, format!("person/{}", person.name))
                .from(by.source)
                .with(details)
                .into(),
        );
        Ok(doc)
    }

    /// Tokens, without secrets. Admins see all, others their own.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn tokens(
        &self,
        caller: &Caller,
        query: ListQuery,
    ) -> Result<Page<TokenView>, Problem> {
        let mut query = query.oldest_first(Kind::Token);
        if caller.must(Permission::Administer).is_err() {
            query = query.parent(caller.name());
        }
        let page = self.store.list::<TokenRecord>(query).await?;
        let items = page.items.iter().map(|t| token_view(&t.doc)).collect();
        Ok(Page { items, next: page.next.map(|c| c.to_string()) })
    }

    /// Makes a token. People make their own; admins make anyone's, and those
    /// of programs and gateways. One that is asked for with a token ends no later
    /// than that.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_person`, `lifetime_too_long`,
    /// `token_cannot_breed`, or a token for nothing.
    pub async fn create_token(
        &self,
        caller: &Caller,
        mut new: NewToken,
    ) -> Result<MadeToken, Problem> {
        let own = new.person.as_ref() == Some(caller.name()) && !new.gateway;
        if !own {
            caller.must(Permission::Administer)?;
        }
        self.policies_allow(caller, PolicyAction::MakeToken, None).await?;
        let now = self.clock.now();
        new.lifetime = Some(lifetime(caller, new.lifetime, now)?);
        let mut tx = Tx::new(now);
        let made = self.write_token(&mut tx, new, By::caller(caller), now).await?;
        self.store.commit(tx).await?;
        self.publish().await?;
        Ok(made)
    }

    pub(crate) async fn write_token(
        &self,
        tx: &mut Tx,
        new: NewToken,
        by: By<'_>,
        now: Timestamp,
    ) -> Result<MadeToken, Problem> {
        if let Some(name) = &new.person
            && self.store.get::<Person>(Kind::Person, name).await?.is_none()
        {
            return Err(not_found("person", name.as_str()));
        }
        let secret = fresh_secret(if new.person.is_some() { "tgp_" } else { "tgk_" })?;
        let record = TokenRecord {
            hash: secret_hash(&secret),
            person: new.person,
            apps: new.apps,
            gateway: new.gateway,
            note: new.note,
            created_at: now,
            expires_at: now.plus(new.lifetime.unwrap_or(MAX_LIFETIME)),
            preview: None,
        };
        tx.create(Kind::Token, &record.hash, &record, index(&record));
        let details = params! {
            "person" => record.person, "apps" => record.apps, "gateway" => record.gateway,
            "note" => record.note, "expires_at" => record.expires_at,
        };
        let token = token_view(&record);
        tx.audit(
            plain_entry(now, by.actor, "token.created", format!("token/{}", token.id))
                .from(by.source)
                .with(details)
                .into(),
        );
        Ok(MadeToken { secret, token })
    }

    /// Revokes a token: at once here, within a second at every gateway.
    ///
    /// # Errors
    /// `no_such_token`, `not_allowed`.
    pub async fn revoke_token(&self, caller: &Caller, id: &str) -> Result<(), Problem> {
        let found =
            if id.len() >= 8 { self.store.ids(Kind::Token, id, 2).await? } else { Vec::new() };
        let token = match found.as_slice() {
            [hash] => self.store.token_by_hash::<TokenRecord>(hash).await?,
            _ => None,
        };
        let token = token.ok_or_else(|| not_found("token", id))?;
        if token.doc.person.as_ref() != Some(caller.name()) {
            caller.must(Permission::Administer)?;
        }
        let now = self.clock.now();
        let mut tx = Tx::new(now);
        tx.delete(Kind::Token, &token.doc.hash, token.generation);
        let object = format!("token/{}", token_view(&token.doc).id);
        let entry = plain_entry(now, caller.actor(), "token.revoked", object);
        tx.audit(entry.from(caller.source.as_deref()).into());
        self.store.commit(tx).await?;
        self.publish().await?;
        Ok(())
    }

    /// The people whose commits carry one of these e-mail addresses (lower
    /// case). Two may share one; then it is both.
    pub(crate) async fn people_by_email(
        &self,
        emails: &BTreeSet<String>,
    ) -> Result<BTreeSet<PersonName>, Problem> {
        let people = self.all::<Person>(Kind::Person).await?.into_iter().map(|p| p.doc);
        let wrote = |p: &Person| emails.contains(&p.email.trim().to_lowercase());
        Ok(people.filter(wrote).map(|p| p.name).collect())
    }
}

/// Tokens of people are found by whose they are.
fn index(record: &TokenRecord) -> Index {
    record.person.as_ref().map_or_else(Index::none, |person| Index::none().parent(person))
}

/// How long a new token lives.
fn lifetime(caller: &Caller, asked: Option<Span>, now: Timestamp) -> Result<Span, Problem> {
    if asked.is_some_and(|asked| asked > MAX_LIFETIME) {
        return Err(Problem::new(
            ProblemKind::Invalid,
            "lifetime_too_long",
            format!("a token lives at most {MAX_LIFETIME}"),
            "ask for less, and make another one in time",
        )
        .at("lifetime"));
    }
    let ends = caller.token.as_ref().map(|token| token.expires_at);
    let left = ends.map(|ends| ends.since(now));
    match (asked, left) {
        (Some(asked), Some(left)) if asked > left => Err(Problem::new(
            ProblemKind::NotAllowed,
            "token_cannot_breed",
            format!(
                "a token cannot make one that outlives it: it ends at {}",
                ends.map(Timestamp::iso).unwrap_or_default()
            ),
            "leave `lifetime` out to end with it, or sign in with the page and ask there",
        )
        .at("lifetime")),
        (asked, left) => Ok(asked.or(left).unwrap_or(MAX_LIFETIME).min(MAX_LIFETIME)),
    }
}

/// A secret nobody can guess.
pub(crate) fn fresh_secret(prefix: &str) -> Result<String, Problem> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| crate::wrong("random numbers", &e))?;
    Ok(format!("{prefix}{}", hex::encode(bytes)))
}

fn view(person: &Person) -> PersonView {
    PersonView {
        name: person.name.clone(),
        display: person.display.clone(),
        email: person.email.clone(),
        roles: person.roles.clone(),
    }
}

/// Fills in what a person need not say: display name and commit identity.
fn from_view(view: &PersonView) -> Person {
    let name = view.name.clone();
    let or = |text: &str, default: String| if text.is_empty() { default } else { text.to_owned() };
    Person {
        display: or(&view.display, name.to_string()),
        email: or(&view.email, format!("{name}@tidegate.invalid")),
        roles: view.roles.clone(),
        name,
    }
}

fn token_view(token: &TokenRecord) -> TokenView {
    TokenView {
        id: token.hash.chars().take(12).collect(),
        person: token.person.clone(),
        apps: token.apps.clone(),
        gateway: token.gateway,
        note: token.note.clone(),
        created_at: token.created_at,
        expires_at: token.expires_at,
    }
}
