//! A circuit breaker: what has failed again and again is left alone for a while, and then asked by one at a time.
//!
//! Plain data. It reads no clock: whoever asks says what time it is.

use crate::time::UnixMillis;

/// So many failures in a row open it.
const FAILURES_IN_ROW: u32 = 5;
/// Of so many results, the latest ones, half must be failures to open it.
const RESULTS: u32 = 20;
/// For so long it is open at first, in milliseconds. It doubles with each probe that fails.
const LEAST_PAUSE_MS: u64 = 1_000;
/// The greatest of these.
const GREATEST_PAUSE_MS: u64 = 30_000;
/// The greatest pause that the other side can ask for.
pub const GREATEST_ASKED_MS: u64 = 300_000;
/// So many probes in a row must succeed to close it.
const SUCCESSES: u32 = 2;

/// Whether something is asked, by how it answered so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breaker {
    in_row: u32,
    /// One bit for each of the latest results, set for a failure, and how many there are.
    results: u32,
    seen: u32,
    open: Option<Open>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Open {
    /// Until when nobody asks.
    until: u64,
    pause: u64,
    /// The probe that is under way, by when it counts as lost.
    probe: Option<u64>,
    successes: u32,
}

/// Leave to ask. Its result is given back with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Permit {
    /// The probe that this is, by when it counts as lost.
    probe: Option<u64>,
}

