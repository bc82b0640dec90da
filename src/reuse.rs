//! Whether a stored response may answer: a pure function of its head, its rule, where it stands against the ledger's
//! counters, and now.

use crate::cache_control::RequestDirectives;
use crate::entry::Head;
use crate::epoch::Standing;
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
    /// It answers while it is being renewed, though it is stale.
    WhileRenewed(Stale),
    /// It answers only if the origin fails (RFC 5861, section 4).
    OnError(Stale),
    /// It is stale, and past every window. It can still be validated.
    Expired(Stale),
    /// It is fresh, but not as the request wants it (RFC 9111, section 5.2.1).
    Unwanted(Stale),
    /// It is as if it were not there.
    Purged,
}

/// How a stored response is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale {
    /// Its current age.
    pub age: Seconds,
    /// Seconds of freshness left; of an expired one not positive: for how long it has been stale.
    pub ttl: i64,
    /// What ended its freshness.
    pub why: Staleness,
}

/// What ends a stored response's freshness. The word in header, log and metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staleness {
    /// Its lifetime is over.
    Expired,
    /// The calendar's period in which it was made is over.
    PreviousPeriod,
    /// A soft purge came after it.
    Invalidated,
    /// The ledger cannot be asked whether it was purged.
    Ledger,
    /// Nothing did: the request wants a newer one.
    Request,
}

impl Staleness {
    /// Whether what is stale in this way and answers all the same is renewed behind the answer.
    #[must_use]
    pub fn is_renewed(self) -> bool {
        matches!(self, Self::Invalidated | Self::Expired)
    }

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::PreviousPeriod => "previous-period",
            Self::Invalidated => "invalidated",
            Self::Ledger => "ledger",
            Self::Request => "request",
        }
    }
}

/// What is known of the purges that cover a stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Knowledge {
    /// Where it stands, by the counters that there are.
    pub standing: Standing,
    /// Whether those counters may still judge.
    pub within: bool,
    /// The client knows of a later position, so no stale answer will do.
    pub insisting: bool,
}

