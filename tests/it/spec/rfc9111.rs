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
    /// What the edge does in its place.
    deviates: Option<String>,
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
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Every scenario that shows it holds.
    Holds,
    /// It does not apply.
    Apart,
    /// It is not followed, and every scenario that shows what happens in its place holds.
    Deviates,
    /// A scenario does not hold, or there is none.
    Open,
}

/// Judges a clause, and says why. `shown` is each scenario that shows it, and whether it holds.
fn judge(clause: &Clause, shown: &[(String, bool)]) -> (Verdict, String) {
    let named = |holds: bool| {
        let names: Vec<&str> = shown.iter().filter(|shown| shown.1 == holds).map(|shown| shown.0.as_str()).collect();
        names.join(", ")
    };
    match (&clause.not_applicable, &clause.deviates) {
        (Some(reason), _) => (Verdict::Apart, format!("does not apply: {reason}")),
        _ if shown.is_empty() => (Verdict::Open, "NO SCENARIO".to_string()),
        _ if shown.iter().any(|(_, holds)| !holds) => (Verdict::Open, format!("FAILED: {}", named(false))),
        (None, Some(reason)) => (Verdict::Deviates, format!("deviates: {reason}: {}", named(true))),
        (None, None) => (Verdict::Holds, format!("holds: {}", named(true))),
    }
}

/// A clause, and what became of it.
type Judged = (Clause, (Verdict, String));

/// A line for each clause, and one for all of them.
fn table(judged: &[Judged]) -> String {
    let mut lines = String::new();
    for (Clause { id, level, says, .. }, (_, why)) in judged {
        let _infallible = writeln!(lines, "  {id:<26} {level:<8}  {says:<104}  {why}");
    }
    let count = |verdict: Verdict| judged.iter().filter(|(_, (other, _))| *other == verdict).count();
    let _infallible = writeln!(
        lines,
        "  RFC 9111, sections 3, 4 and 5: of {} clauses {} hold, {} do not apply, {} are not followed, {} are open",
        judged.len(),
        count(Verdict::Holds),
        count(Verdict::Apart),
        count(Verdict::Deviates),
        count(Verdict::Open)
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
        let verdict = judge(&clause, shown.get(&clause.id).map_or(&[], Vec::as_slice));
        (clause, verdict)
    };
    let judged: Vec<Judged> = clauses().into_iter().map(judged).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/verdicts");
    fs::create_dir_all(&folder).expect("a folder for verdicts");
    fs::write(folder.join("rfc9111.txt"), table(&judged)).expect("the verdicts of the clauses");

    let open = judged.iter().filter(|(_, (verdict, _))| *verdict == Verdict::Open);
    let open: Vec<String> = open.map(|(clause, (_, why))| format!("{}: {why}", clause.id)).collect();
    assert!(open.is_empty(), "{}", open.join("\n"));
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
    let clause = |not_applicable: Option<&str>, deviates: Option<&str>| Clause {
        id: "3-a".to_string(),
        section: "3".to_string(),
        level: "MUST".to_string(),
        says: "Say.".to_string(),
        not_applicable: not_applicable.map(str::to_string),
        deviates: deviates.map(str::to_string),
    };
    let (good, bad) = (("good".to_string(), true), ("bad".to_string(), false));
    let check = |clause: &Clause, shown: &[_], verdict, why: &str| {
        assert_eq!(judge(clause, shown), (verdict, why.to_string()));
    };
    let both = [good.clone(), bad];
    check(&clause(None, None), &[], Verdict::Open, "NO SCENARIO");
    check(&clause(None, None), slice::from_ref(&good), Verdict::Holds, "holds: good");
    check(&clause(None, None), &both, Verdict::Open, "FAILED: bad");
    check(&clause(Some("no clock"), None), &[], Verdict::Apart, "does not apply: no clock");
    check(&clause(None, Some("it waits")), &[], Verdict::Open, "NO SCENARIO");
    check(&clause(None, Some("it waits")), slice::from_ref(&good), Verdict::Deviates, "deviates: it waits: good");
    check(&clause(None, Some("it waits")), &both, Verdict::Open, "FAILED: bad");
    let judged = [(clause(None, None), (Verdict::Open, "x".to_string()))];
    assert!(table(&judged).ends_with(": of 1 clauses 0 hold, 0 do not apply, 0 are not followed, 1 are open\n"));
}
