//! Faults are really on the wire.

use chrono::Utc;
use serde_json::{Value, json};

use crate::{
    client::{self, Answer},
    server::{DEFAULT_SHOP, Server},
};

const PATH: &str = "/api/dashboard/tiles/ops";

fn armed(fault: &Value) -> Server {
    let server = Server::own();
    server.create("/dev/faults", &json!({ "path": PATH, "times": 1, "fault": fault }));
    server
}

/// What a fault makes of an answer; the next one must be whole again.
fn struck(server: &Server, fault: &Value) -> Answer {
    server.create("/dev/faults", &json!({ "path": PATH, "times": 1, "fault": fault }));
    let answer = server.get(PATH, DEFAULT_SHOP);
    assert_eq!(server.data(PATH, DEFAULT_SHOP)["activation"]["total_active_shops"], 12);
    answer
}

#[test]
fn a_body_can_be_cut_or_of_another_length() {
    let server = Server::own();
    let whole = server.get(PATH, DEFAULT_SHOP).body.len();

    let cut = struck(&server, &json!({ "cut_after_bytes": 100 }));
    assert_eq!((cut.status, cut.body.len(), cut.complete), (200, 100, false));
    let declared: usize = cut.header("content-length").expect("a length").parse().expect("a number");
    assert!(declared.abs_diff(whole) < 20, "{declared} {whole}");
    assert!(cut.header("date").is_some());

    let cut = struck(&server, &json!({ "cut_after_bytes": 100, "chunked": true }));
    assert_eq!((cut.body.len(), cut.complete), (100, false));
    assert_eq!((cut.header("transfer-encoding"), cut.header("content-length")), (Some("chunked"), None));

    let beyond = struck(&server, &json!({ "cut_after_bytes": 1_000_000 }));
    assert!(!beyond.complete && beyond.body.len() > 8_000);

    for delta in [25, -25] {
        let wrong = struck(&server, &json!({ "length_delta": delta }));
        let declared: i64 = wrong.header("content-length").expect("a length").parse().expect("a number");
        let sent = i64::try_from(wrong.body.len()).expect("a length");
        assert_eq!(declared - sent, delta);
        wrong.json();
    }

    server.create("/dev/faults", &json!({ "path": PATH, "times": 1, "fault": { "hang_up": true } }));
    assert_eq!(client::raw(server.port, "GET", PATH, &[("x-shop-domain", DEFAULT_SHOP)], ""), b"");
}

