//! A test sees what reached the origin.

use serde_json::{Map, Value, json};

use crate::{
    client,
    server::{DASHBOARD, DEFAULT_SHOP, Server},
};

/// What every request of these tests brings, before its own.
fn sent(body: &str, own: &Value) -> Value {
    let mut headers = vec![json!(["host", "127.0.0.1"]), json!(["connection", "close"])];
    headers.extend(own.as_array().cloned().unwrap_or_default());
    headers.push(json!(["content-length", body.len().to_string()]));
    headers.into()
}

#[test]
fn a_request_is_sent_back_as_it_came() {
    let server = Server::shared();
    let headers = [("X-Two", "b"), ("X-One", "a"), ("Cookie", "c=1; d=2"), ("x-two", "B ")];
    for (method, target) in [
        ("GET", "/dev/echo"),
        ("POST", "/dev/echo?a=%2f&b=c+d&a"),
        ("PATCH", "/dev/echo/api/%2E%2e/x;y?"),
        ("PURGE", "/dev/echo/a//b/"),
    ] {
        let body = "f\u{f6}rm=1\r\n";
        let answer = client::ask(server.port, method, target, &headers, body);
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{target}");
        let own = json!([["x-two", "b"], ["x-two", "B"], ["x-one", "a"], ["cookie", "c=1; d=2"]]);
        let expected = json!({ "method": method, "target": target, "headers": sent(body, &own), "body": body });
        assert_eq!(answer.json(), expected);
    }
}

#[test]
fn an_echo_says_how_it_may_be_stored() {
    let server = Server::shared();
    let ask = |query: &str| client::ask(server.port, "GET", &format!("/dev/echo/x?{query}"), &[], "");
    let answer = ask("y=1&cache-control=public,%20max-age%3D60");
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("public, max-age=60")));
    for query in ["cache-control=a%0Db", "cache-control=a&cache-control=b"] {
        let answer = ask(query);
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.json()["error"].as_str().expect("a sentence").contains("cache-control"));
    }
    let long = "x".repeat(2 * 1024 * 1024 + 1);
    assert_eq!(server.post("/dev/echo", &long[1..]).status, 200);
    assert_eq!(server.post("/dev/echo", &long).status, 413);
}

/// The members of an envelope, with those of what it says beside the data.
fn shape(envelope: &Value) -> Vec<(&String, Vec<&String>)> {
    let envelope = envelope.as_object().expect("an envelope");
    let members = |name: &str| envelope[name].as_object().filter(|_| name != "data");
    envelope.keys().map(|name| (name, members(name).into_iter().flat_map(Map::keys).collect())).collect()
}

#[test]
fn any_path_can_echo_in_its_own_envelope() {
    let server = Server::own();
    for path in DASHBOARD.into_iter().chain(["/api/realtime/sla"]) {
        let own = server.json(path, DEFAULT_SHOP);
        let armed = path.split('?').next().expect("a path");
        server.create("/dev/faults", &json!({ "path": armed, "times": 1, "fault": { "echo": true } }));
        let answer = server.get(path, DEFAULT_SHOP);
        assert_eq!((answer.status, answer.header("cache-control")), (200, None), "{path}");
        let echo = answer.json();
        assert_eq!(shape(&echo), shape(&own), "{path}");
        assert!(echo["success"] == true || (echo["status"] == "ok" && echo["source"] == "echo"), "{path}: {echo}");
        assert_eq!(echo["data"]["target"], path);
        assert_eq!(echo["data"]["headers"], sent("", &json!([["x-shop-domain", DEFAULT_SHOP]])), "{path}");
        assert_eq!(shape(&server.json(path, DEFAULT_SHOP)), shape(&own), "{path}: once");
    }
}

#[test]
fn an_echo_does_nothing_else_and_can_be_broken_too() {
    let server = Server::own();
    let pulse = || server.figures(DASHBOARD[0], DEFAULT_SHOP);
    let before = pulse();
    server.create("/dev/faults", &json!({ "path": "*", "times": 2, "fault": { "echo": true, "status": 201 } }));
    let order = client::ask(server.port, "POST", "/api/orders", &[("x-shop-domain", DEFAULT_SHOP)], r#"{"total":5}"#);
    assert_eq!((order.status, &order.json()["data"]["body"]), (201, &json!(r#"{"total":5}"#)));
    let nobody = client::ask(server.port, "GET", "/api/public/status", &[], "");
    assert_eq!((nobody.status, nobody.json()["meta"].get("shop")), (201, None));
    assert_eq!(pulse(), before);
}
