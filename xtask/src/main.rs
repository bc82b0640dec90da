//! The tasks of hotrod-edge: `cargo xtask help` lists them.
//!
//! Everything that a task starts is in a process group that ends with the task ([`group`]); everything that it installs is either whole or
//! absent ([`setup`]); what went wrong is one sentence ([`failure`]).

mod access;
mod args;
mod bench;
mod build;
mod conformance;
mod debian;
mod dev;
mod failure;
mod faults;
mod fingerprint;
mod fuzz;
mod group;
mod http;
mod lab;
mod lock;
mod mutants;
mod node;
mod policy;
mod project;
mod run;
mod setup;
mod size;
mod steps;
mod toolchain;
mod tools;
mod verdicts;

use std::process::ExitCode;

use args::{Task, USAGE};
use failure::Outcome;
use project::Project;

/// The exit code after a mistake on the command line.
const USAGE_ERROR: u8 = 2;

/// The exit code after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let task = match args::parse(&args) {
        Ok(task) => task,
        Err(mistake) => {
            eprintln!("xtask: {mistake}\n\n{USAGE}");
            return ExitCode::from(USAGE_ERROR);
        }
    };
    group::note_interrupts();
    match perform(&task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            if group::interrupted() { ExitCode::from(INTERRUPTED) } else { ExitCode::FAILURE }
        }
    }
}

fn perform(task: &Task) -> Outcome {
    if *task == Task::Help {
        println!("{USAGE}");
        return Ok(());
    }
    let project = Project::locate()?;
    match *task {
        Task::Help => Ok(()),
        Task::Fuzz(ref fuzz) => fuzz::fuzz(&project, fuzz),
        Task::Setup => setup::setup(&project).map(drop),
        Task::Build { deployed } => {
            let ready = setup::setup(&project)?;
            build::build(&project, &ready)?;
            if deployed { Ok(()) } else { build::build_follow(&project, &ready) }
        }
        Task::Check => steps::check(&project),
        Task::Mutants { policy: false } => mutants::mutants(&project),
        Task::Mutants { policy: true } => policy::policy(&project),
        Task::Test { long } => steps::test(&project, long),
        Task::Dev(options) => dev::dev(&project, options),
        Task::Lab(options) => lab::lab(&project, options),
        Task::Bench(which) => bench::bench(&project, which),
        Task::Conformance(ref options) => conformance::conformance(&project, options),
    }
}
