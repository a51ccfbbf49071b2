//! A `tidegate serve` of our own, driven by plain commands as a person would.

use crate::{Failed, tools};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the server may take to come up.
const START_WITHIN: Duration = Duration::from_secs(120);

/// A running server; ended when dropped.
pub struct Server {
    binary: PathBuf,
    folder: PathBuf,
    child: Child,
    /// Address of the control port.
    pub control: String,
    /// Address of the gateway port.
    pub gateway: String,
    /// The first admin's token.
    pub admin: String,
    /// The key that snapshots and checkpoints are signed by.
    pub key: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already is as good.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Server {
    /// Makes a data directory below `folder` from the ops repo there, and serves it.
    pub fn start(binary: &Path, folder: &Path, extra: &[&str]) -> Result<Self, Failed> {
        let data = folder.join("data");
        let made = tools::run_quietly(
            Command::new(binary)
                .arg("init")
                .arg(&data)
                .args(["--output", "json", "--no-input", "--from"])
                .arg(folder.join("ops")),
        )?;
        let made = json(&made)?;
        let (admin, key) = (text(&made, "/admin_token")?, text(&made, "/log_key")?);
        let mut server = Self {
            child: serve(binary, folder, extra)?,
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            control: String::new(),
            gateway: String::new(),
            admin,
            key,
        };
        server.wait()?;
        Ok(server)
    }

    /// Ends it, as a power cut would.
    pub fn stop(&mut self) {
        // Gone already is as good.
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Serves the same data directory again.
    pub fn again(&mut self, extra: &[&str]) -> Result<(), Failed> {
        std::fs::remove_file(self.folder.join("ready.json")).ok();
        self.child = serve(&self.binary, &self.folder, extra)?;
        self.wait()
    }

    fn wait(&mut self) -> Result<(), Failed> {
        let (ready, log) = (self.folder.join("ready.json"), self.folder.join("server.log"));
        let ready = wait_until_ready(&mut self.child, &ready, &log)?;
        self.control = text(&ready, "/control")?;
        self.gateway = text(&ready, "/gateway")?;
        Ok(())
    }

    /// A `tidegate` command as this token's holder.
    pub fn command(&self, token: &str, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(words)
            .env("TIDEGATE_SERVER", &self.control)
            .env("TIDEGATE_TOKEN", token)
            .env("TIDEGATE_CONFIG", self.folder.join("contexts.json"))
            .current_dir(&self.folder);
        command
    }

    /// Runs it; gives what it printed.
    pub fn run(&self, token: &str, words: &[&str]) -> Result<String, Failed> {
        tools::run_quietly(&mut self.command(token, words))
    }

    /// Runs it with `--output json`.
    pub fn json(&self, token: &str, words: &[&str]) -> Result<Value, Failed> {
        let mut all = words.to_vec();
        all.extend(["--output", "json"]);
        json(&self.run(token, &all)?)
    }

    /// Makes a person with a token.
    pub fn person(&self, name: &str, role: &str) -> Result<String, Failed> {
        self.run(&self.admin, &["person", "add", name, "--role", role])?;
        let made = self.json(&self.admin, &["token", "create", "--person", name])?;
        text(&made, "/secret")
    }
}

fn serve(binary: &Path, folder: &Path, extra: &[&str]) -> Result<Child, Failed> {
    let log = folder.join("server.log");
    let file = std::fs::File::create(&log).map_err(|e| format!("`{}`: {e}", log.display()))?;
    Command::new(binary)
        .args(["serve", "--look-every", "200ms", "--data"])
        .arg(folder.join("data"))
        .args(["--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0", "--ready-file"])
        .arg(folder.join("ready.json"))
        .args(extra)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .map_err(|e| format!("`{}` could not be started: {e}", binary.display()))
}

/// Waits for the file in which a server says where it listens.
pub fn wait_until_ready(child: &mut Child, ready: &Path, log: &Path) -> Result<Value, Failed> {
    let began = Instant::now();
    loop {
        if let Ok(said) = std::fs::read_to_string(ready) {
            return json(&said);
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("the server ended ({status}); its log: {}", log.display()));
        }
        if began.elapsed() > START_WITHIN {
            return Err(format!("the server is not ready; its log: {}", log.display()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Reads what a command printed.
fn json(printed: &str) -> Result<Value, Failed> {
    serde_json::from_str(printed).map_err(|e| format!("expected JSON, got `{printed}`: {e}"))
}

/// A text inside a document.
pub fn text(value: &Value, pointer: &str) -> Result<String, Failed> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| format!("`{pointer}` is missing in {value}"))
}

/// An empty folder below `target/`.
pub fn fresh(name: &str) -> Result<PathBuf, Failed> {
    let folder = tools::target().join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|e| format!("`{}`: {e}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).map_err(|e| format!("`{}`: {e}", folder.display()))?;
    Ok(folder)
}

/// Writes a file and the folders above it.
pub fn write(path: &Path, text: &str) -> Result<(), Failed> {
    path.parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|e| format!("`{}` cannot be written: {e}", path.display()))
}
