//! What receipts promise is what readers see: after `effective_by` nothing older is served in any isolate of any data
//! centre, whatever was purged and how.

use crate::client::{Seen, ask, get};
use crate::fakes::{Asking, Location, World};
use crate::table::{Entry, entries};
use hotrod_edge::rules::Lifetimes;
use hotrod_edge::time::{UnixMillis, rfc3339};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Every entry, and where it is asked for: in two isolates of one data centre, and in another data centre.
struct Readers {
    world: Rc<World>,
    locations: [Rc<Location>; 3],
}

impl Readers {
    /// Everything is in store, and counters everywhere are as young as they can be.
    fn new() -> Self {
        let world = World::new();
        let here = Location::new(&world);
        let readers = Self { locations: [here.clone(), Location::beside(&here), Location::new(&world)], world };
        readers.each(|_, _| {});
        readers
    }

    /// Asks for every entry everywhere.
    fn each(&self, mut judge: impl FnMut(&Entry, &Seen)) {
        for location in &self.locations {
            for entry in entries() {
                let seen = get(location, &entry.url);
                assert_eq!(seen.status, 200, "{}", entry.url);
                judge(&entry, &seen);
            }
        }
    }
}

/// Spans from an increment, in milliseconds: when no reader serves what is older, and when no browser does.
fn spans(lifetimes: Lifetimes, mode: &str) -> (u64, u64) {
    let bound = u64::from(lifetimes.snapshot.bound) * 1000;
    let window = if mode == "soft" { u64::from(lifetimes.soft_window) * 1000 } else { 0 };
    (bound + window, u64::from(lifetimes.max_age) * 1000)
}

/// Purges what `body` names, and looks at the last moment before the promise is due and at the first one after it.
#[track_caller]
fn check(mode: &str, body: &Value, covers: impl Fn(&Entry) -> bool) {
    let mut body = body.clone();
    body["mode"] = mode.into();
    let readers = Readers::new();
    let Readers { world, locations: [here, ..] } = &readers;
    let receipt = ask(here, Asking::purge(body.to_string()));
    assert_eq!(receipt.status, 202, "{body}: {}", receipt.text());
    let (increment, effective) = (receipt.time("incremented_at"), receipt.time("effective_by"));
    let covered: Vec<_> = entries().into_iter().filter(|entry| covers(entry)).collect();
    let spans: Vec<_> = covered.iter().map(|entry| spans(entry.stored.lifetimes, mode)).collect();
    let longest = spans.iter().map(|(span, _)| *span).max().unwrap_or_default();
    let browser = spans.iter().map(|(_, browser)| *browser).max().unwrap_or_default();
    assert_eq!((increment, effective), (world.now(), world.now() + longest), "{body}");
    assert_eq!(receipt.time("beyond_by"), effective + browser, "{body}");
    let by_class: BTreeMap<_, _> = covered
        .iter()
        .zip(&spans)
        .map(|(entry, (span, _))| (entry.route.class.as_ref(), rfc3339(UnixMillis(increment + span))))
        .collect();
    assert_eq!(receipt.json()["effective_by_class"], json!(by_class), "{body}");

    let fetched_before = u64::try_from(world.origin.count()).unwrap_or_default();
    let is_older = |seen: &Seen| seen.serial().is_some_and(|serial| serial <= fetched_before);
    // Until it is due, some reader far away may not know of a hard purge yet: no receipt promises too late a time.
    if mode != "soft" && longest > 0 {
        world.set_now(effective);
        let slowest = covered.iter().zip(&spans).find(|(_, (span, _))| *span == longest).map(|(entry, _)| entry);
        let seen = slowest.map(|entry| get(&readers.locations[2], &entry.url));
        assert!(seen.is_some_and(|seen| is_older(&seen)), "{body}: promised for later than it takes");
    }
    world.set_now(effective + 1);
    readers.each(|entry, seen| {
        assert_eq!(is_older(seen), !covers(entry), "{body}: {}: {}", entry.url, seen.cache_status());
    });
}

#[track_caller]
fn check_modes(body: &Value, covers: impl Fn(&Entry) -> bool) {
    for mode in ["soft", "hard", "erase"] {
        check(mode, body, &covers);
    }
}

#[test]
fn a_purge_of_all_is_in_force_when_its_receipt_says() {
    check_modes(&json!({ "all": true }), |_| true);
}

#[test]
fn a_purge_by_class_is_in_force_when_its_receipt_says() {
    for class in ["near_real_time", "historical", "aggregate", "comparison"] {
        check_modes(&json!({ "classes": [class] }), |entry| entry.route.class == class);
    }
}

#[test]
fn a_purge_by_route_key_or_url_is_in_force_when_its_receipt_says() {
    for name in ["ops", "trends_revenue", "metrics_ytd", "compare_yoy"] {
        check_modes(&json!({ "routes": [name] }), |entry| entry.route.name == name);
    }
    for purged in entries().iter().filter(|entry| ["ops", "trends_revenue"].contains(&entry.route.name.as_ref())) {
        check_modes(&json!({ "keys": [purged.key] }), |entry| entry.key == purged.key);
        check_modes(&json!({ "urls": [purged.url] }), |entry| entry.key == purged.key);
    }
}

#[test]
fn a_purge_of_several_classes_is_promised_for_the_slowest_of_them() {
    let body = json!({ "routes": ["ops"], "classes": ["comparison"], "keys": ["dashboard:segments:v1"] });
    check_modes(&body, |entry| {
        ["ops", "segments"].contains(&entry.route.name.as_ref()) || entry.route.class == "comparison"
    });
}

/// The origin may put a tag on any answer, so a purge by tag is promised for the slowest class.
#[test]
fn a_purge_by_tag_is_promised_for_the_slowest_class() {
    for (mode, span) in [("soft", 120_000), ("hard", 60_000)] {
        let world = World::new();
        let receipt = ask(&Location::new(&world), Asking::purge(json!({ "mode": mode, "tags": ["a"] }).to_string()));
        assert_eq!((receipt.status, receipt.time("incremented_at")), (202, world.now()));
        assert_eq!(receipt.time("effective_by"), world.now() + span);
        assert_eq!(receipt.time("beyond_by"), world.now() + span + 3_600_000);
    }
}
