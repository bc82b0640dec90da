//! What a class may take: of the origin, and of the tiers.

use super::super::parse::RawClass;
use super::super::table::{Demand, Limits, Seconds};
use super::Faults;
use core::ops::RangeInclusive;
use toml::Spanned;

/// No answer may take longer than the runtime lets work go on when its request is gone.
const TIMEOUT: RangeInclusive<Seconds> = 1..=30;
/// A request that is passed on may wait longer, since somebody waits with it.
const PASSED_TIMEOUT: RangeInclusive<Seconds> = 1..=300;
/// What is stored is read into memory, and a cache entry is at most so long that an isolate can hold a few.
const LARGEST_BODY: RangeInclusive<u32> = 1..=1024 * 1024;
const PERCENT: RangeInclusive<u32> = 1..=100;

pub(super) fn demand(class: &RawClass, is_stored: bool, rule: &str, faults: &mut Faults) -> Demand {
    let (timeout, first_byte) = if is_stored { (TIMEOUT, 10) } else { (PASSED_TIMEOUT, 60) };
    let demand = Demand {
        value: within(class.value.as_ref(), "value", PERCENT, 50, rule, faults),
        first_byte_timeout: within(
            class.first_byte_timeout.as_ref(),
            "first_byte_timeout",
            timeout,
            first_byte,
            rule,
            faults,
        ),
        between_bytes_timeout: within(
            class.between_bytes_timeout.as_ref(),
            "between_bytes_timeout",
            TIMEOUT,
            10,
            rule,
            faults,
        ),
        total_timeout: within(class.total_timeout.as_ref(), "total_timeout", TIMEOUT, 25, rule, faults),
    };
    if is_stored && demand.first_byte_timeout > demand.total_timeout {
        faults.add(
            class.name.span().start,
            rule,
            format!(
                "first_byte_timeout = {} is over total_timeout = {}: it would never come to that",
                demand.first_byte_timeout, demand.total_timeout
            ),
        );
    }
    demand
}

pub(super) fn limits(class: &RawClass, rule: &str, faults: &mut Faults) -> Limits {
    Limits {
        largest_body: within(class.largest_body.as_ref(), "largest_body", LARGEST_BODY, 256 * 1024, rule, faults),
        memory_percent: within(class.memory_percent.as_ref(), "memory_percent", PERCENT, 100, rule, faults),
        lease: class.lease.as_ref().is_some_and(|lease| *lease.get_ref()),
    }
}

/// A number that is there and in range, or the one that stands for it.
fn within(
    given: Option<&Spanned<u32>>,
    word: &str,
    range: RangeInclusive<u32>,
    without: u32,
    rule: &str,
    faults: &mut Faults,
) -> u32 {
    let Some(given) = given else { return without };
    let number = *given.get_ref();
    if range.contains(&number) {
        return number;
    }
    let (least, greatest) = (range.start(), range.end());
    faults.add(given.span().start, rule, format!("{word} = {number} is not between {least} and {greatest}"));
    without
}
