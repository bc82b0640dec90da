//! Equal figures on the real Worker: a 304 for browsers, a condition for the origin, and few writes to Workers KV.

use std::thread::sleep;
use std::time::Duration;

use lab::client::Call;
use lab::harness::Edge;
use lab::origin::Answer;
use lab::stored::{SALES, SALES_KEY, kv_key};
use lab::stores::{Fault, Op};
use serde_json::json;

/// One figure, as a tile that was made at another time and has its members in another order.
fn tile(nth: usize, total: f64) -> Answer {
    let data = json!({ "total": total, "rows": [{ "n": 10, "m": 2 }], "generated_at": format!("09:0{nth}") });
    let text = if nth.is_multiple_of(2) {
        format!(r#"{{"status":"ok","fact":{{"id":{nth}}},"data":{data}}}"#)
    } else {
        format!(
            r#"{{"data":{{"rows":[{{"n":10.0,"m":2e0}}],"generated_at":"09:0{nth}","total":{total}}},"fact":{{"id":{nth}}},"status":"ok"}}"#
        )
    };
    Answer::bytes("application/json", text)
}

#[test]
fn an_equal_figure_is_a_304_for_browsers_and_no_write_to_kv() {
    let edge = Edge::start();
    edge.origin.script(SALES, |_, nth| tile(nth, 1.5));
    let filled = edge.get(SALES).expect(200).stored(true).origin_requests(1);
    let tag = filled.field("ETag").expect("a tile has a tag").to_owned();
    edge.wait_until("the tile is in KV", |edge| edge.kv.get(&kv_key(SALES_KEY)).is_some());
    // More than a second later, so that it is not for the sake of KV's limit.
    // Past its lifetime, and past the window in which it would be renewed behind the answer.
    sleep(Duration::from_millis(2_100));
    for _ in 0..3 {
        edge.cache.clear();
        edge.kv_face.faults().set(Op::Get, Fault::Status(500));
        let again = edge.get(SALES).expect(200).stored(true).origin_requests(1);
        assert_eq!(again.field("ETag"), Some(tag.as_str()));
        assert_ne!(again.body, filled.body, "the spelling is another one");
        edge.kv_face.faults().heal();
        let have = Call::get(SALES).field("If-None-Match", &tag);
        edge.wait_until("the tile is stored", |edge| !edge.answers_in_cache().is_empty());
        edge.send(&have).expect(304).hit().body("").field("ETag", &tag).origin_requests(0);
    }
    assert_eq!(edge.kv_face.count(Op::Put), 1);
    // Another figure is written.
    edge.origin.answer(SALES, tile(0, 1.6));
    edge.cache.clear();
    edge.kv_face.faults().set(Op::Get, Fault::Status(500));
    let have = Call::get(SALES).field("If-None-Match", &tag);
    edge.send(&have).expect(200).stored(true).origin_requests(1);
    edge.wait_until("the other figure is in KV", |edge| edge.kv_face.count(Op::Put) == 2);
}

#[test]
fn the_origin_is_asked_whether_its_answer_changed_and_its_304_makes_it_fresh() {
    let edge = Edge::start();
    let tagged = || tile(0, 1.5).field("ETag", "\"v1\"").field("Cache-Control", "max-age=1");
    edge.origin.answer(SALES, tagged());
    let filled = edge.get(SALES).expect(200).stored(true).origin_requests(1);
    edge.wait_until("the tile is stored", |edge| !edge.answers_in_cache().is_empty());
    // For as long as it was fresh, it answers while it is renewed behind.
    sleep(Duration::from_millis(2_100));
    edge.origin.script(SALES, move |request, _| {
        let has = request.fields.get("If-None-Match") == Some("\"v1\"");
        if has { Answer::empty(304).field("Cache-Control", "max-age=60") } else { tagged() }
    });
    let fresh = edge.get(SALES).expect(200).fwd("stale").stored(true).body(&filled.body).origin_requests(1);
    assert!(fresh.field("Cache-Status").is_some_and(|status| status.contains("fwd-status=304")), "{:?}", fresh.fields);
    assert_eq!(fresh.field("ETag"), filled.field("ETag"));
    // The copy that was there is replaced behind the answer.
    sleep(Duration::from_millis(200));
    edge.get(SALES).expect(200).hit().ttl(50..=60).body(&filled.body).origin_requests(0);
}

#[test]
fn no_condition_or_range_of_a_client_reaches_the_origin_of_a_tile() {
    let edge = Edge::start();
    edge.origin.answer(SALES, tile(0, 1.5));
    let fields = [
        ("If-None-Match", "\"x\""),
        ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("If-Match", "\"x\""),
        ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("If-Range", "\"x\""),
        ("Range", "bytes=0-1"),
        ("Cache-Control", "no-cache"),
        ("Pragma", "no-cache"),
    ];
    let call = fields.iter().fold(Call::get(SALES), |call, (name, value)| call.field(name, value));
    edge.send(&call).expect(200).stored(true).origin_requests(1);
    let asked = edge.origin.requests(SALES).remove(0);
    for name in ["If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range"] {
        assert_eq!(asked.fields.get(name), None, "{name}");
    }
    edge.wait_until("the tile is stored", |edge| !edge.answers_in_cache().is_empty());
    edge.send(&call).expect(200).hit().origin_requests(0);
}
