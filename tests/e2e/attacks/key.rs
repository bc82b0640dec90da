//! One key means one question to the origin: what two readers could take for two questions is refused or is the same.

use std::time::Duration;

use lab::client::Call;
use lab::harness::{Edge, OPERATOR_TOKEN};
use lab::origin::Answer;
use lab::stored::{OPS, OPS_KEY, SALES, SALES_KEY, all_kept, cache_url, counters_url};
use serde_json::json;

use super::Case;
use super::stage::{
    EVIL, LIVE, PUBLIC_HOST, Stage, clean_fill, empty, is_clean, is_like_a_clean_one, is_refused, victim_hits,
};

/// A route with a parameter, which is 30 if it is not there.
const REVENUE: &str = "/api/dashboard/trends/revenue";
/// Its two keys.
const REVENUE_KEYS: [&str; 2] = ["dashboard:trends:revenue:v1?days=30", "dashboard:trends:revenue:v1?days=90"];

const CASES: &[Case] = &[
    ("A25", order_of_parameters),
    ("A28", dropped_parameters),
    ("A29", encoded_names),
    ("A31", empty_parameters),
    ("A33", unicode),
    ("A34", hosts),
    ("A35", schemes),
    ("A36", body_of_a_get),
    ("A38", methods),
    ("A39", long_and_many_parameters),
    ("A40", method_as_a_parameter),
    ("A42", neighbouring_keys),
    ("B12", cloaked_parameters),
    ("B13", doubled_parameters),
    ("B14", names_in_another_case),
    ("B15", other_ways_to_write_a_number),
    ("B16", host_in_the_request_line),
    ("B17", names_of_entries),
    ("B18", parameter_of_the_edge),
    ("B19", parameters_of_other_routes),
];

#[test]
fn key() {
    super::run("key", CASES);
}

/// These queries of the revenue are all the one question that its default asks: one fill, the same bytes.
#[track_caller]
fn are_the_default(edge: &Edge, queries: &[&str]) {
    let asked = format!("{REVENUE}?days=30");
    for first in queries {
        empty(edge);
        let before = edge.origin.total();
        let filled = edge.get(&format!("{REVENUE}{first}")).expect(200).stored(true).origin_requests(1);
        assert_eq!(edge.origin.all_requests()[before].target, asked, "{first}");
        is_clean(first, &filled);
        edge.wait_until_kept(REVENUE_KEYS[0], &filled.text());
        for then in queries {
            edge.get(&format!("{REVENUE}{then}")).expect(200).hit().body(&filled.body).origin_requests(0);
        }
    }
}

/// Each is refused at the edge and stores nothing; the question that it is near to is answered as ever.
#[track_caller]
fn are_refused(edge: &Edge, queries: &[&str]) {
    empty(edge);
    for query in queries {
        let refused = edge.send(&Call::get(format!("{REVENUE}{query}"))).problem(400).origin_requests(0);
        assert!(refused.fields.0.iter().all(|(_, value)| !value.contains(EVIL)), "{query}: {:?}", refused.fields);
    }
    assert_eq!((edge.answers_in_cache(), edge.kv.keys()), (Vec::new(), Vec::new()), "{queries:?}");
    are_the_default(edge, &["", "?days=30"]);
    let of_90 = edge.get(&format!("{REVENUE}?days=90")).expect(200).fwd("uri-miss").origin_requests(1);
    is_clean("of ninety days", &of_90);
    edge.wait_until_kept(REVENUE_KEYS[1], &of_90.text());
}

fn order_of_parameters(stage: &Stage) {
    let queries = ["?days=30&_=1", "?_=1&days=30", "?nocache=x&days=30&utm_source=evil", "?utm_source=evil&days=30"];
    are_the_default(stage.open(), &queries);
}

fn dropped_parameters(stage: &Stage) {
    let edge = stage.open();
    let evil = [
        "_=evil",
        "utm_source=%3Cscript%3Eevil",
        "utm_medium=evil&utm_campaign=evil&utm_term=evil&utm_content=evil",
        "utm_source",
        "_=%0d%0aevil",
    ];
    for query in evil {
        let target = format!("{SALES}?{query}");
        is_like_a_clean_one(edge, &Call::get(&target));
    }
    are_the_default(edge, &["", "?_=evil", "?utm_source=a%26days=90"]);
}

