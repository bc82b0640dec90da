//! Purges that are refused: each with its status and a sentence that names what is wrong, and nothing is purged.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use lab::client::Call;
use lab::harness::{Edge, OPERATOR_TOKEN};
use lab::purge::purge_call;
use lab::stored::{SALES, SALES_KEY};
use serde_json::{Value, json};

/// A purge that would reach the tile, were it not refused.
fn good() -> Value {
    json!({"mode": "hard", "all": true})
}

/// Refused with this status and a sentence that says this; the tile is still a hit.
#[track_caller]
fn refused(edge: &Edge, call: &Call, status: u16, says: &str) {
    let answer = edge.send(call).problem(status).origin_requests(0);
    let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.contains(says), "{detail:?} does not say {says:?}");
    edge.is_hit(SALES, "still here");
}

fn filled() -> Edge {
    let edge = Edge::start();
    edge.fill(SALES, SALES_KEY, "still here");
    edge
}

#[test]
fn without_a_valid_token_nothing_happens() {
    let edge = filled();
    let digest = "534125de141542e27a3668e21ce0ad7a4820c1a76d97a5d098b1c7df6eca3f1d";
    let call = || Call::new("POST", "/cache/purge").body(good().to_string());
    refused(&edge, &call(), 401, "token");
    let upper = OPERATOR_TOKEN.to_uppercase();
    for authorization in [
        String::new(),
        OPERATOR_TOKEN.to_owned(),
        "Bearer".to_owned(),
        "Bearer wrong".to_owned(),
        format!("Bearer {upper}"),
        format!("Basic {OPERATOR_TOKEN}"),
        format!("Bearer  {OPERATOR_TOKEN}"),
        format!("Bearer {OPERATOR_TOKEN}x"),
        format!("Bearer {}", OPERATOR_TOKEN.trim_end_matches('s')),
        format!("Bearer {digest}"),
        format!("Bearer {OPERATOR_TOKEN}, Bearer wrong"),
    ] {
        refused(&edge, &call().field("Authorization", &authorization), 401, "token");
    }
    let twice =
        call().field("Authorization", "Bearer wrong").field("Authorization", format!("Bearer {OPERATOR_TOKEN}"));
    refused(&edge, &twice, 401, "token");
    refused(&edge, &call().field("Edge-Authorization", format!("Bearer {OPERATOR_TOKEN}")), 401, "token");
    let challenged = edge.send(&call()).problem(401).origin_requests(0);
    assert!(challenged.field("WWW-Authenticate").is_some_and(|challenge| challenge.starts_with("Bearer")));
    assert!(!edge.workerd.log().contains(OPERATOR_TOKEN));
}

