//! Events by their path through the edge: what each orders, once, and what a shop's end means.

use crate::client::{Open, Seen, ask, get};
use crate::fakes::{Asking, LedgerFault, Location, Point, STANDARD_SECRET, TENANT, World};
use crate::webhook::Sent;
use hotrod_edge::rules::{Effect, compiled};
use serde_json::{Value, json};
use std::rc::Rc;

const OPS: &str = "/api/dashboard/tiles/ops";
const OTHER: &str = "other.test";

fn asking(sent: &Sent) -> Asking {
    let asking = Asking::new("POST", &format!("/cache/events/{}", sent.source)).sending(sent.body.clone());
    sent.headers.iter().fold(asking, |asking, (name, value)| asking.with(name, value))
}

/// An event of this type, sent now.
fn event(world: &World, id: &str, kind: &str, shop: &str) -> Asking {
    let body = json!({ "type": kind, "data": { "shop_domain": shop } }).to_string();
    asking(&Sent::standard(STANDARD_SECRET, id, &(world.now() / 1000).to_string(), &body))
}

/// The shop's app is gone, as Shopify says it.
fn uninstalled(id: &str) -> Asking {
    let body = json!({ "id": 1, "myshopify_domain": TENANT }).to_string();
    let sent = Sent::shopify("the app of shop.test", "app/uninstalled", &body);
    asking(&sent.with("x-shopify-shop-domain", Some(TENANT)).with("x-shopify-webhook-id", Some(id)))
}

fn listing(is_listed: bool) -> Asking {
    Asking::new("PUT", "/cache/listing").by_operator().sending(json!({ "listed": is_listed }).to_string())
}

#[track_caller]
fn receipt(seen: &Seen) -> Value {
    assert_eq!((seen.status, seen.origin_requests), (202, 0), "{}", seen.text());
    seen.json()
}

#[track_caller]
fn is_passed_through(location: &Rc<Location>) {
    for _ in 0..2 {
        let seen = get(location, OPS);
        assert_eq!((seen.status, seen.origin_requests), (200, 1));
        assert_eq!(seen.cache_status(), "fwd=bypass; fwd-status=200; detail=not-listed");
    }
}

#[test]
fn an_event_orders_what_the_rules_say_of_it() {
    let orders = json!({ "routes": ["fulfillment", "growth_metrics", "kpi_summary", "products_top", "sales_pulse"] });
    for (kind, purged) in [
        ("order.created", orders.clone()),
        ("order.updated", orders.clone()),
        ("order.fulfilled", orders),
        ("product.updated", json!({ "routes": ["inventory", "products_performance", "products_top"] })),
        ("inventory.updated", json!({ "routes": ["alerts_all", "alerts_critical", "inventory", "kpi_summary"] })),
        ("sla.breached", json!({ "routes": ["alerts_all", "alerts_critical", "cx", "fulfillment"] })),
        ("conversation.updated", json!({ "routes": ["alerts_all", "cx"] })),
        ("shop.activated", json!({ "routes": ["ops"] })),
        ("etl.completed", json!({ "classes": ["aggregate", "comparison", "historical"] })),
        ("app.uninstalled", json!({ "all": true })),
    ] {
        let world = World::new();
        let receipt = receipt(&ask(&Location::new(&world), event(&world, "1", kind, TENANT)));
        let mode = if kind == "app.uninstalled" { "erase" } else { "soft" };
        assert_eq!((&receipt["mode"], &receipt["purged"]), (&json!(mode), &purged), "{kind}");
        assert_eq!(receipt["event"], json!({ "source": "standard", "id": "1" }));
    }
    assert_eq!(compiled().events.len(), 10, "an event that this test does not know");
    let uninstalls = compiled().events.iter().filter(|event| event.effect == Effect::Uninstalls);
    assert_eq!(uninstalls.count(), 1);
}

#[test]
fn an_event_whose_receipt_was_lost_is_taken_once() {
    let world = World::new();
    let location = Location::new(&world);
    let sent = event(&world, "1", "shop.activated", TENANT);
    world.ledger_fault.set(LedgerFault::AnswerLost);
    let lost = ask(&location, sent.clone());
    assert_eq!((lost.status, lost.field("retry-after")), (503, Some("5")));
    let taken = world.counters(TENANT);
    world.ledger_fault.set(LedgerFault::None);
    world.pass(2000);
    for restarts in 0..2 {
        let first = receipt(&ask(&location, sent.clone()));
        assert_eq!(first["incremented_at"], "2026-03-31T12:00:00.000Z", "it has the receipt of the first time");
        assert_eq!(world.counters(TENANT), taken, "{restarts} restarts: the line has moved");
        world.object(&hotrod_edge::key::Tenant::new(TENANT).expect("a tenant")).restart();
    }
}

