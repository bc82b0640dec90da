//! The zone's caches behind a purge: nothing waits for them, nothing gets lost on the way, whatever fails or is killed.

use std::time::{Duration, Instant};

use lab::gate::Gate;
use lab::harness::{CACHE, TENANT};
use lab::locations::{At, Lab, Layout};
use lab::origin::Answer;
use lab::promise::{moment, wait_until_after};
use lab::receipt::leg;
use lab::stored::{SEGMENTS, SEGMENTS_KEY};
use lab::zone::{Zone, ZoneCall, ZoneFault};
use serde_json::json;

/// An answer that waits for the zone takes longer.
const SOON: Duration = Duration::from_secs(4);

/// With a bound that is short enough to be waited for.
fn start(zone: &Zone) -> Lab {
    Layout::new().locations(&["ams"]).zone(zone).var("SNAPSHOT_AT_MOST_MS", "500").start()
}

fn counters_tag() -> String {
    format!("hotrod-edge-counters-{TENANT}")
}

#[track_caller]
fn wait_for_calls(zone: &Zone, count: usize) -> Vec<ZoneCall> {
    let until = Instant::now() + Duration::from_secs(30);
    while zone.calls().len() < count {
        assert!(Instant::now() < until, "{count} calls: {:?}", zone.calls());
        std::thread::sleep(Duration::from_millis(5));
    }
    zone.calls()
}

/// Stores an old answer, and lets the origin have a new one.
fn fill(at: At<'_>, origin: &lab::origin::Origin) {
    origin.answer(SEGMENTS, Answer::tile("old"));
    let old = at.get(SEGMENTS).expect(200).stored(true).origin_requests(1);
    at.wait_until_kept(SEGMENTS_KEY, &old.text());
    origin.answer(SEGMENTS, Answer::tile("new"));
}

/// The copies of counters in a location's Cache API.
fn copies(at: At<'_>) -> usize {
    at.cache().urls(CACHE).iter().filter(|url| url.contains("/cache/counters/")).count()
}

#[test]
fn a_purge_takes_the_counters_out_of_every_data_centre_and_the_receipt_says_when() {
    let zone = Zone::start();
    let lab = Layout::new().locations(&["ams", "iad"]).isolates(2).zone(&zone).start();
    for location in ["ams", "iad"] {
        zone.reaches(lab.at(location).cache());
        fill(lab.at(location), lab.origin());
        // Another isolate of the data centre would go by the copy.
        assert_eq!(copies(lab.at(location)), 1, "{location}");
    }
    let receipt = lab.at("ams").purge(&json!({"mode": "hard", "keys": [SEGMENTS_KEY]}));
    assert!(["waiting", "handed-over"].contains(&leg(&receipt, "zone")["state"].as_str().expect("a state")));
    lab.at("ams").wait_for_leg(&receipt, "zone", "done");
    let calls = zone.calls();
    // The path and the token are right, or it would not be 200.
    assert_eq!((calls.len(), calls[0].status, &calls[0].tags), (1, Some(200), &vec![counters_tag()]));
    assert_eq!(copies(lab.at("iad")), 0);
    lab.at("iad").isolate(1).get(SEGMENTS).expect(200).fwd("uri-miss").detail("purged").says("new").origin_requests(1);
}

#[test]
fn tags_of_all_tenants_go_into_calls_of_a_hundred_and_wait_for_as_long_as_the_zone_asks() {
    let zone = Zone::start();
    // The first call is refused, and the next one is paid for in four seconds.
    zone.limit(0, 0.25);
    let lab = start(&zone);
    let receipt = lab.at("ams").purge(&json!({"mode": "hard", "all": true}));
    let refused = wait_for_calls(&zone, 1).remove(0);
    assert_eq!(refused.status, Some(429));
    zone.limit(25, 0.0);
    let names: Vec<String> = (0..150).map(|number| format!("tag-{number:03}")).collect();
    let receipts = |round: usize| names.chunks(10).enumerate().map(move |(number, tags)| (round * 100 + number, tags));
    // Each is wanted twice, and told twice for the second of them.
    for (number, tags) in receipts(0).chain(receipts(1)).chain(receipts(1)) {
        lab.at("ams").call_ledger(&format!("/tags/~/receipt-{number}"), &tags.join(" "));
    }
    assert!(refused.at.elapsed() < Duration::from_millis(3_500), "too slow to show anything");
    lab.at("ams").wait_for_leg(&receipt, "zone", "done");
    let calls = wait_for_calls(&zone, 3);
    assert!(calls[1].at - refused.at >= Duration::from_millis(3_900), "{:?}", calls[1].at - refused.at);
    assert_eq!(calls.iter().map(|call| call.tags.len()).collect::<Vec<_>>(), [1, 100, 51]);
    let mut purged: Vec<String> = calls[1..].iter().flat_map(|call| call.tags.clone()).collect();
    purged.sort();
    let mut wanted = names;
    wanted.insert(0, counters_tag());
    assert_eq!(purged, wanted);
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(zone.calls().len(), 3, "nothing is left over");
}

