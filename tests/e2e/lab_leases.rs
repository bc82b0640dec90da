//! A crowd wants the same answer, in one location or in three: how often the origin is asked, how long anybody waits, and
//! what becomes of those who wait for a location that never hands anything on.

use std::net::SocketAddr;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lab::client::{Call, Response};
use lab::gate::{Gate, lock};
use lab::harness::{Options, wait_until};
use lab::origin::{Answer, Wait};
use lab::stored::{OPS, SALES, SALES_KEY};
use lab::stores::Consistency;
use lab::{Lab, Layout};

const CROWD: usize = 1_000;
const LOCATIONS: [&str; 3] = ["ams", "iad", "sin"];
/// How long one request leads before another one asks as well.
const LED: Duration = Duration::from_secs(3);
/// How long a request waits for what another location asks for.
const LED_ELSEWHERE: Duration = Duration::from_millis(2_500);

/// One crowd at a time: two would wait for the machine, and for longer than anybody waits for another one's answer.
static CROWDED: Mutex<()> = Mutex::new(());

/// A crowd that is let go at once, spread evenly: the answers, and how long it took until the last was whole.
fn crowd(addresses: &[SocketAddr], target: &str) -> (Vec<Response>, Duration) {
    let start = &Barrier::new(CROWD);
    thread::scope(|scope| {
        let ask = |number: usize| {
            scope.spawn(move || {
                start.wait();
                Call::get(target).send(addresses[number % addresses.len()]).expect("an answer")
            })
        };
        let asking: Vec<_> = (0..CROWD).map(ask).collect();
        let answers: Vec<_> = asking.into_iter().map(|one| one.join().expect("a client does not panic")).collect();
        let started = answers.iter().map(|answer| answer.started).min().expect("a crowd");
        let ended = answers.iter().map(|answer| answer.ended).max().expect("a crowd");
        (answers, ended - started)
    })
}

fn status_of(answer: &Response) -> &str {
    answer.field("Cache-Status").unwrap_or_default()
}

fn all_say(answers: &[Response], fact: &str) {
    for answer in answers {
        assert!(answer.status == 200 && answer.json()["fact"]["says"] == fact && answer.cut.is_none(), "{answer:?}");
    }
}

/// How many answers have this in their Cache-Status.
fn count(answers: &[Response], part: &str) -> usize {
    answers.iter().filter(|answer| status_of(answer).contains(part)).count()
}

/// On a machine that needs longer for a whole crowd, somebody has waited for three seconds and asks as well.
fn out_of_patience(answers: &[Response], took: Duration) -> usize {
    let asked = usize::try_from(took.as_secs() / LED.as_secs()).expect("a few");
    count(answers, "; stored").saturating_sub(1).min(asked)
}

fn told(answers: &[Response], questions: usize) -> String {
    let [stored, collapsed, hits] = ["; stored", "; collapsed", "; hit"].map(|part| count(answers, part));
    format!("{stored} stored, {collapsed} collapsed, {hits} hits, {questions} questions")
}

/// The longest that anybody waited, beside what it took to connect.
fn longest(answers: &[Response]) -> Duration {
    answers.iter().map(|answer| answer.ended - answer.started).max().expect("a crowd")
}

fn addresses(lab: &Lab) -> Vec<SocketAddr> {
    LOCATIONS.iter().map(|name| lab.at(name).address()).collect()
}

/// An answer that takes so long.
fn slow(fact: &str, millis: u64) -> Answer {
    Answer::tile(fact).wait_before_head(Wait::For(Duration::from_millis(millis)))
}

#[test]
fn a_thousand_at_once_for_a_cold_hot_key_in_one_isolate_ask_the_origin_once() {
    let _alone = lock(&CROWDED);
    let edge = Options::built().remembering().start();
    edge.origin.answer(SALES, slow("cold", 300));
    let (answers, took) = crowd(&[edge.workerd.address()], SALES);
    println!("{CROWD} in {took:?}; {}", told(&answers, edge.origin.total()));
    all_say(&answers, "cold");
    assert_eq!(count(&answers, "; stored"), edge.origin.total());
    assert_eq!(edge.origin.total() - out_of_patience(&answers, took), 1);
    assert!(count(&answers, "; collapsed") > CROWD / 10, "they did not come at once");
}

#[test]
fn a_thousand_at_once_for_a_cold_hot_key_in_three_locations_ask_the_origin_at_most_twice() {
    let _alone = lock(&CROWDED);
    let lab = Layout::new().remembering().start();
    lab.origin().answer(SALES, slow("cold", 300));
    let (answers, took) = crowd(&addresses(&lab), SALES);
    println!("{CROWD} in {took:?}; {}", told(&answers, lab.origin().total()));
    all_say(&answers, "cold");
    assert!(lab.origin().total() - out_of_patience(&answers, took) <= 2, "{} questions", lab.origin().total());
    assert!(count(&answers, "; collapsed") > CROWD / 10, "they did not come at once");
}

