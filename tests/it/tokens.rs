//! Purge tokens: what lies within the scope of each is done, and the rest is refused before anything happens.

use crate::client::{Seen, ask, get};
use crate::fakes::{Asking, Location, TENANT, TOKEN, World};
use hotrod_edge::validation::digest;
use serde_json::{Value, json};
use std::rc::Rc;

const OPS: &str = "/api/dashboard/tiles/ops";
const OPS_KEY: &str = "dashboard:tile:ops:v1";
/// May purge softly within one class.
const NARROW: &str = "a-narrow-token";
/// May purge all of its tenant, and is of a deployment of many.
const WIDE: &str = "a-wide-token";
/// May purge all tenants at once.
const EVERYTHING: &str = "a-token-for-everything";
/// Is of another tenant.
const FOREIGN: &str = "a-foreign-token";

fn token(name: &str, token: &str, tenant: &str, classes: &[&str], modes: &[&str]) -> Value {
    let sha256 = digest(token.as_bytes());
    json!({ "name": name, "sha256": sha256, "tenants": [tenant], "classes": classes, "modes": modes, "per_minute": 6 })
}

fn location() -> Rc<Location> {
    let modes = ["soft", "hard", "erase"];
    let mut everything = token("everything", EVERYTHING, "*", &["*"], &["hard", "erase"]);
    everything["everything"] = json!(true);
    let tokens = json!([
        token("narrow", NARROW, TENANT, &["near_real_time"], &["soft"]),
        token("wide", WIDE, "*", &["*"], &modes),
        everything,
        token("foreign", FOREIGN, "other.test", &["*"], &modes),
    ]);
    Location::with_setting(&World::new(), "PURGE_TOKENS", &tokens.to_string())
}

fn purge(token: &str, body: &Value) -> Asking {
    let call = Asking::new("POST", "/cache/purge");
    call.with("authorization", &format!("Bearer {token}")).sending(body.to_string())
}

/// Done, and the tile is no plain hit any more.
#[track_caller]
fn permitted(token: &str, body: &Value) {
    let location = location();
    assert_eq!(get(&location, OPS).origin_requests, 1);
    let done = ask(&location, purge(token, body));
    assert_eq!((done.status, done.origin_requests), (202, 0), "{token}: {body}: {}", done.text());
    let tile = get(&location, OPS);
    assert_ne!(tile.cache_status(), "hit; ttl=300; detail=edge", "{token}: {body}");
    assert_eq!(tile.origin_requests, 1, "{token}: {body}");
}

/// Refused with this status and sentence; no ledger heard of it, and the tile is still a hit. A dry run is refused too.
#[track_caller]
fn refused(token: &str, body: &Value, status: u16, sentence: &str) {
    let location = location();
    assert_eq!(get(&location, OPS).origin_requests, 1);
    let before = location.world.counters(TENANT);
    for dry_run in [false, true] {
        let mut body = body.clone();
        body["dry_run"] = json!(dry_run);
        let refused = ask(&location, purge(token, &body));
        assert_eq!((refused.status, refused.origin_requests), (status, 0), "{token}: {body}: {}", refused.text());
        assert_eq!(refused.json()["detail"], format!("{sentence} Nothing was purged."), "{token}: {body}");
        assert_eq!(location.world.counters(TENANT), before, "{token}: {body}");
    }
    let tile = get(&location, OPS);
    assert_eq!((tile.origin_requests, tile.cache_status()), (0, "hit; ttl=300; detail=edge"), "{token}: {body}");
}

#[test]
fn what_lies_within_the_scope_of_a_token_is_done() {
    for named in [
        json!({ "classes": ["near_real_time"] }),
        json!({ "routes": ["ops"] }),
        json!({ "keys": [OPS_KEY] }),
        json!({ "urls": [OPS] }),
        json!({ "urls": [OPS], "tenant": TENANT }),
    ] {
        let mut body = named;
        body["mode"] = json!("soft");
        permitted(NARROW, &body);
        for mode in ["hard", "erase"] {
            body["mode"] = json!(mode);
            permitted(WIDE, &body);
            permitted(TOKEN, &body);
        }
    }
    for token in [WIDE, EVERYTHING, TOKEN] {
        permitted(token, &json!({ "mode": "hard", "all": true }));
    }
}

