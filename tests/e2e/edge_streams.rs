//! Live and bypassed bodies pass in both directions as they come: whole, untouched, at once, and without memory.

use std::time::{Duration, Instant};

use lab::client::{Call, Opened};
use lab::gate::Gate;
use lab::harness::Edge;
use lab::origin::{Answer, Wait, gzip, is_pattern};

const EXPORT: &str = "/api/exports/orders.csv";
const STREAM: &str = "/api/realtime/stream";
const MEGABYTE: u64 = 1 << 20;
/// The most that workerd may grow by.
const GROWTH: u64 = 16 * MEGABYTE;
const MOMENT: Duration = Duration::from_millis(300);

/// Reads the pattern to its end, and says how long it was.
fn read_pattern(mut opened: Opened) -> u64 {
    let mut seen = 0;
    while let Some((_, piece)) = opened.piece().expect("the body is whole") {
        assert!(is_pattern(seen, &piece), "at byte {seen}");
        seen += piece.len() as u64;
    }
    seen
}

#[test]
fn a_hundred_megabytes_stream_through_with_memory_flat() {
    const LENGTH: u64 = 100 * MEGABYTE;
    let edge = Edge::start();
    edge.origin.answer("/api/exports/warm.csv", Answer::pattern(MEGABYTE).field("Content-Type", "text/csv"));
    edge.origin.answer(EXPORT, Answer::pattern(LENGTH).field("Content-Type", "text/csv"));
    edge.origin.answer("/api/exports/chunked.csv", Answer::pattern(LENGTH).chunked());
    edge.get("/api/exports/warm.csv").expect(200).fwd("bypass").origin_requests(1);
    let grown = edge.workerd.growth(|| {
        let opened = Call::get(EXPORT).open(edge.workerd.address()).expect("an answer");
        assert_eq!((opened.status, opened.fields.get("Content-Length")), (200, Some("104857600")));
        assert_eq!(opened.fields.get("Content-Type"), Some("text/csv"));
        assert_eq!(read_pattern(opened), LENGTH);
    });
    println!("100 MB with a length: workerd grew by {} kB", grown >> 10);
    assert!(grown < GROWTH, "workerd grew by {grown} bytes");
    let grown = edge.workerd.growth(|| {
        let opened = Call::get("/api/exports/chunked.csv").open(edge.workerd.address()).expect("an answer");
        assert_eq!((opened.status, opened.fields.get("Content-Length")), (200, None));
        assert_eq!(read_pattern(opened), LENGTH);
    });
    println!("100 MB in chunks: workerd grew by {} kB", grown >> 10);
    assert!(grown < GROWTH, "workerd grew by {grown} bytes");
    assert_eq!(edge.origin.total(), 3);
}

#[test]
fn a_client_that_reads_slowly_holds_the_origin_back_and_no_memory() {
    const LENGTH: u64 = 100 * MEGABYTE;
    let edge = Edge::start();
    edge.origin.answer(EXPORT, Answer::pattern(LENGTH));
    edge.get("/healthz").expect(200).origin_requests(0);
    let mut opened = None;
    let grown = edge.workerd.growth(|| {
        opened = Some(Call::get(EXPORT).open(edge.workerd.address()).expect("an answer"));
        std::thread::sleep(Duration::from_secs(1));
    });
    assert!(grown < GROWTH, "workerd grew by {grown} bytes for a client that does not read");
    assert!(!edge.origin.requests(EXPORT)[0].answered, "the origin was not held back");
    opened.expect("it is open").abort();
    let hung_up = |requests: &[lab::origin::Recorded]| requests.iter().any(|request| request.hung_up);
    assert!(edge.origin.wait_until(Duration::from_secs(5), hung_up), "the origin does not hear that the client left");
    assert_eq!(edge.origin.total(), 1);
}

