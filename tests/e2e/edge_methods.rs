//! Methods, conditions and bodies of requests: HEAD from the stored GET, 304 at the edge, the rest to the origin.

use std::time::Duration;

use lab::client::Call;
use lab::harness::{Edge, Options};
use lab::origin::Answer;
use lab::stored::{OPS, SALES, SALES_KEY};
use lab::stores::Op;

const LIVE: &str = "/api/realtime/sla";

#[test]
fn head_says_what_get_would_without_the_body() {
    let edge = Edge::start();
    edge.origin.answer(SALES, Answer::tile("a tile"));
    let length = Answer::tile("a tile").length().to_string();
    let head = Call::new("HEAD", SALES);
    let case = edge.send(&head).expect(200).fwd("uri-miss").stored(true).body("").field("Content-Length", &length);
    let missed = case.origin_requests(1);
    assert_eq!(edge.origin.all_requests()[0].method, "GET", "what is stored is a GET's");
    edge.wait_until("it is stored", |edge| edge.in_kv(SALES_KEY).is_some());
    let get = edge.get(SALES).expect(200).hit().says("a tile").origin_requests(0);
    let case = edge.send(&head).expect(200).hit().body("").field("Content-Length", &length);
    let hit = case.origin_requests(0);
    assert_eq!((hit.fields.names(), hit.field("ETag")), (get.fields.names(), missed.field("ETag")));
    edge.cache.clear();
    edge.send(&head).expect(200).hit().detail("kv").body("").field("Content-Length", &length).origin_requests(0);

    edge.origin.answer(OPS, Answer::bytes("text/html", "<html>").status(500));
    edge.send(&Call::new("HEAD", OPS)).expect(500).body("").stored(false).origin_requests(1);
    edge.origin.answer(LIVE, Answer::tile("live"));
    let case = edge.send(&Call::new("HEAD", LIVE)).expect(200).fwd("bypass").body("");
    case.field("Content-Length", &Answer::tile("live").length().to_string()).origin_requests(1);
    assert_eq!(edge.origin.requests(LIVE)[0].method, "HEAD");
    for target in ["/healthz", "/elsewhere", "/cache/purge", "/api//x"] {
        let (get, head) = (edge.get(target), edge.send(&Call::new("HEAD", target)).body(""));
        let (get, head) = (get.origin_requests(0), head.origin_requests(0));
        assert_eq!((get.status, get.field("Content-Length")), (head.status, head.field("Content-Length")), "{target}");
    }
}

#[test]
fn a_client_that_has_the_answer_gets_a_304() {
    let edge = Options::built().short_snapshots().start();
    let etag = edge.fill(SALES, SALES_KEY, "a tile").field("ETag").expect("an ETag").to_owned();
    let strong = etag.trim_start_matches("W/").to_owned();
    let asked = |tags: &str| Call::get(SALES).field("If-None-Match", tags);
    for tags in [etag.clone(), strong, format!("\"x\", {etag}"), "*".to_owned()] {
        for call in [asked(&tags), Call::new("HEAD", SALES).field("If-None-Match", &tags)] {
            let case = edge.send(&call).expect(304).hit().body("").field("ETag", &etag).no_field("Content-Length");
            let answer = case.no_field("Content-Type").origin_requests(0);
            assert!(answer.fields.has("Cache-Control") && answer.fields.has("Age"));
        }
    }
    let two_lines = asked("\"x\"").field("If-None-Match", &etag);
    edge.send(&two_lines).expect(304).origin_requests(0);
    for tags in ["", "x", "W/", "\"x\"", "W/\"x\", \"y\"", "\u{ff}"] {
        edge.send(&asked(tags)).expect(200).hit().says("a tile").origin_requests(0);
    }
    // It never reaches the origin, and a miss of the same figures is a 304 as well.
    edge.purge(&serde_json::json!({"mode": "hard", "all": true}));
    edge.send(&asked(&etag)).expect(304).fwd("uri-miss").stored(true).origin_requests(1);
    assert!(!edge.origin.all_requests()[1].fields.has("If-None-Match"));
    edge.purge(&serde_json::json!({"mode": "hard", "all": true}));
    edge.origin.answer(SALES, Answer::tile("another"));
    edge.send(&asked("*")).expect(304).origin_requests(1);
}

