//! What must hold of every answer, whatever fails.

use super::{Covers, Run};
use crate::client::{Open, Seen};
use crate::fakes::{DAY, Script};
use hotrod_edge::rules::{Disposition, Lifetimes, Route, compiled};

/// What the origin answers errors with.
pub const ERROR: &[u8] = b"an error of the origin";
/// For so long a request waits for a turn, in milliseconds.
const WAIT_MS: u64 = 5_000;
/// For so long the ledger is waited for.
const LEDGER_MS: u64 = 2_000;
/// For so long a breaker is open at most, unless the origin says for how long.
const PAUSE_MS: u64 = 30_000;
const ASKED_PAUSE_MS: u64 = 300_000;

/// A request under way, and when it began.
pub struct Asked {
    pub route: &'static Route,
    pub url: &'static str,
    pub open: Open,
    pub began: u64,
    /// Where.
    pub location: usize,
    /// Purges that had returned by then.
    pub purges: usize,
    /// How often the origin had failed by then.
    pub failures: usize,
}

/// From when to when a request for a class was under way in an isolate.
pub struct Span {
    location: usize,
    class: &'static str,
    began: u64,
    ended: u64,
}

/// A purge that has returned, as its receipt says.
pub struct Purged {
    pub covers: Covers,
    pub is_soft: bool,
    /// Where it was asked for.
    pub location: usize,
    /// How many requests had reached the origin before it.
    pub fetched_before: usize,
    /// Whether it was put off, to be merged with others.
    pub is_put_off: bool,
    pub incremented_at: u64,
    pub effective_by: u64,
}

/// What came of the requests.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub answered: usize,
    pub failed: usize,
    timed_out: usize,
    held_back: usize,
    hits: usize,
    memory: usize,
    expired: usize,
    on_error: usize,
    /// How often an answer came from store after a purge that had to be in force.
    held: usize,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.held_back += other.held_back;
        self.hits += other.hits;
        self.memory += other.memory;
        self.expired += other.expired;
        self.on_error += other.on_error;
        self.held += other.held;
    }

    /// Scripts in which nothing happens would prove nothing.
    #[track_caller]
    pub fn proves_something(&self) {
        let Self { answered, failed, timed_out, held_back, hits, memory, expired, on_error, held } = *self;
        assert!(hits * 10 > answered && hits * 10 < answered * 9, "{self:?}");
        for (count, least) in
            [(held, 300), (memory, 300), (failed, 100), (timed_out, 20), (held_back, 20), (expired, 20), (on_error, 50)]
        {
            assert!(count > least, "{self:?}");
        }
    }
}

/// The least time after which the origin is given up, in milliseconds.
fn timeout(route: &Route) -> u64 {
    let demand = compiled().demand(&route.class);
    u64::from(demand.first_byte_timeout.min(demand.between_bytes_timeout)) * 1000
}

fn day(at: u64) -> u64 {
    (at - DAY) / 86_400_000
}

impl Run {
    pub fn judge(&mut self, asked: &Asked) {
        let seen = asked.open.answer().expect("a request that ended has an answer");
        let what = format!("case {}: {}: {}: {}", self.case, asked.url, seen.status, seen.cache_status());
        let ended = self.world.now();
        let is_answer = self.judge_status(asked, &seen, &what);
        self.ended.push(Span { location: asked.location, class: &asked.route.class, began: asked.began, ended });
        if !is_answer {
            return;
        }
        self.tally.answered += 1;
        let Some(serial) = seen.serial() else {
            // HEAD: nothing to compare.
            assert_eq!(seen.body, [0; 0], "{what}");
            return;
        };
        let serial = usize::try_from(serial).unwrap_or_default();
        let whole = Script::body(serial, &format!("https://origin.test{}", asked.url));
        assert_eq!(seen.body, whole, "{what}: not a body that the origin sent");
        let on_error = is_on_error(&seen);
        self.tally.on_error += usize::from(on_error);
        if on_error && !is_held_back(&seen) {
            let has_failed = self.world.origin.failed().len() > asked.failures;
            assert!(has_failed || ended - asked.began >= timeout(asked.route), "{what}: nothing failed");
        }
        self.judge_purges(asked, &seen, serial, &what);
        if seen.cache_status().starts_with("hit") {
            self.judge_hit(asked, &seen, serial, &what);
        }
    }

    /// Whatever the origin could answer is answered. Whether it was.
    fn judge_status(&mut self, asked: &Asked, seen: &Seen, what: &str) -> bool {
        let took = self.world.now() - asked.began;
        let has_failed = self.world.origin.failed().len() > asked.failures;
        // What is not to be stored is passed on unread: a client sees for itself that it was cut.
        let is_unread = !seen.cache_status().contains("stored") && !seen.cache_status().starts_with("hit");
        assert!(!seen.cut || is_unread, "{what}: a part of a body");
        if seen.cut {
            self.tally.failed += 1;
            return false;
        }
        if is_held_back(seen) {
            self.tally.held_back += 1;
            self.judge_held_back(asked, seen, what);
            return seen.status == 200;
        }
        match seen.status {
            200 => return true,
            // Its own answer.
            429 | 500 | 503 => {
                assert!(has_failed && (seen.body == ERROR || seen.body.is_empty()), "{what}: {}", seen.text());
            }
            502 => assert!(has_failed, "{what}: nothing failed"),
            504 => {
                assert!(took >= timeout(asked.route), "{what}: {took} ms are no timeout");
                self.tally.timed_out += 1;
                return false;
            }
            _ => panic!("{what}: {}", seen.text()),
        }
        self.tally.failed += 1;
        false
    }