#[test]
fn at_a_megabyte_a_second_the_first_byte_is_not_held_back() {
    let edge = Edge::start();
    edge.get("/healthz").expect(200).origin_requests(0);
    edge.origin.answer(EXPORT, Answer::pattern(10 * MEGABYTE).bytes_per_second(MEGABYTE));
    let started = Instant::now();
    let mut opened = Call::get(EXPORT).open(edge.workerd.address()).expect("an answer");
    let (mut seen, mut first) = (0, None);
    while started.elapsed() < Duration::from_millis(1_500) {
        let (at, piece) = opened.piece().expect("the body goes on").expect("the body goes on");
        first.get_or_insert(at);
        assert!(is_pattern(seen, &piece));
        seen += piece.len() as u64;
    }
    let first = first.expect("something came");
    println!("at 1 MB/s: first byte after {first:?}, {seen} bytes after 1.5 s");
    assert!(first < Duration::from_millis(200), "first byte after {first:?}");
    assert!(seen > MEGABYTE, "{seen} bytes in 1.5 s at 1 MB/s");
    opened.abort();
    assert_eq!(edge.origin.total(), 1);
}

#[test]
fn the_head_comes_before_the_first_byte_of_the_body() {
    let edge = Edge::start();
    let gate = Gate::new();
    edge.origin.answer(EXPORT, Answer::pattern(10).chunked().wait_in_body(0, Wait::Until(gate.clone())));
    let opened = Call::get(EXPORT).open(edge.workerd.address()).expect("the head is there");
    gate.wait_for_arrivals(1);
    assert_eq!(opened.status, 200);
    gate.open();
    assert_eq!((read_pattern(opened), edge.origin.total()), (10, 1));
}

#[test]
fn an_encoded_body_is_the_same_byte_for_byte() {
    let edge = Edge::start();
    let file = gzip(b"a,b,c\n1,2,3\n");
    let length = file.len().to_string();
    let answer = Answer::bytes("text/csv", &file).field("Content-Encoding", "gzip").field("ETag", "\"strong\"");
    edge.origin.answer(EXPORT, answer.clone().field("Vary", "Accept-Encoding"));
    edge.origin.answer("/api/exports/chunked.csv", answer.chunked());
    let call = |target| Call::get(target).field("Accept-Encoding", "gzip");
    let case = edge.send(&call(EXPORT)).expect(200).body(&file).field("Content-Encoding", "gzip");
    let case = case.field("Content-Length", &length).field("ETag", "\"strong\"").field("Vary", "Accept-Encoding");
    case.origin_requests(1);
    assert_eq!(edge.origin.requests(EXPORT)[0].fields.get("Accept-Encoding"), Some("gzip"));
    edge.send(&call("/api/exports/chunked.csv"))
        .expect(200)
        .body(&file)
        .field("Content-Encoding", "gzip")
        .origin_requests(1);
    // What claims to be encoded and is not passes as well: nobody looks inside.
    edge.origin.answer(EXPORT, Answer::bytes("text/csv", "not gzip").field("Content-Encoding", "gzip"));
    edge.send(&call(EXPORT)).expect(200).body("not gzip").origin_requests(1);
    edge.origin.answer(EXPORT, Answer::bytes("text/csv", "not brotli").field("Content-Encoding", "br"));
    edge.send(&call(EXPORT)).expect(200).body("not brotli").field("Content-Encoding", "br").origin_requests(1);
}

#[test]
fn twenty_megabytes_go_up_and_come_back_with_memory_flat() {
    const LENGTH: usize = 20 << 20;
    let edge = Edge::start();
    edge.origin.answer("/api/import", Answer::echoed_body());
    edge.send(&Call::new("POST", "/api/import").body(vec![1; 1 << 20])).expect(200).fwd("bypass").origin_requests(1);
    let body: Vec<u8> = (0..=250).cycle().take(LENGTH).collect();
    let parts: Vec<_> = body.chunks(1 << 16).map(|part| (Duration::ZERO, part.to_vec())).collect();
    for call in [Call::new("POST", "/api/import").body(&body), Call::new("PUT", "/api/import").chunks(parts)] {
        let grown = edge.workerd.growth(|| {
            let opened = call.open(edge.workerd.address()).expect("an answer");
            assert_eq!(read_pattern(opened), LENGTH as u64);
        });
        println!("{call} of 20 MB: workerd grew by {} kB", grown >> 10);
        assert!(grown < GROWTH, "{call}: workerd grew by {grown} bytes");
        let last = edge.origin.all_requests().pop().expect("it was asked");
        assert!(last.body == body, "{call}: another body arrived");
    }
    assert_eq!(edge.origin.total(), 3);
}

