//! What a purge covers, in every tier, and what it does to a fill that is under way.

use crate::client::{Open, ask, get};
use crate::fakes::{Asking, Location, PutFault, World};
use crate::table::{Entry, entries, filled};
use serde_json::{Value, json};
use std::rc::Rc;

const OPS: &str = "/api/dashboard/tiles/ops";

/// Which of the stores still holds the answers when they are asked for.
#[derive(Debug, Clone, Copy)]
enum Held {
    Both,
    KvAlone,
    EdgeAlone,
}

/// Purges what `body` names out of a full store: exactly the covered entries are absent, whether it is a `hard` purge
/// or an `erase`.
#[track_caller]
fn check(body: &Value, covers: impl Fn(&Entry) -> bool) {
    for mode in ["hard", "erase"] {
        let mut body = body.clone();
        body["mode"] = mode.into();
        check_absent(&body, &covers);
    }
}

#[track_caller]
fn check_absent(body: &Value, covers: &impl Fn(&Entry) -> bool) {
    for held in [Held::Both, Held::KvAlone, Held::EdgeAlone] {
        let location = filled();
        let confirmed = ask(&location, Asking::purge(body.to_string()));
        assert_eq!((confirmed.status, confirmed.origin_requests), (202, 0), "{body}: {}", confirmed.text());
        match held {
            Held::Both => {}
            Held::KvAlone => location.edge.clear(),
            Held::EdgeAlone => location.world.kv.clear(),
        }
        for entry in entries() {
            let there = match held {
                Held::Both | Held::EdgeAlone => true,
                Held::KvAlone => entry.stored.hot,
            };
            let seen = get(&location, &entry.url);
            let expected = usize::from(covers(&entry) || !there);
            assert_eq!(seen.origin_requests, expected, "{body}, {held:?}: {}: {}", entry.url, seen.cache_status());
            assert_eq!(seen.cache_status().ends_with("; detail=purged"), covers(&entry) && there, "{}", entry.url);
            let again = get(&location, &entry.url);
            assert_eq!(again.origin_requests, 0, "{body}, {held:?}: {} is filled again", entry.url);
        }
    }
}

#[test]
fn a_purge_of_all_covers_everything() {
    check(&json!({ "all": true }), |_| true);
}

#[test]
fn a_purge_by_class_covers_its_routes() {
    for class in ["near_real_time", "historical", "aggregate", "comparison"] {
        check(&json!({ "classes": [class] }), |entry| entry.route.class == class);
    }
}

#[test]
fn a_purge_by_route_covers_all_keys_of_it() {
    for name in ["ops", "cx", "trends_revenue", "compare_qoq"] {
        check(&json!({ "routes": [name] }), |entry| entry.route.name == name);
    }
}

#[test]
fn a_purge_by_key_or_url_covers_that_entry() {
    for purged in entries().iter().filter(|entry| ["ops", "trends_revenue"].contains(&entry.route.name.as_ref())) {
        check(&json!({ "keys": [purged.key] }), |entry| entry.key == purged.key);
        check(&json!({ "urls": [purged.url] }), |entry| entry.key == purged.key);
        let absolute = format!("https://dash.test{}", purged.url);
        check(&json!({ "urls": [absolute] }), |entry| entry.key == purged.key);
    }
}

#[test]
fn every_entry_can_be_purged_by_its_key_and_by_its_url() {
    for entry in entries() {
        for body in [json!({ "mode": "hard", "keys": [entry.key] }), json!({ "mode": "hard", "urls": [entry.url] })] {
            let confirmed = ask(&Location::new(&World::new()), Asking::purge(body.to_string()));
            assert_eq!((confirmed.status, confirmed.origin_requests), (202, 0), "{body}");
            assert_eq!(confirmed.json()["purged"]["keys"], json!([entry.key]));
        }
    }
}

