//! Stores that are down, slow, full or wrong: each costs at most its limit, then nothing, and is never seen in an answer.
//! And the memory of an isolate, which answers without them.

use crate::client::{Open, Seen, ask, get};
use crate::fakes::{Asking, GetFault, Location, Point, PutFault, Scripted, World};
use hotrod_edge::ports::Ports as _;
use std::rc::Rc;

const OPS: &str = "/api/dashboard/tiles/ops";
const OPS_NAME: &str = "shop.test/dashboard:tile:ops:v1";
const HIT_IN_MEMORY: &str = "hit; ttl=300; detail=memory";

fn purge(location: &Rc<Location>, mode: &str) {
    let body = format!(r#"{{"routes":["ops"],"mode":"{mode}"}}"#);
    assert_eq!(ask(location, Asking::purge(body)).status, 202);
}

/// All stores of a location fail from now on.
fn break_all(location: &Location) {
    for store in [&location.edge, &location.world.kv] {
        store.get_fault.set(GetFault::Fails);
        store.put_fault.set(PutFault::Fails);
    }
    location.shelf.fails.set(true);
}

#[track_caller]
fn counted(world: &World, expected: &[(&str, u64)]) {
    let incidents = world.incidents();
    for (word, times) in expected {
        assert_eq!(incidents.get(word).copied().unwrap_or(0), *times, "{word}: {incidents:?}");
    }
}

/// A miss in this data centre.
#[track_caller]
fn misses_here(location: &Rc<Location>) -> Seen {
    location.edge.clear();
    let seen = get(location, OPS);
    assert_eq!(seen.status, 200);
    seen
}

#[test]
fn a_kv_that_fails_is_a_miss_then_costs_nothing_and_is_asked_again_when_it_is_well() {
    let world = World::new();
    let location = Location::new(&world);
    world.kv.get_fault.set(GetFault::Fails);
    for serial in 1..=20 {
        assert_eq!(misses_here(&location).serial(), Some(serial));
    }
    counted(&world, &[("kv_get_failed", 5), ("kv_get_skipped", 15), ("kv_get_breaker", 1)]);
    world.kv.get_fault.set(GetFault::None);
    world.pass(1_000);
    // Two probes succeed, and it is asked as before.
    for _ in 0..3 {
        assert_eq!(misses_here(&location).cache_status(), "hit; ttl=299; detail=kv");
    }
    counted(&world, &[("kv_get_failed", 5), ("kv_get_skipped", 15), ("kv_get_breaker", 2)]);
}

#[test]
fn a_kv_that_hangs_costs_its_limit_five_times_and_then_nothing() {
    let world = World::new();
    let location = Location::new(&world);
    world.kv.get_fault.set(GetFault::Hangs);
    for _ in 0..5 {
        location.edge.clear();
        let mut open = Open::new(&location, Asking::get(OPS));
        assert!(!open.run());
        world.pass(999);
        assert!(!open.run() && open.answer().is_none());
        world.pass(1);
        assert!(open.run());
        assert_eq!(open.answer().map(|seen| seen.status), Some(200));
    }
    assert_eq!(misses_here(&location).origin_requests, 1);
    counted(&world, &[("kv_get_failed", 5), ("kv_get_skipped", 1), ("kv_get_breaker", 1)]);
}

#[test]
fn a_kv_that_takes_no_writes_leaves_the_cache_api_and_one_line_in_the_log() {
    let world = World::new();
    let location = Location::new(&world);
    world.kv.put_fault.set(PutFault::Fails);
    for serial in 1..=20 {
        assert_eq!(misses_here(&location).serial(), Some(serial));
        assert_eq!(get(&location, OPS).cache_status(), "hit; ttl=300; detail=edge");
    }
    assert_eq!(world.kv.head(OPS_NAME), None);
    counted(&world, &[("kv_put_failed", 5), ("kv_put_skipped", 15), ("kv_put_breaker", 1), ("edge_put_failed", 0)]);
}

#[test]
fn a_put_that_hangs_is_given_up_and_does_not_count_as_written() {
    let world = World::new();
    let location = Location::new(&world);
    world.hold(Point::KvPut);
    let mut open = Open::new(&location, Asking::get(OPS));
    assert!(!open.run() && world.holds(Point::KvPut));
    assert_eq!(open.answer().map(|seen| seen.status), Some(200), "nobody waits for it");
    world.pass(5_000);
    assert!(open.run());
    counted(&world, &[("kv_put_failed", 1)]);
    assert!(location.flights().under_way_now().is_empty());
    assert_eq!(world.kv.head(OPS_NAME), None);
    misses_here(&location);
    assert!(world.kv.head(OPS_NAME).is_some(), "the next fill writes it");
}

#[test]
fn an_old_value_of_kv_after_a_purge_is_not_served() {
    let world = World::new();
    let location = Location::new(&world);
    get(&location, OPS);
    world.pass(2_000);
    purge(&location, "hard");
    assert_eq!(get(&location, OPS).serial(), Some(2));
    world.kv.get_fault.set(GetFault::Old);
    // The value before the purge's is all that it shows.
    assert_eq!(misses_here(&location).serial(), Some(3));
}

#[test]
fn what_kv_does_not_show_yet_costs_each_location_one_question() {
    let world = World::new();
    world.kv.put_fault.set(PutFault::Lost);
    for serial in 1..4 {
        let location = Location::new(&world);
        for origin_requests in [1, 0, 0] {
            let seen = get(&location, OPS);
            assert_eq!((seen.serial(), seen.origin_requests), (Some(serial), origin_requests));
        }
    }
}

#[test]
fn a_cache_api_that_keeps_nothing_leaves_memory_and_kv() {
    let world = World::new();
    let location = Location::remembering(&world);
    location.edge.put_fault.set(PutFault::Lost);
    assert_eq!(get(&location, OPS).origin_requests, 1);
    assert_eq!(get(&location, OPS).cache_status(), HIT_IN_MEMORY);
    assert_eq!(get(&Location::beside(&location), OPS).cache_status(), "hit; ttl=300; detail=kv");
}

#[test]
fn with_all_stores_down_at_once_the_edge_is_a_proxy_that_waits_for_nothing() {
    let world = World::new();
    let location = Location::new(&world);
    break_all(&location);
    let began = world.now();
    for serial in 1..=20 {
        let seen = get(&location, OPS);
        assert_eq!((seen.status, seen.serial(), seen.origin_requests), (200, Some(serial), 1));
    }
    assert_eq!(world.now(), began);
    counted(&world, &[("edge_get_failed", 5), ("kv_get_failed", 5), ("edge_put_failed", 5), ("kv_put_failed", 5)]);
    counted(&world, &[("edge_get_breaker", 1), ("snapshot_get_skipped", 0)]);
}

#[test]
fn memory_answers_while_all_stores_are_down() {
    let world = World::new();
    let location = Location::remembering(&world);
    get(&location, OPS);
    break_all(&location);
    for _ in 0..10 {
        let seen = get(&location, OPS);
        assert_eq!((seen.cache_status(), seen.serial(), seen.origin_requests), (HIT_IN_MEMORY, Some(1), 0));
    }
    counted(&world, &[("edge_get_failed", 0), ("kv_get_failed", 0)]);
}

#[test]
fn what_a_further_tier_had_is_in_memory_from_then_on() {
    let world = World::new();
    get(&Location::new(&world), OPS);
    let location = Location::remembering(&world);
    for detail in ["kv", "memory", "memory"] {
        assert_eq!(get(&location, OPS).cache_status(), format!("hit; ttl=300; detail={detail}"));
    }
    let beside = Location::beside(&location);
    for detail in ["edge", "memory"] {
        assert_eq!(get(&beside, OPS).cache_status(), format!("hit; ttl=300; detail={detail}"));
    }
    assert_eq!(world.origin.count(), 1);
}

#[test]
fn what_memory_has_goes_with_its_lifetime_and_with_a_purge() {
    let world = World::new();
    let location = Location::remembering(&world);
    get(&location, OPS);
    world.pass(2_000);
    purge(&location, "hard");
    assert_eq!((get(&location, OPS).serial(), location.memory(|memory| memory.held().entries)), (Some(2), 1));
    world.pass(20_000);
    purge(&location, "hard");
    world.origin.fault.set(crate::fakes::OriginFault::Fails);
    get(&location, OPS);
    assert_eq!(location.memory(|memory| memory.held().entries), 0, "what was purged is not kept");
    world.origin.fault.set(crate::fakes::OriginFault::None);
    world.pass(20_000);
    assert_eq!(get(&location, OPS).origin_requests, 1);
    world.pass(299_999);
    assert_eq!(get(&location, OPS).origin_requests, 0);
    world.pass(1);
    assert_eq!(get(&location, OPS).origin_requests, 1);
}

#[test]
fn what_memory_has_stale_does_not_hide_what_the_data_centre_has_fresh() {
    let world = World::new();
    let location = Location::remembering(&world);
    let beside = Location::beside(&location);
    get(&location, OPS);
    world.pass(2_000);
    purge(&location, "soft");
    assert_eq!(get(&beside, OPS).cache_status(), "hit; ttl=298; detail=edge/invalidated");
    let seen = get(&location, OPS);
    assert_eq!((seen.cache_status(), seen.serial()), ("hit; ttl=300; detail=edge", Some(2)));
    assert_eq!(get(&location, OPS).cache_status(), HIT_IN_MEMORY);
    assert_eq!(world.origin.count(), 2);
}

#[test]
fn a_body_that_is_not_what_its_head_says_is_a_miss_and_a_count() {
    for (name, word) in [("edge", "edge_body_corrupt"), ("kv", "kv_body_corrupt")] {
        let world = World::new();
        let location = Location::remembering(&world);
        get(&location, OPS);
        let reader = if name == "edge" { Location::beside(&location) } else { Location::remembering(&world) };
        let store = if name == "edge" { &location.edge } else { &world.kv };
        store.corrupt(OPS_NAME);
        let seen = get(&reader, OPS);
        assert_eq!((seen.status, seen.serial(), seen.origin_requests), (200, Some(2), 1));
        counted(&world, &[(word, 1)]);
        assert_eq!(get(&reader, OPS).cache_status(), HIT_IN_MEMORY);
    }
}

#[test]
fn a_large_body_is_not_held_in_memory() {
    let world = World::new();
    let location = Location::remembering(&world);
    let body = format!(r#"{{"status":"ok","data":"{}"}}"#, "x".repeat(64 * 1024));
    let lines = vec![("content-type".to_string(), "application/json".to_string())];
    let scripted = Scripted { status: 200, lines, body: Some(body.clone().into_bytes()) };
    world.origin.scripted.replace(Some(scripted));
    get(&location, OPS);
    for _ in 0..2 {
        let seen = get(&location, OPS);
        assert_eq!((seen.cache_status(), seen.text()), ("hit; ttl=300; detail=edge", body.clone()));
    }
    assert_eq!(location.memory(|memory| memory.held().entries), 0);
}
