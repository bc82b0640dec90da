//! Midnight (UTC) cuts what the Worker keeps and emits. A test that would straddle it waits until it is over.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: u64 = 24 * 60 * 60;
/// Longer than any test takes, and than any lifetime that a test has the origin shorten to.
const CLEAR: u64 = 90;

/// Whole seconds until the next midnight, rounded up.
pub fn left() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    DAY - now.as_secs() % DAY
}

/// Returns at once, unless midnight is near: then when it is over.
pub fn clear_of_midnight() {
    let left = left();
    if left <= CLEAR {
        std::thread::sleep(Duration::from_secs(left + 1));
    }
}

/// A lifetime of so many seconds as it may be cut for an answer that was asked for `seconds_ago` or later.
pub fn cut(lifetime: u32, seconds_ago: u64) -> RangeInclusive<i64> {
    let cut = |left: u64| i64::from(lifetime).min(i64::try_from(left).expect("a day is short"));
    cut(left().saturating_sub(1))..=cut(left() + seconds_ago)
}

/// What is left of such a lifetime when some seconds have passed, as a case's test allows.
pub fn ttl(lifetime: u32) -> RangeInclusive<i64> {
    let cut = cut(lifetime, 10);
    cut.start() - 10..=*cut.end()
}
