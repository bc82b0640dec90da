//! No shop sees another's rows, or feels another's events.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::server::{DASHBOARD, DEFAULT_SHOP, SHOPS, Server};

const LIVE: [&str; 3] = ["/api/realtime/sla", "/api/realtime/escalations", "/api/realtime/inventory/AN6-PTFE-BL"];

/// What names a row of a shop's own.
const IDS: [&str; 6] = ["order_id", "name", "variant_id", "product_id", "alert_id", "id"];

fn collect_ids(json: &Value, ids: &mut BTreeSet<String>) {
    match json {
        Value::Object(fields) => {
            for (key, value) in fields {
                if IDS.contains(&key.as_str()) && !value.is_object() {
                    ids.insert(format!("{key} {value}"));
                }
                collect_ids(value, ids);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_ids(item, ids)),
        _ => {}
    }
}

fn collect_shops(json: &Value, shops: &mut BTreeSet<String>) {
    match json {
        Value::Object(fields) => {
            for (key, value) in fields {
                if key == "shop" || key == "shop_domain" {
                    shops.insert(value.as_str().unwrap_or_default().to_owned());
                }
                collect_shops(value, shops);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_shops(item, shops)),
        _ => {}
    }
}

#[test]
fn no_answer_holds_an_id_of_another_shop() {
    let ids_by_shop = SHOPS.map(|shop| {
        let mut ids = BTreeSet::new();
        let mut shops = BTreeSet::new();
        for path in DASHBOARD.into_iter().chain(LIVE) {
            let figures = Server::shared().figures(path, shop);
            collect_ids(&figures, &mut ids);
            collect_shops(&figures, &mut shops);
        }
        assert_eq!(shops, BTreeSet::from([shop.to_owned()]));
        for export in ["orders", "products", "customers"] {
            let answer = Server::shared().get(&format!("/api/exports/{export}.csv"), shop);
            let lines = answer.text().lines().skip(1);
            ids.extend(lines.map(|line| line.split(',').next().unwrap_or_default().to_owned()));
        }
        assert!(ids.len() > 1_000, "{shop} shows {} ids", ids.len());
        ids
    });
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let both: Vec<_> = ids_by_shop[one].intersection(&ids_by_shop[other]).collect();
        assert!(both.is_empty(), "{} and {} both show {both:?}", SHOPS[one], SHOPS[other]);
    }
}

#[test]
fn an_event_of_one_shop_changes_no_answer_of_another() {
    let server = Server::own();
    let answers =
        || -> Vec<Value> { DASHBOARD.into_iter().chain(LIVE).map(|path| server.figures(path, SHOPS[1])).collect() };
    let before = answers();
    server.create("/dev/orders", &json!({ "shop": DEFAULT_SHOP }));
    server.create("/dev/inventory", &json!({ "shop": DEFAULT_SHOP, "sku": "AN6-PTFE-BL" }));
    server.create("/dev/sla-breach", &json!({ "shop": DEFAULT_SHOP }));
    assert_eq!(before, answers());
}

#[test]
fn shops_differ_in_every_figure_that_is_theirs() {
    for path in DASHBOARD {
        let [one, other, third] = SHOPS.map(|shop| Server::shared().data(path, shop));
        assert!(one != other && other != third && one != third, "{path}");
    }
}
