use super::{Received, Refusal, Storable, Storing, may_store, may_store_body};
use crate::entry::Followed;
use crate::freshness::Exchange;
use crate::rules::{
    Bounds, Calendar, DecidedBy, Lifetimes, Limits, Requirement, Scalar, Seconds, Shape, Stored, Text, WithoutLedger,
};
use crate::time::UnixMillis;
use crate::validation::Validators;
use alloc::borrow::Cow;
use alloc::string::{String, ToString as _};

/// 2026-03-31T23:50:00Z, when everything here is received; a second before, it was asked for.
const RECEIVED_AT: UnixMillis = UnixMillis(1_775_001_000_000);
const EXCHANGE: Exchange = Exchange { requested_at: UnixMillis(RECEIVED_AT.0 - 1_000), received_at: RECEIVED_AT };
const NOW: &str = "Tue, 31 Mar 2026 23:50:00 GMT";
const HUNDRED_BEFORE: &str = "Tue, 31 Mar 2026 23:48:20 GMT";
const HUNDRED_AFTER: &str = "Tue, 31 Mar 2026 23:51:40 GMT";

fn shape(content_type: &'static str, require: Option<Requirement>) -> Shape {
    Shape {
        personal: false,
        query: Cow::Borrowed(&[]),
        content_type: content_type.into(),
        require,
        volatile: Cow::Borrowed(&[Text::Borrowed("at")]),
        response_fields: Cow::Borrowed(&[]),
    }
}

/// A route of a class with 300 s, or one that follows its origin, with 30 s on error where that says nothing.
const LIMITS: Limits = Limits { largest_body: 256 * 1024, memory_percent: 100, lease: false };

fn stored(decided_by: DecidedBy) -> Stored {
    let lifetimes = Lifetimes {
        s_maxage: 300,
        max_age: 0,
        stale_while_revalidate: 0,
        stale_if_error: 30,
        soft_window: 0,
        calendar: Calendar::None,
        without_ledger: WithoutLedger::Forward,
        snapshot: Bounds { isolate: 1, bound: 5, behind: None },
    };
    Stored { key: "k".into(), hot: false, lifetimes, tags: Cow::Borrowed(&[]), limits: LIMITS, decided_by }
}

fn received(status: u16, fields: &[(&str, &str)]) -> Received {
    let field = |name: &str| fields.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_string());
    Received {
        status,
        content_type: field("content-type"),
        content_length: field("content-length"),
        cache_control: field("cache-control"),
        targeted: [field("hotrod-cdn-cache-control"), field("cdn-cache-control")],
        age: field("age"),
        date: field("date"),
        expires: field("expires"),
        vary: field("vary"),
        set_cookie: field("set-cookie").is_some(),
        validators: Validators { etag: field("etag"), last_modified: field("last-modified") },
        with_authorization: field("authorization").is_some(),
    }
}

/// Of a class for JSON: the lifetime, or why it is not stored.
#[track_caller]
fn check_class(status: u16, fields: &[(&str, &str)], before: Option<Seconds>, expected: Result<Seconds, Refusal>) {
    let stored = stored(DecidedBy::Class(shape("application/json", None)));
    let fields = [fields, &[("content-type", "Application/JSON; charset=utf-8")]].concat();
    let read = match may_store(&stored, &received(status, &fields), before, EXCHANGE) {
        Storing::Store(Storable { freshness, followed: None }) => Ok(freshness.lifetime),
        Storing::Store(other) => panic!("{other:?}"),
        Storing::Refuse(refusal) => Err(refusal),
    };
    assert_eq!(read, expected, "{status} {fields:?}");
}

