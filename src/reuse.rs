//! Whether a stored response may answer: a pure function of its head, its rule, the ledger's counters and now.

use crate::entry::Head;
use crate::epoch::{Counters, Covered};
use crate::rules::{Lifetimes, Seconds, WithoutLedger};
use crate::time::UnixMillis;

/// What a stored response is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// It answers (RFC 9111, section 4.2).
    Fresh {
        /// Its current age.
        age: Seconds,
        /// Seconds of freshness left.
        ttl: i64,
    },
    /// It is past its freshness lifetime, or past a boundary of the calendar.
    Stale {
        /// Not positive: for how long it has been stale.
        ttl: i64,
    },
    /// It is as if it were not there.
    Absent(Absence),
}

/// Why a stored response does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// Fetched before a purge that covers it.
    Purged,
    /// The ledger cannot be asked, and its class does not answer without.
    LedgerUnreachable,
}

/// Judges a stored response. `counters` is what the ledger said, if it could be asked.
#[must_use]
pub fn reuse(
    head: &Head,
    rule: &Lifetimes,
    entry: &Covered<'_>,
    counters: Option<&Counters>,
    now: UnixMillis,
) -> Reuse {
    match (counters, rule.without_ledger) {
        (Some(counters), _) if head.epoch < counters.hard(entry) => return Reuse::Absent(Absence::Purged),
        (None, WithoutLedger::Forward) => return Reuse::Absent(Absence::LedgerUnreachable),
        (Some(_), _) | (None, WithoutLedger::Serve) => {}
    }
    match head.ttl(rule, now) {
        ttl if ttl > 0 => Reuse::Fresh { age: head.current_age(now), ttl },
        ttl => Reuse::Stale { ttl },
    }
}

impl Absence {
    /// The word for header, log and metric.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Purged => "purged",
            Self::LedgerUnreachable => "ledger",
        }
    }
}
