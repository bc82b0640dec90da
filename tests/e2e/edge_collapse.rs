//! One question to the origin for many who want the same, and nobody who waits in vain.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use lab::client::{Call, Response};
use lab::gate::Gate;
use lab::harness::{Edge, Options};
use lab::origin::{Answer, Wait};
use lab::stored::{OPS, SALES, SALES_KEY, all_kept};
use lab::stores::Op;
use serde_json::json;

fn held(fact: &str, gate: &Gate) -> Answer {
    Answer::tile(fact).wait_before_head(Wait::Until(gate.clone()))
}

/// So many ask for the tile at once; `meanwhile` runs when the last of them has found nothing in the stores.
fn ask_at_once(edge: &Edge, count: usize, meanwhile: impl FnOnce()) -> Vec<Response> {
    let address = edge.workerd.address();
    let looked = edge.kv_face.count(Op::Get) + count;
    thread::scope(|scope| {
        let ask = || Call::get(SALES).send(address).expect("an answer");
        let asking: Vec<_> = (0..count).map(|_| scope.spawn(ask)).collect();
        edge.wait_until("all have looked", |edge| edge.kv_face.count(Op::Get) >= looked);
        meanwhile();
        asking.into_iter().map(|one| one.join().expect("a client does not panic")).collect()
    })
}

/// A client that sends a request and does not wait for its answer.
fn hurried(edge: &Edge, target: &str) -> TcpStream {
    let mut stream = TcpStream::connect(edge.workerd.address()).expect("workerd listens");
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("workerd reads");
    stream
}

fn status_of(answer: &Response) -> &str {
    answer.field("Cache-Status").unwrap_or_default()
}

#[test]
fn fifty_at_once_for_a_cold_tile_ask_the_origin_once() {
    let edge = Edge::start();
    let gate = Gate::new();
    edge.origin.answer(SALES, held("cold", &gate));
    let answers = ask_at_once(&edge, 50, || gate.open());
    for answer in &answers {
        assert!(answer.status == 200 && answer.body == answers[0].body && answer.cut.is_none(), "{answer:?}");
        assert_eq!(answer.field("ETag"), answers[0].field("ETag"));
    }
    let stored = answers.iter().filter(|answer| status_of(answer).ends_with("; stored")).count();
    let collapsed = answers.iter().filter(|answer| status_of(answer).ends_with("; collapsed")).count();
    assert_eq!((stored, collapsed, edge.origin.total()), (1, 49, 1));
    edge.wait_until_kept(SALES_KEY, &answers[0].text());
    assert_eq!((edge.answer_count(Op::Put), edge.kv_face.count(Op::Put)), (1, 1));
    edge.is_hit(SALES, "cold");
}

#[test]
fn an_answer_that_is_not_stored_is_given_to_the_one_who_asked_and_to_nobody_else() {
    let edge = Edge::start();
    let gate = Gate::new();
    let at_gate = gate.clone();
    edge.origin.script(SALES, move |_, number| {
        held(&format!("for one, {number}"), &at_gate).field("Set-Cookie", "session=secret")
    });
    let answers = ask_at_once(&edge, 10, || gate.open());
    let mut facts: Vec<_> = answers.iter().map(|answer| answer.json()["fact"]["says"].to_string()).collect();
    facts.sort();
    facts.dedup();
    assert_eq!((facts.len(), edge.origin.total()), (10, 10), "{facts:?}");
    assert!(answers.iter().all(|answer| !status_of(answer).contains("collapsed")), "{answers:?}");
}

#[test]
fn a_question_that_fails_fails_for_the_one_who_asked_it() {
    let edge = Edge::start();
    let gate = Gate::new();
    edge.origin.one_request_per_connection();
    let failing = Answer::none().wait_before_head(Wait::Until(gate.clone()));
    edge.origin.answers(SALES, vec![failing, Answer::tile("whole")]);
    let answers = ask_at_once(&edge, 10, || gate.open());
    let whole =
        answers.iter().filter(|answer| answer.status == 200 && answer.json()["fact"]["says"] == "whole").count();
    assert_eq!((whole, answers.iter().filter(|answer| answer.status == 502).count()), (9, 1), "{answers:?}");
}

#[test]
fn a_crowd_behind_a_slow_origin_has_the_first_answer_and_asks_once_more_every_three_seconds() {
    let edge = Edge::start();
    let (first, others) = (Gate::new(), Gate::new());
    let gates = (first.clone(), others.clone());
    edge.origin.script(SALES, move |_, number| match number {
        0 => held("first", &gates.0),
        _ => held("later", &gates.1),
    });
    let answers = ask_at_once(&edge, 30, || {
        others.wait_for_arrivals(2);
        first.open();
        edge.wait_until("the answer is stored", |edge| edge.answer_count(Op::Put) == 1);
        thread::sleep(Duration::from_millis(500));
        others.open();
    });
    let says = |fact: &str| answers.iter().filter(|answer| answer.json()["fact"]["says"] == fact).count();
    assert_eq!((says("first"), says("later"), edge.origin.total()), (28, 2, 3), "{answers:?}");
}

