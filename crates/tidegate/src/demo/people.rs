//! The people of the story, made by the admin as anybody would make them.

use super::DemoError;
use super::content::APP;
use super::folder::Folder;
use super::server::Server;
use crate::cli::client::Api;
use control::views::{MadeToken, NewToken, PersonView};
use domain::people::Role;

/// Who is who: name for signing in, name as people say it, roles, what for.
const PEOPLE: [(&str, &str, &[Role]); 5] = [
    ("ana", "Ana Ruiz", &[Role::Editor]),
    ("priya", "Priya Shah", &[Role::Approver]),
    ("omar", "Omar Haddad", &[Role::Operator]),
    ("irina", "Irina Novak", &[Role::Auditor]),
    ("dev", "Dev Patel", &[Role::Editor]),
];

/// The people with their way in.
pub struct Cast {
    /// Proposes.
    pub ana: Api,
    /// Approves.
    pub priya: Api,
    /// Is on call.
    pub omar: Api,
    /// Reads everything.
    pub irina: Api,
    /// The auditor's token, for commands.
    pub irina_token: String,
    /// What the app calls the gateway with.
    pub app_token: String,
}

impl Cast {
    /// Makes everybody, and keeps their tokens in the demo's folder.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn gather(server: &Server, folder: &Folder) -> Result<Self, DemoError> {
        let admin = server.api(&server.admin_token);
        let mut secrets = Vec::new();
        for (name, display, roles) in PEOPLE {
            let name: domain::ids::PersonName =
                name.parse().map_err(|e: domain::ids::InvalidId| DemoError::new(e.to_string()))?;
            let person = PersonView {
                name: name.clone(),
                display: display.to_owned(),
                email: format!("{name}@example.com"),
                roles: roles.iter().copied().collect(),
            };
            let _: PersonView = admin.post("people", &person, None).await?;
            let token = NewToken { person: Some(name.clone()), ..token("demo") };
            let made: MadeToken = admin.post("tokens", &token, None).await?;
            keep(folder, name.as_str(), &made.secret)?;
            secrets.push(made.secret);
        }
        let app = APP.parse().map_err(|e: domain::ids::InvalidId| DemoError::new(e.to_string()))?;
        let token = NewToken { apps: [app].into(), ..token("agents' desk") };
        let made: MadeToken = admin.post("tokens", &token, None).await?;
        keep(folder, "app", &made.secret)?;
        let secret = |i: usize| secrets.get(i).cloned().unwrap_or_default();
        Ok(Self {
            ana: server.api(&secret(0)),
            priya: server.api(&secret(1)),
            omar: server.api(&secret(2)),
            irina: server.api(&secret(3)),
            irina_token: secret(3),
            app_token: made.secret,
        })
    }
}

/// A token for programs of another app.
///
/// # Errors
/// When the server refuses.
pub async fn app_token(server: &Server, app: &str) -> Result<String, DemoError> {
    let app = app.parse().map_err(|e: domain::ids::InvalidId| DemoError::new(e.to_string()))?;
    let token = NewToken { apps: [app].into(), ..token("its own program") };
    let made: MadeToken = server.api(&server.admin_token).post("tokens", &token, None).await?;
    Ok(made.secret)
}

fn token(note: &str) -> NewToken {
    NewToken {
        person: None,
        apps: std::collections::BTreeSet::new(),
        gateway: false,
        note: note.to_owned(),
        lifetime: None,
    }
}

/// Keeps a token where only its owner reads it.
fn keep(folder: &Folder, who: &str, secret: &str) -> Result<(), DemoError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = folder.token(who);
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| writeln!(file, "{secret}"))
        .map_err(|e| DemoError::new(format!("`{}` cannot be written: {e}", path.display())))
}
