//! Many requests at once: all are answered, and the isolate that answers them stays alive.

use std::thread;
use std::time::Duration;

use lab::client::{Call, Response};
use lab::gate::Gate;
use lab::harness::{CACHE, Edge, Options};
use lab::origin::{Answer, Wait};
use lab::session::{ANNS, BENS, Session};
use lab::stored::{OPS, SALES, SALES_KEY, all_kept};
use serde_json::{Value, json};

/// So many at once, in as many threads.
fn at_once(edge: &Edge, count: usize, call: impl Fn(usize) -> Call + Sync) -> Vec<Response> {
    let (address, call) = (edge.workerd.address(), &call);
    thread::scope(|scope| {
        let asking: Vec<_> = (0..count).map(|number| scope.spawn(move || call(number).send(address))).collect();
        let answers = asking.into_iter().map(|one| one.join().expect("a client does not panic"));
        answers.map(|answer| answer.expect("an answer")).collect()
    })
}

/// What the isolate counted so far: it forgets when it is a new one.
fn incidents(edge: &Edge) -> Value {
    edge.get("/healthz").expect(200).origin_requests(0).json()["incidents"].clone()
}

/// A machine that is busy takes longer for a store's answer than its tier's limit of time. Nothing else went wrong.
#[track_caller]
fn nothing_failed_but_slow_stores(edge: &Edge) {
    let incidents = incidents(edge);
    let words = incidents.as_object().expect("counts by word").keys();
    let others: Vec<_> =
        words.filter(|word| !["edge_", "kv_", "snapshot_"].iter().any(|of| word.starts_with(of))).collect();
    assert_eq!(others, Vec::<&String>::new(), "{incidents}");
}

/// An edge with a memory tier. Two hundred at once are more than the lab's stores answer within a tier's limit of time.
fn with_memory() -> Edge {
    Options::built().remembering().start()
}

#[test]
fn two_hundred_at_once_for_a_warm_tile_are_all_hits_of_one_isolate() {
    let edge = with_memory();
    // An incident marks the isolate.
    edge.origin.answer(OPS, Answer::none());
    edge.origin.one_request_per_connection();
    edge.get(OPS).problem(502).origin_requests(1);
    let body = edge.fill(SALES, SALES_KEY, "warm").body;
    for answer in at_once(&edge, 200, |_| Call::get(SALES)) {
        assert!(answer.status == 200 && answer.cut.is_none() && answer.body == body, "{answer:?}");
        assert!(answer.field("Cache-Status").is_some_and(|status| status.contains("; hit; ")), "{answer:?}");
    }
    assert_eq!((edge.origin.total(), &incidents(&edge)["origin_failed"]), (2, &json!(1)));
}

#[test]
fn fifty_at_once_for_a_cold_tile_are_all_answered_and_then_it_is_warm() {
    let edge = Edge::start();
    let gate = Gate::new();
    edge.origin.answer(SALES, Answer::tile("cold").wait_before_head(Wait::Until(gate.clone())));
    let answers = thread::scope(|scope| {
        let asking = scope.spawn(|| at_once(&edge, 50, |_| Call::get(SALES)));
        gate.wait_for_arrivals(1);
        gate.open();
        asking.join().expect("the clients do not panic")
    });
    for answer in &answers {
        assert!(answer.status == 200 && answer.json()["fact"]["says"] == "cold", "{answer:?}");
    }
    assert!((1..=50).contains(&edge.origin.total()), "{}", edge.origin.total());
    edge.wait_until_kept(SALES_KEY, &answers[0].text());
    edge.is_hit(SALES, "cold");
}

#[test]
fn a_page_of_everything_at_once_mixes_nothing_up() {
    let edge = with_memory();
    let routes = all_kept();
    for kept in &routes {
        edge.origin.answer(&kept.target, Answer::tile(&kept.key));
    }
    for _ in 0..3 {
        let answers = at_once(&edge, 10 * routes.len(), |number| Call::get(&routes[number % routes.len()].target));
        for (number, answer) in answers.iter().enumerate() {
            let key = &routes[number % routes.len()].key;
            assert!(answer.status == 200 && answer.json()["fact"]["says"] == key.as_str(), "{key}: {answer:?}");
        }
    }
    for kept in &routes {
        edge.is_hit(&kept.target, &kept.key);
    }
    nothing_failed_but_slow_stores(&edge);
}

#[test]
fn clients_that_leave_early_harm_nobody() {
    let edge = Edge::start();
    let gate = Gate::new();
    edge.origin.answer(SALES, Answer::tile("late").wait_before_head(Wait::Until(gate.clone())));
    for _ in 0..20 {
        let stream = std::net::TcpStream::connect(edge.workerd.address()).expect("workerd listens");
        let request = format!("GET {SALES} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        std::io::Write::write_all(&mut &stream, request.as_bytes()).expect("workerd reads");
        drop(stream);
    }
    gate.open();
    // How many of them the origin saw depends on when they left.
    let answer = Call::get(SALES).send(edge.workerd.address()).expect("an answer");
    assert_eq!((answer.status, answer.json()["fact"]["says"].as_str()), (200, Some("late")));
    // The last of them may still be on their way, and would be counted to others.
    let mut seen = 0;
    while edge.origin.total() > seen {
        seen = edge.origin.total();
        thread::sleep(Duration::from_millis(300));
    }
    assert!((1..=21).contains(&seen), "{seen}");
    edge.fill(OPS, "dashboard:tile:ops:v1", "well");
    edge.is_hit(OPS, "well");
    nothing_failed_but_slow_stores(&edge);
}

/// Who waits for another request's question goes on in its own: what it fetches then is its own to send.
#[test]
fn readers_who_wait_together_for_the_list_of_tenants_are_all_answered_from_store() {
    let mut edge = Options::failing().session().start();
    let call = |shop: &str| Call::get(SALES).field("Authorization", Session::of(shop).bearer());
    for shop in [ANNS, BENS] {
        edge.origin.answer(SALES, Answer::tile(shop));
        edge.send(&call(shop)).expect(200).stored(true).origin_requests(1);
        edge.wait_until("it is stored", |edge| {
            edge.cache.urls(CACHE).iter().any(|url| url.contains(&format!("{shop}/d")))
        });
    }
    for _ in 0..3 {
        edge.workerd.restart();
        edge.tell("ledger/delay/100");
        for answer in at_once(&edge, 16, |number| call([ANNS, BENS][number % 2])) {
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.field("Cache-Status").is_some_and(|status| status.contains("; hit; ")), "{answer:?}");
        }
    }
    assert_eq!(edge.origin.total(), 2);
}
