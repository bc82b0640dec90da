//! Leases: locations that miss the same answer at once agree who asks the origin, and nobody waits in vain for another.

use crate::client::{Open, ask, get};
use crate::fakes::{Asking, LedgerFault, Location, OriginFault, Point, Scripted, World};
use std::rc::Rc;

const OPS: &str = "/api/dashboard/tiles/ops";

/// Two data centres of a world.
fn two() -> (Rc<World>, Rc<Location>, Rc<Location>) {
    let world = World::new();
    let (first, second) = (Location::with_leases(&world), Location::with_leases(&world));
    (world, first, second)
}

/// A request that is held while the origin makes its answer.
fn held(location: &Rc<Location>) -> Open {
    location.world.hold(Point::OriginAnswer);
    let mut open = Open::new(location, Asking::get(OPS));
    assert!(!open.run() && location.world.holds(Point::OriginAnswer));
    open
}

/// A request that waits, for whatever it is.
fn waiting(location: &Rc<Location>) -> Open {
    let mut open = Open::new(location, Asking::get(OPS));
    assert!(!open.run() && open.answer().is_none());
    open
}

/// A request that is answered, and waits for something behind its answer.
fn waiting_behind(location: &Rc<Location>) -> Open {
    let mut open = Open::new(location, Asking::get(OPS));
    assert!(!open.run() && open.answer().is_some());
    open
}

/// Lets a request come to its end: the answer's serial, and what it says of the cache.
#[track_caller]
fn end(open: &mut Open) -> (Option<u64>, String) {
    assert!(open.run(), "nothing holds it any more");
    let seen = open.answer().expect("an answer comes first");
    assert_eq!(seen.status, 200);
    (seen.serial(), seen.cache_status().to_string())
}

fn stored(serial: u64) -> (Option<u64>, String) {
    (Some(serial), "fwd=uri-miss; fwd-status=200; stored".to_string())
}

#[test]
fn locations_that_miss_at_once_ask_the_origin_once_and_each_keeps_the_answer() {
    let (world, first, second) = two();
    let third = Location::with_leases(&world);
    let mut holder = held(&first);
    let mut others: Vec<_> = [&second, &third, &second, &third].into_iter().map(waiting).collect();
    world.release(Point::OriginAnswer);
    assert_eq!(end(&mut holder), stored(1));
    for other in &mut others {
        assert_eq!(end(other), (Some(1), "fwd=uri-miss; fwd-status=200; collapsed".to_string()));
    }
    for location in [&first, &second, &third] {
        assert_eq!(location.edge.keys().len(), 1);
        assert!(get(location, OPS).cache_status().starts_with("hit"));
    }
    assert_eq!(world.origin.count(), 1);
}

/// Whoever holds the lease is gone: another location waits for two seconds and a half, and leads itself from then on.
#[test]
fn a_holder_that_dies_is_waited_for_and_then_done_without() {
    let (world, first, second) = two();
    drop(held(&first));
    world.release(Point::OriginAnswer);
    let (mut other, mut follower) = (waiting(&second), waiting(&second));
    world.pass(2_499);
    assert!(!other.run() && !follower.run());
    world.hold(Point::OriginAnswer);
    world.pass(1);
    assert!(!other.run() && !follower.run() && world.holds(Point::OriginAnswer));
    world.pass(2_999);
    assert!(!follower.run(), "the lead counts from when it was taken over");
    world.release(Point::OriginAnswer);
    assert_eq!(end(&mut other), stored(2));
    assert_eq!(end(&mut follower), (Some(2), "fwd=uri-miss; fwd-status=200; collapsed".to_string()));
    assert_eq!(get(&second, OPS).cache_status(), "hit; ttl=298; detail=edge");
    assert_eq!(world.origin.count(), 2);
}

#[test]
fn a_holder_whose_answer_is_not_stored_releases_the_others_at_once() {
    let (world, first, second) = two();
    let lines = vec![("cache-control".to_string(), "no-store".to_string())];
    world.origin.scripted.replace(Some(Scripted { status: 200, lines, body: None }));
    let mut holder = held(&first);
    let mut other = waiting(&second);
    world.release(Point::OriginAnswer);
    assert_eq!(end(&mut holder), (Some(1), "fwd=uri-miss; fwd-status=200; detail=no-store".to_string()));
    assert_eq!(end(&mut other), (Some(2), "fwd=uri-miss; fwd-status=200; detail=no-store".to_string()));
}

#[test]
fn a_holder_whose_origin_fails_releases_the_others_at_once() {
    let (world, first, second) = two();
    world.origin.fault.set(OriginFault::Fails);
    let mut holder = held(&first);
    let mut other = waiting(&second);
    world.origin.fault.set(OriginFault::None);
    world.release(Point::OriginAnswer);
    assert!(holder.run());
    assert_eq!(holder.answer().map(|seen| seen.status), Some(502));
    assert_eq!(end(&mut other), stored(2));
}

