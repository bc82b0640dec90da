//! What of a request is no part of the key must not change what is stored under it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use lab::client::Call;
use lab::harness::{ORIGIN_SECRET, TENANT};
use lab::origin::Answer;
use lab::secrets::COOKIE;
use lab::stored::{SALES, SALES_KEY};

use super::Case;
use super::stage::{
    EVIL, LIVE, Stage, are_like_none, clean_fill, echo, empty, is_like_a_clean_one, is_not_stored, passed_on,
    reach_no_origin, victim_hits,
};

const CASES: &[Case] = &[
    ("A1", forwarded_host),
    ("A2", other_names_of_the_host),
    ("A4", forwarded_scheme),
    ("A5", forwarded_port),
    ("A7", rewritten_url),
    ("A8", method_override),
    ("A9", prefix_and_profile),
    ("A11", language),
    ("A12", media_type),
    ("A13", user_agent),
    ("A14", cookie),
    ("A16", conditions),
    ("A17", control_fields),
    ("A19", two_framings),
    ("A21", no_cache),
    ("A22", only_if_cached),
    ("A23", fields_of_the_edge),
    ("A24", trace_context),
];

#[test]
fn unkeyed() {
    super::run("unkeyed", CASES);
}

fn forwarded_host(stage: &Stage) {
    are_like_none(stage.open(), &[("X-Forwarded-Host", "evil.example")]);
}

fn other_names_of_the_host(stage: &Stage) {
    let names = ["X-Host", "X-Forwarded-Server", "X-HTTP-Host-Override", "Forwarded", "X-Original-Host"];
    are_like_none(stage.open(), &names.map(|name| (name, "host=evil.example")));
}

fn forwarded_scheme(stage: &Stage) {
    let edge = stage.open();
    edge.origin.script(SALES, |request, _| {
        let names = ["X-Forwarded-Scheme", "X-Forwarded-Proto", "X-Forwarded-SSL", "Front-End-Https"];
        let host = request.fields.get("X-Forwarded-Host").unwrap_or("evil.example");
        let is_redirected = names.iter().any(|name| request.fields.has(name));
        let away = Answer::empty(301).field("Location", &format!("https://{host}{SALES}"));
        if is_redirected { away } else { echo(request) }
    });
    are_like_none(edge, &[("X-Forwarded-Scheme", "http"), ("X-Forwarded-Host", "evil.example")]);
    are_like_none(edge, &[("X-Forwarded-Proto", "http"), ("X-Forwarded-SSL", "off"), ("Front-End-Https", "off")]);
}

fn forwarded_port(stage: &Stage) {
    are_like_none(stage.open(), &[("X-Forwarded-Port", "1"), ("X-Port", "1"), ("Host", "localhost:1")]);
}

fn rewritten_url(stage: &Stage) {
    let names = ["X-Rewrite-URL", "X-Original-URL", "X-Original-URI", "X-Forwarded-Path", "X-Envoy-Original-Path"];
    are_like_none(stage.open(), &names.map(|name| (name, "/api/evil")));
}

fn method_override(stage: &Stage) {
    let edge = stage.open();
    edge.origin.script(SALES, |request, _| {
        let is_override = request.fields.0.iter().any(|(_, value)| value == "POST" || value == "DELETE");
        if is_override { Answer::tile(EVIL).status(405) } else { echo(request) }
    });
    let fields = [
        ("X-HTTP-Method-Override", "POST"),
        ("X-HTTP-Method", "DELETE"),
        ("X-Method-Override", "POST"),
        ("X-HTTP-Method-Override", "evil"),
    ];
    are_like_none(edge, &fields);
    // Where requests are passed on, the origin would change something for what is a GET to every cache and log.
    reach_no_origin(stage, &fields);
}

fn prefix_and_profile(stage: &Stage) {
    let fields = [
        ("X-Forwarded-Prefix", "/evil"),
        ("X-Original-Host", "evil.example"),
        ("X-WAP-Profile", "http://evil.example/p.xml"),
        ("Profile", "http://evil.example/p.xml"),
    ];
    are_like_none(stage.open(), &fields);
}

