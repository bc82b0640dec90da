//! `cargo xtask mutants --policy`: cargo-mutants on the modules that decide. Their own unit tests must notice each mistake, but for those
//! of `tests/mutants-policy.toml`, which change nothing that can be seen.

use std::fs;
use std::path::Path;

use toml::{Table, Value};

use crate::failure::{Doing, Failure, Outcome};
use crate::group::{Group, ending};
use crate::lock::Lock;
use crate::mutants::copy;
use crate::project::{Project, write_whole};
use crate::run::{command, say};
use crate::tools::Tool;

/// With these the run came to its end: nothing survived, something did, something ran without end.
const COMPLETE: [i32; 3] = [0, 2, 3];

/// The list.
#[derive(Debug, PartialEq, Eq)]
struct List {
    /// The modules, as paths.
    modules: Vec<String>,
    /// What may survive, in order. What cargo-mutants calls by one name may stand there several times.
    explained: Vec<String>,
}

/// Lets cargo-mutants make its mistakes in a copy of the sources, and fails unless those that survive are those of the list.
pub fn policy(project: &Project) -> Outcome {
    let path = project.root.join("tests/mutants-policy.toml");
    let list = parse(&fs::read_to_string(&path).doing("read", &path)?)?;
    let tool = Tool::cargo_mutants();
    if !tool.present(&project.cache) {
        let _lock = Lock::take(&project.cache.join("setup.lock"), "the tools that all clones share")?;
        if !tool.present(&project.cache) {
            tool.install(project)?;
        }
    }
    let room = project.target().join("policy");
    let tree = room.join("tree");
    copy(&project.root, &tree)?;
    let manifest = tree.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).doing("read", &manifest)?;
    write_whole(&manifest, &alone(&text)?)?;

    let mut mutants = command(tool.path(&project.cache), &tree);
    mutants
        .args(["mutants", "--in-place", "--colors=never", "--output"])
        .arg(&room)
        .args(list.modules.iter().flat_map(|module| ["--file", module.as_str()]))
        // For the build as well as for the tests.
        .arg("--cargo-arg=--lib")
        .env("CARGO_TARGET_DIR", room.join("target"));
    let status = Group::spawn("cargo-mutants", &mut mutants)?.wait()?;
    if !status.code().is_some_and(|code| COMPLETE.contains(&code)) {
        return Err(Failure::new(format!("cargo-mutants failed with {}", ending(status))));
    }
    let of = |outcome: &str| read(&room.join("mutants.out").join(outcome));
    let (caught, endless, unviable) = (of("caught.txt")?, of("timeout.txt")?, of("unviable.txt")?);
    let survived = of("missed.txt")?;
    say(&format!(
        "{} mutants: {} noticed, {} of them by running without end; {} do not compile; {} survive",
        caught.len() + endless.len() + unviable.len() + survived.len(),
        caught.len() + endless.len(),
        endless.len(),
        unviable.len(),
        survived.len(),
    ));
    judge(&survived, &list.explained)
}

/// Reads the list.
fn parse(text: &str) -> Outcome<List> {
    let wrong = |what: &str| Failure::new(format!("tests/mutants-policy.toml: {what}"));
    let table: Table = text.parse().map_err(|error| wrong(&format!("{error}")))?;
    let modules = table.get("modules").and_then(Value::as_array).ok_or_else(|| wrong("there are no `modules`"))?;
    let modules = modules.iter().map(|module| module.as_str().map(str::to_owned)).collect::<Option<_>>();
    let survivors = table.get("survivor").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut explained = Vec::new();
    for survivor in survivors {
        let text = |member: &str| survivor.get(member).and_then(Value::as_str);
        let (Some(mutant), Some(_)) = (text("mutant"), text("reason")) else {
            return Err(wrong("a survivor has no text `mutant` or `reason`"));
        };
        explained.push(mutant.to_owned());
    }
    explained.sort_unstable();
    Ok(List { modules: modules.ok_or_else(|| wrong("a module is no text"))?, explained })
}

