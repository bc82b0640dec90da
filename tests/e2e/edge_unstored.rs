//! Answers of the origin that a stored route passes on and does not keep; the next good one is kept.

use lab::case::Case;
use lab::harness::Edge;
use lab::origin::{Answer, gzip, is_pattern};
use lab::stored::{SALES, SALES_KEY, SEGMENTS, SEGMENTS_KEY};
use serde_json::json;

/// The greatest body of the class that is stored.
const GREATEST: usize = 256 << 10;

/// Nothing is in either store.
#[track_caller]
fn nothing_is_kept(edge: &Edge) {
    // What is put behind an answer would be asked for by now: a look at the health comes after it in the isolate.
    edge.get("/healthz").expect(200).origin_requests(0);
    assert_eq!((edge.answers_in_cache(), edge.kv.keys()), (Vec::new(), Vec::new()));
}

/// This answer is given as it is and not stored, twice; a good one after it is.
#[track_caller]
fn not_stored<'a>(edge: &'a Edge, answer: &Answer, check: impl Fn(Case<'a>) -> Case<'a>) {
    for _ in 0..2 {
        edge.origin.answer(SALES, answer.clone());
        let case = check(edge.get(SALES)).fwd("uri-miss").stored(false).no_field("ETag").no_field("Age");
        case.field("Cache-Control", "no-store").field("Cloudflare-CDN-Cache-Control", "no-store").origin_requests(1);
        nothing_is_kept(edge);
    }
    // Each time another one: the Worker does not write again what it wrote to KV a moment ago.
    let good = format!("good after {}", edge.origin.count(SALES));
    edge.fill(SALES, SALES_KEY, &good);
    edge.is_hit(SALES, &good);
    edge.cache.clear();
    edge.kv.clear();
}

#[test]
fn an_error_inside_a_200_is_answered_and_not_stored() {
    let edge = Edge::start();
    for body in [
        r#"{"status":"error","fact":{"says":"broken"}}"#,
        r#"{"status":"unconfigured"}"#,
        r#"{"status":"OK"}"#,
        r#"{"status":true}"#,
        r#"{"data":{"status":"ok"}}"#,
        r#"[{"status":"ok"}]"#,
        r#"{"status":"ok","status":"error"}"#,
        "null",
    ] {
        let answer = Answer::bytes("application/json", body);
        not_stored(&edge, &answer, |case| case.expect(200).body(body).detail("envelope"));
    }
    edge.origin.answer(SEGMENTS, Answer::json(&json!({"success": false, "status": "ok"})));
    edge.get(SEGMENTS).expect(200).stored(false).detail("envelope").origin_requests(1);
    edge.fill(SEGMENTS, SEGMENTS_KEY, "good");
}

