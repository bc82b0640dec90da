//! `cargo xtask build`: the Worker as workerd loads it, in `build/`.
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

/// What the Worker is made from. `watch_dir` in wrangler.toml names those that are edited by hand.
const INPUTS: [&str; 8] =
    ["src", "build.rs", "rules.toml", "Cargo.toml", "Cargo.lock", ".cargo", "package-lock.json", "xtask/src/build.rs"];

/// Settings of cargo that change what it builds, by how their names start.
const SETTINGS: [&str; 5] = ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_", "CARGO_BUILD_", "CARGO_PROFILE_"];

const OUT: &str = "build";
const WASM: &str = "build/index_bg.wasm";

/// Builds the Worker if anything changed, and says how big it is.
pub fn build(project: &Project, ready: &Ready) -> Outcome<Size> {
    let _lock = Lock::take(&project.state().join("build.lock"), "a build of this clone")?;
    let started = Instant::now();
    let stamp = project.state().join("build.stamp");
    let inputs = inputs(project, ready)?;
    if let Some(size) = unchanged(project, &stamp, &inputs)? {
        say(&format!("the Worker in {OUT}/ is up to date: {}", size.describe()));
        return Ok(size);
    }

    drop_objects_of_another_std(project, &ready.toolchain)?;
    say("building the Worker: cargo for wasm32, wasm-bindgen, wasm-opt, esbuild");
    shown("worker-build", &mut worker_build(project, ready))?;
    shown("wasm-opt", &mut strip(project))?;

    let size = Size::of(project, &project.root.join(WASM))?;
    let outputs = outputs(project)?;
    write_whole(&stamp, &format!("{inputs}\n{outputs}\n{} {}\n", size.raw, size.gzipped))?;
    say(&format!("built the Worker into {OUT}/ in {:.1} s: {}", started.elapsed().as_secs_f64(), size.describe()));
    Ok(size)
}

fn worker_build(project: &Project, ready: &Ready) -> Command {
    let bin = project.npm_bin();
    let mut build = command(ready.worker_build.path(&project.cache), &project.root);
    build
        .arg("--release")
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
fn strip(project: &Project) -> Command {
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
        .args(["--strip-debug", "--strip-producers", WASM, "--output", WASM])
        .env("PATH", path_with(&[&bin]));
    strip
}

/// The size that the stamp holds, where inputs and outputs are still those of the stamp.
fn unchanged(project: &Project, stamp: &Path, inputs: &str) -> Outcome<Option<Size>> {
    let Ok(text) = fs::read_to_string(stamp) else {
        return Ok(None);
    };
    let mut lines = text.lines();
    let same = lines.next() == Some(inputs) && lines.next() == Some(outputs(project)?.as_str());
    Ok(lines.next().filter(|_| same).and_then(Size::parse))
}

fn inputs(project: &Project, ready: &Ready) -> Outcome<String> {
    let mut fingerprint = Fingerprint::new();
    for input in INPUTS {
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

fn outputs(project: &Project) -> Outcome<String> {
    let mut fingerprint = Fingerprint::new();
    fingerprint.tree(&project.root, Path::new(OUT))?;
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
