//! Properties under random faults and random order: short scripts, each of another small world. Three data centres, one
//! of them with two isolates, purges of each mode, a moving clock, requests that overlap at every await; and whatever
//! memory, stores, ledger and origin can do wrong.
//!
//! What must hold all the same is in `judge`.

mod judge;

use crate::client::Open;
use crate::fakes::{Asking, GetFault, LedgerFault, Location, OriginFault, PutFault, Scripted, Store, World};
use crate::random::{Random, is_long};
use hotrod_edge::memory::Memory;
use hotrod_edge::ports::Ports as _;
use hotrod_edge::rules::{Route, Rules, compiled};
use judge::{Asked, Purged, Tally};
use serde_json::{Value, json};
use std::rc::Rc;

const ASKED: [(&str, &str); 5] = [
    ("ops", "/api/dashboard/tiles/ops"),
    ("cx", "/api/dashboard/tiles/cx"),
    ("products_top", "/api/dashboard/products/top"),
    ("trends_revenue", "/api/dashboard/trends/revenue?days=30"),
    ("compare_yoy", "/api/dashboard/compare/yoy"),
];

/// How many steps a script has, before everything is let come to its end.
const STEPS: usize = 240;

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

/// What may go wrong in a script beside the origin and the calls of the stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    /// The ledger fails, is slow, hangs or loses answers.
    ledger_fails: bool,
    /// Bodies and heads in the stores change. Every isolate has a memory tier then: without one, a body of a store's
    /// passes through unread.
    corrupts: bool,
}

/// One run of a random script.
struct Run {
    case: u64,
    kind: Kind,
    random: Random,
    world: Rc<World>,
    locations: [Rc<Location>; 4],
    /// How many bytes of memory an isolate has that has any, and how many questions it may have under way at once.
    memory: usize,
    concurrency: usize,
    open: Vec<Asked>,
    ended: Vec<judge::Span>,
    purged: Vec<Purged>,
    /// When each request reached the origin, by its number.
    fetched_at: Vec<u64>,
    tally: Tally,
}

impl Run {
    fn new(case: u64, kind: Kind) -> Self {
        let mut random = Random::new(case);
        // Some not far from midnight, so that they pass it.
        let world = World::at(*random.pick(&[43_200, 86_400 - 400, 86_400 - 90]));
        world.interleaved.set(true);
        // In some of them what is held has to make room all the time.
        let memory = *random.pick(&[16_777_216, 16_777_216, 4_000]);
        let concurrency = *random.pick(&[64, 64, 2, 1]);
        let leased: Option<Rc<Rules>> = random.once_in(2).then(|| Rc::new(compiled().clone()));
        let isolate = |remembers: bool, leased: &Option<Rc<Rules>>| {
            let bytes = if remembers { memory } else { 0 }.to_string();
            let settings = [("MEMORY_BYTES", bytes.as_str()), ("ORIGIN_CONCURRENCY", &concurrency.to_string()[..])];
            Location::with_settings(&world, &settings, leased.clone())
        };
        let here = isolate(true, &leased);
        let beside = Location::beside(&here);
        let locations = [here, beside, isolate(true, &leased), isolate(kind.corrupts, &None)];
        let (open, ended, purged, fetched_at) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let tally = Tally::default();
        Self { case, kind, random, world, locations, memory, concurrency, open, ended, purged, fetched_at, tally }
    }

    /// Runs the script, and lets everything come to its end.
    fn run(mut self) -> Tally {
        // In most of them something is in store when it begins.
        for _ in 0..self.random.below(8) {
            self.begin();
            self.finish();
        }
        for _ in 0..STEPS {
            self.step();
        }
        self.finish();
        // Every failure is one of the origin's, and every fault of the origin's failed at most one request.
        let (failed, failures) = (self.tally.failed, self.world.origin.failed().len());
        assert!(failed <= failures, "case {}: {failed} failed, and the origin {failures} times", self.case);
        self.tally
    }

    fn step(&mut self) {
        match self.random.below(1000) {
            0..130 => self.begin(),
            130..880 if !self.open.is_empty() => self.go_on(),
            880..910 => self.purge(),
            910..945 => {
                let spans = [1, 25, 500, 1_000, 4_999, 31_000, 61_000, 299_000, 310_000, 601_000];
                self.world.pass(*self.random.pick(&spans));
            }
            945..980 => self.break_or_mend(),
            980..988 => {
                let location = self.random.pick(&self.locations);
                location.edge.land();
                self.world.kv.land();
            }
            _ => self.forget(),
        }
    }

