//! What of a request is no part of the key must not change what is stored under it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use lab::client::Call;
use lab::harness::{EPOCH_SECRET, ORIGIN_SECRET, TENANT};
use lab::origin::{Answer, gzip};
use lab::secrets::COOKIE;
use lab::stored::{SALES, SALES_KEY};

use super::Case;
use super::stage::{
    EVIL, LIVE, Stage, are_like_none, clean_fill, echo, empty, is_clean, is_like_a_clean_one, is_not_stored,
    is_refused, passed_on, victim_hits,
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
    ("B1", trusted_names_passed_on),
    ("B2", connection_options),
    ("B3", underscores),
    ("B4", doubled_fields),
    ("B5", ranges),
    ("B6", content_coding),
    ("B7", fields_of_frameworks),
    ("B8", forged_positions),
    ("B9", loop_detection),
    ("B10", head_of_a_miss),
    ("B11", origin_of_a_page),
];

#[test]
fn unkeyed() {
    super::run("unkeyed", CASES);
}

/// On a route that is passed on, none of these reaches the origin as it was sent.
#[track_caller]
fn reach_no_origin(stage: &Stage, fields: &[(&str, &str)]) {
    let edge = stage.open();
    for (name, value) in fields {
        let passed = passed_on(edge, &Call::get(LIVE).field(name, value));
        assert!(!passed.fields.all(name).contains(value), "{name} reached the origin: {:?}", passed.fields);
    }
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

fn trusted_names_passed_on(stage: &Stage) {
    let names = [
        "Forwarded",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Scheme",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Server",
        "X-Forwarded-For",
        "X-Forwarded-Anything",
        "X-Real-IP",
        "X-Original-URL",
        "X-Original-Host",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
    ];
    reach_no_origin(stage, &names.map(|name| (name, "evil.example")));
    let underscored = names.map(|name| name.replace('-', "_"));
    let underscored: Vec<_> = underscored.iter().map(|name| (name.as_str(), "evil.example")).collect();
    reach_no_origin(stage, &underscored);
}

fn connection_options(stage: &Stage) {
    let edge = stage.open();
    let named = ["Edge-Secret", "X-Shop-Domain", "CDN-Loop", "X-Request-Id", "Host", "Authorization", "Cookie"];
    let call = |target: &str| Call::get(target).field("Connection", format!("close, {}", named.join(", ")));
    is_like_a_clean_one(edge, &call(SALES));
    let passed = passed_on(edge, &call(LIVE).field("Authorization", "own").field("Cookie", "own"));
    for name in named {
        assert!(passed.fields.has(name), "{name} was taken out: {passed:?}");
    }
}

fn underscores(stage: &Stage) {
    let edge = stage.open();
    let fields = [
        ("Edge_Secret", "evil"),
        ("X_Shop_Domain", "evil.myshopify.com"),
        ("X-Shop_Domain", "evil.myshopify.com"),
        ("CF_Connecting_IP", "evil"),
        ("X_Edge_Role", "evil"),
        ("X_Request_Id", "evil"),
    ];
    are_like_none(edge, &fields);
    reach_no_origin(stage, &fields);
}

fn doubled_fields(stage: &Stage) {
    let edge = stage.open();
    for name in ["Edge-Secret", "X-Shop-Domain", "X-Request-Id"] {
        let twice = |target: &str| Call::get(target).field(name, "evil-1").field(&name.to_lowercase(), "evil-2");
        is_like_a_clean_one(edge, &twice(SALES));
        let passed = passed_on(edge, &twice(LIVE));
        let values = passed.fields.all(name);
        assert!(values.len() == 1 && !values[0].contains(EVIL), "{name}: {values:?}");
    }
}

fn ranges(stage: &Stage) {
    let edge = stage.open();
    edge.origin.script(SALES, |request, _| {
        let part = Answer::bytes("application/json", "{}").status(206).field("Content-Range", "bytes 0-1/1000");
        if request.fields.has("Range") { part } else { echo(request) }
    });
    let ranges = ["bytes=0-1", "bytes=-1", "bytes=0-0,0-0,0-0,0-0", "bytes=99999-", "evil=0-1"];
    are_like_none(edge, &ranges.map(|range| ("Range", range)));
    are_like_none(edge, &[("Range", "bytes=0-1"), ("If-Range", "\"evil\"")]);
    is_not_stored(edge, &Answer::tile("a part").status(206).field("Content-Range", "bytes 0-1/1000"), 206);
}

fn content_coding(stage: &Stage) {
    let edge = stage.open();
    // An origin that encodes for whoever seems to take it.
    edge.origin.script(SALES, |request, _| {
        let clean = r#"{"status":"ok","fact":{"says":"clean"}}"#;
        let accepts = request.fields.get("Accept-Encoding").unwrap_or_default().to_owned();
        match accepts.as_str() {
            accepts if accepts.contains("gzip") => {
                Answer::bytes("application/json", gzip(clean.as_bytes())).field("Content-Encoding", "gzip")
            }
            _ => Answer::bytes("application/json", clean),
        }
    });
    are_like_none(
        edge,
        &["gzip", "evil", "identity;q=0", "*;q=0", "br, zstd, gzip"].map(|value| ("Accept-Encoding", value)),
    );
    for value in ["evil", "zstd"] {
        edge.origin.answer(SALES, Answer::bytes("application/json", [0x28, 0xb5]).field("Content-Encoding", value));
        empty(edge);
        edge.get(SALES).stored(false).origin_requests(1);
        assert!(edge.answers_in_cache().is_empty(), "{value} is in store");
    }
}

fn fields_of_frameworks(stage: &Stage) {
    let names = [
        "x-middleware-subrequest",
        "x-middleware-prefetch",
        "x-nextjs-data",
        "x-now-route-matches",
        "x-invoke-status",
        "x-invoke-error",
        "x-invoke-path",
        "rsc",
        "next-router-prefetch",
        "next-action",
        "x-forwarded-for",
        "true-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "fastly-client-ip",
        "x-arr-ssl",
        "x-azure-ref",
        "x-backend-server",
        "x-cache-key",
        "x-custom-ip-authorization",
        "x-requested-with",
        "x-pjax",
        "x-turbo-frame",
        "hx-request",
        "x-inertia",
        "prefer",
        "save-data",
        "dpr",
        "sec-ch-ua-platform",
        "sec-purpose",
        "x-oversized-cookie",
        "x-debug",
        "x-amz-website-redirect-location",
        "soapaction",
        "translate",
        "depth",
    ];
    are_like_none(stage.open(), &names.map(|name| (name, EVIL)));
}

/// A position beyond every fill would make each request a question to the origin.
fn forged_positions(stage: &Stage) {
    let edge = stage.open();
    let far = u64::MAX / 2;
    let values = [
        String::new(),
        EVIL.to_owned(),
        far.to_string(),
        format!("{far}.evil"),
        format!("{far}.{}", "0".repeat(64)),
        { format!("{TENANT}.{far}.{EPOCH_SECRET}") },
    ];
    are_like_none(edge, &values.each_ref().map(|value| ("X-Newer-Than", value.as_str())));
    // A token that was altered says nothing, whichever of its characters it was.
    let receipt = edge.purge(&serde_json::json!({"mode": "hard", "routes": ["segments"]}));
    let token = receipt["token"].as_str().expect("a token");
    let clean = clean_fill(edge);
    for at in 0..token.len() {
        let other = if &token[at..=at] == "1" { "2" } else { "1" };
        let altered = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        let call = Call::get(SALES).field("X-Newer-Than", altered);
        edge.send(&call).expect(200).hit().body(&clean.body).origin_requests(0);
    }
}

fn loop_detection(stage: &Stage) {
    is_refused(stage.open(), &Call::get(SALES).field("CDN-Loop", "evil, hotrod-edge"), 508);
}

fn head_of_a_miss(stage: &Stage) {
    let edge = stage.open();
    let clean = clean_fill(edge);
    empty(edge);
    edge.origin.script(SALES, |request, _| {
        if request.method == "HEAD" { Answer::bytes("application/json", "") } else { echo(request) }
    });
    edge.send(&Call::new("HEAD", SALES)).expect(200).stored(true).body("").origin_requests(1);
    edge.wait_until_kept(SALES_KEY, &clean.text());
    victim_hits(edge, &clean);
}

/// An origin that repeats where a page comes from would open what is stored to that page.
fn origin_of_a_page(stage: &Stage) {
    let edge = stage.open();
    edge.origin.script(SALES, |request, _| {
        let allowed = request.fields.get("Origin").unwrap_or("https://evil.example").to_owned();
        echo(request)
            .field("Access-Control-Allow-Origin", &allowed)
            .field("Access-Control-Allow-Credentials", "true")
            .field("Timing-Allow-Origin", &allowed)
    });
    for page in ["https://evil.example", "null", "https://localhost.evil.example"] {
        are_like_none(
            edge,
            &[("Origin", page), ("Referer", "https://evil.example/"), ("Sec-Fetch-Site", "cross-site")],
        );
        let answer = edge.send(&Call::get(SALES).field("Origin", page)).expect(200).hit().origin_requests(0);
        is_clean(page, &answer);
        assert!(!answer.fields.has("Access-Control-Allow-Origin"), "{:?}", answer.fields);
    }
}
