//! Points in time. Nothing here, nor anywhere in the core, reads a clock: `now` is always an argument.

use crate::rules::Seconds;
use alloc::string::String;
use serde::Serialize;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Hash)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// Whole seconds from `earlier` to `self`; 0 if the clock went back in between.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> Seconds {
        Seconds::try_from(self.0.saturating_sub(earlier.0) / 1000).unwrap_or(Seconds::MAX)
    }
}

/// As RFC 3339 has it, in UTC with milliseconds: `2026-03-31T00:00:00.000Z`.
#[must_use]
pub fn rfc3339(at: UnixMillis) -> String {
    let (seconds, millis) = (at.0 / 1000, at.0 % 1000);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Year, month and day of a day since 1970-01-01.
#[must_use]
pub fn civil(days: u64) -> (u64, u64, u64) {
    // Days since 0000-03-01 in eras of 400 years; a year that begins in March ends with its leap day.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{UnixMillis, rfc3339};

    #[test]
    fn a_time_is_written_as_a_date() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_868_799_001, "2000-02-29T23:59:59.001Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_774_915_200_000, "2026-03-31T00:00:00.000Z"),
            (1_798_761_599_000, "2026-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(UnixMillis(millis)), text);
        }
    }
}
