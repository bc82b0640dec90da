//! What an attacker makes the origin say once must not be said to others again.

use lab::client::Call;
use lab::origin::Answer;
use lab::stored::{SALES, SALES_KEY};
use serde_json::json;

use super::Case;
use super::stage::{
    EVIL, LIVE, Stage, clean_fill, echo, empty, is_clean, is_like_a_clean_one, is_not_stored, settle, victim_hits,
};

const CASES: &[Case] = &[
    ("A63", control_characters_in_a_field),
    ("A64", oversized_fields),
    ("A65", errors),
    ("A68", set_cookie),
    ("A70", private_and_no_store),
    ("A71", interim_answers),
    ("A73", fields_that_outlive_the_answer),
    ("B30", redirects),
    ("B31", errors_within_a_good_status),
    ("B32", another_type_than_the_routes),
    ("B33", a_part_of_the_answer),
    ("B34", lifetimes_beyond_the_rules),
    ("B35", answers_that_vary),
    ("B36", statuses_that_are_none),
    ("B37", groups_without_end),
    ("B38", cache_status_of_others),
    ("B39", line_ends_in_fields),
    ("B40", an_answer_of_yesterday),
];

#[test]
fn content() {
    super::run("content", CASES);
}

fn control_characters_in_a_field(stage: &Stage) {
    let edge = stage.open();
    let clean = clean_fill(edge);
    // An origin that refuses what it takes for no field, as many do.
    edge.origin.script(SALES, |request, _| {
        let is_control = |byte: &u8| matches!(byte, 0..=8 | 11 | 12 | 14..=31 | 127);
        if request.raw.iter().any(is_control) { Answer::tile(EVIL).status(400) } else { echo(request) }
    });
    for byte in [b"\x07".as_slice(), b"\x01", b"\x0b", b"\x1b", b"\x7f", b"\x80", b"\0", b"a\rb", b"a\nb", b"\r\n\r\nb"]
    {
        for name in ["X-Metachar", "Cookie", "User-Agent", "Referer"] {
            empty(edge);
            let before = edge.origin.total();
            let call = Call::get(SALES).field(name, [b"evil", byte, b"evil"].concat());
            // A connection that is closed without a word is an answer too.
            if let Ok(answer) = call.send(edge.workerd.address()) {
                assert!(answer.status == 400 || answer.body == clean.body, "{name} {byte:?}: {}", answer.status);
            }
            for request in &edge.origin.all_requests()[before..] {
                assert!(!String::from_utf8_lossy(&request.raw).contains(EVIL), "{name} {byte:?} reached the origin");
            }
            // Whether the attacker's filled the store or was refused, this is the clean tile.
            let victim = Call::get(SALES).send(edge.workerd.address()).expect("an answer");
            assert!(victim.status == 200 && victim.body == clean.body, "{name} {byte:?}: {}", victim.text());
        }
    }
}

fn oversized_fields(stage: &Stage) {
    let edge = stage.open();
    edge.origin.script(
        SALES,
        |request, _| {
            if request.raw.len() > 8_000 { Answer::tile(EVIL).status(431) } else { echo(request) }
        },
    );
    for length in [8_000, 15_000] {
        is_like_a_clean_one(edge, &Call::get(SALES).field("X-Oversized", "x".repeat(length)));
    }
    let clean = clean_fill(edge);
    let many =
        (0..400).fold(Call::get(LIVE), |call, number| call.field(&format!("X-Oversized-{number}"), "x".repeat(40)));
    let one = |target: &str| Call::get(target).field("X-Oversized", "x".repeat(20_000));
    // Where the client's fields are passed on, the edge's limit is below that of any origin.
    for call in [many, one(LIVE), one("/api/unlisted"), Call::new("POST", SALES).field("Cookie", "x".repeat(20_000))] {
        edge.send(&call).problem(431).origin_requests(0);
    }
    edge.send(&Call::get(LIVE).field("X-Large", "x".repeat(12_000))).expect(200).origin_requests(1);
    // Where none of them is, it does not matter, as long as nothing is stored of it.
    let answer = edge.send(&one(SALES)).origin_requests(0);
    assert!(answer.status == 431 || answer.body == clean.body, "{}", answer.text());
    victim_hits(edge, &clean);
}

fn errors(stage: &Stage) {
    let edge = stage.open();
    for status in [400, 401, 403, 404, 405, 410, 413, 414, 429, 431, 500, 501, 502, 503, 504, 507, 599] {
        let answer = Answer::tile(EVIL).status(status).field("Cache-Control", "public, max-age=600");
        // Of these two the edge keeps it, and asks no more for so long.
        if matches!(status, 429 | 503) {
            is_not_stored(edge, &answer, status);
        } else {
            let given = is_not_stored(edge, &answer.field("Retry-After", "7"), status);
            assert_eq!(given.field("Retry-After"), Some("7"), "{status}");
        }
    }
}

