//! Soft purges: the old answer is served once more, says so, and is renewed behind; whoever knows of the change waits.

use std::thread;
use std::time::Duration;

use lab::client::Call;
use lab::harness::{Edge, OPERATOR_TOKEN, Options};
use lab::origin::Answer;
use lab::stored::{OPS, OPS_KEY, SALES, SALES_KEY, SEGMENTS, SEGMENTS_KEY};
use lab::stores::Op;
use serde_json::{Value, json};

/// For so long a tile is served after a soft purge.
const WINDOW: Duration = Duration::from_secs(10);

/// What the edge asks behind an answer arrives at the origin some time after it.
fn start() -> Edge {
    let edge = Options::failing().start();
    edge.tell("origin/delay/500");
    edge
}

#[track_caller]
fn soft(edge: &Edge, body: &Value) -> String {
    let mut body = body.clone();
    body["mode"] = "soft".into();
    let receipt = edge.order(OPERATOR_TOKEN, &body);
    receipt["token"].as_str().expect("a token").to_owned()
}

#[track_caller]
fn is_invalidated(edge: &Edge, target: &str, fact: &str) {
    edge.get(target).expect(200).hit().detail("edge/invalidated").says(fact).origin_requests(0);
}

#[track_caller]
fn wait_until_renewed(edge: &Edge, key: &str, fact: &str) {
    edge.wait_until("the renewal is stored", |edge| edge.in_cache(key).is_some_and(|body| body.contains(fact)));
}

/// Waits until the renewal behind an answer is stored: so many answers then came from the origin.
#[track_caller]
fn is_renewed(edge: &Edge, target: &str, key: &str, fact: &str, asked: usize) {
    wait_until_renewed(edge, key, fact);
    edge.get(target).expect(200).hit().detail("edge").says(fact).origin_requests(0);
    assert_eq!(edge.origin.count(target), asked);
}

#[test]
fn the_old_answer_is_served_and_renewed_behind_once() {
    let edge = start();
    for (target, key, route, hot) in [(SALES, SALES_KEY, "sales_pulse", 2), (SEGMENTS, SEGMENTS_KEY, "segments", 0)] {
        let edge = if route == "segments" { &start() } else { &edge };
        edge.fill(target, key, "old");
        edge.fill(OPS, OPS_KEY, "untouched");
        edge.origin.answer(target, Answer::tile("new"));
        soft(edge, &json!({"routes": [route]}));
        for _ in 0..5 {
            is_invalidated(edge, target, "old");
        }
        is_renewed(edge, target, key, "new", 2);
        edge.is_hit(OPS, "untouched");
        assert_eq!(edge.kv_face.log().iter().filter(|(op, at)| *op == Op::Put && at.ends_with(key)).count(), hot);
    }
}

#[test]
fn whoever_shows_the_token_gets_the_new_answer_at_once() {
    let edge = start();
    edge.fill(SALES, SALES_KEY, "old");
    edge.origin.answer(SALES, Answer::tile("new"));
    let token = soft(&edge, &json!({"keys": [SALES_KEY]}));
    let newer = Call::get(SALES).field("X-Newer-Than", &token);
    let new = edge.send(&newer).expect(200).fwd("stale").stored(true).says("new").origin_requests(1);
    edge.wait_until_kept(SALES_KEY, &new.text());
    edge.send(&newer).expect(200).hit().detail("edge").says("new").origin_requests(0);
    edge.is_hit(SALES, "new");
}

#[test]
fn a_tag_reaches_what_the_rules_and_what_the_origin_put_it_on() {
    let edge = start();
    edge.origin.answer(SEGMENTS, Answer::tile("old").field("Cache-Groups", "\"vip\", \"a, \\\"b\\\"\""));
    let filled = edge.get(SEGMENTS).expect(200).stored(true).no_field("Cache-Groups").origin_requests(1);
    edge.wait_until_kept(SEGMENTS_KEY, &filled.text());
    edge.fill(SALES, SALES_KEY, "old");
    edge.fill(OPS, OPS_KEY, "untouched");
    soft(&edge, &json!({"tags": ["VIP", "vip ", "a", "order"]}));
    edge.get(SEGMENTS).expect(200).hit().detail("edge").origin_requests(0);
    // The next increment is a second later.
    thread::sleep(Duration::from_secs(1));
    edge.origin.answer(SEGMENTS, Answer::tile("new"));
    edge.origin.answer(SALES, Answer::tile("new"));
    soft(&edge, &json!({"tags": ["orders", "a, \"b\""]}));
    is_invalidated(&edge, SEGMENTS, "old");
    is_invalidated(&edge, SALES, "old");
    edge.get(OPS).expect(200).hit().detail("edge").says("untouched").origin_requests(0);
    wait_until_renewed(&edge, SALES_KEY, "new");
    is_renewed(&edge, SEGMENTS, SEGMENTS_KEY, "new", 2);
    is_renewed(&edge, SALES, SALES_KEY, "new", 2);
}

#[test]
fn the_window_ends_whether_or_not_the_renewals_succeed() {
    let edge = Options::failing().start();
    edge.fill(SALES, SALES_KEY, "old");
    edge.fill(SEGMENTS, SEGMENTS_KEY, "old");
    edge.origin.stop();
    soft(&edge, &json!({"all": true}));
    is_invalidated(&edge, SALES, "old");
    thread::sleep(WINDOW);
    let case = edge.get(SALES).expect(200).fwd("stale").stored(false).detail("stale-if-error").says("old");
    case.origin_requests(0);
    // That of history is a minute.
    is_invalidated(&edge, SEGMENTS, "old");
    edge.wait_until("the renewals have failed", |edge| {
        let health = edge.get("/healthz").expect(200).origin_requests(0).json();
        health["incidents"]["origin_failed"].as_u64() >= Some(3)
    });
    edge.origin.resume();
    edge.origin.answer(SALES, Answer::tile("new"));
    edge.get(SALES).expect(200).fwd("stale").stored(true).says("new").origin_requests(1);
}

#[test]
fn a_hard_purge_after_a_soft_one_ends_the_window() {
    let edge = Options::failing().short_snapshots().start();
    edge.tell("origin/delay/500");
    edge.fill(SALES, SALES_KEY, "old");
    edge.origin.stop();
    soft(&edge, &json!({"routes": ["sales_pulse"]}));
    is_invalidated(&edge, SALES, "old");
    edge.purge(&json!({"mode": "hard", "routes": ["sales_pulse"]}));
    edge.get(SALES).problem(502).fwd("uri-miss").origin_requests(0);
    edge.origin.resume();
    edge.is_gone(SALES, SALES_KEY);
}