#[test]
fn a_body_can_be_something_else() {
    let server = Server::own();
    let broken = struck(&server, &json!({ "body": "invalid-json" }));
    assert!(broken.complete && broken.body.len() > 8_000);
    assert!(serde_json::from_slice::<Value>(&broken.body).is_err());

    let error = struck(&server, &json!({ "body": "status-error" }));
    assert_eq!((error.status, error.header("content-type")), (200, Some("application/json")));
    assert_eq!((&error.json()["status"], &error.json()["data"]), (&json!("error"), &Value::Null));
    server.create(
        "/dev/faults",
        &json!({ "path": "/api/dashboard/segments", "times": 1, "fault": { "body": "status-error" } }),
    );
    assert_eq!(server.json("/api/dashboard/segments", DEFAULT_SHOP)["success"], false);

    let html = struck(&server, &json!({ "body": "html", "status": 200 }));
    assert_eq!(html.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(html.complete && html.text().starts_with("<!doctype html>"));

    let empty = struck(&server, &json!({ "body": "empty" }));
    assert_eq!((empty.status, empty.body.len(), empty.complete), (200, 0, true));

    let padded = struck(&server, &json!({ "pad_bytes": 300_000 }));
    assert!(padded.complete && padded.body.len() > 300_000);
    assert_eq!(padded.json()["status"], "ok");
}

#[test]
fn status_and_headers_can_be_others() {
    let server = Server::own();
    let headers = json!({
        "Retry-After": "7", "Age": "99999999", "Set-Cookie": ["a=1", "b=2"], "Content-Type": null,
    });
    let answer = struck(&server, &json!({ "status": 429, "headers": headers }));
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
    assert_eq!((answer.header("age"), answer.header("content-type")), (Some("99999999"), None));
    let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie").count();
    assert_eq!(cookies, 2);
    assert_eq!(answer.json()["status"], "ok");
}

#[test]
fn answers_can_be_slow_before_the_headers_and_in_the_body() {
    let server = armed(&json!({ "delay_ms": 300 }));
    let started = Utc::now();
    server.data(PATH, DEFAULT_SHOP);
    assert!((Utc::now() - started).num_milliseconds() >= 300);

    server.create(
        "/dev/faults",
        &json!({ "path": PATH, "times": 1, "fault": { "chunk_delay_ms": 100, "chunk_bytes": 2000 } }),
    );
    let started = Utc::now();
    let answer = server.get(PATH, DEFAULT_SHOP);
    assert!((Utc::now() - started).num_milliseconds() >= 400);
    assert!(answer.complete && answer.header("content-length").is_some());
    answer.json();
}

#[test]
fn faults_strike_as_often_as_armed_and_where() {
    let server = Server::own();
    let status = |path: &str| server.get(path, DEFAULT_SHOP).status;
    server.create("/dev/faults", &json!({ "path": PATH, "times": 2, "fault": { "status": 500 } }));
    server.create("/dev/faults", &json!({ "path": "*", "fault": { "status": 503 } }));
    let list = client::ask(server.port, "GET", "/dev/faults", &[], "").json();
    assert_eq!(list["faults"][0], json!({ "path": PATH, "times": 2, "fault": { "status": 500 } }));
    assert_eq!(list["faults"].as_array().map(Vec::len), Some(2));
    assert_eq!([(); 3].map(|()| status(PATH)), [500, 500, 503]);
    assert_eq!((status("/api/dashboard/segments"), status("/nowhere")), (503, 503));
    assert_eq!(client::ask(server.port, "DELETE", "/dev/faults", &[], "").status, 204);
    assert_eq!((status(PATH), status("/nowhere")), (200, 404));
}

/// Bodies that cannot be armed, the status, and a word of the sentence.
const REFUSED: [(&str, u16, &str); 26] = [
    ("", 400, "not JSON"),
    ("{", 400, "not JSON"),
    ("[]", 400, "object"),
    (r#"{"path":"/x"}"#, 422, "fault"),
    (r#"{"fault":{"status":500}}"#, 422, "path"),
    (r#"{"path":"x","fault":{"status":500}}"#, 422, "path"),
    (r#"{"path":"/dev/faults","fault":{"status":500}}"#, 422, "path"),
    (r#"{"path":"/x?y=1","fault":{"status":500}}"#, 422, "path"),
    (r#"{"path":"/x","times":0,"fault":{"status":500}}"#, 422, "times"),
    (r#"{"path":"/x","times":"often","fault":{"status":500}}"#, 422, "times"),
    (r#"{"path":"/x","fault":{}}"#, 422, "fault"),
    (r#"{"path":"/x","fault":{"sttus":500}}"#, 422, "sttus"),
    (r#"{"path":"/x","fault":{"status":99}}"#, 422, "fault.status"),
    (r#"{"path":"/x","fault":{"status":"503"}}"#, 422, "fault.status"),
    (r#"{"path":"/x","fault":{"body":"pdf"}}"#, 422, "fault.body"),
    (r#"{"path":"/x","fault":{"hang_up":false}}"#, 422, "fault.hang_up"),
    (r#"{"path":"/x","fault":{"echo":false}}"#, 422, "fault.echo"),
    (r#"{"path":"/x","fault":{"length_delta":0}}"#, 422, "fault.length_delta"),
    (r#"{"path":"/x","fault":{"chunked":true}}"#, 422, "fault.chunked"),
    (r#"{"path":"/x","fault":{"chunk_bytes":5}}"#, 422, "fault.chunk_bytes"),
    (r#"{"path":"/x","fault":{"chunk_delay_ms":5,"chunk_bytes":0}}"#, 422, "fault.chunk_bytes"),
    (r#"{"path":"/x","fault":{"pad_bytes":99999999999}}"#, 422, "fault.pad_bytes"),
    (r#"{"path":"/x","fault":{"headers":{"a b":"c"}}}"#, 422, "fault.headers.a b"),
    (r#"{"path":"/x","fault":{"headers":{"a":1}}}"#, 422, "fault.headers.a"),
    (r#"{"path":"/x","fault":{"headers":{"a":"b\n"}}}"#, 422, "fault.headers.a"),
    (r#"{"path":"/x","fault":{"cut_after_bytes":1,"length_delta":1}}"#, 422, "length_delta"),
];

#[test]
fn faults_that_cannot_be_are_refused_with_the_field_that_is_wrong() {
    let server = Server::shared();
    for (body, status, word) in REFUSED {
        let answer = server.post("/dev/faults", body);
        let json = answer.json();
        let sentence = json["error"].as_str().expect("a sentence");
        assert_eq!(answer.status, status, "{body}: {sentence}");
        assert!(sentence.contains(word) && sentence.ends_with('.'), "{body}: {sentence}");
    }
    assert_eq!(client::ask(server.port, "GET", "/dev/faults", &[], "").json(), json!({ "faults": [] }));
}

#[test]
fn an_endless_body_can_be_cut_too() {
    let server = Server::own();
    let stream = "/api/realtime/stream?interval_ms=10";
    server.create(
        "/dev/faults",
        &json!({ "path": "/api/realtime/stream", "times": 1, "fault": { "cut_after_bytes": 150, "chunked": true } }),
    );
    let cut = server.get(stream, DEFAULT_SHOP);
    assert_eq!((cut.body.len(), cut.complete), (150, false));
    assert!(cut.text().starts_with("event: sla\n"));
}
