//! Answers of the edge: which header fields each kind of them has.

use crate::cache_control::{Audience, emit};
use crate::cache_status::CacheStatus;
use crate::date;
use crate::entry::Head;
use crate::names::field;
use crate::ports::{Body, Edits, Field, Origin, Ports, Request};
use crate::problem::{self, Problem};
use crate::range::{self, Selection};
use crate::rules::{Lifetimes, Seconds, Text};
use crate::time::UnixMillis;
use crate::validation::Conditions;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// What a request is answered with.
pub enum Answer<P: Ports> {
    /// Made by the edge: these header fields and no others.
    Made(Made<P::Body>),
    /// The origin's, as it stands, but for the edits.
    Passed {
        /// The answer, unread.
        response: <P::Origin as Origin>::Response,
        /// What is changed in its header fields.
        edits: Edits,
    },
}

/// An answer made by the edge.
#[derive(Debug)]
pub struct Made<B> {
    /// The status code.
    pub status: u16,
    /// All header fields.
    pub fields: Vec<Field>,
    /// The body.
    pub body: Body<B>,
}

/// What of a request decides how a representation is sent.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// By HEAD: everything but the body.
    pub head: bool,
    /// Unless it is the one that the client has.
    pub conditions: Conditions,
    /// Of a GET: a part of it.
    pub range: Option<String>,
    /// The part only of the very representation of which the client has another one.
    pub if_range: Option<String>,
}

impl Asked {
    /// What a request says. A class's answers know no modification date and have no parts.
    #[must_use]
    pub fn of<R: Request>(request: &R, follows: bool) -> Self {
        let head = request.method() == "HEAD";
        let whole = |name| if follows { request.header(name) } else { None };
        Self {
            head,
            conditions: Conditions {
                if_none_match: request.header(field::IF_NONE_MATCH),
                if_modified_since: whole(field::IF_MODIFIED_SINCE),
            },
            // RFC 9110, section 14.2: "A server MUST ignore a Range header field received with a request method that is
            // unrecognized or for which range handling is not defined": it is for GET alone.
            range: whole(field::RANGE).filter(|_| !head),
            if_range: whole(field::IF_RANGE),
        }
    }
}

/// What is said about a stored response's freshness.
#[derive(Debug, Clone, Copy)]
pub struct Emitted<'a> {
    /// Who may keep it.
    pub audience: Audience,
    /// Its class's lifetimes.
    pub rule: &'a Lifetimes,
    /// Its age, if it has one: it came from a store, or was not made for this request.
    pub age: Option<Seconds>,
    /// It is stale, so nobody is to keep it.
    pub is_stale: bool,
    /// The field of a request on which it depends, besides what is in its URL.
    pub vary: Option<&'static str>,
}

fn own(name: &'static str, value: impl Into<String>) -> Field {
    (Text::Borrowed(name), value.into())
}

/// A whole answer of a route that follows its origin.
#[derive(Debug)]
pub struct Whole<B> {
    /// The status code.
    pub status: u16,
    /// The origin's header fields.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Body<B>,
    /// Its length, if it is known.
    pub length: Option<usize>,
    /// When the origin gave it.
    pub received_at: UnixMillis,
    /// Its age, if it has one of its own here.
    pub age: Option<Seconds>,
}

fn texts(fields: Vec<(String, String)>) -> Vec<Field> {
    fields.into_iter().map(|(name, value)| (Text::Owned(name), value)).collect()
}

/// Takes a field out.
fn take(fields: &mut Vec<(String, String)>, name: &str) -> Option<String> {
    let place = fields.iter().position(|(other, _)| other == name)?;
    Some(fields.remove(place).1)
}

/// Puts a field in the place of those of its name.
fn set(fields: &mut Vec<(String, String)>, name: &str, value: String) {
    fields.retain(|(other, _)| other != name);
    fields.push((name.into(), value));
}