/// Judges a stored response. `asked` is what the request wants of a cache; nothing, on a route whose class decides.
#[must_use]
pub fn reuse(head: &Head, rule: &Lifetimes, known: Knowledge, asked: &RequestDirectives, now: UnixMillis) -> Reuse {
    let (age, ttl) = (head.current_age(now), head.ttl(rule, now));
    let stale = |why| Stale { age, ttl, why };
    // RFC 5861: a class's own windows, or those that the origin states.
    let (while_revalidate, if_error) = match &head.followed {
        Some(followed) => (followed.while_revalidate, followed.if_error),
        // Who says that an answer is good for a short time does not mean it to be used for a long one.
        None => (rule.stale_while_revalidate.min(head.stated.unwrap_or(Seconds::MAX)), rule.stale_if_error),
    };
    let on_error = |why| {
        if ttl > -i64::from(if_error) { Reuse::OnError(stale(why)) } else { Reuse::Expired(stale(why)) }
    };
    // Sections 5.2.1.4 and 5.2.1.1: no-cache wants nothing stored without validation, max-age nothing older.
    let is_wanted = !asked.no_cache && asked.max_age.is_none_or(|max_age| age <= max_age);
    if known.standing == Standing::Purged {
        return Reuse::Purged;
    }
    if !known.within && rule.without_ledger == WithoutLedger::Forward {
        return on_error(Staleness::Ledger);
    }
    // A soft purge leaves its window, counted from the first one, and takes nothing from the others.
    let in_soft_window = |since: UnixMillis| now.0 < since.0.saturating_add(u64::from(rule.soft_window) * 1000);
    if ttl <= 0 {
        let crossed = head.period_end.is_some_and(|end| now >= end);
        // Section 5.2.1.2: max-stale accepts it, unless section 4.2.4 forbids it to the cache.
        let accepted = if head.followed.as_ref().is_some_and(|of| !of.forbids_stale) { asked.max_stale } else { 0 };
        // Section 5.2.1.1: who says max-age and no max-stale wants nothing stale.
        let in_window = !crossed && asked.max_age.is_none() && ttl > -i64::from(while_revalidate);
        let is_accepted = accepted > 0 && ttl >= -i64::from(accepted);
        let is_usable = match known.standing {
            Standing::Current => in_window || is_accepted,
            Standing::Invalidated { since } => in_window && in_soft_window(since),
            Standing::Purged => false,
        };
        if is_usable && known.within && is_wanted && !known.insisting {
            return Reuse::WhileRenewed(stale(Staleness::Expired));
        }
        return on_error(if crossed { Staleness::PreviousPeriod } else { Staleness::Expired });
    }
    match known.standing {
        Standing::Invalidated { since } => {
            if in_soft_window(since) && is_wanted && !known.insisting {
                // Without the ledger, nobody can say whether a later purge made it absent.
                Reuse::WhileRenewed(stale(if known.within { Staleness::Invalidated } else { Staleness::Ledger }))
            } else {
                on_error(Staleness::Invalidated)
            }
        }
        // Section 5.2.1.3: min-fresh wants it to be fresh for so long.
        Standing::Current | Standing::Purged if !is_wanted || ttl < i64::from(asked.min_fresh) => {
            Reuse::Unwanted(stale(Staleness::Request))
        }
        Standing::Current | Standing::Purged if known.within => Reuse::Fresh { age, ttl },
        // Whether it is the newer one that the client knows of, nobody can say.
        Standing::Current | Standing::Purged if known.insisting => on_error(Staleness::Ledger),
        Standing::Current | Standing::Purged => Reuse::WhileRenewed(stale(Staleness::Ledger)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Knowledge, Reuse, Stale, Staleness, reuse};
    use crate::cache_control::RequestDirectives;
    use crate::entry::{FORMAT, Followed, Head};
    use crate::epoch::{Epoch, Standing};
    use crate::rules::{Bounds, Calendar, Lifetimes, WithoutLedger};
    use crate::time::UnixMillis;
    use crate::validation::Validators;
    use alloc::string::String;

    const KNOWN: Knowledge = Knowledge { standing: Standing::Current, within: true, insisting: false };
    const INVALIDATED: Knowledge =
        Knowledge { standing: Standing::Invalidated { since: UnixMillis(50_000) }, within: true, insisting: false };
    const UNKNOWN: Knowledge = Knowledge { standing: Standing::Current, within: false, insisting: false };

    fn rule(without_ledger: WithoutLedger) -> Lifetimes {
        Lifetimes {
            s_maxage: 100,
            max_age: 0,
            stale_while_revalidate: 30,
            stale_if_error: 200,
            soft_window: 10,
            calendar: Calendar::Day,
            without_ledger,
            snapshot: Bounds { isolate: 1, bound: 5, behind: None },
        }
    }

    /// Of a response that was received at 0 and is fresh for 100 s, but in the period that ends at 70 s if `cut`.
    #[track_caller]
    fn check(known: Knowledge, without_ledger: WithoutLedger, cut: bool, now: u64, expected: Reuse) {
        let head = head(cut);
        let judged = reuse(&head, &rule(without_ledger), known, &RequestDirectives::default(), UnixMillis(now));
        assert_eq!(judged, expected, "{known:?} at {now}");
    }

    fn head(cut: bool) -> Head {
        Head {
            format: FORMAT,
            status: 200,
            requested_at: UnixMillis(0),
            received_at: UnixMillis(0),
            initial_age: 0,
            lifetime: 100,
            period_end: cut.then_some(UnixMillis(70_000)),
            epoch: Epoch(0),
            etag: "W/\"\"".into(),
            digest: String::new(),
            length: 0,
            headers: vec![],
            marks: String::new(),
            stated: None,
            validators: Validators::default(),
            followed: None,
        }
    }

    fn stale(seconds: u32, ttl: i64, why: Staleness) -> Stale {
        Stale { age: seconds, ttl, why }
    }

    #[test]
    fn a_current_one_is_fresh_then_good_while_it_is_renewed_then_on_error() {
        for without in [WithoutLedger::Forward, WithoutLedger::Serve] {
            check(KNOWN, without, false, 99_999, Reuse::Fresh { age: 99, ttl: 1 });
            check(KNOWN, without, false, 100_000, Reuse::WhileRenewed(stale(100, 0, Staleness::Expired)));
            check(KNOWN, without, false, 129_999, Reuse::WhileRenewed(stale(129, -29, Staleness::Expired)));
            check(KNOWN, without, false, 130_000, Reuse::OnError(stale(130, -30, Staleness::Expired)));
            check(KNOWN, without, false, 299_999, Reuse::OnError(stale(299, -199, Staleness::Expired)));
            check(KNOWN, without, false, 300_000, Reuse::Expired(stale(300, -200, Staleness::Expired)));
            check(KNOWN, without, true, 69_999, Reuse::Fresh { age: 69, ttl: 31 });
            check(KNOWN, without, true, 70_000, Reuse::OnError(stale(70, 0, Staleness::PreviousPeriod)));
        }
    }

    #[test]
    fn an_invalidated_one_answers_for_the_window_and_within_its_lifetime() {
        let without = WithoutLedger::Forward;
        check(INVALIDATED, without, false, 50_000, Reuse::WhileRenewed(stale(50, 50, Staleness::Invalidated)));
        check(INVALIDATED, without, false, 59_999, Reuse::WhileRenewed(stale(59, 41, Staleness::Invalidated)));
        check(INVALIDATED, without, false, 60_000, Reuse::OnError(stale(60, 40, Staleness::Invalidated)));
        let late = Knowledge { standing: Standing::Invalidated { since: UnixMillis(95_000) }, ..KNOWN };
        check(late, without, false, 104_999, Reuse::WhileRenewed(stale(104, -4, Staleness::Expired)));
        check(late, without, false, 105_000, Reuse::OnError(stale(105, -5, Staleness::Expired)));
        let at_the_end = Knowledge { standing: Standing::Invalidated { since: UnixMillis(125_000) }, ..KNOWN };
        check(at_the_end, without, false, 130_000, Reuse::OnError(stale(130, -30, Staleness::Expired)));
        check(at_the_end, without, true, 126_000, Reuse::OnError(stale(126, -56, Staleness::PreviousPeriod)));
        let insisting = Knowledge { insisting: true, ..INVALIDATED };
        check(insisting, without, false, 50_000, Reuse::OnError(stale(50, 50, Staleness::Invalidated)));
    }

    #[test]
    fn an_invalidated_one_without_the_ledger_says_so() {
        let unknown = Knowledge { within: false, ..INVALIDATED };
        check(unknown, WithoutLedger::Serve, false, 50_000, Reuse::WhileRenewed(stale(50, 50, Staleness::Ledger)));
    }

    #[test]
    fn an_origin_that_shortens_the_lifetime_shortens_the_window() {
        let head = Head { lifetime: 10, stated: Some(10), ..head(false) };
        let judged = |now| {
            let now = UnixMillis(now);
            reuse(&head, &rule(WithoutLedger::Forward), KNOWN, &RequestDirectives::default(), now)
        };
        assert_eq!(judged(9_999), Reuse::Fresh { age: 9, ttl: 1 });
        assert_eq!(judged(19_999), Reuse::WhileRenewed(stale(19, -9, Staleness::Expired)));
        assert_eq!(judged(20_000), Reuse::OnError(stale(20, -10, Staleness::Expired)));
    }

    #[test]
    fn a_purged_one_is_good_for_nothing() {
        for within in [true, false] {
            let purged = Knowledge { standing: Standing::Purged, within, insisting: false };
            check(purged, WithoutLedger::Forward, false, 1_000, Reuse::Purged);
            check(purged, WithoutLedger::Serve, false, 1_000, Reuse::Purged);
        }
    }

    #[test]
    fn without_the_ledger_the_class_decides() {
        check(UNKNOWN, WithoutLedger::Serve, false, 1_000, Reuse::WhileRenewed(stale(1, 99, Staleness::Ledger)));
        let insisting = Knowledge { insisting: true, ..UNKNOWN };
        check(insisting, WithoutLedger::Serve, false, 1_000, Reuse::OnError(stale(1, 99, Staleness::Ledger)));
        check(UNKNOWN, WithoutLedger::Serve, false, 100_000, Reuse::OnError(stale(100, 0, Staleness::Expired)));
        check(UNKNOWN, WithoutLedger::Forward, false, 1_000, Reuse::OnError(stale(1, 99, Staleness::Ledger)));
        check(UNKNOWN, WithoutLedger::Forward, false, 300_000, Reuse::Expired(stale(300, -200, Staleness::Ledger)));
    }

    const ASKS_NOTHING: RequestDirectives = RequestDirectives {
        no_cache: false,
        no_store: false,
        only_if_cached: false,
        max_age: None,
        min_fresh: 0,
        max_stale: 0,
    };

    /// The same of a route that follows its origin, with 20 s of use while it is validated and 40 s on error.
    #[track_caller]
    fn check_asked(known: Knowledge, forbids_stale: bool, asked: RequestDirectives, now: u64, expected: Reuse) {
        let (while_revalidate, if_error) = if forbids_stale { (0, 0) } else { (20, 40) };
        let (nominated, variance) = (String::new(), String::new());
        let followed = Followed { forbids_stale, while_revalidate, if_error, nominated, variance };
        let head = Head { followed: Some(followed), ..head(false) };
        let judged = reuse(&head, &rule(WithoutLedger::Serve), known, &asked, UnixMillis(now));
        assert_eq!(judged, expected, "{asked:?} at {now}");
    }

    #[test]
    fn what_is_stale_by_its_own_age_or_by_a_soft_purge_is_renewed() {
        for renewed in [Staleness::Invalidated, Staleness::Expired] {
            assert!(renewed.is_renewed(), "{renewed:?}");
        }
        for other in [Staleness::PreviousPeriod, Staleness::Ledger, Staleness::Request] {
            assert!(!other.is_renewed(), "{other:?}");
        }
    }

    #[test]
    fn an_origin_has_windows_of_its_own() {
        check_asked(KNOWN, false, ASKS_NOTHING, 99_999, Reuse::Fresh { age: 99, ttl: 1 });
        check_asked(KNOWN, false, ASKS_NOTHING, 119_999, Reuse::WhileRenewed(stale(119, -19, Staleness::Expired)));
        check_asked(KNOWN, false, ASKS_NOTHING, 120_000, Reuse::OnError(stale(120, -20, Staleness::Expired)));
        check_asked(KNOWN, false, ASKS_NOTHING, 140_000, Reuse::Expired(stale(140, -40, Staleness::Expired)));
        check_asked(KNOWN, true, ASKS_NOTHING, 100_000, Reuse::Expired(stale(100, 0, Staleness::Expired)));
        let insisting = Knowledge { insisting: true, ..KNOWN };
        check_asked(insisting, false, ASKS_NOTHING, 110_000, Reuse::OnError(stale(110, -10, Staleness::Expired)));
        let invalidated = Knowledge { standing: Standing::Invalidated { since: UnixMillis(105_000) }, ..KNOWN };
        check_asked(
            invalidated,
            false,
            ASKS_NOTHING,
            114_999,
            Reuse::WhileRenewed(stale(114, -14, Staleness::Expired)),
        );
        check_asked(invalidated, false, ASKS_NOTHING, 115_000, Reuse::OnError(stale(115, -15, Staleness::Expired)));
        check_asked(UNKNOWN, false, ASKS_NOTHING, 110_000, Reuse::OnError(stale(110, -10, Staleness::Expired)));
    }

    #[test]
    fn a_request_can_want_less_or_more() {
        let no_cache = RequestDirectives { no_cache: true, ..ASKS_NOTHING };
        check_asked(KNOWN, false, no_cache, 10_000, Reuse::Unwanted(stale(10, 90, Staleness::Request)));
        check_asked(KNOWN, false, no_cache, 110_000, Reuse::OnError(stale(110, -10, Staleness::Expired)));
        check_asked(INVALIDATED, false, no_cache, 50_000, Reuse::OnError(stale(50, 50, Staleness::Invalidated)));
        let max_age = RequestDirectives { max_age: Some(10), ..ASKS_NOTHING };
        check_asked(KNOWN, false, max_age, 10_999, Reuse::Fresh { age: 10, ttl: 90 });
        check_asked(KNOWN, false, max_age, 11_000, Reuse::Unwanted(stale(11, 89, Staleness::Request)));
        check_asked(KNOWN, false, max_age, 110_000, Reuse::OnError(stale(110, -10, Staleness::Expired)));
        let min_fresh = RequestDirectives { min_fresh: 90, ..ASKS_NOTHING };
        check_asked(KNOWN, false, min_fresh, 10_000, Reuse::Fresh { age: 10, ttl: 90 });
        check_asked(KNOWN, false, min_fresh, 11_000, Reuse::Unwanted(stale(11, 89, Staleness::Request)));
        let max_stale = RequestDirectives { max_stale: 60, ..ASKS_NOTHING };
        check_asked(KNOWN, false, max_stale, 160_999, Reuse::WhileRenewed(stale(160, -60, Staleness::Expired)));
        check_asked(KNOWN, false, max_stale, 161_000, Reuse::Expired(stale(161, -61, Staleness::Expired)));
        let both = RequestDirectives { max_age: Some(110), max_stale: 60, ..ASKS_NOTHING };
        check_asked(KNOWN, false, both, 110_000, Reuse::WhileRenewed(stale(110, -10, Staleness::Expired)));
        let max_age = RequestDirectives { max_age: Some(110), ..ASKS_NOTHING };
        check_asked(KNOWN, false, max_age, 110_000, Reuse::OnError(stale(110, -10, Staleness::Expired)));
        check_asked(KNOWN, true, max_stale, 110_000, Reuse::Expired(stale(110, -10, Staleness::Expired)));
    }
}
