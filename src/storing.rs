//! Whether an answer of the origin may be stored (RFC 9111, section 3): by its class, which the origin can only tighten,
//! or by the origin's word, where the route follows it.
//!
//! Judged in two steps: [`may_store`] by status and header fields, before the body is read, so that what will
//! not be stored can be streamed; [`may_store_body`] by the body, since an error inside a 200 is an error.

use crate::cache_control::ResponseDirectives;
use crate::date;
use crate::entry::{Followed, Head};
use crate::freshness::{Exchange, Freshness, Said, by_class, by_origin};
use crate::rules::{DecidedBy, Limits, Requirement, Scalar, Seconds, Shape, Stored, is_json};
use crate::time::UnixMillis;
use crate::validation::{Validators, bytes_etag, json_etag};
use crate::vary::nominated;
use alloc::string::String;
use serde_json::Value;

/// The greatest body that any class may store, in bytes.
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
    /// The status is not one that may be stored.
    Status,
    /// It was asked for with a credential, and does not say that others may have it.
    Authorization,
    /// The request says `no-store`.
    NoStoreRequest,
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
    /// Longer than its class stores.
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
    /// Another request is asking for the same, and took too long.
    Leased,
    /// What is stored was made later.
    Older,
}

impl Refusal {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Authorization => "authorization",
            Self::NoStoreRequest => "no-store-request",
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
            Self::Leased => "leased",
            Self::Older => "older",
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
    /// The targeted fields that are for this cache, the most special one first (RFC 9213, section 2.2).
    pub targeted: [Option<String>; 2],
    /// Age.
    pub age: Option<String>,
    /// Date.
    pub date: Option<String>,
    /// Expires.
    pub expires: Option<String>,
    /// Vary.
    pub vary: Option<String>,
    /// Whether there is a Set-Cookie.
    pub set_cookie: bool,
    /// The origin's validators.
    pub validators: Validators,
    /// Whether it was asked for with a credential (RFC 9110, section 11.6.2).
    pub with_authorization: bool,
}

impl Received {
    /// The validators by which it is asked for again. A class promises that nothing returns which a purge made old, so
    /// for it a date counts only if it is a strong validator: a second older at least than the answer that carries it
    /// (RFC 9110, section 8.8.2.2). What changed twice within a second has one date.
    #[must_use]
    pub fn own_validators(&self, by_class: bool, exchange: Exchange) -> Validators {
        let date = |text: &Option<String>| text.as_deref().and_then(|text| date::parse(text, exchange.received_at));
        let mut validators = self.validators.clone();
        let times = date(&validators.last_modified).zip(date(&self.date));
        if by_class && times.is_none_or(|(modified, made)| modified >= made) {
            validators.last_modified = None;
        }
        validators
    }
}

/// What was found out about an answer that may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storable {
    /// For how long, and how old it is.
    pub freshness: Freshness,
    /// On a route that follows its origin: what else it says. The variance is yet to be filled in.
    pub followed: Option<Followed>,
}

/// Judges status and header fields of an answer. `before` is the lifetime that the origin stated of the stored response
/// which this answer freshens, if it does.
#[must_use]
pub fn may_store(
    stored: &Stored,
    received: &Received,
    before: Option<Seconds>,
    exchange: Exchange,
) -> Storing<Storable> {
    let judged = match &stored.decided_by {
        DecidedBy::Class(shape) => class_allows(stored, shape, received, before, exchange),
        DecidedBy::Origin => origin_allows(stored, received, exchange),
    };
    judged.map_or_else(Storing::Refuse, Storing::Store)
}

fn class_allows(
    Stored { lifetimes: rule, limits: Limits { largest_body, .. }, .. }: &Stored,
    shape: &Shape,
    received: &Received,
    before: Option<Seconds>,
    exchange: Exchange,
) -> Result<Storable, Refusal> {
    let directives = ResponseDirectives::parse(received.cache_control.as_deref().unwrap_or_default());
    // Section 3: a cache must not store a response unless its status code is understood; the class knows 200 alone.
    if received.status != 200 {
        return Err(Refusal::Status);
    }
    nobody_forbids(&directives, received)?;
    // Section 5.2.2.4: it "MUST NOT be used to satisfy any other request without forwarding it for validation".
    if directives.no_cache {
        return Err(Refusal::NoCache);
    }
    if !is_media_type(received.content_type.as_deref(), &shape.content_type) {
        return Err(Refusal::ContentType);
    }
    fits(received, *largest_body)?;
    // Section 4.3.4: what a 304 does not say stays as it was.
    let stated = received.cache_control.as_ref().map_or(before, |_| directives.shared_lifetime());
    let freshness = by_class(rule, stated, received.age.as_deref(), exchange);
    if freshness.lifetime <= freshness.initial_age {
        return Err(Refusal::Expired);
    }
    Ok(Storable { freshness, followed: None })
}