#[test]
fn what_lies_outside_is_a_403_that_says_which_part() {
    let outside = |what: &str| format!("{what} is outside the scope of this token.");
    for mode in ["hard", "erase"] {
        let sentence = outside(&format!("Mode `{mode}`"));
        refused(NARROW, &json!({ "mode": mode, "routes": ["ops"] }), 403, &sentence);
    }
    let historical = outside("Class `historical`");
    for named in [
        json!({ "classes": ["historical"] }),
        json!({ "classes": ["near_real_time", "historical"] }),
        json!({ "routes": ["trends_revenue", "ops"] }),
        json!({ "keys": [OPS_KEY, "dashboard:trends:revenue:v1?days=30"] }),
        json!({ "urls": ["/api/dashboard/trends/revenue?days=30"] }),
    ] {
        let mut body = named;
        body["mode"] = json!("soft");
        refused(NARROW, &body, 403, &historical);
    }
    for named in [json!({ "all": true }), json!({ "tags": ["products"] }), json!({ "tags": ["x"], "routes": ["ops"] })]
    {
        let mut body = named;
        body["mode"] = json!("soft");
        refused(NARROW, &body, 403, "`all` and `tags` reach every class, and this token does not.");
    }
    let body = json!({ "mode": "soft", "routes": ["ops"] });
    refused(FOREIGN, &body, 403, &outside(&format!("Tenant `{TENANT}`")));
}

#[test]
fn a_dry_run_within_the_scope_changes_nothing() {
    let location = location();
    assert_eq!(get(&location, OPS).origin_requests, 1);
    let before = location.world.counters(TENANT);
    let answer = ask(&location, purge(NARROW, &json!({ "mode": "soft", "routes": ["ops"], "dry_run": true })));
    assert_eq!((answer.status, &answer.json()["tenant"]), (200, &json!(TENANT)));
    let everything = json!({ "mode": "hard", "all": true, "tenant": "*", "confirm": "all tenants", "dry_run": true });
    let answer = ask(&location, purge(EVERYTHING, &everything));
    assert_eq!((answer.status, &answer.json()["tenant"]), (200, &json!("*")));
    assert_eq!((location.world.counters(TENANT), get(&location, OPS).origin_requests), (before, 0));
}

