//! `cargo xtask check` and `cargo xtask test`: a list of steps, run in order until one fails, and a table at the end.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::build::{build, build_follow};
use crate::failure::{Failure, Outcome};
use crate::faults;
use crate::mutants::mutants;
use crate::policy::policy;
use crate::project::Project;
use crate::run::{command, path_with, recorded, say, shown};
use crate::setup::{Ready, setup};
use crate::size::Size;
use crate::verdicts;

/// One line of the table.
#[derive(Debug)]
struct Step {
    name: &'static str,
    work: Work,
}

#[derive(Debug)]
enum Work {
    /// Install what is missing.
    Setup,
    /// Build the Workers.
    Build,
    /// Hold the Worker to its size.
    Budget,
    /// Make mistakes that the explorer must find.
    Mutants,
    /// Make mistakes that the unit tests of the modules that decide must notice.
    Policy,
    /// Run cargo with these arguments.
    Cargo(&'static [&'static str]),
    /// Run cargo with these arguments, and then list every clause of RFC 9111 and what became of it.
    Clauses(&'static [&'static str]),
    /// Run cargo with these arguments, and then list every attack and what became of it.
    Attacks(&'static [&'static str]),
    /// List every fault, and what became of the tests that show how it is survived.
    Faults,
    /// Build the documentation; a warning is a failure.
    Docs(&'static [&'static str]),
}

/// The fast part.
const CHECK: &[Step] = &[
    Step { name: "formatting", work: Work::Cargo(&["fmt", "--all", "--check"]) },
    Step { name: "lints", work: Work::Cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]) },
    Step {
        name: "lints of the shell",
        work: Work::Cargo(&["clippy", "-p", "hotrod-edge", "--features", "shell", "--", "-D", "warnings"]),
    },
    Step { name: "docs", work: Work::Docs(&["doc", "--workspace", "--no-deps"]) },
    Step { name: "native tests", work: Work::Clauses(&["test", "-p", "hotrod-edge", "--lib", "--test", "it"]) },
    Step { name: "doc tests", work: Work::Cargo(&["test", "-p", "hotrod-edge", "--doc"]) },
    Step {
        name: "tests of the tools",
        work: Work::Cargo(&["test", "-p", "reference-origin", "-p", "xtask", "-p", "lab"]),
    },
];

/// What `test` does before the fast part.
const BEFORE: &[Step] = &[Step { name: "setup", work: Work::Setup }];

/// They mostly wait, for the seconds that stores and ledgers take: eight at a time keep two processors busy.
const END_TO_END: &[&str] = &["test", "-p", "hotrod-edge", "--test", "e2e", "--", "--test-threads=8"];

/// What `test` does after the fast part.
const AFTER: &[Step] = &[
    Step { name: "wasm build", work: Work::Build },
    Step { name: "wasm size", work: Work::Budget },
    Step { name: "origin and lab build", work: Work::Cargo(&["build", "-p", "reference-origin", "-p", "lab"]) },
    Step { name: "end-to-end tests", work: Work::Attacks(END_TO_END) },
    Step { name: "faults", work: Work::Faults },
];

/// What `test --long` does after that.
const LONG: &[Step] =
    &[Step { name: "mutants", work: Work::Mutants }, Step { name: "mutants of the policy", work: Work::Policy }];

/// Runs the fast part.
pub fn check(project: &Project) -> Outcome {
    run(project, &[CHECK], false)
}

/// Runs everything.
pub fn test(project: &Project, long: bool) -> Outcome {
    run(project, &[BEFORE, CHECK, AFTER, if long { LONG } else { &[] }], long)
}

/// What earlier steps leave for later ones.
#[derive(Debug, Default)]
struct Found {
    ready: Option<Ready>,
    size: Option<Size>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed(Duration),
    Failed(Duration),
    NotRun,
}

fn run(project: &Project, parts: &[&[Step]], long: bool) -> Outcome {
    let started = Instant::now();
    let mut found = Found::default();
    let mut failure = None;
    let mut rows = Vec::new();
    for step in parts.iter().copied().flatten() {
        if failure.is_some() {
            rows.push((step.name, Verdict::NotRun));
            continue;
        }
        println!();
        say(&format!("== {}", step.name));
        let began = Instant::now();
        let outcome = perform(project, &step.work, long, &mut found);
        let spent = began.elapsed();
        rows.push((
            step.name,
            match outcome {
                Ok(()) => Verdict::Passed(spent),
                Err(_) => Verdict::Failed(spent),
            },
        ));
        failure = outcome.err().map(|cause| Failure::new(format!("step \"{}\" failed: {cause}", step.name)));
    }
    println!("\n{}", table(&rows, started.elapsed()));
    failure.map_or(Ok(()), Err)
}

