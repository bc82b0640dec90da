use super::{Inbound, is_for_the_origin, passed_fields, stored_fields};
use crate::names::field;
use crate::ports::{Failure, Request, Response};
use crate::rules::{Bounds, Calendar, DecidedBy, Lifetimes, Limits, Shape, Stored, WithoutLedger};
use alloc::borrow::Cow;
use alloc::rc::Rc;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

/// A message of either kind, with these header fields.
struct Message(&'static str, Vec<(&'static str, &'static str)>);

fn get(fields: &[(&'static str, &'static str)]) -> Message {
    Message("GET", fields.to_vec())
}

impl Message {
    fn value(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self.1.iter().filter(|(other, _)| *other == name).map(|(_, value)| *value).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }
}

impl Request for Message {
    fn method(&self) -> &str {
        self.0
    }

    fn url(&self) -> &'static str {
        "https://edge.test/"
    }

    fn header(&self, name: &str) -> Option<String> {
        self.value(name)
    }

    fn header_names(&self) -> Vec<String> {
        self.1.iter().map(|(name, _)| (*name).to_string()).collect()
    }

    async fn read(self, _: usize) -> Result<Option<Vec<u8>>, Failure> {
        Ok(None)
    }
}

impl Response for Message {
    type Body = ();

    fn status(&self) -> u16 {
        200
    }

    fn is_upgraded(&self) -> bool {
        false
    }

    fn header(&self, name: &str) -> Option<String> {
        self.value(name)
    }

    fn fields(&self) -> Vec<(String, String)> {
        self.1.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect()
    }

    fn into_body(self) {}
}

const LIMITS: Limits = Limits { largest_body: 256 * 1024, memory_percent: 100, lease: false };

fn stored(decided_by: DecidedBy) -> Stored {
    let lifetimes = Lifetimes {
        s_maxage: 300,
        max_age: 0,
        stale_while_revalidate: 0,
        stale_if_error: 0,
        soft_window: 0,
        calendar: Calendar::None,
        without_ledger: WithoutLedger::Forward,
        snapshot: Bounds { isolate: 1, bound: 5, behind: None },
    };
    Stored { key: "k".into(), hot: false, lifetimes, tags: Cow::Borrowed(&[]), limits: LIMITS, decided_by }
}

fn inbound(fields: &[(&'static str, &'static str)]) -> Rc<Inbound> {
    Inbound::of(&get(fields), &stored(DecidedBy::Origin)).unwrap()
}

#[track_caller]
fn check_goes_on(fields: &[(&'static str, &'static str)], expected: &[(&str, &str)]) {
    let inbound = inbound(fields);
    let read: Vec<_> = inbound.fields().iter().map(|(name, value)| (name.as_ref(), value.as_str())).collect();
    assert_eq!(read, expected);
}

#[test]
fn a_request_goes_on_whole_less_what_ends_here() {
    check_goes_on(&[], &[]);
    check_goes_on(&[("accept", "a/b"), ("cookie", "c=d")], &[("accept", "a/b"), ("cookie", "c=d")]);
    check_goes_on(&[("connection", "x, close"), ("x", "1"), ("y", "2"), ("te", "trailers")], &[("y", "2")]);
    check_goes_on(&[("x-shop-domain", "a.test"), ("x-forwarded-for", "::1"), ("y", "2")], &[("y", "2")]);
    check_goes_on(
        &[
            ("if-none-match", "\"a\""),
            ("if-modified-since", "x"),
            ("if-match", "\"a\""),
            ("if-unmodified-since", "x"),
            ("range", "bytes=0-1"),
            ("if-range", "\"a\""),
            ("cache-control", "no-store"),
        ],
        &[("cache-control", "no-store")],
    );
}

#[test]
fn a_request_asks_something_of_a_cache() {
    assert!(inbound(&[("cache-control", "no-store")]).directives.no_store);
    assert!(inbound(&[("pragma", "no-cache")]).directives.no_cache);
    assert!(!inbound(&[("cache-control", "x"), ("pragma", "no-cache")]).directives.no_cache);
}

#[test]
fn where_a_class_decides_nothing_goes_on() {
    let shape = Shape {
        personal: false,
        query: Cow::Borrowed(&[]),
        content_type: "a/b".into(),
        require: None,
        volatile: Cow::Borrowed(&[]),
        response_fields: Cow::Borrowed(&[]),
    };
    assert_eq!(Inbound::of(&get(&[("x", "1")]), &stored(DecidedBy::Class(shape))), None);
}

#[test]
fn fields_select_a_variant() {
    let inbound = inbound(&[("x", "1"), ("y", "2")]);
    assert_eq!(inbound.field("y"), Some("2"));
    assert_eq!(inbound.field("z"), None);
    let variance = |fields: &[(&'static str, &'static str)]| self::inbound(fields).variance("x");
    assert_eq!(inbound.variance("x"), variance(&[("x", "1")]));
    assert_ne!(inbound.variance("x"), variance(&[("x", "2"), ("y", "2")]));
    assert_ne!(inbound.variance("x"), variance(&[("y", "2")]));
}

#[test]
fn requests_in_the_same_words_are_known_by_them() {
    let words = |fields: &[(&'static str, &'static str)]| inbound(fields).words();
    let one = words(&[("x", "1"), ("y", "2")]);
    assert_eq!(words(&[("y", "2"), ("x", "1")]), one);
    assert_eq!(words(&[("y", "2"), ("range", "bytes=0-1"), ("x", "1")]), one);
    for other in [&[("x", "1")][..], &[("x", "1"), ("y", "3")], &[("x", "2"), ("y", "1")], &[]] {
        assert_ne!(words(other), one, "{other:?}");
    }
}

#[test]
fn the_origin_alone_judges_conditions_on_its_state_and_upgrades() {
    for name in ["if-match", "if-unmodified-since"] {
        assert!(is_for_the_origin(&get(&[(name, "x")])), "{name}");
        assert!(!is_for_the_origin(&Message("HEAD", vec![(name, "x")])), "{name}");
    }
    for method in ["GET", "HEAD"] {
        assert!(is_for_the_origin(&Message(method, vec![("upgrade", "websocket")])), "{method}");
        assert!(!is_for_the_origin(&Message(method, vec![("if-none-match", "\"a\""), ("range", "bytes=0-1")])));
    }
}

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect()
}

#[test]
fn an_answer_comes_whole_less_what_ends_here() {
    let answer = get(&[
        ("connection", "close, x"),
        ("x", "1"),
        ("y", "2"),
        ("set-cookie", "a=b"),
        ("set-cookie", "c=d"),
        ("transfer-encoding", "chunked"),
        ("content-length", "3"),
        (field::CLOUDFLARE_CDN_CACHE_CONTROL, "max-age=1"),
        (field::EPOCH_TOKEN, "t"),
    ]);
    let expected = [("y", "2"), ("set-cookie", "a=b"), ("set-cookie", "c=d"), ("content-length", "3")];
    assert_eq!(passed_fields(&answer), owned(&expected));
}

#[test]
fn what_tells_of_one_answer_is_not_kept() {
    let fields = [("age", "1"), ("x", "1"), ("cache-status", "c"), ("set-cookie", "a=b"), ("x-request-id", "r")];
    assert_eq!(stored_fields(owned(&fields)), owned(&[("x", "1")]));
}
