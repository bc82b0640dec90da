//! An origin on a bad day: it is left alone, waited for no longer than its class allows, and asked no more than it can
//! take; and whoever can be answered with something stale is.

use crate::client::{Open, Seen, ask, get};
use crate::fakes::{Asking, LedgerFault, Location, OriginFault, Scripted, World};
use std::rc::Rc;

const OPS: &str = "/api/dashboard/tiles/ops";
const CX: &str = "/api/dashboard/tiles/cx";
const ELSEWHERE: &str = "/api/none-of-the-routes";
const TRENDS: &str = "/api/dashboard/trends/revenue?days=30";

fn says(world: &World, status: u16, lines: &[(&str, &str)], body: Option<&[u8]>) {
    let json = [("content-type", "application/json")];
    let lines = json.iter().chain(lines).map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect();
    world.origin.scripted.replace(Some(Scripted { status, lines, body: body.map(<[u8]>::to_vec) }));
}

/// A place where the tile was stored, and is past its lifetime.
fn stale() -> (Rc<World>, Rc<Location>) {
    let world = World::new();
    let location = Location::new(&world);
    assert_eq!(get(&location, OPS).cache_status(), "fwd=uri-miss; fwd-status=200; stored");
    world.pass(700_000);
    (world, location)
}

#[track_caller]
fn check(seen: &Seen, status: u16, cache_status: &str, origin_requests: usize) {
    assert_eq!((seen.status, seen.cache_status(), seen.origin_requests), (status, cache_status, origin_requests));
}

fn nothing_is_stored(location: &Location) -> bool {
    [&location.edge, &location.world.kv].iter().all(|store| store.keys().is_empty())
}

/// Lets a request run, passing so much time at once, until it has ended.
#[track_caller]
fn end_after(world: &World, open: &mut Open, millis: u64) -> Seen {
    assert!(!open.run(), "it waits");
    world.pass(millis - 1);
    assert!(!open.run(), "it still waits after {} ms", millis - 1);
    world.pass(1);
    open.run();
    open.answer().expect("an answer")
}

#[test]
fn an_origin_that_refuses_connections_is_stood_in_for_or_said_to_be_unreachable() {
    let (world, location) = stale();
    world.origin.fault.set(OriginFault::Fails);
    check(&get(&location, OPS), 200, "fwd=stale; ttl=-400; detail=stale-if-error", 1);
    let seen = get(&location, CX);
    check(&seen, 502, "fwd=uri-miss; detail=origin-unreachable", 1);
    assert_eq!(seen.field("retry-after"), Some("5"));
    assert_eq!(location.edge.keys().len(), 1);
}

#[test]
fn a_connection_that_was_cut_is_made_once_more_if_a_second_try_was_earned_and_nothing_stale_is_at_hand() {
    let (world, location) = stale();
    let fails_once = || world.origin.faults.borrow_mut().push_back(OriginFault::Fails);
    fails_once();
    check(&get(&location, CX), 502, "fwd=uri-miss; detail=origin-unreachable", 1);
    for _ in 0..10 {
        assert_eq!(get(&location, ELSEWHERE).status, 200);
    }
    fails_once();
    check(&get(&location, "/api/dashboard/tiles/inventory"), 200, "fwd=uri-miss; fwd-status=200; stored", 2);
    assert_eq!(world.incidents().get("origin_retried"), Some(&1));
    fails_once();
    check(&get(&location, "/api/dashboard/tiles/fulfillment"), 502, "fwd=uri-miss; detail=origin-unreachable", 1);
}