fn language(stage: &Stage) {
    let edge = stage.open();
    are_like_none(edge, &[("Accept-Language", "evil"), ("Accept-Charset", "evil"), ("Content-Language", "evil")]);
    let passed = edge.origin.all_requests();
    assert!(passed.iter().all(|request| !request.fields.has("Accept-Language")), "{passed:?}");
}

fn media_type(stage: &Stage) {
    let edge = stage.open();
    let html = Answer::bytes("text/html", "<html>evil</html>");
    edge.origin.script(SALES, {
        let html = html.clone();
        move |request, _| {
            let wants_html = request.fields.get("Accept").is_some_and(|accept| accept.contains("html"));
            if wants_html { html.clone() } else { echo(request) }
        }
    });
    are_like_none(edge, &[("Accept", "text/html;q=evil"), ("Accept", "text/html"), ("Accept", "*/*;evil")]);
    // And if the origin answers so all the same.
    is_not_stored(edge, &html, 200);
}

fn user_agent(stage: &Stage) {
    let edge = stage.open();
    edge.origin.script(SALES, |request, _| {
        let is_attack = request.fields.get("User-Agent").is_some_and(|agent| agent.contains(EVIL));
        if is_attack { Answer::bytes("text/html", "evil").status(403) } else { echo(request) }
    });
    are_like_none(edge, &[("User-Agent", "sqlmap evil"), ("User-Agent", "")]);
    is_not_stored(edge, &Answer::tile("a firewall").status(403), 403);
}

fn cookie(stage: &Stage) {
    let fields = [("Cookie", "theme=<script>evil</script>"), ("Cookie", COOKIE), ("Cookie2", "evil=1")];
    are_like_none(stage.open(), &fields);
}

fn conditions(stage: &Stage) {
    let edge = stage.open();
    let future = "Fri, 01 Jan 2100 00:00:00 GMT";
    are_like_none(
        edge,
        &[
            ("If-Modified-Since", future),
            ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("If-Match", "\"evil\""),
            ("If-None-Match", "\"evil\""),
        ],
    );
    let clean = clean_fill(edge);
    let tag = clean.field("ETag").expect("an ETag").to_owned();
    for condition in ["*", tag.as_str()] {
        let call = Call::get(SALES).field("If-None-Match", condition).field("If-Modified-Since", future);
        empty(edge);
        let before = edge.origin.total();
        edge.send(&call).expect(304).fwd("uri-miss").stored(true).body("").origin_requests(1);
        let asked = &edge.origin.all_requests()[before];
        assert!(!asked.fields.names().iter().any(|name| name.starts_with("if-")), "{asked:?}");
        // The victim gets the whole of it.
        edge.wait_until_kept(SALES_KEY, &clean.text());
        victim_hits(edge, &clean);
    }
    // An origin that answers 304 unasked has answered nothing.
    edge.origin.answer(SALES, Answer::empty(304).field("ETag", &tag));
    empty(edge);
    edge.send(&Call::get(SALES).field("If-None-Match", &tag)).problem(502).origin_requests(1);
    assert!(edge.answers_in_cache().is_empty());
}

fn control_fields(stage: &Stage) {
    let edge = stage.open();
    let fields = [
        ("Expect", "100-continue"),
        ("Max-Forwards", "0"),
        ("TE", "trailers, evil"),
        ("Trailer", "evil"),
        ("Keep-Alive", "timeout=evil"),
        ("Proxy-Connection", "evil"),
        ("Proxy-Authorization", "Basic evil"),
        ("HTTP2-Settings", "evil"),
    ];
    are_like_none(edge, &fields);
    let upgrade = |value: &str| Call::get(SALES).field("Connection", "Upgrade, HTTP2-Settings").field("Upgrade", value);
    for value in ["evil/1", "h2c", "TLS/1.0"] {
        is_like_a_clean_one(edge, &upgrade(value));
    }
    let passed = passed_on(edge, &fields.iter().fold(Call::get(LIVE), |call, (name, value)| call.field(name, value)));
    for name in ["Expect", "TE", "Trailer", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization"] {
        assert!(!passed.fields.has(name), "{name}: {passed:?}");
    }
}

