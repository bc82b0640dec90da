//! How many calls one request makes of what is outside, with all that comes after its answer: the platform ends a
//! request after so many, and each costs time.

use crate::client::ask;
use crate::fakes::{Asking, GetFault, LedgerFault, Location, OriginFault, PutFault, Scripted, World};
use crate::spec::rfc9111::rules;
use crate::table::entries;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Subrequests of one request on the platform's smallest plan.
const CALLS_AT_MOST: usize = 50;

/// What the world is like when the request comes.
const STATES: [&str; 11] = [
    "nothing stored",
    "all fails",
    "stored",
    "in another location",
    "expired",
    "long expired",
    "soft purge",
    "hard purge",
    "purge elsewhere",
    "ledger fails",
    "origin fails",
];

/// Brings it about. The requests that this takes are not counted.
fn bring_about(state: &str, world: &Rc<World>, location: &Rc<Location>, asking: &Asking) {
    let purge = |mode: &str, at: &Rc<Location>| {
        assert_eq!(ask(at, Asking::purge(format!(r#"{{"all":true,"mode":"{mode}"}}"#))).status, 202);
    };
    if !["nothing stored", "all fails", "in another location"].contains(&state) {
        ask(location, asking.clone());
    }
    world.pass(1_500);
    match state {
        "in another location" => {
            ask(&Location::with_leases(world), asking.clone());
        }
        "expired" => world.pass(310_000),
        "long expired" => world.pass(90_000_000),
        "soft purge" => purge("soft", location),
        "hard purge" => purge("hard", location),
        "purge elsewhere" => {
            purge("hard", &Location::new(world));
            world.pass(61_000);
        }
        "ledger fails" => {
            world.pass(61_000);
            world.ledger_fault.set(LedgerFault::Fails);
        }
        "origin fails" => {
            world.pass(90_000_000);
            world.origin.fault.set(OriginFault::Fails);
        }
        "all fails" => {
            world.ledger_fault.set(LedgerFault::Fails);
            world.origin.fault.set(OriginFault::Fails);
            for store in [&location.edge, &world.kv] {
                store.get_fault.set(GetFault::Fails);
                store.put_fault.set(PutFault::Fails);
            }
        }
        _ => {}
    }
}

/// Every kind of request that there is.
fn requests() -> Vec<Asking> {
    let mut requests: Vec<_> = entries().iter().map(|entry| Asking::get(&entry.url)).collect();
    let ops = "/api/dashboard/tiles/ops";
    requests.extend([
        Asking::new("HEAD", ops),
        Asking::new("POST", "/api/orders"),
        Asking::new("DELETE", ops),
        Asking::get("/api/realtime/sla"),
        Asking::get("/api/none-of-the-routes"),
        Asking::get("/nowhere"),
        Asking::get("/cache/health"),
        Asking::get("/api/pages/a").with("accept-language", "de"),
        Asking::get("/api/pages/a").with("range", "bytes=0-3"),
        Asking::get(ops).with("cache-control", "no-cache"),
        Asking::new("POST", "/cache/refresh").sending(format!(r#"{{"url":"{ops}"}}"#)),
        Asking::purge(r#"{"all":true,"mode":"erase"}"#),
        Asking::purge(r#"{"urls":["/api/dashboard/tiles/ops","/api/dashboard/tiles/cx"],"tags":["a","b"]}"#),
    ]);
    requests
}

#[test]
fn no_request_makes_more_calls_than_the_platform_allows_whatever_it_meets() {
    let mut most: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    for asking in requests() {
        for state in STATES {
            let world = World::new();
            let location = Location::with_settings(&world, &[("MEMORY_BYTES", "1000000")], Some(rules()));
            if asking.url.contains("/api/pages/") {
                let line = |name: &str, value: &str| (name.to_string(), value.to_string());
                let lines = vec![line("cache-control", "max-age=60"), line("vary", "accept-language")];
                world.origin.scripted.replace(Some(Scripted { status: 200, lines, body: None }));
                ask(&location, Asking::get("/api/pages/a").with("accept-language", "en"));
            }
            bring_about(state, &world, &location, &asking);
            let before = world.calls.get();
            ask(&location, asking.clone());
            let calls = world.calls.get() - before;
            let named = most.entry(state).or_default();
            if calls > named.0 {
                *named = (calls, format!("{} {}", asking.method, asking.url));
            }
        }
    }
    for (state, (calls, asking)) in &most {
        println!("{state}: {calls} calls at most: {asking}");
        assert!(*calls <= CALLS_AT_MOST / 2, "{state}: {asking}: {calls} calls");
    }
    // It counts what there is: ledger, counters, stores, origin, puts.
    assert!(most["nothing stored"].0 >= 6, "{most:?}");
}
