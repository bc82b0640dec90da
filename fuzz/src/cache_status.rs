//! Cache-Status: the first line chooses what the edge says, the second is what an earlier cache said.

use hotrod_edge::cache_status::{CACHE_NAME, CacheStatus, Forward, Outcome};
use hotrod_edge::ports::TierName;
use hotrod_edge::reuse::Staleness;
use hotrod_edge::storing::Refusal;
use hotrod_edge::turn::Cause;
use lab::cache_status::{Item, parse};

pub(crate) fn check(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let (mut choices, before) = (Choices(parts.next().unwrap_or_default()), parts.next().unwrap_or_default());
    let said = said(&mut choices);
    let own = parse(&said.to_string()).expect("the edge's own member is one");
    let [own] = own.as_slice() else { panic!("{said} is one member") };
    check_own(&said, own);
    let Ok(before) = std::str::from_utf8(before) else { return };
    let earlier = parse(before);
    let both = said.field_value(Some(before));
    assert!(both.ends_with(&said.to_string()));
    match (earlier, parse(&both)) {
        (Ok(earlier), Ok(both)) => assert_eq!(both, [earlier, vec![own.clone()]].concat()),
        // What is no list stays none: its recipient drops it whole (RFC 9651, section 4.2).
        (Err(_), Ok(both)) => assert!(before.trim().is_empty(), "{before:?}: {both:?}"),
        (Err(_), Err(_)) => {}
        (Ok(_), Err(why)) => panic!("{before:?} was a list: {why}"),
    }
}

/// What is read is what was said.
fn check_own(said: &CacheStatus, read: &lab::cache_status::CacheStatus) {
    assert_eq!(read.cache, CACHE_NAME);
    assert_eq!(read.other, Vec::<(String, Item)>::new());
    match said {
        CacheStatus::Hit { ttl, .. } => {
            assert!(read.hit && !read.stored && !read.collapsed);
            assert_eq!((&read.fwd, read.fwd_status, read.ttl), (&None, None, Some(*ttl)));
        }
        CacheStatus::Forwarded { why, status, outcome } => {
            assert!(!read.hit);
            assert_eq!(read.fwd.as_deref(), Some(why.as_str()));
            assert_eq!(read.fwd_status, status.map(i64::from));
            assert_eq!(read.stored, matches!(outcome, Outcome::Stored { .. }));
            assert_eq!(read.collapsed, *outcome == Outcome::Collapsed);
        }
    }
}

/// Bytes, each of which chooses something; when they are over, the first.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }

    /// Seconds, as the difference of two spans of [`hotrod_edge::rules::Seconds`] is.
    fn ttl(&mut self) -> i64 {
        let mut span = || i64::from(u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()]));
        span() - span()
    }
}

const CAUSES: [Cause; 4] = [Cause::Unreachable, Cause::TimedOut, Cause::BreakerOpen, Cause::Busy];
const HELD_BACK: [Option<Cause>; 3] = [None, Some(Cause::BreakerOpen), Some(Cause::Busy)];

const STALENESS: [Staleness; 4] =
    [Staleness::Expired, Staleness::PreviousPeriod, Staleness::Invalidated, Staleness::Ledger];

fn said(choices: &mut Choices) -> CacheStatus {
    if choices.of(&[false, true]) {
        let stale = choices.of(&[false, true]).then(|| choices.of(&STALENESS));
        return CacheStatus::Hit { ttl: choices.ttl(), tier: choices.of(&TierName::ALL), stale };
    }
    let why = choices.of(&[Forward::Bypass, Forward::Method, Forward::UriMiss, Forward::Request, Forward::Stale]);
    let outcomes = [
        Outcome::NotForStore,
        Outcome::Stored { purged: choices.of(&[false, true]) },
        Outcome::Collapsed,
        Outcome::StaleIfError { ttl: choices.ttl(), why: choices.of(&STALENESS), held_back: choices.of(&HELD_BACK) },
        Outcome::Unanswered(choices.of(&CAUSES)),
        Outcome::Refused(choices.of(&[
            Refusal::Status,
            Refusal::SetCookie,
            Refusal::NoStore,
            Refusal::Private,
            Refusal::NoCache,
            Refusal::Vary,
            Refusal::ContentType,
            Refusal::TooLarge,
            Refusal::Expired,
            Refusal::Malformed,
            Refusal::Envelope,
            Refusal::LedgerUnreachable,
            Refusal::HeadTooLarge,
            Refusal::TooManyGroups,
            Refusal::NotListed,
            Refusal::NoCacheRequest,
        ])),
    ];
    let status = choices.of(&[None, Some(200), Some(503), Some(599)]);
    CacheStatus::Forwarded { why, status, outcome: choices.of(&outcomes) }
}
