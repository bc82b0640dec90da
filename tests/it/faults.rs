//! Properties under random faults and random order: three data centres, one of them with two isolates, purges of each
//! mode, a moving clock, requests that overlap at every await. What the origin could answer is answered; purges keep
//! the promise of their receipts; nothing outlives its lifetime or its day but on error, and then it says so.

use crate::client::{Open, ask};
use crate::fakes::{Asking, DAY, GetFault, LedgerFault, Location, OriginFault, PutFault, Script, World};
use crate::random::{Random, cases};
use hotrod_edge::rules::{Disposition, Route, compiled};
use serde_json::{Value, json};
use std::rc::Rc;

/// For so long the origin may take until its header fields are there.
const FIRST_BYTE_TIMEOUT_MS: u64 = 10_000;

/// A request under way, and when it began.
struct Asked {
    route: &'static Route,
    url: &'static str,
    open: Open,
    began: u64,
    /// Where.
    location: usize,
    /// Purges that had returned by then.
    purges: usize,
    /// How often the origin had failed by then.
    failures: usize,
}

/// A purge that has returned, as its receipt says.
struct Purged {
    covers: Covers,
    is_soft: bool,
    /// Where it was asked for.
    location: usize,
    /// How many requests had reached the origin before it.
    fetched_before: usize,
    /// Whether it was put off, to be merged with others.
    is_put_off: bool,
    incremented_at: u64,
    effective_by: u64,
}

const ASKED: [(&str, &str); 5] = [
    ("ops", "/api/dashboard/tiles/ops"),
    ("cx", "/api/dashboard/tiles/cx"),
    ("products_top", "/api/dashboard/products/top"),
    ("trends_revenue", "/api/dashboard/trends/revenue?days=30"),
    ("compare_yoy", "/api/dashboard/compare/yoy"),
];

/// Which routes a purge covers.
type Covers = fn(&Route) -> bool;

fn purges() -> [(Value, Covers); 6] {
    [
        (json!({ "all": true }), |_| true),
        (json!({ "classes": ["near_real_time"] }), |route| route.class == "near_real_time"),
        (json!({ "classes": ["historical", "comparison"] }), |route| {
            ["historical", "comparison"].contains(&route.class.as_ref())
        }),
        (json!({ "routes": ["ops", "trends_revenue"] }), |route| {
            ["ops", "trends_revenue"].contains(&route.name.as_ref())
        }),
        (json!({ "keys": ["dashboard:tile:ops:v1"] }), |route| route.name == "ops"),
        (json!({ "urls": ["/api/dashboard/trends/revenue"] }), |route| route.name == "trends_revenue"),
    ]
}

/// One run of a random script.
struct Run {
    case: u64,
    random: Random,
    world: Rc<World>,
    locations: [Rc<Location>; 4],
    open: Vec<Asked>,
    purged: Vec<Purged>,
    /// When each request reached the origin, by its number.
    fetched_at: Vec<u64>,
    answered: usize,
    failed: usize,
    hits: usize,
    /// How often an answer came from store after a purge that had to be in force.
    held: usize,
    /// Whether the ledger may fail: what was purged may then be served, and says so.
    ledger_fails: bool,
}

impl Run {
    fn new(case: u64, ledger_fails: bool) -> Self {
        // Not far from midnight, so that some runs pass it.
        let world = World::at(86_400 - 400);
        world.interleaved.set(true);
        let here = Location::remembering(&world);
        let beside = Location::beside(&here);
        let locations = [here, beside, Location::remembering(&world), Location::new(&world)];
        Self {
            case,
            random: Random::new(case),
            world,
            locations,
            open: Vec::new(),
            purged: Vec::new(),
            fetched_at: Vec::new(),
            answered: 0,
            failed: 0,
            hits: 0,
            held: 0,
            ledger_fails,
        }
    }

    fn step(&mut self) {
        match self.random.below(1000) {
            0..120 => self.begin(),
            120..940 if !self.open.is_empty() => self.go_on(),
            940..960 => self.purge(),
            960..970 => self.world.pass(*self.random.pick(&[1, 500, 1_000, 4_999, 10_000, 31_000, 61_000, 299_000])),
            970..988 => self.break_or_mend(),
            988..995 => {
                let location = self.random.pick(&self.locations);
                location.edge.land();
                self.world.kv.land();
            }
            _ => {
                let location = self.random.pick(&self.locations);
                location.edge.clear();
                location.shelf.clear();
            }
        }
    }