/// Holds a fill after its `awaits`-th await, purges in another data centre, and lets it go on. Whether it got so far.
fn purge_during_a_fill(awaits: usize, has_counters: bool, purge: &Value, put: PutFault) -> bool {
    let world = World::new();
    let location = Location::new(&world);
    let elsewhere = Location::new(&world);
    if has_counters {
        // From before the purge: they are as old as they may be when the promise falls due.
        get(&location, "/api/dashboard/tiles/cx");
        get(&elsewhere, "/api/dashboard/tiles/cx");
    }
    let serial = u64::try_from(world.origin.count() + 1).ok();
    world.kv.put_fault.set(put);
    world.interleaved.set(true);
    let mut fill = Open::new(&location, Asking::get(OPS));
    if (0..awaits).any(|_| fill.poll()) {
        return false;
    }
    let receipt = ask(&elsewhere, Asking::purge(purge.to_string()));
    assert_eq!(receipt.status, 202);
    let fetched_before = world.origin.count();
    assert!(fill.run());
    assert_eq!(fill.answer().map(|seen| (seen.status, seen.serial())), Some((200, serial)));
    world.kv.land();
    // Whoever asks where it was purged gets nothing that was fetched before, and nobody does once the promise is due.
    let at_once = get(&elsewhere, OPS).serial().and_then(|serial| usize::try_from(serial).ok());
    assert!(at_once > Some(fetched_before), "after {awaits} awaits: {at_once:?}");
    world.set_now(receipt.time("effective_by") + 1);
    for (location, clear) in [(&location, false), (&elsewhere, false), (&location, true), (&elsewhere, true)] {
        if clear {
            location.edge.clear();
            location.shelf.clear();
        }
        let seen = get(location, OPS);
        assert_eq!(seen.status, 200);
        let serial = seen.serial().and_then(|serial| usize::try_from(serial).ok());
        assert!(serial > Some(fetched_before), "after {awaits} awaits: {} of {serial:?}", seen.cache_status());
    }
    true
}

#[test]
fn a_purge_at_any_await_of_a_fill_lets_nothing_older_come_back() {
    let scopes = [
        json!({ "mode": "hard", "all": true }),
        json!({ "mode": "hard", "classes": ["near_real_time"] }),
        json!({ "mode": "hard", "routes": ["ops"] }),
        json!({ "mode": "hard", "keys": ["dashboard:tile:ops:v1"] }),
    ];
    for purge in &scopes {
        for put in [PutFault::None, PutFault::Late, PutFault::FailsButLands] {
            for (has_counters, at_least) in [(true, 7), (false, 10)] {
                let awaits = (1..100).take_while(|awaits| purge_during_a_fill(*awaits, has_counters, purge, put));
                let awaits = awaits.count();
                assert!(awaits >= at_least, "a fill of a hot route waits {awaits} times");
            }
        }
    }
}

