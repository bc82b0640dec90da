//! HTTP dates (RFC 9110, section 5.6.7): read in the three formats that there are, written in the one that is sent.

use crate::time::{UnixMillis, civil};
use alloc::string::String;

const WEEKDAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_SECONDS: u64 = 86_400;

/// Reads a date. What is in none of the formats is nothing; names are read in any case. `now` says in which century
/// two digits of a year are meant.
///
/// A time before 1970 is read as 1970: both are past.
#[must_use]
pub fn parse(text: &str, now: UnixMillis) -> Option<UnixMillis> {
    let mut parts = text.trim_matches([' ', '\t']).split(' ');
    let first = parts.next()?;
    let (day, month, year, time) = match first.strip_suffix(',') {
        // Sun, 06 Nov 1994 08:49:37 GMT
        Some(weekday) if is_weekday(weekday, true) => {
            let (day, month, year) = (digits(parts.next()?, 2)?, parts.next()?, digits(parts.next()?, 4)?);
            let time = parts.next()?;
            parts.next()?.eq_ignore_ascii_case("GMT").then_some((day, month, year, time))?
        }
        // Sunday, 06-Nov-94 08:49:37 GMT
        Some(weekday) if is_weekday(weekday, false) => {
            let mut date = parts.next()?.split('-');
            let (day, month, year) = (digits(date.next()?, 2)?, date.next()?, digits(date.next()?, 2)?);
            let time = parts.next()?;
            let whole = date.next().is_none() && parts.next()?.eq_ignore_ascii_case("GMT");
            whole.then_some((day, month, in_full(year, now), time))?
        }
        Some(_) => return None,
        // Sun Nov  6 08:49:37 1994
        None => {
            is_weekday(first, true).then_some(())?;
            let month = parts.next()?;
            let day = match parts.next()? {
                "" => digits(parts.next()?, 1)?,
                day => digits(day, 2)?,
            };
            let time = parts.next()?;
            (day, month, digits(parts.next()?, 4)?, time)
        }
    };
    parts.next().is_none().then_some(())?;
    let month = (1..).zip(MONTHS).find(|(_, name)| name.eq_ignore_ascii_case(month))?.0;
    let days = days(year, month, day)?;
    let mut time = time.split(':');
    let (hour, minute, second) = (digits(time.next()?, 2)?, digits(time.next()?, 2)?, digits(time.next()?, 2)?);
    // A leap second is the 60th.
    (time.next().is_none() && hour < 24 && minute < 60 && second <= 60).then_some(())?;
    let seconds = days * i64::try_from(DAY_SECONDS).ok()? + i64::from(hour * 3600 + minute * 60 + second);
    Some(UnixMillis(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000)))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
#[must_use]
pub fn format(at: UnixMillis) -> String {
    let seconds = at.0 / 1000;
    let days = seconds / DAY_SECONDS;
    let (year, month, day) = civil(days);
    let name = |names: &'static [&'static str], index: u64| {
        usize::try_from(index)
            .ok()
            .and_then(|index| names.get(index))
            .and_then(|name| name.get(..3))
            .unwrap_or_default()
    };
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        name(&WEEKDAYS, days % 7),
        name(&MONTHS, month - 1),
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

fn is_weekday(text: &str, is_short: bool) -> bool {
    WEEKDAYS.iter().any(|name| {
        if is_short { name.get(..3) } else { Some(*name) }.is_some_and(|name| name.eq_ignore_ascii_case(text))
    })
}

/// Exactly so many digits.
fn digits(text: &str, count: usize) -> Option<u32> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// A year of two digits: one that seems to be more than 50 years ahead is that of the century before.
fn in_full(year: u32, now: UnixMillis) -> u32 {
    let (now, ..) = civil(now.0 / 1000 / DAY_SECONDS);
    let now = u32::try_from(now).unwrap_or(u32::MAX);
    let year = now / 100 * 100 + year;
    if year > now.saturating_add(50) { year - 100 } else { year }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar. A day that its month does not have is none.
fn days(year: u32, month: u32, day: u32) -> Option<i64> {
    let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let length = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (1..=length).contains(&day).then_some(())?;
    // Counted in years that begin in March, so that a leap day is the last of its year.
    let (year, month) = if month > 2 { (i64::from(year), month - 3) } else { (i64::from(year) - 1, month + 9) };
    let of_year = i64::from((153 * month + 2) / 5 + day - 1);
    Some(365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::{format, parse};
    use crate::time::UnixMillis;

    /// 2026-11-23.
    const NOW: UnixMillis = UnixMillis(1_795_392_000_000);

    #[track_caller]
    fn check(text: &str, seconds: Option<u64>) {
        assert_eq!(parse(text, NOW).map(|at| at.0), seconds.map(|seconds| seconds * 1000), "{text}");
    }

    #[test]
    fn the_three_formats_are_read_in_any_case() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "sUN, 06 nOV 1994 08:49:37 gmt",
            " Sun, 06 Nov 1994 08:49:37 GMT\t",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun Nov 06 08:49:37 1994",
        ] {
            check(text, Some(784_111_777));
        }
        check("Thu, 01 Jan 1970 00:00:00 GMT", Some(0));
        check("Wed, 31 Dec 1969 23:59:59 GMT", Some(0));
        check("Mon, 01 Jan 0000 00:00:00 GMT", Some(0));
        check("Thu, 29 Feb 2024 23:59:60 GMT", Some(1_709_251_200));
        check("Mon, 18 Jan 2038 03:14:08 GMT", Some(2_147_397_248));
        check("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799));
    }

    #[test]
    fn two_digits_of_a_year_are_at_most_fifty_years_ahead() {
        check("Tuesday, 01-Jan-76 00:00:00 GMT", Some(3_345_062_400));
        check("Saturday, 01-Jan-77 00:00:00 GMT", Some(220_924_800));
        check("Tuesday, 01-Jan-00 00:00:00 GMT", Some(946_684_800));
    }

    #[test]
    fn anything_else_is_no_date() {
        for text in [
            "",
            "0",
            "-1",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 AEST",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "Sun,  06 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 06 Nov 1994 08:49:37:00 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Wed, 29 Feb 2023 08:49:37 GMT",
            "Wed, 29 Feb 2100 08:49:37 GMT",
            "Thu, 31 Apr 2026 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT GMT",
            "Xxx, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Xxx 1994 08:49:37 GMT",
            "Xxxday, 06-Nov-94 08:49:37 GMT",
            "Sunday, 06-Nov-94-1 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 UTC",
            "Sunday, 06 Nov 1994 08:49:37 GMT",
            "Sunday Nov  6 08:49:37 1994",
            "Sun Nov 6 08:49:37 1994",
            "Sun Nov  6 08:49:37 94",
            "Sun Nov  6 08:49:37 1994 GMT",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(format(UnixMillis(784_111_777_999)), "Sun, 06 Nov 1994 08:49:37 GMT");
        for seconds in (0..8_000_000_000).step_by(86_400 * 29 + 7) {
            check(&format(UnixMillis(seconds * 1000)), Some(seconds));
        }
    }
}
