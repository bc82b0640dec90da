//! Header fields in both directions: what of a client reaches the origin, and what of the origin the client.

use lab::client::{Call, Response};
use lab::harness::{Edge, ORIGIN_SECRET, TENANT};
use lab::origin::{Answer, Recorded};
use lab::stored::{OPS, SALES, SALES_KEY};

const LIVE: &str = "/api/realtime/sla";

/// Fields by which a stranger tries to change what others get.
const HOSTILE: [(&str, &str); 45] = [
    ("X-Forwarded-Host", "evil.example"),
    ("X-Host", "evil.example"),
    ("X-Forwarded-Server", "evil.example"),
    ("X-HTTP-Host-Override", "evil.example"),
    ("Forwarded", "host=evil.example"),
    ("X-Forwarded-Scheme", "http"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Port", "1"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Original-URL", "/evil"),
    ("X-Rewrite-URL", "/evil"),
    ("X-HTTP-Method-Override", "POST"),
    ("X-HTTP-Method", "DELETE"),
    ("X-Method-Override", "POST"),
    ("X-Forwarded-Prefix", "/evil"),
    ("X-Original-Host", "evil.example"),
    ("X-WAP-Profile", "http://evil.example/"),
    ("Accept-Language", "evil"),
    ("Accept-Encoding", "evil"),
    ("Accept-Charset", "evil"),
    ("User-Agent", "evil"),
    ("Cookie", "theme=evil"),
    ("Authorization", "Bearer evil"),
    ("Proxy-Authorization", "Basic evil"),
    ("Edge-Authorization", "Bearer evil"),
    ("If-Match", "\"evil\""),
    ("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"),
    ("If-Range", "\"evil\""),
    ("Range", "bytes=0-3"),
    ("Max-Forwards", "0"),
    ("TE", "trailers"),
    ("Origin", "https://evil.example"),
    ("Referer", "https://evil.example/"),
    ("CF-Connecting-IP", "127.0.0.1"),
    ("CF-Worker", "evil"),
    ("X-Edge-Tenant", "evil"),
    ("X-Tenant", "evil"),
    ("X-Shop-Domain", "evil.myshopify.com"),
    ("Edge-Secret", "evil"),
    ("X-Request-Id", "evil"),
    ("Cache-Tag", "evil"),
    ("CDN-Cache-Control", "max-age=1"),
    ("X-Data-As-Of", "evil"),
    ("traceparent", "evil"),
    ("X-Anything-Else", "evil"),
];

fn hostile(mut call: Call) -> Call {
    for (name, value) in HOSTILE {
        call = call.field(name, value);
    }
    call.field("Pragma", "no-cache").field("Cache-Control", "no-cache")
}

fn last(edge: &Edge) -> Recorded {
    edge.origin.all_requests().pop().expect("the origin was asked")
}

/// The fields of a request as the origin got them, without the one that differs each time.
fn sent(edge: &Edge) -> Vec<(String, String)> {
    let mut fields = last(edge).fields.0;
    fields.retain(|(name, _)| !name.eq_ignore_ascii_case("x-request-id"));
    fields.sort();
    fields
}

#[test]
fn on_a_cached_route_nothing_of_a_client_reaches_the_origin() {
    let edge = Edge::start();
    edge.origin.answer(SALES, Answer::tile("clean").status(500));
    edge.get(SALES).expect(500).origin_requests(1);
    let (clean, line) = (sent(&edge), last(&edge).target);
    edge.send(&hostile(Call::get(SALES))).expect(500).origin_requests(1);
    assert_eq!(sent(&edge), clean);
    edge.send(&hostile(Call::get(format!("{SALES}?utm_source=evil&_=1&nocache=true")))).expect(500).origin_requests(1);
    assert_eq!((sent(&edge), last(&edge).target), (clean.clone(), line));
    edge.send(&hostile(Call::new("HEAD", SALES))).expect(500).origin_requests(1);
    assert_eq!((sent(&edge), last(&edge).method.as_str()), (clean.clone(), "GET"));
    let mut names = last(&edge).fields.names();
    names.sort();
    let listed =
        ["accept", "cache-control", "cdn-loop", "edge-secret", "host", "pragma", "x-request-id", "x-shop-domain"];
    assert_eq!(names, listed);
    let value = |name: &str| last(&edge).fields.get(name).unwrap_or_default().to_owned();
    assert_eq!((value("Edge-Secret"), value("X-Shop-Domain")), (ORIGIN_SECRET.to_owned(), TENANT.to_owned()));
    assert_eq!((value("CDN-Loop").as_str(), value("Accept").as_str()), ("hotrod-edge", "application/json"));
    assert_eq!(value("Host"), edge.origin.address().to_string());
    let ids: std::collections::BTreeSet<_> = edge
        .origin
        .all_requests()
        .iter()
        .map(|request| request.fields.get("X-Request-Id").map(str::to_owned))
        .collect();
    assert!(ids.len() == 4 && ids.iter().flatten().all(|id| id.len() == 32 && id != "evil"), "{ids:?}");
}

