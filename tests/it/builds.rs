//! Two builds side by side, as while one takes the other's place: stores, ledger and data centre are shared, and each
//! judges what it finds there by rules of its own.

use crate::client::{ask, get};
use crate::fakes::{Asking, Location, World};
use hotrod_edge::rules::load;
use std::rc::Rc;

const OPS: &str = "/api/dashboard/tiles/ops";
const CX: &str = "/api/dashboard/tiles/cx";
const TRENDS: &str = "/api/dashboard/trends/revenue?days=30";

/// What the next build changes: a key, and the lifetime of a class.
const CHANGES: [(&str, &str); 2] =
    [("key = \"dashboard:tile:ops:v1\"", "key = \"dashboard:tile:ops:v2\""), ("s_maxage = 300\n", "s_maxage = 60\n")];

/// An isolate of each build, in one data centre.
fn builds() -> (Rc<World>, Rc<Location>, Rc<Location>) {
    let world = World::new();
    let before = Location::remembering(&world);
    let mut text = include_str!("../../rules.toml").to_string();
    for (there, instead) in CHANGES {
        assert_eq!(text.matches(there).count(), 1, "{there}");
        text = text.replace(there, instead);
    }
    let after = Location::of_another_build(&before, load("rules.toml", &text).expect("right"));
    (world, before, after)
}

#[track_caller]
fn check(location: &Rc<Location>, url: &str, cache_status: &str, serial: u64) {
    let seen = get(location, url);
    assert_eq!((seen.status, seen.cache_status(), seen.serial()), (200, cache_status, Some(serial)), "{url}");
}

const STORED: &str = "fwd=uri-miss; fwd-status=200; stored";
const PURGED: &str = "fwd=uri-miss; fwd-status=200; stored; detail=purged";

#[test]
fn what_one_build_names_otherwise_the_other_never_reads() {
    let (world, before, after) = builds();
    check(&before, OPS, STORED, 1);
    check(&after, OPS, STORED, 2);
    // Where both put it.
    for location in [&before, &after] {
        location.edge.land();
        world.kv.land();
    }
    for (location, serial) in [(&before, 1), (&after, 2)] {
        let ttl = if serial == 1 { 300 } else { 60 };
        check(location, OPS, &format!("hit; ttl={ttl}; detail=memory"), serial);
    }
}

#[test]
fn what_both_name_alike_each_judges_by_its_own_lifetimes() {
    let (world, before, after) = builds();
    check(&before, CX, STORED, 1);
    world.pass(70_000);
    check(&before, CX, "hit; ttl=230; detail=memory", 1);
    check(&after, CX, "hit; ttl=-10; detail=edge/expired", 1);
    // It was renewed behind that answer, and both find it.
    check(&after, CX, "hit; ttl=60; detail=memory", 2);
    let beside = Location::beside(&before);
    // Nor does a longer one lengthen what was stored for a shorter time.
    check(&beside, CX, "hit; ttl=60; detail=edge", 2);
}

#[test]
fn a_purge_that_one_build_was_asked_for_holds_in_both() {
    for asked_of in 0..2 {
        let (world, before, after) = builds();
        let both = [&before, &after];
        for location in both {
            for url in [OPS, CX, TRENDS] {
                assert_eq!(get(location, url).status, 200);
            }
        }
        let asked = world.origin.count() as u64;
        let purge = r#"{"routes":["ops"],"classes":["historical"],"mode":"hard"}"#;
        assert_eq!(ask(both[asked_of], Asking::purge(purge)).status, 202);
        world.pass(61_000);
        check(&before, OPS, PURGED, asked + 1);
        check(&after, OPS, PURGED, asked + 2);
        check(&before, TRENDS, PURGED, asked + 3);
        check(&after, TRENDS, "hit; ttl=600; detail=edge", asked + 3);
        // By the name that only one of them has.
        let purge = r#"{"keys":["dashboard:tile:ops:v1"],"mode":"hard"}"#;
        assert_eq!(ask(&before, Asking::purge(purge)).status, 202);
        world.pass(6_000);
        check(&before, OPS, PURGED, asked + 4);
        assert!(get(&after, OPS).cache_status().starts_with("hit"));
    }
}
