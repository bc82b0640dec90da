//! An origin whose capacity is gone but for a tenth: what is left goes to the classes in the order of their value, and
//! who gets nothing of it is told so.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hotrod_edge::rules::compiled;
use lab::client::Call;
use lab::gate::Gate;
use lab::harness::{Edge, Options};
use lab::origin::{Answer, Wait};

/// One route of each class that is stored, and one that is passed through.
const ASKED: [(&str, &str); 5] = [
    ("near_real_time", "/api/dashboard/products/top"),
    ("historical", "/api/dashboard/segments"),
    ("aggregate", "/api/dashboard/metrics/ytd"),
    ("comparison", "/api/dashboard/compare/yoy"),
    ("bypass", "/api/exports/orders.csv"),
];
/// So long the origin takes for an answer.
const TAKES: Duration = Duration::from_millis(100);

/// How many requests of a class were answered by the origin, and how many were told that it is busy.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    answered: usize,
    told: usize,
    failed: usize,
}

/// Every class asks as often as it is answered, twice at once, for so long.
fn shares(edge: &Edge, length: Duration) -> BTreeMap<&'static str, Share> {
    let address = edge.workerd.address();
    let end = Instant::now() + length;
    let ask = |path: &'static str| {
        let mut share = Share::default();
        while Instant::now() < end {
            let answer = Call::get(path).send(address).expect("an answer");
            if Instant::now() >= end {
                // By now the others may be asking no more.
                break;
            }
            let status = answer.field("Cache-Status").unwrap_or_default().to_owned();
            match answer.status {
                200 => share.answered += 1,
                503 if status.contains("origin-busy") || status.contains("breaker-open") => {
                    assert!(answer.field("Retry-After").is_some(), "{status}");
                    share.told += 1;
                }
                503 => share.failed += 1,
                other => panic!("{other} {status}: {}", answer.text()),
            }
        }
        share
    };
    thread::scope(|scope| {
        // One after the other, so that those who wait in vain do not all give up in one moment.
        let clients = ASKED.iter().flat_map(|client| [client; 2]).enumerate();
        let asking: Vec<_> = clients
            .map(|(number, (class, path))| {
                let begins = Duration::from_millis(190 * u64::try_from(number).unwrap_or_default());
                let asks = move || {
                    thread::sleep(begins);
                    ask(path)
                };
                (*class, scope.spawn(asks))
            })
            .collect();
        let mut shares = BTreeMap::<_, Share>::new();
        for (class, asking) in asking {
            let share = asking.join().expect("a client does not panic");
            let sum = shares.entry(class).or_default();
            sum.answered += share.answered;
            sum.told += share.told;
            sum.failed += share.failed;
        }
        shares
    })
}

#[test]
fn the_last_tenth_of_an_origins_capacity_goes_to_the_classes_in_the_order_of_their_value() {
    let edge = Edge::start();
    let (capacity, under_way) = (Arc::new(AtomicUsize::new(20)), Arc::new(AtomicUsize::new(0)));
    for (_, path) in ASKED {
        let (capacity, under_way) = (capacity.clone(), under_way.clone());
        edge.origin.script(path, move |_, _| {
            if under_way.fetch_add(1, Ordering::SeqCst) >= capacity.load(Ordering::SeqCst) {
                under_way.fetch_sub(1, Ordering::SeqCst);
                return Answer::empty(503);
            }
            let under_way = under_way.clone();
            thread::spawn(move || {
                thread::sleep(TAKES);
                under_way.fetch_sub(1, Ordering::SeqCst);
            });
            // Nothing of it is kept, so each request needs the origin.
            Answer::tile("now").field("Cache-Control", "no-store").wait_before_head(Wait::For(TAKES))
        });
    }
    let well = shares(&edge, Duration::from_secs(4));
    println!("with all of it: {well:?}");
    assert!(well.values().all(|share| share.answered >= 20 && share.told + share.failed == 0), "{well:?}");
    capacity.store(2, Ordering::SeqCst);
    // Until it has found out how much is left.
    println!("at first: {:?}", shares(&edge, Duration::from_secs(4)));
    let ill = shares(&edge, Duration::from_secs(12));
    println!("with a tenth: {ill:?}");
    let by_value = |class: &&str| std::cmp::Reverse(compiled().demand(class).value);
    let mut classes: Vec<&str> = ASKED.iter().map(|(class, _)| *class).collect();
    classes.sort_by_key(by_value);
    let answered: Vec<usize> = classes.iter().map(|class| ill[class].answered).collect();
    assert!(answered.is_sorted_by(|one, next| one >= next), "{classes:?} {answered:?}");
    assert!(answered[0] > 4 * answered[4].max(1), "{classes:?} {answered:?}");
    let least = ill[classes[4]];
    assert!(least.told > 0, "nobody is told: {ill:?}");
}

#[test]
fn clients_that_leave_take_no_slot_with_them() {
    let edge = Options::built().var("ORIGIN_CONCURRENCY", "4").start();
    let gate = Gate::new();
    let path = "/api/exports/orders.csv";
    edge.origin.answer(path, Answer::tile("late").wait_before_head(Wait::Until(gate.clone())));
    // Three of four slots are for what is passed on.
    let leave = |_| {
        let mut stream = TcpStream::connect(edge.workerd.address()).expect("a connection");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request");
        stream
    };
    let waiting: Vec<_> = (0..3).map(leave).collect();
    gate.wait_for_arrivals(3);
    drop(waiting);
    thread::sleep(Duration::from_millis(200));
    gate.open();
    edge.origin.answer(path, Answer::tile("now"));
    let asked = Instant::now();
    for _ in 0..3 {
        edge.get(path).expect(200).fwd("bypass").origin_requests(1);
    }
    assert!(asked.elapsed() < Duration::from_secs(2), "they waited for {:?}", asked.elapsed());
}
