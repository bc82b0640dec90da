//! The scripted origin shown on the probe: every way to answer wrongly or slowly arrives as it was meant.

use std::time::{Duration, Instant};

use lab::client::Call;
use lab::gate::Gate;
use lab::origin::{Answer, Wait, is_pattern};
use lab::websocket::Socket;

use crate::harness_workerd::probe;

const MOMENT: Duration = Duration::from_millis(400);

#[test]
fn answers_come_in_turn_by_path_or_by_function() {
    let edge = probe().start();
    edge.origin.answers("/api/a", vec![Answer::tile("first"), Answer::empty(503), Answer::tile("last")]);
    edge.origin.answer("/api/a?x=1", Answer::tile("with a query"));
    edge.origin.script("/api/b", |request, nth| {
        Answer::tile(&format!("{} {nth}", request.fields.get("X-Asked").unwrap_or_default()))
    });
    edge.get("/api/a").says("first").origin_requests(1);
    edge.get("/api/a").expect(503).body("").origin_requests(1);
    edge.get("/api/a").says("last").origin_requests(1);
    edge.get("/api/a").says("last").origin_requests(1);
    edge.get("/api/a?x=1").says("with a query").origin_requests(1);
    edge.send(&Call::get("/api/b").field("X-Asked", "for")).says("for 0").origin_requests(1);
    edge.get("/api/unknown").expect(404).origin_requests(1);
}

#[test]
fn requests_are_recorded_as_they_came() {
    let edge = probe().start();
    edge.origin.answer("/api/a", Answer::tile("x"));
    edge.send(&Call::new("POST", "/api/a?q=%2F").field("X-B", "2").field("X-A", "1").body("a body")).origin_requests(1);
    let request = edge.origin.requests("/api/a").remove(0);
    assert_eq!(
        (request.method.as_str(), request.target.as_str(), request.body.as_slice()),
        ("POST", "/api/a?q=%2F", b"a body".as_slice())
    );
    assert_eq!((request.fields.get("x-a"), request.fields.all("X-B")), (Some("1"), vec!["2"]));
    assert!(request.raw.starts_with(b"POST /api/a?q=%2F HTTP/1.1\r\n") && request.raw.ends_with(b"\r\n\r\n"));
    edge.wait_until("the answer was noted", |edge| edge.origin.requests("/api/a")[0].answered);
}

#[test]
fn bodies_go_both_ways_while_they_come() {
    let edge = probe().start();
    edge.origin.answer("/api/echo", Answer::echoed_body());
    let parts = [(Duration::ZERO, b"one ".to_vec()), (MOMENT, b"two ".to_vec()), (MOMENT, b"three".to_vec())];
    let response =
        edge.send(&Call::new("POST", "/api/echo").chunks(parts)).expect(200).body("one two three").origin_requests(1);
    let (first, last) = (response.pieces[0].0, response.pieces[response.pieces.len() - 1].0);
    assert!(first < MOMENT && last >= 2 * MOMENT, "{:?}", response.pieces);
    assert_eq!(edge.origin.requests("/api/echo")[0].body, b"one two three");
}

#[test]
fn a_wrong_length_and_a_cut_body_arrive_wrong_and_cut() {
    let edge = probe().start();
    edge.origin.answer("/short", Answer::bytes("text/plain", "12345").declares_length(10));
    edge.origin.answer("/long", Answer::bytes("text/plain", "1234567890").declares_length(5));
    edge.origin.answer("/cut", Answer::bytes("text/plain", "1234567890").cut_after(4));
    edge.origin.answer("/cut-in-chunk", Answer::bytes("text/plain", "1234567890").chunked().cut_after(4));
    edge.origin.answer("/without-last-chunk", Answer::bytes("text/plain", "1234567890").chunked().cut_after(10));
    edge.origin.answer("/until-close", Answer::bytes("text/plain", "1234567890").until_close());
    let got = |path: &str| {
        let response = edge.get(path).origin_requests(1);
        (response.text(), response.cut.is_some())
    };
    assert_eq!(got("/short"), ("12345".to_owned(), true));
    assert_eq!(got("/long"), ("12345".to_owned(), false));
    assert_eq!(got("/cut"), ("1234".to_owned(), true));
    assert_eq!(got("/cut-in-chunk"), ("1234".to_owned(), true));
    assert_eq!(got("/without-last-chunk"), ("1234567890".to_owned(), true));
    assert_eq!(got("/until-close"), ("1234567890".to_owned(), false));
}

#[test]
fn waits_come_before_the_head_and_in_the_body() {
    let edge = probe().start();
    edge.origin.answer("/head", Answer::tile("x").wait_before_head(Wait::For(MOMENT)));
    assert!(edge.get("/head").expect(200).origin_requests(1).head_after >= MOMENT);
    edge.origin.answer("/body", Answer::bytes("text/plain", "12345678").wait_in_body(4, Wait::For(MOMENT)));
    let response = edge.get("/body").body("12345678").origin_requests(1);
    assert!(
        response.head_after < MOMENT && response.pieces[0].1 == 4 && response.pieces[1].0 >= MOMENT,
        "{:?}",
        response.pieces
    );
}