#[test]
fn an_origin_that_hangs_is_waited_for_until_its_time_is_over_and_asked_once() {
    let (world, location) = stale();
    world.origin.fault.set(OriginFault::Hangs);
    let seen = end_after(&world, &mut Open::new(&location, Asking::get(OPS)), 10_000);
    check(&seen, 200, "fwd=stale; ttl=-410; detail=stale-if-error", 0);
    let asked = world.origin.count();
    let seen = end_after(&world, &mut Open::new(&location, Asking::get(CX)), 10_000);
    check(&seen, 504, "fwd=uri-miss; detail=origin-timeout", 0);
    assert_eq!((seen.field("retry-after"), world.origin.count()), (Some("5"), asked + 1));
    // A route that is passed on has its own time.
    let mut open = Open::new(&location, Asking::get(ELSEWHERE));
    check(&end_after(&world, &mut open, 60_000), 504, "fwd=bypass; detail=origin-timeout", 0);
}

#[test]
fn a_body_that_stops_arriving_is_given_up_and_no_part_of_it_is_stored() {
    let world = World::new();
    let location = Location::new(&world);
    world.origin.fault.set(OriginFault::Stalls);
    let seen = end_after(&world, &mut Open::new(&location, Asking::get(OPS)), 10_000);
    check(&seen, 504, "fwd=uri-miss; detail=origin-timeout", 0);
    assert!(nothing_is_stored(&location));
}

#[test]
fn a_body_that_is_cut_is_neither_stored_nor_answered() {
    let (world, location) = stale();
    world.origin.fault.set(OriginFault::Cut);
    check(&get(&location, OPS), 200, "fwd=stale; ttl=-400; detail=stale-if-error", 1);
    check(&get(&location, CX), 502, "fwd=uri-miss; detail=origin-unreachable", 1);
    assert_eq!(location.edge.keys().len(), 1);
}

#[test]
fn an_empty_body_where_the_class_wants_an_envelope_is_not_stored() {
    let world = World::new();
    let location = Location::new(&world);
    says(&world, 200, &[], Some(b""));
    check(&get(&location, OPS), 200, "fwd=uri-miss; fwd-status=200; detail=malformed", 1);
    assert!(nothing_is_stored(&location));
}

#[test]
fn a_storm_of_errors_opens_the_breaker_and_probes_close_it_again() {
    let (world, location) = stale();
    says(&world, 500, &[], None);
    for _ in 0..5 {
        check(&get(&location, OPS), 200, "fwd=stale; fwd-status=500; ttl=-400; detail=stale-if-error", 1);
    }
    check(&get(&location, OPS), 200, "fwd=stale; ttl=-400; detail=stale-if-error/breaker-open", 0);
    let seen = get(&location, CX);
    check(&seen, 503, "fwd=uri-miss; detail=breaker-open", 0);
    assert_eq!(seen.field("retry-after"), Some("1"));
    // Another class has a breaker of its own, and what is passed on too.
    check(&get(&location, TRENDS), 500, "fwd=uri-miss; fwd-status=500; detail=status", 1);
    let post = ask(&location, Asking::new("POST", OPS));
    check(&post, 500, "fwd=method; fwd-status=500", 1);
    // Ten minutes of it: a probe at 1, 3, 7, 15, 31, 61, ... seconds, and no more.
    let before = world.origin.count();
    let mut statuses = Vec::new();
    for _ in 0..600 {
        world.pass(1_000);
        statuses.push(get(&location, CX).status);
    }
    assert_eq!(world.origin.count() - before, 4 + 19, "{statuses:?}");
    world.origin.scripted.replace(None);
    world.pass(30_000);
    check(&get(&location, CX), 200, "fwd=uri-miss; fwd-status=200; stored", 1);
    check(&get(&location, OPS), 200, "fwd=stale; fwd-status=200; stored", 1);
    assert_eq!(world.incidents().get("origin_breaker"), Some(&2), "it opened, and it closed");
}

#[test]
fn retry_after_is_kept_by_the_edge_and_told_to_whoever_asks_meanwhile() {
    for status in [429, 503] {
        let (world, location) = stale();
        says(&world, status, &[("retry-after", "40")], None);
        let label = format!("fwd=stale; fwd-status={status}; ttl=-400; detail=stale-if-error");
        check(&get(&location, OPS), 200, &label, 1);
        world.origin.scripted.replace(None);
        world.pass(39_001);
        let seen = get(&location, CX);
        check(&seen, 503, "fwd=uri-miss; detail=breaker-open", 0);
        assert_eq!(seen.field("retry-after"), Some("1"));
        world.pass(999);
        check(&get(&location, CX), 200, "fwd=uri-miss; fwd-status=200; stored", 1);
    }
}

