//! Receipts: what a purge did and promises, by its id, for whoever has a token.

use lab::client::Call;
use lab::harness::{Edge, OPERATOR_TOKEN, Options, TENANT};
use lab::purge::{purge_call, wait_past};
use lab::stored::{OPS, OPS_KEY, SALES, SALES_KEY, SEGMENTS, SEGMENTS_KEY};
use serde_json::{Value, json};

fn authorized(method: &str, target: &str) -> Call {
    Call::new(method, target).field("Authorization", format!("Bearer {OPERATOR_TOKEN}"))
}

fn receipt_of(id: &str) -> String {
    format!("/cache/receipts/{id}")
}

fn text<'a>(receipt: &'a Value, member: &str) -> &'a str {
    receipt[member].as_str().unwrap_or_else(|| panic!("no {member}: {receipt}"))
}

#[track_caller]
fn is_read(edge: &Edge, receipt: &Value) {
    let case = edge.send(&authorized("GET", &receipt_of(text(receipt, "id")))).expect(200);
    let read = case.field("Content-Type", "application/json").field("Cache-Control", "no-store").origin_requests(0);
    assert_eq!(read.json(), *receipt);
}

#[test]
fn a_receipt_is_read_by_its_id_and_survives_a_restart() {
    let mut edge = Edge::start();
    let hard = edge.order(OPERATOR_TOKEN, &json!({"mode": "hard", "routes": ["ops"], "keys": [SALES_KEY]}));
    // It is promised, and workerd ends before it happens.
    let soft = edge.order(OPERATOR_TOKEN, &json!({"mode": "soft", "all": true}));
    let members = ["id", "tenant", "mode", "epoch", "token", "incremented_at", "effective_by", "beyond_by", "purged"];
    for receipt in [&hard, &soft] {
        assert!(members.iter().all(|member| !receipt[member].is_null()), "{receipt}");
        assert_eq!(receipt["tenant"], TENANT);
        let times = ["incremented_at", "effective_by", "beyond_by"].map(|time| text(receipt, time));
        assert!(times.is_sorted() && times[0] < times[1], "{receipt}");
        assert!(text(receipt, "token").starts_with(&format!("{}.", receipt["epoch"])), "{receipt}");
        is_read(&edge, receipt);
    }
    assert_eq!(hard["purged"], json!({"routes": ["ops"], "keys": [SALES_KEY]}));
    assert_eq!(soft["purged"], json!({"all": true}));
    edge.workerd.restart();
    is_read(&edge, &hard);
    is_read(&edge, &soft);
    let head = edge.send(&authorized("HEAD", &receipt_of(text(&hard, "id")))).expect(200).body("").origin_requests(0);
    assert_eq!(head.field("Content-Length"), Some(hard.to_string().len().to_string().as_str()));
}

#[test]
fn a_promised_increment_happens_though_workerd_ended_before_it() {
    let mut edge = Options::built().short_snapshots().start();
    edge.fill(SALES, SALES_KEY, "old");
    edge.fill(OPS, OPS_KEY, "old");
    let first = edge.order(OPERATOR_TOKEN, &json!({"mode": "hard", "keys": [SALES_KEY]}));
    let second = edge.order(OPERATOR_TOKEN, &json!({"mode": "hard", "keys": [OPS_KEY]}));
    let third = edge.order(OPERATOR_TOKEN, &json!({"mode": "hard", "keys": [SEGMENTS_KEY]}));
    assert!(first["epoch"].as_u64() < second["epoch"].as_u64(), "{first} {second}");
    assert_eq!(["epoch", "token", "incremented_at"].map(|same| second[same] == third[same]), [true; 3]);
    edge.workerd.restart();
    is_read(&edge, &second);
    wait_past(&second, "effective_by");
    edge.is_gone(OPS, OPS_KEY);
    edge.is_gone(SALES, SALES_KEY);
}

#[test]
fn an_unknown_receipt_is_a_404_and_nobody_without_a_token_learns_even_that() {
    let edge = Options::failing().start();
    let receipt = edge.order(OPERATOR_TOKEN, &json!({"mode": "hard", "all": true}));
    let id = text(&receipt, "id");
    let unknown = [format!("{id}0"), id[..id.len() - 1].to_owned(), id.to_uppercase(), "x".to_owned(), String::new()];
    for id in unknown {
        edge.send(&authorized("GET", &receipt_of(&id))).problem(404).origin_requests(0);
    }
    edge.send(&authorized("GET", &receipt_of(&"x".repeat(2_000)))).problem(404).origin_requests(0);
    edge.send(&authorized("GET", &receipt_of(&format!("other.myshopify.com~{id}")))).problem(404).origin_requests(0);
    let calls = edge.ledger_calls();
    for id in [id, "x"] {
        edge.get(&receipt_of(id)).problem(401).origin_requests(0);
        let wrong = Call::get(receipt_of(id)).field("Authorization", "Bearer wrong");
        edge.send(&wrong).problem(401).origin_requests(0);
        for method in ["POST", "DELETE", "PUT"] {
            let case = edge.send(&authorized(method, &receipt_of(id))).problem(405);
            case.field("Allow", "GET, HEAD").origin_requests(0);
        }
    }
    assert_eq!(edge.ledger_calls(), calls);
    edge.tell("ledger/unreachable");
    edge.send(&authorized("GET", &receipt_of(id))).problem(503).origin_requests(0);
}

#[test]
fn a_dry_run_says_what_would_go_and_asks_and_changes_nothing() {
    let edge = Options::failing().start();
    edge.fill(SALES, SALES_KEY, "still here");
    edge.fill(SEGMENTS, SEGMENTS_KEY, "still here");
    let calls = edge.ledger_calls();
    for (purge, keys) in [
        (json!({"keys": [SALES_KEY]}), 1),
        (json!({"routes": ["trends_revenue"], "keys": ["dashboard:trends:revenue:v1?days=30"]}), 2),
        (json!({"all": true}), lab::stored::count_all()),
    ] {
        for mode in ["soft", "hard", "erase"] {
            let mut body = purge.clone();
            (body["mode"], body["dry_run"]) = (mode.into(), true.into());
            let answer = edge.send(&purge_call(OPERATOR_TOKEN, body.to_string())).expect(200).origin_requests(0).json();
            assert_eq!((&answer["dry_run"], &answer["keys"]), (&json!(true), &json!(keys)), "{body}: {answer}");
            assert!(answer["id"].is_null() && answer["token"].is_null(), "{answer}");
        }
    }
    assert_eq!(edge.ledger_calls(), calls);
    edge.get(SALES).expect(200).hit().detail("edge").says("still here").origin_requests(0);
    edge.get(SEGMENTS).expect(200).hit().detail("edge").says("still here").origin_requests(0);
}