#[test]
fn a_class_stores_a_200_that_nobody_forbids() {
    check_class(200, &[], None, Ok(300));
    check_class(200, &[("cache-control", "max-age=60, must-revalidate")], None, Ok(60));
    check_class(200, &[("authorization", "x")], None, Ok(300));
    check_class(200, &[("vary", "accept-encoding")], None, Ok(300));
    for status in [201, 203, 204, 206, 301, 304, 404, 500, 503] {
        check_class(status, &[("cache-control", "max-age=60")], None, Err(Refusal::Status));
    }
    for (cache_control, refusal) in [
        ("no-store, max-age=60", Refusal::NoStore),
        ("must-understand, no-store", Refusal::NoStore),
        ("private", Refusal::Private),
        ("no-cache", Refusal::NoCache),
        ("max-age=0", Refusal::Expired),
        // It is a second old: that is how long the origin took.
        ("max-age=1", Refusal::Expired),
    ] {
        check_class(200, &[("cache-control", cache_control)], None, Err(refusal));
    }
    check_class(200, &[("cache-control", "max-age=2")], None, Ok(2));
    check_class(200, &[("set-cookie", "a=b")], None, Err(Refusal::SetCookie));
    check_class(200, &[("vary", "*")], None, Err(Refusal::Vary));
    check_class(200, &[("age", "299")], None, Err(Refusal::Expired));
    check_class(200, &[("age", "298")], None, Ok(300));
    check_class(200, &[("age", "x")], None, Err(Refusal::Expired));
}

#[test]
fn a_class_is_not_lengthened_by_targeted_fields_or_dates() {
    check_class(200, &[("cdn-cache-control", "max-age=1000")], None, Ok(300));
    check_class(200, &[("expires", HUNDRED_AFTER), ("date", NOW)], None, Ok(300));
}

#[test]
fn what_freshens_a_class_keeps_the_lifetime_that_it_does_not_state() {
    check_class(200, &[], Some(60), Ok(60));
    check_class(200, &[("cache-control", "max-age=90")], Some(60), Ok(90));
    check_class(200, &[("cache-control", "public")], Some(60), Ok(300));
}

#[test]
fn a_class_stores_its_media_type_alone() {
    let class = stored(DecidedBy::Class(shape("text/csv", None)));
    for (content_type, is_stored) in [("text/csv", true), (" TEXT/csv ;x=y", true), ("text/html", false), ("", false)] {
        let judged = may_store(&class, &received(200, &[("content-type", content_type)]), None, EXCHANGE);
        assert_eq!(judged == Storing::Refuse(Refusal::ContentType), !is_stored, "{content_type}");
    }
    let judged = may_store(&class, &received(200, &[]), None, EXCHANGE);
    assert_eq!(judged, Storing::Refuse(Refusal::ContentType));
}

#[test]
fn what_is_as_long_as_its_class_allows_is_stored_and_nothing_longer() {
    check_class(200, &[("content-length", "262144")], None, Ok(300));
    check_class(200, &[("content-length", "262145")], None, Err(Refusal::TooLarge));
    // Its length is found out on the way.
    check_class(200, &[("content-length", "x")], None, Ok(300));
    check_origin(200, &[("cache-control", "max-age=9"), ("content-length", "262144")], Ok((9, 0, 30)));
    check_origin(200, &[("cache-control", "max-age=9"), ("content-length", "262145")], Err(Refusal::TooLarge));
}

fn judge(status: u16, fields: &[(&str, &str)]) -> Result<(Seconds, Followed), Refusal> {
    match may_store(&stored(DecidedBy::Origin), &received(status, fields), None, EXCHANGE) {
        Storing::Store(Storable { freshness, followed: Some(followed) }) => Ok((freshness.lifetime, followed)),
        Storing::Store(other) => panic!("{other:?}"),
        Storing::Refuse(refusal) => Err(refusal),
    }
}

/// Of a route that follows its origin: the lifetime, and how long it may be used after it while it is validated and
/// when the origin fails; or why it is not stored.
#[track_caller]
fn check_origin(status: u16, fields: &[(&str, &str)], expected: Result<(Seconds, Seconds, Seconds), Refusal>) {
    let read = judge(status, fields);
    let read = read.map(|(lifetime, followed)| (lifetime, followed.while_revalidate, followed.if_error));
    assert_eq!(read, expected, "{status} {fields:?}");
}

#[test]
fn an_origin_states_a_lifetime_for_any_status_but_of_parts() {
    for status in [200, 201, 204, 302, 307, 404, 418, 500, 503, 599] {
        check_origin(status, &[("cache-control", "max-age=60")], Ok((60, 0, 30)));
        check_origin(status, &[("expires", HUNDRED_AFTER), ("date", NOW)], Ok((100, 0, 30)));
    }
    for status in [206, 304] {
        check_origin(status, &[("cache-control", "public, max-age=60")], Err(Refusal::Status));
    }
}

