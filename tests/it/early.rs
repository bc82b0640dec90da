//! Early refresh: hot keys are renewed before their end, by chance, so that a herd does not meet there.

use crate::client::{Seen, get};
use crate::fakes::{Location, World};
use std::rc::Rc;

const OPS: &str = "/api/dashboard/tiles/ops";
const TRENDS: &str = "/api/dashboard/trends/revenue";

/// A location that has just filled the route.
fn filled(path: &str) -> Rc<Location> {
    let location = Location::new(&World::new());
    assert_eq!(get(&location, path).origin_requests, 1);
    location
}

/// What a request sees so many seconds later, when the next random number is the least there is, or the greatest.
fn at(location: &Rc<Location>, seconds: u64, path: &str, is_least: bool) -> Seen {
    location.world.pass(seconds * 1000);
    location.world.randomness.set(if is_least { u64::MAX } else { 0 });
    get(location, path)
}

#[test]
fn near_its_end_a_hot_key_is_renewed_behind_a_fresh_answer() {
    let location = filled(OPS);
    let early = at(&location, 280, OPS, true);
    assert_eq!((early.cache_status(), early.serial(), early.origin_requests), ("hit; ttl=20; detail=edge", Some(1), 1));
    let next = at(&location, 1, OPS, false);
    assert_eq!((next.serial(), next.origin_requests), (Some(2), 0));
}

#[test]
fn without_the_luck_it_is_not_nor_far_from_its_end_nor_if_it_is_not_hot() {
    let unlucky = filled(OPS);
    assert_eq!(at(&unlucky, 299, OPS, false).origin_requests, 0);
    let far = filled(OPS);
    assert_eq!(at(&far, 100, OPS, true).origin_requests, 0);
    let rare = filled(TRENDS);
    assert_eq!(at(&rare, 595, TRENDS, true).origin_requests, 0);
}

#[test]
fn what_another_isolate_has_renewed_is_taken_and_not_asked_for_again() {
    let one = filled(OPS);
    let other = Location::beside(&one);
    assert_eq!(at(&other, 285, OPS, true).origin_requests, 1);
    let seen = at(&one, 1, OPS, true);
    assert_eq!((seen.origin_requests, seen.serial()), (0, Some(2)));
}

#[test]
fn what_a_hard_purge_made_absent_is_filled_and_not_renewed() {
    let location = filled(OPS);
    location.world.pass(290_000);
    crate::client::ask(
        &location,
        crate::fakes::Asking::purge(r#"{"routes":["ops"],"mode":"hard","tenant":"shop.test"}"#),
    );
    let seen = at(&location, 0, OPS, true);
    assert_eq!((seen.cache_status(), seen.origin_requests), ("fwd=uri-miss; fwd-status=200; stored; detail=purged", 1));
}
