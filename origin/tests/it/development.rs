//! Counting, health, and the list of what can be told.

use serde_json::json;

use crate::{
    client,
    server::{DEFAULT_SHOP, SHOPS, Server},
};

#[test]
fn requests_are_counted_by_path_without_query_and_without_dev() {
    let server = Server::own();
    let dev = |method: &str, path: &str| client::ask(server.port, method, path, &[], "");
    server.get("/api/realtime/sla", DEFAULT_SHOP);
    server.get("/api/realtime/sla?x=1", DEFAULT_SHOP);
    server.get("/api/realtime/sla", "nobody");
    server.get("/nowhere", DEFAULT_SHOP);
    dev("GET", "/dev/health");
    let counts = dev("GET", "/dev/requests").json();
    assert_eq!(counts, json!({ "requests": { "/api/realtime/sla": 3, "/nowhere": 1 } }));
    assert_eq!(dev("DELETE", "/dev/requests").status, 204);
    assert_eq!(dev("GET", "/dev/requests").json(), json!({ "requests": {} }));
}

#[test]
fn a_request_that_a_fault_strikes_is_counted() {
    let server = Server::own();
    server.create("/dev/faults", &json!({ "path": "*", "fault": { "status": 503 } }));
    server.get("/api/realtime/sla", DEFAULT_SHOP);
    let counts = client::ask(server.port, "GET", "/dev/requests", &[], "").json();
    assert_eq!(counts, json!({ "requests": { "/api/realtime/sla": 1 } }));
}

#[test]
fn the_shops_are_listed_the_default_one_first() {
    let shops = client::ask(Server::shared().port, "GET", "/dev/shops", &[], "");
    assert_eq!(shops.json(), json!({ "shops": SHOPS }));
}

#[test]
fn the_index_lists_every_command() {
    let server = Server::shared();
    let health = client::ask(server.port, "GET", "/dev/health", &[], "");
    assert_eq!((health.status, health.json()), (200, json!({ "status": "ok" })));
    let index = client::ask(server.port, "GET", "/dev/", &[], "").json();
    for command in [
        "GET /dev/health",
        "GET /dev/shops",
        "GET /dev/session-token",
        "/dev/echo",
        "GET /dev/requests",
        "DELETE /dev/requests",
        "GET /dev/faults",
        "POST /dev/faults",
        "DELETE /dev/faults",
        "POST /dev/orders",
        "POST /dev/inventory",
        "POST /dev/sla-breach",
        "GET /dev/events",
        "POST /dev/events",
    ] {
        assert!(index.get(command).is_some(), "{command}");
    }
    let kinds = index["POST /dev/faults"]["fault"].as_object().expect("the kinds");
    for kind in kinds.keys() {
        let fault = json!({ "path": "/x", "fault": { kind.as_str(): {} } }).to_string();
        let answer = server.post("/dev/faults", &fault);
        assert!(!answer.text().contains("unknown field"), "{kind} is listed and not known");
        client::ask(server.port, "DELETE", "/dev/faults", &[], "");
    }
}
