//! The KV store shown on the probe: what it keeps, and that workerd sees each of its faults.

use std::time::{Duration, Instant};

use lab::client::Call;
use lab::gate::Gate;
use lab::harness::Edge;
use lab::stores::{Fault, KvValue, Op};
use lab::wire::percent_encode;
use serde_json::{Value, json};

use crate::harness_workerd::probe;

const KEY: &str = "hotroddash.myshopify.com/dashboard:tile:ops:v1?days=30";

#[track_caller]
fn put(edge: &Edge, key: &str, value: &str, options: &Value) -> Value {
    let target = format!("/kv/put?key={}&options={}", percent_encode(key), percent_encode(&options.to_string()));
    let call = Call::new("POST", target).body(value);
    call.send(edge.workerd.address()).expect("an answer").json()
}

#[track_caller]
fn get(edge: &Edge, key: &str, kind: &str) -> Value {
    let case = edge.get(&format!("/kv/get?key={}&type={kind}", percent_encode(key)));
    case.origin_requests(0).json()
}

#[test]
fn a_value_is_kept_with_its_metadata_under_its_exact_key() {
    let edge = probe().start();
    assert_eq!(put(&edge, KEY, "ä value", &json!({"metadata": {"v": 1, "é": "ü"}, "expirationTtl": 60})), "put");
    assert_eq!(edge.kv.keys(), [KEY]);
    let held = edge.kv.get(KEY).expect("it is there");
    assert_eq!((&*held.bytes, held.metadata.as_deref()), ("ä value".as_bytes(), Some(r#"{"v":1,"é":"ü"}"#)));
    assert!(held.expires_at().is_some());
    for kind in ["text", "arrayBuffer", "stream"] {
        assert_eq!(get(&edge, KEY, kind), json!({"value": "ä value", "metadata": {"v": 1, "é": "ü"}}), "{kind}");
    }
    assert_eq!((edge.kv_face.count(Op::Put), edge.kv_face.count(Op::Get)), (1, 3));
    assert_eq!(edge.kv_face.log().first(), Some(&(Op::Put, KEY.to_owned())));
}

#[test]
fn a_value_can_be_deleted_and_one_that_was_never_there_is_null() {
    let edge = probe().start();
    edge.kv.insert("k", KvValue::new("here", None));
    assert_eq!(get(&edge, "k", "text")["value"], "here");
    edge.get("/kv/delete?key=k").expect(200).origin_requests(0);
    assert_eq!(edge.kv.keys(), Vec::<String>::new());
    assert_eq!(get(&edge, "k", "text"), json!({"value": null, "metadata": null}));
    edge.kv.insert("k", KvValue::new("again", None));
    edge.kv.remove("k");
    assert_eq!(edge.kv.get("k"), None);
}

#[test]
fn a_value_ends_when_its_time_is_over() {
    let edge = probe().start();
    let soon = std::time::SystemTime::now() + Duration::from_millis(150);
    edge.kv.insert("k", KvValue { expires: Some(soon), ..KvValue::new("here", None) });
    assert_eq!(get(&edge, "k", "text")["value"], "here");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(get(&edge, "k", "text")["value"], Value::Null);
}

#[test]
fn the_limits_of_kv_hold() {
    let edge = probe().start();
    let metadata = |length: usize| json!({"metadata": "m".repeat(length - 2)});
    assert_eq!(put(&edge, "k", "v", &metadata(1024)), "put");
    let refused = |answer: &Value, why: &str| {
        assert!(answer["error"].as_str().is_some_and(|text| text.contains(why)), "{answer}");
    };
    refused(&put(&edge, "k", "v", &metadata(1025)), "KV PUT failed: 413");
    refused(&put(&edge, "k", "v", &json!({"expirationTtl": 59})), "KV PUT failed: 400");
    assert_eq!(put(&edge, &"k".repeat(512), "v", &json!({})), "put");
    refused(&put(&edge, &"k".repeat(513), "v", &json!({})), "KV PUT failed: 414");
}

#[test]
fn several_values_come_in_one_operation_and_lists_in_pages() {
    let edge = probe().start();
    for key in ["a:1", "a:2", "a:3", "b:1"] {
        edge.kv.insert(key, KvValue::new(key, Some("1")));
    }
    let many = edge.get("/kv/many?key=a:1&key=nowhere").expect(200).origin_requests(0).json();
    assert_eq!(many, json!({"a:1": {"value": "a:1", "metadata": 1}, "nowhere": null}));
    assert_eq!(edge.kv_face.count(Op::GetMany), 1);
    let page =
        |cursor: &str| edge.get(&format!("/kv/list?prefix=a:&cursor={cursor}")).expect(200).origin_requests(0).json();
    let first = page("");
    assert_eq!((&first["keys"][1]["name"], &first["list_complete"]), (&json!("a:2"), &json!(false)));
    let second = page(first["cursor"].as_str().expect("a cursor"));
    assert_eq!((&second["keys"][0]["name"], &second["list_complete"]), (&json!("a:3"), &json!(true)));
    edge.kv.clear();
    assert_eq!(page("")["keys"], json!([]));
}

#[test]
fn a_failing_store_rejects_and_heals() {
    let edge = probe().start();
    edge.kv.insert("k", KvValue::new("here", None));
    for (fault, error) in
        [(Fault::Status(500), "Error: KV GET failed: 500 Store"), (Fault::Close, "Error: Network connection lost.")]
    {
        edge.kv_face.faults().set_all(&fault);
        assert_eq!(get(&edge, "k", "text")["error"], error);
        edge.kv_face.faults().heal();
        assert_eq!(get(&edge, "k", "text")["value"], "here");
    }
    edge.kv_face.faults().once(Op::Put, Fault::Status(429));
    assert_eq!(put(&edge, "k", "new", &json!({}))["error"], "Error: KV PUT failed: 429 Store");
    assert_eq!(put(&edge, "k", "new", &json!({})), "put");
    edge.kv_face.refuse_connections(true);
    assert_eq!(get(&edge, "k", "text")["error"], "Error: Network connection lost.");
    edge.kv_face.refuse_connections(false);
    assert_eq!(get(&edge, "k", "text")["value"], "new");
}

#[test]
fn a_slow_store_takes_its_time_for_the_keys_that_are_meant() {
    let edge = probe().start();
    edge.kv_face.faults().set_for(Op::Get, "slow", Fault::Slow(Duration::from_millis(500)), 1);
    let timed = |key: &str| {
        let started = Instant::now();
        get(&edge, key, "text");
        started.elapsed()
    };
    assert!(timed("quick") < Duration::from_millis(500));
    assert!(timed("slow") >= Duration::from_millis(500));
    assert!(timed("slow") < Duration::from_millis(500));
}

#[test]
fn a_put_can_be_lost_or_land_in_spite_of_its_error() {
    let edge = probe().start();
    edge.kv_face.faults().once(Op::Put, Fault::Lose);
    assert_eq!(put(&edge, "lost", "v", &json!({})), "put");
    assert_eq!(edge.kv.get("lost"), None);
    edge.kv_face.faults().once(Op::Put, Fault::LandThenStatus(500));
    assert_eq!(put(&edge, "landed", "v", &json!({}))["error"], "Error: KV PUT failed: 500 Store");
    assert_eq!(edge.kv.keys(), ["landed"]);
}

#[test]
fn a_held_put_lands_when_it_is_let_go() {
    let edge = probe().start();
    let gate = Gate::new();
    edge.kv_face.faults().set(Op::Put, Fault::Hold(gate.clone()));
    std::thread::scope(|scope| {
        let putting = scope.spawn(|| put(&edge, "k", "late", &json!({})));
        gate.wait_for_arrivals(1);
        assert!(!putting.is_finished() && edge.kv.get("k").is_none());
        gate.open();
        assert_eq!(putting.join().expect("the put is answered"), "put");
    });
    assert_eq!(get(&edge, "k", "text")["value"], "late");
}

#[test]
fn a_put_can_be_acknowledged_before_it_lands() {
    let edge = probe().start();
    let gate = Gate::new();
    edge.kv_face.faults().once(Op::Put, Fault::LandLate(gate.clone()));
    assert_eq!(put(&edge, "k", "late", &json!({})), "put");
    assert_eq!(get(&edge, "k", "text")["value"], Value::Null);
    gate.open();
    edge.wait_until("the put landed", |edge| edge.kv.get("k").is_some());
}

#[test]
fn a_read_can_be_stale_miss_or_be_cut() {
    let edge = probe().start();
    edge.kv.insert("k", KvValue::new("first", Some("1")));
    edge.kv.insert("k", KvValue::new("second", Some("2")));
    edge.kv_face.faults().once(Op::Get, Fault::Stale);
    assert_eq!(get(&edge, "k", "text"), json!({"value": "first", "metadata": 1}));
    edge.kv_face.faults().once(Op::Get, Fault::Miss);
    assert_eq!(get(&edge, "k", "text")["value"], Value::Null);
    for kind in ["text", "arrayBuffer", "stream"] {
        edge.kv_face.faults().once(Op::Get, Fault::CutBody(3));
        assert_eq!(get(&edge, "k", kind)["error"], "Error: Network connection lost.", "{kind}");
    }
    assert_eq!(get(&edge, "k", "text")["value"], "second");
}