#[test]
fn a_zone_that_fails_is_tried_again_with_pauses_that_grow() {
    let zone = Zone::start();
    for (fault, status) in [(ZoneFault::Status(500), Some(500)), (ZoneFault::HangUp, None)] {
        let lab = start(&zone);
        let before = zone.calls().len();
        zone.fail(fault);
        let receipt = lab.at("ams").purge(&json!({"mode": "hard", "all": true}));
        let calls = wait_for_calls(&zone, before + 3);
        assert_eq!(leg(&lab.at("ams").receipt(&receipt), "zone")["state"], "handed-over");
        zone.heal();
        lab.at("ams").wait_for_leg(&receipt, "zone", "done");
        let pauses = [calls[before + 1].at - calls[before].at, calls[before + 2].at - calls[before + 1].at];
        assert!(pauses[0] >= Duration::from_millis(490) && pauses[1] >= Duration::from_millis(990), "{pauses:?}");
        assert_eq!(calls[before..].iter().map(|call| call.status).collect::<Vec<_>>(), [status; 3]);
        assert_eq!(zone.calls().last().and_then(|call| call.status), Some(200));
    }
}

#[test]
fn a_zone_that_hangs_delays_no_purge_and_is_given_up_for_another_try() {
    let zone = Zone::start();
    let gate = Gate::new();
    zone.fail(ZoneFault::Hang(gate.clone()));
    let lab = start(&zone);
    fill(lab.at("ams"), lab.origin());
    let receipt = lab.at("ams").purge(&json!({"mode": "hard", "all": true}));
    gate.wait_for_arrivals(1);
    let asked = Instant::now();
    let other = lab.at("ams").purge(&json!({"mode": "hard", "all": true}));
    lab.at("ams").get(SEGMENTS).expect(200).detail("purged").says("new").origin_requests(1);
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    // The call is not waited for any longer: another one comes while it still hangs.
    gate.wait_for_arrivals(2);
    zone.heal();
    gate.open();
    for receipt in [receipt, other] {
        lab.at("ams").wait_for_leg(&receipt, "zone", "done");
    }
}

/// A purge whose answer was given has its receipt, is in force by the time that it says, and its tag arrives.
#[track_caller]
fn finishes(lab: &Lab, receipt: &serde_json::Value) {
    let at = lab.at("ams");
    assert_eq!(at.receipt(receipt)["epoch"], receipt["epoch"]);
    let effective_by = receipt["effective_by"].as_str().and_then(moment).expect("a time");
    wait_until_after(effective_by);
    at.get(SEGMENTS).expect(200).detail("purged").says("new").origin_requests(1);
    at.wait_for_leg(receipt, "zone", "done");
}

#[test]
fn killed_behind_the_answer_it_has_all_of_the_purge() {
    let zone = Zone::start();
    let mut lab = start(&zone);
    fill(lab.at("ams"), lab.origin());
    let receipt = lab.at("ams").purge(&json!({"mode": "hard", "all": true}));
    lab.restart();
    finishes(&lab, &receipt);
    assert_eq!(zone.calls().last().map(|call| call.tags.clone()), Some(vec![counters_tag()]));
}

#[test]
fn killed_while_it_hands_over_it_hands_over_afterwards() {
    let zone = Zone::start();
    let mut lab = start(&zone);
    fill(lab.at("ams"), lab.origin());
    lab.at("ams").call_ledger("/test/~/delay/60000", "");
    let receipt = lab.at("ams").purge(&json!({"mode": "hard", "all": true}));
    // Longer than the alarm takes to ring, shorter than the call is waited for.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(
        leg(&lab.at("ams").receipt(&receipt), "zone"),
        &json!({"leg": "zone", "state": "waiting", "attempts": 0})
    );
    lab.restart();
    finishes(&lab, &receipt);
    assert_eq!(zone.calls().len(), 1);
}

#[test]
fn a_global_ledger_that_does_not_take_tags_is_asked_again() {
    let zone = Zone::start();
    let lab = start(&zone);
    fill(lab.at("ams"), lab.origin());
    // It has taken them, but nobody hears of it.
    lab.at("ams").call_ledger("/test/~/lost-answer", "");
    let receipt = lab.at("ams").purge(&json!({"mode": "hard", "all": true}));
    wait_for_calls(&zone, 1);
    assert_eq!(leg(&lab.at("ams").receipt(&receipt), "zone")["state"], "waiting");
    lab.at("ams").call_ledger("/test/~/none", "");
    assert!(lab.at("ams").wait_for_leg(&receipt, "zone", "done") >= 2);
    assert_eq!(zone.calls().len(), 1, "told twice, purged once");
}

#[test]
fn killed_while_the_zone_is_called_it_calls_again() {
    let zone = Zone::start();
    let mut lab = start(&zone);
    fill(lab.at("ams"), lab.origin());
    let gate = Gate::new();
    zone.fail(ZoneFault::Hang(gate.clone()));
    let receipt = lab.at("ams").purge(&json!({"mode": "hard", "all": true}));
    gate.wait_for_arrivals(1);
    lab.restart();
    zone.heal();
    gate.open();
    finishes(&lab, &receipt);
    assert_eq!(zone.calls().iter().filter(|call| call.status == Some(200)).count(), 1);
}

#[test]
fn killed_before_the_zones_answer_is_written_down_it_purges_once_more() {
    let zone = Zone::start();
    let mut lab = start(&zone);
    fill(lab.at("ams"), lab.origin());
    let gate = Gate::new();
    zone.fail(ZoneFault::HoldAnswer(gate.clone()));
    let receipt = lab.at("ams").purge(&json!({"mode": "hard", "all": true}));
    gate.wait_for_arrivals(1);
    lab.restart();
    zone.heal();
    gate.open();
    finishes(&lab, &receipt);
    let tags: Vec<_> = wait_for_calls(&zone, 2).into_iter().map(|call| (call.tags, call.status)).collect();
    assert_eq!(tags, [(vec![counters_tag()], Some(200)), (vec![counters_tag()], Some(200))]);
}