    fn begin(&mut self) {
        let (name, url) = *self.random.pick(&ASKED);
        let location = self.random.below(self.locations.len());
        let method = if self.random.once_in(8) { "HEAD" } else { "GET" };
        let open = Open::new(&self.locations[location], Asking::new(method, url));
        let route = compiled().route(name).expect("these routes are in the repository's rules");
        let (began, failures) = (self.world.now(), self.world.origin.failed().len());
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

    /// Lets all requests come to their end. Whoever waits, waits by the clock.
    fn finish(&mut self) {
        while !self.open.is_empty() {
            self.go_on();
            if self.random.once_in(8) {
                self.world.pass(*self.random.pick(&[1, 25, 100]));
            }
        }
    }

    fn purge(&mut self) {
        let (mut body, covers) = self.random.pick(&purges()).clone();
        let mode = *self.random.pick(&["soft", "hard", "hard", "erase"]);
        body["mode"] = mode.into();
        let location = self.random.below(self.locations.len());
        let mut open = Open::new(&self.locations[location], Asking::purge(body.to_string()));
        while !open.run() {
            self.world.pass(100);
        }
        let seen = open.answer().expect("an answer");
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
        if random.once_in(2) {
            for store in self.locations.iter().map(|location| &*location.edge).chain([&*self.world.kv]) {
                store.get_fault.set(GetFault::None);
                store.put_fault.set(PutFault::None);
            }
            self.world.origin.fault.set(OriginFault::None);
            self.world.origin.scripted.replace(None);
            self.world.origin.takes.set(0);
            self.world.ledger_fault.set(LedgerFault::None);
            return;
        }
        if random.once_in(2) {
            let get = [GetFault::None, GetFault::Fails, GetFault::Old, GetFault::Slow, GetFault::Hangs];
            let put = [PutFault::None, PutFault::Fails, PutFault::FailsButLands, PutFault::Lost, PutFault::Late];
            let store = if random.once_in(2) { &self.world.kv } else { &random.pick(&self.locations).edge };
            store.get_fault.set(*random.pick(&get));
            store.put_fault.set(*random.pick(&put));
        }
        if random.once_in(2) {
            let origin = [OriginFault::Fails, OriginFault::Cut, OriginFault::Hangs, OriginFault::Stalls];
            self.world.origin.fault.set(if random.once_in(2) { OriginFault::None } else { *random.pick(&origin) });
            self.world.origin.takes.set(*random.pick(&[0, 0, 10, 3_000]));
            let error = match random.below(8) {
                0 | 1 => Some((500, None)),
                2 => Some((429, Some("2"))),
                3 => Some((503, Some("40"))),
                _ => None,
            };
            self.world.origin.scripted.replace(error.map(|(status, again)| {
                let again = again.map(|again: &str| ("retry-after".to_string(), again.to_string()));
                Scripted { status, lines: again.into_iter().collect(), body: Some(judge::ERROR.to_vec()) }
            }));
        }
        if self.kind.ledger_fails && random.once_in(2) {
            let ledger = [
                LedgerFault::None,
                LedgerFault::Fails,
                LedgerFault::Fails,
                LedgerFault::Slow,
                LedgerFault::Hangs,
                LedgerFault::AnswerLost,
            ];
            self.world.ledger_fault.set(*random.pick(&ledger));
        }
    }

    /// Something that was kept is gone, or is not what it was.
    fn forget(&mut self) {
        let location = self.random.pick(&self.locations).clone();
        match self.random.below(if self.kind.corrupts { 6 } else { 3 }) {
            0 => {
                location.edge.clear();
                location.shelf.clear();
            }
            1 => location.memory(|memory| {
                let bytes = if memory.takes(0) { self.memory } else { 0 };
                *memory = Memory::new(bytes);
            }),
            2 => location.memory(|memory| {
                let keys: Vec<_> = memory.heads().map(|(key, _)| key.clone()).collect();
                if !keys.is_empty() {
                    memory.remove(self.random.pick(&keys));
                }
            }),
            how => {
                let store = if self.random.once_in(2) { &self.world.kv } else { &location.edge };
                self.corrupt(&store.clone(), how);
            }
        }
    }

    fn corrupt(&mut self, store: &Store, how: usize) {
        let keys = store.keys();
        if keys.is_empty() {
            return;
        }
        let key = self.random.pick(&keys);
        match how {
            3 => store.corrupt(key),
            4 => store.truncate(key),
            _ => store.overwrite(key, r#"{"format":999,"what":"another build's"}"#),
        }
    }
}

#[track_caller]
fn check(ordinary: u64, kind: Kind) {
    let mut tally = Tally::default();
    for case in 0..if is_long() { 25_000 } else { ordinary } {
        tally.add(&Run::new(case, kind).run());
    }
    println!("{kind:?}: {tally:?}");
    tally.proves_something();
}

#[test]
fn with_any_fault_of_stores_and_origin_answers_are_whole_and_no_older_than_a_purge_allows() {
    check(250, Kind { ledger_fails: false, corrupts: false });
}

#[test]
fn with_a_failing_ledger_too_what_is_older_than_a_purge_allows_says_so() {
    check(250, Kind { ledger_fails: true, corrupts: false });
}

#[test]
fn with_stores_that_hold_something_else_nothing_is_answered_that_the_origin_never_said() {
    check(250, Kind { ledger_fails: false, corrupts: true });
}

#[test]
fn with_everything_failing_at_once_promises_hold_as_far_as_there_is_a_ledger() {
    check(250, Kind { ledger_fails: true, corrupts: true });
}
