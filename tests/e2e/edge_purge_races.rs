//! Purges while something is under way: nothing that began before one is served after it.

use std::collections::BTreeSet;
use std::time::Duration;

use lab::Layout;
use lab::client::Call;
use lab::gate::Gate;
use lab::harness::{Edge, OPERATOR_TOKEN, Options, wait_until};
use lab::origin::{Answer, Wait};
use lab::promise::moment;
use lab::purge::wait_past;
use lab::stored::{SALES, SALES_KEY, SEGMENTS, SEGMENTS_KEY};
use lab::stores::{Consistency, Fault, Op};
use serde_json::json;

fn purge_all(edge: &Edge) {
    edge.purge(&json!({"mode": "hard", "all": true}));
}

#[test]
fn a_put_that_lands_in_kv_after_the_purge_is_not_served() {
    let edge = Edge::start();
    let late = Gate::new();
    edge.kv_face.faults().once(Op::Put, Fault::LandLate(late.clone()));
    edge.origin.answer(SALES, Answer::tile("old"));
    edge.get(SALES).expect(200).stored(true).says("old").origin_requests(1);
    late.wait_for_arrivals(1);
    purge_all(&edge);
    let new = edge.is_gone(SALES, SALES_KEY);
    late.open();
    edge.wait_until("the old one landed over the new", |edge| {
        edge.in_kv(SALES_KEY).is_some_and(|body| body.contains("old"))
    });
    edge.is_hit(SALES, &new);
    edge.cache.clear();
    edge.get(SALES).expect(200).fwd("uri-miss").detail("purged").says(&new).origin_requests(1);
}

#[test]
fn a_put_that_waits_until_after_the_purge_is_not_served() {
    type Put = fn(&Edge, Gate);
    let puts: [Put; 3] = [
        |edge, gate| edge.cache_face.faults().set_for(Op::Put, SALES_KEY, Fault::Hold(gate), 1),
        |edge, gate| edge.cache_face.faults().set_for(Op::Put, SALES_KEY, Fault::LandLate(gate), 1),
        |edge, gate| edge.kv_face.faults().once(Op::Put, Fault::Hold(gate)),
    ];
    for put in puts {
        let edge = Edge::start();
        let gate = Gate::new();
        put(&edge, gate.clone());
        edge.origin.answer(SALES, Answer::tile("old"));
        edge.get(SALES).expect(200).stored(true).says("old").origin_requests(1);
        gate.wait_for_arrivals(1);
        purge_all(&edge);
        gate.open();
        edge.wait_until("the old one is in both stores", |edge| {
            let old = |body: Option<String>| body.is_some_and(|body| body.contains("old"));
            old(edge.in_cache(SALES_KEY)) && old(edge.in_kv(SALES_KEY))
        });
        edge.is_gone(SALES, SALES_KEY);
    }
}

#[test]
fn a_fill_that_the_origin_holds_while_a_purge_runs_is_not_served_afterwards() {
    let in_head = |gate: Gate| Answer::tile("old").wait_before_head(Wait::Until(gate));
    let in_body = |gate: Gate| Answer::tile("old").wait_in_body(10, Wait::Until(gate));
    let answers: [&dyn Fn(Gate) -> Answer; 2] = [&in_head, &in_body];
    for (target, key) in [(SALES, SALES_KEY), (SEGMENTS, SEGMENTS_KEY)] {
        for held in answers {
            let edge = Edge::start();
            let gate = Gate::new();
            edge.origin.answer(target, held(gate.clone()));
            std::thread::scope(|scope| {
                let asking = scope.spawn(|| Call::get(target).send(edge.workerd.address()).expect("an answer"));
                gate.wait_for_arrivals(1);
                purge_all(&edge);
                gate.open();
                let answer = asking.join().expect("the client does not panic");
                assert_eq!((answer.status, answer.json()["fact"]["says"].as_str()), (200, Some("old")));
                edge.wait_until_kept(key, &answer.text());
            });
            assert_eq!(edge.origin.total(), 1);
            edge.is_gone(target, key);
        }
    }
}

