//! The line of purges of one ledger: where it stands, and what of a burst is still to come.
//!
//! The first purge of a burst happens at once. Those within [`MERGED_MS`] after it share one *trailing* increment,
//! so that a storm moves the line once a second, and each of them counts from that one. Its position and time are
//! given when the first of them joins: they are promised, and whoever reads the line afterwards finds them done,
//! whether or not anything woke the ledger in between.

use crate::epoch::{Counters, Covered, Epoch, Increment, Mode, Scope, Standing};
use crate::time::UnixMillis;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// For so long after an increment, purges wait for the next one, in milliseconds.
pub const MERGED_MS: u64 = 1000;

/// Counters, and the increment that is to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    counters: Counters,
    /// When the last increment happened.
    last: Option<UnixMillis>,
    /// Up to which position of the global ledger its purges are in this line. Nothing, if it was never seen.
    adopted: Option<Epoch>,
    trailing: Option<Trailing>,
}

/// An increment that is promised and has not happened.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trailing {
    increment: Increment,
    purges: Vec<Purge>,
}

/// One scope of a purge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// How thoroughly.
    pub mode: Mode,
    /// What.
    pub scope: Scope,
    /// The longest soft window of what it covers, in milliseconds.
    pub window: u64,
}

impl Line {
    /// The line of a ledger that finds nothing written down. If it was written down once, positions may have been ahead
    /// of the clock, by as much as they are promised in advance: it begins beyond all of them.
    #[must_use]
    pub fn begin(clock: UnixMillis) -> Self {
        let beyond = UnixMillis(clock.0.saturating_add(2 * MERGED_MS));
        Self { counters: Counters::begin(beyond), last: None, adopted: None, trailing: None }
    }

    /// When the increment that is to come is due.
    #[must_use]
    pub fn due(&self) -> Option<UnixMillis> {
        self.trailing.as_ref().map(|trailing| trailing.increment.at)
    }

    /// Purges: at once, or with the increment that is to come. Answers which.
    pub fn purge(&mut self, purges: Vec<Purge>, clock: UnixMillis) -> Increment {
        _ = self.settle(clock, None);
        if let Some(trailing) = &mut self.trailing {
            for purge in purges {
                if !trailing.purges.contains(&purge) {
                    trailing.purges.push(purge);
                }
            }
            return trailing.increment;
        }
        let waits = self.last.map(|last| UnixMillis(last.0.saturating_add(MERGED_MS)));
        // A clock that ran back would make it wait for too long.
        let at = waits.filter(|until| clock < *until && until.0 <= clock.0.saturating_add(MERGED_MS)).unwrap_or(clock);
        let increment = Increment { epoch: self.counters.next(at), at };
        self.trailing = Some(Trailing { increment, purges });
        _ = self.settle(clock, None);
        increment
    }

    /// Does what is due by now, or needed now by somebody who knows of position `at_least`. Whether anything was.
    ///
    /// A position that it never had shows that this line has lost its memory and begun anew with its clock behind: it
    /// goes on beyond that one, with a purge of everything.
    pub fn settle(&mut self, clock: UnixMillis, at_least: Option<Epoch>) -> bool {
        let happened = self.happen(clock, at_least);
        let Some(lost) = at_least.filter(|least| self.counters.epoch < *least) else { return happened };
        self.counters.epoch = lost;
        let increment = Increment { epoch: self.counters.next(clock), at: clock };
        self.counters.purge(&Scope::Tenant, Mode::Hard, increment, 0);
        true
    }

    /// Does what is to come, if it is due or needed. Whether it was.
    fn happen(&mut self, clock: UnixMillis, at_least: Option<Epoch>) -> bool {
        let Some(trailing) = &self.trailing else { return false };
        let Increment { epoch, at } = trailing.increment;
        let wanted = at_least.is_some_and(|least| self.counters.epoch < least);
        // A clock that ran back would make it late.
        if clock < at && !wanted && at.0 <= clock.0.saturating_add(MERGED_MS) {
            return false;
        }
        let at = at.min(clock);
        for Purge { mode, scope, window } in self.trailing.take().into_iter().flat_map(|trailing| trailing.purges) {
            self.counters.purge(&scope, mode, Increment { epoch, at }, window);
        }
        self.last = Some(at);
        true
    }

    /// Takes over what the global ledger purged for all tenants since it was last looked at. Whether there was anything
    /// to note down. `window` is the longest soft window of all, in milliseconds.
    pub fn adopt(&mut self, global: &Counters, window: u64, clock: UnixMillis) -> bool {
        let adopted = self.adopted.replace(global.epoch);
        // A line that never saw it has begun with a purge of everything, after all that it can have missed.
        let everything = Covered { class: "", route: "", key: "", marks: "" };
        let mode = match global.standing(&everything, adopted.unwrap_or(global.epoch)) {
            Standing::Current => None,
            Standing::Invalidated { .. } => Some(Mode::Soft),
            Standing::Purged => Some(Mode::Hard),
        };
        if let Some(mode) = mode {
            // At once, whatever else is to come: it has been on its way for long enough.
            let Increment { epoch, .. } = self.purge(vec![Purge { mode, scope: Scope::Tenant, window }], clock);
            _ = self.settle(clock, Some(epoch));
        }
        adopted != self.adopted
    }