/// The manifest of the package alone. Its unit tests need nothing else, and without the rest a mutant is built in a few seconds.
fn alone(manifest: &str) -> Outcome<String> {
    let wrong = |what: &str| Failure::new(format!("Cargo.toml: {what}"));
    let mut table: Table = manifest.parse().map_err(|error| wrong(&format!("{error}")))?;
    for left_out in ["dev-dependencies", "profile", "test"] {
        table.remove(left_out);
    }
    let workspace = table.get_mut("workspace").and_then(Value::as_table_mut);
    workspace.ok_or_else(|| wrong("there is no [workspace]"))?.remove("members");
    Ok(table.to_string())
}

/// The mutants of one outcome, in order.
fn read(path: &Path) -> Outcome<Vec<String>> {
    let text = fs::read_to_string(path).doing("read", path)?;
    let mut names: Vec<_> = text.lines().map(placeless).collect();
    names.sort_unstable();
    Ok(names)
}

/// `src/a.rs:12:5: replace a with b` without line and column, which move with every change.
fn placeless(line: &str) -> String {
    let (place, what) = line.split_once(": ").unwrap_or((line, ""));
    let file = place.split(':').next().unwrap_or_default();
    format!("{file}: {what}")
}

/// Compares what survived with what is explained.
fn judge(survived: &[String], explained: &[String]) -> Outcome {
    let (unexplained, gone) = (without(survived, explained), without(explained, survived));
    if unexplained.is_empty() && gone.is_empty() {
        return Ok(());
    }
    let mut lines = vec!["tests/mutants-policy.toml is not what survived".to_owned()];
    lines.extend(unexplained.iter().map(|name| format!("no test notices, and no reason is given: {name}")));
    lines.extend(gone.iter().map(|name| format!("explained, but it does not survive: {name}")));
    Err(Failure::new(lines.join("\n  ")))
}

/// What is in the first list more often than in the second.
fn without<'a>(names: &'a [String], others: &[String]) -> Vec<&'a str> {
    let mut others = others.to_vec();
    let missing = |name: &&String| match others.iter().position(|other| other == *name) {
        Some(place) => {
            others.swap_remove(place);
            false
        }
        None => true,
    };
    names.iter().filter(missing).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_list_has_modules_and_reasons() {
        let text = "modules = [\"src/a.rs\"]\n[[survivor]]\nmutant = \"m\"\nreason = \"r\"\n";
        assert_eq!(parse(text), Ok(List { modules: names(&["src/a.rs"]), explained: names(&["m"]) }));
        assert_eq!(parse("modules = []"), Ok(List { modules: vec![], explained: vec![] }));
        assert!(parse(&text.replace("reason", "why")).unwrap_err().0.contains("no text"));
        assert!(parse("modules = [1]").unwrap_err().0.contains("a module is no text"));
        assert!(parse("").unwrap_err().0.contains("no `modules`"));
    }

    #[test]
    fn the_package_is_built_alone() {
        let text = "[workspace]\nmembers = [\"a\"]\n[package]\nname = \"p\"\n[dev-dependencies]\na = \"1\"\n[[test]]\nname = \"t\"\n";
        assert_eq!(alone(text).unwrap(), "[package]\nname = \"p\"\n\n[workspace]\n");
        assert!(alone("[package]\nname = \"p\"\n").is_err());
    }

    #[test]
    fn a_mutant_is_known_without_its_place() {
        assert_eq!(
            placeless("src/a.rs:12:5: replace a::b -> c with d in e"),
            "src/a.rs: replace a::b -> c with d in e"
        );
    }

    #[test]
    fn what_survives_is_what_is_explained() {
        assert_eq!(judge(&names(&["a", "b", "b"]), &names(&["b", "a", "b"])), Ok(()));
        let failure = judge(&names(&["a", "b", "b"]), &names(&["b", "c"])).unwrap_err().0;
        assert_eq!(failure.matches("no reason is given: a").count(), 1, "{failure}");
        assert_eq!(failure.matches("no reason is given: b").count(), 1, "{failure}");
        assert_eq!(failure.matches("does not survive: c").count(), 1, "{failure}");
    }
}