/// What the origin says of its answer's lifetime makes it end while a test waits. What a crowd takes on this machine is
/// measured while the answer is fresh.
#[test]
fn a_thousand_at_once_just_after_expiry_are_all_answered_stale_and_wait_for_no_origin_that_is_asked_once() {
    const LIFETIME: Duration = Duration::from_secs(20);
    let _alone = lock(&CROWDED);
    let lab = Layout::new().kv(Consistency::default()).remembering().start();
    let short = |answer: Answer| answer.field("Cache-Control", &format!("s-maxage={}", LIFETIME.as_secs()));
    lab.origin().answers(SALES, vec![short(Answer::tile("before")), short(slow("after", 5_000))]);
    let before = lab.at("ams").get(SALES).expect(200).stored(true).says("before").origin_requests(1);
    lab.at("ams").wait_until_kept(SALES_KEY, &before.text());
    for other in ["iad", "sin"] {
        lab.at(other).get(SALES).expect(200).hit().says("before").origin_requests(0);
        lab.at(other).wait_until_kept(SALES_KEY, &before.text());
    }
    let (fresh, _) = crowd(&addresses(&lab), SALES);
    assert_eq!((fresh.len(), lab.origin().total()), (CROWD, 1));
    thread::sleep((before.started + LIFETIME + Duration::from_secs(2)).saturating_duration_since(Instant::now()));
    let (answers, took) = crowd(&addresses(&lab), SALES);
    let [hits, stale] = [&fresh, &answers].map(|answers| longest(answers));
    println!("{CROWD} in {took:?}, the longest took {stale:?}, and {hits:?} while it was fresh");
    all_say(&answers, "before");
    assert_eq!(count(&answers, "; hit; ttl=-"), CROWD, "{:?}", answers.iter().map(status_of).collect::<Vec<_>>());
    // Whoever waited for the origin would have waited for all of its five seconds. On a machine with nothing else to do, the
    // last one is there within the second.
    assert!(stale < Duration::from_secs(5), "{stale:?}, and {hits:?} while it was fresh");
    lab.origin().wait_until(Duration::from_secs(10), |seen| seen.len() == 2 && seen[1].answered);
    wait_until("it is renewed everywhere", || {
        LOCATIONS.iter().all(|name| lab.at(name).in_cache(SALES_KEY).is_some_and(|body| body.contains("after")))
    });
    for name in LOCATIONS {
        lab.at(name).get(SALES).expect(200).hit().says("after").origin_requests(0);
    }
    assert_eq!(lab.origin().total(), 2, "one before, and one for the crowd");
}

/// The location that holds the lease asks and is never heard of again: neither origin nor ledger reach it, nor it them.
#[test]
fn a_location_that_is_lost_while_it_asks_holds_the_others_for_a_moment_and_no_longer() {
    let lab = Lab::start();
    let lost = Gate::new();
    let held = lost.clone();
    lab.origin().script(OPS, move |_, number| match number {
        0 => Answer::tile("lost").wait_before_head(Wait::Until(held.clone())),
        _ => Answer::tile("found"),
    });
    thread::scope(|scope| {
        let holder = scope.spawn(|| lab.at("ams").ask(&Call::get(OPS)));
        lost.wait_for_arrivals(1);
        lab.fail_ledger("ams", "unreachable");
        let case = lab.at("iad").get(OPS).expect(200).stored(true).says("found");
        let answer = case.origin_requests(1);
        let waited = answer.ended - answer.started;
        println!("released after {waited:?}");
        assert!((LED_ELSEWHERE..LED_ELSEWHERE + Duration::from_secs(2)).contains(&waited), "{waited:?}");
        lost.open();
        assert_eq!(holder.join().expect("the client does not panic").status, 200);
    });
}

#[test]
fn an_answer_that_is_not_stored_releases_those_who_wait_elsewhere_at_once() {
    let lab = Lab::start();
    let gate = Gate::new();
    let held = gate.clone();
    lab.origin().script(OPS, move |_, number| match number {
        0 => Answer::tile("of its own").field("Cache-Control", "no-store").wait_before_head(Wait::Until(held.clone())),
        _ => Answer::tile("for all"),
    });
    thread::scope(|scope| {
        let holder = scope.spawn(|| lab.at("ams").ask(&Call::get(OPS)));
        gate.wait_for_arrivals(1);
        let calls = || {
            lab.ledger_calls_by_path("iad")
                .iter()
                .filter(|(path, _)| path.contains("/leases/"))
                .map(|(_, count)| count)
                .sum::<usize>()
        };
        let other = scope.spawn(|| lab.at("iad").ask(&Call::get(OPS)));
        wait_until("the other location waits", || calls() == 2);
        gate.open();
        let answer = other.join().expect("the client does not panic");
        assert_eq!((answer.status, &answer.json()["fact"]["says"]), (200, &"for all".into()));
        assert!(status_of(&answer).ends_with("; stored"), "{answer:?}");
        assert!(answer.ended - answer.started < LED_ELSEWHERE, "{:?}", answer.ended - answer.started);
        let own = holder.join().expect("the client does not panic");
        assert_eq!(own.json()["fact"]["says"], "of its own");
    });
    assert_eq!(lab.origin().total(), 2);
}

/// Each location asks for itself, without waiting for longer than the ledger is given, and all are answered.
#[test]
fn locations_whose_ledger_is_out_of_reach_ask_without_a_lease() {
    let lab = Lab::start();
    lab.origin().answer(OPS, slow("each", 200));
    // Counters that are known are good enough to judge by; the lease is another question.
    for name in LOCATIONS {
        lab.origin().answer(SALES, Answer::tile("warm"));
        lab.at(name).ask(&Call::get(SALES));
        lab.fail_ledger(name, "unreachable");
    }
    let asked = lab.origin().total();
    thread::scope(|scope| {
        for name in LOCATIONS {
            let lab = &lab;
            scope.spawn(move || {
                let answer = lab.at(name).ask(&Call::get(OPS));
                assert_eq!((answer.status, &answer.json()["fact"]["says"]), (200, &"each".into()));
                assert!(answer.ended - answer.started < Duration::from_secs(2), "{answer:?}");
            });
        }
    });
    assert_eq!(lab.origin().total() - asked, 3);
    for name in LOCATIONS {
        lab.fail_ledger(name, "none");
    }
    let answer = lab.at("ams").ask(&Call::get(OPS));
    assert_eq!(answer.status, 200);
}
