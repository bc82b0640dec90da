//! Odd messages: what no well-meaning client or origin sends, and the runtime may hand to the Worker all the same.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use lab::client::Call;
use lab::harness::{Edge, ORIGIN_SECRET};
use lab::origin::{Answer, is_pattern};
use lab::stored::{SALES, SALES_KEY};

const LIVE: &str = "/api/realtime/sla";

#[test]
fn an_answer_without_content_passes_by_every_lane() {
    let edge = Edge::start();
    for target in [LIVE, "/api/unlisted", "/api/exports/a.csv", SALES] {
        for status in [204, 205, 304] {
            for answer in [Answer::empty(status), Answer::empty(status).field("ETag", "\"x\"")] {
                edge.origin.answer(target, answer);
                // A stored route asked without a condition, so there it is no answer.
                let expected = if target == SALES && status == 304 { 502 } else { status };
                let call = Call::get(target).field("If-None-Match", "\"x\"");
                let answer = edge.send(&call).expect(expected).origin_requests(1);
                assert!(expected == 502 || answer.body.is_empty(), "{target} {status}");
                edge.send(&Call::new("HEAD", target)).expect(expected).body("").origin_requests(1);
            }
        }
    }
}

#[test]
fn a_status_that_is_none_is_a_502() {
    // After five in a row, an edge would ask no more.
    for statuses in [["101 Switching Protocols", "600 x", "999 x", "099 x"].as_slice(), &["20 x", "abc", "-1 x"]] {
        let edge = Edge::start();
        edge.origin.one_request_per_connection();
        for (target, status) in [LIVE, SALES].into_iter().flat_map(|target| statuses.iter().map(move |it| (target, it)))
        {
            let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}");
            edge.origin.answer(target, Answer::verbatim(head));
            edge.get(target).problem(502).field("Retry-After", "5").origin_requests(1);
        }
    }
}

#[test]
fn a_condition_does_not_hide_an_error() {
    let edge = Edge::start();
    for condition in ["*", "\"x\""] {
        edge.origin.answer(SALES, Answer::tile("broken").status(500));
        let call = Call::get(SALES).field("If-None-Match", condition);
        edge.send(&call).expect(500).says("broken").stored(false).origin_requests(1);
    }
}

#[test]
fn odd_bytes_in_the_origins_fields_pass_and_are_stored_with_the_tile() {
    let edge = Edge::start();
    let body = r#"{"status":"ok","fact":{"says":"x"}}"#;
    for kind in [b"application/json; x=\"\xe9\"".as_slice(), "application/json; x=\"\u{20ac}\"".as_bytes()] {
        edge.cache.clear();
        edge.kv.clear();
        let length = body.len().to_string();
        let parts =
            [b"HTTP/1.1 200 \xe9\xff\r\nX-Odd: \xe9\r\nContent-Type: ".as_slice(), kind, b"\r\nContent-Length: "];
        let head = [&parts.concat(), length.as_bytes(), b"\r\n\r\n", body.as_bytes()].concat();
        edge.origin.answer(SALES, Answer::verbatim(&head));
        edge.origin.answer(LIVE, Answer::verbatim(&head));
        edge.get(LIVE).expect(200).body(body).origin_requests(1);
        let filled = edge.get(SALES).expect(200).stored(true).body(body).origin_requests(1);
        edge.wait_until_kept(SALES_KEY, body);
        let kind = filled.field("Content-Type").expect("a type").to_owned();
        edge.get(SALES).expect(200).hit().detail("edge").field("Content-Type", &kind).origin_requests(0);
        edge.cache.clear();
        edge.get(SALES).expect(200).hit().detail("kv").field("Content-Type", &kind).origin_requests(0);
        edge.wait_until_kept(SALES_KEY, body);
    }
    edge.cache.clear();
    edge.kv.clear();
    let long = format!("application/json; x={}", "y".repeat(1_000));
    edge.origin.answer(SALES, Answer::tile("long").field("Content-Type", &long));
    edge.get(SALES).expect(200).says("long").stored(false).detail("head-too-large").origin_requests(1);
}

