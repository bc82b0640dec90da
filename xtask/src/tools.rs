//! The programs that are built from source once per user and version: worker-build, the wasm-bindgen CLI and cargo-mutants.
//!
//! Each lives in a folder of the cache named after tool and version. It is installed under a temporary name and renamed when it is
//! complete, so a folder that is there is whole. What cargo compiled before an interruption is kept for the next run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::{Doing, Failure, Outcome};
use crate::group::{interrupted, interruption};
use crate::project::Project;
use crate::run::{Long, command, output, say};

/// Goes with the version of the `worker` crate in Cargo.toml.
pub const WORKER_BUILD_VERSION: &str = "0.8.7";

/// Makes mistakes in the sources; one version makes the same ones each time.
const CARGO_MUTANTS_VERSION: &str = "27.1.0";

/// A program to be installed with `cargo install`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// The package's name in the registry.
    pub package: &'static str,
    /// Exactly this version.
    pub version: String,
    /// The program that is used of it.
    pub program: &'static str,
    /// How it is asked for its version.
    pub asked: &'static [&'static str],
    /// How long it takes, for whoever waits.
    pub note: &'static str,
}

impl Tool {
    /// worker-build, which turns the crate into what workerd loads.
    pub fn worker_build() -> Self {
        Self {
            package: "worker-build",
            version: WORKER_BUILD_VERSION.to_owned(),
            program: "worker-build",
            asked: &["--version"],
            note: "once per user and version, about 2 min 30 s on 2 cores",
        }
    }

    /// The wasm-bindgen CLI, which must be of exactly the version of the library.
    pub fn wasm_bindgen(project: &Project) -> Outcome<Self> {
        Ok(Self {
            package: "wasm-bindgen-cli",
            version: project.locked_version("wasm-bindgen")?,
            program: "wasm-bindgen",
            asked: &["--version"],
            note: "once per user and version, about 2 min on 2 cores",
        })
    }

    /// cargo-mutants, for whoever runs the slow tests.
    pub fn cargo_mutants() -> Self {
        Self {
            package: "cargo-mutants",
            version: CARGO_MUTANTS_VERSION.to_owned(),
            program: "cargo-mutants",
            // It is a subcommand of cargo, which repeats the name.
            asked: &["mutants", "--version"],
            note: "once per user and version, about 3 min on 2 cores",
        }
    }

    /// Where the program is, or will be.
    pub fn path(&self, cache: &Path) -> PathBuf {
        self.home(cache).join("bin").join(self.program)
    }

    fn home(&self, cache: &Path) -> PathBuf {
        cache.join("tools").join(format!("{}-{}", self.package, self.version))
    }

    /// True where the program is there, runs, and is of the right version.
    pub fn present(&self, cache: &Path) -> bool {
        let path = self.path(cache);
        path.is_file()
            && output(command(&path, cache).args(self.asked)).is_some_and(|text| names_version(&text, &self.version))
    }

    /// Installs the program. The caller holds the cache's lock.
    pub fn install(&self, project: &Project) -> Outcome {
        let what = format!("building {} {}", self.package, self.version);
        let home = self.home(&project.cache);
        let part = home.with_file_name(format!("{}-{}.part", self.package, self.version));
        let target = project.cache.join("building").join(format!("{}-{}", self.package, self.version));
        for dir in [&part, &home] {
            if dir.exists() {
                fs::remove_dir_all(dir).doing("remove", dir)?;
            }
        }
        let run = |locked: Option<&str>| {
            let mut cargo = command("cargo", &project.cache);
            cargo
                .args(["install", "--root"])
                .arg(&part)
                .args(["--bin", self.program])
                .args(locked)
                .arg(format!("{}@{}", self.package, self.version))
                .env("CARGO_TARGET_DIR", &target)
                // Optimising takes most of the time, and no program of these is what a build waits for.
                .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
                .env("CARGO_PROFILE_RELEASE_LTO", "off")
                .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
                .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
                .env_remove("RUSTFLAGS")
                .env_remove("CARGO_ENCODED_RUSTFLAGS");
            Long {
                what: &what,
                note: self.note,
                log: project.cache.join("logs").join(format!("{}.log", self.package)),
                limit: Duration::from_hours(1),
            }
            .run(&mut cargo)
        };
        // The author's lock file comes first, but it may name versions that this machine's registry does not have.
        if run(Some("--locked")).is_err() {
            if interrupted() {
                return Err(interruption());
            }
            say("trying again with the newest dependencies that the registry has");
            run(None)?;
        }
        fs::rename(&part, &home).doing("rename", &part)?;
        if !self.present(&project.cache) {
            return Err(Failure::new(format!(
                "{} was installed but does not run as version {}: remove {} and run `cargo xtask setup` again",
                self.path(&project.cache).display(),
                self.version,
                home.display()
            )));
        }
        // Only an interrupted build needs it.
        fs::remove_dir_all(&target).doing("remove", &target)
    }
}

/// True where one of the words of a `--version` line is the version.
fn names_version(text: &str, version: &str) -> bool {
    text.split_whitespace().any(|word| word.trim_start_matches('v') == version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, version: &str, expected: bool) {
        assert_eq!(names_version(text, version), expected, "{text}");
    }

    #[test]
    fn a_version_is_a_whole_word_of_what_the_program_prints() {
        check("wasm-bindgen 0.2.130", "0.2.130", true);
        check("0.8.7", "0.8.7", true);
        check("v22.23.3", "22.23.3", true);
        check("wasm-bindgen 0.2.13", "0.2.130", false);
        check("wasm-bindgen 0.2.130-rc", "0.2.130", false);
        check("", "0.8.7", false);
    }

    #[test]
    fn each_version_of_a_tool_has_a_folder_of_its_own() {
        let tool = Tool::worker_build();
        assert_eq!(tool.path(Path::new("/c")), Path::new("/c/tools/worker-build-0.8.7/bin/worker-build"));
    }
}