fn origin_allows(stored: &Stored, received: &Received, exchange: Exchange) -> Result<Storable, Refusal> {
    let Stored { lifetimes: rule, limits: Limits { largest_body, .. }, .. } = stored;
    // RFC 9213, section 2.2: the first targeted field that can be read takes the place of Cache-Control and Expires.
    let targeted = received.targeted.iter().flatten().find_map(|field| ResponseDirectives::targeted(field));
    let expires = received.expires.as_deref().filter(|_| targeted.is_none());
    let mut directives =
        targeted.unwrap_or_else(|| ResponseDirectives::parse(received.cache_control.as_deref().unwrap_or_default()));
    // Section 3: "if the response status code is 206 or 304, or the must-understand cache directive is present: the cache
    // understands the response status code". Parts are not stored here.
    if matches!(received.status, 206 | 304) || directives.must_understand && !is_understood(received.status) {
        return Err(Refusal::Status);
    }
    // Section 5.2.2.3: who understands the status ignores the no-store that stands beside must-understand.
    directives.no_store &= !directives.must_understand;
    nobody_forbids(&directives, received)?;
    // Section 3.5: a shared cache needs leave to use an answer to a request with a credential for another one.
    let leave = directives.must_revalidate || directives.public || directives.s_maxage.is_some();
    if received.with_authorization && !leave {
        return Err(Refusal::Authorization);
    }
    fits(received, *largest_body)?;
    // Section 3: public, an explicit lifetime, or "a status code that is defined as heuristically cacheable".
    let may_guess = directives.public || is_heuristically_cacheable(received.status);
    let said = Said {
        age: received.age.as_deref(),
        date: received.date.as_deref(),
        expires,
        last_modified: received.validators.last_modified.as_deref(),
    };
    let freshness = by_origin(&directives, said, may_guess, exchange);
    if freshness.stated.is_none() && !may_guess {
        return Err(Refusal::Status);
    }
    let forbids_stale = directives.forbids_stale();
    let window = |stated: Option<Seconds>, without| if forbids_stale { 0 } else { stated.unwrap_or(without) };
    // The class speaks for an origin that speaks of caches. An answer of which it says nothing may be one reader's own.
    let is_said = freshness.stated.is_some() || freshness.lifetime > 0;
    let lenience = if is_said { rule.stale_if_error } else { 0 };
    let followed = Followed {
        forbids_stale,
        while_revalidate: window(directives.stale_while_revalidate, 0),
        if_error: window(directives.stale_if_error, lenience),
        nominated: received.vary.as_deref().and_then(nominated).unwrap_or_default(),
        variance: String::new(),
    };
    // Without a validator, what is past every use is no use.
    let usable = freshness.lifetime.saturating_add(followed.while_revalidate.max(followed.if_error));
    if usable <= freshness.initial_age && received.validators.are_none() {
        return Err(Refusal::Expired);
    }
    Ok(Storable { freshness, followed: Some(followed) })
}

/// Whether Workers KV is worth a write for an answer, while `there` lies in it and nothing has purged that: not as long
/// as both say the same, and less than half of the life of the one there is spent.
#[must_use]
pub fn is_worth_writing(there: &Head, head: &Head, now: UnixMillis) -> bool {
    let same = there.status == head.status
        && there.etag == head.etag
        && there.headers == head.headers
        && there.marks == head.marks
        && there.period_end == head.period_end;
    // What is to be kept for a shorter time now must not be used for the longer one.
    !same || head.lifetime < there.lifetime || u64::from(there.current_age(now)) * 2 >= u64::from(there.lifetime)
}

/// What keeps any answer out of a shared cache.
fn nobody_forbids(directives: &ResponseDirectives, received: &Received) -> Result<(), Refusal> {
    // Section 3: "the no-store cache directive is not present in the response".
    if directives.no_store {
        Err(Refusal::NoStore)
    // Section 3: "if the cache is shared: the private response directive is either not present or ...".
    } else if directives.private {
        Err(Refusal::Private)
    // Section 7.3: a shared cache in front of many must not hand out one client's cookie.
    } else if received.set_cookie {
        Err(Refusal::SetCookie)
    // Section 4.1: "A stored response with a Vary header field value containing a member "*" always fails to match".
    } else if received.vary.as_deref().is_some_and(|vary| nominated(vary).is_none()) {
        Err(Refusal::Vary)
    } else {
        Ok(())
    }
}

fn fits(received: &Received, largest_body: u32) -> Result<(), Refusal> {
    let length = received.content_length.as_ref().and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > u64::from(largest_body)) { Err(Refusal::TooLarge) } else { Ok(()) }
}

/// Status codes whose meaning for caches this one knows (RFC 9110, section 15).
fn is_understood(status: u16) -> bool {
    matches!(status, 200..=205 | 300..=303 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 451 | 500..=505)
}

/// RFC 9110, section 15.1; 308 by section 15.4.9, 451 by RFC 7725, section 3. Parts are not stored here.
fn is_heuristically_cacheable(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 451 | 501)
}

/// Judges a whole body of a route whose class decides, and answers its weak ETag.
#[must_use]
pub fn may_store_body(rule: &Shape, body: &[u8]) -> Storing<String> {
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

#[cfg(test)]
mod tests;
