//! The compiler for wasm32 where rustup cannot download: Debian's `rustc-web`, which has no standard library for that target but has its sources.
//!
//! The library is built from these once, with `-Z build-std`, and laid beside the compiler's other libraries. A stamp there, written last,
//! names the compiler it was built by: no stamp, or that of an older compiler, and it is built again.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::failure::{Doing, Failure, Outcome};
use crate::project::{Project, write_whole};
use crate::run::{Long, command, output, path_with, say};
use crate::toolchain::{TARGET, Toolchain, has_std};

/// What has to be installed. `rust-web-llvm` only links to the linker, so the linker's own package is named as well.
const PACKAGES: [&str; 5] = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "lld-22"];

/// Where Debian's packages put their programs.
const DEBIAN_BIN: &str = "/usr/bin";

/// The last file written to the library folder.
const STAMP: &str = "hotrod-edge.stamp";

/// Without the bitcode the link-time optimisation of the Worker finds nothing to work on.
const STD_FLAGS: &str = "-Cembed-bitcode=yes";

/// Finds Debian's compiler with a standard library for wasm32 that xtask built for it.
pub fn find(project: &Project) -> Option<Toolchain> {
    let version = compiler_version()?;
    let dir = library_dir()?;
    let stamp = fs::read_to_string(dir.join(STAMP)).ok()?;
    let std_id = stamp.strip_prefix(&version)?.strip_prefix('\n')?.lines().next()?;
    if !has_std(&dir) {
        return None;
    }
    Some(Toolchain::Debian { bin: link_programs(project).ok()?, std_id: std_id.to_owned() })
}

/// Installs the compiler, builds the standard library and lays it in place.
pub fn install(project: &Project) -> Outcome<Toolchain> {
    if !may_install() {
        return Err(Failure::new(format!(
            "the Rust target {TARGET} is missing and could not be installed: run `rustup target add {TARGET}` where rustup can download, \
             or run `cargo xtask setup` once as root on Debian 12"
        )));
    }
    install_packages(project, &PACKAGES)?;
    build_std(project)?;
    find(project).ok_or_else(|| {
        Failure::new("Debian's compiler is installed, but its standard library for wasm32 is not found: run `cargo xtask setup` again")
    })
}

/// Makes `command` find Debian's compiler in these folders, whatever rustup has set for its own.
pub fn select(command: &mut Command, first: &[&Path]) {
    command.env("PATH", path_with(first));
    for name in ["RUSTUP_TOOLCHAIN", "RUSTC", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "LD_LIBRARY_PATH"] {
        command.env_remove(name);
    }
}

/// Whether packages can be installed: as root, on Debian.
pub fn may_install() -> bool {
    let root = output(Command::new("id").arg("-u")).as_deref() == Some("0");
    root && Path::new("/etc/debian_version").is_file()
}

/// Installs packages.
pub fn install_packages(project: &Project, packages: &[&str]) -> Outcome {
    let apt = |what: &str, note: &str, args: &[&str]| {
        Long { what, note, log: project.cache.join("logs").join("apt.log"), limit: Duration::from_mins(15) }.run(
            command("apt-get", &project.root)
                .env("DEBIAN_FRONTEND", "noninteractive")
                .args(["-o", "DPkg::Lock::Timeout=300", "-q"])
                .args(args),
        )
    };
    apt("apt-get update", "once per machine, about 10 s; waits for the package lists", &["update"])?;
    let install = ["install", "-y", "--no-remove", "--no-install-recommends"];
    apt(
        &format!("apt-get install {}", packages.join(" ")),
        "once per machine, about 30 s; waits for the packages",
        &[install.as_slice(), packages].concat(),
    )
}

fn build_std(project: &Project) -> Outcome {
    let version = compiler_version()
        .ok_or_else(|| Failure::new(format!("{DEBIAN_BIN}/rustc does not run: reinstall rustc-web")))?;
    let dir = library_dir()
        .ok_or_else(|| Failure::new(format!("{DEBIAN_BIN}/rustc names no folder for {TARGET}: reinstall rustc-web")))?;
    let bin = link_programs(project)?;

    // An empty crate of its own, outside of any workspace.
    let work = project.cache.join("wasm-std");
    write_whole(
        &work.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n",
    )?;
    write_whole(&work.join("src").join("lib.rs"), "#![no_std]\n")?;
    let target = work.join("target");
    let mut cargo = command("cargo", &work);
    select(&mut cargo, &[&bin]);
    cargo
        .args(["build", "--release", "--target", TARGET])
        .args(["-Z", "build-std=std,panic_abort,proc_macro"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", STD_FLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("CARGO_TARGET_DIR", &target);
    Long {
        what: "building Rust's standard library for wasm32",
        note: "once per compiler, about 40 s on 2 cores",
        log: project.cache.join("logs").join("wasm-std.log"),
        limit: Duration::from_mins(30),
    }
    .run(&mut cargo)?;

    lay(&target.join(TARGET).join("release").join("deps"), &dir, &version)?;
    fs::remove_dir_all(&work).doing("remove", &work)?;
    say(&format!("the standard library for wasm32 is in {}", dir.display()));
    Ok(())
}

/// Copies the libraries from `deps` to `dir`, each whole or not at all, and the stamp last.
fn lay(deps: &Path, dir: &Path, version: &str) -> Outcome {
    fs::create_dir_all(dir).doing("create", dir)?;
    // Two standard libraries side by side would be ambiguous, so those of an earlier try go first.
    for entry in fs::read_dir(dir).doing("read", dir)?.flatten() {
        let path = entry.path();
        fs::remove_file(&path).doing("remove", &path)?;
    }
    for entry in fs::read_dir(deps).doing("read", deps)?.flatten() {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if text.ends_with(".rlib") && !text.starts_with("libempty-") {
            let part = dir.join(format!("{text}.part"));
            fs::copy(entry.path(), &part).doing("write", &part)?;
            fs::rename(&part, dir.join(&name)).doing("write", &part)?;
        }
    }
    let id = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis());
    write_whole(&dir.join(STAMP), &format!("{version}\n{id}\n"))
}

fn rustc() -> Command {
    let mut rustc = Command::new(Path::new(DEBIAN_BIN).join("rustc"));
    rustc.env_remove("RUSTUP_TOOLCHAIN");
    rustc
}

fn compiler_version() -> Option<String> {
    output(rustc().arg("--version"))
}

fn library_dir() -> Option<PathBuf> {
    output(rustc().args(["--print", "target-libdir", "--target", TARGET])).map(PathBuf::from)
}

/// A folder with links to Debian's cargo and rustc and nothing else, so that no other program of `/usr/bin` comes first in PATH.
fn link_programs(project: &Project) -> Outcome<PathBuf> {
    let bin = project.cache.join("debian-rust").join("bin");
    for program in ["cargo", "rustc"] {
        let link = bin.join(program);
        let target = Path::new(DEBIAN_BIN).join(program);
        if fs::read_link(&link).is_ok_and(|found| found == target) {
            continue;
        }
        fs::create_dir_all(&bin).doing("create", &bin)?;
        let part = bin.join(format!("{program}.part{}", std::process::id()));
        let _ = fs::remove_file(&part);
        symlink(&target, &part).doing("create", &part)?;
        fs::rename(&part, &link).doing("create", &link)?;
    }
    Ok(bin)
}
