//! An origin on a bad day: what it breaks off or holds back is given up in time and not stored, what is stale stands in,
//! and one that fails again and again, or asks to be left alone, is left alone.

use std::thread;
use std::time::{Duration, Instant};

use lab::client::Call;
use lab::gate::Gate;
use lab::harness::Edge;
use lab::origin::{Answer, Wait, gzip_bomb};
use lab::stored::{OPS, OPS_KEY, SALES, SALES_KEY, SEGMENTS, SEGMENTS_KEY};

const LIVE: &str = "/api/realtime/sla";
/// Of the same class as the others of `/tiles/`.
const INVENTORY: &str = "/api/dashboard/tiles/inventory";

/// An edge whose tile is past its lifetime and past the time in which it answers while it is renewed, which is as long.
fn with_something_stale() -> Edge {
    let edge = Edge::start();
    edge.origin.one_request_per_connection();
    edge.origin.answer(SALES, Answer::tile("old").field("Cache-Control", "s-maxage=1"));
    let filled = edge.get(SALES).expect(200).stored(true).origin_requests(1);
    edge.wait_until_kept(SALES_KEY, &filled.text());
    thread::sleep(Duration::from_millis(2_100));
    edge
}

/// The tile is answered with what is stale, and the origin was asked so often.
#[track_caller]
fn is_stood_in_for(edge: &Edge, asked: usize) {
    let case = edge.get(SALES).expect(200).fwd("stale").stored(false).detail("stale-if-error").ttl(-60..=-1);
    case.says("old").origin_requests(asked);
}

/// Of all that was asked for, only the old tile is in the stores.
#[track_caller]
fn only_the_old_tile_is_kept(edge: &Edge) {
    edge.get("/healthz").expect(200).origin_requests(0);
    assert_eq!((edge.answers_in_cache().len(), edge.kv.keys().len()), (1, 1));
    assert!(edge.in_cache(SALES_KEY).is_some_and(|body| body.contains("old")));
}

/// A good answer is taken and stored.
#[track_caller]
fn is_well_again(edge: &Edge, target: &str, key: &str) {
    edge.fill(target, key, "well again");
    edge.is_hit(target, "well again");
}

fn hung_up(edge: &Edge, target: &str) -> bool {
    edge.origin.wait_until(Duration::from_secs(5), |requests| {
        requests.iter().any(|request| request.target == target && request.hung_up)
    })
}

