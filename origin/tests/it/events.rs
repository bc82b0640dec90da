//! Business events change the figures that they touch, and no others.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    client,
    server::{DASHBOARD, DEFAULT_SHOP, SHOPS, Server},
};

fn short(path: &str) -> &str {
    path.trim_start_matches("/api/dashboard/")
}

/// Which answers are other after something was done.
fn changed_by(server: &Server, shop: &str, event: impl FnOnce()) -> BTreeSet<&'static str> {
    let figures = || DASHBOARD.map(|path| server.figures(path, shop));
    let before = figures();
    event();
    let after = figures();
    let pairs = before.into_iter().zip(after).zip(DASHBOARD);
    pairs.filter(|((before, after), _)| before != after).map(|(_, path)| short(path)).collect()
}

#[test]
fn an_order_changes_sales_everywhere_and_stock_nowhere() {
    let server = Server::own();
    let pulse = || server.data("/api/dashboard/tiles/sales-pulse", DEFAULT_SHOP);
    let before = pulse();
    let mut created = Value::Null;
    let changed = changed_by(&server, DEFAULT_SHOP, || {
        created = server.create("/dev/orders", &json!({ "shop": DEFAULT_SHOP, "total": 1234.56 }));
    });
    let created = &created["created"];
    assert_eq!(created["total"], 1234.56);
    let after = pulse();
    let revenue = |pulse: &Value| pulse["total_revenue"].as_f64().expect("a number");
    assert!((revenue(&after) - revenue(&before) - 1234.56).abs() < 0.001);
    assert_eq!(after["order_count"], before["order_count"].as_u64().expect("a count") + 1);
    assert_eq!(after["pending_fulfillment"][0]["name"], created["name"]);
    assert_eq!(after["pending_fulfillment"].as_array().map(Vec::len), Some(8));
    for path in [
        "tiles/sales-pulse",
        "kpi/summary",
        "products/top",
        "growth/metrics",
        "growth/milestones",
        "trends/revenue?days=30",
        "trends/categories?days=30",
        "segments",
        "metrics/ytd",
        "compare/yoy",
        "compare/qoq",
    ] {
        assert!(changed.contains(path), "{path} is unchanged");
    }
    for path in ["tiles/inventory", "tiles/cx", "tiles/ops", "alerts/critical", "alerts/all", "time-savings"] {
        assert!(!changed.contains(path), "{path} changed");
    }
}

#[test]
fn an_orders_lines_come_to_its_total() {
    let server = Server::own();
    for body in
        [json!({}), json!({ "total": 0.01 }), json!({ "total": 99.9 }), json!({ "shop": SHOPS[2], "total": 25_000 })]
    {
        let created = server.create("/dev/orders", &body);
        let order = &created["created"];
        let lines = order["lines"].as_array().expect("lines");
        let number = |line: &Value, key: &str| line[key].as_f64().expect("a number");
        let sum: f64 = lines.iter().map(|line| number(line, "price") * number(line, "quantity")).sum();
        assert!((sum - number(order, "total")).abs() < 0.001, "{order}");
        if let Some(total) = body.get("total") {
            assert!((number(order, "total") - total.as_f64().expect("a number")).abs() < 0.001);
        }
    }
}

#[test]
fn stock_that_runs_out_is_a_critical_alert_at_once() {
    let server = Server::own();
    let live = || server.data("/api/realtime/inventory/AN6-PTFE-BL", DEFAULT_SHOP)["quantity_available"].clone();
    let event = json!({ "sku": "AN6-PTFE-BL", "quantity": 0 });
    server.create("/dev/inventory", &json!({ "sku": "AN6-PTFE-BL", "quantity": 500 }));
    assert_eq!(live(), 500);
    let changed = changed_by(&server, DEFAULT_SHOP, || {
        server.create("/dev/inventory", &event);
    });
    assert_eq!(live(), 0);
    let expected = ["tiles/inventory", "kpi/summary", "alerts/critical", "alerts/all"];
    assert_eq!(changed, BTreeSet::from(expected));
    let alerts = server.data("/api/dashboard/tiles/inventory", DEFAULT_SHOP);
    let alert =
        alerts["alerts"].as_array().and_then(|alerts| alerts.iter().find(|alert| alert["sku"] == "AN6-PTFE-BL"));
    assert_eq!(alert.map(|alert| &alert["alert_type"]), Some(&json!("OUT_OF_STOCK")));
}

