//! What an isolate holds in memory: nothing of what only passes through, and no more after half an hour than after a
//! minute.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lab::client::Call;
use lab::harness::{Edge, OPERATOR_TOKEN, Options};
use lab::origin::{Answer, is_pattern};
use lab::purge::purge_call;
use lab::stored::all_kept;
use serde_json::json;

const MEGABYTE: u64 = 1 << 20;
/// So many paths that no rule lists.
const UNLISTED: usize = 200;

/// The least proxy that there is in JavaScript: what the runtime itself takes for a stream.
const PLAIN: &str = "export class Ledger {}
export default { async fetch(request, env) { return fetch(env.ORIGIN + new URL(request.url).pathname); } }";

/// By how many bytes workerd grows when so many clients have a body of 10 MB under way at once.
fn growth_by_streams(edge: &Edge, many: usize) -> u64 {
    const LENGTH: u64 = 10 * MEGABYTE;
    edge.origin.answer("/api/exports/warm.csv", Answer::pattern(MEGABYTE));
    edge.origin.answer("/api/exports/orders.csv", Answer::pattern(LENGTH));
    edge.get("/api/exports/warm.csv").expect(200).origin_requests(1);
    let address = edge.workerd.address();
    let all_open = Barrier::new(many);
    let grown = edge.workerd.growth(|| {
        thread::scope(|scope| {
            for _ in 0..many {
                scope.spawn(|| {
                    let mut opened = Call::get("/api/exports/orders.csv").open(address).expect("an answer");
                    assert_eq!(opened.status, 200);
                    // Nobody reads before the last one is there.
                    all_open.wait();
                    let mut seen = 0;
                    while let Some((_, piece)) = opened.piece().expect("the body is whole") {
                        assert!(is_pattern(seen, &piece), "at byte {seen}");
                        seen += piece.len() as u64;
                    }
                    assert_eq!(seen, LENGTH);
                });
            }
        });
    });
    assert_eq!(edge.origin.total(), 1 + many);
    grown
}

/// The runtime takes most of a megabyte for each stream that passes through any Worker. What this one adds is measured
/// beside that.
#[test]
fn two_hundred_bodies_of_ten_megabytes_at_once_are_streamed_and_not_held() {
    const MANY: usize = 200;
    let plain = growth_by_streams(&Options::script(PLAIN).start(), MANY);
    let grown = growth_by_streams(&Options::built().remembering().start(), MANY);
    println!("{MANY} bodies of 10 MB: workerd grew by {} MB, and {} MB with the plain proxy", grown >> 20, plain >> 20);
    assert!(grown < plain + 64 * MEGABYTE, "workerd grew by {grown} bytes, and {plain} without the edge");
}

/// Mixed load: every stored answer, bypassed bodies, errors, purges.
fn load(edge: &Edge, until: Instant, asked: &AtomicUsize) {
    let (address, kept) = (edge.workerd.address(), all_kept());
    thread::scope(|scope| {
        for reader in 0..4_usize {
            let kept = &kept;
            scope.spawn(move || {
                for round in 0_usize.. {
                    if Instant::now() > until {
                        return;
                    }
                    let number = round * 4 + reader;
                    let call = match number % 50 {
                        47 => Call::get("/api/exports/orders.csv"),
                        48 => Call::get("/api/realtime/sla"),
                        49 => Call::get(format!("/api/dashboard/unlisted/{}", number % UNLISTED)),
                        _ => Call::get(&kept[number % kept.len()].target),
                    };
                    let answer = call.send(address).expect("an answer");
                    assert!(answer.status == 200 && answer.cut.is_none(), "{}: {}", answer.status, answer.text());
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            for (round, kept) in kept.iter().cycle().enumerate() {
                thread::sleep(Duration::from_millis(1_200));
                if Instant::now() > until {
                    return;
                }
                let mode = if round % 2 == 0 { "soft" } else { "hard" };
                let body = json!({"mode": mode, "routes": [kept.route]}).to_string();
                let answer = purge_call(OPERATOR_TOKEN, body).send(address).expect("an answer");
                assert_eq!(answer.status, 202, "{}", answer.text());
            }
        });
    });
}

/// Half an hour with `HOTROD_LONG=1`, and half a minute otherwise.
#[test]
fn under_mixed_load_memory_is_flat() {
    let is_long = std::env::var("HOTROD_LONG").is_ok_and(|value| value == "1");
    let (length, warm_up) = if is_long { (1_800, 300) } else { (30, 10) };
    let edge = Options::built().remembering().start();
    for kept in all_kept() {
        edge.origin.answer(&kept.target, Answer::tile(&kept.key));
    }
    edge.origin.answer("/api/exports/orders.csv", Answer::pattern(MEGABYTE / 4));
    edge.origin.answer("/api/realtime/sla", Answer::tile("live"));
    for number in 0..UNLISTED {
        edge.origin.answer(&format!("/api/dashboard/unlisted/{number}"), Answer::tile("unlisted"));
    }
    let (started, asked) = (Instant::now(), AtomicUsize::new(0));
    let mut samples: Vec<(u64, u64)> = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| load(&edge, started + Duration::from_secs(length), &asked));
        while started.elapsed() < Duration::from_secs(length) {
            samples.push((started.elapsed().as_secs(), edge.workerd.resident_bytes()));
            thread::sleep(Duration::from_millis(500));
        }
    });
    // The garbage of JavaScript comes and goes, so of each stretch the middle sample counts.
    let median = |from: u64, to: u64| {
        let mut stretch: Vec<u64> =
            samples.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, bytes)| *bytes).collect();
        stretch.sort_unstable();
        stretch[stretch.len() / 2]
    };
    let stretch = (length - warm_up) / 4;
    let (first, last) = (median(warm_up, warm_up + stretch), median(length - stretch, length));
    println!(
        "{} requests in {length} s: {} kB after warm-up, {} kB at the end",
        asked.load(Ordering::Relaxed),
        first >> 10,
        last >> 10
    );
    assert!(asked.load(Ordering::Relaxed) > 1_000, "too few requests to say anything");
    if is_long {
        assert!(last * 100 <= first * 105, "it grew from {first} to {last} bytes");
    } else {
        // The heap of JavaScript takes a minute and some 300 MB until it is as large as it gets.
        assert!(last < 512 * MEGABYTE, "it grew from {first} to {last} bytes");
    }
}
