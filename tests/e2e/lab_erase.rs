//! Erasing: what a purge covers leaves Workers KV, and nothing else does.

use std::time::Duration;

use hotrod_edge::entry::{FORMAT, Head};
use hotrod_edge::epoch::{Epoch, mark};
use hotrod_edge::time::UnixMillis;
use hotrod_edge::validation::Validators;
use lab::gate::Gate;
use lab::harness::TENANT;
use lab::locations::{Lab, Layout};
use lab::origin::Answer;
use lab::receipt::leg;
use lab::stored::{OPS, OPS_KEY, SALES_KEY, kv_key, kv_key_of};
use lab::stores::{Consistency, Fault, KvValue, Op};
use lab::zone::Zone;
use serde_json::json;

const TRENDS: &str = "dashboard:trends:revenue:v1?days=";
/// A position that no ledger reaches.
const LATER: u64 = 9_000_000_000_000;

fn layout() -> Layout {
    Layout::new().locations(&["ams"]).kv(Consistency::default())
}

/// Puts a value into KV as one that was stored at this position.
fn put(lab: &Lab, name: &str, epoch: u64, tag: &str) {
    let head = Head {
        format: FORMAT,
        status: 200,
        requested_at: UnixMillis(0),
        received_at: UnixMillis(0),
        initial_age: 0,
        lifetime: 60,
        period_end: None,
        epoch: Epoch(epoch),
        etag: "W/\"e\"".to_owned(),
        digest: String::new(),
        length: 1,
        headers: Vec::new(),
        marks: mark(tag),
        stated: None,
        validators: Validators::default(),
        followed: None,
    };
    lab.kv.insert(name, KvValue::new("x", Some(&head.encode().expect("a short head"))));
}

