//! Clocks that are wrong: the one of an isolate jumps by an hour to either side, between requests and within one, or
//! stands still. What it stored and judges by it may live longer by as much as the clock was wrong, and no longer.

use crate::client::{Open, Seen, ask};
use crate::fakes::{Asking, Location, World};
use crate::random::{Random, cases};
use hotrod_edge::rules::{Disposition, compiled};
use std::rc::Rc;

const HOUR_MS: i64 = 3_600_000;
/// Between two readings of clocks that are wrong by an hour at most.
const WRONG_BY_MS: u64 = 7_200_000;

const ASKED: [(&str, &str); 3] = [
    ("ops", "/api/dashboard/tiles/ops"),
    ("trends_revenue", "/api/dashboard/trends/revenue?days=30"),
    ("compare_yoy", "/api/dashboard/compare/yoy"),
];

struct Run {
    case: u64,
    random: Random,
    world: Rc<World>,
    locations: [Rc<Location>; 3],
    /// When each answer of the origin was made, by a clock that is right.
    made_at: Vec<u64>,
    /// Since when the clocks stand still that do.
    frozen: [Option<i64>; 3],
    /// How many answers there were when everything was last purged, and when and where that was.
    purged: Option<(u64, u64, usize)>,
    hits: usize,
}

impl Run {
    fn new(case: u64) -> Self {
        let world = World::at(3 * 3600);
        world.interleaved.set(true);
        let here = Location::remembering(&world);
        let locations = [here.clone(), Location::beside(&here), Location::new(&world)];
        let (random, made_at) = (Random::new(case), Vec::new());
        Self { case, random, world, locations, made_at, frozen: [None; 3], purged: None, hits: 0 }
    }

    /// One clock goes wrong, or right again.
    fn jump(&mut self) {
        let which = self.random.below(3);
        let now = i64::try_from(self.world.now()).expect("a time");
        let ahead = *self.random.pick(&[0, HOUR_MS, -HOUR_MS, 1_000, -1_000]);
        self.locations[which].ahead.set(ahead);
        self.frozen[which] = self.random.once_in(4).then_some(now + ahead);
        self.pass(0);
    }

    /// Time passes for all clocks but those that stand still; those for an hour at most.
    fn pass(&mut self, millis: u64) {
        self.world.pass(millis);
        let now = i64::try_from(self.world.now()).expect("a time");
        for (location, frozen) in self.locations.iter().zip(&mut self.frozen) {
            if let Some(at) = *frozen {
                location.ahead.set((at - now).max(-HOUR_MS));
            }
        }
    }

    fn request(&mut self) {
        let ((name, url), which) = (*self.random.pick(&ASKED), self.random.below(3));
        let began = self.world.now();
        let mut open = Open::new(&self.locations[which], Asking::get(url));
        let jumps_within = self.random.once_in(2);
        loop {
            let before = self.world.now();
            let has_ended = open.poll();
            self.made_at.resize(self.world.origin.count(), before);
            if has_ended {
                break;
            }
            if jumps_within && self.random.once_in(3) {
                self.jump();
            }
            let millis = *self.random.pick(&[0, 0, 1, 30]);
            self.pass(millis);
        }
        let seen = open.answer().expect("a request that ended has an answer");
        self.judge(name, began, which, &seen);
    }

    fn judge(&mut self, name: &str, began: u64, which: usize, seen: &Seen) {
        let what = format!("case {}: {name} in {which}: {} {}", self.case, seen.status, seen.cache_status());
        assert_eq!(seen.status, 200, "{what}: {}", seen.text());
        let serial = seen.serial().expect("an answer of the origin's");
        let Disposition::Store(stored) = &compiled().route(name).expect("a route").disposition else { return };
        let lifetimes = stored.lifetimes;
        let window = u64::from(lifetimes.s_maxage + lifetimes.stale_while_revalidate);
        let age = seen.field("age").map_or(0, |age| age.parse::<u64>().expect("seconds, not before 0"));
        assert!(age <= window, "{what}: age {age}");
        if let Some((before, at, there)) = self.purged {
            let bound = u64::from(lifetimes.snapshot.bound) * 1000;
            let is_due = there == which || began > at + bound + WRONG_BY_MS;
            assert!(!is_due || serial > before, "{what}: body {serial} is from before a purge after {before}");
        }
        if seen.cache_status().starts_with("hit") {
            self.hits += 1;
            let made_at = self.made_at[usize::try_from(serial).expect("a number") - 1];
            assert!(began < made_at + window * 1000 + WRONG_BY_MS, "{what}: made {} ms ago", began - made_at);
            let ttl = seen.cache_status().split("ttl=").nth(1).and_then(|rest| rest.split(';').next());
            let ttl: i64 = ttl.and_then(|ttl| ttl.parse().ok()).expect("a number");
            assert!(ttl <= i64::from(lifetimes.s_maxage), "{what}");
        }
    }

    fn purge(&mut self) {
        let which = self.random.below(3);
        let seen = ask(&self.locations[which], Asking::purge(r#"{"all":true,"mode":"hard"}"#));
        assert_eq!(seen.status, 202, "case {}: {}", self.case, seen.text());
        if seen.time("incremented_at") <= self.world.now() {
            self.purged = Some((self.world.origin.count() as u64, self.world.now(), which));
        }
    }
}

#[test]
fn clocks_that_jump_by_an_hour_or_stand_still_let_nothing_live_longer_than_they_are_wrong() {
    let mut hits = 0;
    for case in cases(150) {
        let mut run = Run::new(case);
        for _ in 0..60 {
            match run.random.below(20) {
                0 => run.purge(),
                1..4 => run.jump(),
                4..8 => {
                    let millis = *run.random.pick(&[1, 1_000, 59_000, 301_000, 1_800_000]);
                    run.pass(millis);
                }
                _ => run.request(),
            }
        }
        hits += run.hits;
    }
    assert!(hits > 1_000, "{hits} hits prove little");
}

/// By a clock that goes back, what is stored is from the future, and of age 0.
#[test]
fn what_is_from_the_future_has_no_age_below_nothing() {
    let world = World::new();
    let location = Location::remembering(&world);
    let get = || crate::client::get(&location, ASKED[0].1);
    assert_eq!(get().cache_status(), "fwd=uri-miss; fwd-status=200; stored");
    location.ahead.set(-HOUR_MS);
    let seen = get();
    assert_eq!((seen.cache_status(), seen.field("age")), ("hit; ttl=300; detail=memory", Some("0")));
    location.ahead.set(HOUR_MS);
    let seen = get();
    assert_eq!((seen.cache_status(), seen.origin_requests), ("fwd=stale; fwd-status=200; stored", 1));
}
