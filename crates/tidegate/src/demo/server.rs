//! The ordinary server, as a process of its own: `tidegate init`, `tidegate serve`.

use super::DemoError;
use super::content;
use super::folder::Folder;
use crate::cli::client::Api;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

/// Ports tried first, so that the addresses are those of the documentation.
const USUAL_PORTS: (u16, u16) = (8080, 8081);
/// How long the server may take to come up.
const START_WITHIN: Duration = Duration::from_secs(20);
/// How often it is looked whether it is up.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A running server.
pub struct Server {
    /// Address of the control port.
    pub control: String,
    /// Address of the gateway port.
    pub gateway: String,
    /// The first admin's token.
    pub admin_token: String,
    child: Mutex<Child>,
}

impl Server {
    /// Makes the data directory from the example and starts the server on it.
    ///
    /// # Errors
    /// When either command fails; its own words are in the error.
    pub async fn start(folder: &Folder) -> Result<Self, DemoError> {
        for (path, text) in content::ops() {
            let file = folder.seed().join(path);
            let parent = file.parent().map(PathBuf::from).unwrap_or_default();
            std::fs::create_dir_all(&parent).and_then(|()| std::fs::write(&file, text)).map_err(
                |e| DemoError::new(format!("`{}` cannot be written: {e}", file.display())),
            )?;
        }
        let admin_token = init(folder).await?;
        let listen = addresses();
        let ready = folder.ready();
        let log = std::fs::File::create(folder.log()).map_err(|e| {
            DemoError::new(format!("`{}` cannot be written: {e}", folder.log().display()))
        })?;
        let child = tidegate()?
            .arg("serve")
            .args(["--data".as_ref(), folder.data().as_os_str()])
            .args(["--listen", &listen.0, "--gateway-listen", &listen.1, "--look-every", "200ms"])
            .args(["--ready-file".as_ref(), ready.as_os_str(), "--demo".as_ref()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| DemoError::new(format!("the server cannot be started: {e}")))?;
        let mut server = Self {
            control: String::new(),
            gateway: String::new(),
            admin_token,
            child: Mutex::new(child),
        };
        let said = tokio::select! {
            said = wait_until_ready(&ready) => said?,
            ended = server.ended() => return Err(ended),
        };
        (server.control, server.gateway) = (said.control, said.gateway);
        Ok(server)
    }

    /// The control port, as this token's person.
    pub fn api(&self, token: &str) -> Api {
        Api::new(&self.control, Some(token.to_owned()))
    }

    /// Returns once the server is gone, which it should not be.
    pub async fn ended(&self) -> DemoError {
        loop {
            if let Ok(Some(status)) = self.child.lock().await.try_wait() {
                return DemoError::new(format!("the server ended by itself ({status})"));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Ends the server.
    pub async fn stop(&self) {
        let mut child = self.child.lock().await;
        // Gone already is as good.
        child.start_kill().ok();
        child.wait().await.ok();
    }
}

/// This very program.
pub fn tidegate() -> Result<Command, DemoError> {
    std::env::current_exe()
        .map(Command::new)
        .map_err(|e| DemoError::new(format!("this program cannot find itself: {e}")))
}

/// Makes the data directory; gives the first admin's token.
async fn init(folder: &Folder) -> Result<String, DemoError> {
    let output = tidegate()?
        .arg("init")
        .arg(folder.data())
        .args(["--from".as_ref(), folder.seed().as_os_str()])
        .args(["--output", "json", "--no-input"])
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|e| DemoError::new(format!("`tidegate init` cannot be started: {e}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(DemoError::new(format!("`tidegate init` failed: {}", said.trim())));
    }
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|e| {
        DemoError::new(format!("`tidegate init` said something else than JSON: {e}"))
    })?;
    report
        .get("admin_token")
        .and_then(serde_json::Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| DemoError::new("`tidegate init` gave no admin token"))
}

/// Where the server says that it listens.
#[derive(Deserialize)]
struct Ready {
    control: String,
    gateway: String,
}

/// Waits for the file the server writes once it serves.
async fn wait_until_ready(path: &Path) -> Result<Ready, DemoError> {
    let written = async {
        loop {
            if let Ok(text) = std::fs::read_to_string(path) {
                return text;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let text = tokio::time::timeout(START_WITHIN, written).await.map_err(|_| {
        DemoError::new(format!("the server was not ready within {} s", START_WITHIN.as_secs()))
    })?;
    serde_json::from_str(&text).map_err(|e| {
        DemoError::new(format!("what the server says about itself does not read: {e}"))
    })
}

/// The usual ports, or any free ones if another program has one of them.
fn addresses() -> (String, String) {
    let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    let (control, gateway) =
        if free(USUAL_PORTS.0) && free(USUAL_PORTS.1) { USUAL_PORTS } else { (0, 0) };
    (format!("127.0.0.1:{control}"), format!("127.0.0.1:{gateway}"))
}
