//! Routes that follow their origin, where a scenario cannot say it.

use crate::client::Open;
use crate::fakes::{Asking, Location, Point, Scripted, World};
use crate::spec::rfc9111::rules;

/// A store that takes a put and says nothing costs an answer that waits for it a second, and no more.
#[test]
fn an_answer_does_not_wait_for_a_store_that_hangs() {
    let world = World::new();
    let location = Location::with(&world, "shop.test", Some(rules()));
    world.hold(Point::EdgePut);
    let lines = vec![("cache-control".to_string(), "max-age=60".to_string())];
    world.origin.scripted.replace(Some(Scripted { status: 200, lines, body: None }));
    let mut open = Open::new(&location, Asking::get("/api/pages/a"));
    assert!(!open.run() && world.holds(Point::EdgePut));
    world.pass(999);
    assert!(!open.run());
    world.pass(1);
    assert!(open.run());
    assert_eq!(open.answer().map(|seen| seen.status), Some(200));
}
