//! What workerd itself does with `fetch`, with bodies, stores and a `WebSocket`, as far as the edge
//! builds on it. A failure here after an update of workerd is news about the platform, and the place
//! to look first.

use lab::client::Call;
use lab::harness::Edge;
use lab::origin::{Answer, gzip};
use lab::stores::{Fault, KvValue, Op};
use lab::wire::percent_encode;
use serde_json::{Value, json};

use crate::harness_workerd::probe;

/// What `fetch` of the origin with this init gives: status, fields and length, or the error.
#[track_caller]
pub fn fetch(edge: &Edge, target: &str, init: &Value) -> Value {
    let call = Call::new("POST", "/fetch").body(json!({"target": target, "init": init}).to_string());
    call.send(edge.workerd.address()).expect("an answer").json()
}

#[test]
fn an_encoded_body_passes_untouched_with_its_length_unless_it_is_read() {
    let edge = probe().start();
    let file = gzip(b"hello hello hello");
    edge.origin.answer("/gzip", Answer::bytes("application/json", &file).field("Content-Encoding", "gzip"));
    let length = file.len().to_string();
    edge.get("/gzip")
        .expect(200)
        .body(&file)
        .field("Content-Length", &length)
        .field("Content-Encoding", "gzip")
        .origin_requests(1);
    edge.send(&Call::new("HEAD", "/gzip")).expect(200).field("Content-Length", &length).origin_requests(1);
    assert_eq!(fetch(&edge, "/gzip", &json!({}))["byteLength"], 17, "reading decodes");
    edge.send(&Call::get("/gzip").field("X-Manual", "1"))
        .expect(200)
        .body("hello hello hello")
        .no_field("Content-Length")
        .origin_requests(1);
}

#[test]
fn a_broken_encoding_rejects_when_it_is_read() {
    let edge = probe().start();
    edge.origin.answer("/bad", Answer::bytes("text/plain", "not gzip").field("Content-Encoding", "gzip"));
    assert_eq!(fetch(&edge, "/bad", &json!({}))["error"], "TypeError: Gzip decompression failed.");
    edge.get("/bad").expect(200).body("not gzip").origin_requests(1);
}

#[test]
fn a_short_body_rejects_and_a_long_one_is_cut_in_silence() {
    let edge = probe().start();
    edge.origin.answer("/short", Answer::bytes("text/plain", "12345").declares_length(10));
    edge.origin.answer("/long", Answer::bytes("text/plain", "1234567890").declares_length(5));
    edge.origin.answer("/cut", Answer::bytes("text/plain", "1234567890").chunked().cut_after(10));
    assert_eq!(fetch(&edge, "/short", &json!({}))["error"], "Error: Network connection lost.");
    assert_eq!(fetch(&edge, "/cut", &json!({}))["error"], "Error: Network connection lost.");
    assert_eq!(fetch(&edge, "/long", &json!({}))["byteLength"], 5);
}

