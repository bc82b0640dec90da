//! The promise of a receipt, held against fills that are under way: wherever a fill is held while a purge runs, no
//! location serves its body after `effective_by`, although it arrives in the stores.

use std::sync::Mutex;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use lab::client::Response;
use lab::gate::{Gate, lock};
use lab::harness::{OPERATOR_TOKEN, TENANT};
use lab::origin::Wait;
use lab::promise::{Figure, History, Moment, Receipt, Served, ask, dated, now, wait_until_after};
use lab::purge::purge_call;
use lab::stored::{Kept, SEGMENTS, SEGMENTS_KEY, all_kept, kv_key};
use lab::stores::{Fault, Op};
use lab::{At, Lab, Layout};
use serde_json::{Value, json};

/// Where the fills are held.
const HERE: &str = "ams";
/// How long KV and what it remembers of misses may hold back what a location sees, and a bit.
const SETTLED: Duration = Duration::from_millis(4_500);
/// So long a request has to join a fill that is under way, if it does.
const JOINED: Duration = Duration::from_millis(500);
/// Between two requests of a client.
const PACE: Duration = Duration::from_millis(50);

/// Where a fill is held from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// Asked, the origin has not answered.
    OriginHead,
    /// Its answer has begun.
    OriginBody,
    /// The copy is on its way to the Cache API.
    EdgePut,
    /// The Cache API has acknowledged the copy and does not show it yet.
    EdgeLands,
    /// The copy is on its way to KV.
    KvPut,
    /// KV has acknowledged the copy and does not show it yet.
    KvLands,
    /// No fill, but a copy on its way from KV, which will be put into the Cache API.
    KvGet,
    /// A copy on its way from the Cache API.
    EdgeGet,
}

/// Each place, by the route that is held there, and whether others ask for it while it is held.
const HELD: [(&str, Held, bool); 9] = [
    ("sales_pulse", Held::OriginHead, false),
    ("inventory", Held::OriginHead, true),
    ("fulfillment", Held::OriginBody, false),
    ("cx", Held::OriginBody, true),
    ("products_top", Held::EdgePut, false),
    ("ops", Held::EdgeLands, false),
    ("kpi_summary", Held::KvPut, false),
    ("alerts_all", Held::KvLands, false),
    ("alerts_critical", Held::KvGet, false),
];
/// The copy that is held on its way from the Cache API; its route has two keys and is of another class.
const EDGE_GET: (&str, Held, bool) = ("trends_revenue", Held::EdgeGet, true);

/// A fill that is held.
struct Fill {
    kept: Kept,
    held: Held,
    asked_meanwhile: bool,
    gate: Gate,
}

impl Fill {
    fn new((route, held, asked_meanwhile): (&str, Held, bool)) -> Self {
        let kept = all_kept().into_iter().find(|kept| kept.route == route).expect("a route of rules.toml");
        Self { kept, held, asked_meanwhile, gate: Gate::new() }
    }

    /// Sets the trap, in front of which the stores may have to hold something.
    fn prepare(&self, lab: &Lab, history: &Mutex<History>) {
        let (target, key, gate) = (&self.kept.target, &self.kept.key, &self.gate);
        let (edge, kv) = (lab.at(HERE).cache_face().faults(), lab.at(HERE).kv_face().faults());
        let (held, held_by_origin) = (self.held, gate.clone());
        lab.origin().script(target, move |request, nth| match held {
            Held::OriginHead if nth == 0 => dated(request).wait_before_head(Wait::Until(held_by_origin.clone())),
            Held::OriginBody if nth == 0 => dated(request).wait_in_body(10, Wait::Until(held_by_origin.clone())),
            _ => dated(request),
        });
        let gate = gate.clone();
        match self.held {
            Held::OriginHead | Held::OriginBody => {}
            Held::EdgePut => edge.set_for(Op::Put, key, Fault::Hold(gate), 1),
            Held::EdgeLands => edge.set_for(Op::Put, key, Fault::LandLate(gate), 1),
            Held::KvPut => kv.set_for(Op::Put, key, Fault::Hold(gate), 1),
            Held::KvLands => kv.set_for(Op::Put, key, Fault::LandLate(gate), 1),
            Held::KvGet => {
                self.store(lab, history);
                lab.clear_edge(HERE);
                kv.set_for(Op::Get, key, Fault::Hold(gate), 1);
            }
            Held::EdgeGet => {
                self.store(lab, history);
                edge.set_for(Op::Get, key, Fault::Hold(gate), 1);
                // Others replace it meanwhile; what was on its way is the one before.
                edge.set_for(Op::Get, key, Fault::Stale, 1);
            }
        }
    }

