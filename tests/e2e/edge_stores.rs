//! Stores that fail: each failure is a miss, counted, and never the reason that a request fails.

use std::time::{Duration, Instant};

use lab::client::Call;
use lab::harness::{CACHE, Edge, Options};
use lab::origin::Answer;
use lab::stored::{SALES, SALES_KEY, SEGMENTS, SEGMENTS_KEY, cache_url, kv_key};
use lab::stores::{Fault, KvValue, Op};
use lab::wire::Fields;
use serde_json::Value;

fn incidents(edge: &Edge) -> Value {
    edge.get("/healthz").expect(200).origin_requests(0).json()["incidents"].clone()
}

#[track_caller]
fn counted(edge: &Edge, incident: &str, at_least: u64) {
    edge.wait_until("the incident is counted", |edge| incidents(edge)[incident].as_u64() >= Some(at_least));
    assert!(edge.workerd.wait_for_log(incident, Duration::from_secs(5)), "{}", edge.workerd.log());
}

#[test]
fn a_kv_that_fails_is_a_miss_and_is_counted() {
    let edge = Edge::start();
    edge.fill(SALES, SALES_KEY, "stored");
    let faults =
        [Fault::Status(500), Fault::Status(503), Fault::Status(429), Fault::Close, Fault::CutBody(5), Fault::Miss];
    for (number, fault) in faults.into_iter().enumerate() {
        edge.cache.clear();
        edge.kv_face.faults().set(Op::Get, fault.clone());
        let fact = format!("after {fault:?}");
        edge.origin.answer(SALES, Answer::tile(&fact));
        let filled = edge.get(SALES).expect(200).fwd("uri-miss").stored(true).says(&fact).origin_requests(1);
        edge.kv_face.faults().heal();
        edge.wait_until_kept(SALES_KEY, &filled.text());
        edge.is_hit(SALES, &fact);
        // One that answers in between is not left alone.
        edge.cache.clear();
        edge.get(SALES).expect(200).hit().detail("kv").says(&fact).origin_requests(0);
        edge.wait_until_kept(SALES_KEY, &filled.text());
        if !matches!(fault, Fault::Miss) {
            counted(&edge, "kv_get_failed", number as u64 + 1);
        }
    }
    edge.cache.clear();
    edge.origin.answer(SALES, Answer::tile("while KV refuses"));
    edge.kv_face.refuse_connections(true);
    edge.get(SALES).expect(200).fwd("uri-miss").stored(true).origin_requests(1);
    counted(&edge, "kv_get_failed", 6);
    counted(&edge, "kv_put_failed", 1);
    edge.kv_face.refuse_connections(false);
    edge.get(SALES).expect(200).hit().detail("edge").origin_requests(0);
}

#[test]
fn a_kv_that_takes_nothing_leaves_the_edge() {
    let edge = Edge::start();
    for (number, fault) in
        [Fault::Status(429), Fault::Status(500), Fault::Close, Fault::LandThenStatus(500)].iter().enumerate()
    {
        edge.cache.clear();
        edge.kv.clear();
        edge.kv_face.faults().set(Op::Put, fault.clone());
        let fact = format!("{fault:?}");
        edge.origin.answer(SALES, Answer::tile(&fact));
        edge.get(SALES).expect(200).fwd("uri-miss").stored(true).says(&fact).origin_requests(1);
        counted(&edge, "kv_put_failed", number as u64 + 1);
        edge.kv_face.faults().heal();
        edge.get(SALES).expect(200).hit().detail("edge").says(&fact).origin_requests(0);
    }
}

#[test]
fn a_kv_that_hangs_delays_an_answer_by_its_limit_and_soon_by_nothing() {
    let edge = Edge::start();
    edge.kv_face.faults().set(Op::Get, Fault::Slow(Duration::from_secs(20)));
    let mut took = Vec::new();
    for number in 0..6 {
        edge.cache.clear();
        let fact = format!("answer {number}");
        edge.origin.answer(SALES, Answer::tile(&fact));
        let started = Instant::now();
        let filled = edge.get(SALES).expect(200).fwd("uri-miss").says(&fact).origin_requests(1);
        took.push(started.elapsed());
        edge.wait_until_kept(SALES_KEY, &filled.text());
    }
    assert!(took.iter().all(|took| *took < Duration::from_secs(5)), "{took:?}");
    assert!(took.last() < Some(&Duration::from_millis(450)), "{took:?}");
    // What is not asked is counted, without a line in the log for each.
    assert_eq!(incidents(&edge)["kv_get_skipped"], 1);
    assert!(!edge.workerd.log().contains("kv_get_skipped"));
}

