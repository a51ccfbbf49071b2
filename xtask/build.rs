//! Tells xtask the host triple, which only cargo knows.

fn main() {
    let target = std::env::var_os("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=XTASK_HOST={}", target.to_string_lossy());
}
