//! How long a stored response is fresh, and how old it is (RFC 9111, section 4.2): by its class, cut at the calendar,
//! or by its origin's word.

use crate::cache_control::{ResponseDirectives, delta_seconds};
use crate::date;
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
    /// What the origin stated of it, if it did.
    pub stated: Option<Seconds>,
    /// The age that it had when it was received (section 4.2.3).
    pub initial_age: Seconds,
    /// The boundary after which it is not fresh whatever its age.
    pub period_end: Option<UnixMillis>,
}

/// When a response was asked for, and when its head was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// Section 4.2.3: `request_time`.
    pub requested_at: UnixMillis,
    /// Section 4.2.3: `response_time`.
    pub received_at: UnixMillis,
}

/// Freshness of a response whose class decides. `stated` is the lifetime that the origin states, `age` the response's
/// Age field. The origin can shorten the class's lifetime, never lengthen it.
#[must_use]
pub fn by_class(rule: &Lifetimes, stated: Option<Seconds>, age: Option<&str>, exchange: Exchange) -> Freshness {
    let Exchange { requested_at, received_at } = exchange;
    // What is no age is taken as the greatest: less cacheable.
    let age = age.map_or(0, |age| age_value(age).unwrap_or(Seconds::MAX));
    let initial_age = corrected_age_value(age, exchange);
    let lifetime = stated.map_or(rule.s_maxage, |stated| stated.min(rule.s_maxage));
    // The period is that in which the figure was made, at the earliest: as old as it says, counted from the question.
    let made_at = UnixMillis(requested_at.0.saturating_sub(u64::from(age).saturating_mul(1000)));
    let period_end = period_end(rule.calendar, made_at);
    let left = period_end.map_or(Seconds::MAX, |end| end.seconds_since(received_at));
    Freshness { lifetime: lifetime.min(left.saturating_add(initial_age)), stated, initial_age, period_end }
}

/// The header fields of a response that tell of its freshness, on a route that follows its origin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Said<'a> {
    /// Age.
    pub age: Option<&'a str>,
    /// Date.
    pub date: Option<&'a str>,
    /// Expires, unless a targeted field takes its place (RFC 9213, section 2.2).
    pub expires: Option<&'a str>,
    /// Last-Modified.
    pub last_modified: Option<&'a str>,
}

/// The greatest lifetime that is guessed, in seconds.
const HEURISTIC_GREATEST: Seconds = 86_400;

/// Freshness of a response whose origin decides. `may_guess` says whether a lifetime may be guessed if none is stated.
#[must_use]
pub fn by_origin(directives: &ResponseDirectives, said: Said<'_>, may_guess: bool, exchange: Exchange) -> Freshness {
    let Exchange { received_at, .. } = exchange;
    let date = |text: Option<&str>| text.and_then(|text| date::parse(text, received_at));
    // RFC 9110, section 6.6.1: a recipient records the time of a message that came without a Date. One that cannot be
    // read is as good as none.
    let made_at = date(said.date).unwrap_or(received_at);
    // Section 5.1: a value that is no age is ignored.
    let age = said.age.and_then(age_value).unwrap_or(0);
    // Section 4.2.3: apparent_age = max(0, response_time - date_value).
    let initial_age = received_at.seconds_since(made_at).max(corrected_age_value(age, exchange));
    // Section 4.2.1: "If the cache is shared and the s-maxage response directive is present, use its value, or if the
    // max-age response directive is present, use its value, or if the Expires response header field is present, use
    // its value minus the value of the Date response header field".
    let stated = directives.shared_lifetime().or_else(|| {
        // Section 5.3: what is no date, and above all the value 0, is a time in the past.
        said.expires.map(|expires| date(Some(expires)).map_or(0, |expires| expires.seconds_since(made_at)))
    });
    let guessed = || {
        let modified_at = date(said.last_modified).filter(|_| may_guess)?;
        // Section 4.2.2: "a typical setting of this fraction might be 10%".
        Some((made_at.seconds_since(modified_at) / 10).min(HEURISTIC_GREATEST))
    };
    let lifetime = if directives.no_cache { 0 } else { stated.or_else(guessed).unwrap_or(0) };
    Freshness { lifetime, stated, initial_age, period_end: None }
}

/// Section 4.2.3: `corrected_age_value = age_value + response_delay`.
fn corrected_age_value(age: Seconds, exchange: Exchange) -> Seconds {
    age.saturating_add(exchange.received_at.seconds_since(exchange.requested_at))
}

/// An Age field's value: of several the first (section 5.1), and nothing if that is no number.
fn age_value(text: &str) -> Option<Seconds> {
    delta_seconds(text.split(',').next()?.trim())
}