fn set_cookie(stage: &Stage) {
    let edge = stage.open();
    for value in ["session=evil; Path=/", "session=evil; Domain=evil.example; Max-Age=31536000", "evil"] {
        let answer = Answer::tile("a tile").field("Set-Cookie", value).field("Cache-Control", "public, s-maxage=600");
        let given = is_not_stored(edge, &answer, 200);
        assert!(!given.fields.has("Set-Cookie"), "{:?}", given.fields);
        let status = given.field("Cache-Status").unwrap_or_default();
        assert!(status.ends_with("; detail=set-cookie"), "it says why: {status}");
    }
    let old = Answer::tile("a tile").field("Set-Cookie2", "evil=1");
    edge.origin.answer(SALES, old);
    empty(edge);
    let filled = edge.get(SALES).expect(200).no_field("Set-Cookie2").origin_requests(1);
    is_clean("Set-Cookie2", &filled);
}

fn private_and_no_store(stage: &Stage) {
    let edge = stage.open();
    for control in [
        "private",
        "no-store",
        "no-cache",
        "PRIVATE",
        "public, private",
        "max-age=600, s-maxage=600, no-store",
        "private=\"x\", public",
        "no-cache=\"set-cookie\", s-maxage=600",
        "s-maxage=600,,no-store",
        "max-age=\"600\", private",
        "\u{b}no-store, public, no-store",
    ] {
        is_not_stored(edge, &Answer::tile(EVIL).field("Cache-Control", control), 200);
    }
    let lines = Answer::tile(EVIL).field("Cache-Control", "public, s-maxage=600").field("Cache-Control", "private");
    is_not_stored(edge, &lines, 200);
}