#[test]
fn an_older_fill_that_ends_later_does_not_take_the_place_of_a_newer_one() {
    // Two isolates of one data centre, and a class without leases: neither knows of the other's question.
    let lab = Layout::new().locations(&["ams"]).isolates(2).kv(Consistency::default()).start();
    let (first, second) = (lab.at("ams"), lab.at("ams").isolate(1));
    let gate = Gate::new();
    let slow = Answer::tile("older").wait_before_head(Wait::Until(gate.clone()));
    lab.origin().answers(SEGMENTS, vec![slow, Answer::tile("newer")]);
    let count = |op| {
        let log = first.cache_face().log();
        log.iter().filter(|(logged, url)| *logged == op && url.contains(SEGMENTS_KEY)).count()
    };
    std::thread::scope(|scope| {
        let asking = scope.spawn(move || first.ask(&Call::get(SEGMENTS)));
        gate.wait_for_arrivals(1);
        let newer = second.get(SEGMENTS).expect(200).stored(true).says("newer").origin_requests(1);
        second.wait_until_kept(SEGMENTS_KEY, &newer.text());
        let looked = count(Op::Get);
        gate.open();
        assert_eq!(asking.join().expect("the client does not panic").json()["fact"]["says"], "older");
        wait_until("the older fill has looked", || count(Op::Get) > looked);
    });
    for isolate in [first, second] {
        isolate.get(SEGMENTS).expect(200).hit().says("newer").origin_requests(0);
    }
    assert_eq!((count(Op::Put), lab.origin().total()), (1, 2));
}

#[test]
fn a_store_that_shows_the_value_before_the_purge_shows_nothing() {
    let edge = Edge::start();
    edge.fill(SALES, SALES_KEY, "old");
    purge_all(&edge);
    let new = edge.is_gone(SALES, SALES_KEY);
    edge.kv_face.faults().set(Op::Get, Fault::Stale);
    edge.cache_face.faults().set(Op::Get, Fault::Stale);
    edge.get(SALES).expect(200).fwd("uri-miss").detail("purged").says(&new).origin_requests(1);
}

#[test]
fn purges_that_run_at_once_share_increments_and_all_hold() {
    let edge = Options::built().short_snapshots().start();
    edge.fill(SALES, SALES_KEY, "old");
    edge.fill(SEGMENTS, SEGMENTS_KEY, "old");
    let receipts = std::thread::scope(|scope| {
        let purge = |number: usize| {
            let key = if number.is_multiple_of(2) { SALES_KEY } else { SEGMENTS_KEY };
            edge.order(OPERATOR_TOKEN, &json!({"mode": "hard", "keys": [key]}))
        };
        let purging: Vec<_> = (0..16).map(|number| scope.spawn(move || purge(number))).collect();
        purging.into_iter().map(|one| one.join().expect("a purge is confirmed")).collect::<Vec<_>>()
    });
    let all = |member: &str| receipts.iter().map(|receipt| receipt[member].to_string()).collect::<BTreeSet<_>>();
    assert_eq!(all("id").len(), 16, "each purge has a receipt: {receipts:?}");
    assert!((2..16).contains(&all("epoch").len()), "{receipts:?}");
    let times = receipts.iter().map(|receipt| receipt["incremented_at"].as_str().and_then(moment).expect("a time"));
    let times: Vec<_> = times.collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!(times.len(), all("epoch").len(), "each increment has a position of its own: {receipts:?}");
    assert!(times.is_sorted_by(|one, next| *one + Duration::from_secs(1) <= *next), "an increment a second: {times:?}");
    for receipt in &receipts {
        wait_past(receipt, "effective_by");
    }
    edge.is_gone(SALES, SALES_KEY);
    edge.is_gone(SEGMENTS, SEGMENTS_KEY);
}
