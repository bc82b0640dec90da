//! What the origin's answer says, as far as it decides about a fill.

use crate::date;
use crate::epoch::mark;
use crate::fill::Question;
use crate::follow::{passed_fields, stored_fields};
use crate::freshness::Exchange;
use crate::groups;
use crate::names::field;
use crate::ports::{Failure, Response};
use crate::rules::Shape;
use crate::storing::Received;
use crate::validation::Validators;
use alloc::string::String;
use alloc::vec::Vec;

/// A status that is no final answer to a request (RFC 9110, section 15): nothing can be passed on.
pub fn no_answer<R: Response>(response: &R) -> Option<Failure> {
    match response.status() {
        101 if response.is_upgraded() => None,
        200..=599 => None,
        status => Some(Failure(format!("status {status}"))),
    }
}

/// A status that answers something which a fill did not ask for.
pub fn unasked<R: Response>(response: &R) -> Option<Failure> {
    match response.status() {
        status @ (101 | 304) => {
            Some(Failure(format!("status {status} to a request without a condition or an upgrade")))
        }
        _ => None,
    }
}

/// What decides about an answer. `header` answers a field's value.
pub fn received(question: &Question, status: u16, header: impl Fn(&str) -> Option<String>) -> Received {
    let with_authorization =
        question.inbound.as_ref().is_some_and(|inbound| inbound.field(field::AUTHORIZATION).is_some());
    Received {
        status,
        content_type: header(field::CONTENT_TYPE),
        content_length: header(field::CONTENT_LENGTH),
        cache_control: header(field::CACHE_CONTROL),
        targeted: [header(field::HOTROD_CDN_CACHE_CONTROL), header(field::CDN_CACHE_CONTROL)],
        age: header(field::AGE),
        date: header(field::DATE),
        expires: header(field::EXPIRES),
        vary: header(field::VARY),
        set_cookie: header(field::SET_COOKIE).is_some(),
        validators: validators(header),
        with_authorization,
    }
}

/// The greatest length of a validator that is kept: a head has little room.
const VALIDATOR_GREATEST_LENGTH: usize = 128;

/// The validators that are kept of an answer.
pub fn validators(header: impl Fn(&str) -> Option<String>) -> Validators {
    let kept = |name| header(name).filter(|value| (1..=VALIDATOR_GREATEST_LENGTH).contains(&value.len()));
    Validators { etag: kept(field::ETAG), last_modified: kept(field::LAST_MODIFIED) }
}

/// The header fields of an answer that are kept if it is stored, and those that are let through if it is not: the listed
/// ones, or on a route that follows its origin all of them, and a Date, which every answer has (RFC 9110, section 6.6.1).
#[expect(clippy::type_complexity, reason = "two lists of fields")]
pub fn fields<R: Response>(
    shape: Option<&Shape>,
    response: &R,
    exchange: Exchange,
) -> (Vec<(String, String)>, Vec<(String, String)>) {
    if let Some(shape) = shape {
        let listed = |name: &str| Some((String::from(name), response.header(name)?));
        let kept = shape.response_fields.iter().filter_map(|name| listed(name));
        return (kept.collect(), field::UNSTORED.iter().filter_map(|name| listed(name)).collect());
    }
    let mut passed = passed_fields(response);
    if !passed.iter().any(|(name, _)| name == field::DATE) {
        passed.push((field::DATE.into(), date::format(exchange.received_at)));
    }
    (stored_fields(passed.clone()), passed)
}

/// Whether a status says that the origin failed: those that RFC 5861, section 4, names, and that it has too much to do.
#[must_use]
pub fn is_error(status: u16) -> bool {
    matches!(status, 429 | 500 | 502 | 503 | 504)
}

/// Whether a status says that the origin has too much to do.
#[must_use]
pub fn is_overload(status: u16) -> bool {
    matches!(status, 429 | 503)
}

/// The marks of an answer's cache groups; nothing, if there are too many of them to be kept.
pub fn marks(field: Option<&str>) -> Option<String> {
    let groups = field.and_then(groups::parse).unwrap_or_default();
    (groups.len() <= groups::GROUPS_AT_MOST).then_some(())?;
    let mut marks = String::new();
    for group in groups {
        if !marks.is_empty() {
            marks.push(' ');
        }
        marks.push_str(&mark(&group));
    }
    Some(marks)
}
