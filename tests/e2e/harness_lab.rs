//! The lab shown on the built Worker: what locations share, what they do not, and what can be done to each.

use std::time::{Duration, Instant};

use lab::client::Call;
use lab::harness::{CACHE, OPERATOR_TOKEN, TENANT};
use lab::origin::Answer;
use lab::purge::purge_call;
use lab::stored::{SALES, SALES_KEY, SEGMENTS, SEGMENTS_KEY, cache_url, counters_url};
use lab::stores::Consistency;
use lab::{Lab, Layout};

const LOCATIONS: [&str; 3] = ["ams", "iad", "sin"];
/// Much longer than a call of the ledger or of the origin takes.
const DELAY: Duration = Duration::from_millis(600);

/// Longer than a location may take to hear of a purge.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stores an answer in the Cache API of a location.
#[track_caller]
fn fill(lab: &Lab, location: &str, fact: &str) {
    lab.origin().answer(SEGMENTS, Answer::tile(fact));
    let answer = lab.at(location).get(SEGMENTS).expect(200).says(fact).stored(true).origin_requests(1);
    lab.at(location).wait_until_kept(SEGMENTS_KEY, &answer.text());
}

/// Purges all from a location, and answers how long that took.
#[track_caller]
fn purge(lab: &Lab, location: &str) -> Duration {
    let purge = purge_call(OPERATOR_TOKEN, r#"{"mode":"hard","all":true}"#);
    lab.at(location).send(&purge).expect(202).origin_requests(0).head_after
}

#[test]
fn each_location_has_a_cache_of_its_own_and_another_isolate_of_it_has_the_same() {
    let lab = Layout::new().isolates(2).start();
    fill(&lab, "ams", "first");
    lab.at("ams").isolate(1).get(SEGMENTS).expect(200).hit().says("first").origin_requests(0);
    lab.at("iad").get(SEGMENTS).expect(200).fwd("uri-miss").origin_requests(1);
    lab.clear_edge("ams");
    lab.at("ams").get(SEGMENTS).expect(200).fwd("uri-miss").origin_requests(1);
    assert_eq!(lab.workers().len(), 6);
}

#[test]
fn a_tenant_has_workers_of_its_own_in_each_location() {
    let other = "other.myshopify.com";
    let lab = Layout::new().locations(&["ams"]).tenants(&[TENANT, other]).start();
    fill(&lab, "ams", "first");
    lab.at("ams").tenant(1).get(SEGMENTS).expect(200).fwd("uri-miss").origin_requests(1);
    let asked = lab.origin().requests(SEGMENTS);
    let tenants: Vec<_> = asked.iter().filter_map(|request| request.fields.get("X-Shop-Domain")).collect();
    assert_eq!(tenants, [TENANT, other]);
}

#[test]
fn variables_are_those_of_every_worker() {
    let lab = Layout::new().var("ORIGIN_SECRET", "another").start();
    for (number, location) in LOCATIONS.into_iter().enumerate() {
        lab.at(location).get(SEGMENTS).expect(404).origin_requests(1);
        let secret = lab.origin().requests(SEGMENTS)[number].fields.get("Edge-Secret").map(str::to_owned);
        assert_eq!(secret.as_deref(), Some("another"));
    }
}

#[test]
fn the_ledger_is_the_same_in_all_locations_and_after_a_restart() {
    let mut lab = Layout::new().kv(Consistency::default()).start();
    // If this location had a ledger of its own, it would be awake from here on and hear of no other's purges.
    purge(&lab, "iad");
    lab.origin().answer(SALES, Answer::tile("old"));
    let old = lab.at("ams").get(SALES).expect(200).stored(true).origin_requests(1);
    lab.at("ams").wait_until_kept(SALES_KEY, &old.text());
    purge(&lab, "sin");
    // It knows of the copy by KV, and of the purge by the ledger.
    lab.origin().answer(SALES, Answer::tile("new"));
    let until = Instant::now() + PATIENCE;
    let new = loop {
        let answer = lab.at("iad").ask(&Call::get(SALES));
        if answer.field("Cache-Status").is_some_and(|status| status.ends_with("detail=purged")) {
            break answer;
        }
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {:?}", answer.fields);
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(new.json()["fact"]["says"], "new");
    lab.at("iad").wait_until_kept(SALES_KEY, &new.text());
    // A ledger that forgot would purge everything.
    lab.restart();
    lab.at("sin").get(SALES).expect(200).hit().detail("kv").says("new").origin_requests(0);
}

#[test]
fn calls_of_the_ledger_are_counted_where_they_are_made() {
    let lab = Lab::start();
    assert_eq!(LOCATIONS.map(|location| lab.ledger_calls(location)), [0, 0, 0]);
    purge(&lab, "ams");
    purge(&lab, "ams");
    purge(&lab, "sin");
    let counted = LOCATIONS.map(|location| lab.ledger_calls(location));
    assert!(counted[0] > counted[2] && counted[2] > 0 && counted[1] == 0, "{counted:?}");
    let by_path = lab.ledger_calls_by_path("ams");
    assert_eq!(by_path.values().sum::<usize>(), counted[0]);
    assert!(by_path.keys().all(|path| path.starts_with('/')), "{by_path:?}");
}

#[test]
fn the_way_to_the_ledger_is_long_where_it_is_told_to_be() {
    let lab = Lab::start();
    // The first call also starts the object.
    purge(&lab, "ams");
    lab.delay_ledger("iad", DELAY);
    lab.delay_ledger_answer("sin", DELAY);
    let took = LOCATIONS.map(|location| purge(&lab, location));
    assert!(took[0] < DELAY && took[1] >= DELAY && took[2] >= DELAY, "{took:?}");
    lab.delay_ledger("iad", Duration::ZERO);
    assert!(purge(&lab, "iad") < DELAY);
}

#[test]
fn a_question_and_an_answer_of_the_origin_can_be_delayed_apart() {
    let lab = Lab::start();
    lab.origin().answer(SEGMENTS, Answer::tile("first"));
    lab.delay_origin("ams", DELAY);
    lab.delay_origin_answer("iad", DELAY);
    for (location, arrives_early) in [("ams", false), ("iad", true)] {
        let before = lab.origin().total();
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| lab.at(location).ask(&Call::get(SEGMENTS)));
            assert_eq!(lab.origin().wait_until(DELAY / 2, |seen| seen.len() > before), arrives_early, "{location}");
            let answer = asked.join().expect("an answer");
            assert!(answer.status == 200 && answer.ended - answer.started >= DELAY, "{location}: {answer:?}");
        });
    }
}