#[test]
fn a_malformed_head_rejects_and_an_interim_one_is_skipped() {
    let edge = probe().start();
    edge.origin.answer("/garbage", Answer::verbatim("garbage\r\n\r\n"));
    edge.origin.answer(
        "/two-lengths",
        Answer::verbatim("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
    );
    edge.origin.answer("/folded", Answer::verbatim("HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 0\r\n\r\n"));
    for path in ["/garbage", "/two-lengths", "/folded"] {
        assert_eq!(fetch(&edge, path, &json!({}))["error"], "Error: Network connection lost.", "{path}");
    }
    edge.origin.answer(
        "/hints",
        Answer::verbatim("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    );
    edge.get("/hints").expect(200).body("ok").no_field("Link").origin_requests(1);
}

#[test]
fn a_closed_connection_is_asked_again_only_if_it_was_used_before_and_the_method_allows() {
    let ask = |method: &str, warm: bool, body: Option<&str>| {
        let edge = probe().start();
        edge.origin.answers("/flaky", vec![Answer::none(), Answer::tile("second")]);
        if warm {
            edge.get("/warm").origin_requests(1);
        }
        let call = Call::new(method, "/flaky");
        // An answer or none: what counts is how often the origin was asked.
        let _answer = body.map_or_else(|| call.clone(), |body| call.clone().body(body)).send(edge.workerd.address());
        edge.origin.count("/flaky")
    };
    assert_eq!((ask("GET", false, None), ask("GET", true, None)), (1, 2));
    assert_eq!((ask("DELETE", true, None), ask("DELETE", true, Some("body"))), (2, 1));
    assert_eq!((ask("POST", true, None), ask("PURGE", true, None)), (1, 1));
    let edge = probe().start();
    edge.origin.one_request_per_connection();
    edge.origin.answer("/flaky", Answer::none());
    edge.get("/warm").origin_requests(1);
    assert!(Call::get("/flaky").send(edge.workerd.address()).is_err());
    assert_eq!(edge.origin.count("/flaky"), 1);
}

#[test]
fn what_comes_from_a_store_has_a_length() {
    let edge = probe().start();
    edge.kv.insert("k", KvValue::new("value", None));
    for kind in ["stream", "arrayBuffer", "text"] {
        edge.get(&format!("/kv/serve?key=k&type={kind}"))
            .expect(200)
            .body("value")
            .field("Content-Length", "5")
            .origin_requests(0);
    }
    let url = percent_encode("https://edge.invalid/x");
    let headers = percent_encode(r#"{"Cache-Control":"s-maxage=60"}"#);
    edge.send(&Call::new("POST", format!("/cache/put?url={url}&headers={headers}")).body("value"))
        .expect(200)
        .origin_requests(0);
    edge.get(&format!("/cache/serve?url={url}"))
        .expect(200)
        .body("value")
        .field("Content-Length", "5")
        .origin_requests(0);
}

#[test]
fn a_websocket_needs_the_field_upgrade_and_workerd_makes_the_rest() {
    let edge = probe().start();
    edge.origin.answer("/ws", Answer::websocket_echo());
    let status = |fields: &str| {
        let call = Call::get("/ws-bare")
            .field("X-Fields", fields)
            .field("Upgrade", "websocket")
            .field("Connection", "Upgrade");
        let call = call.field("Sec-WebSocket-Version", "13").field("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        call.open(edge.workerd.address()).expect("an answer").status
    };
    assert_eq!(status(r#"{"Upgrade":"websocket"}"#), 101);
    let names = edge.origin.requests("/ws")[0].fields.names();
    assert_eq!(names, ["connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "host"]);
    assert_eq!(status(r#"{"Connection":"Upgrade"}"#), 426);
    assert_eq!(edge.origin.total(), 2);
}

#[test]
fn the_fields_of_a_101_may_be_copied_and_the_subprotocol_with_them() {
    let edge = probe().start();
    edge.origin.answer("/ws", Answer::websocket_echo().field("Sec-WebSocket-Protocol", "b"));
    let call = Call::get("/ws")
        .field("Upgrade", "websocket")
        .field("Connection", "Upgrade")
        .field("Sec-WebSocket-Version", "13");
    let call = call.field("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==").field("Sec-WebSocket-Protocol", "a, b");
    let fields = call.open(edge.workerd.address()).expect("an answer").fields;
    assert_eq!(fields.names(), ["connection", "upgrade", "sec-websocket-accept", "sec-websocket-protocol", "x-edge"]);
    assert_eq!(edge.origin.requests("/ws")[0].fields.get("Sec-WebSocket-Protocol"), Some("a, b"));
    assert_eq!(edge.origin.total(), 1);
}

#[test]
fn a_stored_value_that_is_cut_while_it_streams_cuts_the_answer() {
    let edge = probe().start();
    edge.kv.insert("k", KvValue::new("value", None));
    edge.kv_face.faults().once(Op::Get, Fault::CutBody(2));
    let answer = edge.get("/kv/serve?key=k&type=stream").origin_requests(0);
    assert_eq!((answer.status, answer.text().as_str(), answer.cut.is_some()), (200, "va", true));
}

#[test]
fn fetch_sends_the_fields_it_is_given_but_hop_by_hop_ones_and_adds_none() {
    let edge = probe().start();
    let names = |init: Value| {
        fetch(&edge, "/x", &init);
        edge.origin.all_requests().pop().expect("the origin was asked").fields.names()
    };
    assert_eq!(names(json!({})), ["host"]);
    let kept = json!({"Accept-Encoding": "identity", "CDN-Loop": "hotrod-edge", "Via": "1.1 x", "Cookie": "a=b", "Expect": "100-continue"});
    let mut sent = names(json!({"headers": kept}));
    sent.sort();
    assert_eq!(sent, ["accept-encoding", "cdn-loop", "cookie", "expect", "host", "via"]);
    let dropped = json!({"Connection": "close", "Keep-Alive": "5", "TE": "trailers", "Trailer": "x", "Upgrade": "h2c", "Host": "other",
        "Content-Length": "7", "Transfer-Encoding": "chunked"});
    assert_eq!(names(json!({"headers": dropped})), ["host"]);
    assert_eq!(names(json!({"cache": "no-store", "redirect": "manual"})), ["host", "cache-control", "pragma"]);
    let last = edge.origin.all_requests().pop().expect("the origin was asked");
    assert_eq!((last.fields.get("Cache-Control"), last.fields.get("Pragma")), (Some("no-cache"), Some("no-cache")));
    edge.origin.answer("/moved", Answer::empty(302).field("Location", "/x"));
    assert_eq!(fetch(&edge, "/moved", &json!({"redirect": "manual"}))["status"], 302);
}
