//! Ledgers that take their time, that come back, and that have lost what they knew; and who asks them how often.

use crate::client::{Open, ask, get};
use crate::fakes::{Asking, LedgerFault, Location, Point, TENANT, World};
use hotrod_edge::key::Tenant;
use std::rc::Rc;

const OPS: &str = "/api/dashboard/tiles/ops";
const PULSE: &str = "/api/dashboard/tiles/sales-pulse";
const SEGMENTS: &str = "/api/dashboard/segments";

fn tenant() -> Tenant {
    Tenant::new(TENANT).expect("a tenant")
}

fn purge(location: &Rc<Location>, body: &str) -> String {
    let receipt = ask(location, Asking::purge(body));
    assert_eq!(receipt.status, 202, "{}", receipt.text());
    receipt.json()["token"].as_str().unwrap_or_default().to_string()
}

/// A request that does not end by itself, and how many milliseconds it takes until it does.
#[track_caller]
fn check_wait(mut open: Open, location: &Location, millis: u64) -> Open {
    assert!(!open.run(), "it waits");
    location.world.pass(millis - 1);
    assert!(!open.run(), "it waits for longer than {} ms", millis - 1);
    location.world.pass(1);
    assert!(open.run(), "it waits no longer than {millis} ms");
    open
}

#[test]
fn counters_are_waited_for_two_seconds_and_no_longer() {
    for (url, cache_status) in
        [(OPS, "fwd=stale; fwd-status=200; detail=ledger"), (SEGMENTS, "hit; ttl=437; detail=edge/ledger")]
    {
        let world = World::new();
        let location = Location::new(&world);
        get(&location, url);
        world.pass(61_000);
        if url == SEGMENTS {
            world.pass(100_000);
        }
        world.ledger_fault.set(LedgerFault::Hangs);
        let open = check_wait(Open::new(&location, Asking::get(url)), &location, 2_000);
        let seen = open.answer().expect("an answer");
        assert_eq!((seen.status, seen.cache_status()), (200, cache_status));
        assert_eq!(world.incidents().get("ledger_failed"), Some(&1));
    }
}

#[test]
fn an_answer_within_the_bound_waits_for_no_ledger() {
    let world = World::new();
    let location = Location::new(&world);
    get(&location, SEGMENTS);
    world.pass(31_000);
    world.ledger_fault.set(LedgerFault::Hangs);
    let mut open = Open::new(&location, Asking::get(SEGMENTS));
    assert!(!open.run(), "the renewal behind the answer hangs");
    assert_eq!(open.answer().map(|seen| seen.cache_status().to_string()), Some("hit; ttl=569; detail=edge".into()));
}