fn perform(project: &Project, work: &Work, long: bool, found: &mut Found) -> Outcome {
    match work {
        Work::Setup => found.ready = Some(setup(project)?),
        Work::Build => {
            let ready = match found.ready.take() {
                Some(ready) => ready,
                None => setup(project)?,
            };
            found.size = Some(build(project, &ready)?);
            build_follow(project, &ready)?;
        }
        Work::Budget => {
            let size = found.size.ok_or_else(|| Failure::new("nothing was built"))?;
            say(&size.describe());
            size.judge()?;
        }
        Work::Mutants => mutants(project)?,
        Work::Policy => policy(project)?,
        Work::Clauses(args) => {
            verdicts::forget_clauses(project)?;
            let outcome = run_tests(project, args, long, &faults::native_log(project));
            // Also after a failure: the table says which of them it was.
            let listed = verdicts::show_clauses(project);
            outcome.and(listed)?;
        }
        Work::Attacks(args) => {
            verdicts::forget_attacks(project)?;
            let outcome = run_tests(project, args, long, &faults::workerd_log(project));
            let listed = verdicts::show_attacks(project);
            outcome.and(listed)?;
        }
        Work::Faults => faults::show(project)?,
        Work::Cargo(args) => cargo(project, args, long, None)?,
        Work::Docs(args) => cargo(project, args, long, Some("-D warnings"))?,
    }
    Ok(())
}

fn cargo(project: &Project, args: &[&str], long: bool, rustdoc_flags: Option<&str>) -> Outcome {
    let mut cargo = prepared(project, args, long);
    if let Some(flags) = rustdoc_flags {
        cargo.env("RUSTDOCFLAGS", flags);
    }
    shown(&format!("`cargo {}`", args.join(" ")), &mut cargo)
}

/// Runs tests, and keeps what they print.
fn run_tests(project: &Project, args: &[&str], long: bool, kept: &Path) -> Outcome {
    recorded(&format!("`cargo {}`", args.join(" ")), &mut prepared(project, args, long), kept)
}

fn prepared(project: &Project, args: &[&str], long: bool) -> Command {
    let mut cargo = command("cargo", &project.root);
    // End-to-end tests start wrangler and workerd, and want the Node that npm installed for them.
    cargo.args(args).env("PATH", path_with(&[&project.npm_bin()]));
    if long {
        cargo.env("HOTROD_LONG", "1");
    }
    cargo
}

/// One line per step, and the sum.
fn table(rows: &[(&str, Verdict)], total: Duration) -> String {
    let line = |name: &str, seconds: Option<Duration>, word: &str| {
        let seconds = seconds.map_or_else(|| "-".to_owned(), |spent| format!("{:.1} s", spent.as_secs_f64()));
        format!("  {name:<24}{seconds:>10}  {word}")
    };
    let mut lines: Vec<String> = rows
        .iter()
        .map(|(name, verdict)| match verdict {
            Verdict::Passed(spent) => line(name, Some(*spent), "passed"),
            Verdict::Failed(spent) => line(name, Some(*spent), "FAILED"),
            Verdict::NotRun => line(name, None, "not run"),
        })
        .collect();
    let whole = rows.iter().all(|(_, verdict)| matches!(verdict, Verdict::Passed(_)));
    lines.push(line("total", Some(total), if whole { "passed" } else { "FAILED" }));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_step_also_for_those_that_did_not_run() {
        let second = Duration::from_secs(1);
        let rows =
            [("setup", Verdict::Passed(second)), ("lints", Verdict::Failed(second * 2)), ("docs", Verdict::NotRun)];
        let expected = "  setup                        1.0 s  passed\n  \
            lints                        2.0 s  FAILED\n  \
            docs                             -  not run\n  \
            total                        3.0 s  FAILED";
        assert_eq!(table(&rows, second * 3), expected);
        assert!(table(&rows[..1], second).ends_with("passed"));
    }

    #[test]
    fn no_two_steps_have_one_name() {
        let mut names: Vec<_> = [BEFORE, CHECK, AFTER, LONG].into_iter().flatten().map(|step| step.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