/// A good body that is short enough to be stored, and too long for the buffers of a connection that nobody reads.
fn long_tile() -> String {
    format!(r#"{{"status":"ok","success":true,"data":"{}"}}"#, "x".repeat(250_000))
}

#[test]
fn an_origin_that_refuses_connections_is_stood_in_for_or_said_to_be_unreachable() {
    let edge = with_something_stale();
    edge.origin.stop();
    is_stood_in_for(&edge, 0);
    for target in [OPS, SEGMENTS, LIVE, "/api/unlisted"] {
        let case = edge.get(target).problem(502).stored(false).detail("origin-unreachable");
        case.field("Retry-After", "5").origin_requests(0);
    }
    only_the_old_tile_is_kept(&edge);
    edge.origin.resume();
    is_well_again(&edge, SALES, SALES_KEY);
}

#[test]
fn an_origin_that_hangs_is_given_up_in_time_and_hears_of_it() {
    let edge = with_something_stale();
    let gate = Gate::new();
    for target in [SALES, OPS] {
        let late = Answer::bytes("application/json", long_tile()).wait_before_head(Wait::Until(gate.clone()));
        edge.origin.answer(target, late);
    }
    edge.origin.answer(LIVE, Answer::tile("live"));
    let started = Instant::now();
    thread::scope(|scope| {
        let cold = scope.spawn(|| Call::get(OPS).send(edge.workerd.address()).expect("an answer"));
        gate.wait_for_arrivals(1);
        // Meanwhile the isolate answers others.
        edge.get(LIVE).expect(200).says("live").origin_requests(1);
        assert!(started.elapsed() < Duration::from_secs(5));
        is_stood_in_for(&edge, 1);
        let cold = cold.join().expect("the client does not panic");
        assert_eq!((cold.status, cold.field("Retry-After")), (504, Some("5")), "{cold:?}");
        assert_eq!(cold.field("Cache-Status"), Some("hotrod-edge; fwd=uri-miss; detail=origin-timeout"));
    });
    let took = started.elapsed();
    assert!((Duration::from_secs(10)..Duration::from_secs(15)).contains(&took), "{took:?}");
    only_the_old_tile_is_kept(&edge);
    // Nobody is waited for any more: whoever comes next asks at once.
    is_well_again(&edge, OPS, OPS_KEY);
    gate.open();
    assert!(hung_up(&edge, SALES) && hung_up(&edge, OPS), "{:?}", edge.origin.all_requests());
}

#[test]
fn a_body_that_stops_on_its_way_is_given_up_and_no_part_of_it_is_stored() {
    let edge = with_something_stale();
    let gate = Gate::new();
    for (target, chunked) in [(SALES, true), (OPS, false)] {
        let answer = Answer::bytes("application/json", long_tile()).wait_in_body(1_000, Wait::Until(gate.clone()));
        edge.origin.answer(target, if chunked { answer.chunked() } else { answer });
    }
    let started = Instant::now();
    is_stood_in_for(&edge, 1);
    let case = edge.get(OPS).problem(504).stored(false).detail("origin-timeout");
    case.field("Retry-After", "5").origin_requests(1);
    let took = started.elapsed();
    assert!((Duration::from_secs(20)..Duration::from_secs(25)).contains(&took), "twice ten seconds: {took:?}");
    only_the_old_tile_is_kept(&edge);
    gate.open();
    assert!(hung_up(&edge, SALES) && hung_up(&edge, OPS), "{:?}", edge.origin.all_requests());
    is_well_again(&edge, SALES, SALES_KEY);
}

#[test]
fn a_chunked_body_that_is_cut_is_neither_answered_nor_stored() {
    let edge = with_something_stale();
    for target in [SALES, OPS] {
        edge.origin.answer(target, Answer::tile("cut").chunked().cut_after(20));
    }
    is_stood_in_for(&edge, 1);
    let case = edge.get(OPS).problem(502).stored(false).detail("origin-unreachable");
    case.field("Retry-After", "5").origin_requests(1);
    only_the_old_tile_is_kept(&edge);
    is_well_again(&edge, SALES, SALES_KEY);
}

#[test]
fn a_storm_of_errors_reaches_the_origin_five_times_and_then_by_one_probe_at_a_time() {
    let edge = with_something_stale();
    for target in [SALES, OPS, SEGMENTS] {
        edge.origin.answer(target, Answer::tile("broken").status(500));
    }
    for _ in 0..5 {
        is_stood_in_for(&edge, 1);
    }
    let opened = Instant::now();
    edge.get(SALES).expect(200).says("old").detail("stale-if-error/breaker-open").origin_requests(0);
    let case = edge.get(OPS).problem(503).stored(false).detail("breaker-open").field("Retry-After", "1");
    case.origin_requests(0);
    assert!(opened.elapsed() < Duration::from_secs(1), "too slow to tell anything");
    // Another class has a breaker of its own.
    edge.get(SEGMENTS).expect(500).says("broken").origin_requests(1);
    only_the_old_tile_is_kept(&edge);
    // A probe that fails keeps the others away for twice as long.
    thread::sleep(Duration::from_millis(1_100));
    is_stood_in_for(&edge, 1);
    edge.get(OPS).problem(503).detail("breaker-open").field("Retry-After", "2").origin_requests(0);
    thread::sleep(Duration::from_millis(2_100));
    is_well_again(&edge, SALES, SALES_KEY);
    is_well_again(&edge, OPS, OPS_KEY);
    let log = edge.workerd.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("breaker")).collect();
    assert_eq!(lines.len(), 2, "it opened, and it closed: {lines:?}");
}

#[test]
fn what_the_origin_asks_for_with_retry_after_is_kept_whatever_clients_do() {
    for status in [429, 503] {
        let edge = with_something_stale();
        let busy = Answer::tile("busy").status(status).field("Retry-After", "3");
        for target in [OPS, SALES] {
            edge.origin.answer(target, busy.clone());
        }
        edge.get(OPS).expect(status).says("busy").stored(false).field("Retry-After", "3").origin_requests(1);
        let asked = Instant::now();
        for _ in 0..10 {
            let told = edge.get(OPS).problem(503).stored(false).detail("breaker-open").origin_requests(0);
            let seconds = told.field("Retry-After").and_then(|seconds| seconds.parse::<u32>().ok());
            assert!(seconds.is_some_and(|seconds| (1..=3).contains(&seconds)), "{:?}", told.fields);
            edge.get(SALES).expect(200).says("old").detail("stale-if-error/breaker-open").origin_requests(0);
        }
        assert!(asked.elapsed() < Duration::from_secs(3), "too slow to tell anything");
        only_the_old_tile_is_kept(&edge);
        thread::sleep(Duration::from_millis(3_100).saturating_sub(asked.elapsed()));
        is_well_again(&edge, OPS, OPS_KEY);
        is_well_again(&edge, SALES, SALES_KEY);
    }
}

