//! Purges for all tenants at once, at the ledger that all their ledgers hear of; and what is done without it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lab::client::Call;
use lab::harness::CACHE;
use lab::locations::{At, Lab, Layout};
use lab::origin::Answer;
use lab::stored::{OPS, OPS_KEY, SEGMENTS, SEGMENTS_KEY};
use lab::stores::Consistency;
use serde_json::{Value, json};

const TENANTS: [&str; 4] = ["a.myshopify.com", "b.myshopify.com", "c.myshopify.com", "d.myshopify.com"];

fn start(tenants: &[&str]) -> Lab {
    Layout::new().locations(&["ams"]).tenants(tenants).kv(Consistency::default()).start()
}

fn is_long() -> bool {
    std::env::var("HOTROD_LONG").is_ok_and(|value| value == "1")
}

/// Fills for every tenant, and lets the origin have something new.
fn fill(lab: &Lab) {
    lab.origin().answer(SEGMENTS, Answer::tile("old"));
    for tenant in lab.workers() {
        let old = tenant.get(SEGMENTS).expect(200).stored(true).origin_requests(1);
        tenant.wait_until_kept(SEGMENTS_KEY, &old.text());
    }
    lab.origin().answer(SEGMENTS, Answer::tile("new"));
}

/// Purges for all tenants, and answers the receipt.
fn purge_for_all(at: At<'_>) -> Value {
    let order = json!({"mode": "hard", "scopes": ["tenant"], "occasion": {}});
    let done = at.call_ledger("/orders/~", &order.to_string()).json();
    serde_json::from_str(done["receipt"].as_str().expect("a receipt")).expect("JSON")
}

#[track_caller]
fn all_have_the_new(lab: &Lab) {
    for tenant in lab.workers() {
        tenant.get(SEGMENTS).expect(200).detail("purged").says("new").origin_requests(1);
    }
}

#[test]
fn a_purge_for_all_reaches_every_tenant_whose_ledger_has_just_started() {
    let mut lab = start(&TENANTS);
    fill(&lab);
    lab.restart();
    for tenant in lab.workers() {
        tenant.get(SEGMENTS).expect(200).hit().says("old").origin_requests(0);
    }
    let receipt = purge_for_all(lab.at("ams"));
    assert_eq!(receipt["tenant"], "*");
    lab.restart();
    // The copies in the data centre are as good as they are old: a minute for this class.
    for tenant in TENANTS {
        lab.at("ams").cache().purge_tag(&format!("hotrod-edge-counters-{tenant}"));
    }
    all_have_the_new(&lab);
}

#[test]
fn a_purge_for_all_reaches_every_tenant_by_the_time_of_its_receipt() {
    if !is_long() {
        return;
    }
    let lab = start(&TENANTS);
    fill(&lab);
    let receipt = purge_for_all(lab.at("ams"));
    let incremented = receipt["epoch"].as_u64().expect("a position, which is a time here");
    // 60 s until a ledger hears of it, 1 s to merge, 60 s until a reader's copy is too old.
    let until = UNIX_EPOCH + Duration::from_millis(incremented) + Duration::from_secs(121);
    std::thread::sleep(until.duration_since(SystemTime::now()).unwrap_or_default());
    all_have_the_new(&lab);
}

#[test]
fn a_ledger_that_never_heard_of_the_global_one_confirms_purges_and_gives_out_no_counters() {
    let lab = start(&TENANTS[..1]);
    let at = lab.at("ams");
    at.call_ledger("/test/~/unreachable", "");
    at.purge(&json!({"mode": "hard", "all": true}));
    assert_eq!(at.cache().urls(CACHE), Vec::<String>::new());
    // Readers do what their class says without a ledger.
    lab.origin().answer(OPS, Answer::tile("live"));
    for _ in 0..2 {
        at.get(OPS).expect(200).stored(false).says("live").origin_requests(1);
    }
    at.call_ledger("/test/~/none", "");
    let stored = at.get(OPS).expect(200).stored(true).says("live").origin_requests(1);
    at.wait_until_kept(OPS_KEY, &stored.text());
    at.get(OPS).expect(200).hit().says("live").origin_requests(0);
    at.purge(&json!({"mode": "hard", "all": true}));
    assert!(at.cache().urls(CACHE).iter().any(|url| url.contains("/cache/counters/")));
}

#[test]
fn a_global_ledger_that_hangs_holds_up_no_purge() {
    let lab = start(&TENANTS[..1]);
    let at = lab.at("ams");
    at.call_ledger("/test/~/delay/60000", "");
    // Whoever gives an order waits for 800 ms.
    at.purge(&json!({"mode": "hard", "all": true}));
}

#[test]
fn what_was_heard_of_the_global_ledger_holds_for_a_minute() {
    if !is_long() {
        return;
    }
    let lab = start(&TENANTS[..1]);
    let at = lab.at("ams");
    lab.origin().answer(OPS, Answer::tile("live"));
    let stored = at.get(OPS).expect(200).stored(true).origin_requests(1);
    at.wait_until_kept(OPS_KEY, &stored.text());
    at.call_ledger("/test/~/unreachable", "");
    // A ledger that nobody asks is put to sleep, and forgets what it heard.
    let began = Instant::now();
    let mut without = Vec::new();
    while began.elapsed() < Duration::from_secs(75) {
        let status = at.ask(&Call::get(OPS)).field("Cache-Status").unwrap_or_default().to_owned();
        without.extend(status.contains("detail=ledger").then(|| began.elapsed().as_secs()));
        std::thread::sleep(Duration::from_secs(2));
    }
    // The reader's own copy is good for five seconds more.
    assert!(without.first().is_some_and(|first| (55..=70).contains(first)), "{without:?}");
    assert!(without.last().is_some_and(|last| *last >= 72), "{without:?}");
}
