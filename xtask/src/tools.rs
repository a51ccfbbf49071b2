//! Running other programs, and finding or fetching the ones that are missing.

use crate::Failed;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new(".")).to_path_buf()
}

/// The build folder.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// True if a program of that name is on the path.
pub fn on_path(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}

/// Runs it with our terminal; an error names what was run.
pub fn run(command: &mut Command) -> Result<(), Failed> {
    let shown = shown(command);
    let status = command.status().map_err(|e| format!("`{shown}` could not be started: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed ({status})")) }
}

/// Runs it silently; what it said is shown only if it fails.
pub fn run_quietly(command: &mut Command) -> Result<String, Failed> {
    let shown = shown(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("`{shown}` could not be started: {e}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!(
            "`{shown}` failed ({}):\n{}{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        ))
    }
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()));
    words.join(" ")
}

/// A program the tests need, and the Debian package that has it.
const NEEDED: [(&str, &str); 7] = [
    ("git", "git"),
    ("python3", "python3"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("cc", "build-essential"),
    ("prometheus", "prometheus"),
    ("chromium", "chromium"),
];

/// Makes sure that every program the tests need is there. Installs what is
/// missing where that can be done without asking (Debian, as root).
pub fn install_missing() -> Result<(), Failed> {
    let mut packages: Vec<&str> = NEEDED
        .iter()
        .filter(|(program, _)| !on_path(program))
        .map(|(_, package)| *package)
        .collect();
    // Debian splits the module that makes virtual environments work.
    let venv_works = on_path("python3")
        && Command::new("python3")
            .args(["-c", "import venv, ensurepip"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success());
    if !venv_works {
        packages.push("python3-venv");
    }
    if packages.is_empty() {
        return Ok(());
    }
    let wanted = packages.join(" ");
    if !on_path("apt-get") || !is_root() {
        return Err(format!(
            "the tests need packages that are missing: {wanted}\n  install them, for example: sudo apt-get install {wanted}"
        ));
    }
    println!("installing {wanted}");
    run_quietly(Command::new("apt-get").args(["update", "-qq"]))?;
    run_quietly(
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(&packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    match NEEDED.iter().find(|(program, _)| !on_path(program)) {
        None => Ok(()),
        Some((program, package)) => {
            Err(format!("`{package}` was installed, but there is still no `{program}`"))
        }
    }
}

fn is_root() -> bool {
    run_quietly(Command::new("id").arg("-u")).is_ok_and(|id| id == "0")
}

/// The folder with the official clients the tests run unmodified.
fn sdk_folder() -> PathBuf {
    root().join("crates/tidegate/tests/sdk")
}

/// Python of a virtual environment with the official OpenAI client and the
/// reference programs of the scores, made once.
pub fn python_client() -> Result<PathBuf, Failed> {
    let folder = target().join("sdk-python");
    let python = folder.join("bin/python");
    let wanted = sdk_folder().join("requirements.txt");
    let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let mark = folder.join("installed.txt");
    if python.is_file() && text(&mark) == text(&wanted) {
        return Ok(python);
    }
    println!("installing the official Python client and reference scores");
    run_quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    run_quietly(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&wanted),
    )?;
    std::fs::write(&mark, text(&wanted))
        .map_err(|e| format!("`{}` cannot be written: {e}", mark.display()))?;
    Ok(python)
}

/// The official Node client, as locked.
pub fn node_client() -> Result<(), Failed> {
    node_packages(&sdk_folder(), "the official Node client")
}

/// The OpenID provider people sign on with in the tests, as locked.
pub fn openid_provider() -> Result<(), Failed> {
    node_packages(&root().join("crates/tidegate/tests/oidc"), "the OpenID provider")
}

fn node_packages(folder: &Path, what: &str) -> Result<(), Failed> {
    let installed = folder.join("node_modules/.package-lock.json");
    let newer = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
    if installed.is_file() && newer(&installed) >= newer(&folder.join("package-lock.json")) {
        return Ok(());
    }
    println!("installing {what}");
    run_quietly(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(folder),
    )
    .map(drop)
}

/// The `tidegate` binary.
///
/// Built by way of a test of the whole workspace: then every crate has the
/// features it has when the tests are built, and the tree is built once for demo,
/// benchmarks and tests. `cargo build --package tidegate` would build most of it
/// a second time.
pub fn tidegate() -> Result<PathBuf, Failed> {
    run(cargo().args(["test", "--workspace", "--locked", "--no-run", "--test", "tidy"]))?;
    let binary = target().join("debug").join("tidegate");
    if binary.is_file() {
        Ok(binary)
    } else {
        Err(format!("cargo built `tidegate`, but `{}` is not there", binary.display()))
    }
}

/// A folder that goes away with its owner.
#[cfg(test)]
pub struct Folder(PathBuf);

#[cfg(test)]
impl Folder {
    /// An empty one below `target/`.
    pub fn temporary(name: &str) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = target().join("tmp").join(format!("{name}-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder below the build folder");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

#[cfg(test)]
impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