impl<B> Made<B> {
    /// A stored response, or the 304 that stands for it (RFC 9110, section 15.4.5).
    pub fn stored(head: &Head, body: Body<B>, asked: &Asked, emitted: Emitted<'_>, status: &CacheStatus) -> Self {
        let lifetime = if emitted.is_stale { 0 } else { head.lifetime };
        let mut fields = vec![
            own(field::CACHE_CONTROL, emit(emitted.audience, emitted.rule, lifetime)),
            own(field::CLOUDFLARE_CDN_CACHE_CONTROL, "no-store"),
            own(field::ETAG, head.etag.clone()),
            own(field::CACHE_STATUS, status.to_string()),
        ];
        fields.extend(emitted.age.map(|age| own(field::AGE, age.to_string())));
        fields.extend(emitted.vary.map(|name| own(field::VARY, name)));
        if asked.conditions.are_met_by(Some(&head.etag), head.received_at, head.received_at) {
            return Self { status: 304, fields, body: Body::Empty };
        }
        fields.push(own(field::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        fields.extend(head.headers.iter().map(|(name, value)| (Text::Owned(name.clone()), value.clone())));
        fields.push(own(field::CONTENT_LENGTH, head.length.to_string()));
        Self { status: head.status, fields, body: if asked.head { Body::Empty } else { body } }
    }

    /// An answer of the origin on a stored route that is not stored: `fields` are those that were let through.
    pub fn unstored(
        status: u16,
        fields: Vec<(String, String)>,
        body: Body<B>,
        asked: &Asked,
        cache_status: &CacheStatus,
    ) -> Self {
        let mut fields = texts(fields);
        fields.push(own(field::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        fields.push(own(field::CACHE_CONTROL, "no-store"));
        fields.push(own(field::CLOUDFLARE_CDN_CACHE_CONTROL, "no-store"));
        fields.push(own(field::CACHE_STATUS, cache_status.to_string()));
        // RFC 9110, sections 15.3.5 and 15.3.6: these have no content.
        let empty = asked.head || matches!(status, 204 | 205);
        Self { status, fields, body: if empty { Body::Empty } else { body } }
    }

    /// An answer of a route that follows its origin, stored or not: its header fields as they are, and those of the edge;
    /// or the 304, the 206 or the 416 that stands for it.
    pub fn followed(whole: Whole<B>, asked: &Asked, cache_status: &CacheStatus, now: UnixMillis) -> Self {
        let Whole { status, mut fields, body, length, received_at, age } = whole;
        let before = take(&mut fields, field::CACHE_STATUS);
        // RFC 9213, section 2.2: what is for this cache alone ends here.
        fields.retain(|(name, _)| name != field::HOTROD_CDN_CACHE_CONTROL);
        if let Some(age) = age {
            // RFC 9111, section 4: a stored response is sent with its age in place of any that it came with.
            fields.retain(|(name, _)| name != field::AGE);
            fields.push((field::AGE.into(), age.to_string()));
        }
        fields.push((field::CACHE_STATUS.into(), cache_status.field_value(before.as_deref())));
        fields.push((field::CLOUDFLARE_CDN_CACHE_CONTROL.into(), "no-store".into()));
        let value = |name: &str| fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        let at = |name: &str| value(name).and_then(|date| date::parse(date, now));
        let modified_at = at(field::LAST_MODIFIED).or_else(|| at(field::DATE)).unwrap_or(received_at);
        // RFC 9110, section 13.2.1: conditions are for what would be a success without them.
        if (200..=299).contains(&status) && asked.conditions.are_met_by(value(field::ETAG), modified_at, now) {
            // Section 15.4.5: with what a cache needs to know, and nothing about content that is not there.
            fields.retain(|(name, _)| name == field::CONTENT_LOCATION || !name.starts_with("content-"));
            return Self { status: 304, fields: texts(fields), body: Body::Empty };
        }
        let if_range = asked.if_range.as_deref();
        let applies =
            range::applies(if_range, value(field::ETAG), value(field::LAST_MODIFIED), value(field::DATE), now);
        let has_parts = status == 200 && applies;
        if let (Some(range), Body::Bytes(bytes), true) = (&asked.range, &body, has_parts) {
            match range::select(range, bytes.len()) {
                Selection::Whole => {}
                Selection::Bytes { first, last } => {
                    let part: Rc<[u8]> = bytes.get(first..=last).unwrap_or_default().into();
                    set(&mut fields, field::CONTENT_RANGE, format!("bytes {first}-{last}/{}", bytes.len()));
                    set(&mut fields, field::CONTENT_LENGTH, part.len().to_string());
                    return Self { status: 206, fields: texts(fields), body: Body::Bytes(part) };
                }
                Selection::Unsatisfiable => {
                    set(&mut fields, field::CONTENT_RANGE, format!("bytes */{}", bytes.len()));
                    set(&mut fields, field::CONTENT_LENGTH, "0".into());
                    // It is made here, and is nobody's but the one's who asked for it.
                    set(&mut fields, field::CACHE_CONTROL, "no-store".into());
                    return Self { status: 416, fields: texts(fields), body: Body::Empty };
                }
            }
        }
        // RFC 9110, section 8.6: a 204 has none.
        match length {
            _ if status == 204 => fields.retain(|(name, _)| name != field::CONTENT_LENGTH),
            Some(length) => set(&mut fields, field::CONTENT_LENGTH, length.to_string()),
            None => {}
        }
        let empty = asked.head || matches!(status, 204 | 205);
        Self { status, fields: texts(fields), body: if empty { Body::Empty } else { body } }
    }

    /// Something of the edge's own, never stored by anybody.
    #[must_use]
    pub fn own(status: u16, media_type: &'static str, body: String, head: bool) -> Self {
        let fields = vec![
            own(field::CONTENT_TYPE, media_type),
            own(field::CONTENT_LENGTH, body.len().to_string()),
            own(field::CACHE_CONTROL, "no-store"),
            own(field::CLOUDFLARE_CDN_CACHE_CONTROL, "no-store"),
            own(field::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            own(field::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
            own(field::REFERRER_POLICY, "no-referrer"),
        ];
        Self { status, fields, body: if head { Body::Empty } else { Body::Bytes(Rc::from(body.into_bytes())) } }
    }

    /// Came over https, where the client is to stay (RFC 6797).
    pub fn secure(&mut self) {
        self.fields.retain(|(name, _)| name != field::STRICT_TRANSPORT_SECURITY);
        self.fields.push(own(field::STRICT_TRANSPORT_SECURITY, "max-age=31536000"));
    }

    /// To the same over https, for good.
    #[must_use]
    pub fn moved(url: String) -> Self {
        let mut made = Self::own(308, "text/plain", String::new(), false);
        made.fields.push((Text::Borrowed(field::LOCATION), url));
        made
    }

    /// A problem.
    #[must_use]
    pub fn problem(problem: &Problem, head: bool) -> Self {
        let mut made = Self::own(problem.status(), problem::MEDIA_TYPE, problem.body(), head);
        made.fields.extend_from_slice(problem.fields());
        made
    }
}
