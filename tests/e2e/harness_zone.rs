//! The stand-in of the zone's API: what it refuses, its limit, its faults, and what a purge reaches.

use std::time::{Duration, Instant};

use lab::client::{Call, Response};
use lab::gate::Gate;
use lab::stores::CacheStore;
use lab::wire::Fields;
use lab::zone::{ZONE, ZONE_TOKEN, Zone, ZoneFault};
use serde_json::{Value, json};

fn path() -> String {
    format!("/client/v4/zones/{ZONE}/purge_cache")
}

fn call(path: &str, token: &str, body: &Value) -> Call {
    Call::new("POST", path).field("Authorization", format!("Bearer {token}")).body(body.to_string())
}

#[track_caller]
fn purge(zone: &Zone, tags: &[&str]) -> Response {
    call(&path(), ZONE_TOKEN, &json!({"tags": tags})).send(zone.address()).expect("an answer")
}

fn keep(cache: &CacheStore, url: &str, tags: &str) {
    let fields = Fields(vec![("Cache-Tag".to_owned(), tags.to_owned())]);
    cache.insert("one", url, fields, b"body", Duration::from_mins(1));
}

#[test]
fn a_purge_reaches_what_carries_the_tag_in_every_cache() {
    let zone = Zone::start();
    let caches = [CacheStore::new(), CacheStore::new()];
    for cache in &caches {
        zone.reaches(cache);
        keep(cache, "https://a/", "one, Two");
        keep(cache, "https://b/", "twofold");
    }
    let said = purge(&zone, &["two", "nowhere"]);
    assert_eq!((said.status, &said.json()["success"], &said.json()["result"]["id"]), (200, &json!(true), &json!(ZONE)));
    for cache in &caches {
        assert_eq!(cache.urls("one"), ["https://b/"]);
    }
    let calls = zone.calls();
    assert_eq!(
        (calls.len(), &calls[0].tags[..], calls[0].status),
        (1, &["two".to_owned(), "nowhere".to_owned()][..], Some(200))
    );
    assert!(said.started <= calls[0].at && calls[0].at <= said.ended);
}

#[test]
fn what_is_wrong_is_refused_and_purges_nothing() {
    let zone = Zone::start();
    let cache = CacheStore::new();
    zone.reaches(&cache);
    keep(&cache, "https://a/", "t");
    let tags = json!({"tags": ["t"]});
    let of = |count: usize| json!({"tags": vec!["t"; count]});
    let refused = [
        (call("/client/v4/zones/another/purge_cache", ZONE_TOKEN, &tags), 404),
        (call(&format!("{}/", path()), ZONE_TOKEN, &tags), 404),
        (Call::get(path()).field("Authorization", format!("Bearer {ZONE_TOKEN}")), 405),
        (call(&path(), "another", &tags), 403),
        (Call::new("POST", path()).body(tags.to_string()), 403),
        (call(&path(), ZONE_TOKEN, &json!("t")), 400),
        (call(&path(), ZONE_TOKEN, &json!({})), 400),
        (call(&path(), ZONE_TOKEN, &json!({"tags": "t"})), 400),
        (call(&path(), ZONE_TOKEN, &json!({"tags": ["t", 1]})), 400),
        (call(&path(), ZONE_TOKEN, &json!({"tags": ["t", ""]})), 400),
        (call(&path(), ZONE_TOKEN, &json!({"tags": ["t", "x".repeat(1025)]})), 400),
        (call(&path(), ZONE_TOKEN, &json!({"tags": ["t"], "purge_everything": true})), 400),
        (call(&path(), ZONE_TOKEN, &of(0)), 400),
        (call(&path(), ZONE_TOKEN, &of(101)), 400),
    ];
    for (call, status) in &refused {
        let said = call.send(zone.address()).expect("an answer");
        assert_eq!(said.status, *status, "{call}: {}", said.text());
        let body = said.json();
        assert_eq!((&body["success"], &body["result"]), (&json!(false), &Value::Null));
        assert!(body["errors"][0]["code"].is_u64() && body["errors"][0]["message"].is_string(), "{body}");
    }
    assert_eq!(cache.urls("one").len(), 1);
    assert_eq!(zone.calls().len(), refused.len());
    assert_eq!(call(&path(), ZONE_TOKEN, &of(100)).send(zone.address()).expect("an answer").status, 200);
    assert_eq!(cache.urls("one").len(), 0);
}

#[test]
fn calls_are_limited_and_come_back_with_time() {
    let zone = Zone::start();
    zone.limit(2, 2.0);
    let said = [purge(&zone, &["t"]), purge(&zone, &["t"]), purge(&zone, &["t"])];
    let emptied = Instant::now();
    assert_eq!(said.each_ref().map(|answer| answer.status), [200, 200, 429]);
    assert_eq!(said[2].field("Retry-After"), Some("1"));
    std::thread::sleep((emptied + Duration::from_millis(550)).saturating_duration_since(Instant::now()));
    assert_eq!(purge(&zone, &["t"]).status, 200);
    assert_eq!(purge(&zone, &["t"]).status, 429);

    zone.limit(0, 0.0);
    assert_eq!(purge(&zone, &["t"]).field("Retry-After"), Some("3600"));
}

#[test]
fn a_new_zone_has_the_limit_of_the_free_plan() {
    let zone = Zone::start();
    let answered: Vec<_> = (0..26).map(|_| purge(&zone, &["t"]).status).collect();
    assert_eq!((&answered[..25], answered[25]), (&[200; 25][..], 429));
}

#[test]
fn it_fails_hangs_and_hangs_up_until_it_is_healed() {
    let zone = Zone::start();
    let cache = CacheStore::new();
    zone.reaches(&cache);
    keep(&cache, "https://a/", "t");
    zone.fail(ZoneFault::Status(500));
    let said = purge(&zone, &["t"]);
    assert_eq!((said.status, &said.json()["success"]), (500, &json!(false)));

    zone.fail(ZoneFault::HangUp);
    let ask = || call(&path(), ZONE_TOKEN, &json!({"tags": ["t"]})).send(zone.address());
    assert!(ask().is_err());

    let gate = Gate::new();
    zone.fail(ZoneFault::Hang(gate.clone()));
    std::thread::scope(|scope| {
        let hanging = scope.spawn(ask);
        gate.wait_for_arrivals(1);
        assert!(!hanging.is_finished());
        gate.open();
        assert!(hanging.join().expect("no panic").is_err());
    });
    assert_eq!(zone.calls().iter().map(|call| call.status).collect::<Vec<_>>(), [Some(500), None, None]);
    assert_eq!(cache.urls("one").len(), 1);
    zone.heal();
    assert_eq!(purge(&zone, &["t"]).status, 200);
    assert_eq!(cache.urls("one").len(), 0);
}
