//! The suite, wherever it is checked out: its origin and its client, each a program for Node in tests/conformance.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::config::root;
use crate::conformance::verdicts::{Kind, Said, Verdicts};

/// What a clone has, as far as it is used here.
const FILES: [&str; 4] = [
    "tests/index.mjs",
    "test-engine/client/runner.mjs",
    "test-engine/lib/results.mjs",
    "test-engine/server/handle-test.mjs",
];

/// A clone of http-tests/cache-tests.
pub struct Suite {
    clone: PathBuf,
    commit: String,
}

/// What the suite said.
pub struct Run {
    /// Its verdicts.
    pub verdicts: Verdicts,
    /// Why tests did not pass, in the suite's words, by id.
    pub messages: BTreeMap<String, String>,
}

impl Suite {
    /// The clone in this folder.
    pub fn at(clone: &Path) -> Result<Self, String> {
        let is_no_clone = |why: String| {
            let clone = clone.display();
            format!("{clone} is no clone of https://github.com/http-tests/cache-tests ({why}): name one with --suite.")
        };
        if let Some(missing) = FILES.into_iter().find(|file| !clone.join(file).is_file()) {
            return Err(is_no_clone(format!("it has no {missing}")));
        }
        // The whole commit, and whether anything differs from it.
        let git =
            Command::new("git").arg("-C").arg(clone).args(["describe", "--always", "--dirty", "--abbrev=40"]).output();
        let commit = git.ok().filter(|git| git.status.success()).and_then(|git| String::from_utf8(git.stdout).ok());
        let commit = commit.ok_or_else(|| is_no_clone("git does not say of which commit it is".to_owned()))?;
        Ok(Self { clone: clone.to_owned(), commit: commit.trim().to_owned() })
    }

    /// Starts the suite's origin.
    pub fn origin(&self) -> Result<Origin, String> {
        let mut node = self.node("origin.mjs");
        let mut child =
            node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(|error| without_node(&error))?;
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        // A child that does not start says nothing, and why on the standard error.
        let _read = BufReader::new(stdout).read_line(&mut line);
        let mut origin = Origin { child, port: 0 };
        origin.port = line.trim().parse().map_err(|_| "the suite's origin did not start.".to_owned())?;
        Ok(origin)
    }

    /// Runs all of its tests on the edge at this URL, 25 at once as the suite does; or only these and what they depend on,
    /// one after another.
    pub fn run(&self, edge: &str, only: &[String]) -> Result<Run, String> {
        let mut node = self.node("client.mjs");
        let client =
            node.arg(edge).args(only).stderr(Stdio::inherit()).output().map_err(|error| without_node(&error))?;
        let tests = serde_json::from_slice::<Vec<Value>>(&client.stdout).ok().filter(|_| client.status.success());
        let tests = tests.ok_or_else(|| format!("the suite's client failed: {}.", client.status))?;
        let mut run = Run {
            verdicts: Verdicts { commit: self.commit.clone(), tests: BTreeMap::new() },
            messages: BTreeMap::new(),
        };
        for test in &tests {
            let text = |member: &str| test[member].as_str().ok_or_else(|| format!("the suite says {test}."));
            let kind = Kind::named(text("kind")?).ok_or_else(|| format!("the suite has another kind: {test}."))?;
            let (id, verdict) = (text("id")?.to_owned(), text("verdict")?.to_owned());
            run.messages.insert(id.clone(), text("message")?.to_owned());
            run.verdicts.tests.insert(id, Said { kind, verdict });
        }
        Ok(run)
    }

    fn node(&self, program: &str) -> Command {
        let mut node = Command::new("node");
        node.arg(root().join("tests/conformance").join(program)).arg(&self.clone);
        node
    }
}

fn without_node(error: &std::io::Error) -> String {
    format!("node does not start ({error}): `cargo xtask setup` installs it.")
}

/// The suite's origin, until this is dropped.
pub struct Origin {
    child: Child,
    port: u16,
}

impl Origin {
    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_folder_is_told_what_it_lacks() {
        let fault = Suite::at(root()).err().expect("no clone of the suite");
        assert!(fault.contains("it has no tests/index.mjs") && fault.ends_with("name one with --suite."), "{fault}");
    }
}