    /// Who is not let through to the origin was held back for a reason.
    ///
    /// By a breaker: the origin failed a question of that class, or was given up, and since the end of that one no longer
    /// time has passed than a breaker may be open; or another request of the class was under way in this isolate, to see whether the
    /// origin is well again.
    ///
    /// As busy: with something stale at hand at once, else only after the wait for a turn; and in an isolate with
    /// slots enough only since the origin has failed, which makes them fewer.
    fn judge_held_back(&self, asked: &Asked, seen: &Seen, what: &str) {
        let status = seen.cache_status();
        let (began, ended) = (asked.began, self.world.now());
        if status.ends_with("breaker-open") {
            let lately = self.world.origin.failed().iter().any(|failed| {
                let route = super::ASKED.iter().find(|(_, url)| failed.url.ends_with(url)).map(|(name, _)| *name);
                let class = route.and_then(|name| compiled().route(name)).map(|route| &route.class);
                let pause = if failed.says_for_how_long { ASKED_PAUSE_MS } else { PAUSE_MS };
                class == Some(&asked.route.class) && began <= failed.at + pause
            });
            let beside = |location: usize, class: &str| location == asked.location && class == asked.route.class;
            let given_up = self.world.origin.given_up().iter().any(|at| began <= at + PAUSE_MS);
            let is_probed = self.open.iter().any(|other| beside(other.location, &other.route.class))
                || self
                    .ended
                    .iter()
                    .any(|other| beside(other.location, other.class) && other.began <= ended && other.ended >= began);
            assert!(lately || given_up || is_probed, "{what}: nothing failed");
            return;
        }
        assert!(seen.status == 200 || ended - began >= WAIT_MS, "{what}: after {} ms", ended - began);
        let origin = &self.world.origin;
        let is_narrow = self.concurrency < 64 || !origin.failed().is_empty() || !origin.given_up().is_empty();
        assert!(is_narrow || status.ends_with("awaited"), "{what}: nothing failed");
    }

    fn judge_purges(&mut self, asked: &Asked, seen: &Seen, serial: usize, what: &str) {
        let (status, on_error) = (seen.cache_status(), is_on_error(seen));
        // A slow ledger is waited for so long, and other requests take their time meanwhile.
        let is_unheard = self.kind.ledger_fails || self.world.now() - asked.began >= LEDGER_MS;
        // That the origin is busy, or being asked by another, does not make up for a ledger.
        let is_a_wait = status.ends_with("/origin-busy") || status.ends_with("/awaited");
        let without_ledger = is_unheard && (on_error && !is_a_wait || status.ends_with("/ledger"));
        for purge in self.purged[..asked.purges].iter().filter(|purge| (purge.covers)(asked.route)) {
            let is_older = serial <= purge.fetched_before || self.fetched_at[serial - 1] < purge.incremented_at;
            let at_once = asked.location == purge.location && !purge.is_put_off;
            let in_window = asked.began <= purge.effective_by;
            let says_so = on_error || in_window && (status.ends_with("/invalidated") || status.ends_with("/expired"));
            let is_due = at_once || !in_window;
            self.tally.held += usize::from(is_due && status.starts_with("hit"));
            if is_older && is_due && !without_ledger {
                let before = purge.fetched_before;
                assert!(purge.is_soft && says_so, "{what}: body {serial} is from before a purge after {before}");
            }
        }
    }

    /// Nothing is a hit past its lifetime, or past the window behind it if it says so, and nothing after its day.
    fn judge_hit(&mut self, asked: &Asked, seen: &Seen, serial: usize, what: &str) {
        let Disposition::Store(stored) = &asked.route.disposition else { return };
        let Lifetimes { s_maxage, stale_while_revalidate, .. } = stored.lifetimes;
        let is_expired = seen.cache_status().ends_with("/expired");
        self.tally.hits += 1;
        self.tally.expired += usize::from(is_expired);
        self.tally.memory += usize::from(seen.cache_status().contains("detail=memory"));
        let fetched = self.fetched_at[serial - 1];
        let seconds = if is_expired { s_maxage + stale_while_revalidate } else { s_maxage };
        // An age is the time on the way and the time in store, each in whole seconds.
        let least = (asked.began.saturating_sub(fetched) / 1000).saturating_sub(1);
        assert!(least < u64::from(seconds), "{what}: body {serial} is past its window");
        // The figure may be from before the origin answered, and is never from after.
        assert!(day(asked.began) <= day(fetched), "{what}: body {serial} is of the day before");
    }
}

fn is_on_error(seen: &Seen) -> bool {
    let status = seen.cache_status();
    status.contains("stale-if-error") || status.contains("previous-period")
}

fn is_held_back(seen: &Seen) -> bool {
    ["breaker-open", "origin-busy", "awaited"].iter().any(|word| seen.cache_status().ends_with(word))
}