#[test]
fn nobody_joins_a_question_from_before_a_purge() {
    let edge = Edge::start();
    let gate = Gate::new();
    edge.origin.answers(SALES, vec![held("old", &gate), Answer::tile("new")]);
    let old = ask_at_once(&edge, 3, || {
        gate.wait_for_arrivals(1);
        edge.purge(&json!({"mode": "hard", "routes": ["sales_pulse"]}));
        let new = edge.get(SALES).expect(200).stored(true).says("new").origin_requests(1);
        edge.wait_until_kept(SALES_KEY, &new.text());
        edge.is_hit(SALES, "new");
        gate.open();
    });
    assert!(old.iter().all(|answer| answer.json()["fact"]["says"] == "old"), "{old:?}");
    edge.is_hit(SALES, "new");
    assert_eq!(edge.origin.total(), 2);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_slow_fill_does_not_end_it() {
    let edge = Edge::start();
    let gate = Gate::new();
    edge.origin.answer(SALES, held("asked for once", &gate));
    let leaving = hurried(&edge, SALES);
    gate.wait_for_arrivals(1);
    drop(leaving);
    thread::sleep(Duration::from_millis(200));
    gate.open();
    edge.wait_until("the answer is stored", |edge| edge.answer_count(Op::Put) == 1);
    assert_eq!(edge.origin.total(), 1, "what the one who left has asked for");
    edge.get(SALES).expect(200).hit().says("asked for once").origin_requests(0);
}

#[test]
fn a_client_that_asked_first_and_leaves_strands_nobody() {
    let edge = Edge::start();
    let gate = Gate::new();
    edge.origin.answer(SALES, held("late", &gate));
    let first = hurried(&edge, SALES);
    gate.wait_for_arrivals(1);
    let started = Instant::now();
    let answers = ask_at_once(&edge, 10, || {
        drop(first);
        thread::sleep(Duration::from_millis(100));
        gate.open();
    });
    println!("answered after {:?}, with {} questions", started.elapsed(), edge.origin.total());
    for answer in &answers {
        assert!(answer.status == 200 && answer.json()["fact"]["says"] == "late", "{answer:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    edge.wait_until_kept(SALES_KEY, &answers[0].text());
    edge.is_hit(SALES, "late");
}

#[test]
fn clients_that_leave_in_the_middle_of_what_others_share_do_not_harm_the_isolate() {
    let edge = Options::failing().var("SNAPSHOT_AT_MOST_MS", "200").start();
    // An incident marks the isolate.
    edge.origin.one_request_per_connection();
    edge.origin.answer(OPS, Answer::none());
    edge.get(OPS).problem(502).origin_requests(1);
    let marked = edge.get("/healthz").expect(200).origin_requests(0).json()["incidents"]["origin_failed"].clone();
    let routes = all_kept();
    for kept in &routes {
        let slow = Wait::For(Duration::from_millis(40));
        edge.origin.answer(&kept.target, Answer::tile(&kept.key).wait_before_head(slow));
    }
    // Counters are asked for all the time, and their answers and the origin's come while clients leave.
    edge.tell("ledger/delay/20");
    for round in 0..30 {
        thread::scope(|scope| {
            for number in 0..40 {
                let kept = &routes[(round + number) % 4];
                let edge = &edge;
                scope.spawn(move || {
                    if number % 3 == 0 {
                        let answer = Call::get(&kept.target).send(edge.workerd.address()).expect("an answer");
                        assert_eq!((answer.status, &answer.json()["fact"]["says"]), (200, &json!(kept.key)));
                    } else {
                        let leaving = hurried(edge, &kept.target);
                        thread::sleep(Duration::from_millis(7 * (number as u64 % 11)));
                        drop(leaving);
                    }
                });
            }
        });
        if round % 2 == 0 {
            edge.cache.clear();
            edge.kv.clear();
        }
    }
    edge.tell("ledger/delay/0");
    for kept in &routes {
        let answer = Call::get(&kept.target).send(edge.workerd.address()).expect("an answer");
        assert_eq!((answer.status, &answer.json()["fact"]["says"]), (200, &json!(kept.key)));
        assert!(answer.head_after < Duration::from_secs(2), "{}: {:?}", kept.target, answer.head_after);
    }
    let health = edge.get("/healthz").expect(200).origin_requests(0).json();
    assert_eq!(health["incidents"]["origin_failed"], marked, "another isolate: {health}");
    let log = edge.workerd.log().to_lowercase();
    for word in ["hung", "panic", "different request", "unreachable", "refcell", "uncaught"] {
        assert!(!log.contains(word), "{word}: {log}");
    }
}
