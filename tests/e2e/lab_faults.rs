//! Random scripts of faults of origin, memory, Cache API, Workers KV and ledger on workerd: what the origin could answer
//! is answered, never with a body that it did not send whole, and never with one from before a hard purge that must be
//! in force.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lab::client::{Call, Response};
use lab::harness::{Edge, OPERATOR_TOKEN, Options};
use lab::origin::Answer;
use lab::purge::{purge_call, wait_past};
use lab::stores::{Fault, Op};
use serde_json::{Value, json};

const ROUTES: [(&str, &str); 4] = [
    ("ops", "/api/dashboard/tiles/ops"),
    ("inventory", "/api/dashboard/tiles/inventory"),
    ("segments", "/api/dashboard/segments"),
    ("metrics_ytd", "/api/dashboard/metrics/ytd"),
];
/// What can be wrong with the ledger.
const LEDGER: [&str; 5] = ["nothing", "object", "unreachable", "garbage", "cut"];
/// The longest that a breaker stays open by itself, and the time in which the origin may have failed because of it.
const OPEN_AT_MOST: Duration = Duration::from_secs(31);

/// Numbers that look random and are the same in each run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("less than a usize")
    }
}

/// What was purged: up to which answer of its route.
struct Purged {
    route: usize,
    before: usize,
    receipt: Value,
}

struct Script {
    edge: Edge,
    numbers: Numbers,
    /// What is wrong with the origin, and how many answers it has given of each route.
    ill: Arc<AtomicUsize>,
    given: [Arc<AtomicUsize>; 4],
    failed_at: Option<Instant>,
    ledger_fails: bool,
    purged: Vec<Purged>,
    answered: usize,
    excused: usize,
    held: usize,
}