/// What a result changed. Worth a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was closed.
    Opened,
    /// It was open.
    Closed,
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub const fn new() -> Self {
        Self { in_row: 0, results: 0, seen: 0, open: None }
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether to ask. A probe whose result is not there after `patience` milliseconds counts as lost.
    ///
    /// # Errors
    /// It is open; in how many milliseconds it is worth another try.
    pub fn admit(&mut self, now: UnixMillis, patience: u64) -> Result<Permit, u64> {
        let Some(open) = &mut self.open else { return Ok(Permit { probe: None }) };
        let waits_until = open.probe.unwrap_or(open.until).max(open.until);
        let left = waits_until.saturating_sub(now.0);
        // A time further off than any pause was noted by a clock that has been set back since.
        if left > 0 && left <= GREATEST_ASKED_MS.max(patience) {
            return Err(left);
        }
        let probe = Some(now.0.saturating_add(patience));
        open.probe = probe;
        Ok(Permit { probe })
    }

    /// What was asked answered.
    pub fn succeeded(&mut self, permit: Permit) -> Option<Change> {
        let Some(open) = &mut self.open else {
            self.note(false);
            return None;
        };
        if permit.probe.is_none() || permit.probe != open.probe {
            return None;
        }
        open.probe = None;
        open.successes = open.successes.saturating_add(1);
        (open.successes >= SUCCESSES).then_some(())?;
        *self = Self::new();
        Some(Change::Closed)
    }

    /// What was asked did not answer, or asks to be left alone for so many milliseconds: then it is, at once.
    pub fn failed(&mut self, permit: Permit, now: UnixMillis, asked: Option<u64>) -> Option<Change> {
        let asked = asked.map(|asked| asked.min(GREATEST_ASKED_MS));
        if let Some(open) = &mut self.open {
            // What was asked before it opened says nothing new, unless it says for how long.
            if permit.probe.is_some() && permit.probe == open.probe {
                open.pause = open.pause.saturating_mul(2).min(GREATEST_PAUSE_MS);
                open.probe = None;
                open.successes = 0;
                open.until = now.0.saturating_add(asked.unwrap_or(open.pause));
            } else if let Some(asked) = asked {
                open.until = open.until.max(now.0.saturating_add(asked));
            }
            return None;
        }
        self.note(true);
        let half_failed = self.seen >= RESULTS && self.results.count_ones().saturating_mul(2) >= RESULTS;
        (asked.is_some() || self.in_row >= FAILURES_IN_ROW || half_failed).then_some(())?;
        let pause = LEAST_PAUSE_MS;
        let until = now.0.saturating_add(asked.unwrap_or(pause));
        self.open = Some(Open { until, pause, probe: None, successes: 0 });
        Some(Change::Opened)
    }

    /// Nothing can be said of what was asked: another one may probe.
    pub fn forget(&mut self, permit: Permit) {
        if let Some(open) = &mut self.open
            && permit.probe == open.probe
        {
            open.probe = None;
        }
    }

    fn note(&mut self, has_failed: bool) {
        self.in_row = if has_failed { self.in_row.saturating_add(1) } else { 0 };
        self.results = (self.results << 1 | u32::from(has_failed)) & ((1 << RESULTS) - 1);
        self.seen = self.seen.saturating_add(1).min(RESULTS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: u64 = 10_000;

    fn at(millis: u64) -> UnixMillis {
        UnixMillis(1_000_000 + millis)
    }

    fn admitted(breaker: &mut Breaker, millis: u64) -> Permit {
        breaker.admit(at(millis), PATIENCE).expect("admitted")
    }

    fn fail(breaker: &mut Breaker, millis: u64) -> Option<Change> {
        let permit = admitted(breaker, millis);
        breaker.failed(permit, at(millis), None)
    }

    fn succeed(breaker: &mut Breaker, millis: u64) -> Option<Change> {
        let permit = admitted(breaker, millis);
        breaker.succeeded(permit)
    }

    /// One that opened at 0 by failures in a row.
    fn opened() -> Breaker {
        let mut breaker = Breaker::new();
        for _ in 0..4 {
            assert_eq!(fail(&mut breaker, 0), None);
            assert!(!breaker.is_open());
        }
        assert_eq!(fail(&mut breaker, 0), Some(Change::Opened));
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_a_success_in_between_starts_anew() {
        assert!(opened().is_open());
        let mut breaker = Breaker::new();
        for _ in 0..4 {
            assert_eq!(fail(&mut breaker, 0), None);
        }
        assert_eq!(succeed(&mut breaker, 0), None);
        for _ in 0..4 {
            assert_eq!(fail(&mut breaker, 0), None);
        }
        assert!(!breaker.is_open());
    }

    #[test]
    fn half_of_the_latest_results_open_it_but_not_before_there_are_so_many() {
        let mut breaker = Breaker::new();
        for round in 0..9 {
            assert_eq!(fail(&mut breaker, 0), None, "{round}");
            assert_eq!(succeed(&mut breaker, 0), None);
        }
        assert_eq!(succeed(&mut breaker, 0), None);
        assert_eq!(fail(&mut breaker, 0), Some(Change::Opened));
    }

    #[test]
    fn less_than_half_never_opens_it() {
        let mut breaker = Breaker::new();
        for _ in 0..200 {
            assert_eq!(fail(&mut breaker, 0), None);
            assert_eq!(succeed(&mut breaker, 0), None);
            assert_eq!(succeed(&mut breaker, 0), None);
        }
    }

    #[test]
    fn open_it_admits_nobody_and_then_one_at_a_time() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(0), PATIENCE), Err(1_000));
        assert_eq!(breaker.admit(at(999), PATIENCE), Err(1));
        let probe = admitted(&mut breaker, 1_000);
        assert_eq!(breaker.admit(at(1_001), PATIENCE), Err(PATIENCE - 1));
        assert_eq!(breaker.succeeded(probe), None);
        assert_eq!(succeed(&mut breaker, 1_001), Some(Change::Closed));
        assert!(!breaker.is_open());
        for _ in 0..3 {
            _ = admitted(&mut breaker, 1_001);
        }
    }

    #[test]
    fn each_probe_that_fails_doubles_the_pause_up_to_a_bound() {
        let mut breaker = opened();
        let mut now = 1_000;
        for pause in [2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            assert_eq!(fail(&mut breaker, now), None);
            assert_eq!(breaker.admit(at(now), PATIENCE), Err(pause));
            now += pause;
        }
        _ = succeed(&mut breaker, now);
        assert_eq!(succeed(&mut breaker, now), Some(Change::Closed));
        for _ in 0..5 {
            _ = fail(&mut breaker, now);
        }
        assert_eq!(breaker.admit(at(now), PATIENCE), Err(1_000), "it begins anew");
    }

    #[test]
    fn a_failure_between_two_successes_keeps_it_open() {
        let mut breaker = opened();
        assert_eq!(succeed(&mut breaker, 1_000), None);
        assert_eq!(fail(&mut breaker, 1_000), None);
        assert_eq!(succeed(&mut breaker, 3_000), None);
        assert_eq!(succeed(&mut breaker, 3_000), Some(Change::Closed));
    }

    #[test]
    fn a_probe_that_never_comes_back_is_replaced_and_is_heard_no_more() {
        let mut breaker = opened();
        let lost = admitted(&mut breaker, 1_000);
        assert_eq!(breaker.admit(at(10_999), PATIENCE), Err(1));
        let next = admitted(&mut breaker, 11_000);
        assert_eq!(breaker.succeeded(lost), None);
        assert_eq!(breaker.failed(lost, at(11_000), None), None);
        assert!(breaker.admit(at(11_000), PATIENCE).is_err(), "the next one is still under way");
        assert_eq!(breaker.succeeded(next), None);
        assert_eq!(succeed(&mut breaker, 11_000), Some(Change::Closed));
    }

    #[test]
    fn a_probe_that_says_nothing_makes_room_for_another() {
        let mut breaker = opened();
        let probe = admitted(&mut breaker, 1_000);
        breaker.forget(probe);
        _ = admitted(&mut breaker, 1_000);
    }

    #[test]
    fn what_was_asked_before_it_opened_changes_nothing() {
        let mut breaker = Breaker::new();
        let early = admitted(&mut breaker, 0);
        for _ in 0..5 {
            _ = fail(&mut breaker, 0);
        }
        assert_eq!(breaker.succeeded(early), None);
        assert_eq!(breaker.failed(early, at(500), None), None);
        assert_eq!(breaker.admit(at(500), PATIENCE), Err(500));
        breaker.forget(early);
        let probe = admitted(&mut breaker, 1_000);
        assert_eq!(breaker.succeeded(early), None);
        breaker.forget(early);
        assert!(breaker.admit(at(1_000), PATIENCE).is_err(), "the probe is still under way");
        assert_eq!(breaker.succeeded(probe), None);
    }

    #[test]
    fn who_asks_to_be_left_alone_is_left_alone_at_once_and_within_bounds() {
        for (asked, pause) in [(7_000, 7_000), (u64::MAX, GREATEST_ASKED_MS)] {
            let mut breaker = Breaker::new();
            let permit = admitted(&mut breaker, 0);
            assert_eq!(breaker.failed(permit, at(0), Some(asked)), Some(Change::Opened));
            assert_eq!(breaker.admit(at(0), PATIENCE), Err(pause));
        }
        let mut breaker = Breaker::new();
        let late = admitted(&mut breaker, 0);
        for _ in 0..5 {
            _ = fail(&mut breaker, 0);
        }
        assert_eq!(breaker.failed(late, at(10), Some(60_000)), None);
        assert_eq!(breaker.admit(at(10), PATIENCE), Err(60_000));
        let probe = admitted(&mut breaker, 60_010);
        assert_eq!(breaker.failed(probe, at(60_010), Some(9_000)), None);
        assert_eq!(breaker.admit(at(60_010), PATIENCE), Err(9_000));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_it_open() {
        let mut breaker = opened();
        assert!(breaker.admit(UnixMillis(1), PATIENCE).is_ok());
    }
}
