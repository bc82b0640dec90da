//! Why a test of the suite does not pass, and CONFORMANCE.md, which says so.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use toml::{Table, Value};

use crate::conformance::verdicts::{Kind, Verdicts};

/// Between these two lines CONFORMANCE.md is written by the command.
const BEGIN: &str = "<!-- written by `cargo xtask conformance --accept` -->";
const END: &str = "<!-- end of what is written -->";

/// Why tests do not pass.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Deviations(Vec<Deviation>);

#[derive(Debug, PartialEq, Eq)]
struct Deviation {
    tests: Vec<String>,
    reason: String,
}

impl Deviations {
    /// Reads `[[deviation]]`s, each with a `reason` and the `tests` that it is the reason for.
    pub fn parse(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error| format!("{error}"))?;
        let list = table.get("deviation").and_then(Value::as_array).into_iter().flatten();
        list.map(Deviation::read).collect::<Result<_, _>>().map(Self)
    }

    /// What is wrong with the reasons: tests that need one, and reasons that nothing needs.
    pub fn judge(&self, verdicts: &Verdicts) -> Result<(), String> {
        let deviating: BTreeSet<_> = verdicts.deviating().map(|(id, _)| id).collect();
        let (mut explained, mut faults) = (BTreeSet::new(), Vec::new());
        for id in self.0.iter().flat_map(|deviation| &deviation.tests) {
            if !explained.insert(id.as_str()) {
                faults.push(format!("{id} has two reasons"));
            }
        }
        let without: Vec<_> = deviating.difference(&explained).copied().collect();
        let needless: Vec<_> = explained.difference(&deviating).copied().collect();
        if !without.is_empty() {
            faults.push(format!("no reason says why these do not pass: {}", without.join(", ")));
        }
        if !needless.is_empty() {
            faults.push(format!("these have a reason and pass, or are not there: {}", needless.join(", ")));
        }
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }

    /// CONFORMANCE.md with what these verdicts are and why, in the place of what it said of others.
    pub fn written(&self, document: &str, verdicts: &Verdicts) -> Result<String, String> {
        let parts = document.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let (before, after) = parts.ok_or_else(|| format!("it has no lines `{BEGIN}` and `{END}`"))?;
        Ok(format!("{before}{BEGIN}\n\n{}\n{END}{after}", self.section(verdicts)))
    }

    fn section(&self, verdicts: &Verdicts) -> String {
        let mut section =
            format!("At the suite's commit `{}`:\n\n| kind | pass | of |\n|---|---|---|\n", verdicts.commit);
        for kind in Kind::ALL {
            let (pass, all) = verdicts.total(kind);
            let _infallible = writeln!(section, "| {} | {pass} | {all} |", kind.word());
        }
        section.push_str("\n| what does not pass | why |\n|---|---|\n");
        for Deviation { tests, reason } in &self.0 {
            let kind = |id| verdicts.tests.get(id).map_or("", |said| said.kind.word());
            let tests: Vec<_> = tests.iter().map(|id| format!("`{id}` ({})", kind(id))).collect();
            let _infallible = writeln!(section, "| {} | {reason} |", tests.join(", "));
        }
        section
    }
}

impl Deviation {
    fn read(deviation: &Value) -> Result<Self, String> {
        let reason = deviation.get("reason").and_then(Value::as_str).ok_or("a deviation has no `reason`")?;
        let tests = deviation.get("tests").and_then(Value::as_array).ok_or("a deviation has no `tests`")?;
        let id = |test: &Value| test.as_str().map(str::to_owned).ok_or("a test is named by its id");
        Ok(Self { tests: tests.iter().map(id).collect::<Result<_, _>>()?, reason: reason.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REASONS: &str = "[[deviation]]\ntests = [\"a\", \"b\"]\nreason = \"It cannot.\"\n";

    fn verdicts(lines: &str) -> Verdicts {
        Verdicts::parse(&format!("suite abc\n{lines}")).expect("a list")
    }

    #[test]
    fn each_test_that_does_not_pass_has_one_reason_and_no_other_has() {
        let deviations = Deviations::parse(REASONS).expect("reasons");
        assert_eq!(deviations.judge(&verdicts("a required fail\nb optimal optional_fail\nc check no\n")), Ok(()));
        let fault = deviations.judge(&verdicts("a required fail\nd required setup_fail\n")).unwrap_err();
        assert_eq!(fault, "no reason says why these do not pass: d; these have a reason and pass, or are not there: b");
        let twice = format!("{REASONS}[[deviation]]\ntests = [\"a\"]\nreason = \"It will not.\"\n");
        let twice = Deviations::parse(&twice).expect("reasons").judge(&verdicts("a required fail\nb required fail\n"));
        assert_eq!(twice, Err("a has two reasons".to_owned()));
        for bad in [
            "=",
            "[[deviation]]\nreason = \"x\"\n",
            "[[deviation]]\ntests = []\n",
            "[[deviation]]\ntests = [1]\nreason = \"x\"\n",
        ] {
            assert!(Deviations::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_document_changes_between_its_two_lines() {
        let deviations = Deviations::parse(REASONS).expect("reasons");
        let document = format!("# Before\n\n{BEGIN}\nold\n{END}\n\n# After\n");
        let written =
            deviations.written(&document, &verdicts("a required fail\nb optimal optional_fail\nc required pass\n"));
        let written = written.expect("a document");
        assert!(written.starts_with("# Before\n") && written.ends_with("# After\n") && !written.contains("old"));
        assert!(written.contains("\n| required | 1 | 2 |\n"), "{written}");
        assert!(written.contains("\n| `a` (required), `b` (optimal) | It cannot. |\n"), "{written}");
        assert!(deviations.written("# Before\n", &verdicts("")).is_err());
    }
}
