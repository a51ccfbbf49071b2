//! Tells cargo when the embedded page is to be embedded anew. It never builds
//! the page itself: that takes the network.

#![allow(clippy::print_stdout, reason = "cargo reads this script's output")]

fn main() {
    // In a debug build the files are read when they are asked for. A path that
    // does not exist would make cargo compile this crate again and again.
    let dist = std::path::Path::new("../../web/dist");
    if !cfg!(debug_assertions) && dist.exists() {
        println!("cargo::rerun-if-changed=../../web/dist");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