fn interim_answers(stage: &Stage) {
    let edge = stage.open();
    edge.origin.one_request_per_connection();
    for status in ["103 Early Hints", "102 Processing", "100 Continue", "199 Evil"] {
        let clean = clean_fill(edge);
        empty(edge);
        let body = clean.text();
        let head = format!(
            "HTTP/1.1 {status}\r\nLink: </evil.js>; rel=preload\r\nX-Evil: evil\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        edge.origin.answer(SALES, Answer::verbatim(head));
        // The runtime may take the first for the answer, which then is none.
        let given = Call::get(SALES).send(edge.workerd.address()).expect("an answer");
        assert!(given.status == 502 || given.body == clean.body, "{status}: {given:?}");
        is_clean(status, &given);
        edge.origin.script(SALES, |request, _| echo(request));
        let victim = Call::get(SALES).send(edge.workerd.address()).expect("an answer");
        assert_eq!((victim.status, victim.body == clean.body), (200, true), "{status}: {victim:?}");
        is_clean(status, &victim);
        settle(edge);
    }
}

fn fields_that_outlive_the_answer(stage: &Stage) {
    let edge = stage.open();
    let poisoned = |answer: Answer| {
        [
            ("Clear-Site-Data", "\"*\", \"evil\""),
            ("Strict-Transport-Security", "max-age=0; evil"),
            ("Alt-Svc", "h3=\"evil.example:443\"; ma=31536000"),
            ("Content-Security-Policy", "script-src evil.example"),
            ("Content-Security-Policy-Report-Only", "report-uri https://evil.example"),
            ("Access-Control-Allow-Origin", "https://evil.example"),
            ("Link", "<https://evil.example/x.js>; rel=preload; as=script"),
            ("Refresh", "0; url=https://evil.example"),
            ("Location", "https://evil.example"),
            ("Content-Location", "/evil"),
            ("Content-Disposition", "attachment; filename=evil.exe"),
            ("Content-Base", "https://evil.example"),
            ("SourceMap", "https://evil.example"),
            ("Service-Worker-Allowed", "/evil"),
            ("NEL", "{\"report_to\":\"evil\"}"),
            ("Report-To", "{\"group\":\"evil\"}"),
            ("Reporting-Endpoints", "evil=\"https://evil.example\""),
            ("Permissions-Policy", "camera=(evil)"),
            ("Public-Key-Pins", "evil"),
            ("X-Frame-Options", "ALLOW-FROM https://evil.example"),
            ("Set-Login", "evil"),
            ("Epoch-Token", "evil"),
            ("ETag", "\"evil\""),
            ("Server", "evil"),
            ("X-Accel-Redirect", "/evil"),
            ("X-Sendfile", "/evil"),
            ("Surrogate-Key", "evil"),
            ("Cache-Tag", "evil"),
            ("Warning", "199 - \"evil\""),
            ("WWW-Authenticate", "Basic realm=\"evil\""),
            ("Proxy-Authenticate", "Basic realm=\"evil\""),
            ("X-Request-Id", "evil"),
            ("Hotrod-Head", "evil"),
        ]
        .into_iter()
        .fold(answer, |answer, (name, value)| answer.field(name, value))
    };
    edge.origin.script(SALES, move |request, _| poisoned(echo(request)));
    let clean = clean_fill(edge);
    victim_hits(edge, &clean);
    edge.cache.clear();
    let from_kv = edge.get(SALES).expect(200).hit().detail("kv").body(&clean.body).origin_requests(0);
    is_clean("from the other store", &from_kv);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut told = clean.fields.names();
    told.sort();
    let listed = [
        "cache-control",
        "cache-status",
        "cloudflare-cdn-cache-control",
        "content-length",
        "content-type",
        "etag",
        "x-content-type-options",
    ];
    assert_eq!(told, names(&listed));
}

fn redirects(stage: &Stage) {
    let edge = stage.open();
    for status in [300, 301, 302, 303, 307, 308] {
        let answer = Answer::tile(EVIL).status(status).field("Location", "https://evil.example/");
        is_not_stored(edge, &answer.field("Cache-Control", "public, max-age=31536000"), status);
    }
}

fn errors_within_a_good_status(stage: &Stage) {
    let edge = stage.open();
    for body in
        [r#"{"status":"error","fact":"evil"}"#, r#"{"status":"ok","status":"evil"}"#, "null", "[]", "\"ok\"", ""]
    {
        is_not_stored(edge, &Answer::bytes("application/json", body), 200);
    }
    for status in [201, 202, 203, 204, 205, 226] {
        is_not_stored(edge, &Answer::tile(EVIL).status(status), status);
    }
}

fn another_type_than_the_routes(stage: &Stage) {
    let edge = stage.open();
    let tile = json!({"status": "ok", "fact": {"says": "evil"}}).to_string();
    for kind in ["text/html", "text/html; x=application/json", "application/jsonp", "application/json2", "", "*/*"] {
        is_not_stored(edge, &Answer::bytes(kind, &tile), 200);
    }
    for body in
        ["<html>evil</html>", "{\"status\":\"ok\"}<script>evil</script>", "\u{feff}{\"status\":\"ok\"}", "evil({})"]
    {
        is_not_stored(edge, &Answer::bytes("application/json", body), 200);
    }
    let two = Answer::verbatim(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{tile}",
        tile.len()
    ));
    is_not_stored(edge, &two, 200);
}

fn a_part_of_the_answer(stage: &Stage) {
    let edge = stage.open();
    edge.origin.one_request_per_connection();
    let clean = clean_fill(edge);
    let tile = || Answer::bytes("application/json", &clean.body);
    for answer in
        [tile().cut_after(20), tile().declares_length(100_000), tile().chunked().cut_after(clean.body.len() as u64)]
    {
        empty(edge);
        edge.origin.answer(SALES, answer);
        edge.get(SALES).problem(502).stored(false).origin_requests(1);
        assert!(edge.answers_in_cache().is_empty());
    }
    is_not_stored(edge, &Answer::tile("a part").status(206).field("Content-Range", "bytes 0-10/1000"), 206);
}

fn lifetimes_beyond_the_rules(stage: &Stage) {
    let edge = stage.open();
    for (name, value) in [
        ("Cache-Control", "public, max-age=31536000, s-maxage=31536000, immutable"),
        ("Cache-Control", "s-maxage=99999999999999999999"),
        ("Cache-Control", "s-maxage=300, stale-while-revalidate=31536000, stale-if-error=31536000"),
        ("Cloudflare-CDN-Cache-Control", "max-age=31536000"),
        ("CDN-Cache-Control", "max-age=31536000"),
        ("Surrogate-Control", "max-age=31536000"),
        ("X-Accel-Expires", "31536000"),
        ("Expires", "Fri, 01 Jan 2100 00:00:00 GMT"),
        ("Last-Modified", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("Date", "Fri, 01 Jan 2100 00:00:00 GMT"),
    ] {
        edge.origin.script(SALES, move |request, _| echo(request).field(name, value));
        let clean = clean_fill(edge);
        let control = clean.field("Cache-Control").unwrap_or_default();
        let seconds =
            control.strip_prefix("public, max-age=0, s-maxage=").and_then(|seconds| seconds.parse::<u32>().ok());
        assert!(seconds.is_some_and(|seconds| seconds <= 300), "{name}: {value}: {control}");
        edge.get(SALES).expect(200).hit().ttl(0..=300).origin_requests(0);
        let entry = edge.kv.get(&lab::stored::kv_key(SALES_KEY)).expect("it is in KV");
        assert!(entry.bytes.len() == clean.body.len());
    }
}

fn answers_that_vary(stage: &Stage) {
    let edge = stage.open();
    for vary in ["*", "Accept-Encoding, *", "*, Cookie"] {
        is_not_stored(edge, &Answer::tile(EVIL).field("Vary", vary), 200);
    }
    // No field of a client reaches the origin, so there is nothing else that the answer could have varied by.
    edge.origin.script(SALES, |request, _| echo(request).field("Vary", "Cookie, User-Agent, X-Forwarded-Host"));
    let clean = clean_fill(edge);
    victim_hits(edge, &clean);
    edge.send(&Call::get(SALES).field("Cookie", EVIL)).expect(200).hit().body(&clean.body).origin_requests(0);
}

fn statuses_that_are_none(_: &Stage) {
    // After five in a row an edge asks no more, and one that was answered often asks a second time.
    for statuses in [["600 Evil", "999 Evil", "099 Evil", "-1 Evil"], ["20 Evil", "2000 Evil", "evil", "101 Evil"]] {
        let stage = Stage::default();
        let edge = stage.open();
        edge.origin.one_request_per_connection();
        let clean = clean_fill(edge);
        for status in statuses {
            empty(edge);
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{{\"status\":\"ok\"}}"
            );
            edge.origin.answer(SALES, Answer::verbatim(head));
            let given = edge.get(SALES).problem(502).stored(false).origin_requests(1);
            is_clean(status, &given);
            assert!(edge.answers_in_cache().is_empty(), "{status}");
        }
        edge.origin.script(SALES, |request, _| echo(request));
        assert_eq!(clean_fill(edge).body, clean.body);
    }
}

fn groups_without_end(stage: &Stage) {
    let edge = stage.open();
    let groups = (0..2_000).map(|number| format!("\"evil-{number}\"")).collect::<Vec<_>>().join(", ");
    is_not_stored(edge, &Answer::tile(EVIL).field("Cache-Groups", &groups), 200);
    let long = format!("\"{}\"", "x".repeat(10_000));
    for value in [long.as_str(), "evil", "\"a\" \"b\"", "\"a\r"] {
        edge.origin.answer(SALES, Answer::tile("a tile").field("Cache-Groups", value.trim_end()));
        empty(edge);
        let given = edge.get(SALES).expect(200).no_field("Cache-Groups").origin_requests(1);
        is_clean(value, &given);
        settle(edge);
    }
}

fn cache_status_of_others(stage: &Stage) {
    let edge = stage.open();
    edge.origin.script(SALES, |request, _| {
        echo(request).field("Cache-Status", "evil; hit; detail=evil").field("Age", "1").field("X-Cache", "HIT evil")
    });
    let clean = clean_fill(edge);
    assert_eq!(clean.field("Cache-Status"), Some("hotrod-edge; fwd=uri-miss; fwd-status=200; stored"));
    edge.origin.script(SALES, |request, _| echo(request));
}

/// What the origin was made to write into a field, raw or encoded, opens no other field of a stored answer.
fn line_ends_in_fields(stage: &Stage) {
    let edge = stage.open();
    for kind in [
        "application/json; x=\"%0d%0aSet-Cookie: evil=1\"",
        "application/json; x=\"\u{560a}\u{560d}Set-Cookie:evil\"",
        "application/json;\tcharset=utf-8",
    ] {
        edge.origin
            .answer(SALES, Answer::tile("a tile").field("Content-Type", kind).field("Content-Language", "en\u{2028}x"));
        empty(edge);
        let given = edge.get(SALES).expect(200).no_field("Set-Cookie").origin_requests(1);
        settle(edge);
        let again = edge.get(SALES).expect(200).hit().no_field("Set-Cookie").origin_requests(0);
        assert_eq!(given.field("Content-Type"), again.field("Content-Type"), "{kind}");
    }
    let split = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Said: a\nSet-Cookie: evil=1\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}";
    edge.origin.answer(SALES, Answer::verbatim(split));
    empty(edge);
    let given = edge.get(SALES).stored(false).no_field("Set-Cookie").origin_requests(1);
    is_clean("a bare line feed", &given);
}

fn an_answer_of_yesterday(stage: &Stage) {
    let edge = stage.open();
    for age in ["100000", "evil", "-1", "99999999999999999999", "1e9"] {
        is_not_stored(edge, &Answer::tile(EVIL).field("Age", age), 200);
    }
}
