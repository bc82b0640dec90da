//! A stored route on the real Worker: miss, hit, tiers.

use crate::harness::Edge;
use crate::origin::Answer;

const SALES: &str = "/api/dashboard/tiles/sales-pulse";

#[test]
fn the_second_request_is_a_hit() {
    let edge = Edge::start();
    edge.origin.answer(SALES, Answer::tile("first"));
    edge.get(SALES).expect(200).fwd("uri-miss").stored(true).says("first").origin_requests(1);
    edge.wait_until("the answer is in both stores", |edge| edge.kv.keys().len() == 1);
    edge.get(SALES).expect(200).hit().ttl(290..=300).detail("edge").says("first").origin_requests(0);
}
