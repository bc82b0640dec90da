//! A ledger that does not answer: each class does without it what its rule says, and no purge is confirmed.

use std::time::Instant;

use lab::harness::{Edge, OPERATOR_TOKEN, Options};
use lab::origin::Answer;
use lab::purge::purge_call;
use lab::stored::{SALES, SALES_KEY, SEGMENTS, SEGMENTS_KEY, all_kept};
use serde_json::json;

/// Ways in which it does not answer.
const FAULTS: [&str; 8] = ["nothing", "object", "unreachable", "overloaded", "garbage", "empty", "cut", "no-stub"];

fn start() -> Edge {
    Options::failing().short_snapshots().start()
}

fn ledger(edge: &Edge, fault: &str) {
    edge.get(&format!("/test/ledger/{fault}")).expect(200).body(fault).origin_requests(0);
}

/// The same, and nothing that the ledger said before counts any more.
fn ledger_from_now_on(edge: &Edge, fault: &str) {
    ledger(edge, fault);
    edge.snapshots_expire();
}

/// A hit that says that nobody could be asked whether it was purged.
#[track_caller]
fn is_hit_unasked(edge: &Edge, target: &str, fact: &str) {
    edge.get(target).expect(200).hit().detail("edge/ledger").says(fact).origin_requests(0);
}

#[test]
fn tiles_go_to_the_origin_and_history_is_served_while_the_ledger_is_away() {
    let edge = start();
    edge.fill(SALES, SALES_KEY, "stored");
    edge.fill(SEGMENTS, SEGMENTS_KEY, "stored");
    edge.origin.answer(SALES, Answer::tile("live"));
    for (number, fault) in FAULTS.into_iter().enumerate() {
        ledger_from_now_on(&edge, fault);
        let case = edge.get(SALES).expect(200).fwd("stale").stored(false).detail("ledger").says("live");
        case.field("Cache-Control", "no-store").origin_requests(1);
        is_hit_unasked(&edge, SEGMENTS, "stored");
        let counted = edge.get("/healthz").expect(200).origin_requests(0).json();
        assert_eq!(counted["incidents"]["ledger_failed"], 2 * (number + 1), "{fault}: {counted}");
        ledger(&edge, "none");
        edge.is_hit(SALES, "stored");
    }
}

#[test]
fn every_class_does_without_the_ledger_what_its_rule_says() {
    let mut edge = start();
    for kept in all_kept() {
        edge.fill(&kept.target, &kept.key, "stored");
    }
    ledger_from_now_on(&edge, "unreachable");
    for kept in all_kept() {
        match kept.class {
            "near_real_time" => drop(edge.get(&kept.target).expect(200).stored(false).origin_requests(1)),
            _ => is_hit_unasked(&edge, &kept.target, "stored"),
        }
    }
    // A position that was read long ago is before every purge since: what is stored with it can still be judged.
    edge.cache.clear();
    edge.origin.answer(SEGMENTS, Answer::tile("later"));
    let later = edge.get(SEGMENTS).expect(200).fwd("uri-miss").stored(true).origin_requests(1);
    edge.wait_until_kept(SEGMENTS_KEY, &later.text());
    is_hit_unasked(&edge, SEGMENTS, "later");
    // An isolate that knows no position stores nothing, since nobody could say later whether it was purged.
    edge.workerd.restart();
    ledger(&edge, "unreachable");
    edge.cache.clear();
    edge.get(SEGMENTS).expect(200).stored(false).detail("ledger").origin_requests(1);
    edge.get(SEGMENTS).expect(200).stored(false).detail("ledger").origin_requests(1);
    edge.get("/api/realtime/sla").expect(404).origin_requests(1);
}

#[test]
fn with_the_ledger_and_all_stores_away_the_edge_is_a_proxy() {
    let edge = start();
    ledger(&edge, "unreachable");
    edge.kv_face.faults().set_all(&lab::stores::Fault::Close);
    edge.cache_face.faults().set_all(&lab::stores::Fault::Close);
    for target in [SALES, SEGMENTS] {
        edge.origin.answer(target, Answer::tile("live"));
        edge.get(target).expect(200).says("live").stored(false).origin_requests(1);
    }
    edge.origin.stop();
    edge.get(SALES).problem(502).origin_requests(0);
}

#[test]
fn a_purge_that_the_ledger_does_not_confirm_is_a_503_that_promises_nothing() {
    let edge = start();
    edge.fill(SALES, SALES_KEY, "stored");
    let purge = purge_call(OPERATOR_TOKEN, json!({"mode": "hard", "all": true}).to_string());
    for fault in FAULTS {
        ledger(&edge, fault);
        let problem = edge.send(&purge).problem(503).field("Retry-After", "5").origin_requests(0);
        assert!(problem.text().contains("nothing is promised"), "{}", problem.text());
        ledger(&edge, "none");
        edge.is_hit(SALES, "stored");
    }
    // It may have happened all the same, if only the answer was lost.
    ledger(&edge, "lost-answer");
    edge.send(&purge).problem(503).origin_requests(0);
    ledger_from_now_on(&edge, "none");
    edge.is_gone(SALES, SALES_KEY);
}

#[test]
fn a_slow_ledger_is_waited_for() {
    // An answer that takes 300 ms is 300 ms old.
    let edge = start();
    edge.fill(SALES, SALES_KEY, "stored");
    ledger_from_now_on(&edge, "slow");
    let started = Instant::now();
    edge.is_hit(SALES, "stored");
    assert!(started.elapsed().as_millis() >= 300, "{:?}", started.elapsed());
    edge.purge(&json!({"mode": "hard", "all": true}));
    edge.is_gone(SALES, SALES_KEY);
}
