//! Who is asking, and may they?

use crate::Control;
use crate::problem::{Problem, ProblemKind};
use crate::records::TokenRecord;
use domain::audit::Actor;
use domain::ids::PersonName;
use domain::people::{Permission, Person, may};
use domain::units::Timestamp;
use sha2::{Digest as _, Sha256};
use store::Kind;

/// A signed-in person and where the request came from.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The person.
    pub person: Person,
    /// Network address, for the audit log.
    pub source: Option<String>,
    /// The browser session, if there is one.
    pub session: Option<String>,
    /// The token that is shown, or that the session was opened with: what is
    /// made with it reaches no further.
    pub token: Option<HeldToken>,
}

/// A token somebody acts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldToken {
    /// Hexadecimal SHA-256 of the secret.
    pub hash: String,
    /// Not valid from then on.
    pub expires_at: Timestamp,
}

impl TokenRecord {
    /// As somebody holds it.
    pub(crate) fn held(&self) -> HeldToken {
        HeldToken { hash: self.hash.clone(), expires_at: self.expires_at }
    }
}

impl Caller {
    /// The person's name.
    pub fn name(&self) -> &PersonName {
        &self.person.name
    }

    /// The person as actor of an audit entry.
    pub fn actor(&self) -> Actor {
        Actor::Person(self.person.name.clone())
    }

    /// Fails for a token: whoever finds one must not make more of it than it is.
    pub(crate) fn must_be_here(&self, to: &str) -> Result<(), Problem> {
        if self.token.is_none() {
            return Ok(());
        }
        Err(Problem::new(
            ProblemKind::NotAllowed,
            "token_cannot_breed",
            format!("a token cannot {to}: it would outlive the token"),
            "sign in with a one-time link, which an admin makes with `tidegate person link NAME`",
        ))
    }

    /// Fails unless one of the person's roles grants this.
    pub(crate) fn must(&self, permission: Permission) -> Result<(), Problem> {
        if may(&self.person.roles, permission) {
            return Ok(());
        }
        let who = granting(permission);
        Err(Problem::new(
            ProblemKind::NotAllowed,
            "not_allowed",
            format!("`{}` may not do this: it takes the role {who}", self.person.name),
            format!("ask somebody with the role {who}"),
        ))
    }
}

/// The roles that grant a permission, in words.
fn granting(permission: Permission) -> String {
    if domain::people::Role::ALL.into_iter().all(|role| may(&[role].into(), permission)) {
        return "of anybody here, and this person has none".to_owned();
    }
    let names: Vec<_> = domain::people::Role::ALL
        .into_iter()
        .filter(|role| may(&[*role].into(), permission))
        .map(domain::people::Role::key)
        .collect();
    names.join(" or ")
}

/// The hash under which a secret is stored.
pub fn secret_hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

impl Control {
    /// Who holds this token?
    ///
    /// # Errors
    /// `not_signed_in` for an unknown, expired or revoked token, or one that
    /// speaks for no person; `not_allowed` for somebody whose roles were all
    /// taken away, who may not even read.
    pub async fn authenticate(
        &self,
        secret: &str,
        source: Option<String>,
    ) -> Result<Caller, Problem> {
        let token = self.token(secret).await?;
        let held = token.held();
        let Some(name) = token.person else {
            return Err(not_signed_in(
                "this token calls apps through the gateway; it cannot act here",
            ));
        };
        let person =
            self.store.get::<Person>(Kind::Person, name.as_str()).await?.ok_or_else(|| {
                not_signed_in("the person this token belongs to no longer exists")
            })?;
        let caller = Caller { person: person.doc, source, session: None, token: Some(held) };
        caller.must(Permission::Read)?;
        Ok(caller)
    }

    /// May this token join as a gateway?
    ///
    /// # Errors
    /// `not_signed_in` or `not_allowed`.
    pub async fn authenticate_gateway(&self, secret: &str) -> Result<(), Problem> {
        if self.token(secret).await?.gateway {
            return Ok(());
        }
        Err(Problem::new(
            ProblemKind::NotAllowed,
            "not_a_gateway",
            "this token does not let a gateway join",
            "make one with `tidegate token create --gateway`",
        ))
    }

    pub(crate) async fn token(&self, secret: &str) -> Result<TokenRecord, Problem> {
        let token = self
            .store
            .get::<TokenRecord>(Kind::Token, &secret_hash(secret))
            .await?
            .ok_or_else(|| not_signed_in("this token is not known here"))?;
        if token.doc.expires_at <= self.clock.now() {
            return Err(not_signed_in("this token has expired"));
        }
        Ok(token.doc)
    }
}

/// 401 with what to do.
pub fn not_signed_in(detail: &str) -> Problem {
    Problem::new(
        ProblemKind::NotSignedIn,
        "not_signed_in",
        detail,
        "sign in with `tidegate login`, or set TIDEGATE_TOKEN to a token from `tidegate token create`",
    )
}
