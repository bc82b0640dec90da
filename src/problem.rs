//! The edge's own errors: RFC 9457, never stored, each with a sentence that says what to do.

use crate::names::field;
use crate::rules::Text;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::json;

/// The media type (RFC 9457, section 3).
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A kind of problem. Its word is the tail of the `type` URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The URL can be read in two ways, or not at all.
    MalformedTarget,
    /// The URL is too long.
    TargetTooLong,
    /// The query does not fit the route.
    Query,
    /// A host that this deployment does not serve.
    Host,
    /// Nobody's path.
    NotFound,
    /// The request came back through the edge.
    Loop,
    /// No valid credential.
    Unauthorized,
    /// The credential is valid, and does not reach so far.
    Forbidden,
    /// The method does not exist here.
    Method,
    /// The body cannot be read.
    BadRequest,
    /// The body can be read, and asks for something that is not.
    Unprocessable,
    /// The body is too large.
    ContentTooLarge,
    /// It contradicts what came before.
    Conflict,
    /// Too much was asked for.
    TooMany,
    /// What was asked of the store alone is not in it.
    NotCached,
    /// The origin gave no answer.
    OriginUnreachable,
    /// The origin took too long.
    OriginTimeout,
    /// The origin was not asked, since it has failed again and again.
    BreakerOpen,
    /// The origin was not asked, since too much is being asked of it.
    OriginBusy,
    /// What is stored must be validated, and the origin gave no answer.
    NotValidated,
    /// Whether the credential holds cannot be known now.
    Unverifiable,
    /// The header fields are too long.
    FieldsTooLarge,
    /// The ledger gave no answer, so whether it purged is not known.
    LedgerUnreachable,
    /// The deployment's configuration is incomplete or wrong.
    Misconfigured,
}

impl Kind {
    /// Status code, word and title.
    fn parts(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::MalformedTarget => (400, "malformed-target", "Malformed URL"),
            Self::TargetTooLong => (414, "target-too-long", "URL too long"),
            Self::Query => (400, "query", "Query not accepted"),
            Self::Host => (421, "host", "Host not served here"),
            Self::NotFound => (404, "not-found", "Not found"),
            Self::Loop => (508, "loop", "Loop detected"),
            Self::Unauthorized => (401, "unauthorized", "Unauthorized"),
            Self::Forbidden => (403, "forbidden", "Forbidden"),
            Self::Method => (405, "method", "Method not allowed"),
            Self::BadRequest => (400, "bad-request", "Bad request"),
            Self::Unprocessable => (422, "unprocessable", "Not processed"),
            Self::Conflict => (409, "conflict", "Conflict"),
            Self::TooMany => (429, "too-many", "Too many requests"),
            Self::ContentTooLarge => (413, "content-too-large", "Content too large"),
            Self::NotCached => (504, "not-cached", "Not in store"),
            Self::OriginTimeout => (504, "origin-timeout", "No answer from the origin in time"),
            Self::BreakerOpen => (503, "breaker-open", "Origin not asked"),
            Self::OriginBusy => (503, "origin-busy", "Origin busy"),
            Self::NotValidated => (504, "not-validated", "Not validated"),
            Self::OriginUnreachable => (502, "origin-unreachable", "No answer from the origin"),
            Self::Unverifiable => (503, "unverifiable", "Credential cannot be verified"),
            Self::FieldsTooLarge => (431, "fields-too-large", "Header fields too large"),
            Self::LedgerUnreachable => (503, "ledger-unreachable", "Ledger unreachable"),
            Self::Misconfigured => (500, "misconfigured", "Misconfigured"),
        }
    }
}

/// An error of the edge's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    detail: String,
    fields: Vec<(Text, String)>,
}

impl Problem {
    /// A problem with the sentence that explains it.
    #[must_use]
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let fields = match kind {
            // RFC 9110, section 11.6.1: a 401 must say how to authenticate.
            Kind::Unauthorized => vec![(field::WWW_AUTHENTICATE, "Bearer realm=\"hotrod-edge\"")],
            Kind::LedgerUnreachable | Kind::Unverifiable => vec![(field::RETRY_AFTER, "5")],
            _ => Vec::new(),
        };
        let fields = fields.into_iter().map(|(name, value)| (Text::Borrowed(name), value.to_string())).collect();
        Self { kind, detail: detail.into(), fields }
    }

    /// The same with one more header field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((Text::Borrowed(name), value.into()));
        self
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.kind.parts().0
    }

    /// Header fields beside those that every answer of the edge's own has.
    #[must_use]
    pub fn fields(&self) -> &[(Text, String)] {
        &self.fields
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> String {
        let (status, word, title) = self.kind.parts();
        let kind = format!("tag:hotrod-edge,2026:{word}");
        json!({ "type": kind, "title": title, "status": status, "detail": self.detail }).to_string()
    }
}