#[test]
fn a_purge_that_the_ledger_does_not_take_in_time_is_a_503() {
    let world = World::new();
    let location = Location::new(&world);
    world.ledger_fault.set(LedgerFault::Hangs);
    let open = Open::new(&location, Asking::purge(r#"{"mode":"hard","all":true}"#));
    let open = check_wait(open, &location, 800);
    assert_eq!(open.answer().map(|seen| seen.status), Some(503));
}

#[test]
fn a_write_waits_for_a_silent_ledger_no_longer_and_is_told_of_again_behind_the_answer() {
    let world = World::new();
    let location = Location::new(&world);
    get(&location, PULSE);
    world.ledger_fault.set(LedgerFault::Hangs);
    let mut open = Open::new(&location, Asking::new("POST", "/api/orders"));
    assert!(!open.run());
    assert_eq!(open.answer(), None);
    world.pass(800);
    assert!(!open.run());
    let answer = open.answer().expect("the answer goes out");
    assert_eq!((answer.status, answer.field("epoch-token")), (200, None));
    world.pass(800);
    assert!(open.run());
    assert_eq!(get(&location, PULSE).cache_status(), "hit; ttl=299; detail=edge");
}

#[test]
fn a_write_whose_ledger_comes_back_is_made_good_behind_the_answer() {
    let world = World::new();
    let location = Location::new(&world);
    get(&location, PULSE);
    world.ledger_fault.set(LedgerFault::Fails);
    world.interleaved.set(true);
    let mut open = Open::new(&location, Asking::new("POST", "/api/orders"));
    while open.answer().is_none() {
        assert!(!open.poll(), "there is something left for later");
    }
    world.ledger_fault.set(LedgerFault::None);
    assert!(open.run());
    assert_eq!(open.answer().and_then(|seen| seen.field("epoch-token").map(str::to_string)), None);
    assert_eq!(get(&location, PULSE).cache_status(), "hit; ttl=300; detail=edge/invalidated");
}

#[test]
fn counters_are_put_back_before_a_purge_is_confirmed_but_not_waited_for() {
    let world = World::new();
    let location = Location::new(&world);
    get(&location, OPS);
    let copies = location.shelf.texts();
    world.pass(1_001);
    world.hold(Point::SharedPut);
    let open = Open::new(&location, Asking::purge(r#"{"mode":"hard","routes":["ops"]}"#));
    let open = check_wait(open, &location, 100);
    assert_eq!(open.answer().map(|seen| seen.status), Some(202));
    world.release(Point::SharedPut);
    // They did not arrive; the isolate itself has them.
    assert_eq!(location.shelf.texts(), copies);
    assert_eq!(get(&location, OPS).serial(), Some(2));
}

/// Their age counts from when the order was given: the increment that it shares comes before its answer arrives.
#[test]
fn counters_that_are_put_back_are_as_old_as_the_order() {
    let world = World::new();
    let (here, there) = (Location::new(&world), Location::new(&world));
    get(&here, OPS);
    purge(&there, r#"{"mode":"hard","routes":["cx"]}"#);
    world.pass(900);
    let given_at = world.now();
    world.hold(Point::LedgerOrdered);
    let mut slow = Open::new(&here, Asking::purge(r#"{"mode":"hard","routes":["ops"]}"#));
    assert!(!slow.run());
    world.pass(700);
    world.release(Point::LedgerOrdered);
    assert!(slow.run());
    let receipt = slow.answer().expect("a receipt");
    assert_eq!(receipt.time("effective_by"), given_at + 5_100);
    world.set_now(given_at + 5_000);
    assert_eq!(get(&here, OPS).serial(), Some(1));
    world.set_now(receipt.time("effective_by") + 1);
    assert_eq!(get(&here, OPS).serial(), Some(2));
}

#[test]
fn a_token_renews_the_copy_at_most_every_quarter_of_a_second() {
    let world = World::new();
    let (here, there) = (Location::new(&world), Location::new(&world));
    get(&there, PULSE);
    let token = purge(&here, r#"{"mode":"hard","routes":["sales_pulse"]}"#);
    world.pass(50);
    assert_eq!(world.ledger_questions.get(), 1);
    let newer = Asking::get(PULSE).with("x-newer-than", &token);
    let open = check_wait(Open::new(&there, newer.clone()), &there, 200);
    assert_eq!(open.answer().and_then(|seen| seen.serial()), Some(2));
    assert_eq!(world.ledger_questions.get(), 2);
    assert_eq!(ask(&there, newer).origin_requests, 0);
    assert_eq!(world.ledger_questions.get(), 2);
}

#[test]
fn a_token_of_another_tenant_changes_nothing_and_costs_no_question() {
    let world = World::new();
    let (here, foreign) = (Location::new(&world), Location::of_tenant(&world, "other.test"));
    get(&here, OPS);
    let token = purge(&foreign, r#"{"mode":"hard","all":true}"#);
    world.pass(1_000);
    let before = world.ledger_questions.get();
    let seen = ask(&here, Asking::get(OPS).with("x-newer-than", &token));
    assert_eq!((seen.origin_requests, seen.cache_status()), (0, "hit; ttl=299; detail=edge"));
    assert_eq!(world.ledger_questions.get(), before);
}

#[test]
fn a_ledger_that_restarts_knows_what_it_knew() {
    let world = World::new();
    let (here, there) = (Location::new(&world), Location::new(&world));
    get(&here, OPS);
    purge(&there, r#"{"mode":"hard","routes":["cx"]}"#);
    let token = purge(&there, r#"{"mode":"hard","routes":["ops"]}"#);
    world.object(&tenant()).restart();
    world.pass(500);
    let seen = ask(&here, Asking::get(OPS).with("x-newer-than", &token));
    assert_eq!((seen.serial(), seen.cache_status()), (Some(2), "fwd=uri-miss; fwd-status=200; stored; detail=purged"));
}

/// Whatever was in store is absent for whoever asks the ledger anew, and what is fetched then stays.
#[test]
fn a_ledger_that_lost_its_memory_brings_nothing_back() {
    let world = World::new();
    let here = Location::new(&world);
    get(&here, OPS);
    world.pass(1_000);
    purge(&here, r#"{"mode":"hard","all":true}"#);
    get(&here, OPS);
    world.pass(1_000);
    world.object(&tenant()).lose();
    let there = Location::new(&world);
    assert_eq!(get(&there, OPS).serial(), Some(3));
    world.pass(5_001);
    assert_eq!((get(&here, OPS).serial(), get(&there, OPS).serial()), (Some(3), Some(3)));
}

/// A clock that is behind as well would let its positions run below those in the heads.
#[test]
fn a_ledger_that_lost_its_memory_and_has_its_clock_behind_brings_nothing_back_and_purges_again() {
    for behind in [1, 300, 2_000, 3_600_000] {
        let world = World::new();
        let (here, other) = (Location::new(&world), Location::new(&world));
        world.pass(10_000);
        for _ in 0..3 {
            purge(&here, r#"{"mode":"hard","all":true}"#);
            world.pass(2_000);
        }
        assert_eq!(get(&here, OPS).serial(), Some(1));
        world.object(&tenant()).lose();
        world.object(&tenant()).behind.set(behind + 4_000);
        for location in [&here, &other] {
            world.pass(5_001);
            // From before the loss: it may have been purged since, and nobody would know.
            let first = get(location, OPS);
            assert!(first.serial() > Some(1), "{behind}: {}", first.cache_status());
            assert_eq!(get(location, OPS).serial(), first.serial(), "{behind}: what is fetched then stays");
        }
        let before = u64::try_from(world.origin.count()).expect("few");
        purge(&here, r#"{"mode":"hard","routes":["ops"]}"#);
        world.pass(5_001 + behind + 4_000);
        for location in [&other, &here] {
            assert!(get(location, OPS).serial() > Some(before), "{behind}: a purge after the loss");
        }
    }
}
