//! The desk of a ledger, called directly: messages that come twice, disks that are full, tokens that ask for too much.

use crate::fakes::{EPOCH_SECRET, MemoryDisk, TENANT};
use hotrod_edge::epoch::{Counters, Covered, Epoch, Mode, Scope, Standing};
use hotrod_edge::key::Tenant;
use hotrod_edge::ledger::desk::{Desk, Disk as _, Terms};
use hotrod_edge::ledger::order::{Declined, Done, Occasion, Order};
use hotrod_edge::ports::Failure;
use hotrod_edge::rules::compiled;
use hotrod_edge::time::UnixMillis;
use hotrod_edge::token::TokenSecret;
use serde_json::Value;

const OPS: Covered<'_> = Covered { class: "near_real_time", route: "ops", key: "dashboard:tile:ops:v1", marks: "" };

/// A ledger, and the time at which it is called.
#[derive(Default)]
struct Called {
    desk: Desk,
    disk: MemoryDisk,
    now: u64,
    receipts: u64,
}

impl Called {
    fn at(now: u64) -> Self {
        let mut called = Self { now, ..Self::default() };
        called.counters();
        called
    }

    fn order(&mut self, scope: &str, occasion: Occasion) -> Result<Result<Done, Declined>, Failure> {
        let scopes = [Scope::parse(scope).expect("a scope")].into_iter().collect();
        let order = Order { mode: Mode::Hard, scopes, occasion };
        let (tenant, tokens) = (Tenant::new(TENANT).expect("a tenant"), TokenSecret::new(EPOCH_SECRET));
        let tokens = &tokens.expect("a secret");
        let terms = Terms { tenant: Some(&tenant), rules: compiled(), snapshot_at_most: None, tokens, has_zone: false };
        self.receipts += 1;
        self.desk.order(&self.disk, terms, &order, &format!("receipt-{}", self.receipts), UnixMillis(self.now))
    }

    #[track_caller]
    fn done(&mut self, scope: &str, occasion: Occasion) -> (Value, bool) {
        let done = self.order(scope, occasion).expect("the disk is fine").expect("nothing is declined");
        (serde_json::from_str(&done.receipt).expect("a receipt is JSON"), done.is_repeat)
    }

    fn counters(&mut self) -> Counters {
        let text = self.desk.counters(&self.disk, UnixMillis(self.now), None).expect("the disk answers");
        Counters::decode(&text).expect("counters can be read")
    }

    fn standing(&mut self, head: u64) -> Standing {
        self.counters().standing(&OPS, Epoch(head))
    }
}

fn event(id: &str, digest: &str, by_digest: bool) -> Occasion {
    Occasion::Event { source: "shopify".into(), id: id.into(), digest: digest.into(), by_digest, delists: false }
}

fn call(by: &str, per_minute: u32) -> Occasion {
    Occasion::Call { by: by.into(), per_minute }
}

#[test]
fn a_message_that_comes_again_has_the_same_receipt_and_does_nothing() {
    let mut ledger = Called::at(10_000);
    let (first, is_repeat) = ledger.done("route/ops", event("1", "abc", false));
    assert_eq!((first["id"].as_str(), is_repeat), (Some("receipt-1"), false));
    assert_eq!(first["event"], serde_json::json!({ "source": "shopify", "id": "1" }));
    ledger.now += 60_000;
    let before = ledger.counters();
    assert_eq!(ledger.done("route/ops", event("1", "abc", false)), (first.clone(), true));
    assert_eq!(ledger.counters(), before);
    // Also after whatever was in memory is gone.
    ledger.desk = Desk::default();
    assert_eq!(ledger.done("route/ops", event("1", "abc", false)), (first, true));
    assert_eq!(ledger.counters(), before);
}

#[test]
fn a_message_of_an_id_that_another_one_had_is_a_conflict_and_does_nothing() {
    let mut ledger = Called::at(10_000);
    ledger.done("route/ops", event("1", "abc", true));
    ledger.now += 60_000;
    let before = ledger.counters();
    let answer = ledger.order("route/ops", event("1", "def", true)).expect("the disk is fine");
    assert_eq!(answer, Err(Declined::Conflict));
    assert_eq!(ledger.counters(), before);
    // The same id from somebody else is another message.
    let other = Occasion::Event {
        source: "chatwoot".into(),
        id: "1".into(),
        digest: "def".into(),
        by_digest: true,
        delists: false,
    };
    assert!(!ledger.done("route/ops", other).1);
}

#[test]
fn a_message_of_the_same_digest_is_a_repeat_where_that_is_said() {
    let mut ledger = Called::at(10_000);
    let (first, _) = ledger.done("route/ops", event("1", "abc", true));
    assert_eq!(ledger.done("route/ops", event("2", "abc", true)), (first.clone(), true));
    let (third, is_repeat) = ledger.done("route/ops", event("3", "abc", false));
    assert_eq!((third["id"].as_str(), is_repeat), (Some("receipt-3"), false));
    let other = Occasion::Event {
        source: "chatwoot".into(),
        id: "1".into(),
        digest: "abc".into(),
        by_digest: true,
        delists: false,
    };
    assert!(!ledger.done("route/ops", other).1);
    assert!(!ledger.done("route/ops", event("4", "def", true)).1);
}

