//! More fields of a request that are no part of the key: names of frameworks, and names of the edge's in disguise.

use lab::client::Call;
use lab::harness::{EPOCH_SECRET, TENANT};
use lab::origin::{Answer, gzip};
use lab::stored::{SALES, SALES_KEY};

use super::Case;
use super::stage::{
    EVIL, LIVE, Stage, are_like_none, clean_fill, echo, empty, is_clean, is_like_a_clean_one, is_not_stored,
    is_refused, passed_on, reach_no_origin, victim_hits,
};

const CASES: &[Case] = &[
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
fn fields() {
    super::run("fields", CASES);
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
