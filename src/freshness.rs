//! How long a stored response is fresh, and how old it is (RFC 9111, section 4.2), cut at the calendar.

use crate::cache_control::OriginDirectives;
use crate::rules::{Calendar, Lifetimes, Seconds};
use crate::time::UnixMillis;

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// The end (UTC) of the calendar's period that holds `at`, if the class has one.
#[must_use]
pub fn period_end(calendar: Calendar, at: UnixMillis) -> Option<UnixMillis> {
    match calendar {
        Calendar::None => None,
        Calendar::Day => Some(UnixMillis((at.0 / DAY_MILLIS).saturating_add(1).saturating_mul(DAY_MILLIS))),
    }
}

/// What is fixed about a response's freshness when it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Counted from the moment the origin made the response, in seconds. 0: never fresh.
    pub lifetime: Seconds,
    /// The age that it had when it was received (section 4.2.3).
    pub initial_age: Seconds,
    /// The boundary after which it is not fresh whatever its age.
    pub period_end: Option<UnixMillis>,
}

/// Freshness of a response asked for at `requested_at` whose head came at `received_at`.
///
/// `age` is the response's Age field. The origin can shorten the class's lifetime, never lengthen it.
#[must_use]
pub fn freshness(
    rule: &Lifetimes,
    directives: &OriginDirectives,
    age: Option<&str>,
    requested_at: UnixMillis,
    received_at: UnixMillis,
) -> Freshness {
    // Section 4.2.3: corrected_age_value = age_value + response_delay.
    let age = age.map_or(0, age_value);
    let initial_age = age.saturating_add(received_at.seconds_since(requested_at));
    let stated = directives.shared_lifetime().map_or(rule.s_maxage, |origin| origin.min(rule.s_maxage));
    // The period is that in which the figure was made, at the earliest: as old as it says, counted from the question.
    let made_at = UnixMillis(requested_at.0.saturating_sub(u64::from(age).saturating_mul(1000)));
    let period_end = period_end(rule.calendar, made_at);
    let left = period_end.map_or(Seconds::MAX, |end| end.seconds_since(received_at));
    Freshness { lifetime: stated.min(left.saturating_add(initial_age)), initial_age, period_end }
}

/// An Age field's value (section 5.1). What is no number is taken as the greatest age: less cacheable.
fn age_value(text: &str) -> Seconds {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().unwrap_or(Seconds::MAX) } else { Seconds::MAX }
}

#[cfg(test)]
mod tests {
    use super::{freshness, period_end};
    use crate::cache_control::OriginDirectives;
    use crate::rules::{Bounds, Calendar, Lifetimes, WithoutLedger};
    use crate::time::UnixMillis;

    /// 2026-03-31T23:50:00Z.
    const TEN_TO_MIDNIGHT: u64 = 1_775_001_000_000;
    const MIDNIGHT: u64 = TEN_TO_MIDNIGHT + 600_000;

    fn rule(s_maxage: u32, calendar: Calendar) -> Lifetimes {
        Lifetimes {
            s_maxage,
            max_age: 0,
            stale_while_revalidate: 0,
            stale_if_error: 0,
            soft_window: 0,
            calendar,
            without_ledger: WithoutLedger::Forward,
            snapshot: Bounds { isolate: 1, bound: 5, behind: None },
        }
    }

    #[track_caller]
    fn check(
        rule: Lifetimes,
        cache_control: &str,
        age: Option<&str>,
        taken: (u64, u64),
        lifetime: u32,
        initial_age: u32,
    ) {
        let directives = OriginDirectives::parse(cache_control);
        let read = freshness(&rule, &directives, age, UnixMillis(taken.0), UnixMillis(taken.1));
        assert_eq!((read.lifetime, read.initial_age), (lifetime, initial_age));
    }

    #[test]
    fn the_class_decides_and_the_origin_can_only_shorten() {
        let plain = rule(300, Calendar::None);
        check(plain, "", None, (0, 0), 300, 0);
        check(plain, "s-maxage=60", None, (0, 0), 60, 0);
        check(plain, "max-age=86400", None, (0, 0), 300, 0);
        check(plain, "max-age=0", None, (0, 0), 0, 0);
    }

    #[test]
    fn an_age_from_the_origin_counts_and_junk_counts_as_old() {
        let plain = rule(300, Calendar::None);
        check(plain, "", Some("100"), (0, 2_900), 300, 102);
        check(plain, "", Some("99999999999"), (0, 0), 300, u32::MAX);
        check(plain, "", Some("-5"), (0, 0), 300, u32::MAX);
    }

    #[test]
    fn the_calendar_cuts_the_lifetime() {
        let daily = rule(3600, Calendar::Day);
        check(daily, "", None, (TEN_TO_MIDNIGHT, TEN_TO_MIDNIGHT), 600, 0);
        check(daily, "", None, (TEN_TO_MIDNIGHT, TEN_TO_MIDNIGHT + 1), 599, 0);
        check(daily, "", Some("10"), (TEN_TO_MIDNIGHT, TEN_TO_MIDNIGHT), 610, 10);
        // Made before midnight by what its age says, though asked for after it.
        check(daily, "", Some("300"), (MIDNIGHT + 60_000, MIDNIGHT + 60_000), 300, 300);
        // Asked for before midnight, received after it: nobody knows of which day it is.
        check(daily, "", None, (MIDNIGHT - 1, MIDNIGHT + 1), 0, 0);
    }

    #[test]
    fn periods_end_at_midnight() {
        let end = |calendar, at| period_end(calendar, UnixMillis(at)).map(|end| end.0);
        assert_eq!(end(Calendar::None, TEN_TO_MIDNIGHT), None);
        assert_eq!(end(Calendar::Day, TEN_TO_MIDNIGHT), Some(MIDNIGHT));
        assert_eq!(end(Calendar::Day, MIDNIGHT), Some(MIDNIGHT + 86_400_000));
    }
}
