//! The assertions of a case, and the strict reading of Cache-Status, shown on fields that the origin scripts.

use lab::cache_status::{Item, parse};
use lab::harness::Edge;
use lab::origin::Answer;
use serde_json::json;

use crate::harness_workerd::probe;

/// An edge whose origin answers `/x` with this Cache-Status.
fn saying(value: &str) -> Edge {
    let edge = probe().start();
    edge.origin.answer("/x", Answer::tile("a fact").field("Cache-Status", value));
    edge
}

#[test]
fn a_case_reads_the_status_of_the_nearest_cache() {
    let edge = saying("origin-cache; fwd=miss, hotrod-edge; hit; ttl=-30; detail=while-revalidate");
    edge.get("/x")
        .expect(200)
        .hit()
        .ttl(-40..=-20)
        .stored(false)
        .detail("while-revalidate")
        .says("a fact")
        .origin_requests(1);
    let edge = saying("hotrod-edge; fwd=uri-miss; stored");
    edge.get("/x").fwd("uri-miss").stored(true).no_field("Age").origin_requests(1);
}

#[test]
fn a_case_knows_a_problem() {
    let edge = probe().start();
    let body = json!({"type": "about:blank", "title": "Not found", "status": 404});
    let answer = Answer::json(&body)
        .status(404)
        .field("Content-Type", "application/problem+json")
        .field("Cache-Control", "no-store");
    edge.origin.answer("/x", answer);
    edge.get("/x").problem(404).origin_requests(1);
}

#[test]
#[should_panic(expected = "hit and fwd exclude each other")]
fn a_case_refuses_a_malformed_status() {
    let edge = saying("hotrod-edge; hit; fwd=stale");
    edge.get("/x").hit().origin_requests(1);
}

#[test]
#[should_panic(expected = "not a hit")]
fn a_case_that_is_no_hit_fails() {
    let edge = saying("hotrod-edge; fwd=stale; fwd-status=503");
    edge.get("/x").hit().origin_requests(1);
}

#[test]
fn every_parameter_of_the_rfc_is_read() {
    let value = r#"a, "b \" c";fwd=stale;fwd-status=503;ttl=376;stored=?0;collapsed;key="k,;";detail="w w";x-own=*t/1"#;
    let caches = parse(value).expect("it is well-formed");
    assert_eq!((caches.len(), caches[0].cache.as_str(), caches[1].cache.as_str()), (2, "a", "b \" c"));
    let second = &caches[1];
    assert_eq!((second.fwd.as_deref(), second.fwd_status, second.ttl), (Some("stale"), Some(503), Some(376)));
    assert_eq!((second.hit, second.stored, second.collapsed), (false, false, true));
    assert_eq!((second.key.as_deref(), second.detail.as_deref()), (Some("k,;"), Some("w w")));
    assert_eq!(second.other, [("x-own".to_owned(), Item::Token("*t/1".to_owned()))]);
}

#[test]
fn what_the_rfc_forbids_is_refused() {
    let malformed = [
        "",
        "a,",
        ",a",
        "a b",
        "(a b)",
        "1",
        "a;",
        "a;HIT",
        "a; hit=1",
        "a; hit=?2",
        "a; hit; fwd=miss",
        "a; fwd=\"miss\"",
        "a; fwd=unknown",
        "a; fwd",
        "a; ttl=1.5",
        "a; ttl=\"3\"",
        "a; ttl=-",
        "a; ttl=1234567890123456",
        "a; key=token",
        "a; detail=1",
        "a; hit; hit",
        "\"a",
        "\"a\\b\"",
        "\"é\"",
        "a ; hit",
    ];
    for value in malformed {
        assert!(parse(value).is_err(), "{value:?} was taken for {:?}", parse(value));
    }
}