#[test]
fn a_stranger_can_neither_poison_a_hit_nor_force_a_miss() {
    let edge = Edge::start();
    let echo = |request: &Recorded, _: usize| Answer::tile(&String::from_utf8_lossy(&request.raw));
    edge.origin.script(SALES, echo);
    let poisoned = edge.send(&hostile(Call::get(SALES))).expect(200).stored(true).origin_requests(1);
    assert!(!poisoned.text().contains("evil"), "{}", poisoned.text());
    edge.wait_until_kept(SALES_KEY, &poisoned.text());
    edge.get(SALES).expect(200).hit().body(&poisoned.body).origin_requests(0);
    edge.send(&hostile(Call::get(SALES))).expect(200).hit().body(&poisoned.body).origin_requests(0);
    for control in ["no-cache", "no-store", "max-age=0", "only-if-cached"] {
        let call = Call::get(SALES).field("Cache-Control", control).field("Pragma", "no-cache");
        edge.send(&call).expect(200).hit().body(&poisoned.body).origin_requests(0);
    }
}

#[test]
fn of_the_origins_fields_only_those_that_are_listed_come_back() {
    let edge = Edge::start();
    let answer = Answer::tile("a tile")
        .field("Content-Type", "application/json; charset=utf-8")
        .field("Content-Language", "en")
        .field("ETag", "\"the origin's own\"")
        .field("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        .field("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")
        .field("Vary", "Cookie")
        .field("Server", "nginx")
        .field("Access-Control-Allow-Origin", "*")
        .field("Clear-Site-Data", "\"*\"")
        .field("Strict-Transport-Security", "max-age=1")
        .field("Alt-Svc", "h3=\"evil.example:443\"")
        .field("Content-Security-Policy", "default-src 'none'")
        .field("Link", "<https://evil.example/>; rel=preload")
        .field("Refresh", "0;url=https://evil.example/")
        .field("Cache-Tag", "a")
        .field("CF-Cache-Status", "HIT")
        .field("Cache-Status", "origin; hit")
        .field("X-Request-Id", "7")
        .field("hotrod-head", "{}")
        .field("X-Anything", "x");
    edge.origin.answer(SALES, answer.clone());
    let listed = |response: &Response, more: &[&str]| {
        let mut expected = vec![
            "cache-control",
            "cache-status",
            "cloudflare-cdn-cache-control",
            "content-language",
            "content-length",
            "content-type",
            "x-content-type-options",
        ];
        expected.extend(more);
        expected.sort_unstable();
        let mut names = response.fields.names();
        names.sort();
        assert_eq!(names, expected);
    };
    let filled = edge.get(SALES).expect(200).stored(true).origin_requests(1);
    listed(&filled, &["etag"]);
    edge.wait_until_kept(SALES_KEY, &filled.text());
    let case = edge.get(SALES).expect(200).hit().field("Content-Type", "application/json; charset=utf-8");
    listed(&case.field("Content-Language", "en").origin_requests(0), &["age", "etag"]);
    edge.cache.clear();
    listed(&edge.get(SALES).expect(200).hit().detail("kv").origin_requests(0), &["age", "etag"]);
    edge.origin.answer(OPS, answer.status(401).field("WWW-Authenticate", "Bearer").field("Set-Cookie", "a=b"));
    listed(&edge.get(OPS).expect(401).stored(false).origin_requests(1), &["www-authenticate"]);
}

#[test]
fn a_bypassed_request_keeps_its_fields_but_those_that_are_the_edges() {
    let edge = Edge::start();
    edge.origin.answer(LIVE, Answer::tile("live"));
    let call = hostile(Call::get(format!("{LIVE}?a=b&c=%2F&&d")))
        .field("If-None-Match", "\"x\"")
        .field("Connection", "close, X-Anything-Else, Cookie")
        .field("Keep-Alive", "timeout=5")
        .field("CDN-Loop", "another; v=1");
    let response = edge.send(&call).expect(200).fwd("bypass").says("live").origin_requests(1);
    let request = last(&edge);
    assert_eq!(request.target, format!("{LIVE}?a=b&c=%2F&&d"));
    let field = |name: &str| request.fields.all(name).join(" + ");
    for kept in ["Accept-Language", "User-Agent", "Cookie", "Authorization", "Range", "If-Match", "Origin"] {
        let (_, value) = HOSTILE.iter().find(|(name, _)| *name == kept).expect("it is one of the list");
        assert_eq!(field(kept), *value, "{kept}");
    }
    for dropped in [
        "Proxy-Authorization",
        "Edge-Authorization",
        "TE",
        "CF-Connecting-IP",
        "X-Forwarded-For",
        "CF-Worker",
        "X-Edge-Tenant",
        "Keep-Alive",
        "X-Anything-Else",
    ] {
        assert_eq!(field(dropped), "", "{dropped}");
    }
    assert_eq!((field("Edge-Secret"), field("X-Shop-Domain")), (ORIGIN_SECRET.to_owned(), TENANT.to_owned()));
    assert_eq!(field("CDN-Loop"), "another; v=1, hotrod-edge");
    assert_eq!(Some(field("X-Request-Id").as_str()), response.field("X-Request-Id"));
    assert!(!response.text().contains(ORIGIN_SECRET));
}

#[test]
fn a_bypassed_answer_keeps_its_fields_and_gets_those_of_the_edge() {
    let edge = Edge::start();
    let answer = Answer::bytes("text/csv", "a,b")
        .field("Set-Cookie", "a=1; Path=/")
        .field("Set-Cookie", "b=2, c; Expires=Thu, 01 Jan 2099 00:00:00 GMT")
        .field("Link", "</a>; rel=next")
        .field("Link", "</b>; rel=prev")
        .field("ETag", "\"strong\"")
        .field("Content-Disposition", "attachment; filename=\"a.csv\"")
        .field("Keep-Alive", "timeout=5")
        .field("Cache-Status", "near; hit");
    edge.origin.answer("/api/exports/a.csv", answer);
    let case =
        edge.get("/api/exports/a.csv").expect(200).body("a,b").field("ETag", "\"strong\"").no_field("Keep-Alive");
    let response = case.field("Cache-Control", "no-store").origin_requests(1);
    assert_eq!(response.fields.all("Set-Cookie"), ["a=1; Path=/", "b=2, c; Expires=Thu, 01 Jan 2099 00:00:00 GMT"]);
    assert_eq!(response.fields.all("Link").join(", "), "</a>; rel=next, </b>; rel=prev");
    let status = response.field("Cache-Status");
    assert_eq!(status, Some("near; hit, hotrod-edge; fwd=bypass; fwd-status=200"));
    assert_eq!(response.field("Content-Disposition"), Some("attachment; filename=\"a.csv\""));
}

#[test]
fn a_request_that_went_round_in_a_circle_is_stopped() {
    let edge = Edge::start();
    for target in [SALES, LIVE, "/api/unknown"] {
        for circle in ["hotrod-edge", "another, hotrod-edge; v=1", "another;a=b , hotrod-edge"] {
            edge.send(&Call::get(target).field("CDN-Loop", circle)).problem(508).origin_requests(0);
        }
        let twice = Call::get(target).field("CDN-Loop", "another").field("CDN-Loop", "hotrod-edge");
        edge.send(&twice).problem(508).origin_requests(0);
        let post = Call::new("POST", target).field("CDN-Loop", "hotrod-edge").body("x");
        edge.send(&post).problem(508).origin_requests(0);
        edge.send(&Call::get(target).field("CDN-Loop", "not-hotrod-edge")).origin_requests(1);
    }
}