impl Script {
    fn new(seed: u64) -> Self {
        // Memory for a few answers alone, so that some must make room all the time.
        let edge = Options::failing().short_snapshots().var("MEMORY_BYTES", "4000").start();
        let ill = Arc::new(AtomicUsize::new(0));
        let given: [Arc<AtomicUsize>; 4] = Default::default();
        for (number, (_, path)) in ROUTES.iter().enumerate() {
            let (ill, given) = (ill.clone(), given[number].clone());
            edge.origin.script(path, move |_, _| {
                let whole = Answer::tile(&format!("{path} {}", given.fetch_add(1, Ordering::SeqCst) + 1));
                match ill.load(Ordering::SeqCst) {
                    0 => whole,
                    1 => Answer::empty(500),
                    2 => Answer::none(),
                    3 => whole.cut_after(20),
                    4 => Answer::empty(503),
                    _ => Answer::bytes("text/html", "<p>an error</p>").status(200),
                }
            });
        }
        let (purged, numbers) = (Vec::new(), Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1));
        Self {
            edge,
            numbers,
            ill,
            given,
            failed_at: None,
            ledger_fails: false,
            purged,
            answered: 0,
            excused: 0,
            held: 0,
        }
    }

    fn ledger(&mut self, fault: &str) {
        self.ledger_fails = fault != "none";
        drop(Call::get(format!("/test/ledger/{fault}")).send(self.edge.workerd.address()).expect("the lab hears it"));
    }

    /// Something else goes wrong, or is mended.
    fn change(&mut self) {
        let gets = [Fault::Status(500), Fault::Close, Fault::Miss, Fault::Stale, Fault::CutBody(9)];
        let puts = [Fault::Status(429), Fault::Lose, Fault::LandThenStatus(500), Fault::Close];
        self.edge.kv_face.faults().heal();
        self.edge.cache_face.faults().heal();
        match self.numbers.below(8) {
            0 => self.edge.kv_face.faults().set(Op::Get, gets[self.numbers.below(gets.len())].clone()),
            1 => self.edge.kv_face.faults().set(Op::Put, puts[self.numbers.below(puts.len())].clone()),
            2 => self.edge.cache_face.faults().set(Op::Get, gets[self.numbers.below(3)].clone()),
            3 => self.edge.cache_face.faults().set(Op::Put, puts[self.numbers.below(2)].clone()),
            4 => self.edge.cache.clear(),
            5 => self.edge.kv.clear(),
            _ => {}
        }
        let ill = if self.numbers.below(3) == 0 { self.numbers.below(6) } else { 0 };
        self.ill.store(ill, Ordering::SeqCst);
        let fault = if self.numbers.below(6) == 0 { LEDGER[self.numbers.below(LEDGER.len())] } else { "none" };
        if self.ledger_fails || fault != "none" {
            self.ledger(fault);
        }
    }

    fn purge(&mut self) {
        let route = self.numbers.below(ROUTES.len());
        let before = self.given[route].load(Ordering::SeqCst);
        let body = json!({"mode": "hard", "routes": [ROUTES[route].0]}).to_string();
        let answer = purge_call(OPERATOR_TOKEN, body).send(self.edge.workerd.address()).expect("an answer");
        match answer.status {
            202 => {
                let receipt = answer.json();
                wait_past(&receipt, "effective_by");
                self.purged.push(Purged { route, before, receipt });
            }
            status => assert!(status == 503 && self.ledger_fails || status == 429, "{status}: {}", answer.text()),
        }
    }

    fn ask(&mut self, case: usize) {
        let route = self.numbers.below(ROUTES.len());
        let answer = Call::get(ROUTES[route].1).send(self.edge.workerd.address()).expect("an answer");
        let is_ill = self.ill.load(Ordering::SeqCst) != 0;
        if is_ill {
            self.failed_at = Some(Instant::now());
        }
        self.judge(case, route, &answer);
    }

    fn judge(&mut self, case: usize, route: usize, answer: &Response) {
        let path = ROUTES[route].1;
        let status = answer.field("Cache-Status").unwrap_or_default();
        let says = || format!("case {case}: {path}: {} {status}: {}", answer.status, answer.text());
        let failed_lately = self.failed_at.is_some_and(|at| at.elapsed() < OPEN_AT_MOST);
        let is_whole = answer.status == 200 && answer.field("Content-Type").is_some_and(|kind| kind.contains("json"));
        if !is_whole || answer.cut.is_some() {
            // Its own error, passed on; or none could be had.
            assert!(failed_lately, "{}", says());
            assert!(!status.contains("; hit"), "{}", says());
            self.excused += 1;
            return;
        }
        let json = answer.json();
        let fact = json["fact"]["says"].as_str().unwrap_or_else(|| panic!("{}", says()));
        let number = fact.strip_prefix(path).and_then(|rest| rest.trim().parse::<usize>().ok());
        let number = number.unwrap_or_else(|| panic!("not an answer to this: {}", says()));
        assert!((1..=self.given[route].load(Ordering::SeqCst)).contains(&number), "{}", says());
        self.answered += 1;
        // A copy that no ledger has judged says so, or answers for an origin that failed.
        let unjudged = self.ledger_fails && (status.contains("/ledger") || status.contains("stale-if-error"));
        for purged in self.purged.iter().filter(|purged| purged.route == route) {
            self.held += usize::from(status.contains("; hit"));
            assert!(number > purged.before || unjudged, "{}, from before {}", says(), purged.receipt);
        }
    }
}

/// 1,000 scripts with `HOTROD_LONG=1`, and 60 otherwise.
#[test]
fn in_random_scripts_of_faults_what_could_be_answered_is_and_no_purge_is_broken() {
    let is_long = std::env::var("HOTROD_LONG").is_ok_and(|value| value == "1");
    let (scripts, of_each) = if is_long { (20, 50) } else { (2, 30) };
    let (mut answered, mut excused, mut held) = (0, 0, 0);
    for seed in 1..=scripts {
        let mut script = Script::new(seed);
        for case in 0..of_each {
            script.change();
            if script.numbers.below(5) == 0 {
                script.purge();
            }
            for _ in 0..6 {
                script.ask(case);
            }
        }
        (answered, excused, held) = (answered + script.answered, excused + script.excused, held + script.held);
    }
    println!(
        "{} scripts of faults: {answered} answers, {excused} without one that the origin could not give, {held} hits after a purge",
        scripts * of_each as u64
    );
    assert!(answered > 4 * excused && held > 20, "{answered} {excused} {held}: the scripts prove little");
}