    /// Has it stored, before anything is held.
    fn store(&self, lab: &Lab, history: &Mutex<History>) {
        let answer = request_until(lab.at(HERE), &self.kept.target, history, is_stored);
        lab.at(HERE).wait_until_kept(&self.kept.key, &answer.text());
    }

    /// Runs into the trap.
    fn run(&self, lab: &Lab, history: &Mutex<History>) -> Response {
        let is_put = matches!(self.held, Held::EdgePut | Held::EdgeLands | Held::KvPut | Held::KvLands);
        request_until(lab.at(HERE), &self.kept.target, history, |answer| !is_put || is_stored(answer))
    }

    /// Waits until the held body has arrived in a store, late, so that somebody could serve it.
    fn wait_until_landed(&self, lab: &Lab, body: &str) {
        let in_edge = || lab.at(HERE).in_cache(&self.kept.key).as_deref() == Some(body);
        let in_kv = || lab.kv.get(&kv_key(&self.kept.key)).is_some_and(|value| *value.bytes == *body.as_bytes());
        let landed = || match self.held {
            Held::OriginHead | Held::OriginBody => in_edge() && (!self.kept.hot || in_kv()),
            Held::EdgePut | Held::EdgeLands | Held::KvGet => in_edge(),
            Held::KvPut | Held::KvLands => in_kv(),
            Held::EdgeGet => true,
        };
        let until = now() + Duration::from_secs(5);
        while !landed() {
            assert!(now() < until, "{:?}: {} has not arrived", self.held, self.kept.target);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Stored by the request, or before.
fn is_stored(answer: &Response) -> bool {
    let status = answer.field("Cache-Status").unwrap_or_default();
    status.contains("; stored") || status.contains("; hit")
}

/// Asks for a target until the answer will do: on a busy machine, the ledger's may come too late for the bound.
fn request_until(at: At<'_>, target: &str, history: &Mutex<History>, will_do: impl Fn(&Response) -> bool) -> Response {
    let until = now() + Duration::from_secs(20);
    loop {
        let answer = request(at, target, history);
        if will_do(&answer) {
            return answer;
        }
        assert!(now() < until, "{}: {target}: {:?}", at.name(), answer.fields);
    }
}

/// Asks for a target, and writes down what came.
fn request(at: At<'_>, target: &str, history: &Mutex<History>) -> Response {
    let (served, answer) = ask(at, target);
    assert_eq!(answer.status, 200, "{}: {target}: {:?} {}", at.name(), answer.fields, answer.text());
    let served = served.expect("a figure in a 200");
    lock(history).serve(Figure { tenant: TENANT.to_owned(), target: target.to_owned() }, served);
    answer
}

/// Purges from a location, and writes down what was promised for these targets.
fn purge(at: At<'_>, body: &Value, targets: &[&str], history: &Mutex<History>) -> Receipt {
    let answer = at.ask(&purge_call(OPERATOR_TOKEN, body.to_string()));
    assert_eq!(answer.status, 202, "{}", answer.text());
    let receipt = Receipt::read(&answer.json(), targets.iter().map(|&target| target.to_owned()));
    lock(history).promise(receipt.clone());
    receipt
}

/// Every Worker is asked for every target in turn until then.
fn ask_everywhere(lab: &Lab, targets: &[&str], until: Moment, history: &Mutex<History>) {
    std::thread::scope(|scope| {
        for worker in lab.workers() {
            scope.spawn(move || {
                for target in targets.iter().cycle().take_while(|_| now() < until) {
                    request(worker, target, history);
                    std::thread::sleep(PACE);
                }
            });
        }
    });
}

/// Holds fills, purges, lets them go, and holds what comes afterwards to the receipt.
fn held_fills(layout: Layout, held: &[(&str, Held, bool)], purged_at: &str, body: &Value) {
    let lab = layout.start();
    let history = Mutex::default();
    let mut fills: Vec<_> = held.iter().map(|&held| Fill::new(held)).collect();
    // What empties the Cache API comes before what is to stay in it.
    fills.sort_by_key(|fill| fill.held != Held::KvGet);
    let targets: Vec<_> = fills.iter().map(|fill| fill.kept.target.as_str()).collect();
    for fill in &fills {
        fill.prepare(&lab, &history);
    }
    let receipt = std::thread::scope(|scope| {
        let (lab, history) = (&lab, &history);
        let run = |fill| (fill, scope.spawn(move || Fill::run(fill, lab, history)));
        let begun: Vec<(&Fill, ScopedJoinHandle<'_, Response>)> = fills.iter().map(run).collect();
        for fill in &fills {
            fill.gate.wait_for_arrivals(1);
        }
        let receipt = purge(lab.at(purged_at), body, &targets, history);
        let asked_meanwhile: Vec<_> = fills.iter().filter(|fill| fill.asked_meanwhile).collect();
        if !asked_meanwhile.is_empty() {
            wait_until_after(receipt.effective_by);
            for fill in asked_meanwhile {
                for worker in lab.workers() {
                    scope.spawn(move || request(worker, &fill.kept.target, history));
                }
            }
            std::thread::sleep(JOINED);
        }
        for (fill, client) in begun {
            fill.gate.open();
            let answer = client.join().expect("the client does not panic");
            // Where others have asked there is a newer one, whose place it may not take.
            if is_stored(&answer) && !fill.asked_meanwhile {
                fill.wait_until_landed(lab, &answer.text());
            }
        }
        receipt
    });
    // Nobody asks before: an answer that is asked for within its window is renewed.
    wait_until_after(receipt.effective_by);
    ask_everywhere(&lab, &targets, now() + SETTLED, &history);
    let history = history.into_inner().expect("no client panicked");
    for target in targets {
        let figure = Figure { tenant: TENANT.to_owned(), target: target.to_owned() };
        let served = history.served(&figure);
        let older = |served: &Served| served.made.at < receipt.incremented_at;
        assert!(served.iter().any(older), "{target}: nothing is from before the purge");
        for worker in lab.workers() {
            let judged = |served: &Served| served.worker == worker.name() && served.received > receipt.effective_by;
            assert!(served.iter().any(judged), "{target}: {} was not asked after effective_by", worker.name());
        }
    }
    history.holds();
}

/// Those for which nobody asks meanwhile: then no location has heard of the purge when the bodies arrive there.
fn unasked() -> Vec<(&'static str, Held, bool)> {
    HELD.into_iter().filter(|(_, _, asked_meanwhile)| !asked_meanwhile).collect()
}

/// Bounds that are short enough to be waited for.
fn short() -> Layout {
    Layout::new().var("SNAPSHOT_AT_MOST_MS", "300")
}

#[test]
fn a_fill_that_is_held_while_another_location_purges_is_served_nowhere_after_effective_by() {
    let held = [&HELD[..], &[EDGE_GET]].concat();
    held_fills(short(), &held, "iad", &json!({"mode": "hard", "all": true}));
}

#[test]
fn a_fill_that_is_held_while_its_own_location_purges_is_served_by_no_isolate_after_effective_by() {
    let held = [&HELD[..], &[EDGE_GET]].concat();
    let routes: Vec<_> = held.iter().map(|(route, ..)| route).collect();
    held_fills(short().isolates(2), &held, HERE, &json!({"mode": "hard", "routes": routes}));
}

#[test]
fn a_fill_that_is_held_while_a_purge_runs_is_served_nowhere_after_the_bounds_of_the_rules() {
    held_fills(Layout::new(), &unasked(), "sin", &json!({"mode": "hard", "classes": ["near_real_time"]}));
}

#[test]
fn a_fill_that_is_held_while_a_soft_purge_runs_is_served_nowhere_after_its_window() {
    held_fills(short().isolates(2), &unasked(), "iad", &json!({"mode": "soft", "classes": ["near_real_time"]}));
}

#[test]
fn what_the_ledger_said_before_a_purge_and_what_it_is_asked_during_one_judge_nothing_after_effective_by() {
    let lab = short().isolates(2).start();
    let history = Mutex::default();
    lab.origin().script(SEGMENTS, |request, _| dated(request));
    // Less than the bound, so that what the ledger says may still be used.
    lab.delay_ledger("iad", Duration::from_millis(200));
    lab.delay_ledger_answer("sin", Duration::from_millis(200));
    for round in 0..6 {
        for worker in lab.workers() {
            request(worker, SEGMENTS, &history);
        }
        let calls = || lab.ledger_calls("sin") + lab.ledger_calls("iad");
        let (before, until) = (calls(), now() + Duration::from_millis(1500));
        std::thread::scope(|scope| {
            scope.spawn(|| ask_everywhere(&lab, &[SEGMENTS], until, &history));
            while calls() == before && now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            let body = json!({"mode": "hard", "keys": [SEGMENTS_KEY]});
            purge(lab.at(["ams", "iad", "sin"][round % 3]), &body, &[SEGMENTS], &history);
        });
    }
    history.into_inner().expect("no client panicked").holds();
}