fn encoded_names(stage: &Stage) {
    let queries = [
        "?day%73=30",
        "?day%73=90",
        "?days=%33%30",
        "?days=9%30",
        "?%64ays=30&days=90",
        "?days%3d90",
        "?day%2573=30",
        "?utm%5fsource=evil",
        "?%5F=evil",
        "?no%63ache=true",
    ];
    are_refused(stage.open(), &queries);
}

fn empty_parameters(stage: &Stage) {
    let edge = stage.open();
    are_refused(edge, &["?days", "?days=", "?=30", "?=", "?&", "?days=30&", "?&days=30", "?days=30&&_=1"]);
    are_the_default(edge, &["", "?", "?days=30", "?_", "?_="]);
}

fn unicode(stage: &Stage) {
    let edge = stage.open();
    are_refused(
        edge,
        &[
            "?days=\u{ff13}\u{ff10}",
            "?days=%EF%BC%93%EF%BC%90",
            "?d\u{430}ys=30",
            "?da\u{30c}ys=30",
            "?days\u{200b}=30",
            "?days=30\u{200b}",
            "?days=30%E2%80%8B",
            "?days=\u{661}",
            "?d%C3%A1ys=30",
            "?da%CC%81ys=30",
        ],
    );
    // The case of an escape tells nothing apart, where one may stand at all: nothing that has one is stored.
    for target in ["/api/caf%C3%A9", "/api/caf%c3%a9", "/api/cafe%CC%81"] {
        let before = edge.origin.total();
        edge.get(target).expect(200).fwd("bypass").stored(false).origin_requests(1);
        assert_eq!(edge.origin.all_requests()[before].target, target);
    }
}

