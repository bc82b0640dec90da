//! Early refresh: a fresh response of a hot key is renewed before its end, by a chance that rises towards it. So the
//! requests of many isolates and locations do not all come upon that end at once.
//!
//! `XFetch`: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", PVLDB 8(8), 2015,
//! figure 3, with beta = 1. The random number is an argument.

use crate::entry::Head;

/// The least time that a fill counts as taking, in milliseconds: lifetimes count whole seconds.
const FILL_LEAST_MS: u64 = 1_000;

/// The unit of the logarithm below.
const ONE: u64 = 1024;
/// The natural logarithm of 2, in 1/1024.
const LN_2: u64 = 710;

/// Whether a response with `ttl` seconds of freshness left is renewed already: if
/// `ttl <= time that its fill took * -ln(random)`, `random` being even in (0, 1].
pub fn is_early(head: &Head, ttl: i64, random: impl FnOnce() -> u64) -> bool {
    let took = head.received_at.0.saturating_sub(head.requested_at.0).max(FILL_LEAST_MS);
    let left = u64::try_from(ttl).unwrap_or(0).saturating_mul(1000);
    // Most responses are further from their end than any number could bring them.
    left <= took.saturating_mul(GREATEST) / ONE && left <= took.saturating_mul(negative_logarithm(random())) / ONE
}

/// `-ln` of the least number that there is.
const GREATEST: u64 = 65 * LN_2;

/// `-ln(random / 2^64)` in 1/1024. Between powers of two it is a straight line, which is at most 0.06 from the curve.
fn negative_logarithm(random: u64) -> u64 {
    let zeros = random.leading_zeros();
    // What stands behind the highest bit that is set.
    let rest = random.checked_shl(zeros + 1).unwrap_or(0) >> (u64::BITS - ONE.trailing_zeros());
    ((u64::from(zeros) + 1) * ONE - rest) * LN_2 / ONE
}

#[cfg(test)]
mod tests {
    use super::{is_early, negative_logarithm};
    use crate::entry::{FORMAT, Head};
    use crate::epoch::Epoch;
    use crate::time::UnixMillis;
    use crate::validation::Validators;
    use alloc::string::String;

    #[test]
    fn it_is_the_logarithm() {
        for (share, expected) in [(1.0_f64, 0.0_f64), (0.75, 0.288), (0.5, 0.693), (0.1, 2.303), (0.001, 6.908)] {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of 2^64")]
            let random = (share * 18_446_744_073_709_551_615.0) as u64;
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let found = negative_logarithm(random) as f64 / 1024.0;
            assert!((found - expected).abs() < 0.07, "{share}: {found} and not {expected}");
        }
        assert_eq!(negative_logarithm(0), 65 * 710);
    }

    /// Of a response whose fill took so many milliseconds.
    fn early(took: u64, ttl: i64, random: u64) -> bool {
        is_early(&head(took), ttl, || random)
    }

    #[test]
    fn the_chance_rises_towards_the_end_and_with_the_time_that_a_fill_takes() {
        // By the theory, exp(-ttl / took) of all numbers: a small share, then a third of them, at the end every one.
        let share = |took, ttl| {
            let (many, step) = (10_000, u64::MAX / 10_000);
            (0..many).filter(|number| early(took, ttl, number * step)).count()
        };
        for (took, ttl, expected) in
            [(1000, 5, 67), (1000, 1, 3679), (1000, 0, 10_000), (5000, 5, 3679), (5000, 20, 183)]
        {
            let found = share(took, ttl);
            assert!(found.abs_diff(expected) < 20 + expected / 10, "{took} ms, {ttl} s: {found} and not {expected}");
        }
        assert_eq!(share(10, 5), share(1000, 5), "a second is the least");
    }

    #[test]
    fn far_from_the_end_no_number_is_asked_for() {
        let far = |ttl| {
            let mut asked = false;
            assert!(!is_early(&head(1_000), ttl, || {
                asked = true;
                u64::MAX
            }));
            asked
        };
        assert!(!far(60));
        assert!(far(20));
    }

    fn head(took: u64) -> Head {
        Head {
            format: FORMAT,
            status: 200,
            requested_at: UnixMillis(0),
            received_at: UnixMillis(took),
            initial_age: 0,
            lifetime: 300,
            period_end: None,
            epoch: Epoch(0),
            etag: String::new(),
            digest: String::new(),
            length: 0,
            headers: vec![],
            marks: String::new(),
            stated: None,
            validators: Validators::default(),
            followed: None,
        }
    }
}
