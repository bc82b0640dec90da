//! The compiler for wasm32: rustup's where it can be had, else the one that Debian packages for its web browsers.
//!
//! Only the build of the Worker uses the second; everything else uses the cargo that runs xtask. See [`crate::debian`].

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::debian;
use crate::failure::{Failure, Outcome};
use crate::project::Project;
use crate::run::{Long, command, output, say};

/// The target of the Worker.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Which compiler builds the Worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// The cargo and rustc of the PATH: their standard library for wasm32 is there.
    Ordinary,
    /// Debian's cargo and rustc.
    Debian {
        /// A folder with links to these two alone, to be put first in PATH.
        bin: PathBuf,
        /// Changes whenever the standard library was built anew.
        std_id: String,
    },
}

/// Finds the compiler without installing anything.
pub fn find(project: &Project) -> Option<Toolchain> {
    if ordinary_has_target(project) {
        return Some(Toolchain::Ordinary);
    }
    debian::find(project)
}

/// Finds the compiler, and installs what is missing of it.
pub fn ensure(project: &Project) -> Outcome<Toolchain> {
    if let Some(found) = find(project) {
        return Ok(found);
    }
    match ask_rustup(project) {
        Ok(()) if ordinary_has_target(project) => return Ok(Toolchain::Ordinary),
        Ok(()) => say("rustup says that it added the target, but rustc does not see it"),
        Err(failure) => say(&failure.0),
    }
    debian::install(project)
}

fn ask_rustup(project: &Project) -> Outcome {
    if output(command("rustup", &project.root).arg("--version")).is_none() {
        return Err(Failure::new(format!("rustc has no {TARGET} target and there is no rustup to add it")));
    }
    Long {
        what: &format!("adding the {TARGET} target to this Rust toolchain"),
        note: "once per toolchain, a few seconds; waits for rustup's download",
        log: project.cache.join("logs").join("rustup-target.log"),
        limit: Duration::from_mins(5),
    }
    .run(command("rustup", &project.root).args(["target", "add", TARGET]).env("RUST_BACKTRACE", "0"))
    .map_err(|_| Failure::new(format!("rustup could not add {TARGET}; trying Debian's packages instead")))
}

fn ordinary_has_target(project: &Project) -> bool {
    let mut rustc = command("rustc", &project.root);
    output(rustc.args(["--print", "target-libdir", "--target", TARGET])).is_some_and(|dir| has_std(Path::new(&dir)))
}

/// True where a library folder holds a standard library.
pub fn has_std(dir: &Path) -> bool {
    let Ok(entries) = fs::read_dir(dir) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}
