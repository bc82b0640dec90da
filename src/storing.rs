//! Whether an answer of the origin may be stored (RFC 9111, section 3): the rule decides, the origin can only tighten.
//!
//! Judged in two steps: [`may_store`] by status and header fields, before the body is read, so that what will
//! not be stored can be streamed; [`may_store_body`] by the body, since an error inside a 200 is an error.

use crate::cache_control::OriginDirectives;
use crate::freshness::{Freshness, freshness};
use crate::rules::{Requirement, Scalar, Stored, is_json};
use crate::time::UnixMillis;
use crate::validation::{bytes_etag, json_etag};
use alloc::string::String;
use serde_json::Value;

/// The greatest body that is stored, in bytes. A larger one is streamed through.
pub const BODY_GREATEST_LENGTH: usize = 1024 * 1024;

/// A decision about storing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storing<T> {
    /// It may be stored, with what was found out on the way.
    Store(T),
    /// It may not.
    Refuse(Refusal),
}

/// Why an answer is not stored. One word for header, log and metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The status is not 200.
    Status,
    /// It sets a cookie, so it is somebody's own.
    SetCookie,
    /// The origin says `no-store`.
    NoStore,
    /// The origin says `private`.
    Private,
    /// The origin says `no-cache`: it would have to be asked each time.
    NoCache,
    /// `Vary: *` (RFC 9111, section 4.1): no other request matches it.
    Vary,
    /// Not the media type of its rule.
    ContentType,
    /// Over [`BODY_GREATEST_LENGTH`].
    TooLarge,
    /// No freshness left on arrival: by the origin's word, by its age, or by the calendar.
    Expired,
    /// Declared as JSON, but it is not.
    Malformed,
    /// The body itself says that it is no answer.
    Envelope,
    /// The ledger could not be asked, so nobody could say later whether it was purged.
    LedgerUnreachable,
    /// Its head does not fit.
    HeadTooLarge,
    /// It is in more cache groups than can be kept.
    TooManyGroups,
    /// Its tenant is not listed any more.
    NotListed,
    /// It was asked for by an operator past the store.
    NoCacheRequest,
}

impl Refusal {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::SetCookie => "set-cookie",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::NoCache => "no-cache",
            Self::Vary => "vary",
            Self::ContentType => "content-type",
            Self::TooLarge => "too-large",
            Self::Expired => "expired",
            Self::Malformed => "malformed",
            Self::Envelope => "envelope",
            Self::LedgerUnreachable => "ledger",
            Self::HeadTooLarge => "head-too-large",
            Self::TooManyGroups => "groups",
            Self::NotListed => "not-listed",
            Self::NoCacheRequest => "nocache",
        }
    }
}

/// Status and header fields of an answer, as far as they decide. Field lines of one name are joined by commas.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// The status code.
    pub status: u16,
    /// Content-Type.
    pub content_type: Option<String>,
    /// Content-Length.
    pub content_length: Option<String>,
    /// Cache-Control.
    pub cache_control: Option<String>,
    /// Age.
    pub age: Option<String>,
    /// Vary.
    pub vary: Option<String>,
    /// Whether there is a Set-Cookie.
    pub set_cookie: bool,
}

/// Judges status and header fields of an answer asked for at `requested_at` and begun at `received_at`.
#[must_use]
pub fn may_store(
    rule: &Stored,
    received: &Received,
    requested_at: UnixMillis,
    received_at: UnixMillis,
) -> Storing<Freshness> {
    let directives = OriginDirectives::parse(received.cache_control.as_deref().unwrap_or_default());
    let length = received.content_length.as_ref().and_then(|length| length.parse::<usize>().ok());
    let freshness = freshness(&rule.lifetimes, &directives, received.age.as_deref(), requested_at, received_at);
    // Section 3: a cache must not store a response unless its status code is understood; the class knows 200 alone.
    if received.status != 200 {
        Storing::Refuse(Refusal::Status)
    // Section 3: "the no-store cache directive is not present in the response".
    } else if directives.no_store {
        Storing::Refuse(Refusal::NoStore)
    // Section 3: "if the cache is shared: the private response directive is either not present or ...".
    } else if directives.private {
        Storing::Refuse(Refusal::Private)
    // Section 5.2.2.4: it "MUST NOT be used to satisfy any other request without forwarding it for validation".
    } else if directives.no_cache {
        Storing::Refuse(Refusal::NoCache)
    // Section 7.3: a shared cache in front of many must not hand out one client's cookie.
    } else if received.set_cookie {
        Storing::Refuse(Refusal::SetCookie)
    // Section 4.1: "A stored response with a Vary header field value containing a member "*" always fails to match".
    } else if received.vary.as_deref().is_some_and(|vary| vary.split(',').any(|name| name.trim() == "*")) {
        Storing::Refuse(Refusal::Vary)
    } else if !is_media_type(received.content_type.as_deref(), &rule.content_type) {
        Storing::Refuse(Refusal::ContentType)
    } else if length.is_some_and(|length| length > BODY_GREATEST_LENGTH) {
        Storing::Refuse(Refusal::TooLarge)
    } else if freshness.lifetime <= freshness.initial_age {
        Storing::Refuse(Refusal::Expired)
    } else {
        Storing::Store(freshness)
    }
}

/// Judges a whole body, and answers its weak ETag.
#[must_use]
pub fn may_store_body(rule: &Stored, body: &[u8]) -> Storing<String> {
    if !is_json(&rule.content_type) {
        return Storing::Store(bytes_etag(body));
    }
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Storing::Refuse(Refusal::Malformed);
    };
    if rule.require.as_ref().is_some_and(|require| !is_met(require, &value)) {
        return Storing::Refuse(Refusal::Envelope);
    }
    Storing::Store(json_etag(value, &rule.volatile))
}

fn is_met(require: &Requirement, body: &Value) -> bool {
    match (body.get(require.member.as_ref()), &require.equals) {
        (Some(Value::Bool(actual)), Scalar::Bool(expected)) => actual == expected,
        (Some(Value::String(actual)), Scalar::Text(expected)) => actual == expected.as_ref(),
        _ => false,
    }
}

/// Compares media types without their parameters (RFC 9110, section 8.3.1: case-insensitive).
fn is_media_type(field: Option<&str>, expected: &str) -> bool {
    let essence = field.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(expected)
}