/// A purge while the holder asks: whoever comes behind it asks anew, and what the holder brings is not served again.
#[test]
fn a_purge_makes_a_lease_void_and_nothing_from_before_it_is_handed_on() {
    let (world, first, second) = two();
    let mut holder = held(&first);
    world.pass(10);
    assert_eq!(ask(&second, Asking::purge(r#"{"mode":"hard","routes":["ops"]}"#)).status, 202);
    assert_eq!((get(&second, OPS).serial(), world.origin.count()), (Some(2), 2));
    world.release(Point::OriginAnswer);
    assert_eq!(end(&mut holder).0, Some(1));
    assert_eq!((get(&second, OPS).serial(), world.origin.count()), (Some(2), 2));
}

#[test]
fn a_ledger_that_does_not_say_who_asks_is_waited_for_half_a_second_and_done_without() {
    for fault in [LedgerFault::Fails, LedgerFault::Hangs] {
        let (world, first, _) = two();
        world.hold(Point::KvGet);
        let mut open = waiting(&first);
        world.ledger_fault.set(fault);
        world.release(Point::KvGet);
        if fault == LedgerFault::Hangs {
            assert!(!open.run());
            world.pass(499);
            assert!(!open.run());
            world.pass(1);
        }
        assert_eq!(end(&mut open), stored(1));
        assert_eq!(world.incidents().get("lease_failed"), Some(&1));
    }
}

/// A ledger that was started anew has forgotten who asks: at worst the origin is asked once more.
#[test]
fn a_ledger_that_starts_anew_forgets_who_asks_and_harms_nobody() {
    let (world, first, second) = two();
    let mut holder = held(&first);
    world.object(&hotrod_edge::key::Tenant::new(crate::fakes::TENANT).expect("a tenant")).restart();
    assert_eq!(get(&second, OPS).serial(), Some(2));
    world.release(Point::OriginAnswer);
    assert_eq!((end(&mut holder).0, world.origin.count()), (Some(1), 2));
}

#[test]
fn whoever_has_something_stale_answers_with_it_while_another_location_asks() {
    let (world, first, second) = two();
    for location in [&first, &second] {
        assert_eq!(get(location, OPS).serial(), Some(1));
    }
    world.pass(1_000_000);
    let mut holder = held(&first);
    for _ in 0..2 {
        let seen = get(&second, OPS);
        assert_eq!((seen.status, seen.serial(), seen.origin_requests), (200, Some(1), 0));
    }
    world.release(Point::OriginAnswer);
    assert_eq!((end(&mut holder).0, world.origin.count()), (Some(2), 2));
}

/// Renewals behind answers agree as well, and wait for longer than a request does.
#[test]
fn a_renewal_takes_over_what_another_location_asked_for() {
    let (world, first, second) = two();
    for location in [&first, &second] {
        assert_eq!(get(location, OPS).serial(), Some(1));
    }
    world.pass(310_000);
    let (mut holder, mut renewing) = (held(&first), waiting_behind(&second));
    world.pass(5_000);
    assert!(!renewing.run(), "it still waits");
    world.release(Point::OriginAnswer);
    for renewal in [&mut holder, &mut renewing] {
        assert_eq!(end(renewal), (Some(1), "hit; ttl=-10; detail=edge/expired".to_string()));
    }
    for location in [&first, &second] {
        let seen = get(location, OPS);
        assert_eq!((seen.serial(), seen.cache_status()), (Some(2), "hit; ttl=295; detail=edge"));
    }
    assert_eq!(world.origin.count(), 2);
}

/// The call that gives the lease says where the ledger stands: what was judged before is judged again, for an origin that
/// says "not modified" of it would put a purged body behind its purge.
#[test]
fn what_was_purged_before_the_lease_was_given_is_not_asked_about_and_does_not_stand_in() {
    let cx = "/api/dashboard/tiles/cx";
    for is_well in [true, false] {
        let (world, first, second) = two();
        let fields = [("content-type", "application/json"), ("etag", "\"v1\"")];
        let tag = || fields.map(|(name, value)| (name.to_string(), value.to_string())).to_vec();
        world.origin.scripted.replace(Some(Scripted { status: 200, lines: tag(), body: None }));
        world.origin.not_modified.replace(Some(tag()));
        assert_eq!(get(&first, OPS).serial(), Some(1));
        world.pass(700_000);
        // It has counters from a moment ago.
        assert_eq!(get(&first, cx).serial(), Some(2));
        assert_eq!(ask(&second, Asking::purge(r#"{"mode":"hard","routes":["ops"]}"#)).status, 202);
        if is_well {
            let seen = get(&first, OPS);
            assert_eq!((seen.serial(), seen.cache_status()), (Some(3), "fwd=stale; fwd-status=200; stored"));
            assert_eq!(
                world.origin.seen().last().and_then(|asked| asked.header("if-none-match").map(String::from)),
                None
            );
            assert_eq!(get(&second, OPS).serial(), Some(3));
        } else {
            world.origin.fault.set(OriginFault::Fails);
            let seen = get(&first, OPS);
            assert_eq!((seen.status, seen.cache_status()), (502, "fwd=stale; detail=origin-unreachable"));
        }
    }
}
