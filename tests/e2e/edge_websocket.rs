//! Every `WebSocket` passes through the live route: both ways, text and binary, to their close; a refusal passes too.

use std::time::{Duration, Instant};

use lab::client::Call;
use lab::harness::{Edge, ORIGIN_SECRET, TENANT};
use lab::origin::Answer;
use lab::websocket::Socket;

const ECHO: &str = "/api/realtime/echo";

#[test]
fn text_and_bytes_are_echoed_at_once_until_the_close() {
    let edge = Edge::start();
    edge.origin.answer(ECHO, Answer::websocket_echo());
    let mut socket = Socket::open(edge.workerd.address(), ECHO).expect("a WebSocket");
    let mut slowest = Duration::ZERO;
    for round in 0..20 {
        let started = Instant::now();
        let text = format!("text {round} é");
        socket.say(&text);
        assert_eq!(socket.hear().as_deref(), Some(text.as_str()));
        let bytes = [round, 0, 255, 128];
        socket.say_bytes(&bytes);
        assert_eq!(socket.hear_bytes().as_deref(), Some(bytes.as_slice()));
        slowest = slowest.max(started.elapsed());
    }
    println!("two echoes took {slowest:?} at most");
    assert!(slowest < Duration::from_millis(200), "{slowest:?}");
    let long = "x".repeat(500_000);
    socket.say(&long);
    assert_eq!(socket.hear().map(|text| text.len()), Some(long.len()));
    assert!(socket.close(4001, "enough").is_some_and(|(code, reason)| code == 4001 && reason == "enough"));
    edge.wait_until("the origin's side ended", |edge| edge.origin.requests(ECHO)[0].answered);
    assert_eq!(edge.origin.total(), 1);
}

#[test]
fn a_client_that_disappears_is_missed_at_the_origin() {
    let edge = Edge::start();
    edge.origin.answer(ECHO, Answer::websocket_echo());
    let mut socket = Socket::open(edge.workerd.address(), ECHO).expect("a WebSocket");
    socket.say("here");
    assert_eq!(socket.hear().as_deref(), Some("here"));
    drop(socket);
    edge.wait_until("the origin's side ended", |edge| edge.origin.requests(ECHO)[0].answered);
    assert_eq!(edge.origin.total(), 1);
}

#[test]
fn the_subprotocol_is_agreed_end_to_end_and_the_edge_says_who_it_is() {
    let edge = Edge::start();
    edge.origin.answer(ECHO, Answer::websocket_echo().field("Sec-WebSocket-Protocol", "b"));
    let call = Call::get(ECHO)
        .field("Upgrade", "websocket")
        .field("Connection", "Upgrade")
        .field("Sec-WebSocket-Version", "13")
        .field("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .field("Sec-WebSocket-Protocol", "a, b")
        .field("Sec-WebSocket-Extensions", "permessage-deflate")
        .field("Cookie", "session=1")
        .field("Edge-Secret", "forged")
        .field("X-Shop-Domain", "other.myshopify.com");
    let opened = call.open(edge.workerd.address()).expect("an answer");
    assert_eq!((opened.status, opened.fields.get("Sec-WebSocket-Protocol")), (101, Some("b")));
    let request = edge.origin.requests(ECHO).remove(0);
    assert_eq!(request.fields.all("Sec-WebSocket-Protocol"), ["a, b"]);
    assert_eq!(request.fields.all("Edge-Secret"), [ORIGIN_SECRET]);
    assert_eq!(request.fields.all("X-Shop-Domain"), [TENANT]);
    assert_eq!(request.fields.get("Cookie"), Some("session=1"));
    assert!(!request.fields.has("Sec-WebSocket-Extensions"), "the edge cannot read what an extension makes");
    opened.abort();
    assert_eq!(edge.origin.total(), 1);
}

#[test]
fn a_refused_upgrade_passes_as_the_answer_that_it_is() {
    let edge = Edge::start();
    let upgrade = |target: &str| {
        Call::get(target)
            .field("Upgrade", "websocket")
            .field("Connection", "Upgrade")
            .field("Sec-WebSocket-Version", "13")
            .field("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    };
    edge.origin.answer(ECHO, Answer::bytes("text/plain", "not today").status(403));
    edge.send(&upgrade(ECHO)).expect(403).body("not today").fwd("bypass").origin_requests(1);
    edge.origin.answer(ECHO, Answer::tile("no upgrade"));
    edge.send(&upgrade(ECHO)).expect(200).says("no upgrade").origin_requests(1);
    edge.origin.answer(ECHO, Answer::websocket_echo());
    edge.get(ECHO).expect(426).fwd("bypass").origin_requests(1);
    // A cached route is not upgraded, whoever asks: it is answered as ever.
    edge.origin.answer(lab::stored::OPS, Answer::tile("a tile"));
    edge.send(&upgrade(lab::stored::OPS)).expect(200).says("a tile").fwd("uri-miss").origin_requests(1);
    assert!(!edge.origin.requests(lab::stored::OPS)[0].fields.has("Upgrade"));
    edge.origin.stop();
    edge.send(&upgrade(ECHO)).problem(502).origin_requests(0);
}
