//! Header fields as any peer could send them: empty, twice, too long, of bytes that are no text, of numbers that nothing
//! can hold, and dates of every form. Whatever it is, the edge answers, its answer is no error of its own, and nothing
//! becomes more cacheable than it is without the field.

use crate::client::{Seen, ask, get};
use crate::fakes::{Asking, Location, Scripted, TENANT, World};
use crate::spec::rules;
use std::rc::Rc;
use std::slice;

/// Of a class, and one that follows its origin.
const ROUTES: [&str; 2] = ["/api/dashboard/tiles/ops", "/api/pages/a"];
const FOLLOWED: &str = ROUTES[1];
const BODY: &str = r#"{"status":"ok","data":"0123456789"}"#;
/// When it is asked again, in seconds.
const PROBES: [u64; 5] = [1, 10, 60, 100, 86_400];

type Lines = Vec<(String, String)>;

fn lines(fields: &[(&str, &str)]) -> Lines {
    fields.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect()
}

/// A thousand seconds before the first request.
const MODIFIED: (&str, &str) = ("last-modified", "Tue, 31 Mar 2026 11:43:20 GMT");
const LIFETIME: (&str, &str) = ("cache-control", "max-age=60");

/// Values that mean nothing in any field that is looked at here.
fn junk() -> Vec<String> {
    let short = [
        "",
        " ",
        "\t",
        ",",
        ", ,,",
        "\"",
        "\"never ends",
        "\"ends\" late",
        "\\",
        "=",
        "=1",
        ";",
        ";;=",
        "/",
        "(",
        "1e99",
        "-1",
        "+1",
        "1.5",
        "0x10",
        "-",
        "--",
        "%",
        "%00",
        "\u{1}",
        "\u{7f}",
        "\u{85}",
        "\u{e9}\u{ff}",
        "\u{fffd}",
        "\u{1f600}",
        "@",
        "W/",
        "W/\"",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=x-y",
        "bytes=2-1",
        "bytes=1e1-",
        "bytes=--1",
        "lines=0-1",
        "0",
        "Tue, 31 Mar 2026",
        "31 Mar 2026 12:01:00 GMT",
        "Tue, 31 Mar 2026 12:01:00 EST",
        "Tue, 31 Mar 2026 24:00:01 GMT",
        "Tue, 99 Mar 2026 12:01:00 GMT",
        "Tue, 31 Mar 20260 12:01:00 GMT",
        "2026-03-31T12:01:00Z",
        "Mon Mar 31 12:01 2026",
    ];
    let long =
        ["x", ",", "\"", "\\", "=", "9", " ", "\u{e9}", "a,", "a=b;", "W/\"a\", "].map(|part| part.repeat(20_000));
    short.map(str::to_string).into_iter().chain(long).collect()
}

/// Directives that have to have a number, with what is none.
fn junk_directives() -> Vec<String> {
    let numbers = ["", "\"\"", "\"", "-1", "1e99", "1.5", "0x10", "+1", " 1", "\u{e9}", "NaN", "9 9", "60;60"];
    let each = numbers.iter().flat_map(|number| {
        ["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"].map(|name| format!("{name}={number}"))
    });
    each.collect()
}

/// Numbers and dates that are what they should be, and extreme.
fn extremes() -> Vec<String> {
    let values = [
        "0",
        "00000000000000000060",
        "2147483648",
        "4294967295",
        "4294967296",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999999999999999999999",
        "10, 20",
        "10, -1",
        "*",
        "*, a",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Thursday, 01-Jan-70 00:00:00 GMT",
        "Thu Jan  1 00:00:00 1970",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Friday, 31-Dec-99 23:59:59 GMT",
        "Fri Dec 31 23:59:59 9999",
        "Mon, 01 Jan 0000 00:00:00 GMT",
        "Tue, 31 Mar 2026 12:00:00 GMT",
        "\"v1\"",
        "W/\"v1\"",
        "\"v1\", \"v2\"",
    ];
    values.map(str::to_string).to_vec()
}

/// The field in each way in which it can be sent with a value: alone, twice, and beside another. Too long is long enough
/// once.
fn ways(name: &str, value: &str) -> Vec<Lines> {
    let ways = [lines(&[(name, value)]), lines(&[(name, value), (name, value)]), lines(&[(name, value), (name, "a")])];
    let count = if value.len() < 1_000 { ways.len() } else { 1 };
    ways.into_iter().take(count).collect()
}

