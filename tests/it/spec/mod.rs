//! Scenarios as data: every file of `tests/spec` is run here, natively, on fakes and a virtual clock.
//!
//! A scenario is one behaviour: `claim` says it in a sentence, `id` names it, `steps` show it. A step may change
//! the time, the origin or what is wrong with the world; send one request; and say what must be true of the
//! answer. Whoever sends a request says how many requests reached the origin meanwhile (`origin`), or the
//! scenario is refused, as is one with a word that does not exist.

mod check;
mod run;
mod schema;

use schema::Scenario;
use std::collections::BTreeSet;
use std::path::Path;

/// Runs every scenario of a file, and says of each that fails where and why.
fn hold(file: &str, text: &str) {
    let scenarios = schema::read(text).unwrap_or_else(|wrong| panic!("tests/spec/{file}.toml: {wrong}"));
    let failures: Vec<String> = scenarios.iter().filter_map(|scenario| run::run(scenario).err()).collect();
    assert!(failures.is_empty(), "tests/spec/{file}.toml:\n{}", failures.join("\n"));
}

macro_rules! specs {
    ($($name:ident)*) => {
        /// The files, as they are compiled in.
        const FILES: &[(&str, &str)] =
            &[$((stringify!($name), include_str!(concat!("../../spec/", stringify!($name), ".toml")))),*];
        $(
            #[test]
            fn $name() {
                hold(stringify!($name), include_str!(concat!("../../spec/", stringify!($name), ".toml")));
            }
        )*
    };
}

specs! {
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
    storing
    tags
    targets
    tiers
    tokens
    writes
}

#[test]
fn every_file_of_scenarios_is_run() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec");
    let there: BTreeSet<String> = std::fs::read_dir(directory)
        .expect("the scenarios are beside this file")
        .map(|entry| entry.expect("a file can be listed").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(there, FILES.iter().map(|(name, _)| format!("{name}.toml")).collect());
}

#[test]
fn every_scenario_has_a_name_of_its_own() {
    let mut ids = BTreeSet::new();
    for (_, text) in FILES {
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
    let failure = run::run(&scenarios[0]).expect_err("nothing reached the origin");
    assert!(failure.contains("x, step 1: requests that reached the origin: 0, and not 1"), "{failure}");
}
