//! The edge is told what changed: all of it, once it listens, and never at the cost of the action.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, TcpListener},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    client,
    receiver::{Receiver, Reply, eventually},
    rules::Rules,
    server::{DEFAULT_SHOP, SHOPS, Server},
};

const ACCEPTS: &[Reply] = &[Reply::Answer(202, r#"{"purged":true}"#)];

/// The last deliveries, the newest first.
#[track_caller]
fn listed(server: &Server) -> Vec<Value> {
    let list = client::ask(server.port, "GET", "/dev/events", &[], "").json();
    list["events"].as_array().expect("a list").clone()
}

/// Waits until an event is in a state.
#[track_caller]
fn wait_until(server: &Server, state: &str) -> Value {
    eventually(|| listed(server).into_iter().find(|event| event["state"] == state))
}

#[test]
fn what_an_action_changes_is_what_its_events_make_out_of_date() {
    let rules = Rules::read();
    let stored = rules.stored();
    assert!(stored.len() >= 21);
    let edge = Receiver::start(ACCEPTS);
    let server = Server::telling(&edge.url);
    let figures = |shop: &str| stored.iter().map(|(_, path)| server.figures(path, shop)).collect::<Vec<_>>();
    let open = |position: usize| {
        let pulse = server.data("/api/dashboard/tiles/sales-pulse", DEFAULT_SHOP);
        pulse["pending_fulfillment"][position]["name"].clone()
    };
    let old = server.data("/api/dashboard/alerts/all", SHOPS[1]);
    assert_ne!(old["count"], 0);
    let actions = [
        ("/dev/orders", json!({ "total": 1234.56 })),
        ("/dev/orders", json!({ "shop": SHOPS[1] })),
        ("/api/orders", json!({ "total": 0.01 })),
        ("/dev/inventory", json!({ "quantity": 0 })),
        ("/dev/inventory", json!({ "sku": "AN6-PTFE-BL", "quantity": 100_000 })),
        ("/dev/inventory", json!({ "sku": "AN6-PTFE-BL", "quantity": 1 })),
        ("/dev/sla-breach", json!({})),
        ("/dev/sla-breach", json!({ "order": open(3) })),
        ("/dev/sla-breach", json!({ "shop": SHOPS[2] })),
    ];
    let mut told = 0;
    for (path, body) in actions {
        let shop = body.get("shop").and_then(Value::as_str).unwrap_or(DEFAULT_SHOP);
        let before = figures(shop);
        let answer = client::ask(server.port, "POST", path, &[("x-shop-domain", shop)], &body.to_string());
        assert_eq!(answer.status, 201, "{path}: {}", answer.text());
        let after = figures(shop);
        let pairs = stored.iter().zip(before.iter().zip(&after));
        let changed = pairs.filter(|(_, (before, after))| before != after).map(|((name, _), _)| name.clone());
        let changed: BTreeSet<String> = changed.collect();
        assert!(!changed.is_empty(), "{path} {body} changes nothing");

        let events = listed(&server).len() - told;
        assert!(events > 0, "{path} {body} tells nothing");
        let deliveries = edge.wait_for(told + events).split_off(told);
        told += events;
        let touched = deliveries.iter().flat_map(|delivery| {
            assert_eq!(delivery.body["data"]["shop_domain"], shop);
            rules.touched_by(delivery.body["type"].as_str().expect("a type"))
        });
        let touched: BTreeSet<String> = touched.collect();
        let missed: Vec<_> = changed.difference(&touched).collect();
        assert!(missed.is_empty(), "{path} {body} changes {missed:?}, and tells nobody");
    }
}

#[test]
fn an_action_says_what_it_told_and_what_came_of_it() {
    let edge = Receiver::start(ACCEPTS);
    let server = Server::telling(&edge.url);
    let answer = server.create("/dev/orders", &json!({ "shop": SHOPS[1], "total": 5 }));
    let deliveries = edge.deliveries();
    assert_eq!(deliveries.len(), 2, "the answer waits for the attempts");
    let events = answer["events"].as_array().expect("events");
    let types: Vec<_> = events.iter().map(|event| &event["type"]).collect();
    assert_eq!(types, ["order.created", "etl.completed"]);
    for event in events {
        let delivery = deliveries.iter().find(|delivery| event["id"] == delivery.id.as_str()).expect("it came");
        assert!(delivery.id.starts_with("msg_") && delivery.id.len() == 36, "{}", delivery.id);
        let expected = json!({
            "id": delivery.id, "type": event["type"], "status": 202, "receipt": { "purged": true },
        });
        assert_eq!(event, &expected);
        let order = &answer["created"];
        let data = json!({ "shop_domain": SHOPS[1], "order_id": order["order_id"], "name": order["name"] });
        assert_eq!(delivery.body["type"], event["type"]);
        assert_eq!(delivery.body["data"], data);
        let timestamp = delivery.body["timestamp"].as_str().expect("a moment");
        assert!(chrono::DateTime::parse_from_rfc3339(timestamp).is_ok(), "{timestamp}");
    }
    assert_ne!(deliveries[0].id, deliveries[1].id);
}

#[test]
fn each_action_has_its_events() {
    let edge = Receiver::start(ACCEPTS);
    let server = Server::telling(&edge.url);
    for (path, types) in [
        ("/dev/orders", &["order.created", "etl.completed"][..]),
        ("/dev/inventory", &["inventory.updated"]),
        ("/dev/sla-breach", &["sla.breached", "order.updated", "conversation.updated"]),
    ] {
        let answer = server.create(path, &json!({}));
        let told: Vec<_> = answer["events"].as_array().expect("events").iter().map(|event| &event["type"]).collect();
        assert_eq!(told, types, "{path}");
    }
}

#[test]
fn a_failed_attempt_is_made_again_under_the_same_id() {
    let edge = Receiver::start(&[
        Reply::Answer(500, "no"),
        Reply::Close,
        Reply::Answer(401, r#"{"title":"Unauthorized"}"#),
        Reply::Answer(204, ""),
    ]);
    let server = Server::telling(&edge.url);
    let told = server.create("/dev/inventory", &json!({}));
    let event = &told["events"][0];
    assert_eq!((&event["status"], event.get("receipt")), (&json!(500), None), "{event}");
    assert_eq!(event["error"], "The edge answered 500 Internal Server Error.");
    let listed = wait_until(&server, "delivered");
    assert_eq!(listed["id"], event["id"]);
    let attempts = listed["attempts"].as_array().expect("attempts");
    let statuses: Vec<_> = attempts.iter().map(|attempt| attempt["status"].clone()).collect();
    assert_eq!(statuses, [json!(500), Value::Null, json!(401), json!(204)]);
    assert!(attempts[1]["error"].as_str().expect("a sentence").ends_with('.'), "{listed}");
    assert_eq!(attempts[2]["receipt"]["title"], "Unauthorized");
    assert_eq!(attempts[3].get("error"), None);
    let deliveries = edge.deliveries();
    assert_eq!(deliveries.len(), 4);
    for delivery in &deliveries {
        assert_eq!(event["id"], delivery.id.as_str());
        assert_eq!(delivery.body, deliveries[0].body);
    }
}

#[test]
fn an_attempt_is_signed_as_of_its_own_moment() {
    let edge = Receiver::start(&[Reply::Hang, Reply::Answer(202, "")]);
    // The first attempt is given four seconds.
    let server = Server::telling(&edge.url);
    server.create("/dev/inventory", &json!({}));
    let deliveries = edge.wait_for(2);
    assert_eq!(deliveries[0].id, deliveries[1].id);
    assert!(deliveries[1].timestamp >= deliveries[0].timestamp + 3);
    assert_ne!(deliveries[0].signature, deliveries[1].signature);
    let listed = wait_until(&server, "delivered");
    assert_eq!(listed["attempts"][0]["error"], "The edge did not answer within 4000 ms.");
}

#[test]
fn an_event_is_given_up_after_eight_attempts() {
    let edge = Receiver::start(&[Reply::Answer(503, "")]);
    let server = Server::telling(&edge.url);
    server.create("/dev/inventory", &json!({}));
    let listed = wait_until(&server, "given_up");
    assert_eq!(listed["attempts"].as_array().map(Vec::len), Some(8));
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(edge.deliveries().len(), 8);
}

#[test]
fn an_edge_that_is_not_there_neither_delays_nor_fails_an_action() {
    let nobody = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        format!("http://{}", listener.local_addr().expect("its address"))
    };
    let server = Server::telling(&nobody);
    let started = Instant::now();
    let told = server.create("/dev/orders", &json!({}));
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(told["events"][0]["status"], Value::Null);
    assert!(told["events"][0]["error"].as_str().expect("a sentence").contains("refused"), "{told}");
}

#[test]
fn an_edge_that_hangs_holds_up_an_action_for_two_seconds_and_a_stop_not_at_all() {
    let edge = Receiver::start(&[Reply::Hang]);
    let server = Server::telling(&edge.url);
    let started = Instant::now();
    let told = server.create("/dev/orders", &json!({}));
    let waited = started.elapsed();
    assert!((Duration::from_millis(1_900)..Duration::from_millis(2_900)).contains(&waited), "{waited:?}");
    for event in told["events"].as_array().expect("events") {
        assert_eq!(event["status"], Value::Null);
        assert_eq!(event["error"], "The edge has not answered yet.");
    }
    let started = Instant::now();
    let shop = [("x-shop-domain", DEFAULT_SHOP)];
    assert_eq!(client::ask(server.port, "POST", "/api/orders", &shop, "").status, 201);
    assert!(started.elapsed() < Duration::from_secs(1), "a write does not wait for the edge");
    assert_eq!(listed(&server).iter().filter(|event| event["state"] == "pending").count(), 4);
    let started = Instant::now();
    drop(server);
    assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
}

#[test]
fn events_beyond_what_can_wait_are_dropped_and_the_list_is_of_the_last_hundred() {
    let edge = Receiver::start(&[Reply::Hang]);
    let server = Server::telling(&edge.url);
    let shop = [("x-shop-domain", DEFAULT_SHOP)];
    // Two events each.
    for _ in 0..128 {
        client::ask(server.port, "POST", "/api/orders", &shop, "");
    }
    let told = server.create("/dev/events", &json!({ "type": "etl.completed" }));
    assert_eq!(told["events"][0]["error"], "Too many events wait already.");
    let list = listed(&server);
    assert_eq!(list.len(), 100);
    assert_eq!((&list[0]["state"], &list[1]["state"]), (&json!("dropped"), &json!("pending")));
}

#[test]
fn an_event_of_any_type_is_sent_by_hand() {
    let edge = Receiver::start(ACCEPTS);
    let server = Server::telling(&edge.url);
    server.create("/dev/events", &json!({ "type": "shop.activated" }));
    let told = server.create("/dev/events", &json!({ "type": "x", "data": { "shop_domain": "y", "z": [1] } }));
    assert_eq!((&told["events"][0]["type"], &told["events"][0]["status"]), (&json!("x"), &json!(202)));
    let bodies: Vec<_> = edge.wait_for(2).into_iter().map(|delivery| delivery.body).collect();
    assert_eq!(bodies[0]["data"], json!({ "shop_domain": DEFAULT_SHOP }));
    assert_eq!(bodies[1]["data"], json!({ "shop_domain": "y", "z": [1] }));
}

#[test]
fn without_an_edge_nothing_is_sent() {
    let server = Server::own();
    assert_eq!(server.create("/dev/orders", &json!({}))["events"], json!([]));
    assert_eq!(listed(&server), [json!(null); 0]);
}

#[test]
fn a_write_names_the_group_that_its_answers_belong_to() {
    let server = Server::own();
    let place = |headers: &[(&str, &str)], body: &str| client::ask(server.port, "POST", "/api/orders", headers, body);
    let shop = [("x-shop-domain", SHOPS[1])];
    let answer = place(&shop, r#"{"total":99.5}"#);
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("cache-group-invalidation"), Some(r#""orders""#));
    let order = &answer.json()["data"];
    assert_eq!((&order["shop"], &order["total"]), (&json!(SHOPS[1]), &json!(99.5)));
    let pulse = server.data("/api/dashboard/tiles/sales-pulse", SHOPS[1]);
    assert_eq!(pulse["pending_fulfillment"][0]["name"], order["name"]);
    for (headers, body, status) in
        [(&[][..], "{}", 400), (&[("x-shop-domain", "nobody")], "{}", 404), (&shop, r#"{"total":0}"#, 422)]
    {
        let refused = place(headers, body);
        assert_eq!((refused.status, refused.header("cache-group-invalidation")), (status, None), "{body}");
    }
}

#[test]
fn answers_belong_to_the_groups_of_the_events_that_touch_them() {
    let rules = Rules::read();
    let mut expected: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (group, event) in [(r#""orders""#, "order.created"), (r#""inventory""#, "inventory.updated")] {
        for route in rules.touched_by(event) {
            expected.entry(route).or_default().push(group);
        }
    }
    let server = Server::shared();
    for (name, path) in rules.stored() {
        let groups = expected.get(&name).map(|groups| groups.join(", "));
        let answer = server.get(&path, DEFAULT_SHOP);
        assert_eq!(answer.header("cache-groups"), groups.as_deref(), "{name}");
        assert_eq!(server.get(&path, "nobody").header("cache-groups"), None, "{name}");
    }
}
