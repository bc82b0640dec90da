//! Purge tokens on workerd: what each may purge, how often, and what is said of a list that is wrong.

use lab::client::Call;
use lab::harness::{Edge, OPERATOR_TOKEN, Options, TENANT};
use lab::purge::purge_call;
use lab::stored::{OPS, OPS_KEY, SALES, SALES_KEY};
use serde_json::{Value, json};

/// SHA-256 of `one`, of `two`, and of the operator's token.
const ONE: &str = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
const TWO: &str = "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3";
const OPERATOR: &str = "534125de141542e27a3668e21ce0ad7a4820c1a76d97a5d098b1c7df6eca3f1d";

/// `one` may purge hard within one class, and `two` everything.
fn tokens() -> Value {
    json!([
        { "name": "one", "sha256": ONE, "tenants": [TENANT], "classes": ["near_real_time"], "modes": ["hard"], "per_minute": 3 },
        { "name": "two", "sha256": TWO, "tenants": ["*"], "classes": ["*"], "modes": ["hard"], "everything": true, "per_minute": 3 },
    ])
}

fn filled() -> Edge {
    let edge = Options::built().var("PURGE_TOKENS", &tokens().to_string()).start();
    edge.fill(SALES, SALES_KEY, "still here");
    edge
}

/// Refused with this status and a sentence that says this; the tile is still a hit.
#[track_caller]
fn refused(edge: &Edge, token: &str, body: &Value, status: u16, says: &str) {
    let answer = edge.send(&purge_call(token, body.to_string())).problem(status).origin_requests(0);
    let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.contains(says) && detail.ends_with("Nothing was purged."), "{body}: {detail:?}");
    edge.is_hit(SALES, "still here");
}

#[test]
fn what_lies_outside_the_scope_of_a_token_is_a_403_that_says_which_part() {
    let edge = filled();
    for (body, says) in [
        (json!({"mode": "soft", "routes": ["sales_pulse"]}), "Mode `soft`"),
        (json!({"mode": "erase", "routes": ["sales_pulse"]}), "Mode `erase`"),
        (json!({"mode": "hard", "classes": ["near_real_time", "historical"]}), "Class `historical`"),
        (json!({"mode": "hard", "keys": [SALES_KEY], "routes": ["trends_revenue"]}), "Class `historical`"),
        (json!({"mode": "hard", "all": true}), "every class"),
        (json!({"mode": "hard", "tags": ["a"]}), "every class"),
        (json!({"mode": "hard", "all": true, "tenant": "*", "confirm": "all tenants"}), "`everything`"),
    ] {
        refused(&edge, "one", &body, 403, says);
    }
}

#[test]
fn within_its_scope_a_token_purges_and_reads_the_receipt() {
    let edge = filled();
    edge.fill(OPS, OPS_KEY, "kept");
    let body = json!({"mode": "hard", "keys": [SALES_KEY]}).to_string();
    let receipt = edge.send(&purge_call("one", body)).expect(202).origin_requests(0).json();
    edge.is_gone(SALES, SALES_KEY);
    edge.is_hit(OPS, "kept");
    let path = format!("/cache/receipts/{}", receipt["id"].as_str().expect("an id"));
    for token in ["one", "two", OPERATOR_TOKEN] {
        let call = Call::get(&path).field("Authorization", format!("Bearer {token}"));
        assert_eq!(edge.send(&call).expect(200).origin_requests(0).json(), receipt, "{token}");
    }
}