#[test]
fn a_breach_reaches_orders_conversations_alerts_and_the_live_status() {
    let server = Server::own();
    let open = || server.data("/api/realtime/sla", DEFAULT_SHOP)["open_breaches"].as_u64().expect("a count");
    let before = open();
    let changed = changed_by(&server, DEFAULT_SHOP, || {
        server.create("/dev/sla-breach", &json!({ "operator": "ines" }));
    });
    assert_eq!(open(), before + 1);
    for path in ["tiles/fulfillment", "tiles/cx", "kpi/summary", "alerts/critical", "alerts/all"] {
        assert!(changed.contains(path), "{path} is unchanged");
    }
    // The report of the operators is of closed days.
    for path in ["tiles/ops", "tiles/inventory", "tiles/sales-pulse"] {
        assert!(!changed.contains(path), "{path} changed");
    }
    assert_eq!(server.data("/api/dashboard/tiles/fulfillment", DEFAULT_SHOP)["count"], 52);
    assert_eq!(server.data("/api/dashboard/tiles/cx", DEFAULT_SHOP)["count"], 28);
}

#[test]
fn an_order_that_is_on_its_way_breaks_no_promise() {
    let server = Server::own();
    let orders = server.get("/api/exports/orders.csv?megabytes=1", DEFAULT_SHOP);
    let shipped = orders.text().lines().find(|line| line.contains(",FULFILLED,")).expect("one is on its way");
    let name = shipped.split(',').find(|field| field.starts_with("#HR")).expect("its name");
    let answer = server.post("/dev/sla-breach", &json!({ "order": name }).to_string());
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(answer.text().contains(name), "{}", answer.text());
}

#[test]
fn an_alert_that_was_acknowledged_says_so() {
    let server = Server::own();
    let first = || server.data("/api/dashboard/alerts/critical", DEFAULT_SHOP)["alerts"][0].clone();
    assert_eq!(first()["acknowledged"], false);
    let alert_id = first()["alert_id"].as_str().expect("an id").to_owned();
    let path = format!("/api/dashboard/alerts/{alert_id}/acknowledge");
    let post = |shop| client::ask(server.port, "POST", &path, &[("x-shop-domain", shop)], "").status;
    assert_eq!(post(SHOPS[1]), 404);
    assert_eq!(first()["acknowledged"], false);
    assert_eq!(post(DEFAULT_SHOP), 200);
    assert_eq!(first()["acknowledged"], true);
}

#[test]
fn midnight_starts_a_new_day() {
    let server = Server::own_at("2026-11-20T23:59:58Z");
    let pulse = || server.data("/api/dashboard/tiles/sales-pulse", DEFAULT_SHOP);
    let before = pulse();
    assert_eq!(before["metric_date"], "2026-11-20");
    std::thread::sleep(std::time::Duration::from_millis(2_200));
    let after = pulse();
    assert_eq!(after["metric_date"], "2026-11-21");
    assert_eq!((&after["order_count"], &after["avg_order_value"]), (&json!(0), &json!(0.0)));
    let days = server.data("/api/dashboard/trends/revenue?days=30", DEFAULT_SHOP);
    assert_eq!(days["series"][1]["daily_revenue"], before["total_revenue"]);
    for path in DASHBOARD {
        server.data(path, SHOPS[2]);
    }
}

#[test]
fn bad_events_are_refused_with_a_sentence_and_change_nothing() {
    let server = Server::own();
    let cases = [
        ("/dev/orders", r#"{"total":"#, 400, "not JSON"),
        ("/dev/orders", "[]", 400, "object"),
        ("/dev/orders", r#"{"total":"much"}"#, 422, "total"),
        ("/dev/orders", r#"{"total":0}"#, 422, "total"),
        ("/dev/orders", r#"{"total":-5}"#, 422, "total"),
        ("/dev/orders", r#"{"total":1.005}"#, 422, "total"),
        ("/dev/orders", r#"{"total":1e300}"#, 422, "total"),
        ("/dev/orders", r#"{"totl":5}"#, 422, "totl"),
        ("/dev/orders", r#"{"shop":"nobody.example"}"#, 404, "nobody.example"),
        ("/dev/inventory", r#"{"quantity":-1}"#, 422, "quantity"),
        ("/dev/inventory", r#"{"sku":"NO-SUCH"}"#, 422, "NO-SUCH"),
        ("/dev/sla-breach", r##"{"order":"#HR1"}"##, 422, "#HR1"),
        ("/dev/sla-breach", r#"{"operator":"nobody"}"#, 422, "nobody"),
        ("/dev/events", r#"{"data":{}}"#, 422, "type"),
        ("/dev/events", r#"{"type":"x","data":[]}"#, 422, "data"),
        ("/dev/events", r#"{"type":"x"}"#, 409, "--edge-url"),
    ];
    let figures = || {
        ["/api/dashboard/kpi/summary", "/api/dashboard/alerts/all", "/api/dashboard/tiles/inventory"]
            .map(|path| server.figures(path, DEFAULT_SHOP))
    };
    let before = figures();
    for (path, body, status, word) in cases {
        let answer = server.post(path, body);
        let json = answer.json();
        let sentence = json["error"].as_str().expect("a sentence");
        assert_eq!(answer.status, status, "{path} {body}: {sentence}");
        assert!(sentence.contains(word) && sentence.ends_with('.'), "{path} {body}: {sentence}");
    }
    assert_eq!(figures(), before);
}
