//! What the tests of the suite say: as a list that is committed, and how another run differs from it.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// The first line of the list.
const HEAD: &str = "# What each test of http-tests/cache-tests says of the Worker of tests/follow: its id, its kind, its \
                    verdict.\n# `cargo xtask conformance --accept` writes it.";

/// What a test asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What RFC 9111 demands.
    Required,
    /// What a good cache does.
    Optimal,
    /// What a cache may do in one way or the other: it only says which.
    Check,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Required, Self::Optimal, Self::Check];

    /// The suite's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optimal => "optimal",
            Self::Check => "check",
        }
    }

    /// The kind of this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// What one test says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What it asks for.
    pub kind: Kind,
    /// In the suite's word: `pass`, `fail`, `dependency_fail`, …
    pub verdict: String,
}

impl Said {
    /// The edge does what the test is about.
    pub fn passes(&self) -> bool {
        matches!(self.verdict.as_str(), "pass" | "yes")
    }

    /// It should, and does not.
    pub fn deviates(&self) -> bool {
        self.kind != Kind::Check && !self.passes()
    }
}

/// What every test says, by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdicts {
    /// The suite's commit.
    pub commit: String,
    /// By id.
    pub tests: BTreeMap<String, Said>,
}

impl Verdicts {
    /// Reads the list.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let commit = lines.next().and_then(|line| line.strip_prefix("suite ")).ok_or("its first line is no `suite`")?;
        let tests: Result<_, String> = lines.map(said).collect();
        Ok(Self { commit: commit.to_owned(), tests: tests? })
    }

    /// How many tests of a kind pass, of how many.
    pub fn total(&self, kind: Kind) -> (usize, usize) {
        let of_kind = || self.tests.values().filter(|said| said.kind == kind);
        (of_kind().filter(|said| said.passes()).count(), of_kind().count())
    }

    /// What should pass and does not.
    pub fn deviating(&self) -> impl Iterator<Item = (&str, &Said)> {
        self.tests.iter().filter(|(_, said)| said.deviates()).map(|(id, said)| (id.as_str(), said))
    }

    /// What did not come to say anything: another answer was in its way before.
    pub fn unable(&self) -> impl Iterator<Item = &str> {
        let is_unable = |said: &Said| matches!(said.verdict.as_str(), "setup_fail" | "dependency_fail");
        self.tests.iter().filter(move |(_, said)| is_unable(said)).map(|(id, _)| id.as_str())
    }

    /// Says how a later run differs from this one.
    pub fn compare(&self, later: &Self) -> Difference {
        let mut difference = Difference::default();
        for (id, said) in &self.tests {
            let list = match later.tests.get(id) {
                Some(now) if now.verdict == said.verdict => continue,
                Some(now) if said.kind == Kind::Check || now.passes() == said.passes() => {
                    difference.other.push(format!("{id}: {}, was {}", now.verdict, said.verdict));
                    continue;
                }
                Some(now) if now.passes() => &mut difference.gained,
                Some(_) => &mut difference.lost,
                None => &mut difference.gone,
            };
            list.push(id.clone());
        }
        difference.new = later.tests.keys().filter(|id| !self.tests.contains_key(*id)).cloned().collect();
        difference
    }
}

/// A line of the list.
fn said(line: &str) -> Result<(String, Said), String> {
    let words: Vec<_> = line.split(' ').collect();
    match words.as_slice() {
        [id, kind, verdict] => {
            let kind = Kind::named(kind).ok_or_else(|| format!("there is no kind `{kind}`"))?;
            Ok(((*id).to_owned(), Said { kind, verdict: (*verdict).to_owned() }))
        }
        _ => Err(format!("`{line}` is not an id, a kind and a verdict")),
    }
}

impl fmt::Display for Verdicts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{HEAD}\nsuite {}", self.commit)?;
        self.tests.iter().try_for_each(|(id, said)| writeln!(out, "{id} {} {}", said.kind.word(), said.verdict))
    }
}

/// How a run differs from an earlier one, by ids.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What passed, and should.
    pub lost: Vec<String>,
    /// What passes now.
    pub gained: Vec<String>,
    /// What says something else without being better or worse, in words.
    pub other: Vec<String>,
    /// Tests that the suite did not have.
    pub new: Vec<String>,
    /// Tests that the suite has no more.
    pub gone: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("lost", &self.lost),
            ("gained", &self.gained),
            ("different", &self.other),
            ("new in the suite", &self.new),
            ("gone from the suite", &self.gone),
        ];
        let mut text = String::new();
        for (what, ids) in lists.into_iter().filter(|(_, ids)| !ids.is_empty()) {
            write!(text, "\n{what}:\n  {}\n", ids.join("\n  "))?;
        }
        out.write_str(if text.is_empty() { "\nno verdict differs from the list\n" } else { &text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(lines: &str) -> Verdicts {
        Verdicts::parse(&format!("suite abc\n{lines}")).expect("a list")
    }

    #[test]
    fn a_list_is_read_as_it_is_written() {
        let list = verdicts("a required pass\nb optimal optional_fail\nc check no\n");
        assert_eq!(Verdicts::parse(&list.to_string()), Ok(list.clone()));
        assert_eq!(Kind::ALL.map(|kind| list.total(kind)), [(1, 1), (0, 1), (0, 1)]);
        assert_eq!(list.deviating().map(|(id, _)| id).collect::<Vec<_>>(), ["b"]);
        for bad in ["", "a required pass\n", "suite abc\na required\n", "suite abc\na wanted pass\n"] {
            assert!(Verdicts::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_what_should_pass_and_did_is_lost() {
        let before = verdicts(
            "a required pass\nb optimal pass\nc check yes\nd required fail\ne optimal optional_fail\nf required pass\n\
             g required fail\n",
        );
        let after = verdicts(
            "a required fail\nb optimal dependency_fail\nc check no\nd required pass\ne optimal setup_fail\n\
             g required fail\nh check yes\n",
        );
        let ids = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect();
        let expected = Difference {
            lost: ids(&["a", "b"]),
            gained: ids(&["d"]),
            other: ids(&["c: no, was yes", "e: setup_fail, was optional_fail"]),
            new: ids(&["h"]),
            gone: ids(&["f"]),
        };
        assert_eq!(before.compare(&after), expected);
        assert_eq!(before.compare(&before), Difference::default());
    }
}
