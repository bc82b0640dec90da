//! What became of each clause of RFC 9111, and of each attack: tables that are printed after the tests that make them.
//!
//! The native tests leave the first as it is to be printed. Of the second `tests/e2e/attacks/cases.txt` lists the cases,
//! and the end-to-end tests leave their verdicts, also in `target/verdicts/`.

use std::fs;
use std::path::PathBuf;

use crate::failure::{Doing, Failure, Outcome};
use crate::project::Project;

fn clauses(project: &Project) -> PathBuf {
    project.root.join("target/verdicts/rfc9111.txt")
}

/// Removes the clauses' table of an earlier run.
pub fn forget_clauses(project: &Project) -> Outcome {
    let file = clauses(project);
    if file.exists() { fs::remove_file(&file).doing("remove", &file) } else { Ok(()) }
}

/// Prints every clause with its verdict. The test that wrote them fails if one of them does not hold.
pub fn show_clauses(project: &Project) -> Outcome {
    let file = clauses(project);
    println!("{}", fs::read_to_string(&file).doing("read", &file)?);
    Ok(())
}

fn attacks(project: &Project) -> PathBuf {
    project.root.join("target/verdicts/attacks")
}

/// Removes the attacks' verdicts of an earlier run.
pub fn forget_attacks(project: &Project) -> Outcome {
    let folder = attacks(project);
    if folder.exists() { fs::remove_dir_all(&folder).doing("remove", &folder) } else { Ok(()) }
}

/// Prints every attack with its verdict. One that has none, or that does not hold, is a failure.
pub fn show_attacks(project: &Project) -> Outcome {
    let list = project.root.join("tests/e2e/attacks/cases.txt");
    let cases = fs::read_to_string(&list).doing("read", &list)?;
    let folder = attacks(project);
    let mut verdicts = String::new();
    for entry in fs::read_dir(&folder).doing("read", &folder)? {
        let file = entry.doing("read", &folder)?.path();
        verdicts.push_str(&fs::read_to_string(&file).doing("read", &file)?);
    }
    let (table, without) = table(&cases, &verdicts);
    println!("{table}");
    if without.is_empty() { Ok(()) } else { Err(Failure::new(format!("what does not hold: {}", without.join(", ")))) }
}

/// A line for each case, and the numbers of those that do not hold.
fn table<'c>(cases: &'c str, verdicts: &str) -> (String, Vec<&'c str>) {
    let (mut lines, mut without) = (Vec::new(), Vec::new());
    for case in cases.lines().filter(|line| !line.starts_with('#')) {
        let number = case.split_whitespace().next().unwrap_or_default();
        let of_case =
            |line: &'_ str| line.strip_prefix(number).and_then(|rest| rest.strip_prefix(' ')).map(str::to_owned);
        let verdict = verdicts.lines().find_map(of_case).unwrap_or_else(|| "no verdict".to_owned());
        if verdict != "holds" {
            without.push(number);
        }
        lines.push(format!("  {case:<80}  {verdict}"));
    }
    (lines.join("\n"), without)
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn every_case_has_a_line_and_what_does_not_hold_is_named() {
        let cases = "# Cases\nA1 key one\nA2 key two\nA22 key three\nB1 path four\n";
        let (table, without) = table(cases, "A22 holds\nB1 FAILED: it did\nA1 holds\n");
        let ends: Vec<_> = table.lines().map(|line| line.rsplit("  ").next().unwrap_or_default()).collect();
        assert_eq!(ends, ["holds", "no verdict", "holds", "FAILED: it did"]);
        assert_eq!(without, ["A2", "B1"]);
    }
}