    fn begin(&mut self) {
        let (name, url) = *self.random.pick(&ASKED);
        let location = self.random.below(self.locations.len());
        let method = if self.random.once_in(8) { "HEAD" } else { "GET" };
        let open = Open::new(&self.locations[location], Asking::new(method, url));
        let route = compiled().route(name).expect("these routes are in the repository's rules");
        let (began, failures) = (self.world.now(), self.world.origin.failures.get());
        self.open.push(Asked { route, url, open, began, location, purges: self.purged.len(), failures });
    }

    /// Lets one request go on by one step.
    fn go_on(&mut self) {
        let index = self.random.below(self.open.len());
        let before = self.world.now();
        let ended = self.open[index].open.poll();
        self.fetched_at.resize(self.world.origin.count(), before);
        if ended {
            let asked = self.open.swap_remove(index);
            self.judge(&asked);
        }
    }

    fn purge(&mut self) {
        let (mut body, covers) = self.random.pick(&purges()).clone();
        let mode = *self.random.pick(&["soft", "hard", "hard", "erase"]);
        body["mode"] = mode.into();
        let location = self.random.below(self.locations.len());
        let seen = ask(&self.locations[location], Asking::purge(body.to_string()));
        match seen.status {
            202 => self.purged.push(Purged {
                covers,
                is_soft: mode == "soft",
                location,
                fetched_before: self.world.origin.count(),
                is_put_off: seen.time("incremented_at") > self.world.now(),
                incremented_at: seen.time("incremented_at"),
                effective_by: seen.time("effective_by"),
            }),
            status => assert_eq!(status, 503, "case {}: {}", self.case, seen.text()),
        }
    }

    fn break_or_mend(&mut self) {
        let random = &mut self.random;
        if random.once_in(3) {
            for store in self.locations.iter().map(|location| &*location.edge).chain([&*self.world.kv]) {
                store.get_fault.set(GetFault::None);
                store.put_fault.set(PutFault::None);
            }
            self.world.origin.fault.set(OriginFault::None);
            self.world.ledger_fault.set(LedgerFault::None);
            return;
        }
        let get = [GetFault::None, GetFault::None, GetFault::Fails, GetFault::Old, GetFault::Slow];
        let put =
            [PutFault::None, PutFault::None, PutFault::Fails, PutFault::FailsButLands, PutFault::Lost, PutFault::Late];
        let store = if random.once_in(2) { &self.world.kv } else { &random.pick(&self.locations).edge };
        store.get_fault.set(*random.pick(&get));
        store.put_fault.set(*random.pick(&put));
        let origin = [OriginFault::None, OriginFault::None, OriginFault::None, OriginFault::Fails, OriginFault::Cut];
        self.world.origin.fault.set(*random.pick(&origin));
        self.world.origin.takes.set(*random.pick(&[0, 0, 10, 3_000]));
        if self.ledger_fails {
            let ledger = [LedgerFault::None, LedgerFault::None, LedgerFault::None, LedgerFault::Fails];
            let fault = if random.once_in(8) { LedgerFault::AnswerLost } else { *random.pick(&ledger) };
            self.world.ledger_fault.set(fault);
        }
    }

