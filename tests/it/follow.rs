//! Routes that follow their origin, where a scenario cannot say it.

use crate::client::{Open, Seen, get};
use crate::fakes::{Asking, Location, OriginFault, Point, Scripted, World};
use crate::spec::rfc9111::rules;
use std::rc::Rc;

/// A place with a slot for so many questions, and an origin that says this of each of its answers.
fn place(slots: &str, says: &[(&str, &str)]) -> (Rc<World>, Rc<Location>) {
    let world = World::new();
    let location = Location::with_settings(&world, &[("ORIGIN_CONCURRENCY", slots)], Some(rules()));
    answer(&world, 200, says);
    (world, location)
}

fn answer(world: &World, status: u16, says: &[(&str, &str)]) {
    let lines = says.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect();
    world.origin.scripted.replace(Some(Scripted { status, lines, body: None }));
}

#[track_caller]
fn check(seen: &Seen, status: u16, cache_status: &str, origin_requests: usize) {
    assert_eq!((seen.status, seen.cache_status(), seen.origin_requests), (status, cache_status, origin_requests));
}

/// What some pages answer says nothing of the others: only who asks to be left alone is.
#[test]
fn errors_open_no_breaker_unless_they_ask_for_it() {
    let (world, location) = place("16", &[]);
    for status in [500, 502, 503, 504, 429] {
        answer(&world, status, &[]);
        for page in 0..30 {
            let cache_status = format!("fwd=uri-miss; fwd-status={status}; detail=status");
            check(&get(&location, &format!("/api/pages/{page}")), status, &cache_status, 1);
        }
    }
    answer(&world, 503, &[("retry-after", "40")]);
    assert_eq!(get(&location, "/api/pages/a").origin_requests, 1);
    check(&get(&location, "/api/pages/b"), 503, "fwd=uri-miss; detail=breaker-open", 0);
}

/// RFC 9111, section 5.2.1.4: what was asked for anew is waited for, even if something stored is at hand.
#[test]
fn who_wants_it_anew_waits_for_a_slot_and_has_the_stored_answer_if_there_is_none() {
    let (world, location) = place("1", &[("cache-control", "max-age=60")]);
    assert_eq!(get(&location, "/api/pages/a").status, 200);
    world.origin.fault.set(OriginFault::Hangs);
    let mut slow = Open::new(&location, Asking::get("/api/pages/b"));
    assert!(!slow.run());
    let anew = || Open::new(&location, Asking::get("/api/pages/a").with("cache-control", "no-cache"));
    let mut first = anew();
    for _ in 0..199 {
        assert!(!first.run());
        world.pass(25);
    }
    let mut second = anew();
    assert!(!second.run());
    world.pass(25);
    assert!(first.run());
    check(&first.answer().expect("an answer"), 200, "fwd=request; ttl=55; detail=stale-if-error/origin-busy", 0);
    world.origin.fault.set(OriginFault::None);
    world.pass(5_000);
    assert!(slow.run() && second.run());
    check(&second.answer().expect("an answer"), 200, "fwd=request; fwd-status=200; stored", 0);
}

/// A store that takes a put and says nothing costs an answer that waits for it a second, and no more.
#[test]
fn an_answer_does_not_wait_for_a_store_that_hangs() {
    let world = World::new();
    let location = Location::with(&world, "shop.test", Some(rules()));
    world.hold(Point::EdgePut);
    let lines = vec![("cache-control".to_string(), "max-age=60".to_string())];
    world.origin.scripted.replace(Some(Scripted { status: 200, lines, body: None }));
    let mut open = Open::new(&location, Asking::get("/api/pages/a"));
    assert!(!open.run() && world.holds(Point::EdgePut));
    world.pass(999);
    assert!(!open.run());
    world.pass(1);
    assert!(open.run());
    assert_eq!(open.answer().map(|seen| seen.status), Some(200));
}
