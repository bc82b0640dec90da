//! `cargo xtask fuzz`: libFuzzer on the targets of `fuzz/`, with what the stable compiler can instrument.
//!
//! It starts from `fuzz/seeds` and keeps what it learns under `target/fuzz`. What it finds becomes a seed, so the
//! ordinary tests replay it from then on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::args::Fuzz;
use crate::debian;
use crate::failure::{Doing, Failure, Outcome};
use crate::project::Project;
use crate::run::{Long, command, output, say, shown};

/// The instrumentation that libFuzzer looks for: counters of edges, where these are, and what is compared.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// The greatest input, in bytes: a URL may have 8,192, and the other things are small.
const GREATEST_INPUT: u32 = 4096;

/// For how long a find is made smaller, in seconds.
const MINIMISED_FOR: u32 = 20;

/// Runs the fuzzer on each of the targets, and fails if it finds something.
pub fn fuzz(project: &Project, Fuzz { targets, minutes }: &Fuzz) -> Outcome {
    let seeds = project.root.join("fuzz/seeds");
    let targets = chosen(targets, names(&seeds)?)?;
    ensure_cpp(project)?;
    let room = project.target().join("fuzz");
    let program = build(project, &room)?;
    let mut finds = Vec::new();
    for target in &targets {
        let run = Run { project, program: &program, target, seeds: seeds.join(target), room: &room };
        if let Some(find) = run.run(*minutes)? {
            finds.push(find);
        }
    }
    if finds.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the fuzzer found {}: `cargo test --test it seeds` shows what is wrong",
        finds.join(", ")
    )))
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).doing("read", folder)? {
        names.push(entry.doing("read", folder)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// The targets that were named, or all.
fn chosen(named: &[String], all: Vec<String>) -> Outcome<Vec<String>> {
    match named.iter().find(|name| !all.contains(name)) {
        Some(name) => {
            Err(Failure::new(format!("there is no target `{name}` for the fuzzer: name one of {}", all.join(", "))))
        }
        None if named.is_empty() => Ok(all),
        None => Ok(named.to_vec()),
    }
}

/// libFuzzer is written in C++.
fn ensure_cpp(project: &Project) -> Outcome {
    let found = || output(command("c++", &project.root).arg("--version")).is_some();
    if !found() && debian::may_install() {
        debian::install_packages(project, &["g++"])?;
    }
    if found() {
        return Ok(());
    }
    Err(Failure::new(
        "no C++ compiler was found as `c++`: install one (on Debian: `apt-get install g++`) and run this again",
    ))
}

/// Builds the fuzzer in a target directory of its own, and says where it is.
fn build(project: &Project, room: &Path) -> Outcome<PathBuf> {
    let host = output(command("rustc", &project.root).args(["--print", "host-tuple"]))
        .ok_or_else(|| Failure::new("`rustc --print host-tuple` failed: run `rustup update`"))?;
    let mut cargo = command("cargo", &project.root);
    cargo
        .args(["build", "-p", "fuzz", "--bin", "fuzz", "--features", "libfuzzer", "--profile", "fuzz"])
        // With a target named, build scripts and macros go without the flags.
        .args(["--target", &host])
        .env("RUSTFLAGS", FLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("CARGO_TARGET_DIR", room);
    shown("building the fuzzer", &mut cargo)?;
    Ok(room.join(host).join("fuzz").join("fuzz"))
}

/// One target.
struct Run<'a> {
    project: &'a Project,
    program: &'a Path,
    target: &'a str,
    seeds: PathBuf,
    room: &'a Path,
}

impl Run<'_> {
    /// Runs it for its time. What it finds is added to the seeds, and named.
    fn run(&self, minutes: u32) -> Outcome<Option<String>> {
        let (corpus, finds) = (self.folder("corpus")?, self.folder("finds")?);
        let log = self.room.join(format!("{}.log", self.target));
        let seconds = minutes * 60;
        let mut fuzzer = self.fuzzer();
        fuzzer
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={GREATEST_INPUT}"))
            .args(["-use_value_profile=1", "-timeout=10", "-rss_limit_mb=2048"])
            .arg(format!("-artifact_prefix={}/", finds.display()))
            .args([&corpus, &self.seeds]);
        let outcome = Long {
            what: &format!("fuzzing {}", self.target),
            note: &format!("for {minutes} min"),
            log: log.clone(),
            limit: Duration::from_secs(u64::from(seconds) + 300),
        }
        .run(&mut fuzzer);
        match (outcome, names(&finds)?.first()) {
            (Ok(()), _) => {
                let text = fs::read_to_string(&log).doing("read", &log)?;
                // `#1000 DONE cov: 265 ft: 2697 …`: runs, edges of the program that were reached, and features of these.
                let done =
                    text.lines().rev().find(|line| line.contains("DONE")).unwrap_or("it did not say what it did");
                say(&done.replace('\t', " "));
                Ok(None)
            }
            (Err(_), Some(find)) => self.keep(&finds.join(find)).map(Some),
            (Err(failure), None) => Err(failure),
        }
    }

    fn fuzzer(&self) -> Command {
        let mut fuzzer = command(self.program, &self.project.root);
        fuzzer.env("FUZZ_TARGET", self.target).env("RUST_BACKTRACE", "0");
        fuzzer
    }

    /// A folder of this target's own. What an earlier run found is a seed already.
    fn folder(&self, what: &str) -> Outcome<PathBuf> {
        let folder = self.room.join(what).join(self.target);
        if what == "finds" && folder.exists() {
            fs::remove_dir_all(&folder).doing("remove", &folder)?;
        }
        fs::create_dir_all(&folder).doing("create", &folder)?;
        Ok(folder)
    }

    /// Makes a find smaller, as far as that goes in a moment, and adds it to the seeds.
    fn keep(&self, find: &Path) -> Outcome<String> {
        let small = find.with_extension("small");
        // It ends with an error when nothing smaller is found; the find itself is there in any case.
        let _ = output(
            self.fuzzer()
                .args(["-minimize_crash=1", &format!("-max_total_time={MINIMISED_FOR}")])
                .arg(format!("-exact_artifact_path={}", small.display()))
                .arg(find),
        );
        let from = if small.is_file() { &small } else { find };
        let name = find.file_name().unwrap_or_default();
        let seed = self.seeds.join(name);
        fs::copy(from, &seed).doing("write", &seed)?;
        Ok(format!("fuzz/seeds/{}/{}", self.target, name.to_string_lossy()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_those_of_the_seeds() {
        let all = || vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(chosen(&[], all()), Ok(all()));
        assert_eq!(chosen(&["b".to_owned()], all()), Ok(vec!["b".to_owned()]));
        let wrong = chosen(&["c".to_owned()], all()).unwrap_err().0;
        assert_eq!(wrong, "there is no target `c` for the fuzzer: name one of a, b");
    }
}