#[test]
fn a_purge_of_all_tenants_needs_its_own_scope_and_a_confirmation() {
    let confirmed = json!({ "mode": "hard", "all": true, "tenant": "*", "confirm": "all tenants" });
    let location = location();
    assert_eq!(get(&location, OPS).origin_requests, 1);
    let done = ask(&location, purge(EVERYTHING, &confirmed));
    assert_eq!((done.status, &done.json()["tenant"]), (202, &json!("*")), "{}", done.text());
    // It arrives at the tenant's own ledger within a minute and a second, and is in force five seconds later.
    assert_eq!(done.json()["effective_by_class"]["near_real_time"], "2026-03-31T12:01:06.000Z");
    location.world.pass(66_001);
    let tile = get(&location, OPS);
    assert_eq!((tile.origin_requests, tile.cache_status().ends_with("; detail=purged")), (1, true));
    for token in [TOKEN, WIDE] {
        let sentence = "A purge of all tenants is outside the scope of this token: it needs `everything`.";
        refused(token, &confirmed, 403, sentence);
    }
    let mut soft = confirmed.clone();
    soft["mode"] = json!("soft");
    refused(EVERYTHING, &soft, 403, "Mode `soft` is outside the scope of this token.");

    for confirm in [None, Some("yes"), Some("All tenants"), Some("all tenants "), Some("")] {
        let mut body = json!({ "mode": "hard", "all": true, "tenant": "*" });
        if let Some(confirm) = confirm {
            body["confirm"] = json!(confirm);
        }
        refused(EVERYTHING, &body, 422, r#"A purge of all tenants needs `"confirm": "all tenants"`."#);
    }
    let mut erase = confirmed.clone();
    erase["mode"] = json!("erase");
    let sentence = "All tenants cannot be erased at once: erase each, or purge them `hard`.";
    refused(EVERYTHING, &erase, 422, sentence);
    for (member, value) in [
        ("all", json!(false)),
        ("routes", json!(["ops"])),
        ("keys", json!([OPS_KEY])),
        ("tags", json!(["a"])),
        ("classes", json!(["historical"])),
        ("urls", json!([OPS])),
    ] {
        let mut body = confirmed.clone();
        body[member] = value;
        let sentence = r#"With `"tenant": "*"` goes `"all": true`, and nothing else that is to be purged."#;
        refused(EVERYTHING, &body, 422, sentence);
    }
    for tenant in [None, Some(TENANT)] {
        let mut body = json!({ "mode": "hard", "all": true, "confirm": "all tenants" });
        if let Some(tenant) = tenant {
            body["tenant"] = json!(tenant);
        }
        refused(EVERYTHING, &body, 422, r#"`confirm` belongs to a purge of all tenants: `"tenant": "*"`."#);
    }
    let body = json!({ "mode": "hard", "all": true, "tenant": "*", "confirm": true });
    refused(EVERYTHING, &body, 400, "`confirm` is not of its type, or not a member of a purge.");
}

#[test]
fn nothing_that_looks_like_a_pattern_is_one() {
    for name in ["*", "ops*", ".*", "^ops$", "[a-z]+", "(ops|cx)", "../ops", "o\\ps", "op?s"] {
        let unknown = |word: &str| format!("{word} `{name}` is not known.");
        refused(TOKEN, &json!({ "mode": "hard", "keys": [name] }), 422, &unknown("Key"));
        refused(TOKEN, &json!({ "mode": "hard", "routes": [name] }), 422, &unknown("Route"));
        refused(TOKEN, &json!({ "mode": "hard", "classes": [name] }), 422, &unknown("Class"));
        let pattern = format!("Tag `{name}` looks like a pattern; a tag is purged by its whole name.");
        refused(TOKEN, &json!({ "mode": "hard", "tags": ["a", name] }), 422, &pattern);
    }
    let url = "/api/dashboard/tiles/*";
    let sentence = format!("URL `{url}` is never stored, so there is nothing to purge.");
    refused(TOKEN, &json!({ "mode": "hard", "urls": [url] }), 422, &sentence);
}

#[test]
fn every_token_of_the_tenant_reads_receipts() {
    let location = location();
    let done = ask(&location, purge(WIDE, &json!({ "mode": "hard", "all": true })));
    let id = done.json()["id"].as_str().unwrap_or_default().to_string();
    let read = |token: &str| {
        let call = Asking::get(&format!("/cache/receipts/{id}"));
        ask(&location, call.with("authorization", &format!("Bearer {token}")))
    };
    for token in [NARROW, WIDE, EVERYTHING, TOKEN] {
        let receipt = read(token);
        assert_eq!((receipt.status, receipt.text()), (200, done.text()), "{token}");
    }
    assert_eq!((read(FOREIGN).status, read("nobodys").status), (403, 401));
}

#[test]
fn nobody_but_an_operator_asks_past_the_store() {
    let location = location();
    get(&location, OPS);
    for (token, origin_requests) in [(TOKEN, 1), (NARROW, 0), (WIDE, 0), (EVERYTHING, 0)] {
        let call = Asking::get(&format!("{OPS}?nocache=true"));
        let seen = ask(&location, call.with("edge-authorization", &format!("Bearer {token}")));
        assert_eq!((seen.status, seen.origin_requests), (200, origin_requests), "{token}");
    }
}

/// Purges until there are none left: how many were done, and the answer that none is left.
#[track_caller]
fn exhaust(location: &Rc<Location>, token: &str) -> (usize, Seen) {
    let body = json!({ "mode": "soft", "routes": ["ops"] });
    for done in 0..10_000 {
        let answer = ask(location, purge(token, &body));
        if answer.status != 202 {
            return (done, answer);
        }
    }
    panic!("{token} purges without end");
}

#[test]
fn each_token_has_a_minute_of_its_own_and_reads_have_none() {
    let location = location();
    get(&location, OPS);
    let (done, declined) = exhaust(&location, NARROW);
    assert_eq!((done, declined.status, declined.field("retry-after")), (6, 429, Some("10")), "{}", declined.text());
    let before = location.world.counters(TENANT);
    assert_eq!(exhaust(&location, NARROW).0, 0);
    assert_eq!(location.world.counters(TENANT), before);
    // The others are not touched by it, nor is reading.
    assert_eq!(exhaust(&location, WIDE).0, 6);
    assert_eq!(exhaust(&location, TOKEN).0, 600);
    assert_eq!(get(&location, OPS).status, 200);
    let receipt = Asking::get("/cache/receipts/none").with("authorization", &format!("Bearer {NARROW}"));
    assert_eq!(ask(&location, receipt).status, 404);
    // A dry run takes nothing of it, and needs nothing.
    let dry_run = json!({ "mode": "soft", "routes": ["ops"], "dry_run": true });
    assert_eq!(ask(&location, purge(NARROW, &dry_run)).status, 200);
    location.world.pass(10_000);
    assert_eq!(exhaust(&location, NARROW).0, 1);
    location.world.pass(60_000);
    assert_eq!(exhaust(&location, NARROW).0, 6);
}
