//! One request to the edge and what must be true of it. Every case says how many requests the origin saw.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use crate::cache_status::{CacheStatus, parse};
use crate::client::{Call, Response};
use crate::origin::Origin;
use crate::workerd::Workerd;

/// A request that was answered. It must end in [`Case::origin_requests`]; one that does not, panics.
#[must_use = "a case ends in origin_requests(n)"]
pub struct Case<'a> {
    origin: &'a Origin,
    name: String,
    origin_before: usize,
    response: Option<Response>,
}

impl<'a> Case<'a> {
    #[track_caller]
    pub(crate) fn run(origin: &'a Origin, workerd: &Workerd, address: SocketAddr, call: &Call) -> Self {
        let origin_before = origin.total();
        let name = call.to_string();
        let response = call.send(address).unwrap_or_else(|error| panic!("{name}: {error}"));
        let is_problem = response.fields.get("Content-Type") == Some("application/problem+json");
        workerd.secrets().check_answer(&name, is_problem || call.is_for_the_edge(), &response);
        Self { origin, name, origin_before, response: Some(response) }
    }

    /// The status is this, and the body is whole.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        let response = self.response();
        assert_eq!(response.status, status, "{}: status; {:?} {}", self.name, response.fields, response.text());
        assert_eq!(response.cut, None, "{}: the body was cut", self.name);
        self
    }

    /// Answered from a store, fresh or stale, without a forward.
    #[track_caller]
    pub fn hit(self) -> Self {
        let status = self.cache_status();
        assert!(status.hit, "{}: not a hit: {status:?}", self.name);
        self
    }

    /// Forwarded for this reason.
    #[track_caller]
    pub fn fwd(self, reason: &str) -> Self {
        let status = self.cache_status();
        assert_eq!(status.fwd.as_deref(), Some(reason), "{}: {status:?}", self.name);
        self
    }

    /// Stored, or not, according to Cache-Status.
    #[track_caller]
    pub fn stored(self, stored: bool) -> Self {
        let status = self.cache_status();
        assert_eq!(status.stored, stored, "{}: {status:?}", self.name);
        self
    }

    /// So many seconds of freshness are left.
    #[track_caller]
    pub fn ttl(self, seconds: RangeInclusive<i64>) -> Self {
        let status = self.cache_status();
        assert!(status.ttl.is_some_and(|ttl| seconds.contains(&ttl)), "{}: ttl in {seconds:?}: {status:?}", self.name);
        self
    }

    /// The detail is this word.
    #[track_caller]
    pub fn detail(self, word: &str) -> Self {
        let status = self.cache_status();
        assert_eq!(status.detail.as_deref(), Some(word), "{}: {status:?}", self.name);
        self
    }

    /// The field is there once, with this value.
    #[track_caller]
    pub fn field(self, name: &str, value: &str) -> Self {
        assert_eq!(self.response().field(name), Some(value), "{}: {name}", self.name);
        self
    }

    /// The field is not there.
    #[track_caller]
    pub fn no_field(self, name: &str) -> Self {
        assert_eq!(self.response().fields.all(name), Vec::<&str>::new(), "{}: {name}", self.name);
        self
    }

    /// The body is this.
    #[track_caller]
    pub fn body(self, body: impl AsRef<[u8]>) -> Self {
        let (got, expected) = (&self.response().body, body.as_ref());
        assert!(
            got == expected,
            "{}: {:?} instead of {:?}",
            self.name,
            self.response().text(),
            String::from_utf8_lossy(expected)
        );
        self
    }

    /// The tile says this (see `Answer::tile`).
    #[track_caller]
    pub fn says(self, fact: &str) -> Self {
        let body = self.response().json();
        assert_eq!(body["fact"]["says"], fact, "{}: {body}", self.name);
        self
    }

    /// An error of the edge's own (RFC 9457), of this status and never stored.
    #[track_caller]
    pub fn problem(self, status: u16) -> Self {
        let case = self.expect(status).field("Content-Type", "application/problem+json");
        assert_eq!(case.response().json()["status"], status, "{}: {}", case.name, case.response().text());
        case.field("Cache-Control", "no-store")
    }

    /// Since the request began, the origin had so many. Ends the case.
    #[track_caller]
    pub fn origin_requests(mut self, count: usize) -> Response {
        // Taken first, so that a failing assertion does not meet the check for a forgotten count.
        let response = self.response.take().expect("a case ends once");
        let seen: Vec<_> = self.origin.all_requests().split_off(self.origin_before);
        let lines: Vec<_> = seen.iter().map(|request| format!("{} {}", request.method, request.target)).collect();
        assert_eq!(lines.len(), count, "{}: requests at the origin: {lines:?}", self.name);
        response
    }

    fn response(&self) -> &Response {
        self.response.as_ref().expect("a case that has not ended holds its response")
    }

    #[track_caller]
    fn cache_status(&self) -> CacheStatus {
        let value = self.response().fields.all("Cache-Status").join(", ");
        assert!(!value.is_empty(), "{}: no Cache-Status: {:?}", self.name, self.response().fields);
        let caches = parse(&value).unwrap_or_else(|why| panic!("{}: Cache-Status {value:?}: {why}", self.name));
        // The last one is the nearest to the client: the edge.
        caches.into_iter().next_back().expect("a parsed list has a member")
    }
}

impl Drop for Case<'_> {
    fn drop(&mut self) {
        let counted = self.response.is_none() || std::thread::panicking();
        assert!(counted, "{}: the case does not say how many requests the origin saw", self.name);
    }
}
