//! `cargo xtask build`: the Worker as workerd loads it, in `build/`, and the one that tests run by other rules.
//!
//! worker-build links, binds, optimises and bundles anew each time, so it is only called when something that it reads has changed: a
//! fingerprint of its inputs, and one of what it wrote, are kept beside the other state of this clone.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::debian;
use crate::failure::{Doing, Outcome};
use crate::fingerprint::Fingerprint;
use crate::lock::Lock;
use crate::project::{Project, holds, write_whole};
use crate::run::{command, output, path_with, say, shown};
use crate::setup::Ready;
use crate::size::Size;
use crate::toolchain::{TARGET, Toolchain};

/// What every Worker is made from, beside its rules. `watch_dir` in wrangler.toml names those that are edited by hand.
const INPUTS: [&str; 7] =
    ["src", "build.rs", "Cargo.toml", "Cargo.lock", ".cargo", "package-lock.json", "xtask/src/build.rs"];

/// Settings of cargo that change what it builds, by how their names start.
const SETTINGS: [&str; 5] = ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_", "CARGO_BUILD_", "CARGO_PROFILE_"];

/// One Worker.
#[derive(Debug)]
struct Worker {
    /// Its rules.
    rules: &'static str,
    /// The folder that it is built into.
    out: &'static str,
    /// The name of its stamp.
    stamp: &'static str,
}

/// The one that is deployed.
const DEPLOYED: Worker = Worker { rules: "rules.toml", out: "build", stamp: "build.stamp" };

/// The one whose routes follow their origin.
const FOLLOW: Worker = Worker { rules: "tests/follow/rules.toml", out: "tests/follow/build", stamp: "follow.stamp" };

/// Builds the Worker that is deployed if anything changed, and says how big it is.
pub fn build(project: &Project, ready: &Ready) -> Outcome<Size> {
    let size = build_one(project, ready, &DEPLOYED)?;
    say(&size.describe());
    Ok(size)
}

/// The same for the Worker of tests/follow, which has no budget.
pub fn build_follow(project: &Project, ready: &Ready) -> Outcome {
    build_one(project, ready, &FOLLOW).map(drop)
}

fn build_one(project: &Project, ready: &Ready, worker: &Worker) -> Outcome<Size> {
    let _lock = Lock::take(&project.state().join("build.lock"), "a build of this clone")?;
    let started = Instant::now();
    let stamp = project.state().join(worker.stamp);
    let inputs = inputs(project, ready, worker)?;
    let out = worker.out;
    if let Some(size) = unchanged(project, worker, &stamp, &inputs)? {
        say(&format!("the Worker in {out}/ is up to date"));
        return Ok(size);
    }

    drop_objects_of_another_std(project, &ready.toolchain)?;
    say(&format!("building the Worker of {}: cargo for wasm32, wasm-bindgen, wasm-opt, esbuild", worker.rules));
    shown("worker-build", &mut worker_build(project, ready, worker))?;
    let wasm = project.root.join(out).join("index_bg.wasm");
    shown("wasm-opt", &mut strip(project, &wasm))?;

    let size = Size::of(project, &wasm)?;
    let outputs = outputs(project, worker)?;
    write_whole(&stamp, &format!("{inputs}\n{outputs}\n{} {}\n", size.raw, size.gzipped))?;
    say(&format!("built the Worker into {out}/ in {:.1} s", started.elapsed().as_secs_f64()));
    Ok(size)
}

fn worker_build(project: &Project, ready: &Ready, worker: &Worker) -> Command {
    let bin = project.npm_bin();
    let mut build = command(ready.worker_build.path(&project.cache), &project.root);
    build
        .args(["--release", "--out-dir", worker.out])
        .env("HOTROD_EDGE_RULES", worker.rules)
        // What went wrong is in cargo's own words above; a trace through worker-build says nothing of it.
        .env("RUST_BACKTRACE", "0")
        .env("WASM_BINDGEN_BIN", ready.wasm_bindgen.path(&project.cache))
        .env("WASM_OPT_BIN", bin.join("wasm-opt"))
        .env("ESBUILD_BIN", bin.join("esbuild"))
        // wasm-opt is a program for Node.
        .env("PATH", path_with(&[&bin]));
    if let Toolchain::Debian { bin: compiler, .. } = &ready.toolchain {
        debian::select(&mut build, &[compiler, &bin]);
    }
    build
}