#[test]
fn an_origin_that_flaps_never_puts_an_older_answer_over_a_newer_one() {
    let world = World::new();
    let location = Location::new(&world);
    let modified = |day: &str| format!("Mon, {day} Mar 2026 10:00:00 GMT");
    let dated = |day: &str| {
        says(&world, 200, &[("last-modified", &modified(day)), ("date", "Tue, 31 Mar 2026 12:00:00 GMT")], None);
    };
    dated("30");
    check(&get(&location, OPS), 200, "fwd=uri-miss; fwd-status=200; stored", 1);
    world.pass(700_000);
    dated("23");
    check(&get(&location, OPS), 200, "fwd=stale; fwd-status=200; detail=older", 1);
    dated("30");
    check(&get(&location, OPS), 200, "fwd=stale; fwd-status=200; stored", 1);
}

#[test]
fn a_slow_origin_and_a_hot_key_make_one_question_and_a_cold_one_a_bounded_wait() {
    let world = World::new();
    let location = Location::with_setting(&world, "ORIGIN_CONCURRENCY", "1");
    assert_eq!(get(&location, OPS).status, 200);
    world.pass(700_000);
    world.origin.fault.set(OriginFault::Hangs);
    let mut slow = Open::new(&location, Asking::get(CX));
    assert!(!slow.run());
    // There is something stale: nobody waits for longer than a slot is taken on a good day.
    let mut stale = Open::new(&location, Asking::get(OPS));
    for _ in 0..20 {
        assert!(!stale.run());
        world.pass(25);
    }
    assert!(stale.run());
    let seen = stale.answer().expect("an answer");
    check(&seen, 200, "fwd=stale; ttl=-400; detail=stale-if-error/origin-busy", 0);
    let mut cold = Open::new(&location, Asking::get(TRENDS));
    for _ in 0..200 {
        assert!(!cold.run());
        world.pass(25);
    }
    assert!(cold.run());
    let seen = cold.answer().expect("an answer");
    check(&seen, 503, "fwd=uri-miss; detail=origin-busy", 0);
    assert_eq!(seen.field("retry-after"), Some("1"));
}