#[test]
fn a_lifetime_is_guessed_for_some_statuses_and_for_what_is_public() {
    let fields = [("date", NOW), ("last-modified", HUNDRED_BEFORE)];
    for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 451, 501] {
        check_origin(status, &fields, Ok((10, 0, 30)));
    }
    for status in [201, 202, 302, 303, 307, 400, 403, 416, 418, 500, 503] {
        check_origin(status, &fields, Err(Refusal::Status));
        check_origin(status, &[&fields[..], &[("cache-control", "public")]].concat(), Ok((10, 0, 30)));
    }
}

#[test]
fn what_an_origin_forbids_is_not_stored() {
    for (cache_control, refusal) in [
        ("no-store, max-age=60", Refusal::NoStore),
        ("private, max-age=60", Refusal::Private),
        ("private=\"x\", max-age=60", Refusal::Private),
        ("x=\", max-age=60", Refusal::NoStore),
    ] {
        check_origin(200, &[("cache-control", cache_control)], Err(refusal));
    }
    let with = |field| [("cache-control", "max-age=60"), field];
    check_origin(200, &with(("set-cookie", "a=b")), Err(Refusal::SetCookie));
    check_origin(200, &with(("vary", "foo, *")), Err(Refusal::Vary));
    let (_, followed) = judge(200, &with(("vary", "Foo, bar"))).unwrap();
    assert_eq!(followed.nominated, "bar,foo");
    assert_eq!(followed.variance, "");
}

#[test]
fn must_understand_lifts_no_store_where_the_status_is_understood() {
    for status in [200, 205, 300, 303, 307, 308, 400, 417, 421, 422, 426, 451, 500, 505] {
        check_origin(status, &[("cache-control", "must-understand, no-store, max-age=60")], Ok((60, 0, 30)));
    }
    for status in [206, 207, 226, 299, 304, 305, 306, 309, 399, 418, 423, 450, 499, 506, 599] {
        check_origin(status, &[("cache-control", "must-understand, max-age=60")], Err(Refusal::Status));
    }
    check_origin(200, &[("cache-control", "must-understand, private, max-age=60")], Err(Refusal::Private));
}

#[test]
fn an_answer_to_a_credential_needs_leave() {
    let with = |cache_control| [("authorization", "x"), ("cache-control", cache_control)];
    for cache_control in ["max-age=60", "max-age=60, proxy-revalidate", "max-age=60, must-understand"] {
        check_origin(200, &with(cache_control), Err(Refusal::Authorization));
    }
    check_origin(200, &with("max-age=60, public"), Ok((60, 0, 30)));
    check_origin(200, &with("max-age=60, must-revalidate"), Ok((60, 0, 0)));
    check_origin(200, &with("s-maxage=60"), Ok((60, 0, 0)));
}

#[test]
fn an_origin_states_windows_unless_it_forbids_stale_use() {
    let with = |cache_control| [("cache-control", cache_control)];
    check_origin(200, &with("max-age=60, stale-while-revalidate=7, stale-if-error=8"), Ok((60, 7, 8)));
    check_origin(200, &with("max-age=60, stale-if-error=0"), Ok((60, 0, 0)));
    for forbids in ["must-revalidate", "proxy-revalidate", "s-maxage=60"] {
        let cache_control = format!("max-age=60, stale-while-revalidate=7, stale-if-error=8, {forbids}");
        check_origin(200, &[("cache-control", &cache_control)], Ok((60, 0, 0)));
        assert!(judge(200, &[("cache-control", &cache_control)]).unwrap().1.forbids_stale);
    }
    assert!(!judge(200, &with("max-age=60")).unwrap().1.forbids_stale);
    check_origin(200, &[("cache-control", "max-age=60, no-cache"), ("etag", "\"a\"")], Ok((0, 0, 0)));
}