#[test]
fn an_answer_can_be_held_until_the_test_lets_it_go() {
    let edge = probe().start();
    let (head, body) = (Gate::new(), Gate::new());
    let answer = Answer::bytes("text/plain", "12345678")
        .wait_before_head(Wait::Until(head.clone()))
        .wait_in_body(4, Wait::Until(body.clone()));
    edge.origin.answer("/held", answer);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| Call::get("/held").open(edge.workerd.address()).expect("an answer"));
        head.wait_for_arrivals(1);
        assert!(!asking.is_finished());
        head.open();
        let mut opened = asking.join().expect("the client does not panic");
        assert_eq!(opened.piece().expect("a piece").expect("a piece").1, b"1234");
        body.wait_for_arrivals(1);
        body.open();
        assert_eq!(opened.finish().body, b"5678");
    });
    assert_eq!(edge.origin.total(), 1);
}

#[test]
fn a_body_can_drip() {
    let edge = probe().start();
    edge.origin.answer("/drip", Answer::pattern(80_000).bytes_per_second(100_000));
    let response = edge.get("/drip").expect(200).origin_requests(1);
    let (first, last) = (response.pieces[0].0, response.pieces[response.pieces.len() - 1].0);
    assert!(first < MOMENT && last >= Duration::from_millis(700), "{first:?} {last:?}");
    assert!(is_pattern(0, &response.body));
}

#[test]
fn a_hundred_megabytes_pass_whole_and_without_memory() {
    const LENGTH: u64 = 100 << 20;
    let edge = probe().start();
    edge.origin.answer("/warm", Answer::pattern(1 << 20));
    edge.origin.answer("/big", Answer::pattern(LENGTH));
    edge.get("/warm").expect(200).origin_requests(1);
    let grown = edge.workerd.growth(|| {
        let mut opened = Call::get("/big").open(edge.workerd.address()).expect("an answer");
        assert_eq!(opened.fields.get("Content-Length"), Some("104857600"));
        let mut seen = 0;
        while let Some((_, piece)) = opened.piece().expect("the body is whole") {
            assert!(is_pattern(seen, &piece), "at byte {seen}");
            seen += piece.len() as u64;
        }
        assert_eq!((seen, edge.origin.total()), (LENGTH, 2));
    });
    assert!(grown < 16 << 20, "workerd grew by {grown} bytes");
}

#[test]
fn a_client_that_hangs_up_is_seen_at_the_origin() {
    let edge = probe().start();
    edge.origin.answer("/big", Answer::pattern(100 << 20));
    Call::get("/big").open(edge.workerd.address()).expect("an answer").abort();
    let hung_up =
        edge.origin.wait_until(Duration::from_secs(5), |requests| requests.iter().any(|request| request.hung_up));
    assert!(hung_up && edge.origin.total() == 1);
}

#[test]
fn events_come_one_by_one() {
    let edge = probe().start();
    let gate = Gate::new();
    let events = [(Wait::For(Duration::ZERO), "one"), (Wait::Until(gate.clone()), "two"), (Wait::For(MOMENT), "three")];
    edge.origin.answer("/events", Answer::events(events));
    let mut opened = Call::get("/events").open(edge.workerd.address()).expect("an answer");
    assert_eq!(opened.fields.get("Content-Type"), Some("text/event-stream"));
    assert_eq!(opened.piece().expect("a piece").expect("an event").1, b"data: one\n\n");
    gate.open();
    assert_eq!(opened.piece().expect("a piece").expect("an event").1, b"data: two\n\n");
    let rest = opened.finish();
    assert_eq!((rest.text().as_str(), rest.cut, edge.origin.total()), ("data: three\n\n", None, 1));
}

#[test]
fn a_websocket_is_echoed_and_closes() {
    let edge = probe().start();
    edge.origin.answer("/ws", Answer::websocket_echo());
    let mut socket = Socket::open(edge.workerd.address(), "/ws").expect("a WebSocket");
    assert_eq!(socket.fields.get("X-Edge"), Some("passed"));
    for text in ["one", "two"] {
        socket.say(text);
        assert_eq!(socket.hear().as_deref(), Some(text));
    }
    assert!(socket.close(1000, "").is_some_and(|(code, _)| code == 1000));
    edge.wait_until("the origin's side ended", |edge| edge.origin.requests("/ws")[0].answered);
    edge.origin.answer("/not-ws", Answer::empty(403));
    assert!(Socket::open(edge.workerd.address(), "/not-ws").is_err());
    assert_eq!(edge.origin.total(), 2);
}

#[test]
fn an_origin_that_is_stopped_refuses_and_comes_back_on_its_port() {
    let edge = probe().start();
    edge.origin.answer("/api/a", Answer::tile("x"));
    edge.get("/api/a").expect(200).origin_requests(1);
    edge.origin.stop();
    let started = Instant::now();
    let fetch = Call::new("POST", "/fetch").body(r#"{"target":"/api/a"}"#);
    let answer = edge.send(&fetch).expect(500).origin_requests(0);
    assert_eq!(answer.json()["error"], "Error: Network connection lost.");
    assert!(started.elapsed() < Duration::from_secs(2));
    edge.origin.resume();
    edge.get("/api/a").expect(200).says("x").origin_requests(1);
}