/// The first pass is over: the second one waits.
#[track_caller]
fn wait_for_the_first_pass(lab: &Lab, receipt: &serde_json::Value, pages: u64) {
    for _ in 0..1_000 {
        let receipt = lab.at("ams").receipt(receipt);
        let leg = leg(&receipt, "erase");
        if leg["attempts"].as_u64().expect("a number") >= pages {
            assert_eq!(leg["state"], "waiting", "there is a second pass");
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the first pass does not end: {}", lab.at("ams").receipt(receipt));
}

#[test]
fn what_is_covered_and_older_is_deleted_and_nothing_else() {
    let lab = layout().start();
    let (ninety, other) = (format!("{TRENDS}90"), kv_key_of("other.myshopify.com", OPS_KEY));
    let thirty = format!("{TRENDS}30");
    let (ops, sales) = (kv_key(OPS_KEY), kv_key(SALES_KEY));
    let names = [&ops, &sales, &kv_key(&thirty), &kv_key(&ninety), &other];
    let purges = [
        (json!({"keys": [thirty]}), vec![names[2]]),
        (json!({"routes": ["trends_revenue"]}), vec![names[2], names[3]]),
        (json!({"classes": ["near_real_time"]}), vec![names[0], names[1]]),
        (json!({"tags": ["tagged"]}), vec![names[1]]),
        (json!({"all": true}), vec![names[0], names[1], names[2], names[3]]),
    ];
    for (mut purge, doomed) in purges {
        purge["mode"] = "erase".into();
        for epoch in [1, LATER] {
            for name in names {
                put(&lab, name, epoch, if *name == sales { "tagged" } else { "another" });
            }
            let receipt = lab.at("ams").purge(&purge);
            wait_for_the_first_pass(&lab, &receipt, 1);
            let mut left: Vec<String> = names.into_iter().cloned().collect();
            left.retain(|name| epoch == LATER || !doomed.contains(&name));
            left.sort();
            assert_eq!(lab.kv.keys(), left, "{purge} {epoch}");
        }
    }
}

#[test]
fn what_is_no_value_of_ours_is_deleted_with_its_tenant() {
    let lab = layout().start();
    lab.kv.insert(&kv_key("unknown"), KvValue::new("x", None));
    lab.kv.insert("unknown", KvValue::new("x", None));
    let receipt = lab.at("ams").purge(&json!({"mode": "erase", "all": true}));
    wait_for_the_first_pass(&lab, &receipt, 1);
    assert_eq!(lab.kv.keys(), ["unknown"]);
}

#[test]
fn many_values_take_several_rings_and_those_that_stay_hold_up_none() {
    let lab = layout().start();
    for number in 0..70 {
        let stays = number % 2 == 0;
        put(&lab, &kv_key(&format!("{TRENDS}{number:02}")), if stays { LATER } else { 1 }, "t");
    }
    let receipt = lab.at("ams").purge(&json!({"mode": "erase", "all": true}));
    wait_for_the_first_pass(&lab, &receipt, 3);
    let left: Vec<_> = (0..70).step_by(2).map(|number| kv_key(&format!("{TRENDS}{number:02}"))).collect();
    assert_eq!(lab.kv.keys(), left);
    let face = lab.at("ams").kv_face();
    assert_eq!((face.count(Op::List), face.count(Op::Delete)), (3, 35));
}

#[test]
fn what_is_filled_between_a_purge_and_the_deletion_stays() {
    let lab = layout().start();
    put(&lab, &kv_key(SALES_KEY), 1, "t");
    let gate = Gate::new();
    lab.at("ams").kv_face().faults().set(Op::List, Fault::Hold(gate.clone()));
    let receipt = lab.at("ams").purge(&json!({"mode": "erase", "all": true}));
    gate.wait_for_arrivals(1);
    lab.origin().answer(OPS, Answer::tile("new"));
    let new = lab.at("ams").get(OPS).expect(200).says("new").stored(true).origin_requests(1);
    lab.at("ams").wait_until_kept(OPS_KEY, &new.text());
    gate.open();
    wait_for_the_first_pass(&lab, &receipt, 1);
    assert_eq!(lab.kv.keys(), [kv_key(OPS_KEY)]);
}

#[test]
fn a_kv_that_fails_is_tried_again() {
    for op in [Op::List, Op::Delete] {
        let lab = layout().start();
        for number in 0..40 {
            put(&lab, &kv_key(&format!("{TRENDS}{number:02}")), 1, "t");
        }
        lab.at("ams").kv_face().faults().set_for(op, "", Fault::Status(503), 2);
        let receipt = lab.at("ams").purge(&json!({"mode": "erase", "all": true}));
        wait_for_the_first_pass(&lab, &receipt, 4);
        assert_eq!(lab.kv.keys(), Vec::<String>::new(), "{op:?}");
    }
}

#[test]
fn the_zone_forgets_the_counters_and_the_data() {
    let zone = Zone::start();
    let lab = layout().zone(&zone).start();
    let receipt = lab.at("ams").purge(&json!({"mode": "erase", "all": true}));
    lab.at("ams").wait_for_leg(&receipt, "zone", "done");
    let tags = [format!("hotrod-edge-counters-{TENANT}"), format!("hotrod-edge-data-{TENANT}")];
    // In one call, unless the first tag was on its way before the second one came.
    assert_eq!(zone.calls().into_iter().flat_map(|call| call.tags).collect::<Vec<_>>(), tags);
}

#[test]
fn killed_between_the_two_times_it_still_knows_of_the_second() {
    let mut lab = layout().start();
    put(&lab, &kv_key(OPS_KEY), 1, "t");
    let receipt = lab.at("ams").purge(&json!({"mode": "erase", "all": true}));
    wait_for_the_first_pass(&lab, &receipt, 1);
    lab.restart();
    let after = lab.at("ams").receipt(&receipt);
    assert_eq!(leg(&after, "erase"), &json!({"leg": "erase", "state": "waiting", "attempts": 1}));
    if std::env::var("HOTROD_LONG").is_ok_and(|value| value == "1") {
        // What was being written has landed.
        put(&lab, &kv_key(OPS_KEY), 1, "t");
        std::thread::sleep(Duration::from_mins(1));
        assert_eq!(lab.at("ams").wait_for_leg(&receipt, "erase", "done"), 2);
        assert_eq!(lab.kv.keys(), Vec::<String>::new());
    }
}

#[test]
fn killed_in_the_middle_of_a_pass_it_goes_on() {
    let mut lab = layout().start();
    for number in 0..70 {
        put(&lab, &kv_key(&format!("{TRENDS}{number:02}")), 1, "t");
    }
    let gate = Gate::new();
    // The second page is under way.
    lab.at("ams").kv_face().faults().set_for(Op::Delete, "days=40", Fault::Hold(gate.clone()), usize::MAX);
    let receipt = lab.at("ams").purge(&json!({"mode": "erase", "all": true}));
    gate.wait_for_arrivals(1);
    lab.restart();
    lab.at("ams").kv_face().faults().heal();
    gate.open();
    // What the second page had already deleted makes room for the rest.
    wait_for_the_first_pass(&lab, &receipt, 2);
    assert_eq!(lab.kv.keys(), Vec::<String>::new());
}