#[test]
fn what_is_past_every_use_is_stored_only_to_be_validated() {
    let stale = ("cache-control", "max-age=0, stale-if-error=0");
    check_origin(200, &[stale], Err(Refusal::Expired));
    check_origin(200, &[stale, ("etag", "\"a\"")], Ok((0, 0, 0)));
    check_origin(200, &[stale, ("last-modified", HUNDRED_BEFORE)], Ok((0, 0, 0)));
    check_origin(200, &[("cache-control", "max-age=1, stale-if-error=0")], Err(Refusal::Expired));
    check_origin(200, &[("cache-control", "max-age=2, stale-if-error=0")], Ok((2, 0, 0)));
    check_origin(200, &[("cache-control", "max-age=0, stale-if-error=2")], Ok((0, 0, 2)));
    check_origin(200, &[("cache-control", "max-age=0, stale-if-error=0, stale-while-revalidate=2")], Ok((0, 2, 0)));
}

#[test]
fn a_targeted_field_takes_the_place_of_the_others() {
    let fields = [("cache-control", "private, max-age=1"), ("expires", HUNDRED_AFTER), ("date", NOW)];
    let with = |targeted: &[(&'static str, &'static str)]| [&fields[..], targeted].concat();
    let (own, any) = ("hotrod-cdn-cache-control", "cdn-cache-control");
    check_origin(200, &fields, Err(Refusal::Private));
    check_origin(200, &with(&[(any, "max-age=20")]), Ok((20, 0, 30)));
    check_origin(200, &with(&[(any, "max-age=20"), (own, "max-age=10")]), Ok((10, 0, 30)));
    check_origin(200, &with(&[(any, "max-age=20"), (own, "max-age=x y")]), Ok((20, 0, 30)));
    check_origin(200, &with(&[(any, "no-store")]), Err(Refusal::NoStore));
    check_origin(200, &with(&[(any, "max-age=")]), Err(Refusal::Private));
    // Neither Expires nor what Cache-Control says counts beside it.
    check_origin(200, &with(&[(any, "x"), ("etag", "\"a\"")]), Ok((0, 0, 0)));
    check_origin(200, &with(&[(any, "x")]), Err(Refusal::Expired));
}

#[track_caller]
fn check_body(shape: &Shape, body: &str, expected: Result<(), Refusal>) -> String {
    match may_store_body(shape, body.as_bytes()) {
        Storing::Store(etag) => {
            assert_eq!(expected, Ok(()), "{body}");
            etag
        }
        Storing::Refuse(refusal) => {
            assert_eq!(expected, Err(refusal), "{body}");
            String::new()
        }
    }
}

#[test]
fn a_body_says_itself_whether_it_is_an_answer() {
    let requires = |equals| shape("application/json", Some(Requirement { member: "ok".into(), equals }));
    let flag = requires(Scalar::Bool(true));
    check_body(&flag, "{\"ok\": true}", Ok(()));
    for body in ["{\"ok\": false}", "{\"ok\": \"true\"}", "{\"ok\": 1}", "{}", "[]", "\"ok\"", "null"] {
        check_body(&flag, body, Err(Refusal::Envelope));
    }
    let text = requires(Scalar::Text("yes".into()));
    check_body(&text, "{\"ok\": \"yes\"}", Ok(()));
    for body in ["{\"ok\": \"no\"}", "{\"ok\": true}", "{\"ok\": [\"yes\"]}"] {
        check_body(&text, body, Err(Refusal::Envelope));
    }
    for body in ["", "{", "<html>", "{\"ok\": true} x"] {
        check_body(&flag, body, Err(Refusal::Malformed));
    }
    check_body(&shape("application/json", None), "{\"ok\": false}", Ok(()));
}

#[test]
fn the_tag_of_json_is_of_its_figures_and_that_of_anything_else_of_its_bytes() {
    let json = shape("application/json", None);
    let tag = check_body(&json, "{\"a\": 1, \"at\": 2}", Ok(()));
    assert_eq!(check_body(&json, "{\"at\":3,\"a\":1}", Ok(())), tag);
    assert_ne!(check_body(&json, "{\"a\": 2, \"at\": 2}", Ok(())), tag);
    let text = shape("text/csv", None);
    let tag = check_body(&text, "a,b", Ok(()));
    assert_eq!(check_body(&text, "a,b", Ok(())), tag);
    assert_ne!(check_body(&text, "a, b", Ok(())), tag);
}