#[test]
fn the_tag_is_that_of_the_figures_and_not_of_what_changes_without_meaning() {
    let edge = Options::built().short_snapshots().start();
    let tag = |body: &str| {
        edge.purge(&serde_json::json!({"mode": "hard", "all": true}));
        edge.origin.answer(SALES, Answer::bytes("application/json", body));
        edge.get(SALES).expect(200).stored(true).body(body).origin_requests(1).field("ETag").map(str::to_owned)
    };
    let first = tag(r#"{"status":"ok","fact":{"id":1},"data":{"n":1,"generated_at":"a"}}"#);
    assert_eq!(first, tag(r#"{"data":{"generated_at":"b","n":1},"fact":{"id":2},"status":"ok"}"#));
    assert_ne!(first, tag(r#"{"status":"ok","fact":{"id":1},"data":{"n":2,"generated_at":"a"}}"#));
}

#[test]
fn a_range_of_a_cached_route_is_ignored_and_of_an_export_passed_on() {
    let edge = Edge::start();
    let range = |target: &str| Call::get(target).field("Range", "bytes=2-4").field("If-Range", "\"x\"");
    edge.origin.answer(SALES, Answer::tile("a tile"));
    let missed = edge.send(&range(SALES)).expect(200).says("a tile").origin_requests(1);
    assert!(!edge.origin.all_requests()[0].fields.has("Range"));
    edge.wait_until_kept(SALES_KEY, &missed.text());
    edge.send(&range(SALES)).expect(200).hit().says("a tile").no_field("Content-Range").origin_requests(0);
    edge.cache.clear();
    edge.send(&range(SALES)).expect(200).hit().detail("kv").says("a tile").origin_requests(0);
    let part = Answer::bytes("text/csv", "cde").status(206).field("Content-Range", "bytes 2-4/6");
    edge.origin.answer("/api/exports/a.csv", part);
    let case = edge.send(&range("/api/exports/a.csv")).expect(206).body("cde");
    case.field("Content-Range", "bytes 2-4/6").origin_requests(1);
    assert_eq!(edge.origin.requests("/api/exports/a.csv")[0].fields.get("Range"), Some("bytes=2-4"));
}

#[test]
fn every_other_method_goes_to_the_origin_and_leaves_the_store_alone() {
    let edge = Edge::start();
    edge.fill(SALES, SALES_KEY, "stored");
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE", "QUERY", "PROPFIND"] {
        for target in [SALES, LIVE, "/api/unlisted"] {
            edge.origin.answer(target, Answer::tile(method).status(202).field("Allow", "GET"));
            let why = if target == SALES { "method" } else { "bypass" };
            let call = Call::new(method, target);
            let call = if method == "OPTIONS" { call } else { call.body("a body") };
            let case = edge.send(&call).expect(202).fwd(why).stored(false).says(method).field("Allow", "GET");
            case.origin_requests(1);
            let request = edge.origin.all_requests().pop().expect("the origin was asked");
            let sent: &[u8] = if method == "OPTIONS" { b"" } else { b"a body" };
            assert_eq!((request.method.as_str(), request.body.as_slice()), (method, sent));
        }
    }
    assert!(edge.in_cache(SALES_KEY).is_some_and(|body| body.contains("stored")));
    assert!(edge.in_kv(SALES_KEY).is_some_and(|body| body.contains("stored")));
    assert_eq!((edge.answer_count(Op::Put), edge.answer_count(Op::Delete)), (1, 0));
    // workerd answers what is no method of its own before the Worker sees it.
    for method in ["get", "FOO"] {
        edge.send(&Call::new(method, SALES)).expect(501).origin_requests(0);
    }
}

#[test]
fn the_body_of_a_get_goes_nowhere() {
    let edge = Edge::start();
    edge.origin.answer(SALES, Answer::tile("a tile"));
    edge.origin.answer(LIVE, Answer::tile("live"));
    for method in ["GET", "HEAD"] {
        for (target, asked) in [(SALES, usize::from(method == "GET")), (LIVE, 1)] {
            edge.send(&Call::new(method, target).body("id=evil")).expect(200).origin_requests(asked);
            edge.wait_until("it is stored", |edge| edge.in_kv(SALES_KEY).is_some());
        }
        let chunked = Call::new(method, LIVE).chunks([(Duration::ZERO, b"id=evil".to_vec())]);
        edge.send(&chunked).expect(200).origin_requests(1);
    }
    for request in edge.origin.all_requests() {
        let fields = &request.fields;
        assert!(request.body.is_empty(), "{request:?}");
        assert!(!fields.has("Content-Length") && !fields.has("Transfer-Encoding"), "{request:?}");
    }
}

#[test]
fn a_redirect_is_passed_on_and_never_followed() {
    let edge = Edge::start();
    edge.origin.answer("/api/secret", Answer::tile("secret"));
    for target in [LIVE, "/api/unlisted", SALES] {
        for status in [301, 302, 303, 307, 308] {
            let here = format!("http://{}/api/secret", edge.origin.address());
            edge.origin.answer(target, Answer::empty(status).field("Location", &here));
            edge.get(target).expect(status).field("Location", &here).origin_requests(1);
            let post = Call::new("POST", target).body("x");
            edge.send(&post).expect(status).field("Location", &here).origin_requests(1);
        }
    }
    assert_eq!(edge.origin.count("/api/secret"), 0);
}

#[test]
fn an_operator_may_look_past_the_store_and_stores_nothing() {
    let edge = Edge::start();
    edge.fill(SALES, SALES_KEY, "stored");
    edge.origin.answer(SALES, Answer::tile("live"));
    let target = format!("{SALES}?nocache=true");
    let operator = |field: &str| Call::get(&target).field(field, format!("Bearer {}", lab::harness::OPERATOR_TOKEN));
    let case = edge.send(&operator("Edge-Authorization")).expect(200).fwd("request").stored(false).detail("nocache");
    case.says("live").field("Cache-Control", "no-store").origin_requests(1);
    let request = edge.origin.all_requests().pop().expect("the origin was asked");
    assert!(request.target == SALES && !request.fields.has("Edge-Authorization"));
    edge.is_hit(SALES, "stored");
    // From anybody else it is as if it were not there.
    edge.get(&target).expect(200).hit().says("stored").origin_requests(0);
    edge.send(&operator("Authorization")).expect(200).hit().says("stored").origin_requests(0);
    let stranger = Call::get(&target).field("Edge-Authorization", "Bearer wrong");
    edge.send(&stranger).expect(200).hit().says("stored").origin_requests(0);
    assert_eq!(edge.answer_count(Op::Put), 1);
}
