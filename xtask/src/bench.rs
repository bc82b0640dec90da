//! `cargo xtask bench storm`: the Worker in the lab under a storm of orders. It fails where the edge does.

use crate::build::build;
use crate::failure::Outcome;
use crate::project::Project;
use crate::run::{command, shown};
use crate::setup::setup;

/// Builds what is measured and what measures it, and runs it to its end.
pub fn storm(project: &Project) -> Outcome {
    let ready = setup(project)?;
    build(project, &ready)?;
    let mut cargo = command("cargo", &project.root);
    shown("building the benchmark", cargo.args(["build", "--quiet", "-p", "lab", "--bin", "bench"]))?;
    shown("the benchmark", command(project.target().join("debug").join("bench"), &project.root).arg("storm"))
}