/// What the origin says.
#[derive(Debug, Clone)]
struct Origin {
    answer: Lines,
    /// The fields of its 304 to a condition.
    not_modified: Option<Lines>,
}

impl Origin {
    fn new(fields: &[(&str, &str)], more: &Lines) -> Self {
        let fields = [&[("content-type", "application/json")], fields].concat();
        Self { answer: [lines(&fields), more.clone()].concat(), not_modified: None }
    }
}

fn deployment(origin: &Origin) -> Rc<Location> {
    let world = World::new();
    let body = Some(BODY.as_bytes().to_vec());
    world.origin.scripted.replace(Some(Scripted { status: 200, lines: origin.answer.clone(), body }));
    world.origin.not_modified.replace(origin.not_modified.clone());
    world.origin.takes.set(1_000);
    Location::with(&world, TENANT, Some(rules()))
}

/// For how long after the first requests others are answered without the origin: the last of the probes, if there is
/// one. All must be answered well.
#[track_caller]
fn kept(route: &str, first: &[Asking], origin: &Origin) -> Option<u64> {
    let location = deployment(origin);
    for request in first {
        judge(&ask(&location, request.clone()), request, origin);
    }
    kept_from_now(&location, route, origin)
}

#[track_caller]
fn kept_from_now(location: &Rc<Location>, route: &str, origin: &Origin) -> Option<u64> {
    let now = location.world.now();
    let hits = |probe: &u64| {
        location.world.set_now(now + probe * 1000);
        let seen = get(location, route);
        judge(&seen, &Asking::get(route), origin);
        assert_eq!((seen.status, seen.text().as_str()), (200, BODY), "{origin:?}");
        seen.origin_requests == 0
    };
    PROBES.into_iter().take_while(hits).last()
}

/// An answer is the whole one, a part of it that says so, or none because of what was asked or how much.
#[track_caller]
fn judge(seen: &Seen, request: &Asking, origin: &Origin) {
    let text = seen.text();
    let fits = match seen.status {
        200 => text == BODY,
        206 => seen.field("content-range").and_then(part) == Some(text.as_str()),
        304 => text.is_empty(),
        416 => text != BODY,
        431 => request.lines.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > 16_000,
        _ => false,
    };
    assert!(fits, "{} {text} to {request:?} with {origin:?}", seen.status);
}

/// A field of an answer: the answer is not more cacheable with any of these values than without the field.
#[track_caller]
fn check_answers(name: &str, base: &[(&str, &str)], values: &[String]) {
    for route in ROUTES {
        let first = [Asking::get(route)];
        let without = kept(route, &first, &Origin::new(base, &Vec::new()));
        assert!(without.is_some(), "{route} with {base:?}");
        for more in values.iter().flat_map(|value| ways(name, value)) {
            let with = kept(route, &first, &Origin::new(base, &more));
            assert!(with <= without, "{route} is kept {with:?} s, and not {without:?} s, with {}", brief(&more));
        }
    }
}

/// A field of a request: what it leaves behind is not more cacheable than what a request without it leaves behind, and
/// what was there before is not lost.
#[track_caller]
fn check_requests(name: &str, values: &[String], beside: &[(&str, &str)]) {
    for route in ROUTES {
        let origin = Origin::new(&[LIFETIME, MODIFIED, ("etag", "\"v1\"")], &Vec::new());
        let plain = Asking::get(route);
        let without = kept(route, slice::from_ref(&plain), &origin);
        for more in values.iter().flat_map(|value| ways(name, value)) {
            let sent = [more.clone(), lines(beside)].concat();
            let odd = sent.iter().fold(plain.clone(), |asking, (name, value)| asking.with(name, value));
            let with = kept(route, slice::from_ref(&odd), &origin);
            assert!(with <= without, "{route} is kept {with:?} s, and not {without:?} s, with {}", brief(&more));
            let after = kept(route, &[plain.clone(), odd], &origin);
            assert_eq!(after, without, "{route} after {}", brief(&more));
        }
    }
}

/// The part of the body that a Content-Range names.
fn part(content_range: &str) -> Option<&'static str> {
    let (place, length) = content_range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = place.split_once('-')?;
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    (length == BODY.len().to_string()).then(|| BODY.get(first..=last))?
}