#[test]
fn a_connection_field_cannot_take_out_what_the_edge_says() {
    let edge = Edge::start();
    let said = Answer::tile("live").field("Connection", "Cache-Status, Content-Type, X-Named").field("X-Named", "x");
    edge.origin.answer(LIVE, said);
    let named = ["Edge-Secret", "X-Shop-Domain", "CDN-Loop", "X-Request-Id", "Host", "Authorization"];
    let call = Call::get(LIVE).field("Connection", named.join(", ")).field("Authorization", "a");
    let case = edge.send(&call).expect(200).fwd("bypass").no_field("X-Named");
    case.field("Content-Type", "application/json").origin_requests(1);
    let request = edge.origin.all_requests().remove(0);
    for name in named {
        assert!(request.fields.has(name), "{name}: {request:?}");
    }
}

#[test]
fn a_trace_would_tell_the_edges_secret_and_is_refused() {
    let edge = Edge::start();
    for target in [SALES, LIVE, "/api/unlisted"] {
        edge.origin.script(target, |request, _| Answer::bytes("message/http", &request.raw));
        let refused = edge.send(&Call::new("TRACE", target)).problem(405).origin_requests(0);
        assert!(!refused.text().contains(ORIGIN_SECRET) && refused.fields.has("Allow"), "{refused:?}");
    }
}

#[test]
fn health_is_asked_by_get_or_head() {
    let edge = Edge::start();
    edge.send(&Call::new("HEAD", "/healthz")).expect(200).body("").origin_requests(0);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        edge.send(&Call::new(method, "/healthz")).problem(405).field("Allow", "GET, HEAD").origin_requests(0);
    }
}

#[test]
fn a_request_hidden_in_a_body_is_not_seen_as_one() {
    let edge = Edge::start();
    edge.fill(SALES, SALES_KEY, "a tile");
    let hidden = "GET /api/evil HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let length = hidden.len();
    for fields in [
        format!("Content-Length: {length}\r\n"),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        format!("Content-Length: +{length}\r\n"),
        format!("Content-Length : {length}\r\n"),
        format!("X: y\r\n Content-Length: {length}\r\n"),
    ] {
        for (method, target) in [("GET", SALES), ("GET", LIVE), ("POST", LIVE)] {
            let mut stream = TcpStream::connect(edge.workerd.address()).expect("workerd listens");
            stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
            let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{hidden}");
            stream.write_all(request.as_bytes()).expect("workerd reads");
            // The connection stays open after a good answer, so the end of this is the timeout.
            let _end = stream.read_to_end(&mut Vec::new());
            assert_eq!(edge.origin.count("/api/evil"), 0, "{method} {target} {fields:?}");
        }
    }
    edge.is_hit(SALES, "a tile");
}

#[test]
fn great_fields_of_a_client_do_no_harm() {
    let edge = Edge::start();
    edge.fill(SALES, SALES_KEY, "a tile");
    edge.origin.answer(LIVE, Answer::tile("live"));
    for length in [8_000, 20_000, 100_000] {
        let great = |target: &str| Call::get(target).field("X-Great", "x".repeat(length));
        edge.send(&great(SALES)).expect(200).hit().says("a tile").origin_requests(0);
        // What the origin might choke on does not reach it.
        match length {
            8_000 => edge.send(&great(LIVE)).expect(200).says("live").origin_requests(1),
            _ => edge.send(&great(LIVE)).problem(431).origin_requests(0),
        };
    }
}

#[test]
fn what_is_too_long_to_be_stored_does_not_stay_in_memory() {
    const LENGTH: u64 = 200 << 20;
    let edge = Edge::start();
    for chunked in [false, true] {
        let answer = Answer::pattern(LENGTH).field("Content-Type", "application/json");
        edge.origin.answer(SALES, if chunked { answer.chunked() } else { answer });
        edge.get("/healthz").expect(200).origin_requests(0);
        let grown = edge.workerd.growth(|| {
            let mut opened = Call::get(SALES).open(edge.workerd.address()).expect("an answer");
            let mut seen = 0;
            while let Some((_, piece)) = opened.piece().expect("the body is whole") {
                assert!(is_pattern(seen, &piece), "at byte {seen}");
                seen += piece.len() as u64;
            }
            assert_eq!(seen, LENGTH);
        });
        println!("200 MB of JSON, chunked {chunked}: workerd grew by {} kB", grown >> 10);
        assert!(grown < 64 << 20, "workerd grew by {grown} bytes");
    }
    assert_eq!(edge.origin.total(), 2);
}