/// What was purged answers in place of an origin that fails, and not of one that would have to be waited for.
#[test]
fn what_was_purged_softly_is_past_its_window_and_does_not_stand_in_for_a_wait() {
    let world = World::new();
    let location = Location::with_setting(&world, "ORIGIN_CONCURRENCY", "1");
    assert_eq!(get(&location, OPS).status, 200);
    assert_eq!(ask(&location, Asking::purge(r#"{"mode":"soft","routes":["ops"]}"#)).status, 202);
    world.pass(60_000);
    world.origin.fault.set(OriginFault::Hangs);
    let mut slow = Open::new(&location, Asking::get(CX));
    assert!(!slow.run());
    let mut open = Open::new(&location, Asking::get(OPS));
    for _ in 0..200 {
        assert!(!open.run());
        world.pass(25);
    }
    assert!(open.run());
    check(&open.answer().expect("an answer"), 503, "fwd=stale; detail=origin-busy", 0);
    world.pass(5_000);
    slow.run();
    world.origin.fault.set(OriginFault::Fails);
    check(&get(&location, OPS), 200, "fwd=stale; ttl=230; detail=stale-if-error", 1);
}

#[test]
fn an_answer_of_a_great_age_is_passed_on_and_asked_for_once_by_each_request() {
    let world = World::new();
    let location = Location::new(&world);
    for age in ["400", "4294967296", "99999999999999999999"] {
        says(&world, 200, &[("age", age)], None);
        check(&get(&location, OPS), 200, "fwd=uri-miss; fwd-status=200; detail=expired", 1);
        assert!(nothing_is_stored(&location), "{age}");
    }
}

#[test]
fn a_lifetime_that_is_no_number_or_no_end_of_one_is_bounded_by_the_class() {
    for lifetime in ["2147483648", "99999999999999999999", "1e99", "-1", "0", "10, max-age=99999", "\"99999"] {
        let world = World::new();
        let location = Location::new(&world);
        says(&world, 200, &[("cache-control", &format!("max-age={lifetime}"))], None);
        assert_eq!(get(&location, OPS).status, 200);
        world.pass(300_000);
        let seen = get(&location, OPS);
        let ttl = seen.cache_status().strip_prefix("hit; ttl=").and_then(|rest| rest.split(';').next());
        assert!(
            ttl.is_none_or(|ttl| ttl.parse::<i64>().is_ok_and(|ttl| ttl <= 0)),
            "{lifetime}: {}",
            seen.cache_status()
        );
    }
}

#[test]
fn a_304_after_a_purge_is_no_answer_and_the_whole_is_asked_for() {
    let world = World::new();
    let location = Location::new(&world);
    says(&world, 200, &[("etag", "\"v1\"")], None);
    check(&get(&location, OPS), 200, "fwd=uri-miss; fwd-status=200; stored", 1);
    world.origin.not_modified.replace(Some(vec![("etag".to_string(), "\"v1\"".to_string())]));
    assert_eq!(ask(&location, Asking::purge(r#"{"routes":["ops"],"mode":"hard"}"#)).status, 202);
    let seen = get(&location, OPS);
    check(&seen, 200, "fwd=uri-miss; fwd-status=200; stored; detail=purged", 1);
    let asked = world.origin.last().expect("a question");
    assert_eq!((asked.header("if-none-match"), seen.serial()), (None, Some(2)));
}

#[test]
fn a_body_over_the_limit_of_its_class_is_passed_on_and_whoever_comes_next_queues_behind_nobody() {
    let world = World::new();
    let location = Location::new(&world);
    let body = |length: usize| {
        let mut body = br#"{"status":"ok","success":true}"#.to_vec();
        body.resize(length, b' ');
        body
    };
    says(&world, 200, &[], Some(&body(256 * 1024)));
    check(&get(&location, OPS), 200, "fwd=uri-miss; fwd-status=200; stored", 1);
    says(&world, 200, &[], Some(&body(256 * 1024 + 1)));
    let seen = get(&location, CX);
    check(&seen, 200, "fwd=uri-miss; fwd-status=200; detail=too-large", 1);
    assert_eq!((seen.body.len(), location.edge.keys().len()), (256 * 1024 + 1, 1));
    // Two at once: neither waits for the other.
    let before = world.origin.count();
    world.origin.fault.set(OriginFault::Hangs);
    let mut both = [Open::new(&location, Asking::get(CX)), Open::new(&location, Asking::get(CX))];
    assert!(both.iter_mut().all(|one| !one.run()));
    assert_eq!(world.origin.count(), before + 2);
    world.pass(10_000);
    assert!(both.iter_mut().all(Open::run));
    // After a moment it is asked together again.
    world.origin.fault.set(OriginFault::Hangs);
    let before = world.origin.count();
    let mut both = [Open::new(&location, Asking::get(CX)), Open::new(&location, Asking::get(CX))];
    assert!(both.iter_mut().all(|one| !one.run()));
    assert_eq!(world.origin.count(), before + 1);
}

#[test]
fn a_purge_of_everything_sends_so_many_questions_to_the_origin_at_once_and_no_more() {
    let world = World::new();
    let location = Location::new(&world);
    let names = [
        "tiles/sales-pulse",
        "tiles/inventory",
        "tiles/fulfillment",
        "tiles/cx",
        "tiles/ops",
        "kpi/summary",
        "products/top",
        "alerts/critical",
        "alerts/all",
        "trends/revenue",
        "trends/categories",
        "growth/metrics",
    ];
    let urls = names.map(|name| format!("/api/dashboard/{name}"));
    assert!(urls.iter().all(|url| get(&location, url).status == 200), "these are served");
    assert_eq!(ask(&location, Asking::purge(r#"{"all":true,"mode":"hard"}"#)).status, 202);
    world.origin.fault.set(OriginFault::Hangs);
    let before = world.origin.count();
    let mut open: Vec<_> = urls.iter().map(|url| Open::new(&location, Asking::get(url))).collect();
    assert!(open.iter_mut().all(|one| !one.run()));
    assert_eq!(world.origin.count() - before, 8);
    // What no purge took away still goes.
    let mut other = Open::new(&location, Asking::get(ELSEWHERE));
    assert!(!other.run());
    assert_eq!(world.origin.count() - before, 9);
}

#[test]
fn a_request_that_went_round_is_refused_on_every_way_through_the_edge() {
    let world = World::new();
    let location = Location::new(&world);
    for (method, url) in [("GET", OPS), ("POST", OPS), ("GET", "/api/realtime/sla"), ("GET", ELSEWHERE)] {
        let seen = ask(&location, Asking::new(method, url).with("cdn-loop", "other; a=b, hotrod-edge"));
        assert_eq!((seen.status, seen.origin_requests), (508, 0), "{method} {url}");
        let seen = ask(&location, Asking::new(method, url).with("cdn-loop", "other"));
        assert_eq!((seen.status, seen.origin_requests), (200, 1), "{method} {url}");
        let sent = world.origin.last().expect("a question");
        assert!(sent.header("cdn-loop").is_some_and(|field| field.ends_with("hotrod-edge")), "{method} {url}");
    }
}

#[test]
fn no_tier_is_asked_or_written_for_a_body_of_many_megabytes() {
    let world = World::new();
    let location = Location::new(&world);
    says(&world, 200, &[("content-length", "26214401")], Some(b"{}"));
    check(&get(&location, OPS), 200, "fwd=uri-miss; fwd-status=200; detail=too-large", 1);
    assert!(nothing_is_stored(&location));
}

/// What was purged since is absent, and nobody can be asked whether it was.
#[test]
fn what_no_ledger_has_judged_stands_in_for_an_origin_that_fails_and_not_for_one_that_is_busy() {
    let world = World::new();
    let (here, elsewhere) = (Location::with_setting(&world, "ORIGIN_CONCURRENCY", "1"), Location::new(&world));
    for url in [OPS, TRENDS] {
        check(&get(&here, url), 200, "fwd=uri-miss; fwd-status=200; stored", 1);
    }
    get(&elsewhere, TRENDS);
    world.pass(650_000);
    assert_eq!(ask(&Location::new(&world), Asking::purge(r#"{"all":true,"mode":"hard"}"#)).status, 202);
    world.ledger_fault.set(LedgerFault::Fails);
    world.origin.fault.set(OriginFault::Hangs);
    // No slot is free.
    let mut slow = Open::new(&here, Asking::get(CX));
    assert!(!slow.run());
    for url in [OPS, TRENDS] {
        let mut open = Open::new(&here, Asking::get(url));
        for _ in 0..200 {
            assert!(!open.run(), "{url}: {:?}", open.answer());
            world.pass(25);
        }
        open.run();
        check(&open.answer().expect("an answer"), 503, "fwd=stale; detail=origin-busy", 0);
    }
    // Another one is asking the same.
    let mut both = [(); 2].map(|()| Open::new(&elsewhere, Asking::get(TRENDS)));
    assert!(both.iter_mut().all(|one| !one.run()));
    world.pass(2_999);
    assert!(both.iter_mut().all(|one| !one.run()), "{:?}", both[1].answer());
    world.pass(13_000);
    assert!(slow.run());
    world.origin.fault.set(OriginFault::Fails);
    check(&get(&here, OPS), 200, "fwd=stale; ttl=-375; detail=stale-if-error", 1);
}
