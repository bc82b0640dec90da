//! `cargo xtask conformance`: the public suite for caches, http-tests/cache-tests, on the Worker of tests/follow.

use std::path;

use crate::args::Conformance;
use crate::build::build_follow;
use crate::failure::{Doing, Outcome};
use crate::project::Project;
use crate::run::{command, path_with, shown};
use crate::setup::setup;

/// Builds the Worker and what runs the suite on it, and runs it to its end.
pub fn conformance(project: &Project, options: &Conformance) -> Outcome {
    // It is named from where the task was started, and run from the root.
    let suite = path::absolute(&options.suite).doing("find", &options.suite)?;
    let ready = setup(project)?;
    build_follow(project, &ready)?;
    let mut cargo = command("cargo", &project.root);
    shown("building what runs the suite", cargo.args(["build", "--quiet", "-p", "lab", "--bin", "conformance"]))?;
    let mut run = command(project.target().join("debug").join("conformance"), &project.root);
    run.arg("--suite").arg(suite).env("PATH", path_with(&[&project.npm_bin()]));
    if options.accept {
        run.arg("--accept");
    }
    shown("conformance", &mut run)
}
