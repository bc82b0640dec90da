//! A request that ends in the middle of the Worker harms nobody who comes after it, and others at the same time as little
//! as the runtime allows.

use std::thread;
use std::time::{Duration, Instant};

use lab::Layout;
use lab::client::{Call, Response};
use lab::gate::Gate;
use lab::harness::{Edge, Options};
use lab::origin::{Answer, Wait};
use lab::stored::{OPS, SALES, SALES_KEY};

use serde_json::json;

const LIVE: &str = "/api/realtime/sla";
/// Within this something is answered at once.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Fails in the Worker while another request waits for the origin. What became of both.
fn beside_one_that_waits(edge: &Edge, fault: &str) -> (Response, Response) {
    let gate = Gate::new();
    edge.origin.answer(OPS, Answer::tile("held").wait_before_head(Wait::Until(gate.clone())));
    edge.origin.answer(LIVE, Answer::tile("live"));
    let send = |target| Call::get(target).send(edge.workerd.address()).expect("an answer");
    thread::scope(|scope| {
        let held = scope.spawn(move || send(OPS));
        gate.wait_for_arrivals(1);
        edge.tell(&format!("origin/{fault}"));
        let started = Instant::now();
        let failed = send(LIVE);
        edge.tell("origin/none");
        edge.get(SALES).expect(200).hit().says("stored").origin_requests(0);
        edge.get(LIVE).expect(200).says("live").origin_requests(1);
        assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
        gate.open();
        (failed, held.join().expect("the client does not panic"))
    })
}

/// An edge with a stored tile, which the isolate holds in memory too.
fn with_something_stored() -> Edge {
    let edge = Options::failing().var("MEMORY_BYTES", "1000000").start();
    edge.fill(SALES, SALES_KEY, "stored");
    edge.get(SALES).expect(200).hit().detail("memory").says("stored").origin_requests(0);
    edge
}

#[test]
fn a_request_that_throws_in_the_runtimes_glue_fails_alone() {
    let edge = with_something_stored();
    let (failed, held) = beside_one_that_waits(&edge, "used");
    assert_eq!(failed.status, 500, "{failed:?}");
    assert_eq!((held.status, &held.json()["fact"]["says"]), (200, &json!("held")), "{held:?}");
    // It is the same isolate, with all that it held.
    edge.get(SALES).expect(200).hit().detail("memory").says("stored").origin_requests(0);
    edge.get(OPS).expect(200).hit().detail("memory").says("held").origin_requests(0);
}

#[test]
fn a_trap_costs_the_isolate_its_memory_and_nothing_that_is_stored() {
    let edge = with_something_stored();
    let (failed, held) = beside_one_that_waits(&edge, "trap");
    assert_eq!(failed.status, 500, "{failed:?}");
    // The memory of the wasm is gone, and with it what waited there; the runtime ends it within its time.
    assert!(held.status == 500 && held.head_after < Duration::from_secs(25), "{held:?}");
    edge.get(SALES).expect(200).hit().detail("memory").says("stored").origin_requests(0);
    edge.get(OPS).expect(200).says("held").origin_requests(1);
}

#[test]
fn a_trap_in_one_isolate_is_not_seen_in_another() {
    let lab = Layout::new().locations(&["ams"]).isolates(2).start();
    let (first, second) = (lab.at("ams"), lab.at("ams").isolate(1));
    let gate = Gate::new();
    lab.origin().answer(OPS, Answer::tile("held").wait_before_head(Wait::Until(gate.clone())));
    lab.origin().answer(LIVE, Answer::tile("live"));
    thread::scope(|scope| {
        let held = scope.spawn(move || second.ask(&Call::get(OPS)));
        gate.wait_for_arrivals(1);
        lab.fail_origin("ams", "trap");
        assert_eq!(first.ask(&Call::get(LIVE)).status, 500);
        gate.open();
        let held = held.join().expect("the client does not panic");
        assert_eq!((held.status, &held.json()["fact"]["says"]), (200, &json!("held")), "{held:?}");
    });
}
