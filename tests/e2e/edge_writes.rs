//! Writes through the edge: what they make out of date is invalidated before their answer is there.

use std::time::{Duration, Instant};

use lab::client::{Call, Response};
use lab::harness::{Edge, Options};
use lab::origin::Answer;
use lab::stored::{OPS, OPS_KEY, SALES, SALES_KEY, SEGMENTS, SEGMENTS_KEY};
use lab::stores::Consistency;
use lab::{Lab, Layout};

const ORDERS: &str = "/api/orders";
const GROUPS: &str = "Cache-Group-Invalidation";

/// The renewals behind answers arrive at the origin some time after them.
fn start() -> Edge {
    let edge = Options::failing().start();
    edge.tell("origin/delay/200");
    edge
}

fn order() -> Call {
    Call::new("POST", ORDERS).field("Content-Type", "application/json").body(r#"{"sku":"x"}"#)
}

/// A write that was confirmed: its answer as it is, and the token.
#[track_caller]
fn write(edge: &Edge, call: &Call, status: u16) -> String {
    let answer = edge.send(call).expect(status).stored(false).origin_requests(1);
    answer.field("Epoch-Token").unwrap_or_else(|| panic!("no token: {answer:?}")).to_owned()
}

#[track_caller]
fn is_fresh(edge: &Edge, target: &str, fact: &str) {
    edge.get(target).expect(200).hit().detail("edge").says(fact).origin_requests(0);
}

#[track_caller]
fn is_invalidated(edge: &Edge, target: &str, fact: &str) {
    edge.get(target).expect(200).hit().detail("edge/invalidated").says(fact).origin_requests(0);
}

#[test]
fn whoever_writes_reads_the_write() {
    let edge = start();
    edge.fill(SALES, SALES_KEY, "old");
    edge.fill(OPS, OPS_KEY, "untouched");
    edge.origin.answer(ORDERS, Answer::tile("created").status(201).field("Location", "/api/orders/1"));
    let case = edge.send(&order()).expect(201).fwd("bypass").says("created").field("Location", "/api/orders/1");
    let written = case.origin_requests(1);
    edge.origin.answer(SALES, Answer::tile("new"));
    let newer = Call::get(SALES).field("X-Newer-Than", written.field("Epoch-Token").expect("a token"));
    let new = edge.send(&newer).expect(200).fwd("stale").stored(true).says("new").origin_requests(1);
    edge.wait_until_kept(SALES_KEY, &new.text());
    is_fresh(&edge, SALES, "new");
    is_fresh(&edge, OPS, "untouched");
}

#[test]
fn whoever_does_not_show_the_token_is_told_that_the_answer_is_old_and_the_next_one_is_new() {
    let edge = start();
    edge.fill(SALES, SALES_KEY, "old");
    edge.origin.answer(ORDERS, Answer::tile("created").status(201));
    write(&edge, &order(), 201);
    edge.origin.answer(SALES, Answer::tile("new"));
    is_invalidated(&edge, SALES, "old");
    edge.wait_until("it is renewed", |edge| edge.in_cache(SALES_KEY).is_some_and(|body| body.contains("new")));
    is_fresh(&edge, SALES, "new");
    assert_eq!(edge.origin.count(SALES), 2);
}

#[test]
fn the_groups_that_the_origin_names_are_invalidated() {
    let edge = start();
    edge.origin.answer(SEGMENTS, Answer::tile("old").field("Cache-Groups", "\"people\""));
    let filled = edge.get(SEGMENTS).expect(200).stored(true).origin_requests(1);
    edge.wait_until_kept(SEGMENTS_KEY, &filled.text());
    edge.fill(OPS, OPS_KEY, "untouched");
    let unlisted = "/api/people/1";
    for (groups, reaches) in [("\"peopl\"", false), ("people", false), ("\"x\", \"people\";q=1", true)] {
        edge.origin.answer(unlisted, Answer::tile("done").field(GROUPS, groups));
        // Reading is no write, whatever the origin says.
        for method in ["GET", "OPTIONS"] {
            edge.send(&Call::new(method, unlisted)).expect(200).no_field("Epoch-Token").origin_requests(1);
        }
        is_fresh(&edge, SEGMENTS, "old");
        std::thread::sleep(Duration::from_secs(1));
        let answer = edge.send(&Call::new("PATCH", unlisted).body("{}")).expect(200).origin_requests(1);
        assert_eq!(answer.field("Epoch-Token").is_some(), groups.starts_with('"'), "{groups}");
        if reaches { is_invalidated(&edge, SEGMENTS, "old") } else { is_fresh(&edge, SEGMENTS, "old") }
    }
    is_fresh(&edge, OPS, "untouched");
}

#[test]
fn a_write_to_a_stored_route_invalidates_its_answer_and_no_other() {
    let edge = start();
    let (thirty, ninety) = ("/api/dashboard/trends/revenue?days=30", "/api/dashboard/trends/revenue?days=90");
    edge.fill(thirty, "dashboard:trends:revenue:v1?days=30", "thirty");
    edge.fill(ninety, "dashboard:trends:revenue:v1?days=90", "ninety");
    write(&edge, &Call::new("PUT", thirty).body("{}"), 200);
    is_invalidated(&edge, thirty, "thirty");
    is_fresh(&edge, ninety, "ninety");
}

#[test]
fn a_write_that_fails_invalidates_nothing_and_calls_no_ledger() {
    let edge = start();
    edge.fill(SALES, SALES_KEY, "kept");
    let calls = edge.ledger_calls();
    for status in [400, 401, 403, 404, 409, 422, 429, 500, 502, 503] {
        let failed = Answer::tile("failed").status(status).field(GROUPS, "\"orders\"");
        edge.origin.answer(ORDERS, failed.clone());
        edge.origin.answer(SALES, failed);
        edge.send(&order()).expect(status).no_field("Epoch-Token").origin_requests(1);
        edge.send(&Call::new("DELETE", SALES)).expect(status).no_field("Epoch-Token").origin_requests(1);
    }
    edge.origin.answer(ORDERS, Answer::none());
    edge.send(&order()).problem(502).no_field("Epoch-Token").origin_requests(1);
    assert_eq!(edge.ledger_calls(), calls);
    is_fresh(&edge, SALES, "kept");
}

#[test]
fn no_client_can_name_groups_and_no_origin_can_forge_a_token() {
    let edge = start();
    edge.fill(SALES, SALES_KEY, "kept");
    edge.origin.answer("/api/unlisted", Answer::tile("done").field("Epoch-Token", "forged"));
    let call = Call::new("POST", "/api/unlisted").field(GROUPS, "\"orders\"").field("Epoch-Token", "forged").body("{}");
    edge.send(&call).expect(200).no_field("Epoch-Token").origin_requests(1);
    is_fresh(&edge, SALES, "kept");
}

#[test]
fn the_answer_to_a_write_does_not_wait_for_a_ledger_that_hangs() {
    let edge = start();
    edge.fill(SALES, SALES_KEY, "old");
    edge.origin.answer(ORDERS, Answer::tile("created").status(201));
    edge.tell("origin/delay/0");
    edge.tell("ledger/delay/1500");
    let started = Instant::now();
    let case = edge.send(&order()).expect(201).says("created").no_field("Epoch-Token");
    case.origin_requests(1);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    // The ledger hears of it, late.
    edge.tell("origin/delay/200");
    edge.tell("ledger/delay/0");
    edge.wait_until("the write is in force", |edge| {
        let answer = Call::get(SALES).send(edge.workerd.address()).expect("an answer");
        answer.field("Cache-Status").is_some_and(|status| status.ends_with("detail=edge/invalidated"))
    });
}

/// What another location says to a reader with this token, or without one.
fn read(lab: &Lab, location: &str, token: Option<&str>) -> Response {
    let call = Call::get(SALES);
    lab.at(location).ask(&token.map_or(call.clone(), |token| call.field("X-Newer-Than", token)))
}

#[test]
fn a_write_in_one_location_is_read_in_another_by_its_token_at_once() {
    let lab = Layout::new().kv(Consistency::default()).start();
    lab.origin().answer(SALES, Answer::tile("old"));
    lab.origin().answer(ORDERS, Answer::tile("created").status(201));
    for location in ["ams", "iad", "sin"] {
        let old = read(&lab, location, None);
        assert_eq!(old.json()["fact"]["says"], "old");
        lab.at(location).wait_until_kept(SALES_KEY, &old.text());
    }
    let written = lab.at("ams").send(&order()).expect(201).origin_requests(1);
    let token = written.field("Epoch-Token").expect("a token");
    lab.origin().answer(SALES, Answer::tile("new"));
    assert_eq!(read(&lab, "iad", Some(token)).json()["fact"]["says"], "new");
    // Whoever knows of nothing may be answered from before, within the bound.
    let unaware = read(&lab, "sin", None);
    assert!(unaware.field("Cache-Status").is_some_and(|status| status.contains("; hit; ")), "{unaware:?}");
}
