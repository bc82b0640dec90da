//! Mistakes made on purpose: each of `tests/mutants.toml` is made in a copy of the sources, and the explorer must find it there.
//!
//! A violation that the explorer prints is what counts. A mutant that does not compile, or fails in another way, says nothing about it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use toml::{Table, Value};

use crate::failure::{Doing, Failure, Outcome};
use crate::group::{Group, ending};
use crate::project::{Project, holds};
use crate::run::{command, say, tail};

/// What belongs to no source tree.
const LEFT_OUT: [&str; 5] = [".git", ".wrangler", "build", "node_modules", "target"];

/// With what the explorer's report of a broken promise begins.
const VIOLATION: &str = "violation: ";

/// How much of a log is shown after a failure.
const TAIL_LINES: usize = 25;

/// One mistake: a text in the place of another.
#[derive(Debug, PartialEq, Eq)]
struct Mutant {
    name: String,
    file: PathBuf,
    find: String,
    replace: String,
}

/// What became of a run of the explorer.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It found nothing.
    Passed,
    /// It found this.
    Found(String),
    /// It did not come so far.
    Broken,
}

/// Makes each mistake, and fails unless the explorer finds every one of them, and nothing in what has none.
pub fn mutants(project: &Project) -> Outcome {
    let list = project.root.join("tests/mutants.toml");
    let mutants = parse(&fs::read_to_string(&list).doing("read", &list)?)?;
    let room = project.target().join("mutants");
    let tree = room.join("tree");
    copy(&project.root, &tree)?;
    match explore(&room, &tree)? {
        Verdict::Passed => say("nothing is found in the sources as they are"),
        Verdict::Found(sentence) => return Err(Failure::new(format!("the sources as they are: {sentence}"))),
        Verdict::Broken => return Err(broken(&room, "the explorer")),
    }
    for mutant in &mutants {
        let Mutant { name, file, find, replace } = mutant;
        let path = project.root.join(file);
        let text = fs::read_to_string(&path).doing("read", &path)?;
        let changed = mutated(&text, find, replace).map_err(|times| {
            Failure::new(format!("mutant \"{name}\": its `find` stands {times} times in {}, not once", file.display()))
        })?;
        let began = Instant::now();
        let copied = tree.join(file);
        fs::write(&copied, changed).doing("write", &copied)?;
        let verdict = explore(&room, &tree)?;
        fs::write(&copied, text).doing("write", &copied)?;
        match verdict {
            Verdict::Found(sentence) => {
                say(&format!("\"{name}\" is found in {:.1} s: {sentence}", began.elapsed().as_secs_f64()));
            }
            Verdict::Passed => return Err(Failure::new(format!("the explorer does not find that {name}"))),
            Verdict::Broken => return Err(broken(&room, &format!("mutant \"{name}\""))),
        }
    }
    Ok(())
}

/// Reads the list.
fn parse(text: &str) -> Outcome<Vec<Mutant>> {
    let wrong = |what: &str| Failure::new(format!("tests/mutants.toml: {what}"));
    let table: Table = text.parse().map_err(|error| wrong(&format!("{error}")))?;
    let list = table.get("mutant").and_then(Value::as_array).ok_or_else(|| wrong("there is no [[mutant]]"))?;
    list.iter()
        .map(|mutant| {
            let text = |member: &str| {
                let value = mutant.get(member).and_then(Value::as_str).map(str::to_owned);
                value.ok_or_else(|| wrong(&format!("a mutant has no text `{member}`")))
            };
            Ok(Mutant {
                name: text("name")?,
                file: text("file")?.into(),
                find: text("find")?,
                replace: text("replace")?,
            })
        })
        .collect()
}

/// The text with one replacement, or how often the place for it is there.
fn mutated(text: &str, find: &str, replace: &str) -> Result<String, usize> {
    match text.matches(find).count() {
        1 => Ok(text.replacen(find, replace, 1)),
        times => Err(times),
    }
}