#[test]
fn what_is_not_the_json_that_the_rule_promises_is_not_stored() {
    let edge = Edge::start();
    let html = "<html><script>alert(1)</script></html>";
    let given = |kind: &'static str, body: &'static str, word: &'static str| {
        not_stored(&edge, &Answer::bytes(kind, body), |case| case.expect(200).body(body).detail(word));
    };
    given("text/html", html, "content-type");
    given("application/json", html, "malformed");
    given("application/json", "", "malformed");
    given("application/json", r#"{"status":"ok""#, "malformed");
    given("application/json", r#"{"status":"ok"}}"#, "malformed");
    given("text/plain", r#"{"status":"ok"}"#, "content-type");
    given("application/jsonp", r#"{"status":"ok"}"#, "content-type");
    let without_type = Answer::verbatim("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}");
    not_stored(&edge, &without_type, |case| case.expect(200).body(r#"{"status":"ok"}"#).detail("content-type"));
    // Deeper than the parser goes: no stack is used up, and the answer passes.
    let deep = format!(r#"{{"status":"ok","data":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    not_stored(&edge, &Answer::bytes("application/json", &deep), |case| {
        case.expect(200).body(&deep).detail("malformed")
    });
}

#[test]
fn a_status_other_than_200_is_not_stored_and_says_what_it_said() {
    let edge = Edge::start();
    // Two of these in each three answers are more than the breaker lets one edge have.
    for status in [429, 500, 502, 503, 504] {
        let answer = Answer::tile("an error").status(status);
        not_stored(&Edge::start(), &answer, |case| case.expect(status).says("an error").detail("status"));
    }
    for status in [400, 401, 403, 404, 405, 410, 413, 414, 431, 201, 203, 299] {
        let answer = Answer::tile("an error").status(status).field("Retry-After", "7");
        not_stored(&edge, &answer, |case| {
            case.expect(status).says("an error").field("Retry-After", "7").detail("status")
        });
    }
    for status in [204, 205] {
        not_stored(&edge, &Answer::empty(status), |case| case.expect(status).body("").detail("status"));
    }
    // What a stranger put into a redirect or an error goes no further than to the one who asked.
    let moved = Answer::empty(302).field("Location", "https://evil.example/");
    not_stored(&edge, &moved, |case| case.expect(302).field("Location", "https://evil.example/").detail("status"));
    let partial = Answer::tile("a part").status(206).field("Content-Range", "bytes 0-10/100");
    not_stored(&edge, &partial, |case| case.expect(206).no_field("Content-Range").detail("status"));
    // Nobody asked for it by a condition.
    edge.origin.answer(SALES, Answer::empty(304).field("ETag", "\"x\""));
    edge.get(SALES).problem(502).fwd("uri-miss").field("Retry-After", "5").origin_requests(1);
}

#[test]
fn the_origin_can_forbid_storing_and_never_demand_it() {
    let edge = Edge::start();
    let tile = |name: &str, value: &str| Answer::tile("somebody's own").field(name, value);
    for (name, value, word) in [
        ("Set-Cookie", "session=secret", "set-cookie"),
        ("Cache-Control", "no-store", "no-store"),
        ("Cache-Control", "public, s-maxage=300, No-Store", "no-store"),
        ("Cache-Control", "private", "private"),
        ("Cache-Control", "max-age=60, private=\"x-field\"", "private"),
        ("Cache-Control", "no-cache", "no-cache"),
        ("Cache-Control", "s-maxage=0", "expired"),
        ("Cache-Control", "max-age=nonsense", "expired"),
        ("Cache-Control", "max-age=-1", "expired"),
        ("Age", "100000", "expired"),
        ("Age", "nonsense", "expired"),
        ("Vary", "*", "vary"),
        ("Vary", "Accept-Encoding, *", "vary"),
    ] {
        not_stored(&edge, &tile(name, value), |case| {
            case.expect(200).says("somebody's own").no_field("Set-Cookie").no_field("Vary").detail(word)
        });
    }
    let two_lines = tile("Cache-Control", "public, max-age=300").field("Cache-Control", "no-store");
    not_stored(&edge, &two_lines, |case| case.expect(200).detail("no-store"));
    // It can shorten.
    edge.origin.answer(SALES, tile("Cache-Control", "public, max-age=100000, s-maxage=60"));
    let case = edge.get(SALES).expect(200).stored(true).field("Cache-Control", "public, max-age=0, s-maxage=60");
    let stored = case.origin_requests(1);
    edge.wait_until_kept(SALES_KEY, &stored.text());
    edge.get(SALES).expect(200).hit().ttl(50..=60).origin_requests(0);
}

#[test]
fn a_body_that_does_not_come_whole_is_a_502_and_not_stored() {
    let tile = || Answer::tile("cut");
    let answers = [
        tile().cut_after(20),
        tile().declares_length(10_000),
        tile().chunked().cut_after(20),
        // Whole but for the last chunk.
        Answer::bytes("application/json", r#"{"status":"ok"}"#).chunked().cut_after(15),
        Answer::none(),
        Answer::verbatim("garbage\r\n\r\n"),
        Answer::verbatim(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        ),
        tile().field("Content-Encoding", "gzip"),
        Answer::bytes("application/json", &gzip(b"{\"status\":\"ok\"}")[..20]).field("Content-Encoding", "gzip"),
    ];
    // After five in a row, an edge would ask no more.
    for answers in answers.chunks(3) {
        let edge = Edge::start();
        edge.origin.one_request_per_connection();
        for answer in answers {
            edge.origin.answer(SALES, answer.clone());
            let case = edge.get(SALES).problem(502).fwd("uri-miss").detail("origin-unreachable");
            let problem = case.stored(false).field("Retry-After", "5").origin_requests(1);
            assert!(!problem.text().contains("connection"), "what went wrong is for the log: {}", problem.text());
            nothing_is_kept(&edge);
        }
        let health = edge.get("/healthz").expect(200).origin_requests(0).json();
        assert_eq!(health["incidents"]["origin_failed"], 3, "{health}");
        edge.fill(SALES, SALES_KEY, "whole");
        edge.origin.stop();
        edge.is_hit(SALES, "whole");
        edge.get(SEGMENTS).problem(502).fwd("uri-miss").field("Retry-After", "5").origin_requests(0);
        edge.origin.resume();
        edge.fill(SEGMENTS, SEGMENTS_KEY, "back");
    }
}

#[test]
fn a_longer_body_than_was_declared_is_cut_by_the_runtime_and_then_no_json() {
    let edge = Edge::start();
    edge.origin.answer(SALES, Answer::tile("long").declares_length(10));
    edge.get(SALES).expect(200).stored(false).detail("malformed").origin_requests(1);
    nothing_is_kept(&edge);
}

/// A tile of exactly this length.
fn tile_of(length: usize) -> Vec<u8> {
    let frame = r#"{"status":"ok","data":""}"#.len();
    format!(r#"{{"status":"ok","data":"{}"}}"#, "x".repeat(length - frame)).into_bytes()
}

#[test]
fn a_body_over_the_greatest_length_streams_through_unstored() {
    for chunked in [false, true] {
        let edge = Edge::start();
        let framed = |body: &[u8]| {
            let answer = Answer::bytes("application/json", body);
            if chunked { answer.chunked() } else { answer }
        };
        let over = tile_of(GREATEST + 1);
        edge.origin.answer(SALES, framed(&over));
        edge.get(SALES).expect(200).body(&over).stored(false).detail("too-large").origin_requests(1);
        nothing_is_kept(&edge);
        let pattern = Answer::pattern(5_000_000).field("Content-Type", "application/json");
        edge.origin.answer(SALES, if chunked { pattern.chunked() } else { pattern });
        let answer = edge.get(SALES).expect(200).stored(false).detail("too-large").origin_requests(1);
        assert!(answer.body.len() == 5_000_000 && is_pattern(0, &answer.body));
        nothing_is_kept(&edge);
        let greatest = tile_of(GREATEST);
        edge.origin.answer(SALES, framed(&greatest));
        let stored = edge.get(SALES).expect(200).body(&greatest).stored(true).origin_requests(1);
        edge.wait_until_kept(SALES_KEY, &stored.text());
        edge.get(SALES).expect(200).hit().body(&greatest).origin_requests(0);
    }
}

#[test]
fn an_encoded_tile_is_stored_decoded_with_its_true_length() {
    let plain = r#"{"status":"ok","data":"decoded"}"#;
    let length = plain.len().to_string();
    for chunked in [false, true] {
        let edge = Edge::start();
        let answer = Answer::bytes("application/json", gzip(plain.as_bytes())).field("Content-Encoding", "gzip");
        edge.origin.answer(SALES, if chunked { answer.chunked() } else { answer });
        let case = edge.get(SALES).expect(200).stored(true).body(plain).no_field("Content-Encoding");
        case.field("Content-Length", &length).origin_requests(1);
        edge.wait_until_kept(SALES_KEY, plain);
        let case = edge.get(SALES).expect(200).hit().body(plain).no_field("Content-Encoding");
        case.field("Content-Length", &length).origin_requests(0);
        edge.cache.clear();
        let case = edge.get(SALES).expect(200).hit().detail("kv").body(plain).no_field("Content-Encoding");
        case.field("Content-Length", &length).origin_requests(0);
        edge.wait_until_kept(SALES_KEY, plain);
    }
    // An encoded error passes decoded too, and its length with it.
    let edge = Edge::start();
    edge.purge(&json!({"mode": "hard", "all": true}));
    let error = Answer::bytes("text/html", gzip(b"<html>")).field("Content-Encoding", "gzip").status(500);
    edge.origin.answer(SALES, error);
    edge.get(SALES).expect(500).body("<html>").no_field("Content-Encoding").stored(false).origin_requests(1);
}