#[test]
fn memory_answers_while_all_stores_are_down() {
    let edge = Options::built().var("MEMORY_BYTES", "1000000").start();
    edge.origin.answer(SALES, Answer::tile("held"));
    let filled = edge.get(SALES).expect(200).stored(true).says("held").origin_requests(1);
    edge.wait_until_kept(SALES_KEY, &filled.text());
    edge.kv_face.faults().set_all(&Fault::Close);
    edge.cache_face.faults().set_all(&Fault::Close);
    for _ in 0..5 {
        edge.get(SALES).expect(200).hit().detail("memory").says("held").origin_requests(0);
    }
    let health = edge.get("/healthz").expect(200).origin_requests(0).json();
    assert_eq!(health["memory"]["entries"], 1, "{health}");
    assert!(health["memory"]["bytes"].as_u64() > Some(filled.text().len() as u64), "{health}");
}

#[test]
fn a_slow_put_delays_no_answer() {
    let edge = Edge::start();
    edge.kv_face.faults().set(Op::Put, Fault::Slow(Duration::from_secs(2)));
    edge.cache_face.faults().set(Op::Put, Fault::Slow(Duration::from_secs(2)));
    edge.origin.answer(SALES, Answer::tile("quick"));
    let started = Instant::now();
    edge.get(SALES).expect(200).stored(true).says("quick").origin_requests(1);
    edge.get(SALES).expect(200).says("quick").origin_requests(1);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn a_cache_api_that_fails_leaves_kv_and_then_the_origin() {
    let edge = Edge::start();
    let filled = edge.fill(SALES, SALES_KEY, "stored");
    edge.fill(SEGMENTS, SEGMENTS_KEY, "stored");
    for fault in [Fault::Status(500), Fault::Close, Fault::Miss] {
        edge.cache_face.faults().set(Op::Get, fault.clone());
        edge.get(SALES).expect(200).hit().detail("kv").says("stored").origin_requests(0);
        edge.get(SEGMENTS).expect(200).fwd("uri-miss").says("stored").origin_requests(1);
        edge.cache_face.faults().heal();
    }
    counted(&edge, "edge_get_failed", 2);
    // It may be left alone for a second.
    std::thread::sleep(Duration::from_millis(1_100));
    edge.wait_until_kept(SALES_KEY, &filled.text());
    edge.is_hit(SALES, "stored");
    edge.is_hit(SEGMENTS, "stored");
}

#[test]
fn a_cache_api_that_loses_what_it_took_is_a_miss() {
    let edge = Edge::start();
    for (number, fault) in [Fault::Lose, Fault::Status(413), Fault::Status(500), Fault::Close].into_iter().enumerate() {
        edge.cache_face.faults().set(Op::Put, fault);
        edge.origin.answer(SEGMENTS, Answer::tile("again and again"));
        edge.get(SEGMENTS).expect(200).fwd("uri-miss").says("again and again").origin_requests(1);
        edge.get(SEGMENTS).expect(200).fwd("uri-miss").says("again and again").origin_requests(1);
        edge.wait_until("both were put", |edge| edge.answer_count(Op::Put) == 2 * (number + 1));
        edge.cache_face.faults().heal();
    }
    edge.fill(SEGMENTS, SEGMENTS_KEY, "kept at last");
    edge.is_hit(SEGMENTS, "kept at last");
}

#[test]
fn with_all_stores_down_at_once_the_edge_is_a_proxy() {
    for fault in [Fault::Status(500), Fault::Close] {
        let edge = Edge::start();
        edge.kv_face.faults().set_all(&fault);
        edge.cache_face.faults().set_all(&fault);
        for (number, target) in [SALES, SEGMENTS, SALES, SEGMENTS].iter().enumerate() {
            let fact = format!("{fault:?} {number}");
            edge.origin.answer(target, Answer::tile(&fact));
            edge.get(target).expect(200).fwd("uri-miss").says(&fact).origin_requests(1);
        }
        counted(&edge, "kv_get_failed", 2);
        counted(&edge, "kv_put_failed", 2);
        // A match that is answered 500 is a miss to workerd, and it tells the Worker nothing of a failed put.
        if matches!(fault, Fault::Close) {
            counted(&edge, "edge_get_failed", 4);
        }
        edge.origin.answer(SALES, Answer::empty(503));
        edge.get(SALES).expect(503).origin_requests(1);
        edge.kv_face.faults().heal();
        edge.cache_face.faults().heal();
        edge.fill(SALES, SALES_KEY, "recovered");
        edge.is_hit(SALES, "recovered");
    }
}

#[test]
fn a_stored_body_that_breaks_off_while_it_is_sent_is_cut_and_not_short() {
    let edge = Edge::start();
    edge.fill(SEGMENTS, SEGMENTS_KEY, "stored");
    edge.cache_face.faults().set_for(Op::Get, SEGMENTS_KEY, Fault::CutBody(10), 1);
    let answer = Call::get(SEGMENTS).send(edge.workerd.address());
    assert!(answer.as_ref().map_or(true, |answer| answer.cut.is_some() && answer.body.len() == 10), "{answer:?}");
    edge.is_hit(SEGMENTS, "stored");
}

/// A head as the Worker wrote it, and its body, from the Cache API.
fn own_entry(edge: &Edge) -> (String, Vec<u8>) {
    edge.fill(SALES, SALES_KEY, "genuine");
    let (fields, body) = edge.cache.get(CACHE, &cache_url(SALES_KEY)).expect("it is stored");
    (fields.get("hotrod-head").expect("an entry has a head").to_owned(), body)
}

#[test]
fn a_foreign_or_corrupt_entry_in_kv_is_a_miss() {
    let edge = Edge::start();
    let (head, body) = own_entry(&edge);
    let text = String::from_utf8(body).expect("JSON");
    let entries: Vec<(String, Option<String>)> = vec![
        (text.clone(), Some(head.replace("\"v\":1", "\"v\":2"))),
        (text[..20].to_owned(), Some(head.clone())),
        (format!("{text} "), Some(head.clone())),
        (String::new(), Some(head.clone())),
        (text.clone(), None),
        (text.clone(), Some("null".to_owned())),
        (text.clone(), Some("{}".to_owned())),
        (text.clone(), Some("\"<html>\"".to_owned())),
        (text.clone(), Some("[1,2,3]".to_owned())),
        (text.clone(), Some(head.replace("\"s\":200", "\"s\":99999"))),
        (text.clone(), Some(head.replace("\"e\":", "\"e\":-"))),
        ("<html>another product's value</html>".to_owned(), None),
    ];
    for (value, metadata) in entries {
        edge.cache.clear();
        edge.kv.insert(&kv_key(SALES_KEY), KvValue::new(&value, metadata.as_deref()));
        let fact = format!("instead of {value:?} {metadata:?}");
        edge.origin.answer(SALES, Answer::tile(&fact));
        let filled = edge.get(SALES).expect(200).fwd("uri-miss").stored(true).says(&fact).origin_requests(1);
        edge.wait_until_kept(SALES_KEY, &filled.text());
    }
    // What the entries are made from is one.
    edge.cache.clear();
    edge.kv.insert(&kv_key(SALES_KEY), KvValue::new(&text, Some(&head)));
    edge.get(SALES).expect(200).hit().detail("kv").says("genuine").origin_requests(0);
}

#[test]
fn a_foreign_or_corrupt_entry_in_the_cache_api_is_a_miss() {
    let edge = Edge::start();
    let (head, body) = own_entry(&edge);
    let length = body.len();
    let entries: Vec<(Option<String>, Vec<u8>)> = vec![
        (None, b"<html>".to_vec()),
        (None, body.clone()),
        (Some(String::new()), body.clone()),
        (Some("{}".to_owned()), body.clone()),
        (Some("x".repeat(10_000)), body.clone()),
        (Some(head.replace("\"v\":1", "\"v\":2")), body.clone()),
        (Some(head.replace("\"s\":200", "\"s\":-1")), body.clone()),
        (Some(head.clone()), body[..20].to_vec()),
        (Some(head.clone()), [body.as_slice(), b" "].concat()),
        (Some(head.clone()), Vec::new()),
    ];
    for (head, body) in entries {
        edge.kv.clear();
        let what = format!("{head:?} with {} of {length} bytes", body.len());
        let fields = Fields(head.into_iter().map(|head| ("hotrod-head".to_owned(), head)).collect());
        edge.cache.insert(CACHE, &cache_url(SALES_KEY), fields, &body, Duration::from_mins(1));
        edge.origin.answer(SALES, Answer::tile(&what));
        let filled = edge.get(SALES).expect(200).fwd("uri-miss").stored(true).says(&what).origin_requests(1);
        edge.wait_until_kept(SALES_KEY, &filled.text());
    }
}
