//! Cache-Control of the origin, one field a line: it makes an answer less cacheable, never more.

use hotrod_edge::cache_control::ResponseDirectives;
use hotrod_edge::freshness::Exchange;
use hotrod_edge::storing::{Received, Refusal, Storable, Storing, may_store};
use hotrod_edge::time::UnixMillis;

use crate::storable;

/// 2026-03-31T23:50:00Z: a calendar cuts some lifetimes.
const NOW: UnixMillis = UnixMillis(1_775_001_000_000);

pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (first, second) = text.split_once('\n').unwrap_or((text, ""));
    let (one, other) = (ResponseDirectives::parse(first), ResponseDirectives::parse(second));
    // Lines of one name are joined by commas (RFC 9110, section 5.3).
    let both = ResponseDirectives::parse(&format!("{first},{second}"));
    // A quote that the first leaves open may end in the second.
    if !one.no_store {
        check_less(&both, &one);
        check_less(&both, &other);
    }
    for (directive, refusal) in
        [("no-store", Refusal::NoStore), ("private", Refusal::Private), ("no-cache", Refusal::NoCache)]
    {
        for value in
            [format!("{directive},{first}"), format!("{first}, {directive}"), format!("{directive}=\"x\",{first}")]
        {
            let refused = lifetimes(Some(&value));
            let known = [Refusal::NoStore, Refusal::Private, Refusal::NoCache];
            assert!(refused.iter().all(|storing| matches!(storing, Err(other) if known.contains(other))), "{value}");
            assert!(refusal != Refusal::NoStore || refused.iter().all(|storing| *storing == Err(refusal)), "{value}");
        }
    }
    for (with, without) in lifetimes(Some(first)).into_iter().zip(lifetimes(None)) {
        assert!(with.unwrap_or(0) <= without.unwrap_or(0), "{first}");
    }
}

/// What is added can only tighten.
#[track_caller]
fn check_less(joined: &ResponseDirectives, part: &ResponseDirectives) {
    let at_most =
        |joined: Option<u32>, part: Option<u32>| part.is_none_or(|part| joined.is_some_and(|all| all <= part));
    assert!(joined.no_store >= part.no_store, "{joined:?}, {part:?}");
    assert!(joined.private >= part.private, "{joined:?}, {part:?}");
    assert!(joined.no_cache >= part.no_cache, "{joined:?}, {part:?}");
    assert!(at_most(joined.max_age, part.max_age), "{joined:?}, {part:?}");
    assert!(at_most(joined.s_maxage, part.s_maxage), "{joined:?}, {part:?}");
}

/// For how long each rule stores an answer with this field, or why it does not.
fn lifetimes(cache_control: Option<&str>) -> Vec<Result<u32, Refusal>> {
    let received = |content_type: &str| Received {
        status: 200,
        content_type: Some(content_type.to_owned()),
        cache_control: cache_control.map(str::to_owned),
        ..Received::default()
    };
    let exchange = Exchange { requested_at: NOW, received_at: NOW };
    let judged =
        storable().iter().map(|(stored, shape)| may_store(stored, &received(&shape.content_type), None, exchange));
    let lifetime = |storing: Storing<Storable>| match storing {
        Storing::Store(storable) => Ok(storable.freshness.lifetime),
        Storing::Refuse(refusal) => Err(refusal),
    };
    judged.map(lifetime).collect()
}
