//! `person list|add|link|unlink`.

use super::failure::{Exit, Failure};
use super::output::talk;
use super::run::Run;
use clap::Subcommand;
use control::sessions::MadeCode;
use control::views::{Page, PersonView, WhoAmI};
use domain::ids::PersonName;
use domain::people::Role;

/// Verbs on people.
#[derive(Debug, Subcommand)]
pub enum Person {
    /// Everybody
    List,
    /// Add somebody, or change their roles
    Add {
        /// Name for signing in
        name: PersonName,
        /// editor, approver, operator, auditor, admin, agent, finance; repeat or
        /// separate with commas
        #[arg(long = "role", required = true, value_delimiter = ',')]
        roles: Vec<Role>,
        /// Name as people say it
        #[arg(long, default_value = "")]
        display: String,
        /// E-mail address: the identity of the person's commits
        #[arg(long, default_value = "")]
        email: String,
    },
    /// Make a link that signs somebody in, once and within the hour
    Link {
        /// Who; you, if nobody is named. For others it takes an admin
        name: Option<PersonName>,
    },
    /// Forget which accounts at sign-on providers somebody has
    Unlink {
        /// Who
        name: PersonName,
    },
}

/// Runs a verb.
pub async fn run(run: &Run, verb: Person) -> Result<Exit, Failure> {
    match verb {
        Person::List => {
            let page: Page<PersonView> = run.api.all("people").await?;
            run.out
                .list(&page.items)
                .column("NAME", |p, _| p.name.to_string())
                .column("ROLES", |p, _| roles(p))
                .column("DISPLAY", |p, _| p.display.clone())
                .column("EMAIL", |p, _| p.email.clone())
                .print()?;
        }
        Person::Add { name, roles: wanted, display, email } => {
            let new = PersonView { name, display, email, roles: wanted.into_iter().collect() };
            let person: PersonView = run.api.post("people", &new, None).await?;
            run.out.one(&person, |out| {
                out.facts(&[
                    ("name", person.name.to_string()),
                    ("roles", roles(&person)),
                    ("display", person.display.clone()),
                    ("email", person.email.clone()),
                ])
            })?;
        }
        Person::Link { name } => {
            let name = match name {
                Some(name) => name,
                None => run.api.get::<WhoAmI>("whoami").await?.person.name,
            };
            let path = format!("people/{name}/sign-in-code");
            let made: MadeCode = run.api.post(&path, &(), None).await?;
            run.out.one(&made, |_| format!("{}\n", made.url))?;
        }
        Person::Unlink { name } => {
            run.api.delete(&format!("people/{name}/sign-on")).await?;
            talk(&format!("{name} is linked anew at the next sign-on."));
        }
    }
    Ok(Exit::Ok)
}

fn roles(person: &PersonView) -> String {
    person.roles.iter().map(|r| r.key()).collect::<Vec<_>>().join(",")
}
