//! Answers of the edge: which header fields each kind of them has.

use crate::cache_control::{Audience, emit};
use crate::cache_status::CacheStatus;
use crate::entry::Head;
use crate::names::field;
use crate::ports::{Body, Edits, Field, Origin, Ports};
use crate::problem::{self, Problem};
use crate::rules::{Lifetimes, Seconds, Text};
use crate::validation::none_match_names;
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
    /// If-None-Match.
    pub if_none_match: Option<String>,
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
        if asked.if_none_match.as_ref().is_some_and(|tags| none_match_names(tags, &head.etag)) {
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
        mut fields: Vec<Field>,
        body: Body<B>,
        asked: &Asked,
        cache_status: &CacheStatus,
    ) -> Self {
        fields.push(own(field::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        fields.push(own(field::CACHE_CONTROL, "no-store"));
        fields.push(own(field::CLOUDFLARE_CDN_CACHE_CONTROL, "no-store"));
        fields.push(own(field::CACHE_STATUS, cache_status.to_string()));
        // RFC 9110, sections 15.3.5 and 15.3.6: these have no content.
        let empty = asked.head || matches!(status, 204 | 205);
        Self { status, fields, body: if empty { Body::Empty } else { body } }
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
