//! The Worker as it is built: it starts on workerd with the bindings that wrangler.toml promises, and soon.

use std::time::{Duration, Instant};

use lab::harness::{Edge, Options};

/// A Worker of one line, and the Durable Object that the bindings name.
const ONE_LINE: &str = "export default { fetch: () => new Response('well') };\nexport class Ledger {}\n";
/// So much longer than that one the built Worker may take from the start of the process to its first answer.
const BUDGET: Duration = Duration::from_millis(400);

#[test]
fn the_built_worker_starts_and_says_that_it_is_healthy() {
    let edge = Edge::start();
    edge.get("/healthz").expect(200).origin_requests(0);
}

/// From the start of a new process to the first answer.
fn first_answer(edge: &mut Edge) -> Duration {
    let started = Instant::now();
    edge.workerd.restart();
    edge.get("/healthz").expect(200).origin_requests(0);
    started.elapsed()
}

#[test]
fn a_cold_start_is_within_its_budget() {
    let (mut built, mut one_line) = (Edge::start(), Options::script(ONE_LINE).start());
    // In turns, and the best of each: other tests have a part of the machine.
    let rounds: Vec<_> = (0..7).map(|_| (first_answer(&mut built), first_answer(&mut one_line))).collect();
    let best = |of: fn(&(Duration, Duration)) -> Duration| rounds.iter().map(of).min().expect("rounds");
    let (built, one_line) = (best(|round| round.0), best(|round| round.1));
    println!("from start to first answer: {built:?}, and {one_line:?} by a Worker of one line");
    assert!(built < one_line + BUDGET, "{built:?}, {one_line:?}");
}