/// Makes `to` hold what `from` does. A file that is the same already stays as old as it is, so that cargo builds little.
pub fn copy(from: &Path, to: &Path) -> Outcome {
    fs::create_dir_all(to).doing("create", to)?;
    for entry in fs::read_dir(from).doing("read", from)? {
        let name = entry.doing("read", from)?.file_name();
        let (source, target) = (from.join(&name), to.join(&name));
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        if source.is_dir() {
            copy(&source, &target)?;
        } else if !fs::read_to_string(&source).is_ok_and(|text| holds(&target, &text)) {
            fs::copy(&source, &target).doing("copy", &source)?;
        }
    }
    for entry in fs::read_dir(to).doing("read", to)? {
        let path = entry.doing("read", to)?.path();
        let is_there = path.file_name().is_some_and(|name| from.join(name).exists());
        if !is_there && path.is_file() {
            fs::remove_file(&path).doing("remove", &path)?;
        } else if !is_there {
            fs::remove_dir_all(&path).doing("remove", &path)?;
        }
    }
    Ok(())
}

/// Runs the explorer in the copy.
fn explore(room: &Path, tree: &Path) -> Outcome<Verdict> {
    let path = log(room);
    let file = File::create(&path).doing("write", &path)?;
    let for_stderr = file.try_clone().doing("write", &path)?;
    let mut cargo = command("cargo", tree);
    cargo.args(["test", "-p", "hotrod-edge", "--test", "it", "explorer"]);
    cargo.env("CARGO_TARGET_DIR", room.join("target")).env_remove("HOTROD_LONG").stdout(file).stderr(for_stderr);
    let status = Group::spawn("the explorer", &mut cargo)?.wait()?;
    let text = fs::read_to_string(&path).doing("read", &path)?;
    if !status.success() && !text.contains(VIOLATION) {
        say(&format!("the explorer ended with {}", ending(status)));
    }
    Ok(verdict(status.success(), &text))
}

fn verdict(success: bool, text: &str) -> Verdict {
    match text.lines().find_map(|line| line.strip_prefix(VIOLATION)) {
        _ if success => Verdict::Passed,
        Some(sentence) => Verdict::Found(sentence.to_owned()),
        None => Verdict::Broken,
    }
}

fn log(room: &Path) -> PathBuf {
    room.join("explorer.log")
}

fn broken(room: &Path, what: &str) -> Failure {
    let log = log(room);
    eprintln!("{}", tail(&log, TAIL_LINES));
    Failure::new(format!("{what} did not come to a verdict; the whole log is {}", log.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_has_its_four_texts() {
        let text = "[[mutant]]\nname = \"n\"\nfile = \"src/a.rs\"\nfind = \"\"\"\na\n\"\"\"\nreplace = \"\"\n";
        let mutant = Mutant { name: "n".into(), file: "src/a.rs".into(), find: "a\n".into(), replace: String::new() };
        assert_eq!(parse(text), Ok(vec![mutant]));
        assert!(parse(&text.replace("find", "fin")).unwrap_err().0.contains("no text `find`"));
        assert!(parse("").unwrap_err().0.contains("no [[mutant]]"));
        assert!(parse("=").is_err());
    }

    #[test]
    fn every_mistake_can_be_made_in_the_sources_as_they_are() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let read = |file: &Path| fs::read_to_string(root.join(file)).expect("it is there");
        for Mutant { name, file, find, replace } in parse(&read(Path::new("tests/mutants.toml"))).expect("a list") {
            assert!(mutated(&read(&file), &find, &replace).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_place_must_be_there_once() {
        assert_eq!(mutated("a < b", "<", "<="), Ok("a <= b".to_owned()));
        assert_eq!(mutated("a < b < c", "<", "<="), Err(2));
        assert_eq!(mutated("a", "<", "<="), Err(0));
    }

    #[test]
    fn only_a_violation_counts_as_found() {
        let found = "thread panicked:\nviolation: a purge: too old\n   1. step\n";
        assert_eq!(verdict(false, found), Verdict::Found("a purge: too old".to_owned()));
        assert_eq!(verdict(false, "error[E0425]: cannot find value\n"), Verdict::Broken);
        assert_eq!(verdict(true, "test result: ok"), Verdict::Passed);
    }
}