fn hosts(stage: &Stage) {
    let edge = stage.open();
    for host in [
        "evil.example",
        "localhost.evil.example",
        "localhost.",
        "localhost..",
        "xlocalhost",
        "127.0.0.1.evil.example",
        "[::1]",
        "localhost:8787:1",
        "dash.example.evil",
    ] {
        is_refused(edge, &Call::get(SALES).field("Host", host), 421);
        edge.send(&Call::get(LIVE).field("Host", host)).problem(421).origin_requests(0);
        let purge = lab::purge::purge_call(OPERATOR_TOKEN, r#"{"mode":"hard","all":true}"#).field("Host", host);
        edge.send(&purge).problem(421).origin_requests(0);
    }
    // However a served host is written, the origin is asked under its own name.
    for host in ["LOCALHOST", "localhost:1", "127.0.0.1", "127.0.0.1:99"] {
        is_like_a_clean_one(edge, &Call::get(SALES).field("Host", host));
    }
    for host in
        ["user@localhost", "localhost, evil.example", "localhost/x", "localhost?x", "localhost#x", "localhost\\x"]
    {
        let before = edge.origin.total();
        let answered = Call::get(SALES).field("Host", host).send(edge.workerd.address());
        assert!(answered.is_ok_and(|answer| (400..500).contains(&answer.status)), "{host}");
        assert_eq!(edge.origin.total(), before, "{host}");
    }
}

fn schemes(stage: &Stage) {
    let edge = stage.open();
    let clean = clean_fill(edge);
    for (target, query) in [(SALES, ""), (LIVE, "?x=1"), ("/cache/purge", "")] {
        let call = Call::get(format!("{target}{query}")).field("Host", format!("{PUBLIC_HOST}:8080"));
        let redirected = edge.send(&call.field("X-Forwarded-Host", "evil.example")).expect(308).origin_requests(0);
        let location = redirected.field("Location").unwrap_or_default();
        assert!(
            location.starts_with(&format!("https://{PUBLIC_HOST}")) && location.ends_with(&format!("{target}{query}")),
            "{location}"
        );
        assert_eq!(redirected.field("Cache-Control"), Some("no-store"));
        is_clean("the redirect", &redirected);
    }
    victim_hits(edge, &clean);
}

fn body_of_a_get(stage: &Stage) {
    let edge = stage.open();
    is_like_a_clean_one(edge, &Call::get(SALES).body("id=evil"));
    is_like_a_clean_one(
        edge,
        &Call::get(SALES).field("Content-Type", "application/x-www-form-urlencoded").body("days=evil"),
    );
    is_like_a_clean_one(edge, &Call::get(SALES).chunks([(Duration::ZERO, b"id=evil".to_vec())]));
    is_like_a_clean_one(edge, &Call::get(SALES).body("x".repeat(100_000)));
    let before = edge.origin.total();
    edge.send(&Call::get(LIVE).body("id=evil")).expect(200).origin_requests(1);
    assert!(edge.origin.all_requests()[before].body.is_empty());
}

fn methods(stage: &Stage) {
    let edge = stage.open();
    let clean = clean_fill(edge);
    // An origin knows none of these on a tile, and what it says of them is not what a GET is answered.
    edge.origin.script(SALES, |request, _| Answer::tile(&format!("evil {}", request.method)).status(405));
    for method in ["QUERY", "PURGE", "PROPFIND", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "LOCK", "SEARCH"] {
        edge.send(&Call::new(method, SALES)).expect(405).fwd("method").stored(false).origin_requests(1);
        victim_hits(edge, &clean);
    }
    for method in ["get", "Get", "gET", "EVIL", "GETS", "HEAD2"] {
        let answered = Call::new(method, SALES).send(edge.workerd.address());
        assert!(answered.is_ok_and(|answer| answer.status >= 400), "{method}");
        victim_hits(edge, &clean);
    }
    edge.send(&Call::new("TRACE", SALES)).problem(405).origin_requests(0);
    // A method by name is no purge on the admin plane either.
    for target in ["/cache/purge", "/cache/stored/x", "/cache/"] {
        edge.send(&Call::new("PURGE", target)).problem(401).origin_requests(0);
    }
    victim_hits(edge, &clean);
}

fn long_and_many_parameters(stage: &Stage) {
    let edge = stage.open();
    let long = format!("{SALES}?_={}", "x".repeat(8_192));
    is_refused(edge, &Call::get(&long), 414);
    edge.get(&format!("{LIVE}?x={}", "x".repeat(8_192))).problem(414).origin_requests(0);
    let many = |count: usize| (0..count).map(|number| format!("_{number}=x")).collect::<Vec<_>>().join("&");
    is_refused(edge, &Call::get(format!("{SALES}?{}", many(300))), 400);
    let dropped = |count: usize| format!("{SALES}?{}", vec!["_=x"; count].join("&"));
    is_refused(edge, &Call::get(dropped(65)), 400);
    is_like_a_clean_one(edge, &Call::get(dropped(64)));
    // What nobody stores nobody else is answered with.
    for target in [LIVE, "/api/unlisted", "/api/exports/a.csv"] {
        edge.get(&format!("{target}?{}", many(300))).expect(200).stored(false).origin_requests(1);
        let clean = edge.get(target).expect(200).stored(false).origin_requests(1);
        assert!(!clean.text().contains("_0=x"), "{}", clean.text());
    }
}

fn method_as_a_parameter(stage: &Stage) {
    let edge = stage.open();
    for query in
        ["_method=DELETE", "_method=POST", "X-HTTP-Method-Override=PUT", "_method=DELETE&days=30", "method=evil"]
    {
        is_refused(edge, &Call::get(format!("{SALES}?{query}")), 400);
    }
}

fn neighbouring_keys(stage: &Stage) {
    let edge = stage.open();
    let all = all_kept();
    let fill_all = || {
        empty(edge);
        for kept in &all {
            edge.fill(&kept.target, &kept.key, &kept.key);
        }
    };
    fill_all();
    // Beginnings of keys, routes and classes name nothing.
    for body in [
        json!({"mode": "hard", "keys": ["dashboard:tile:sales"]}),
        json!({"mode": "hard", "keys": ["dashboard:tile:"]}),
        json!({"mode": "hard", "keys": ["dashboard:trends:revenue:v1"]}),
        json!({"mode": "hard", "routes": ["alerts"]}),
        json!({"mode": "hard", "classes": ["near_real"]}),
    ] {
        edge.send(&lab::purge::purge_call(OPERATOR_TOKEN, body.to_string())).problem(422).origin_requests(0);
    }
    // A whole one leaves its neighbours as they are.
    for gone in [REVENUE_KEYS[0], "dashboard:alerts:all:v1", SALES_KEY] {
        fill_all();
        let receipt = edge.purge(&json!({"mode": "hard", "keys": [gone]}));
        lab::purge::wait_past(&receipt, "effective_by");
        for kept in &all {
            if kept.key == gone {
                edge.get(&kept.target).expect(200).fwd("uri-miss").origin_requests(1);
            } else {
                edge.is_hit(&kept.target, &kept.key);
            }
        }
    }
}

/// Separators that some parsers know, in front of or within what others take for one value.
fn cloaked_parameters(stage: &Stage) {
    let edge = stage.open();
    are_refused(
        edge,
        &["?days=30;days=90", "?days=30%26days=90", "?days=30?days=90", "?days=30,90", "?days=30|90", "?days[]=90"],
    );
    let queries = [
        "?utm_source=x;days=90",
        "?utm_source=x%26days%3d90",
        "?utm_source=x?days=90",
        "?_=1%23&days=30",
        "?_=;days=90;",
    ];
    are_the_default(edge, &queries);
}

fn doubled_parameters(stage: &Stage) {
    let edge = stage.open();
    are_refused(
        edge,
        &["?days=30&days=90", "?days=90&days=30", "?days=30&days=30", "?days=30&day%73=90", "?days&days=30"],
    );
    are_refused(edge, &["?nocache=true&nocache=true", "?nocache=1&nocache=true"]);
    are_the_default(edge, &["?_=1&_=2&days=30", "?utm_source=a&utm_source=b"]);
}

fn names_in_another_case(stage: &Stage) {
    are_refused(
        stage.open(),
        &["?Days=30", "?DAYS=90", "?UTM_SOURCE=evil", "?NoCache=true", "?%20days=30", "?days%20=30", "?+days=30"],
    );
}

fn other_ways_to_write_a_number(stage: &Stage) {
    let queries = [
        "?days=030",
        "?days=+30",
        "?days=30.0",
        "?days=3e1",
        "?days=0x1e",
        "?days=30%00",
        "?days=30%20",
        "?days=30+",
        "?days=-30",
        "?days=%2230%22",
        "?days=31",
        "?days=29&_=30",
    ];
    are_refused(stage.open(), &queries);
}

fn host_in_the_request_line(stage: &Stage) {
    let edge = stage.open();
    for authority in ["evil.example", "evil.example:80", "user:evil@localhost", "localhost.evil.example"] {
        let absolute = Call::get(format!("http://{authority}{SALES}")).field("Host", "localhost");
        is_like_a_clean_one(edge, &absolute);
        let foreign = Call::get(format!("http://localhost{SALES}")).field("Host", authority);
        let before = edge.origin.total();
        let answered = foreign.send(edge.workerd.address());
        assert!(answered.is_ok_and(|answer| (400..500).contains(&answer.status)), "{authority}");
        assert_eq!(edge.origin.total(), before, "{authority}");
    }
    let two = Call::get(SALES).field("Host", "localhost").field("Host", "evil.example");
    assert!(edge.send(&two).origin_requests(0).status >= 400);
}

/// Entries have URLs of their own in the data centre's cache, under a path that only the admin plane answers.
fn names_of_entries(stage: &Stage) {
    let edge = stage.open();
    let clean = clean_fill(edge);
    for url in [cache_url(SALES_KEY), counters_url(), format!("{}x", counters_url())] {
        let path = url.strip_prefix("https://localhost").expect("the deployment's own host");
        for method in ["GET", "HEAD", "PUT", "DELETE", "PURGE"] {
            let answer = edge.send(&Call::new(method, path)).expect(401).origin_requests(0);
            is_clean(path, &answer);
            let by_operator = Call::new(method, path).field("Authorization", format!("Bearer {OPERATOR_TOKEN}"));
            edge.send(&by_operator).expect(404).origin_requests(0);
        }
    }
    victim_hits(edge, &clean);
}

fn parameter_of_the_edge(stage: &Stage) {
    let edge = stage.open();
    for value in ["true", "1", "", "evil"] {
        let call = Call::get(format!("{SALES}?nocache={value}"));
        is_like_a_clean_one(edge, &call);
        is_like_a_clean_one(edge, &call.field("Edge-Authorization", "Bearer evil"));
    }
    // On a route that is passed on it stays with the edge.
    let before = edge.origin.total();
    edge.get(&format!("{LIVE}?nocache=true&a=b")).expect(200).origin_requests(1);
    assert_eq!(edge.origin.all_requests()[before].target, format!("{LIVE}?a=b"));
}

fn parameters_of_other_routes(stage: &Stage) {
    let edge = stage.open();
    edge.fill(OPS, OPS_KEY, "ops");
    for query in
        ["days=30", "callback=evil", "format=html", "mock=1", "debug=true", "shop=evil.myshopify.com", "id_token=evil"]
    {
        is_refused(edge, &Call::get(format!("{SALES}?{query}")), 400);
    }
}