fn brief(lines: &Lines) -> String {
    let cut = |text: &str| text.chars().take(60).collect::<String>();
    lines.iter().map(|(name, value)| format!("{name}: {}", cut(value))).collect::<Vec<_>>().join(" | ")
}

/// All values that a field can have.
fn all() -> Vec<String> {
    [junk(), junk_directives(), extremes()].concat()
}

#[test]
fn no_cache_control_that_cannot_be_read_makes_an_answer_more_cacheable() {
    check_answers("cache-control", &[MODIFIED], &[junk(), junk_directives()].concat());
}

#[test]
fn no_targeted_field_that_cannot_be_read_makes_an_answer_more_cacheable() {
    for name in ["cdn-cache-control", "hotrod-cdn-cache-control"] {
        check_answers(name, &[MODIFIED], &[junk(), junk_directives()].concat());
    }
}

#[test]
fn no_targeted_field_that_is_no_dictionary_takes_no_store_away() {
    let no_dictionary =
        ["", ",", "\"", "=", "=1", ";", "-1", "1e99", "max-age=", "max-age=-", "Max-Age=60", "max-age=60,"];
    for name in ["cdn-cache-control", "hotrod-cdn-cache-control"] {
        for value in no_dictionary {
            let origin = Origin::new(&[("cache-control", "no-store"), MODIFIED], &lines(&[(name, value)]));
            for route in ROUTES {
                assert_eq!(kept(route, &[Asking::get(route)], &origin), None, "{route} with {name}: {value}");
            }
        }
    }
}

#[test]
fn no_expires_lengthens_a_stated_lifetime_and_none_that_is_no_date_an_estimated_one() {
    check_answers("expires", &[LIFETIME], &all());
    check_answers("expires", &[MODIFIED], &junk());
}

#[test]
fn no_other_field_of_an_answer_makes_it_more_cacheable() {
    for name in ["age", "date", "vary", "etag", "last-modified", "pragma"] {
        check_answers(name, &[LIFETIME], &all());
    }
}

#[test]
fn no_field_of_a_304_makes_an_answer_more_cacheable() {
    let base = [("cache-control", "max-age=10"), ("etag", "\"v1\"")];
    let freshened = |origin: &Origin| {
        let location = deployment(origin);
        judge(&get(&location, FOLLOWED), &Asking::get(FOLLOWED), origin);
        location.world.pass(10_000);
        judge(&get(&location, FOLLOWED), &Asking::get(FOLLOWED), origin);
        kept_from_now(&location, FOLLOWED, origin)
    };
    for name in ["age", "date", "vary", "etag", "last-modified", "expires", "cache-control", "cdn-cache-control"] {
        let values = if name.ends_with("cache-control") { junk_directives() } else { all() };
        for more in values.iter().flat_map(|value| ways(name, value)) {
            let origin = Origin::new(&base, &Vec::new());
            let tag = if name == "etag" { Vec::new() } else { lines(&[base[1]]) };
            let origin = Origin { not_modified: Some([tag, more.clone()].concat()), ..origin };
            let kept = freshened(&origin);
            assert!(kept <= Some(1), "it is kept {kept:?} s with {}", brief(&more));
        }
    }
}

#[test]
fn no_directive_of_a_client_makes_an_answer_more_cacheable() {
    let mut values = [junk(), junk_directives()].concat();
    for number in extremes() {
        values.extend(["max-age", "min-fresh", "max-stale", "stale-if-error"].map(|name| format!("{name}={number}")));
    }
    check_requests("cache-control", &values, &[]);
    check_requests("pragma", &all(), &[]);
}

#[test]
fn no_condition_or_range_of_a_client_makes_an_answer_more_cacheable() {
    for name in ["if-none-match", "if-modified-since"] {
        check_requests(name, &all(), &[]);
    }
    check_requests("if-range", &all(), &[("range", "bytes=0-4")]);
    let mut ranges = all();
    for number in extremes() {
        ranges.extend(
            ["{}-", "-{}", "0-{}", "{}-{}", "0-0,{}-"].map(|form| format!("bytes={}", form.replace("{}", &number))),
        );
    }
    check_requests("range", &ranges, &[]);
}
