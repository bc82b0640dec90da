//! How big the Worker is, and how big it may be.

use std::path::Path;

use crate::failure::{Failure, Outcome};
use crate::project::Project;
use crate::run::{command, output};

/// The most that the compressed wasm may take, in bytes. A bigger one starts slower on every isolate.
pub const BUDGET: u64 = 265_000;

/// Gzips the file that is its argument, at the level that uploads use, and prints both sizes.
const MEASURE: &str = "const b = require('node:fs').readFileSync(process.argv[1]); \
    console.log(b.length + ' ' + require('node:zlib').gzipSync(b).length)";

/// The size of a wasm file in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// As it lies on the disk.
    pub raw: u64,
    /// Gzipped.
    pub gzipped: u64,
}

impl Size {
    /// Measures a file.
    pub fn of(project: &Project, wasm: &Path) -> Outcome<Self> {
        let mut node = command("node", &project.root);
        output(node.args(["-e", MEASURE]).arg(wasm))
            .as_deref()
            .and_then(Self::parse)
            .ok_or_else(|| Failure::new(format!("could not measure {}: run `cargo xtask build` again", wasm.display())))
    }

    /// Reads `raw gzipped`.
    pub fn parse(text: &str) -> Option<Self> {
        let (raw, gzipped) = text.trim().split_once(' ')?;
        Some(Self { raw: raw.parse().ok()?, gzipped: gzipped.parse().ok()? })
    }

    /// The two sizes, for people.
    pub fn describe(self) -> String {
        format!(
            "wasm {} bytes, {} gzipped ({} % of the budget of {BUDGET})",
            self.raw,
            self.gzipped,
            self.gzipped * 100 / BUDGET
        )
    }

    /// Fails above the budget.
    pub fn judge(self) -> Outcome {
        if self.gzipped <= BUDGET {
            return Ok(());
        }
        Err(Failure::new(format!(
            "the wasm is {} bytes gzipped, {} over the budget of {BUDGET}: find what grew, or move the budget in xtask/src/size.rs with a reason",
            self.gzipped,
            self.gzipped - BUDGET
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(gzipped: u64, fits: bool) {
        let size = Size { raw: 400_000, gzipped };
        assert_eq!(size.judge().is_ok(), fits, "{gzipped}");
    }

    #[test]
    fn the_budget_itself_still_fits() {
        check(0, true);
        check(BUDGET, true);
        check(BUDGET + 1, false);
    }

    #[test]
    fn a_size_over_budget_says_by_how_much() {
        let size = Size { raw: 400_000, gzipped: BUDGET + 7 };
        assert!(size.judge().unwrap_err().0.contains(", 7 over the budget"));
    }

    #[test]
    fn sizes_are_two_numbers_with_a_space_between() {
        let both = Some(Size { raw: 103_000, gzipped: 38_000 });
        assert_eq!(Size::parse("103000 38000\n"), both);
        for bad in ["", "103000", "a b", "1 2 3", "-1 2"] {
            assert_eq!(Size::parse(bad), None, "{bad}");
        }
    }
}
