//! Where things are: this clone, the cache that all clones of a user share, and the versions that the lock files pin.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Doing, Failure, Outcome};

/// This clone and the folders that its tasks use.
#[derive(Debug)]
pub struct Project {
    /// The workspace root: `wrangler.toml`, `Cargo.toml`, `package.json`.
    pub root: PathBuf,
    /// The cache of tools, shared by all clones of this user.
    pub cache: PathBuf,
}

impl Project {
    /// Finds the clone by this crate's place in it, and the cache by the environment.
    pub fn locate() -> Outcome<Self> {
        // Cargo sets the variable for `cargo run`; the compiled-in value serves a binary that is started by hand.
        let manifest =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .filter(|root| root.join("wrangler.toml").is_file())
            .ok_or_else(|| {
                Failure::new(format!(
                    "no wrangler.toml beside {}: run `cargo xtask` inside a clone of hotrod-edge",
                    manifest.display()
                ))
            })?
            .to_path_buf();
        let cache = cache_root(env::var_os("XDG_CACHE_HOME").map(PathBuf::from), home())?;
        Ok(Self { root, cache })
    }

    /// The programs that npm installed.
    pub fn npm_bin(&self) -> PathBuf {
        self.root.join("node_modules").join(".bin")
    }

    /// What the tasks of this clone remember between runs. `cargo clean` forgets it.
    pub fn state(&self) -> PathBuf {
        self.target().join("xtask")
    }

    /// Cargo's target directory.
    pub fn target(&self) -> PathBuf {
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), |dir| self.root.join(dir))
    }

    /// The version of a package that Cargo.lock pins.
    pub fn locked_version(&self, package: &str) -> Outcome<String> {
        let path = self.root.join("Cargo.lock");
        let text = fs::read_to_string(&path).doing("read", &path)?;
        locked_version(&text, package).map(str::to_owned).ok_or_else(|| {
            Failure::new(format!("Cargo.lock has no package `{package}`: run `cargo update --workspace`"))
        })
    }
}

fn home() -> Option<PathBuf> {
    env::var_os("HOME").map(PathBuf::from)
}

/// `$XDG_CACHE_HOME/hotrod-edge`, or `~/.cache/hotrod-edge`; a relative `XDG_CACHE_HOME` counts as unset, as its specification says.
fn cache_root(xdg: Option<PathBuf>, home: Option<PathBuf>) -> Outcome<PathBuf> {
    xdg.filter(|dir| dir.is_absolute())
        .or_else(|| home.map(|home| home.join(".cache")))
        .map(|dir| dir.join("hotrod-edge"))
        .ok_or_else(|| {
            Failure::new("neither XDG_CACHE_HOME nor HOME is set, so there is no place for the tools: set one of them")
        })
}

/// The version of `package` in the text of a Cargo.lock; the first, where there are several.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let mut lines = lock.lines();
    while let Some(line) = lines.next() {
        if quoted(line, "name") == Some(package) {
            return quoted(lines.next()?, "version");
        }
    }
    None
}

/// The value of a line `key = "value"`.
fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')
}

/// True where the file at `path` holds exactly `content`.
pub fn holds(path: &Path, content: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|found| found == content)
}

/// Writes a file whole or not at all.
pub fn write_whole(path: &Path, content: &str) -> Outcome {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).doing("create", dir)?;
    }
    let part = path.with_extension(format!("part{}", std::process::id()));
    fs::write(&part, content).doing("write", &part)?;
    fs::rename(&part, path).doing("write", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n\n\
        [[package]]\nname = \"wasm-bindgen-macro\"\nversion = \"0.2.131\"\ndependencies = [\n \"wasm-bindgen\",\n]\n";

    #[track_caller]
    fn check(package: &str, expected: Option<&str>) {
        assert_eq!(locked_version(LOCK, package), expected);
    }

    #[test]
    fn a_locked_version_is_that_of_the_package_with_exactly_that_name() {
        check("wasm-bindgen", Some("0.2.130"));
        check("wasm-bindgen-macro", Some("0.2.131"));
        check("wasm", None);
        check("worker", None);
    }

    #[test]
    fn a_lock_file_that_ends_after_a_name_pins_nothing() {
        assert_eq!(locked_version("[[package]]\nname = \"worker\"", "worker"), None);
    }

    #[test]
    fn the_cache_follows_xdg_then_home_and_a_relative_xdg_is_ignored() {
        let home = Some(PathBuf::from("/home/ada"));
        let at = |xdg: &str| cache_root(Some(xdg.into()), home.clone());
        assert_eq!(at("/var/cache/ada"), Ok("/var/cache/ada/hotrod-edge".into()));
        assert_eq!(at("cache"), Ok("/home/ada/.cache/hotrod-edge".into()));
        assert_eq!(cache_root(None, home.clone()), Ok("/home/ada/.cache/hotrod-edge".into()));
        assert!(cache_root(None, None).is_err());
    }
}