    /// Lists the tenant, or takes it off the list.
    pub fn list(&mut self, is_listed: bool) {
        self.counters.is_delisted = !is_listed;
    }

    /// What has happened by now.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// As a ledger writes it down: when the last increment happened, the position of the global ledger, the increment to
    /// come with its purges, a line each, then an empty line and the counters.
    #[must_use]
    pub fn encode(&self) -> String {
        let (last, adopted) = (self.last.map_or(0, |last| last.0), self.adopted.map_or(0, |adopted| adopted.0));
        let mut text = format!("{last} {adopted}");
        if let Some(Trailing { increment, purges }) = &self.trailing {
            // Writing to a String cannot fail.
            _ = write!(text, " {} {}", increment.epoch, increment.at.0);
            for Purge { mode, scope, window } in purges {
                _ = write!(text, "\n{} {window} {scope}", mode.as_str());
            }
        }
        text.push_str("\n\n");
        text.push_str(&self.counters.encode());
        text
    }

    /// Reads what [`Line::encode`] wrote. Anything else is nothing.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let (head, counters) = text.split_once("\n\n")?;
        let mut lines = head.split('\n');
        let mut words = lines.next()?.split(' ');
        let mut number = || words.next().map(|word| word.parse::<u64>().ok());
        let (last, adopted) = (number()??, number()??);
        let increment = match (number(), number()) {
            (None, None) => None,
            (epoch, at) => Some(Increment { epoch: Epoch(epoch??), at: UnixMillis(at??) }),
        };
        let mut purges = Vec::new();
        for line in lines {
            let mut words = line.splitn(3, ' ');
            let mode = Mode::parse(words.next()?)?;
            let window = words.next()?.parse().ok()?;
            purges.push(Purge { mode, scope: Scope::parse(words.next()?)?, window });
        }
        let last = (last > 0).then_some(UnixMillis(last));
        let adopted = (adopted > 0).then_some(Epoch(adopted));
        let trailing = increment.map(|increment| Trailing { increment, purges });
        Some(Self { counters: Counters::decode(counters)?, last, adopted, trailing })
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Purge};
    use crate::epoch::{Covered, Epoch, Increment, Mode, Scope, Standing};
    use crate::time::UnixMillis;

    const OPS: Covered<'_> = Covered { class: "near", route: "ops", key: "d:ops:v1", marks: "" };

    fn purge(line: &mut Line, route: &str, at: u64) -> (u64, u64) {
        let purges = vec![Purge { mode: Mode::Hard, scope: Scope::Route(route.into()), window: 10_000 }];
        let Increment { epoch, at } = line.purge(purges, UnixMillis(at));
        (epoch.0, at.0)
    }

    /// What the line says of an entry that was stored at this position.
    fn standing(line: &Line, head: u64) -> Standing {
        line.counters().standing(&OPS, Epoch(head))
    }

    #[test]
    fn the_first_of_a_burst_happens_at_once_and_the_others_together() {
        let mut line = Line::begin(UnixMillis(1_000));
        assert_eq!(purge(&mut line, "ops", 5_000), (5_000, 5_000));
        assert_eq!(standing(&line, 4_999), Standing::Purged);
        assert_eq!(purge(&mut line, "ops", 5_001), (6_000, 6_000));
        assert_eq!(purge(&mut line, "other", 5_999), (6_000, 6_000));
        assert_eq!((standing(&line, 5_000), line.due()), (Standing::Current, Some(UnixMillis(6_000))));
        assert!(!line.settle(UnixMillis(5_999), None));
        assert!(line.settle(UnixMillis(6_000), None));
        assert_eq!((standing(&line, 5_999), line.due()), (Standing::Purged, None));
        // The trailing one is the beginning of the next burst.
        assert_eq!(purge(&mut line, "ops", 6_500), (7_000, 7_000));
        assert_eq!(purge(&mut line, "ops", 9_000), (9_000, 9_000));
    }

    #[test]
    fn a_ledger_without_memory_begins_beyond_what_it_may_have_promised() {
        let mut line = Line::begin(UnixMillis(1_000));
        purge(&mut line, "ops", 5_000);
        let (promised, _) = purge(&mut line, "ops", 5_001);
        assert_eq!(standing(&Line::begin(UnixMillis(5_001)), promised), Standing::Purged);
    }

    #[test]
    fn what_is_due_has_happened_before_anything_joins_it() {
        let mut line = Line::begin(UnixMillis(1_000));
        purge(&mut line, "ops", 5_000);
        assert_eq!(purge(&mut line, "ops", 5_500), (6_000, 6_000));
        assert_eq!(purge(&mut line, "ops", 6_001), (7_000, 7_000));
        assert_eq!(standing(&line, 5_999), Standing::Purged);
        assert_eq!(standing(&line, 6_000), Standing::Current);
    }

    #[test]
    fn whoever_knows_of_a_promised_position_brings_it_about() {
        let mut line = Line::begin(UnixMillis(1_000));
        purge(&mut line, "ops", 5_000);
        purge(&mut line, "ops", 5_100);
        assert!(!line.settle(UnixMillis(5_200), Some(Epoch(5_000))));
        assert!(line.settle(UnixMillis(5_200), Some(Epoch(6_000))));
        assert_eq!((standing(&line, 5_999), standing(&line, 6_000)), (Standing::Purged, Standing::Current));
        // The next one still has a position of its own.
        assert_eq!(purge(&mut line, "ops", 5_300), (6_200, 6_200));
        assert_eq!(purge(&mut line, "ops", 5_300), (6_200, 6_200));
    }

    #[test]
    fn a_position_that_it_never_had_is_behind_it_from_then_on() {
        let mut line = Line::begin(UnixMillis(1_000));
        purge(&mut line, "other", 1_500);
        purge(&mut line, "other", 1_600);
        assert!(line.settle(UnixMillis(1_700), Some(Epoch(9_000))));
        assert_eq!((standing(&line, 9_000), standing(&line, 9_001)), (Standing::Purged, Standing::Current));
        assert_eq!((line.counters().epoch, line.due()), (Epoch(9_001), None));
        assert!(!line.settle(UnixMillis(1_700), Some(Epoch(9_001))));
        assert_eq!(purge(&mut line, "ops", 5_000), (9_002, 5_000));
    }

    #[test]
    fn a_clock_that_runs_back_makes_nothing_wait() {
        let mut line = Line::begin(UnixMillis(1_000));
        purge(&mut line, "ops", 500_000);
        assert_eq!(purge(&mut line, "ops", 2_000), (500_001, 2_000));
        assert_eq!(standing(&line, 500_000), Standing::Purged);
        assert_eq!(purge(&mut line, "ops", 2_500), (500_002, 3_000));
        assert!(line.settle(UnixMillis(100), None));
        assert_eq!(standing(&line, 500_001), Standing::Purged);
    }

    #[test]
    fn what_was_purged_for_all_tenants_is_taken_over_once() {
        let mut line = Line::begin(UnixMillis(1_000));
        let mut global = Line::begin(UnixMillis(900));
        assert!(line.adopt(global.counters(), 60_000, UnixMillis(2_000)));
        assert_eq!(standing(&line, 3_000), Standing::Current);
        assert!(!line.adopt(global.counters(), 60_000, UnixMillis(3_000)));
        let invalidated = Standing::Invalidated { since: UnixMillis(9_000) };
        for (mode, at, expected) in [(Mode::Soft, 8_000, invalidated), (Mode::Hard, 18_000, Standing::Purged)] {
            global.purge(vec![Purge { mode, scope: Scope::Tenant, window: 0 }], UnixMillis(at));
            assert!(line.adopt(global.counters(), 60_000, UnixMillis(at + 1_000)));
            assert_eq!(standing(&line, at + 999), expected);
            assert_eq!(standing(&line, at + 1_000), Standing::Current);
            assert!(!line.adopt(global.counters(), 60_000, UnixMillis(at + 5_000)));
            assert_eq!(Line::decode(&line.encode()).as_ref(), Some(&line));
        }
    }

    #[test]
    fn what_was_purged_for_all_tenants_waits_for_no_burst() {
        let (mut line, mut global) = (Line::begin(UnixMillis(1_000)), Line::begin(UnixMillis(900)));
        line.adopt(global.counters(), 60_000, UnixMillis(2_000));
        purge(&mut line, "ops", 8_900);
        global.purge(vec![Purge { mode: Mode::Hard, scope: Scope::Tenant, window: 0 }], UnixMillis(8_000));
        let before = line.counters().epoch;
        assert!(line.adopt(global.counters(), 60_000, UnixMillis(9_000)));
        assert_eq!((standing(&line, before.0), line.due()), (Standing::Purged, None));
    }

    #[test]
    fn a_line_survives_being_written_and_read() {
        let mut line = Line::begin(UnixMillis(1_000));
        assert_eq!(Line::decode(&line.encode()).as_ref(), Some(&line));
        for at in [5_000, 5_001, 5_002] {
            purge(&mut line, &format!("ops{at}"), at);
            assert_eq!(Line::decode(&line.encode()).as_ref(), Some(&line));
        }
        for text in ["", "0", "1\n\n0", "1 2 3\n\n0", "1 2 3 4 \n\n", "1 2 3 4\nx\n\n0", "1 2\nsoft 1\n\n0", "x\n\n0"] {
            assert_eq!(Line::decode(text), None, "{text:?}");
        }
    }
}
