//! `cargo xtask bench storm`: the Worker in the lab under a storm of orders. `cargo xtask bench verify`: what it costs to
//! verify who reads. Each fails where the edge does.

use crate::build::build;
use crate::failure::Outcome;
use crate::project::Project;
use crate::run::{command, shown};
use crate::setup::setup;

/// A benchmark, by the name that its command line has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bench {
    /// A storm of orders.
    Storm,
    /// What verification costs.
    Verify,
}

impl Bench {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Storm, Self::Verify].into_iter().find(|bench| bench.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Storm => "storm",
            Self::Verify => "verify",
        }
    }
}

/// Builds what is measured and what measures it, and runs it to its end.
pub fn bench(project: &Project, which: Bench) -> Outcome {
    let ready = setup(project)?;
    build(project, &ready)?;
    let mut cargo = command("cargo", &project.root);
    shown("building the benchmark", cargo.args(["build", "--quiet", "-p", "lab", "--bin", "bench"]))?;
    shown("the benchmark", command(project.target().join("debug").join("bench"), &project.root).arg(which.name()))
}
