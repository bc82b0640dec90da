//! Scenarios as data: every file of `tests/spec` is run here, natively, on fakes and a virtual clock.
//!
//! A scenario is one behaviour: `claim` says it in a sentence, `id` names it, `steps` show it. A step may change
//! the time, the origin or what is wrong with the world; send one request; and say what must be true of the
//! answer. Whoever sends a request says how many requests reached the origin meanwhile (`origin`), or the
//! scenario is refused, as is one with a word that does not exist. Which clauses of RFC 9111 it shows stands under
//! `shows`, and `rfc9111` makes a table of them.

mod check;
mod run;
mod schema;

pub use rfc9111::rules;

use hotrod_edge::rules::Rules;
use schema::Scenario;
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

/// Runs every scenario of a file, and says of each that fails where and why.
fn hold(file: &str, text: &str, rules: Option<&Rc<Rules>>) {
    let scenarios = schema::read(text).unwrap_or_else(|wrong| panic!("tests/spec/{file}.toml: {wrong}"));
    let failures: Vec<String> =
        scenarios.iter().filter_map(|scenario| run::run(scenario, rules.cloned()).err()).collect();
    assert!(failures.is_empty(), "tests/spec/{file}.toml:\n{}", failures.join("\n"));
}

/// A test for each file of a folder, run by these rules.
macro_rules! specs {
    ($folder:literal, $rules:expr, $($name:ident)*) => {
        /// The files, as they are compiled in.
        pub const FILES: &[(&str, &str)] = &[$((
            concat!($folder, stringify!($name)),
            include_str!(concat!("../../spec/", $folder, stringify!($name), ".toml")),
        )),*];
        $(
            #[test]
            fn $name() {
                let text = include_str!(concat!("../../spec/", $folder, stringify!($name), ".toml"));
                crate::spec::hold(concat!($folder, stringify!($name)), text, $rules);
            }
        )*
    };
}

pub mod rfc9111;

specs! {
    "", None,
    admin
    calendar
    conditional
    forwarding
    ledger
    lifetimes
    merging
    nocache
    origin
    purge
    query
    snapshot
    soft
    stale
    storing
    tags
    targets
    tiers
    tokens
    writes
}

/// The files of a folder beside this crate's own.
fn files_in(folder: &str) -> BTreeSet<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec").join(folder);
    let entries = std::fs::read_dir(directory).expect("the scenarios are beside this crate");
    let files = entries.map(|entry| entry.expect("an entry can be listed")).filter(|entry| entry.path().is_file());
    files.map(|file| format!("{folder}{}", file.file_name().to_string_lossy())).collect()
}

/// The names of the files that are run.
fn run_from(files: &[(&str, &str)]) -> BTreeSet<String> {
    files.iter().map(|(name, _)| format!("{name}.toml")).collect()
}

#[test]
fn every_file_of_scenarios_is_run() {
    assert_eq!(files_in(""), run_from(FILES));
}

#[test]
fn every_scenario_has_a_name_of_its_own() {
    let mut ids = BTreeSet::new();
    for (_, text) in FILES.iter().chain(rfc9111::FILES) {
        for Scenario { id, claim, .. } in schema::read(text).unwrap_or_default() {
            assert!(claim.ends_with('.') && claim.contains(' '), "{id}: the claim is a sentence");
            assert!(ids.insert(id.clone()), "`{id}` is the id of two scenarios");
        }
    }
}

#[track_caller]
fn check_refused(step: &str, expected: &str) {
    let text = format!("[[scenario]]\nclaim = \"A claim.\"\nid = \"x\"\nsteps = [{{ {step} }}]\n");
    let sentence = schema::read(&text).map(|_| ()).expect_err("this scenario says too little or too much");
    assert!(sentence.contains(expected), "{sentence}");
}

#[test]
fn a_scenario_that_does_not_count_the_origins_requests_is_refused() {
    check_refused("get = \"/api/x\", status = 200", "x: step 1 sends a request and does not say `origin`");
    check_refused("purge = { all = true }, status = 202", "x: step 1 sends a request and does not say `origin`");
    check_refused("finish = \"a\", status = 200", "x: step 1 sends a request and does not say `origin`");
}

#[test]
fn a_scenario_with_an_unknown_word_is_refused() {
    check_refused("get = \"/api/x\", origin = 1, staus = 200", "unknown field `staus`");
    check_refused("fault = { memory = \"fails\" }", "unknown field `memory`");
    check_refused("fault = { kv_get = \"sleeps\" }", "unknown variant `sleeps`");
    check_refused("answer = { state = 200 }", "unknown field `state`");
}

#[test]
fn a_step_that_expects_without_asking_is_refused() {
    check_refused("status = 200", "x: step 1 expects an answer and sends no request");
    check_refused("get = \"/a\", head = \"/a\", origin = 0", "x: step 1 sends more than one request");
}

#[test]
fn a_scenario_that_is_wrong_about_the_edge_fails() {
    let text =
        "[[scenario]]\nclaim = \"A claim.\"\nid = \"x\"\nsteps = [{ get = \"/nowhere\", origin = 1, status = 404 }]\n";
    let scenarios = schema::read(text).expect("the scenario can be read");
    let failure = run::run(&scenarios[0], None).expect_err("nothing reached the origin");
    assert!(failure.contains("x, step 1: requests that reached the origin: 0, and not 1"), "{failure}");
}