#[test]
fn a_purge_of_all_tenants_takes_the_scope_and_the_confirmation() {
    let edge = filled();
    let confirmed = json!({"mode": "hard", "all": true, "tenant": "*", "confirm": "all tenants"});
    refused(&edge, OPERATOR_TOKEN, &confirmed, 403, "`everything`");
    refused(&edge, "two", &json!({"mode": "hard", "all": true, "tenant": "*"}), 422, "`\"confirm\": \"all tenants\"`");
    let mut more = confirmed.clone();
    more["keys"] = json!([SALES_KEY]);
    refused(&edge, "two", &more, 422, "nothing else");
    let receipt = edge.send(&purge_call("two", confirmed.to_string())).expect(202).origin_requests(0).json();
    assert_eq!((&receipt["tenant"], &receipt["token"]), (&json!("*"), &json!(null)), "{receipt}");
    let path = format!("/cache/receipts/{}", receipt["id"].as_str().expect("an id"));
    let call = Call::get(&path).field("Authorization", "Bearer two");
    assert_eq!(edge.send(&call).expect(200).origin_requests(0).json(), receipt);
}

#[test]
fn nothing_that_looks_like_a_pattern_is_one() {
    let edge = filled();
    for name in ["*", "sales*", "^sales.+$", "../sales_pulse"] {
        for kind in ["keys", "routes", "classes", "tags"] {
            let mut body = json!({"mode": "hard"});
            body[kind] = json!([name]);
            refused(&edge, OPERATOR_TOKEN, &body, 422, &format!("`{name}`"));
        }
    }
}

#[test]
fn each_token_has_a_minute_of_its_own() {
    let edge = filled();
    let body = json!({"mode": "hard", "keys": [OPS_KEY]});
    for token in ["one", "two"] {
        for _ in 0..3 {
            edge.send(&purge_call(token, body.to_string())).expect(202).origin_requests(0);
        }
        let declined = edge.send(&purge_call(token, body.to_string())).problem(429).origin_requests(0);
        let seconds: u32 = declined.field("Retry-After").expect("when to ask again").parse().expect("seconds");
        assert!((1..=20).contains(&seconds), "{seconds}");
    }
    edge.send(&purge_call(OPERATOR_TOKEN, body.to_string())).expect(202).origin_requests(0);
    edge.is_hit(SALES, "still here");
}

#[test]
fn nobody_but_an_operator_asks_past_the_store() {
    let edge = filled();
    for token in ["one", "two"] {
        let call = Call::get(format!("{SALES}?nocache=true")).field("Edge-Authorization", format!("Bearer {token}"));
        edge.send(&call).expect(200).hit().says("still here").origin_requests(0);
    }
}

#[test]
fn a_list_that_is_wrong_is_a_sentence_without_a_secret() {
    let with = |member: &str, value: Value| {
        let mut tokens = tokens();
        tokens[1][member] = value;
        tokens
    };
    for (tokens, says) in [
        (json!("a-Token-in-clear"), "a list of tokens"),
        (with("a-Token-in-clear", json!(true)), "token 2: it has a member"),
        (with("name", json!("a-Token-in-clear")), "token 2: `name`"),
        (with("name", json!("one")), "token 2: another token"),
        (with("sha256", json!("a-Token-in-clear")), "token 2: `sha256`"),
        (with("sha256", json!(ONE)), "token 2: another token"),
        (with("sha256", json!(OPERATOR)), "token 2: another token, or an operator"),
        (with("tenants", json!(["a-Token-in-clear"])), "token 2: `tenants`"),
        (with("classes", json!(["a-Token-in-clear"])), "token 2: `classes`"),
        (with("modes", json!(["a-Token-in-clear"])), "token 2: `modes`"),
        (with("per_minute", json!(6001)), "token 2: `per_minute`"),
    ] {
        let edge = Options::built().var("PURGE_TOKENS", &tokens.to_string()).start();
        let health = edge.get("/healthz").expect(503).origin_requests(0).json();
        let sentence = health["detail"].as_str().unwrap_or_default();
        assert!(sentence.starts_with("PURGE_TOKENS") && sentence.contains(says), "{sentence}");
        edge.get(SALES).problem(500).origin_requests(0);
        for secret in ["in-clear", ONE, TWO, OPERATOR] {
            assert!(!sentence.contains(secret) && !edge.workerd.log().contains(secret), "{sentence}");
        }
    }
}
