//! Node and the packages from npm.
//!
//! Any Node from 20 on can install the packages; one of them is the newer Node that wrangler wants. A stamp inside `node_modules`, written
//! last, holds what was installed: `npm ci` empties the folder first, so an interrupted install has none.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::failure::{Doing, Failure, Outcome};
use crate::fingerprint::Fingerprint;
use crate::project::{Project, holds, write_whole};
use crate::run::{Long, command, output};

/// The oldest Node that can install the packages.
const OLDEST: u32 = 20;

/// The programs that the other tasks use.
const PROGRAMS: [&str; 4] = ["wrangler", "node", "wasm-opt", "esbuild"];

/// Fails with a sentence where Node is missing or too old.
pub fn check_node(project: &Project) -> Outcome {
    let text = output(command("node", &project.root).arg("--version"));
    judge(text.as_deref())
}

fn judge(text: Option<&str>) -> Outcome {
    let Some(text) = text else {
        return Err(Failure::new(format!(
            "Node was not found: install Node {OLDEST} or newer, with npm, and run this again"
        )));
    };
    match major(text) {
        Some(major) if major >= OLDEST => Ok(()),
        _ => Err(Failure::new(format!(
            "Node {OLDEST} or newer is needed, but `node --version` says `{text}`: install a newer Node and run this again"
        ))),
    }
}

/// The major version in `v22.12.0`.
fn major(text: &str) -> Option<u32> {
    let (major, _) = text.trim().trim_start_matches('v').split_once('.')?;
    major.parse().ok()
}

/// True where the packages that the lock file names are installed.
pub fn installed(project: &Project) -> Outcome<bool> {
    let bin = project.npm_bin();
    Ok(holds(&stamp(project), &wanted(project)?) && PROGRAMS.iter().all(|program| bin.join(program).exists()))
}

/// Installs the packages. The caller holds the clone's lock.
pub fn install(project: &Project) -> Outcome {
    let wanted = wanted(project)?;
    let stamp = stamp(project);
    if stamp.exists() {
        fs::remove_file(&stamp).doing("remove", &stamp)?;
    }
    Long {
        what: "npm ci",
        note: "once per clone and lock file, about 20 s; waits for wrangler, workerd, binaryen, esbuild and Node 22",
        log: project.state().join("npm.log"),
        limit: Duration::from_mins(20),
    }
    .run(command("npm", &project.root).args(["ci", "--no-progress", "--loglevel=error"]))?;
    for program in PROGRAMS {
        if !project.npm_bin().join(program).exists() {
            return Err(Failure::new(format!(
                "npm installed no `{program}` for this machine: 64-bit Linux and macOS on x86 and ARM are supported"
            )));
        }
    }
    write_whole(&stamp, &wanted)
}

fn stamp(project: &Project) -> std::path::PathBuf {
    project.root.join("node_modules").join(".hotrod-edge")
}

/// What a stamp has to hold: the two files, and the machine's kind, since the programs differ by it.
fn wanted(project: &Project) -> Outcome<String> {
    let mut fingerprint = Fingerprint::new();
    fingerprint.text("os", std::env::consts::OS);
    fingerprint.text("arch", std::env::consts::ARCH);
    for name in ["package.json", "package-lock.json"] {
        fingerprint.file(&project.root, Path::new(name))?;
    }
    Ok(fingerprint.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u32>) {
        assert_eq!(major(text), expected, "{text}");
    }

    #[test]
    fn the_major_version_is_the_number_before_the_first_dot() {
        check("v22.12.0", Some(22));
        check("v20.20.2\n", Some(20));
        check("18.0.0", Some(18));
        check("v", None);
        check("node: command not found", None);
    }

    #[test]
    fn a_missing_or_old_node_is_told_what_to_install() {
        assert_eq!(judge(Some("v20.0.0")), Ok(()));
        for bad in [None, Some("v18.19.0"), Some("garbage")] {
            let text = judge(bad).unwrap_err().0;
            assert!(text.contains("Node 20 or newer"), "{text}");
        }
    }
}