#[test]
fn a_body_goes_up_while_it_is_made() {
    let edge = Edge::start();
    edge.origin.answer("/api/import", Answer::echoed_body());
    let parts = [(Duration::ZERO, b"one ".to_vec()), (MOMENT, b"two ".to_vec()), (MOMENT, b"three".to_vec())];
    let call = Call::new("POST", "/api/import").field("Expect", "100-continue").chunks(parts);
    let answer = edge.send(&call).expect(200).body("one two three").origin_requests(1);
    let (first, last) = (answer.pieces[0].0, answer.pieces[answer.pieces.len() - 1].0);
    assert!(first < MOMENT && last >= 2 * MOMENT, "{:?}", answer.pieces);
}

#[test]
fn events_come_one_by_one() {
    let edge = Edge::start();
    edge.get("/healthz").expect(200).origin_requests(0);
    let gate = Gate::new();
    let events = [(Wait::For(Duration::ZERO), "one"), (Wait::Until(gate.clone()), "two"), (Wait::For(MOMENT), "three")];
    edge.origin.answer(STREAM, Answer::events(events));
    let call = Call::get(STREAM).field("Accept", "text/event-stream").field("Last-Event-ID", "7");
    let mut opened = call.open(edge.workerd.address()).expect("an answer");
    assert_eq!(opened.fields.get("Content-Type"), Some("text/event-stream"));
    assert_eq!(opened.fields.get("Cache-Control"), Some("no-store"));
    let next = |opened: &mut Opened| opened.piece().expect("a piece").expect("an event");
    assert_eq!(next(&mut opened).1, b"data: one\n\n");
    // The second is not there before the origin sends it, and at once when it does.
    let sent = Instant::now();
    gate.open();
    let (two_at, two) = next(&mut opened);
    let added = sent.elapsed();
    println!("an event passed in {added:?}");
    assert!(two == b"data: two\n\n" && added < Duration::from_millis(200), "after {added:?}");
    let (three_at, three) = next(&mut opened);
    assert!(three == b"data: three\n\n" && three_at >= two_at + Duration::from_millis(250), "{two_at:?} {three_at:?}");
    assert!(opened.piece().expect("the stream ends well").is_none());
    let request = edge.origin.requests(STREAM).remove(0);
    assert_eq!((request.fields.get("Last-Event-ID"), edge.origin.total()), (Some("7"), 1));
}

#[test]
fn a_listener_that_leaves_is_missed_at_the_origin() {
    let edge = Edge::start();
    let often = (0..1_000).map(|_| (Wait::For(Duration::from_millis(10)), "tick"));
    edge.origin.answer(STREAM, Answer::events(often));
    let mut opened = Call::get(STREAM).open(edge.workerd.address()).expect("an answer");
    opened.piece().expect("a piece").expect("an event");
    opened.abort();
    let hung_up = |requests: &[lab::origin::Recorded]| requests.iter().any(|request| request.hung_up);
    assert!(edge.origin.wait_until(Duration::from_secs(5), hung_up), "the origin goes on talking");
    assert_eq!(edge.origin.total(), 1);
}

#[test]
fn a_cut_body_is_cut_for_the_client_too() {
    let edge = Edge::start();
    edge.origin.answer(EXPORT, Answer::pattern(100_000).cut_after(50_000));
    edge.origin.answer("/api/exports/chunked.csv", Answer::pattern(100_000).chunked().cut_after(100_000));
    for target in [EXPORT, "/api/exports/chunked.csv"] {
        let answer = edge.get(target).origin_requests(1);
        assert!(answer.status == 200 && answer.cut.is_some(), "{target}: {} {:?}", answer.body.len(), answer.cut);
    }
}