#[test]
fn a_message_whose_receipt_was_forgotten_is_acted_upon_again() {
    let mut ledger = Called::at(10_000);
    ledger.done("route/ops", event("1", "abc", false));
    ledger.now += 60_000;
    ledger.disk.forget(UnixMillis(10_001)).expect("the disk is fine");
    let (again, is_repeat) = ledger.done("route/ops", event("1", "def", false));
    assert_eq!((again["epoch"].as_u64(), is_repeat), (Some(70_000), false));
}

/// However many of the writes that an order makes still fit: what was confirmed before holds, what was not confirmed
/// may have happened, and the message is acted upon when it comes again.
#[test]
fn a_disk_that_is_full_in_the_middle_of_an_order_loses_nothing() {
    for fits in 0..3 {
        let mut ledger = Called::at(10_000);
        let (earlier, _) = ledger.done("class/near_real_time", event("1", "abc", false));
        ledger.now = 20_000;
        ledger.disk.full_after.set(Some(fits));
        assert!(ledger.order("route/ops", event("2", "def", false)).is_err(), "{fits}");
        assert_eq!(ledger.standing(9_999), Standing::Purged, "{fits}");
        let happened = ledger.standing(19_999) == Standing::Purged;
        assert_eq!(happened, fits > 0, "what is on disk decides");
        // In memory there is nothing that is not on disk.
        let before = ledger.counters();
        ledger.desk = Desk::default();
        assert_eq!(ledger.counters(), before, "{fits}");

        ledger.disk.full_after.set(None);
        ledger.disk.is_full.set(false);
        ledger.now = 30_000;
        assert_eq!(ledger.done("class/near_real_time", event("1", "abc", false)), (earlier, true), "{fits}");
        let (receipt, is_repeat) = ledger.done("route/ops", event("2", "def", false));
        assert_eq!((receipt["epoch"].as_u64(), is_repeat), (Some(30_000), false), "{fits}");
        assert_eq!(ledger.standing(29_999), Standing::Purged, "{fits}");
    }
}

#[test]
fn a_promised_increment_survives_a_restart() {
    let mut ledger = Called::at(10_000);
    ledger.done("route/cx", Occasion::Write);
    ledger.now = 10_500;
    let (receipt, _) = ledger.done("route/ops", Occasion::Write);
    // The ledger began two seconds ahead of its clock.
    assert_eq!(
        (receipt["epoch"].as_u64(), receipt["incremented_at"].as_str()),
        (Some(12_002), Some("1970-01-01T00:00:11.000Z"))
    );
    ledger.desk = Desk::default();
    ledger.now = 10_999;
    assert_eq!(ledger.standing(12_001), Standing::Current);
    ledger.now = 11_000;
    assert_eq!(ledger.standing(12_001), Standing::Purged);
    assert_eq!(ledger.standing(12_002), Standing::Current);
}

#[test]
fn a_disk_that_cannot_be_read_is_a_failure_and_is_not_begun_anew() {
    let mut ledger = Called::at(10_000);
    ledger.disk.write_line("junk").expect("the disk is fine");
    ledger.desk = Desk::default();
    assert!(ledger.desk.counters(&ledger.disk, UnixMillis(20_000), None).is_err());
    assert!(ledger.order("route/ops", Occasion::Write).is_err());
    assert_eq!(ledger.disk.line().expect("the disk answers").as_deref(), Some("junk"));
}

#[test]
fn a_token_may_ask_for_so_many_purges_in_a_minute_and_is_told_when_to_come_again() {
    let mut ledger = Called::at(1_000_000);
    for number in 0..60 {
        assert!(ledger.order("route/ops", call("ci", 60)).expect("the disk is fine").is_ok(), "{number}");
    }
    let line = ledger.disk.line().expect("the disk answers");
    let declined = ledger.order("route/cx", call("ci", 60)).expect("the disk is fine");
    assert_eq!(declined, Err(Declined::TooMany { retry_after: 1 }));
    assert_eq!(ledger.disk.line().expect("the disk answers"), line, "what is declined does nothing");
    // Others are not held back, whether they are events, writes, or other tokens.
    for occasion in [call("other", 60), event("1", "abc", false), Occasion::Write] {
        assert!(ledger.order("route/ops", occasion).expect("the disk is fine").is_ok());
    }
    ledger.now += 999;
    assert!(ledger.order("route/ops", call("ci", 60)).expect("the disk is fine").is_err());
    ledger.now += 1;
    assert!(ledger.order("route/ops", call("ci", 60)).expect("the disk is fine").is_ok());
    assert!(ledger.order("route/ops", call("ci", 60)).expect("the disk is fine").is_err());
    ledger.now += 60_000;
    let again = (0..61).filter(|_| ledger.order("route/ops", call("ci", 60)).expect("the disk is fine").is_ok());
    assert_eq!(again.count(), 60);
}

#[test]
fn a_token_with_few_purges_is_told_how_long_it_has_to_wait() {
    let mut ledger = Called::at(1_000_000);
    let mut purge = |now| {
        ledger.now = now;
        ledger.order("route/ops", call("ci", 2)).expect("the disk is fine").err()
    };
    assert_eq!((purge(1_000_000), purge(1_000_000)), (None, None));
    assert_eq!(purge(1_000_000), Some(Declined::TooMany { retry_after: 30 }));
    assert_eq!(purge(1_000_001), Some(Declined::TooMany { retry_after: 30 }));
    assert_eq!(purge(1_029_001), Some(Declined::TooMany { retry_after: 1 }));
    assert_eq!(purge(1_030_000), None);
}