#[cfg(test)]
mod tests {
    use super::{Exchange, Freshness, Said, by_class, by_origin, period_end};
    use crate::cache_control::ResponseDirectives;
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
        let stated = ResponseDirectives::parse(cache_control).shared_lifetime();
        let exchange = Exchange { requested_at: UnixMillis(taken.0), received_at: UnixMillis(taken.1) };
        let read = by_class(&rule, stated, age, exchange);
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
        check(plain, "", Some("7, 100"), (0, 0), 300, 7);
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

    /// 2026-03-31T23:50:00Z, as a date, ten seconds before, and a hundred after.
    const NOW: &str = "Tue, 31 Mar 2026 23:50:00 GMT";
    const BEFORE: &str = "Tue, 31 Mar 2026 23:49:50 GMT";
    const AFTER: &str = "Tue, 31 Mar 2026 23:51:40 GMT";

    /// Received at `NOW`, after two seconds.
    #[track_caller]
    fn check_origin(cache_control: &str, said: Said<'_>, lifetime: u32, initial_age: u32) {
        let directives = ResponseDirectives::parse(cache_control);
        let received_at = UnixMillis(TEN_TO_MIDNIGHT);
        let exchange = Exchange { requested_at: UnixMillis(TEN_TO_MIDNIGHT - 2_000), received_at };
        let Freshness { lifetime: read, initial_age: age, period_end, .. } =
            by_origin(&directives, said, true, exchange);
        assert_eq!((read, age, period_end), (lifetime, initial_age, None), "{cache_control} {said:?}");
    }

    const SAID: Said<'_> = Said { age: None, date: Some(NOW), expires: None, last_modified: None };

    #[test]
    fn an_origin_states_a_lifetime_in_three_ways_and_the_first_counts() {
        let said = Said { expires: Some(AFTER), ..SAID };
        check_origin("max-age=10, s-maxage=20", said, 20, 2);
        check_origin("max-age=10", said, 10, 2);
        check_origin("max-age=x", said, 0, 2);
        check_origin("", said, 100, 2);
        check_origin("", SAID, 0, 2);
        check_origin("max-age=10, no-cache", said, 0, 2);
    }

    #[test]
    fn expires_counts_from_the_date() {
        check_origin("", Said { date: Some(BEFORE), expires: Some(NOW), ..SAID }, 10, 10);
        check_origin("", Said { date: Some(AFTER), expires: Some(NOW), ..SAID }, 0, 2);
        check_origin("", Said { date: None, expires: Some(AFTER), ..SAID }, 100, 2);
        check_origin("", Said { date: Some("x"), expires: Some(AFTER), ..SAID }, 100, 2);
        let twice = format!("{AFTER}, {AFTER}");
        for expires in ["0", "-1", "", "x", NOW, BEFORE, twice.as_str()] {
            check_origin("", Said { expires: Some(expires), ..SAID }, 0, 2);
        }
    }

    #[test]
    fn the_age_is_the_greater_of_what_is_said_and_what_the_date_shows() {
        check_origin("max-age=60", Said { age: Some("5"), ..SAID }, 60, 7);
        check_origin("max-age=60", Said { age: Some("5, 9"), ..SAID }, 60, 7);
        check_origin("max-age=60", Said { age: Some("5"), date: Some(BEFORE), ..SAID }, 60, 10);
        check_origin("max-age=60", Said { age: Some("99999999999"), ..SAID }, 60, u32::MAX);
        for ignored in ["-5", "1.5", "x", "x, 9", "", "1e99"] {
            check_origin("max-age=60", Said { age: Some(ignored), ..SAID }, 60, 2);
        }
    }

    #[test]
    fn a_tenth_of_the_time_since_it_was_modified_is_guessed() {
        check_origin("", Said { date: Some(AFTER), last_modified: Some(NOW), ..SAID }, 10, 2);
        check_origin("", Said { last_modified: Some(AFTER), ..SAID }, 0, 2);
        check_origin("", Said { last_modified: Some("Sun, 06 Nov 1994 08:49:37 GMT"), ..SAID }, 86_400, 2);
        check_origin("max-age=3", Said { date: Some(AFTER), last_modified: Some(NOW), ..SAID }, 3, 2);
        let exchange = Exchange { requested_at: UnixMillis(TEN_TO_MIDNIGHT), received_at: UnixMillis(TEN_TO_MIDNIGHT) };
        let said = Said { date: Some(AFTER), last_modified: Some(NOW), ..SAID };
        assert_eq!(by_origin(&ResponseDirectives::default(), said, false, exchange).lifetime, 0);
    }
}