/// Two readers and a purge between their steps: in every order of their steps, the answers after it are new. In one
/// isolate, where the second may wait for the first, and in two.
#[test]
fn two_fills_and_a_purge_in_any_order_leave_nothing_older() {
    for first in 0..14 {
        for second in 0..14 {
            for (older_ends_last, apart) in [(true, true), (false, true), (true, false), (false, false)] {
                let world = World::new();
                let location = Location::new(&world);
                let other = if apart { Location::beside(&location) } else { location.clone() };
                world.interleaved.set(true);
                let (mut a, mut b) = (Open::new(&location, Asking::get(OPS)), Open::new(&other, Asking::get(OPS)));
                let mut ended = [(0..first).any(|_| a.poll()), (0..second).any(|_| b.poll())];
                assert_eq!(ask(&location, Asking::purge(r#"{"mode":"hard","all":true}"#)).status, 202);
                let fetched_before = world.origin.count();
                // Whoever waits for the other comes to its end after it.
                let order = if older_ends_last { [1, 0, 1] } else { [0, 1, 0] };
                for index in order {
                    let open = if index == 0 { &mut a } else { &mut b };
                    ended[index] = ended[index] || open.run();
                }
                assert_eq!(ended, [true, true]);
                world.pass(1_001);
                for location in [&location, &other] {
                    let serial = get(location, OPS).serial().and_then(|serial| usize::try_from(serial).ok());
                    let case = format!("{first}, {second}, {older_ends_last}, {apart}");
                    assert!(serial > Some(fetched_before), "{case}: {serial:?}");
                }
            }
        }
    }
}

#[test]
fn more_key_purges_than_have_counters_still_purge_each_key() {
    let location = filled();
    let keys: Vec<String> = entries().into_iter().map(|entry| entry.key).collect();
    for round in 0..30 {
        let confirmed = ask(&location, Asking::purge(json!({ "mode": "hard", "keys": keys }).to_string()));
        assert_eq!(confirmed.status, 202, "{round}");
        location.world.pass(1_000);
    }
    for entry in entries() {
        assert_eq!(get(&location, &entry.url).origin_requests, 1, "{}", entry.url);
    }
}

/// A purge of one tenant in its own ledger leaves the other's answers.
#[test]
fn tenants_are_apart() {
    let world = World::new();
    let (one, other) = (Location::of_tenant(&world, "one.test"), Location::of_tenant(&world, "other.test"));
    let both: [&Rc<Location>; 2] = [&one, &other];
    for (serial, location) in (1..).zip(both) {
        assert_eq!(get(location, OPS).serial(), Some(serial));
    }
    assert_eq!(world.kv.keys(), ["one.test/dashboard:tile:ops:v1", "other.test/dashboard:tile:ops:v1"]);
    for (serial, location) in (1..).zip(both) {
        location.edge.clear();
        assert_eq!(get(location, OPS).serial(), Some(serial));
    }
    let foreign = ask(&one, Asking::purge(r#"{"mode":"hard","all":true,"tenant":"other.test"}"#));
    assert_eq!((foreign.status, foreign.origin_requests), (422, 0));
}

/// A head as it is stored, and what a reader makes of it after a change.
#[track_caller]
fn check_head(change: impl Fn(&str) -> String, origin_requests: usize) {
    let key = "shop.test/dashboard:tile:ops:v1";
    let world = World::new();
    let location = Location::new(&world);
    get(&location, OPS);
    let head = change(&location.edge.head(key).unwrap_or_default());
    location.edge.overwrite(key, &head);
    world.kv.overwrite(key, &head);
    let seen = get(&location, OPS);
    assert_eq!((seen.status, seen.origin_requests), (200, origin_requests), "{head}");
    assert_eq!(get(&location, OPS).origin_requests, 0);
}

#[test]
fn a_head_of_another_format_or_of_junk_is_a_miss() {
    check_head(str::to_string, 0);
    check_head(|head| head.replace("\"v\":1", "\"v\":2"), 1);
    check_head(|head| head.replace("\"e\":", "\"e\":-"), 1);
    check_head(|head| head.replace("\"e\":", "\"x\":"), 1);
    for junk in ["", "{}", "null", "<html>"] {
        check_head(|_| junk.to_string(), 1);
    }
}

/// Two purges with a fill in between: the later one counts, whatever the earlier one covered.
#[test]
fn an_earlier_purge_of_another_scope_hides_no_later_one() {
    let scopes = [
        json!({ "mode": "hard", "all": true }),
        json!({ "mode": "hard", "classes": ["near_real_time"] }),
        json!({ "mode": "hard", "routes": ["ops"] }),
        json!({ "mode": "hard", "keys": ["dashboard:tile:ops:v1"] }),
    ];
    for earlier in &scopes {
        for later in &scopes {
            let location = Location::new(&World::new());
            assert_eq!(ask(&location, Asking::purge(earlier.to_string())).status, 202);
            assert_eq!((get(&location, OPS).origin_requests, get(&location, OPS).origin_requests), (1, 0), "{earlier}");
            location.world.pass(1_000);
            assert_eq!(ask(&location, Asking::purge(later.to_string())).status, 202);
            assert_eq!(
                (get(&location, OPS).origin_requests, get(&location, OPS).origin_requests),
                (1, 0),
                "{earlier}, {later}"
            );
        }
    }
}