#[test]
fn a_gzip_file_that_is_none_is_stood_in_for_or_said_to_be_no_answer() {
    let edge = with_something_stale();
    for target in [SALES, OPS] {
        edge.origin.answer(target, Answer::tile("no gzip").field("Content-Encoding", "gzip"));
    }
    is_stood_in_for(&edge, 1);
    let case = edge.get(OPS).problem(502).stored(false).detail("origin-unreachable");
    case.field("Retry-After", "5").origin_requests(1);
    only_the_old_tile_is_kept(&edge);
    is_well_again(&edge, SALES, SALES_KEY);
}

#[test]
fn a_gzip_file_that_unpacks_to_more_than_is_stored_streams_through_with_memory_flat() {
    let (unpacked, packed) = gzip_bomb(131_000);
    assert!(packed.len() < 256 << 10 && unpacked.len() > 32 << 20, "{} {}", packed.len(), unpacked.len());
    let edge = Edge::start();
    // The first body that is too long takes the runtime thirty megabytes, however long it is.
    edge.origin.answer(OPS, Answer::pattern(1 << 20).field("Content-Type", "application/json").chunked());
    edge.get(OPS).expect(200).detail("too-large").origin_requests(1);
    let answer = Answer::bytes("application/json", packed).field("Content-Encoding", "gzip");
    for (target, answer) in [(SALES, answer.clone()), (INVENTORY, answer.chunked())] {
        edge.origin.answer(target, answer);
        edge.get("/healthz").expect(200).origin_requests(0);
        // A client that does not read yet: what is unpacked meanwhile is held.
        let mut opened = None;
        let grown = edge.workerd.growth(|| {
            opened = Call::get(target).open(edge.workerd.address()).ok();
            thread::sleep(Duration::from_millis(500));
        });
        println!("32 MB of JSON in 212 kB: workerd grew by {} kB", grown >> 10);
        assert!(grown < 24 << 20, "workerd grew by {grown} bytes");
        let answer = opened.expect("an answer").finish();
        assert!(answer.status == 200 && answer.cut.is_none() && answer.body == unpacked, "{:?}", answer.fields);
        let status = "hotrod-edge; fwd=uri-miss; fwd-status=200; detail=too-large";
        assert_eq!((answer.field("Cache-Status"), answer.field("Content-Encoding")), (Some(status), None));
    }
    assert_eq!((edge.origin.total(), edge.answers_in_cache(), edge.kv.keys()), (3, Vec::new(), Vec::new()));
}

#[test]
fn header_fields_of_a_hundred_kilobytes_are_not_stored_and_harm_nobody() {
    let edge = with_something_stale();
    let great = "x".repeat(100_000);
    let answer = |name: &str, value: &str| Answer::tile("great").field(name, value);
    // What would be kept with the tile keeps it out of the store.
    edge.origin.answer(OPS, answer("Content-Type", &format!("application/json; x={great}")));
    edge.get(OPS).expect(200).says("great").stored(false).detail("head-too-large").origin_requests(1);
    only_the_old_tile_is_kept(&edge);
    // What would not be is left behind, and passed on where all fields are.
    edge.origin.answer(LIVE, answer("X-Great", &great));
    edge.get(LIVE).expect(200).says("great").field("X-Great", &great).origin_requests(1);
    edge.origin.answer(SALES, answer("X-Great", &great).field("ETag", &format!("\"{great}\"")));
    let filled = edge.get(SALES).expect(200).says("great").stored(true).no_field("X-Great").origin_requests(1);
    edge.wait_until_kept(SALES_KEY, &filled.text());
    let hit = edge.get(SALES).expect(200).hit().says("great").no_field("X-Great").origin_requests(0);
    assert!(hit.field("ETag").is_some_and(|etag| etag.len() < 100), "{:?}", hit.fields);
}

#[test]
fn a_page_or_an_error_inside_a_200_is_answered_as_it_came_and_takes_nobodys_place() {
    for (kind, body, why) in [
        ("text/html", "<html>Sign in</html>", "content-type"),
        ("application/json", "<html>Sign in</html>", "malformed"),
        ("application/json", r#"{"status":"error","message":"no figures"}"#, "envelope"),
        ("application/json", "", "malformed"),
    ] {
        let edge = with_something_stale();
        for target in [SALES, INVENTORY] {
            edge.origin.answer(target, Answer::bytes(kind, body));
        }
        edge.get(INVENTORY).expect(200).fwd("uri-miss").body(body).stored(false).detail(why).origin_requests(1);
        let case = edge.get(SALES).expect(200).fwd("stale").body(body).stored(false).detail(why);
        case.field("Cache-Control", "no-store").field("X-Content-Type-Options", "nosniff").origin_requests(1);
        only_the_old_tile_is_kept(&edge);
        // What was stored before still stands in.
        edge.origin.stop();
        is_stood_in_for(&edge, 0);
        edge.origin.resume();
        is_well_again(&edge, SEGMENTS, SEGMENTS_KEY);
    }
}
