//! The Worker as it is built: it starts on workerd with the bindings that wrangler.toml promises.

use lab::harness::Edge;

#[test]
fn the_built_worker_starts_and_says_that_it_is_healthy() {
    let edge = Edge::start();
    edge.get("/healthz").expect(200).origin_requests(0);
}