#[test]
fn a_sender_is_not_kept_waiting_for_a_ledger_that_hangs() {
    let world = World::new();
    let location = Location::new(&world);
    world.ledger_fault.set(LedgerFault::Hangs);
    let mut open = Open::new(&location, event(&world, "1", "shop.activated", TENANT));
    assert!(!open.run());
    world.pass(799);
    assert!(!open.run() && open.answer().is_none());
    world.pass(1);
    assert!(open.run());
    assert_eq!(open.answer().map(|answer| answer.status), Some(503));
}

#[test]
fn a_shop_that_is_gone_is_passed_through_and_takes_no_orders() {
    let world = World::new();
    let (location, other) = (Location::new(&world), Location::of_tenant(&world, OTHER));
    let elsewhere = Location::new(&world);
    for location in [&location, &elsewhere, &other] {
        assert_eq!(get(location, OPS).status, 200);
    }
    let first = receipt(&ask(&location, uninstalled("1")));
    is_passed_through(&location);
    world.pass(5001);
    is_passed_through(&elsewhere);
    for refused in [event(&world, "2", "shop.activated", TENANT), Asking::purge(r#"{"mode":"hard","all":true}"#)] {
        let seen = ask(&elsewhere, refused);
        assert_eq!((seen.status, seen.origin_requests), (422, 0));
        let sentence = "The tenant is not listed. Nothing was purged.";
        assert_eq!(seen.json()["detail"], sentence);
    }
    assert_eq!(receipt(&ask(&elsewhere, uninstalled("1")))["id"], first["id"]);
    assert_eq!(get(&other, OPS).cache_status(), "hit; ttl=295; detail=edge");
    receipt(&ask(&other, event(&world, "2", "shop.activated", OTHER)));
}

#[test]
fn what_was_erased_does_not_come_back_with_the_shop() {
    let world = World::new();
    let location = Location::new(&world);
    assert_eq!(get(&location, OPS).serial(), Some(1));
    // Asked for before the end, and answered after it.
    let mut late = Open::new(&location, Asking::get("/api/dashboard/tiles/cx"));
    world.hold(Point::OriginAnswer);
    assert!(!late.run());
    receipt(&ask(&location, uninstalled("1")));
    world.release(Point::OriginAnswer);
    assert!(late.run());
    assert_eq!(ask(&location, listing(true)).status, 200);
    world.pass(5001);
    for url in [OPS, "/api/dashboard/tiles/cx"] {
        let seen = get(&location, url);
        assert_eq!(
            (seen.origin_requests, seen.cache_status()),
            (1, "fwd=uri-miss; fwd-status=200; stored; detail=purged")
        );
        assert_eq!(get(&location, url).cache_status(), "hit; ttl=300; detail=edge");
    }
    // Whoever caught the message can send it again, and is told of the first time.
    let again = ask(&location, uninstalled("2"));
    assert_eq!(receipt(&again)["event"]["id"], "1");
    assert_eq!(get(&location, OPS).cache_status(), "hit; ttl=300; detail=edge");
    receipt(&ask(&location, event(&world, "2", "shop.activated", TENANT)));
}

#[test]
fn an_operator_can_take_a_shop_off_the_list_too() {
    let world = World::new();
    let location = Location::new(&world);
    assert_eq!(get(&location, OPS).serial(), Some(1));
    assert_eq!(ask(&location, listing(false)).json(), json!({ "tenant": TENANT, "listed": false }));
    world.pass(5001);
    is_passed_through(&location);
    for (mode, status) in [("soft", 422), ("hard", 422), ("erase", 202)] {
        let purged = ask(&location, Asking::purge(json!({ "mode": mode, "all": true }).to_string()));
        assert_eq!(purged.status, status, "{mode}");
    }
    is_passed_through(&location);
    assert_eq!(ask(&location, listing(true)).json(), json!({ "tenant": TENANT, "listed": true }));
    world.pass(5001);
    // What changed meanwhile was refused here, so nothing from before counts.
    let tile = get(&location, OPS);
    assert_eq!((tile.origin_requests, tile.cache_status().ends_with("; detail=purged")), (1, true));
    assert_eq!(get(&location, OPS).origin_requests, 0);
    for body in ["", "{}", "true", r#"{"listed":1}"#] {
        let seen = ask(&location, Asking::new("PUT", "/cache/listing").by_operator().sending(body));
        assert_eq!((seen.status, seen.json()["detail"].as_str().is_some()), (422, true), "{body}");
    }
    assert_eq!(ask(&location, Asking::new("PUT", "/cache/listing").sending(r#"{"listed":false}"#)).status, 401);
    assert_eq!(ask(&location, Asking::get("/cache/listing").by_operator()).field("allow"), Some("PUT"));
}
