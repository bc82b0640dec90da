//! KV across locations: lag, remembered misses, and one write per second and key.

use std::time::{Duration, Instant};

use lab::client::Call;
use lab::origin::Answer;
use lab::stored::{SALES, SALES_KEY, kv_key};
use lab::stores::{Consistency, KvFace, KvStore, KvValue, Op};
use lab::{Lab, Layout};

const LAG: Duration = Duration::from_millis(800);

fn faces(consistency: Consistency) -> (KvStore, KvFace, KvFace) {
    let store = KvStore::new();
    let (here, there) = (KvFace::start(&store), KvFace::start(&store));
    here.set_consistency(consistency);
    there.set_consistency(consistency);
    (store, here, there)
}

/// The status of a write, as workerd asks for one.
fn put(face: &KvFace, key: &str, value: &str) -> u16 {
    Call::new("PUT", format!("/{key}")).body(value).send(face.address()).expect("an answer").status
}

fn get(face: &KvFace, key: &str) -> Option<String> {
    let answer = Call::get(format!("/{key}")).send(face.address()).expect("an answer");
    (answer.status == 200).then(|| answer.text())
}

fn sleep_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}

#[test]
fn the_worker_finds_what_another_location_wrote_only_later() {
    let lab = Lab::start();
    lab.origin().answer(SALES, Answer::tile("first"));
    let answer = lab.at("ams").get(SALES).expect(200).stored(true).origin_requests(1);
    lab.at("ams").wait_until_kept(SALES_KEY, &answer.text());
    let written = Instant::now();
    assert_eq!(lab.kv.keys(), [kv_key(SALES_KEY)]);
    lab.clear_edge("ams");
    lab.at("ams").get(SALES).expect(200).hit().detail("kv").origin_requests(0);
    // It fails here, so that iad writes nothing itself.
    lab.fail_origin("iad", "unreachable");
    lab.at("iad").get(SALES).problem(502).origin_requests(0);
    sleep_until(written + Duration::from_millis(2100));
    lab.at("sin").get(SALES).expect(200).hit().detail("kv").says("first").origin_requests(0);
}

#[test]
fn a_write_is_seen_at_once_where_it_was_made_and_elsewhere_after_the_lag() {
    let (store, here, there) = faces(Consistency { lag: LAG, ..Consistency::default() });
    put(&here, "k", "first");
    let written = Instant::now();
    assert_eq!((get(&here, "k").as_deref(), get(&there, "k")), (Some("first"), None));
    let listed = Call::get("/?prefix=").send(there.address()).expect("a list").json();
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(0));
    sleep_until(written + LAG);
    assert_eq!(get(&there, "k").as_deref(), Some("first"));

    // More writes than a history of fixed length would hold.
    for number in 0..20 {
        put(&here, "k", &number.to_string());
    }
    let written = Instant::now();
    assert_eq!((get(&here, "k").as_deref(), get(&there, "k").as_deref()), (Some("19"), Some("first")));
    assert_eq!(store.get("k").map(|value| value.bytes.to_vec()), Some(b"19".to_vec()));
    sleep_until(written + LAG);
    assert_eq!(get(&there, "k").as_deref(), Some("19"));
}

#[test]
fn a_miss_is_remembered_where_it_was_met_unless_that_location_writes() {
    let (store, here, there) = faces(Consistency { misses: LAG, ..Consistency::default() });
    assert_eq!((get(&here, "k"), get(&there, "k")), (None, None));
    let missed = Instant::now();
    store.insert("k", KvValue::new("first", None));
    assert_eq!((get(&here, "k"), get(&there, "k")), (None, None));
    put(&here, "k", "second");
    assert_eq!((get(&here, "k").as_deref(), get(&there, "k")), (Some("second"), None));
    sleep_until(missed + LAG);
    assert_eq!(get(&there, "k").as_deref(), Some("second"));

    assert_eq!(get(&there, "other"), None);
    store.insert("other", KvValue::new("first", None));
    there.set_consistency(Consistency::default());
    assert_eq!(get(&there, "other").as_deref(), Some("first"));
}

#[test]
fn a_key_takes_one_write_a_second_from_all_locations_together() {
    let (store, here, there) = faces(Consistency { write_limit: true, ..Consistency::default() });
    assert_eq!(put(&here, "k", "first"), 200);
    let written = Instant::now();
    assert_eq!([put(&here, "k", "second"), put(&there, "k", "third"), put(&there, "other", "first")], [429, 429, 200]);
    let delete = Call::new("DELETE", "/k").send(there.address()).expect("an answer");
    assert_eq!(delete.status, 429);
    assert_eq!(store.get("k").map(|value| value.bytes.to_vec()), Some(b"first".to_vec()));
    sleep_until(written + Duration::from_secs(1));
    assert_eq!(put(&there, "k", "fourth"), 200);
    there.set_consistency(Consistency::default());
    assert_eq!(put(&there, "k", "fifth"), 200);
}

#[test]
fn the_distance_of_a_layout_is_that_of_each_location() {
    let lab = Layout::new().kv(Consistency::default()).start();
    lab.origin().answer(SALES, Answer::tile("first"));
    let answer = lab.at("ams").get(SALES).expect(200).stored(true).origin_requests(1);
    lab.at("ams").wait_until_kept(SALES_KEY, &answer.text());
    lab.at("iad").get(SALES).expect(200).hit().detail("kv").origin_requests(0);
    assert_eq!((lab.at("ams").kv_face().count(Op::Put), lab.at("iad").kv_face().count(Op::Put)), (1, 0));
}
