//! The two stores of the real Worker: what a hot tile is called in KV, what is served from there, what moves up.

use lab::client::Call;
use lab::harness::{CACHE, Edge, OPERATOR_TOKEN, TENANT};
use lab::origin::Answer;
use lab::stored::{SALES, SALES_KEY, SEGMENTS, SEGMENTS_KEY, all_kept, cache_url, counters_url, kv_key};
use lab::stores::{Fault, Op};
use serde_json::Value;

const IN_KV: &str = "hotroddash.myshopify.com/dashboard:tile:sales_pulse:v1";

#[test]
fn a_hot_tile_is_in_kv_under_its_key_with_its_head_as_metadata() {
    let edge = Edge::start();
    let filled = edge.fill(SALES, SALES_KEY, "hot");
    assert_eq!(edge.kv.keys(), [IN_KV]);
    let value = edge.kv.get(IN_KV).expect("the tile is in KV");
    assert_eq!(&*value.bytes, filled.body.as_slice());
    let metadata = value.metadata.as_deref().expect("the head is its metadata");
    assert!(metadata.len() <= 1024, "{} bytes: {metadata}", metadata.len());
    let head: Value = serde_json::from_str(metadata).expect("the metadata is JSON");
    assert_eq!((&head["v"], &head["s"], &head["l"]), (&1.into(), &200.into(), &filled.body.len().into()));
    assert_eq!(filled.field("ETag"), head["t"].as_str());
    assert!(value.expires_at().is_some(), "nothing stays in KV for ever");
}

#[test]
fn each_hot_route_is_served_from_kv_when_the_edge_is_empty_and_moves_up() {
    let edge = Edge::start();
    for kept in all_kept().into_iter().filter(|kept| kept.hot) {
        let filled = edge.fill(&kept.target, &kept.key, &kept.key);
        edge.cache.clear();
        let from_kv = edge.get(&kept.target).expect(200).hit().detail("kv").body(&filled.body).origin_requests(0);
        assert_eq!(from_kv.field("ETag"), filled.field("ETag"));
        assert_eq!(from_kv.field("Content-Length"), Some(filled.body.len().to_string().as_str()));
        edge.wait_until_kept(&kept.key, &filled.text());
        edge.kv.remove(&kv_key(&kept.key));
        edge.get(&kept.target).expect(200).hit().detail("edge").body(&filled.body).origin_requests(0);
        assert_eq!(edge.origin.count(&kept.target), 1);
    }
}

#[test]
fn a_route_that_is_not_hot_neither_asks_kv_nor_is_put_there() {
    let edge = Edge::start();
    edge.fill(SEGMENTS, SEGMENTS_KEY, "cold");
    edge.cache.clear();
    edge.get(SEGMENTS).expect(200).fwd("uri-miss").origin_requests(1);
    assert_eq!((edge.kv_face.count(Op::Get), edge.kv_face.count(Op::Put)), (0, 0));
}

#[test]
fn an_entry_of_the_cache_api_lies_where_no_client_can_ask_for_it() {
    let edge = Edge::start();
    edge.fill(SALES, SALES_KEY, "hidden");
    assert_eq!(edge.cache.urls(CACHE), [counters_url(), cache_url(SALES_KEY)]);
    let (fields, _) = edge.cache.get(CACHE, &cache_url(SALES_KEY)).expect("it is there");
    let control = fields.get("Cache-Control").unwrap_or_default();
    assert!(control.starts_with("s-maxage=") && !control.contains("stale"), "{control}");
    for hidden in [format!("/cache/stored/{TENANT}/{SALES_KEY}"), format!("/cache/counters/{TENANT}")] {
        edge.get(&hidden).problem(401).origin_requests(0);
        let operator = Call::get(&hidden).field("Authorization", format!("Bearer {OPERATOR_TOKEN}"));
        edge.send(&operator).problem(404).origin_requests(0);
    }
    edge.get(SALES).expect(200).hit().no_field("hotrod-head").no_field("CF-Cache-Status").origin_requests(0);
}

#[test]
fn a_copy_in_kv_answers_where_the_edge_holds_one_from_before_a_purge() {
    let edge = Edge::start();
    edge.fill(SALES, SALES_KEY, "old");
    edge.purge(&serde_json::json!({"mode": "hard", "routes": ["sales_pulse"]}));
    edge.cache_face.faults().set(Op::Put, Fault::Lose);
    edge.origin.answer(SALES, Answer::tile("new"));
    let refilled = edge.get(SALES).expect(200).fwd("uri-miss").detail("purged").says("new").origin_requests(1);
    edge.wait_until("KV holds the new one", |edge| edge.in_kv(SALES_KEY) == Some(refilled.text()));
    assert!(edge.in_cache(SALES_KEY).is_some_and(|body| body.contains("old")));
    edge.get(SALES).expect(200).hit().detail("kv").says("new").origin_requests(0);
}