#[test]
fn what_is_no_purge_is_a_400() {
    let edge = filled();
    for (body, says) in [
        ("", "JSON"),
        ("{", "JSON"),
        ("[]", "object"),
        ("null", "object"),
        ("\u{feff}{}", "JSON"),
        (r#"{"mode":"hard","all":true}x"#, "JSON"),
        (r#"{"mode":"hard","all":"yes"}"#, "`all`"),
        (r#"{"mode":"hard","keys":"dashboard:tile:sales_pulse:v1"}"#, "`keys`"),
        (r#"{"mode":"hard","keys":[1]}"#, "`keys`"),
        (r#"{"mode":"hard","all":true,"everything":true}"#, "`everything`"),
        (r#"{"mode":1,"all":true}"#, "`mode`"),
        (r#"{"mode":"hard","all":true,"tags":"orders"}"#, "`tags`"),
        (r#"{"mode":"hard","all":true,"dry_run":"yes"}"#, "`dry_run`"),
    ] {
        refused(&edge, &purge_call(OPERATOR_TOKEN, body), 400, says);
    }
    refused(&edge, &purge_call(OPERATOR_TOKEN, b"{\"mode\":\"hard\xff\",\"all\":true}"), 400, "JSON");
    let deep = "[".repeat(30_000);
    refused(&edge, &purge_call(OPERATOR_TOKEN, format!(r#"{{"mode":"hard","all":true,"keys":{deep}"#)), 400, "JSON");
}

#[test]
fn what_does_not_exist_is_a_422_that_names_it() {
    let edge = filled();
    for (body, says) in [
        (json!({"all": true}), "`mode` is missing"),
        (json!({"mode": "softly", "all": true}), "`softly`"),
        (json!({"mode": "HARD", "all": true}), "`HARD`"),
        (json!({"mode": "hard"}), "names nothing"),
        (json!({"mode": "hard", "keys": [], "all": false}), "names nothing"),
        (json!({"mode": "hard", "dry_run": true}), "names nothing"),
        (json!({"mode": "hard", "all": true, "tags": [""]}), "printable ASCII"),
        (json!({"mode": "hard", "all": true, "tags": ["caf\u{e9}"]}), "printable ASCII"),
        (json!({"mode": "hard", "all": true, "tags": ["x".repeat(257)]}), "printable ASCII"),
        (json!({"mode": "hard", "all": true, "tenant": "other.myshopify.com"}), "`tenant`"),
        (json!({"mode": "hard", "keys": [SALES_KEY, "dashboard:tile:sales"]}), "`dashboard:tile:sales`"),
        (json!({"mode": "hard", "keys": [SALES_KEY, format!("{SALES_KEY}?x=1")]}), "parameters of route"),
        (json!({"mode": "hard", "keys": [SALES_KEY, "dashboard:trends:revenue:v1"]}), "purge the route"),
        (json!({"mode": "hard", "keys": ["*"]}), "`*`"),
        (json!({"mode": "hard", "routes": ["sales_pulse", "sales"]}), "`sales`"),
        (json!({"mode": "hard", "routes": ["realtime_sla"]}), "never stored"),
        (json!({"mode": "hard", "classes": ["near_real_time", "near"]}), "`near`"),
        (json!({"mode": "hard", "classes": ["real_time"]}), "never stored"),
        (json!({"mode": "hard", "urls": [SALES, "/api/dashboard/nowhere"]}), "`/api/dashboard/nowhere`"),
        (json!({"mode": "hard", "urls": [format!("{SALES}?x=1")]}), "`x`"),
        (json!({"mode": "hard", "urls": ["/api/../x"]}), "segment"),
        (json!({"mode": "hard", "urls": [""]}), "http"),
        (json!({"mode": "hard", "keys": vec![SALES_KEY; 1_001]}), "1001"),
    ] {
        refused(&edge, &purge_call(OPERATOR_TOKEN, body.to_string()), 422, says);
    }
}

#[test]
fn a_body_over_64_kb_is_a_413_however_its_length_is_told() {
    let edge = filled();
    let padded = |length: usize| {
        let good = good().to_string();
        format!("{good}{}", " ".repeat(length - good.len()))
    };
    refused(&edge, &purge_call(OPERATOR_TOKEN, padded(65_537)), 413, "65536");
    refused(&edge, &purge_call(OPERATOR_TOKEN, padded(1 << 20)), 413, "65536");
    let chunked = |length: usize| {
        let parts =
            padded(length).into_bytes().chunks(10_000).map(|part| (Duration::ZERO, part.to_vec())).collect::<Vec<_>>();
        Call::new("POST", "/cache/purge").field("Authorization", format!("Bearer {OPERATOR_TOKEN}")).chunks(parts)
    };
    refused(&edge, &chunked(65_537), 413, "65536");
    refused(&edge, &chunked(1 << 20), 413, "65536");
    // One byte less is a purge.
    edge.send(&chunked(65_536)).expect(202).origin_requests(0);
    edge.is_gone(SALES, SALES_KEY);
    edge.send(&purge_call(OPERATOR_TOKEN, padded(65_536))).expect(202).origin_requests(0);
}

#[test]
fn the_admin_plane_has_one_call_and_asks_nobody() {
    let edge = filled();
    let authorized = |method: &str, target: &str| {
        Call::new(method, target).field("Authorization", format!("Bearer {OPERATOR_TOKEN}"))
    };
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "PURGE"] {
        let answer =
            edge.send(&authorized(method, "/cache/purge")).expect(405).field("Allow", "POST").origin_requests(0);
        assert_eq!(answer.body.is_empty(), method == "HEAD", "{method}");
    }
    for target in ["/cache", "/cache/", "/cache/purge/", "/cache/stats", "/cache/stored/x", "/cache/PURGE"] {
        refused(&edge, &authorized("POST", target), 404, "/cache/purge");
        refused(&edge, &Call::new("POST", target).body("{}"), 401, "token");
    }
    refused(&edge, &Call::new("PURGE", "/cache/purge"), 401, "token");
    // An Origin field, as a page of another site would send it, opens nothing.
    let foreign = edge.send(&authorized("OPTIONS", "/cache/purge").field("Origin", "https://evil.example"));
    foreign.expect(405).no_field("Access-Control-Allow-Origin").origin_requests(0);
}

#[test]
fn a_body_that_does_not_arrive_whole_is_no_purge() {
    let edge = filled();
    let head = format!(
        "POST /cache/purge HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {OPERATOR_TOKEN}\r\nContent-Length: 1000\r\n\r\n"
    );
    let mut stream = TcpStream::connect(edge.workerd.address()).expect("workerd listens");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    stream.write_all(format!("{head}{}", good()).as_bytes()).expect("workerd reads");
    stream.shutdown(Shutdown::Write).expect("the connection is open");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("did not arrive whole"), "{answer}");
    edge.is_hit(SALES, "still here");
}
