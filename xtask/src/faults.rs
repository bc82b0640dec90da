//! What becomes of each fault that the edge must survive: `tests/faults.toml` lists them, each with the tests that show
//! it, and what those printed is read from the logs of the same run.

use std::fs;
use std::path::PathBuf;

use crate::failure::{Doing, Failure, Outcome};
use crate::project::Project;

/// Where the output of the native tests goes.
pub fn native_log(project: &Project) -> PathBuf {
    project.root.join("target/verdicts/native.log")
}

/// Where that of the end-to-end tests goes.
pub fn workerd_log(project: &Project) -> PathBuf {
    project.root.join("target/verdicts/workerd.log")
}

/// A fault, and what shows that it is survived.
#[derive(Debug)]
struct Fault {
    /// `F1`.
    id: String,
    /// What goes wrong, and what must come of it.
    what: String,
    /// Tests on fakes, by name.
    native: Vec<String>,
    /// Tests on workerd, by name.
    workerd: Vec<String>,
    /// Whether it must be shown on workerd, too.
    needs_workerd: bool,
}

/// Prints every fault with its tests and what became of them. One without a test, or whose test did not pass, is a
/// failure.
pub fn show(project: &Project) -> Outcome {
    let list = project.root.join("tests/faults.toml");
    let faults = read(&fs::read_to_string(&list).doing("read", &list)?)?;
    let log = |file: PathBuf| fs::read_to_string(&file).doing("read", &file);
    let (table, without) = table(&faults, &log(native_log(project))?, &log(workerd_log(project))?);
    println!("{table}");
    if without.is_empty() {
        println!("\nfaults: {}, each with tests that passed in this run", faults.len());
        return Ok(());
    }
    Err(Failure::new(format!("faults whose tests are missing or did not pass: {}", without.join(", "))))
}

fn read(text: &str) -> Outcome<Vec<Fault>> {
    let wrong = |what: &str| Failure::new(format!("tests/faults.toml: {what}"));
    let table: toml::Table = text.parse().map_err(|error| wrong(&format!("{error}")))?;
    let entries = table.get("fault").and_then(toml::Value::as_array).ok_or_else(|| wrong("it lists no [[fault]]"))?;
    let one = |entry: &toml::Value| {
        let text = |name: &str| entry.get(name).and_then(toml::Value::as_str).map(str::to_owned);
        let list = |name: &str| -> Vec<String> {
            let items = entry.get(name).and_then(toml::Value::as_array).into_iter().flatten();
            items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let id = text("id").ok_or_else(|| wrong("a fault has no `id`"))?;
        let what = text("what").ok_or_else(|| wrong(&format!("{id} does not say `what` it is")))?;
        let needs_workerd = entry.get("needs_workerd").and_then(toml::Value::as_bool).unwrap_or(false);
        Ok(Fault { id, what, native: list("native"), workerd: list("workerd"), needs_workerd })
    };
    entries.iter().map(one).collect()
}

/// A paragraph for each fault, and the numbers of those that nothing shows.
fn table<'f>(faults: &'f [Fault], native: &str, workerd: &str) -> (String, Vec<&'f str>) {
    let (mut lines, mut without) = (Vec::new(), Vec::new());
    for fault in faults {
        let in_log = |names: &[String], log: &str| -> Vec<(String, String)> {
            names.iter().map(|name| (name.clone(), outcome(log, name))).collect()
        };
        let (native, on_workerd) = (in_log(&fault.native, native), in_log(&fault.workerd, workerd));
        let is_shown = (!native.is_empty() || !on_workerd.is_empty())
            && (!fault.needs_workerd || !on_workerd.is_empty())
            && native.iter().chain(&on_workerd).all(|(_, outcome)| outcome == "ok");
        if !is_shown {
            without.push(fault.id.as_str());
        }
        let verdict = if is_shown { "holds" } else { "NOT SHOWN" };
        lines.push(format!("  {:<4} {:<96} {verdict}", fault.id, fault.what));
        for (place, tests) in [("native", native), ("workerd", on_workerd)] {
            for (name, outcome) in tests {
                let outcome = if outcome == "ok" { String::new() } else { format!(": {outcome}") };
                lines.push(format!("         {place:<7} {name}{outcome}"));
            }
        }
    }
    (lines.join("\n"), without)
}

/// What became of a test: the word behind its name.
fn outcome(log: &str, name: &str) -> String {
    let line = log.lines().find_map(|line| line.strip_prefix("test ")?.strip_prefix(name)?.strip_prefix(" ... "));
    line.map_or_else(|| "not run".to_owned(), |word| word.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{read, table};

    const LIST: &str = r#"
        [[fault]]
        id = "F1"
        what = "one -> this"
        native = ["a::b"]
        workerd = ["c"]
        needs_workerd = true
        [[fault]]
        id = "F2"
        what = "two -> that"
        native = ["a::b"]
        needs_workerd = true
        [[fault]]
        id = "F3"
        what = "three -> nothing"
        [[fault]]
        id = "F4"
        what = "four -> a test that failed"
        native = ["a::b", "a::d"]
        [[fault]]
        id = "F5"
        what = "five -> a test that is not there"
        native = ["a"]
    "#;

    #[test]
    fn a_fault_holds_if_all_its_tests_passed_and_one_of_them_on_workerd_where_it_must() {
        let faults = read(LIST).unwrap();
        let (table, without) = table(&faults, "test a::b ... ok\ntest a::d ... FAILED\n", "test c ... ok\n");
        assert_eq!(without, ["F2", "F3", "F4", "F5"]);
        let ends: Vec<_> =
            table.lines().filter(|line| line.starts_with("  F")).map(|line| line.ends_with(" holds")).collect();
        assert_eq!(ends, [true, false, false, false, false]);
        assert!(table.contains("native  a::d: FAILED") && table.contains("native  a: not run"), "{table}");
    }

    #[test]
    fn a_list_that_is_not_whole_is_refused() {
        for (list, said) in
            [("", "lists no"), ("[[fault]]\nwhat = \"x\"", "no `id`"), ("[[fault]]\nid = \"F1\"", "F1 does not say")]
        {
            let wrong = read(list).unwrap_err().0;
            assert!(wrong.contains(said), "{wrong}");
        }
    }
}
