//! `cargo xtask setup`: installs what is missing, and nothing else. A second run only looks.

use std::fs;
use std::time::Instant;

use crate::failure::{Doing, Failure, Outcome};
use crate::lock::Lock;
use crate::node;
use crate::project::Project;
use crate::run::{command, output, say};
use crate::toolchain::{self, Toolchain};
use crate::tools::Tool;

/// What the other tasks need to know of what is installed.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The compiler for the Worker.
    pub toolchain: Toolchain,
    /// worker-build.
    pub worker_build: Tool,
    /// The wasm-bindgen CLI.
    pub wasm_bindgen: Tool,
}

/// Looks for everything, and installs what is missing.
pub fn setup(project: &Project) -> Outcome<Ready> {
    let started = Instant::now();
    node::check_node(project)?;
    check_cc(project)?;
    let tools = [Tool::worker_build(), Tool::wasm_bindgen(project)?];

    let mut installed = Vec::new();
    let missing_shared = toolchain::find(project).is_none() || tools.iter().any(|tool| !tool.present(&project.cache));
    if missing_shared {
        let _lock = Lock::take(&project.cache.join("setup.lock"), "the tools that all clones share")?;
        toolchain::ensure(project)?;
        for tool in &tools {
            // Whoever held the lock before may have installed it.
            if !tool.present(&project.cache) {
                tool.install(project)?;
                installed.push(tool.package);
            }
        }
    }
    if !node::installed(project)? {
        let _lock = Lock::take(&project.state().join("setup.lock"), "the npm packages of this clone")?;
        if !node::installed(project)? {
            node::install(project)?;
            installed.push("npm packages");
        }
    }
    for component in ["clippy", "rustfmt"] {
        ensure_component(project, component)?;
    }
    if copy_dev_vars(project)? {
        installed.push(".dev.vars");
    }

    let seconds = started.elapsed().as_secs_f64();
    if installed.is_empty() && !missing_shared {
        say(&format!("everything is in place ({seconds:.1} s)"));
    } else {
        say(&format!("setup is complete ({seconds:.1} s)"));
    }
    let toolchain = toolchain::find(project)
        .ok_or_else(|| Failure::new("the wasm32 target vanished during setup: run `cargo xtask setup` again"))?;
    let [worker_build, wasm_bindgen] = tools;
    Ok(Ready { toolchain, worker_build, wasm_bindgen })
}

/// The tools and the reference origin's `SQLite` are linked and compiled with it.
fn check_cc(project: &Project) -> Outcome {
    if output(command("cc", &project.root).arg("--version")).is_some() {
        return Ok(());
    }
    Err(Failure::new(
        "no C compiler was found as `cc`: install one (on Debian: `apt-get install build-essential`) and run this again",
    ))
}

fn ensure_component(project: &Project, component: &str) -> Outcome {
    let program = match component {
        "rustfmt" => "cargo-fmt",
        _ => "cargo-clippy",
    };
    if output(command(program, &project.root).arg("--version")).is_some() {
        return Ok(());
    }
    let added = output(command("rustup", &project.root).args(["component", "add", component]));
    added.map(drop).ok_or_else(|| {
        Failure::new(format!(
            "this Rust toolchain has no {component} and rustup could not add it: run `rustup component add {component}`"
        ))
    })
}

/// Local secrets start as a copy of the example; an existing file is never touched.
fn copy_dev_vars(project: &Project) -> Outcome<bool> {
    let (example, own) = (project.root.join(".dev.vars.example"), project.root.join(".dev.vars"));
    if own.exists() || !example.is_file() {
        return Ok(false);
    }
    fs::copy(&example, &own).doing("write", &own)?;
    say("copied .dev.vars.example to .dev.vars");
    Ok(true)
}
