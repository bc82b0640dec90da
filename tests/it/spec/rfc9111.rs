//! RFC 9111 clause by clause: `tests/spec/rfc9111/clauses.toml` lists what it asks of a shared cache, and each scenario
//! says under `shows` which clauses it shows. What became of each clause is written to `target/verdicts/`, from where
//! `cargo xtask` prints it.

use super::schema::Scenario;
use super::{files_in, run, run_from, schema};
use hotrod_edge::rules::{Rules, load};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::slice;

/// The repository's own rules, and behind them routes that follow their origin's header fields.
const RULES: &str = concat!(include_str!("../../../rules.toml"), include_str!("../../spec/rfc9111/rules.toml"));

pub fn rules() -> Rc<Rules> {
    thread_local! {
        static LOADED: Rc<Rules> = Rc::new(load("rules.toml", RULES).expect("nothing is wrong with these rules"));
    }
    LOADED.with(Rc::clone)
}

specs! {
    "rfc9111/", Some(&rules()),
    constructing
    fields
    freshness
    invalidating
    requests
    storing
    validating
}

/// Something that the RFC asks of a shared cache.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Clause {
    id: String,
    section: String,
    level: String,
    says: String,
    /// Why it cannot come up.
    not_applicable: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    clause: Vec<Clause>,
}

const LEVELS: [&str; 7] = ["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY", "ought", "states"];

fn clauses() -> Vec<Clause> {
    let list: List = toml::from_str(include_str!("../../spec/rfc9111/clauses.toml")).expect("a list of clauses");
    list.clause
}

/// Every scenario, with the rules that it is run by.
fn scenarios() -> impl Iterator<Item = (Scenario, Option<Rc<Rules>>)> {
    let read = |text: &str| schema::read(text).expect("scenarios can be read");
    let with = |rules: Option<Rc<Rules>>, files: &[(&'static str, &'static str)]| {
        let scenarios: Vec<_> = files.iter().flat_map(|(_, text)| read(text)).collect();
        scenarios.into_iter().map(move |scenario| (scenario, rules.clone()))
    };
    with(None, super::FILES).chain(with(Some(rules()), FILES))
}

/// What became of a clause.
enum Verdict {
    NotApplicable(String),
    /// Nothing shows it.
    Open,
    Holds(Vec<String>),
    /// By these scenarios.
    Fails(Vec<String>),
}

impl Verdict {
    /// `shown` is each scenario that shows the clause, and whether it holds.
    fn of(clause: &Clause, shown: &[(String, bool)]) -> Self {
        let named = |holds: bool| shown.iter().filter(|shown| shown.1 == holds).map(|shown| shown.0.clone()).collect();
        match &clause.not_applicable {
            Some(reason) => Self::NotApplicable(reason.clone()),
            None if shown.is_empty() => Self::Open,
            None if shown.iter().all(|(_, holds)| *holds) => Self::Holds(named(true)),
            None => Self::Fails(named(false)),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::NotApplicable(reason) => format!("does not apply: {reason}"),
            Self::Open => "NO SCENARIO".to_string(),
            Self::Holds(scenarios) => format!("holds: {}", scenarios.join(", ")),
            Self::Fails(scenarios) => format!("FAILED: {}", scenarios.join(", ")),
        }
    }
}

/// A line for each clause, and one for all of them.
fn table(verdicts: &[(Clause, Verdict)]) -> String {
    let mut lines = String::new();
    for (Clause { id, level, says, .. }, verdict) in verdicts {
        let _infallible = writeln!(lines, "  {id:<26} {level:<8}  {says:<104}  {}", verdict.text());
    }
    let count = |of: fn(&Verdict) -> bool| verdicts.iter().filter(|(_, verdict)| of(verdict)).count();
    let (hold, apart) = (
        count(|verdict| matches!(verdict, Verdict::Holds(_))),
        count(|verdict| matches!(verdict, Verdict::NotApplicable(_))),
    );
    let all = verdicts.len();
    let _infallible = writeln!(
        lines,
        "  RFC 9111, sections 3, 4 and 5: of {all} clauses {hold} hold, {apart} do not apply, {} are open",
        all - hold - apart
    );
    lines
}