/// worker-build always keeps the names of functions, a fifth of the module; what is deployed does without.
fn strip(project: &Project, wasm: &Path) -> Command {
    let bin = project.npm_bin();
    let mut strip = command(bin.join("wasm-opt"), &project.root);
    // Only what worker-build enables too: workerd reads no newer encodings.
    let features = [
        "mutable-globals",
        "sign-ext",
        "nontrapping-float-to-int",
        "bulk-memory",
        "multivalue",
        "reference-types",
        "exception-handling",
    ];
    strip
        .args(features.map(|feature| format!("--enable-{feature}")))
        .args(["--strip-debug", "--strip-producers"])
        .arg(wasm)
        .arg("--output")
        .arg(wasm)
        .env("PATH", path_with(&[&bin]));
    strip
}

/// The size that the stamp holds, where inputs and outputs are still those of the stamp.
fn unchanged(project: &Project, worker: &Worker, stamp: &Path, inputs: &str) -> Outcome<Option<Size>> {
    let Ok(text) = fs::read_to_string(stamp) else {
        return Ok(None);
    };
    let mut lines = text.lines();
    let same = lines.next() == Some(inputs) && lines.next() == Some(outputs(project, worker)?.as_str());
    Ok(lines.next().filter(|_| same).and_then(Size::parse))
}

fn inputs(project: &Project, ready: &Ready, worker: &Worker) -> Outcome<String> {
    let mut fingerprint = Fingerprint::new();
    for input in INPUTS.into_iter().chain([worker.rules]) {
        fingerprint.tree(&project.root, Path::new(input))?;
    }
    for (name, value) in settings(env::vars_os()) {
        fingerprint.text(&name, &value);
    }
    for tool in [&ready.worker_build, &ready.wasm_bindgen] {
        fingerprint.text(tool.package, &tool.version);
    }
    let mut rustc = command("rustc", &project.root);
    if let Toolchain::Debian { bin, std_id } = &ready.toolchain {
        debian::select(&mut rustc, &[bin]);
        fingerprint.text("std", std_id);
    }
    let version = output(rustc.arg("-vV")).unwrap_or_default();
    fingerprint.text("rustc", &version);
    Ok(fingerprint.finish())
}

/// The variables that count, in one order whatever the environment's.
fn settings(all: impl Iterator<Item = (OsString, OsString)>) -> Vec<(String, String)> {
    let text = |part: OsString| part.to_string_lossy().into_owned();
    let mut settings: Vec<_> = all
        .map(|(name, value)| (text(name), text(value)))
        .filter(|(name, _)| SETTINGS.iter().any(|start| name.starts_with(start)))
        .collect();
    settings.sort_unstable();
    settings
}

fn outputs(project: &Project, worker: &Worker) -> Outcome<String> {
    let mut fingerprint = Fingerprint::new();
    fingerprint.tree(&project.root, Path::new(worker.out))?;
    Ok(fingerprint.finish())
}

/// Cargo does not see that a standard library was built anew by the same compiler; what was compiled against the old one has to go.
fn drop_objects_of_another_std(project: &Project, toolchain: &Toolchain) -> Outcome {
    let Toolchain::Debian { std_id, .. } = toolchain else {
        return Ok(());
    };
    let record = project.state().join("std-id");
    if holds(&record, std_id) {
        return Ok(());
    }
    let objects = project.target().join(TARGET);
    if objects.exists() {
        fs::remove_dir_all(&objects).doing("remove", &objects)?;
    }
    write_whole(&record, std_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_a_build_counts_and_its_order_does_not() {
        let of = |names: &[&str]| {
            let all = names.iter().map(|name| (name.into(), "1".into()));
            settings(all)
        };
        let profile = "CARGO_PROFILE_RELEASE_OPT_LEVEL";
        assert_eq!(of(&["PATH", profile, "CARGO_HOME", "RUSTFLAGS"]), of(&["RUSTFLAGS", profile]));
        assert_ne!(of(&[profile]), of(&[]));
    }
}