#[test]
fn ledger_and_origin_fail_where_they_are_told_to() {
    let lab = Lab::start();
    fill(&lab, "ams", "first");
    lab.clear_edge("ams");
    lab.fail_origin("ams", "unreachable");
    lab.at("ams").get(SEGMENTS).problem(502).origin_requests(0);
    lab.at("iad").get(SEGMENTS).expect(200).origin_requests(1);
    lab.fail_origin("ams", "none");
    lab.at("ams").get(SEGMENTS).expect(200).origin_requests(1);

    lab.fail_ledger("ams", "unreachable");
    let purge_all = purge_call(OPERATOR_TOKEN, r#"{"mode":"hard","all":true}"#);
    lab.at("ams").send(&purge_all).problem(503).origin_requests(0);
    purge(&lab, "iad");
    lab.fail_ledger("ams", "none");
    purge(&lab, "ams");
}

#[test]
#[should_panic(expected = "/test/ledger/no-such-fault")]
fn a_fault_that_there_is_not_is_refused() {
    Lab::start().fail_ledger("ams", "no-such-fault");
}

#[test]
fn what_is_stored_is_named_by_its_tenant() {
    let lab = Lab::start();
    fill(&lab, "sin", "first");
    let urls = lab.at("sin").cache().urls(CACHE);
    assert_eq!(urls, [counters_url(), cache_url(SEGMENTS_KEY)]);
}