#[test]
fn every_clause_holds_by_a_scenario_of_its_own_or_cannot_come_up() {
    let mut shown: BTreeMap<String, Vec<(String, bool)>> = BTreeMap::new();
    for (scenario, rules) in scenarios().filter(|(scenario, _)| !scenario.shows.is_empty()) {
        let holds = run::run(&scenario, rules).is_ok();
        for clause in scenario.shows {
            shown.entry(clause).or_default().push((scenario.id.clone(), holds));
        }
    }
    let judged = |clause: Clause| {
        let verdict = Verdict::of(&clause, shown.get(&clause.id).map_or(&[], Vec::as_slice));
        (clause, verdict)
    };
    let verdicts: Vec<(Clause, Verdict)> = clauses().into_iter().map(judged).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/verdicts");
    fs::create_dir_all(&folder).expect("a folder for verdicts");
    fs::write(folder.join("rfc9111.txt"), table(&verdicts)).expect("the verdicts of the clauses");

    let wrong = |verdict: &Verdict| matches!(verdict, Verdict::Open | Verdict::Fails(_));
    let wrong: Vec<String> = verdicts
        .iter()
        .filter(|(_, verdict)| wrong(verdict))
        .map(|(clause, verdict)| format!("{}: {}", clause.id, verdict.text()))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn scenarios_show_clauses_that_are_listed_and_can_come_up() {
    let listed: BTreeSet<String> =
        clauses().into_iter().filter(|clause| clause.not_applicable.is_none()).map(|clause| clause.id).collect();
    for (Scenario { id, shows, .. }, _) in scenarios() {
        for clause in shows {
            assert!(listed.contains(&clause), "`{id}` shows `{clause}`, which is no clause that can come up");
        }
    }
    for (file, text) in FILES {
        for Scenario { id, shows, .. } in schema::read(text).expect("scenarios can be read") {
            assert!(!shows.is_empty(), "tests/spec/{file}.toml: `{id}` shows no clause");
        }
    }
}

#[test]
fn every_clause_is_listed_once_and_says_what_the_rfc_asks() {
    let mut ids = BTreeSet::new();
    for Clause { id, section, level, says, .. } in clauses() {
        assert!(id.starts_with(&format!("{section}-")), "{id} is of section {section}");
        assert!(LEVELS.contains(&level.as_str()), "{id}: {level}");
        assert!(says.ends_with('.') && says.len() <= 104, "{id}: {says}");
        assert!(ids.insert(id.clone()), "`{id}` is the id of two clauses");
    }
}

#[test]
fn every_file_of_clauses_scenarios_is_run() {
    let apart = ["rfc9111/clauses.toml", "rfc9111/rules.toml"].map(str::to_string);
    let there = files_in("rfc9111/");
    assert_eq!(there.difference(&apart.into()).cloned().collect::<BTreeSet<_>>(), run_from(FILES));
}

#[test]
fn a_clause_holds_only_if_something_shows_it_and_all_that_shows_it_holds() {
    let clause = |not_applicable: Option<&str>| Clause {
        id: "3-a".to_string(),
        section: "3".to_string(),
        level: "MUST".to_string(),
        says: "Say.".to_string(),
        not_applicable: not_applicable.map(str::to_string),
    };
    let (good, bad) = (("good".to_string(), true), ("bad".to_string(), false));
    let text = |not_applicable, shown: &[_]| Verdict::of(&clause(not_applicable), shown).text();
    assert_eq!(text(None, &[]), "NO SCENARIO");
    assert_eq!(text(None, slice::from_ref(&good)), "holds: good");
    assert_eq!(text(None, &[good, bad]), "FAILED: bad");
    assert_eq!(text(Some("no clock"), &[]), "does not apply: no clock");
    let verdicts = [(clause(None), Verdict::Open), (clause(Some("no clock")), Verdict::NotApplicable("x".to_string()))];
    assert!(table(&verdicts).ends_with(": of 2 clauses 0 hold, 1 do not apply, 1 are open\n"));
}
