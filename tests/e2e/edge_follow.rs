//! Routes that follow their origin, on the Worker of tests/follow.

use lab::harness::{Edge, Options};
use lab::origin::Answer;

const PAGE: &str = "/pages/a/b";

/// Waits until the Cache API holds so many answers.
#[track_caller]
fn wait_until_stored(edge: &Edge, count: usize) {
    edge.wait_until("the answer is stored", |edge| edge.answers_in_cache().len() == count);
}

#[test]
fn an_answer_is_reused_for_as_long_as_its_origin_says() {
    let edge = Options::follow().start();
    let page = |body: &str| Answer::bytes("text/html", body).field("Cache-Control", "max-age=60").field("A", "1");
    edge.origin.answer(PAGE, page("first"));
    edge.get(PAGE).expect(200).fwd("uri-miss").stored(true).body("first").origin_requests(1);
    wait_until_stored(&edge, 1);
    edge.origin.answer(PAGE, page("second"));
    let case = edge.get(PAGE).expect(200).hit().ttl(55..=60).detail("edge").body("first");
    case.field("Content-Type", "text/html").field("Cache-Control", "max-age=60").field("A", "1").origin_requests(0);
    // Another query is another page, and nothing lies in KV.
    let other = format!("{PAGE}?x");
    edge.get(&other).expect(200).fwd("uri-miss").stored(true).body("second").origin_requests(1);
    assert_eq!(edge.kv.keys(), Vec::<String>::new());
}