fn two_framings(stage: &Stage) {
    let edge = stage.open();
    let clean = clean_fill(edge);
    let hidden = "GET /api/evil HTTP/1.1\r\nHost: localhost\r\nX: ";
    let length = hidden.len();
    for framing in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}, 0\r\n"),
        format!("Content-Length: 0x{length:x}\r\n"),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".to_owned(),
        "Transfer-Encoding: \u{b}chunked\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n".to_owned(),
    ] {
        for (method, target) in [("GET", SALES), ("GET", LIVE), ("POST", LIVE)] {
            let mut stream = TcpStream::connect(edge.workerd.address()).expect("workerd listens");
            stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
            let first = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n0\r\n\r\n{hidden}");
            // Whoever comes next on this connection must not complete what the attacker began.
            let victim = format!("GET {SALES} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let written = stream.write_all(format!("{first}{victim}").as_bytes());
            let _end = written.and_then(|()| stream.read_to_end(&mut Vec::new()));
            assert_eq!(edge.origin.count("/api/evil"), 0, "{method} {target} {framing:?}");
        }
        victim_hits(edge, &clean);
    }
}

fn no_cache(stage: &Stage) {
    let values = ["no-cache", "no-store", "max-age=0", "max-stale=evil", "min-fresh=99999999", "no-transform, evil"];
    for value in values {
        are_like_none(stage.open(), &[("Cache-Control", value)]);
    }
    are_like_none(stage.open(), &[("Pragma", "no-cache"), ("Cache-Control", "no-cache")]);
}

fn only_if_cached(stage: &Stage) {
    let edge = stage.open();
    let call = Call::get(SALES).field("Cache-Control", "only-if-cached");
    edge.send(&call).problem(504).origin_requests(0);
    assert_eq!((edge.answers_in_cache(), edge.kv.keys()), (Vec::new(), Vec::new()));
    let clean = clean_fill(edge);
    edge.send(&call).expect(200).hit().body(&clean.body).origin_requests(0);
    victim_hits(edge, &clean);
}

/// What the platform sets, and what the edge tells the origin.
const OF_THE_EDGE: [(&str, &str); 12] = [
    ("CF-Connecting-IP", "evil"),
    ("CF-Worker", "evil"),
    ("CF-Access-Authenticated-User-Email", "evil"),
    ("X-Edge-Tenant", "evil"),
    ("X-Edge-Role", "evil"),
    ("X-Shop-Domain", "evil.myshopify.com"),
    ("Edge-Secret", "evil"),
    ("X-Request-Id", "evil"),
    ("Edge-Authorization", "Bearer evil"),
    ("CDN-Loop", "evil"),
    ("Host", "localhost:666"),
    ("Proxy-Authorization", "evil"),
];

fn fields_of_the_edge(stage: &Stage) {
    let edge = stage.open();
    are_like_none(edge, &OF_THE_EDGE);
    let names = ["X-Tenant", "Cache-Tag", "CDN-Cache-Control", "X-Data-As-Of", "Cache-Status", "Hotrod-Head", "Age"];
    are_like_none(edge, &names.map(|name| (name, EVIL)));
    let others: Vec<_> = OF_THE_EDGE.into_iter().filter(|(name, _)| *name != "CDN-Loop").collect();
    reach_no_origin(stage, &others);
    let call = OF_THE_EDGE.iter().fold(Call::get(LIVE), |call, (name, value)| call.field(name, value));
    let passed = passed_on(edge, &call);
    let field = |name: &str| passed.fields.all(name);
    assert_eq!((field("Edge-Secret"), field("X-Shop-Domain")), (vec![ORIGIN_SECRET], vec![TENANT]), "{passed:?}");
    assert_eq!(field("CDN-Loop"), ["evil, hotrod-edge"]);
}

fn trace_context(stage: &Stage) {
    let edge = stage.open();
    let fields = [
        ("traceparent", "00-evil-evil-01"),
        ("tracestate", "evil=1"),
        ("baggage", "user=evil"),
        ("b3", "evil"),
        ("X-B3-TraceId", "evil"),
        ("X-Amzn-Trace-Id", "Root=evil"),
        ("X-Cloud-Trace-Context", "evil/1"),
        ("X-Correlation-ID", "evil"),
    ];
    are_like_none(edge, &fields);
}
