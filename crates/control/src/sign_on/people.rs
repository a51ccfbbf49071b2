//! Who somebody at a provider is here.

use super::SignOn;
use crate::caller::secret_hash;
use crate::incidents::plain_entry;
use crate::people::By;
use crate::problem::{Problem, ProblemKind};
use crate::views::PersonView;
use crate::{Caller, Control, not_found};
use connect::oidc::Claims;
use domain::audit::Actor;
use domain::ids::PersonName;
use domain::params;
use domain::people::{Permission, Person, Role};
use domain::units::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use store::{Index, Kind, Query, Tx};

/// Names tried for somebody who is added: `ana`, `ana-2`, …
const MAX_NAMES: u32 = 20;

/// Who somebody at a provider is here. The id is the hash of issuer and subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LinkRecord {
    person: PersonName,
    issuer: String,
    subject: String,
    since: Timestamp,
}

impl Control {
    /// Who this is here.
    pub(super) async fn who_is(
        &self,
        on: &SignOn,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<PersonName, Problem> {
        let link = secret_hash(&format!("{}\n{}", on.provider.issuer(), claims.sub));
        let known = self.store.get::<LinkRecord>(Kind::SignOn, &link).await?;
        let mut tx = Tx::new(now);
        let mut person = match known {
            Some(known) => self.person(&known.doc.person).await?,
            None => {
                let person = self.recognise(on, claims, now, &mut tx).await?;
                let record = LinkRecord {
                    person: person.name.clone(),
                    issuer: on.provider.issuer().to_owned(),
                    subject: claims.sub.clone(),
                    since: now,
                };
                tx.create(Kind::SignOn, &link, &record, Index::none().parent(&person.name));
                let object = format!("person/{}", person.name);
                let entry = plain_entry(now, Actor::System, "person.linked", object);
                tx.audit(entry.with(params! {"provider" => on.spec.id}).into());
                person
            }
        };
        if person.roles.contains(&Role::Agent) {
            return Err(refused(
                on,
                format!("`{}` is a program here, and programs sign in with tokens", person.name),
                "sign in with your own account",
            ));
        }
        if !on.spec.roles.is_empty() {
            let roles = self.roles_by_group(on, claims, &person).await?;
            if roles != person.roles {
                person.roles = roles;
                self.write_person(&mut tx, &view(&person), By::system(), now).await?;
            }
        }
        if !tx.is_empty() {
            self.store.commit(tx).await?;
            self.publish().await?;
        }
        Ok(person.name)
    }

    async fn person(&self, name: &PersonName) -> Result<Person, Problem> {
        let person = self.store.get::<Person>(Kind::Person, name).await?;
        Ok(person.ok_or_else(|| not_found("person", name.as_str()))?.doc)
    }

    /// Somebody who comes by this provider for the first time.
    async fn recognise(
        &self,
        on: &SignOn,
        claims: &Claims,
        now: Timestamp,
        tx: &mut Tx,
    ) -> Result<Person, Problem> {
        if let Some(name) = on.spec.people.get(&claims.sub) {
            return self.person(name).await;
        }
        let email = claims.verified_email();
        let found = match email.clone().filter(|_| on.spec.by_email) {
            Some(email) => self.people_by_email(&[email].into()).await?,
            None => BTreeSet::new(),
        };
        let ask = format!(
            "ask an admin of Tidegate to add you with the address {} has of you",
            on.spec.name
        );
        match (found.len(), found.into_iter().next()) {
            (1, Some(name)) => {
                if self.has_other_link(&name, on.provider.issuer()).await? {
                    let said =
                        format!("`{name}` signs in with another account of {}", on.spec.name);
                    let mend = "use that account; or an admin forgets it, with `tidegate person unlink NAME`";
                    return Err(refused(on, said, mend));
                }
                self.person(&name).await
            }
            (0, _) if on.spec.create => match email {
                Some(email) => self.add(on, claims, &email, now, tx).await,
                None => Err(refused(on, "your address is not verified there".to_owned(), &ask)),
            },
            (0, _) if email.is_none() && on.spec.by_email => {
                let said = format!("{} does not say that your address is verified", on.spec.name);
                Err(refused(on, said, "have it verified there, or ask an admin of Tidegate"))
            }
            (0, _) => Err(refused(on, "nobody here has your account".to_owned(), &ask)),
            _ => Err(refused(
                on,
                "several people here have your address".to_owned(),
                "ask an admin of Tidegate to give each their own",
            )),
        }
    }

    async fn has_other_link(&self, person: &PersonName, issuer: &str) -> Result<bool, Problem> {
        let links = self.links_of(person).await?;
        Ok(links.iter().any(|link| link.doc.issuer == issuer))
    }

    async fn links_of(
        &self,
        person: &PersonName,
    ) -> Result<Vec<store::Versioned<LinkRecord>>, Problem> {
        let query = Query::of(Kind::SignOn).parent(person).limit(store::MAX_PAGE);
        Ok(self.store.list::<LinkRecord>(query).await?.items)
    }

    /// Adds somebody nobody here knew.
    async fn add(
        &self,
        on: &SignOn,
        claims: &Claims,
        email: &str,
        now: Timestamp,
        tx: &mut Tx,
    ) -> Result<Person, Problem> {
        let local = email.split('@').next().unwrap_or_default();
        let wanted = slug(claims.text(&on.spec.name_claim).unwrap_or(local));
        let mut free = None;
        for n in 1..=MAX_NAMES {
            let name = if n == 1 { wanted.clone() } else { format!("{wanted}-{n}") };
            let Ok(name) = name.parse::<PersonName>() else { break };
            if self.store.get::<Person>(Kind::Person, &name).await?.is_none() {
                free = Some(name);
                break;
            }
        }
        let name = free.ok_or_else(|| {
            refused(on, "no name is free for you here".to_owned(), "ask an admin to add you")
        })?;
        let display = claims.text("name").unwrap_or_default();
        let display = display.chars().filter(|c| !c.is_control()).take(100).collect();
        let mut roles = on.spec.new_people.clone();
        if !on.spec.roles.is_empty() {
            roles = mapped(on, claims);
        }
        if roles.is_empty() {
            return Err(no_group(on));
        }
        let new = PersonView { name, display, email: email.to_owned(), roles };
        self.write_person(tx, &new, By::system(), now).await
    }

    /// The roles somebody's groups give. The last admin stays one.
    async fn roles_by_group(
        &self,
        on: &SignOn,
        claims: &Claims,
        person: &Person,
    ) -> Result<BTreeSet<Role>, Problem> {
        let mut roles = mapped(on, claims);
        if person.roles.contains(&Role::Admin) && !roles.contains(&Role::Admin) {
            let people = self.all::<Person>(Kind::Person).await?;
            let other = |p: &Person| p.name != person.name && p.roles.contains(&Role::Admin);
            if !people.iter().any(|p| other(&p.doc)) {
                roles.insert(Role::Admin);
            }
        }
        if roles.is_empty() { Err(no_group(on)) } else { Ok(roles) }
    }

    /// Forgets which accounts at providers a person signs in with.
    ///
    /// # Errors
    /// `not_allowed`, `no_such_person`.
    pub async fn forget_sign_on(
        &self,
        caller: &Caller,
        person: &PersonName,
    ) -> Result<(), Problem> {
        caller.must(Permission::Administer)?;
        self.person(person).await?;
        let now = self.clock.now();
        let mut tx = Tx::new(now);
        for link in self.links_of(person).await? {
            tx.delete(Kind::SignOn, &link.id, link.generation);
        }
        if tx.is_empty() {
            return Ok(());
        }
        let entry = plain_entry(now, caller.actor(), "person.unlinked", format!("person/{person}"));
        tx.audit(entry.from(caller.source.as_deref()).into());
        self.store.commit(tx).await?;
        Ok(())
    }
}

fn view(person: &Person) -> PersonView {
    PersonView {
        name: person.name.clone(),
        display: person.display.clone(),
        email: person.email.clone(),
        roles: person.roles.clone(),
    }
}

fn mapped(on: &SignOn, claims: &Claims) -> BTreeSet<Role> {
    let groups = claims.list(&on.spec.groups_claim);
    groups.iter().filter_map(|group| on.spec.roles.get(*group)).flatten().copied().collect()
}

fn no_group(on: &SignOn) -> Problem {
    refused(
        on,
        "none of your groups there has a role here".to_owned(),
        "ask for a group that has one, or ask an admin of Tidegate",
    )
}

fn refused(on: &SignOn, said: String, mend: &str) -> Problem {
    let detail = format!("{} knows you, but {said}", on.spec.name);
    Problem::new(ProblemKind::NotSignedIn, "sign_on_refused", detail, mend)
}

/// A name for signing in, made of what a provider says.
fn slug(text: &str) -> String {
    let text = text.split('@').next().unwrap_or_default().to_lowercase();
    let name: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(50).collect();
    name.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn names_are_made_of_what_providers_say() {
        for (said, name) in
            [("Ana.Ruiz@x", "ana-ruiz"), ("DOM\\ana", "dom-ana"), ("--", ""), ("李", "")]
        {
            assert_eq!(slug(said), name);
        }
    }
}
