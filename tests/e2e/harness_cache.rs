//! The Cache API's store shown on the probe: what it keeps, and that workerd sees each of its faults.

use std::time::Duration;

use lab::client::Call;
use lab::gate::Gate;
use lab::harness::{CACHE, Edge};
use lab::stores::{Fault, Op};
use lab::wire::{Fields, percent_encode};
use serde_json::{Value, json};

use crate::harness_workerd::probe;

const URL: &str = "https://edge.invalid/.cache/dashboard:tile:ops:v1?days=30";

#[track_caller]
fn put(edge: &Edge, headers: &Value, body: &str) -> Value {
    let target = format!("/cache/put?url={}&headers={}", percent_encode(URL), percent_encode(&headers.to_string()));
    Call::new("POST", target).body(body).send(edge.workerd.address()).expect("an answer").json()
}

#[track_caller]
fn matched(edge: &Edge) -> Value {
    edge.get(&format!("/cache/match?url={}", percent_encode(URL))).origin_requests(0).json()
}

fn delete(edge: &Edge) -> Value {
    edge.get(&format!("/cache/delete?url={}", percent_encode(URL))).origin_requests(0).json()
}

fn lasting() -> Value {
    json!({"Cache-Control": "s-maxage=60, max-age=0", "X-Head": "{}", "Content-Type": "text/plain"})
}

#[test]
fn a_response_is_kept_under_its_url_and_namespace_and_can_be_deleted() {
    let edge = probe().start();
    assert_eq!(matched(&edge), Value::Null);
    assert_eq!(put(&edge, &lasting(), "a body"), "put");
    assert_eq!(edge.cache.urls(CACHE), [URL]);
    let (fields, body) = edge.cache.get(CACHE, URL).expect("it is there");
    assert_eq!((fields.get("x-head"), body.as_slice()), (Some("{}"), b"a body".as_slice()));
    assert!(edge.cache.get("another", URL).is_none());
    let found = matched(&edge);
    assert_eq!((&found["status"], &found["body"]), (&json!(200), &json!("a body")));
    assert_eq!(delete(&edge), true);
    assert_eq!(delete(&edge), false);
    assert_eq!(matched(&edge), Value::Null);
    assert_eq!(
        (edge.cache_face.count(Op::Get), edge.cache_face.count(Op::Put), edge.cache_face.count(Op::Delete)),
        (3, 1, 2)
    );
    assert_eq!(edge.cache_face.log()[0], (Op::Get, URL.to_owned()));
}

#[test]
fn a_body_of_unknown_length_is_kept_whole() {
    let edge = probe().start();
    let target =
        format!("/cache/put?stream&url={}&headers={}", percent_encode(URL), percent_encode(&lasting().to_string()));
    let parts = [(Duration::ZERO, b"one ".to_vec()), (Duration::from_millis(20), b"two".to_vec())];
    edge.send(&Call::new("POST", target).chunks(parts)).expect(200).origin_requests(0);
    assert_eq!(matched(&edge)["body"], "one two");
}

#[test]
fn what_may_not_be_stored_is_not_and_the_worker_hears_nothing_of_it() {
    let edge = probe().start();
    let refused = ["no-store, s-maxage=60", "private, max-age=60", "s-maxage=0", "public", "no-cache, s-maxage=60"];
    for control in refused {
        assert_eq!(put(&edge, &json!({"Cache-Control": control}), "x"), "put");
        assert_eq!(edge.cache.urls(CACHE), Vec::<String>::new(), "{control}");
    }
    put(&edge, &json!({"Cache-Control": "s-maxage=60", "Set-Cookie": "a=b"}), "x");
    assert_eq!(edge.cache.urls(CACHE), Vec::<String>::new());
}

#[test]
fn a_response_ends_with_its_lifetime_and_everything_can_be_evicted() {
    let edge = probe().start();
    edge.cache.insert(CACHE, URL, Fields::default(), b"short", Duration::from_millis(150));
    assert_eq!(matched(&edge)["body"], "short");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(matched(&edge), Value::Null);
    put(&edge, &lasting(), "x");
    edge.cache.clear();
    assert_eq!(matched(&edge), Value::Null);
}

#[test]
fn conditions_and_ranges_of_the_key_request_are_answered_by_the_store() {
    let edge = probe().start();
    put(&edge, &json!({"Cache-Control": "s-maxage=60", "ETag": "W/\"1\""}), "0123456789");
    let serve = Call::get(format!("/cache/serve?url={}", percent_encode(URL)));
    edge.send(&serve.clone().field("If-None-Match", "\"0\", \"1\"")).expect(304).origin_requests(0);
    edge.send(&serve.field("Range", "bytes=2-4"))
        .expect(206)
        .body("234")
        .field("Content-Range", "bytes 2-4/10")
        .origin_requests(0);
}

#[test]
fn a_failing_store_is_a_miss_or_rejects() {
    let edge = probe().start();
    put(&edge, &lasting(), "here");
    edge.cache_face.faults().once(Op::Get, Fault::Status(500));
    assert_eq!(matched(&edge), Value::Null);
    edge.cache_face.faults().once(Op::Get, Fault::Close);
    assert_eq!(matched(&edge)["error"], "Error: Network connection lost.");
    edge.cache_face.faults().once(Op::Get, Fault::CutBody(2));
    assert_eq!(matched(&edge)["error"], "Error: Network connection lost.");
    edge.cache_face.faults().once(Op::Delete, Fault::Status(429));
    assert!(delete(&edge)["error"].as_str().is_some_and(|text| text.contains("rate-limited")));
    edge.cache_face.faults().once(Op::Delete, Fault::Lose);
    assert_eq!(delete(&edge), true);
    assert_eq!(matched(&edge)["body"], "here");
    for fault in [Fault::Status(500), Fault::Close] {
        edge.cache_face.faults().once(Op::Put, fault);
        assert_eq!(put(&edge, &lasting(), "new"), "put");
        assert_eq!(matched(&edge)["body"], "here");
    }
}

#[test]
fn a_put_can_be_lost_held_or_land_late_and_a_match_can_be_stale() {
    let edge = probe().start();
    edge.cache_face.faults().once(Op::Put, Fault::Lose);
    assert_eq!(put(&edge, &lasting(), "first"), "put");
    assert_eq!(matched(&edge), Value::Null);

    let late = Gate::new();
    edge.cache_face.faults().once(Op::Put, Fault::LandLate(late.clone()));
    assert_eq!(put(&edge, &lasting(), "second"), "put");
    assert_eq!(matched(&edge), Value::Null);
    late.open();
    edge.wait_until("the put landed", |edge| edge.cache.get(CACHE, URL).is_some());

    let held = Gate::new();
    edge.cache_face.faults().once(Op::Put, Fault::Hold(held.clone()));
    std::thread::scope(|scope| {
        let putting = scope.spawn(|| put(&edge, &lasting(), "third"));
        held.wait_for_arrivals(1);
        assert_eq!(matched(&edge)["body"], "second");
        held.open();
        assert_eq!(putting.join().expect("the put is answered"), "put");
    });
    assert_eq!(matched(&edge)["body"], "third");
    edge.cache_face.faults().once(Op::Get, Fault::Stale);
    assert_eq!(matched(&edge)["body"], "second");
}
