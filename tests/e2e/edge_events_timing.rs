//! Whoever sends an event is answered within a second, whatever hangs behind the edge; and what was answered with
//! "ask again" is taken once.

use std::time::Duration;

use lab::client::Response;
use lab::gate::Gate;
use lab::harness::{Edge, Options};
use lab::stored::{SALES, SALES_KEY};
use lab::stores::Fault;
use lab::zone::{ZONE, ZONE_TOKEN, Zone, ZoneFault};
use serde_json::json;

use crate::webhook::{Webhook, is_current, newer, setting, taken};

/// Senders give up after a few seconds, and the edge well before.
const ANSWERED: Duration = Duration::from_secs(1);
/// Longer than anybody here waits.
const HANGING: &str = "60000";

fn watched() -> Options {
    Options::failing().var("WEBHOOKS", &setting())
}

fn lab(edge: &Edge, what: &str) {
    edge.get(&format!("/test/{what}")).expect(200).origin_requests(0);
}

/// Sends some events. The quickest answer counts, for the machine may be busy with something else; what hangs makes
/// all of them slow.
#[track_caller]
fn answered_in_time(edge: &Edge, name: &str, status: u16) -> Vec<(Webhook, Response)> {
    let one = |number: usize| {
        let webhook = Webhook::event(&format!("{name}-{number}"), "order.created");
        let answer = edge.send(&webhook.call()).expect(status).origin_requests(0);
        (webhook, answer)
    };
    let sent: Vec<_> = (0..3).map(one).collect();
    let quickest = sent.iter().map(|(_, answer)| answer.ended - answer.started).min().expect("some were sent");
    assert!(quickest < ANSWERED, "{name}: {quickest:?}");
    sent
}

#[test]
fn an_event_that_the_ledger_does_not_take_in_time_is_asked_for_again() {
    let edge = watched().start();
    edge.fill(SALES, SALES_KEY, "stored");
    lab(&edge, &format!("ledger/delay/{HANGING}"));
    let sent = answered_in_time(&edge, "hanging", 503);
    for (_, answer) in &sent {
        assert_eq!(answer.field("Retry-After"), Some("5"));
        assert!(answer.text().contains("nothing is promised"), "{}", answer.text());
    }
    lab(&edge, "ledger/delay/0");
    is_current(&edge, SALES, "stored");
    let taken_once = |(webhook, _): &(Webhook, Response)| {
        let receipt = taken(&edge, webhook);
        assert_eq!(taken(&edge, webhook)["id"], receipt["id"]);
        receipt
    };
    let receipts: Vec<_> = sent.iter().map(taken_once).collect();
    edge.send(&newer(SALES, &receipts[2])).expect(200).fwd("stale").origin_requests(1);
}

/// The ledger took it, and its answer did not come in time.
#[test]
fn an_event_whose_receipt_did_not_come_in_time_is_taken_once() {
    let edge = watched().start();
    lab(&edge, &format!("ledger/delay-answer/{HANGING}"));
    let webhook = Webhook::event("lost", "order.created");
    let answer = edge.send(&webhook.call()).problem(503).origin_requests(0);
    assert!(answer.ended - answer.started >= Duration::from_millis(700), "it is waited for a while");
    lab(&edge, "ledger/delay-answer/0");
    // What comes next has its own increment. The retry has the one from before.
    let other = taken(&edge, &Webhook::event("another", "order.created"));
    let retried = taken(&edge, &webhook);
    assert_ne!(retried["id"], other["id"]);
    assert!(retried["epoch"].as_u64() < other["epoch"].as_u64(), "{retried} before {other}");
    assert_eq!(taken(&edge, &webhook)["id"], retried["id"]);
}

#[test]
fn an_event_is_taken_in_time_while_everything_but_the_ledger_hangs() {
    let (zone, in_zone, in_stores) = (Zone::start(), Gate::new(), Gate::new());
    let edge = watched().var("ZONE_ID", ZONE).var("ZONE_TOKEN", ZONE_TOKEN).var("ZONE_API", &zone.url()).start();
    edge.fill(SALES, SALES_KEY, "stored");
    zone.fail(ZoneFault::Hang(in_zone.clone()));
    edge.kv_face.faults().set_all(&Fault::Hold(in_stores.clone()));
    edge.cache_face.faults().set_all(&Fault::Hold(in_stores.clone()));
    answered_in_time(&edge, "while-the-stores-hang", 202);
    in_zone.wait_for_arrivals(1);
    answered_in_time(&edge, "while-the-api-hangs", 202);

    let handed_over = |edge: &Edge| {
        let calls = edge.get("/test/global/calls").expect(200).origin_requests(0).json();
        let calls = calls.as_object().expect("counts by path").iter();
        calls.filter(|(path, _)| path.starts_with("/tags/")).filter_map(|(_, count)| count.as_u64()).sum::<u64>()
    };
    lab(&edge, &format!("global/delay/{HANGING}"));
    let before = handed_over(&edge);
    assert!(before > 0, "else nothing would have come to the zone");
    let sent = answered_in_time(&edge, "before-the-global-ledger-hangs", 202);
    edge.wait_until("the global ledger is waited for", |edge| handed_over(edge) > before);
    answered_in_time(&edge, "while-the-global-ledger-hangs", 202);
    let (_, answer) = sent.first().expect("some were sent");
    let legs = answer.json()["legs"].clone();
    assert_eq!(legs, json!([{"leg": "zone", "state": "waiting", "attempts": 0}]));
    in_zone.open();
    in_stores.open();
}
