//! What a request met, in the words of RFC 9211: for Cache-Status, for logs and for metrics alike.

use crate::ports::TierName;
use crate::reuse::Staleness;
use crate::storing::Refusal;
use crate::turn::Cause;
use alloc::string::String;
use core::fmt;

/// The cache's name in Cache-Status and CDN-Loop.
pub const CACHE_NAME: &str = "hotrod-edge";

/// Why a request went to the origin (RFC 9211, section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forward {
    /// Configured not to be handled by the cache.
    Bypass,
    /// The method's semantics require it.
    Method,
    /// Nothing is stored under this key.
    UriMiss,
    /// What is stored under this key was selected by other fields of a request (RFC 9111, section 4.1).
    VaryMiss,
    /// Something fresh may be stored, and the request's semantics do not allow its use.
    Request,
    /// Something is stored, and it is stale.
    Stale,
}

impl Forward {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
            Self::Stale => "stale",
        }
    }
}

/// One member of a Cache-Status list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    /// Answered from store.
    Hit {
        /// Seconds of freshness left.
        ttl: i64,
        /// From which tier.
        tier: TierName,
        /// What ended its freshness, if something did.
        stale: Option<Staleness>,
    },
    /// The origin was asked.
    Forwarded {
        /// Why.
        why: Forward,
        /// What it answered, if it answered.
        status: Option<u16>,
        /// What became of the answer.
        outcome: Outcome,
    },
}

/// What became of a forwarded request's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is not one for the store.
    NotForStore,
    /// It is being stored.
    Stored {
        /// What was there before was absent because of a purge.
        purged: bool,
    },
    /// It is that of another request for the same (section 2.6).
    Collapsed,
    /// It was an error, so that something stale answered (RFC 5861, section 4).
    StaleIfError {
        /// Seconds of freshness left.
        ttl: i64,
        /// What ended its freshness.
        why: Staleness,
        /// Why the origin was not even asked, if it was not.
        held_back: Option<Cause>,
    },
    /// It is not stored, for this reason.
    Refused(Refusal),
    /// There was none, for this reason.
    Unanswered(Cause),
}

/// A list member of a structured field (RFC 8941) with its parameters.
impl fmt::Display for CacheStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CACHE_NAME)?;
        match self {
            Self::Hit { ttl, tier, stale } => {
                write!(f, "; hit; ttl={ttl}; detail={}", tier.as_str())?;
                stale.map_or(Ok(()), |stale| write!(f, "/{}", stale.as_str()))
            }
            Self::Forwarded { why, status, outcome } => {
                write!(f, "; fwd={}", why.as_str())?;
                if let Some(status) = status {
                    write!(f, "; fwd-status={status}")?;
                }
                match outcome {
                    Outcome::NotForStore => Ok(()),
                    Outcome::Stored { purged: false } => f.write_str("; stored"),
                    Outcome::Stored { purged: true } => f.write_str("; stored; detail=purged"),
                    Outcome::Collapsed => f.write_str("; collapsed"),
                    Outcome::StaleIfError { ttl, why, held_back } => {
                        let word = match why {
                            Staleness::PreviousPeriod => why.as_str(),
                            _ => "stale-if-error",
                        };
                        write!(f, "; ttl={ttl}; detail={word}")?;
                        held_back.map_or(Ok(()), |cause| write!(f, "/{}", cause.as_str()))
                    }
                    Outcome::Refused(refusal) => write!(f, "; detail={}", refusal.as_str()),
                    Outcome::Unanswered(cause) => write!(f, "; detail={}", cause.as_str()),
                }
            }
        }
    }
}

impl CacheStatus {
    /// The field value: what stood there before (a cache nearer to the origin comes first), then this member.
    #[must_use]
    pub fn field_value(&self, before: Option<&str>) -> String {
        match before.filter(|before| !before.trim().is_empty()) {
            Some(before) => format!("{before}, {self}"),
            None => format!("{self}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CacheStatus, Forward, Outcome};
    use crate::ports::TierName;
    use crate::reuse::Staleness;
    use crate::storing::Refusal;
    use crate::turn::Cause;

    #[track_caller]
    fn check(status: CacheStatus, expected: &str) {
        assert_eq!(status.field_value(None), expected);
    }

    #[test]
    fn a_hit_says_what_is_left_and_where_it_was() {
        let hit = |stale| CacheStatus::Hit { ttl: 287, tier: TierName::Kv, stale };
        check(hit(None), "hotrod-edge; hit; ttl=287; detail=kv");
        check(hit(Some(Staleness::Invalidated)), "hotrod-edge; hit; ttl=287; detail=kv/invalidated");
    }

    #[test]
    fn a_forward_says_why_and_what_came_of_it() {
        let forwarded = |why, status, outcome| CacheStatus::Forwarded { why, status, outcome };
        check(
            forwarded(Forward::UriMiss, Some(200), Outcome::Stored { purged: false }),
            "hotrod-edge; fwd=uri-miss; fwd-status=200; stored",
        );
        check(
            forwarded(Forward::UriMiss, Some(200), Outcome::Stored { purged: true }),
            "hotrod-edge; fwd=uri-miss; fwd-status=200; stored; detail=purged",
        );
        check(
            forwarded(Forward::Stale, Some(503), Outcome::Refused(Refusal::Status)),
            "hotrod-edge; fwd=stale; fwd-status=503; detail=status",
        );
        check(
            forwarded(Forward::UriMiss, None, Outcome::Unanswered(Cause::Unreachable)),
            "hotrod-edge; fwd=uri-miss; detail=origin-unreachable",
        );
        check(
            forwarded(Forward::Stale, Some(200), Outcome::Collapsed),
            "hotrod-edge; fwd=stale; fwd-status=200; collapsed",
        );
        let old = |why| Outcome::StaleIfError { ttl: -5, why, held_back: None };
        check(
            forwarded(Forward::Stale, Some(503), old(Staleness::Expired)),
            "hotrod-edge; fwd=stale; fwd-status=503; ttl=-5; detail=stale-if-error",
        );
        check(
            forwarded(Forward::Stale, None, old(Staleness::PreviousPeriod)),
            "hotrod-edge; fwd=stale; ttl=-5; detail=previous-period",
        );
        let held_back = |cause| Outcome::StaleIfError { ttl: -5, why: Staleness::Expired, held_back: Some(cause) };
        check(
            forwarded(Forward::Stale, None, held_back(Cause::BreakerOpen)),
            "hotrod-edge; fwd=stale; ttl=-5; detail=stale-if-error/breaker-open",
        );
        check(
            forwarded(Forward::Stale, None, held_back(Cause::Busy)),
            "hotrod-edge; fwd=stale; ttl=-5; detail=stale-if-error/origin-busy",
        );
        check(forwarded(Forward::Bypass, Some(200), Outcome::NotForStore), "hotrod-edge; fwd=bypass; fwd-status=200");
    }

    #[test]
    fn a_cache_nearer_to_the_origin_comes_first() {
        let status = CacheStatus::Forwarded { why: Forward::Method, status: Some(201), outcome: Outcome::NotForStore };
        assert_eq!(status.field_value(Some("near; hit")), "near; hit, hotrod-edge; fwd=method; fwd-status=201");
    }
}