    fn judge(&mut self, asked: &Asked) {
        let (case, url) = (self.case, asked.url);
        let seen = asked.open.answer().expect("a request that ended has an answer");
        // What is not to be stored is passed on unread: a client sees for itself that it was cut.
        let unread = seen.cut && !seen.cache_status().contains("stored") && !seen.cache_status().starts_with("hit");
        assert!(!seen.cut || unread, "case {case}: {url}: a part of a body: {}", seen.cache_status());
        if seen.status == 502 || unread {
            self.failed += 1;
            return;
        }
        let took = self.world.now() - asked.began;
        let held_back = seen.cache_status().ends_with("/breaker-open") || seen.cache_status().ends_with("/origin-busy");
        match seen.status {
            503 => {
                assert!(self.world.origin.failures.get() >= 5, "case {case}: {url}: nothing failed: {}", seen.text());
                return;
            }
            504 => {
                assert!(took >= FIRST_BYTE_TIMEOUT_MS, "case {case}: {url}: {took} ms are no timeout");
                return;
            }
            _ => {}
        }
        self.answered += 1;
        assert_eq!(seen.status, 200, "case {case}: {url}: {}", seen.text());
        let Some(serial) = seen.serial() else {
            // HEAD: nothing to compare.
            assert_eq!(seen.body, [0; 0], "case {case}: {url}");
            return;
        };
        let serial = usize::try_from(serial).unwrap_or_default();
        let whole = Script::body(serial, &format!("https://origin.test{url}"));
        assert_eq!(seen.body, whole, "case {case}: {url}: not a body that the origin sent");
        let status = seen.cache_status();
        let Disposition::Store(stored) = &asked.route.disposition else { return };
        let on_error = status.contains("stale-if-error") || status.contains("previous-period");
        assert!(
            !on_error
                || held_back
                || took >= FIRST_BYTE_TIMEOUT_MS
                || self.world.origin.failures.get() > asked.failures,
            "case {case}: {url}: nothing failed: {status}"
        );
        let without_ledger = self.ledger_fails && (on_error || status.ends_with("/ledger"));
        for purge in self.purged[..asked.purges].iter().filter(|purge| (purge.covers)(asked.route)) {
            let is_older = serial <= purge.fetched_before || self.fetched_at[serial - 1] < purge.incremented_at;
            let at_once = asked.location == purge.location && !purge.is_put_off;
            let says_so = on_error || (asked.began <= purge.effective_by && status.ends_with("/invalidated"));
            let is_due = at_once || asked.began > purge.effective_by;
            self.held += usize::from(is_due && status.starts_with("hit"));
            if is_older && is_due && !without_ledger {
                let before = purge.fetched_before;
                assert!(
                    purge.is_soft && says_so,
                    "case {case}: {url}: body {serial} is from before a purge after {before}: {status}"
                );
            }
        }
        if status.starts_with("hit") {
            self.hits += 1;
            let fetched = self.fetched_at[serial - 1];
            let lifetime = u64::from(stored.lifetimes.s_maxage) * 1000;
            assert!(
                asked.began < fetched + lifetime,
                "case {case}: {url}: body {serial} is past its lifetime: {status}"
            );
            let day = |at: u64| (at - DAY) / 86_400_000;
            // The figure may be from before the origin answered, and is never from after.
            assert!(
                day(asked.began) <= day(fetched),
                "case {case}: {url}: body {serial} is of the day before: {status}"
            );
        }
    }

    /// Lets everything come to its end, and says how it went.
    fn end(mut self) -> (usize, usize, usize) {
        while !self.open.is_empty() {
            self.go_on();
            // Whoever waits for a turn at the origin waits by the clock.
            self.world.pass(1);
        }
        // Every failure is one of the origin's, and every fault of the origin's failed at most one request.
        let failures = self.world.origin.failures.get();
        assert!(self.failed <= failures, "case {}: {} failed, and the origin {failures} times", self.case, self.failed);
        (self.answered, self.hits, self.held)
    }
}

#[track_caller]
fn check(ordinary: u64, ledger_fails: bool) {
    let (mut answered, mut hits, mut held) = (0, 0, 0);
    for case in cases(ordinary) {
        let mut run = Run::new(case, ledger_fails);
        for _ in 0..1600 {
            run.step();
        }
        let (more, of_them_hits, of_them_held) = run.end();
        answered += more;
        hits += of_them_hits;
        held += of_them_held;
    }
    assert!(hits * 10 > answered && hits * 10 < answered * 9, "{hits} hits of {answered}: the scripts prove little");
    assert!(held > 500, "{held} hits after a purge: the scripts prove little");
}

#[test]
fn with_any_fault_of_stores_and_origin_answers_are_whole_and_no_older_than_a_purge_allows() {
    check(30, false);
}

#[test]
fn with_a_failing_ledger_too_what_is_older_than_a_purge_allows_says_so() {
    check(30, true);
}
