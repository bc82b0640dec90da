//! Routes that follow their origin, on the Worker of tests/follow.

use lab::case::Case;
use lab::client::Call;
use lab::harness::{Edge, Options, TENANT};
use lab::origin::{Answer, gzip, is_pattern};

const PAGE: &str = "/pages/a/b";

/// Waits until the Cache API holds so many answers.
#[track_caller]
fn wait_until_stored(edge: &Edge, count: usize) {
    edge.wait_until("the answer is stored", |edge| edge.answers_in_cache().len() == count);
}

#[test]
fn an_answer_is_reused_for_as_long_as_its_origin_says() {
    let edge = Options::follow().start();
    let page = |body: &str| Answer::bytes("text/html", body).field("Cache-Control", "max-age=60").field("A", "1");
    edge.origin.answer(PAGE, page("first"));
    edge.get(PAGE).expect(200).fwd("uri-miss").stored(true).body("first").origin_requests(1);
    wait_until_stored(&edge, 1);
    edge.origin.answer(PAGE, page("second"));
    let case = edge.get(PAGE).expect(200).hit().ttl(55..=60).detail("edge").body("first");
    case.field("Content-Type", "text/html").field("Cache-Control", "max-age=60").field("A", "1").origin_requests(0);
    // Another query is another page, and nothing lies in KV.
    let other = format!("{PAGE}?x");
    edge.get(&other).expect(200).fwd("uri-miss").stored(true).body("second").origin_requests(1);
    assert_eq!(edge.kv.keys(), Vec::<String>::new());
}

#[test]
fn an_interim_response_is_not_passed_on_and_the_final_one_is_stored() {
    let edge = Options::follow().start();
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
    let final_one = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nfinal";
    edge.origin.answer(PAGE, Answer::verbatim(format!("{interim}{final_one}")));
    edge.get(PAGE).expect(200).stored(true).no_field("Link").body("final").origin_requests(1);
    wait_until_stored(&edge, 1);
    edge.get(PAGE).expect(200).hit().no_field("Link").body("final").origin_requests(0);
}

#[test]
fn an_encoded_body_is_the_same_from_origin_and_store() {
    let edge = Options::follow().start();
    let contents = b"<p>a page that is worth to be encoded, encoded, encoded</p>";
    let encoded = gzip(contents);
    let answer = Answer::bytes("text/html", &encoded).field("Content-Encoding", "gzip").field("ETag", "\"one\"");
    let answer = answer.field("Cache-Control", "max-age=60").field("Vary", "Accept-Encoding");
    edge.origin.answer(PAGE, answer);
    let call = Call::get(PAGE).field("Accept-Encoding", "gzip");
    let length = encoded.len().to_string();
    // Byte for byte, as a strong entity tag says.
    let miss = edge.send(&call).expect(200).stored(true).field("Content-Encoding", "gzip");
    miss.field("Content-Length", &length).field("ETag", "\"one\"").body(&encoded).origin_requests(1);
    wait_until_stored(&edge, 2);
    let hit = edge.send(&call).expect(200).hit().field("Content-Encoding", "gzip");
    hit.field("Content-Length", &length).field("ETag", "\"one\"").body(&encoded).origin_requests(0);
    let part = call.clone().field("Range", "bytes=-8");
    edge.send(&part).expect(206).hit().body(&encoded[encoded.len() - 8..]).origin_requests(0);
    edge.send(&call.clone().field("If-None-Match", "\"one\"")).expect(304).hit().body("").origin_requests(0);
    // What is not what it says it is passes as it is.
    let broken = Answer::bytes("text/html", "no gzip").field("Content-Encoding", "gzip");
    edge.origin.answer("/pages/broken", broken.field("Cache-Control", "max-age=60"));
    edge.get("/pages/broken").expect(200).stored(true).body("no gzip").origin_requests(1);
    edge.get("/pages/broken").expect(200).hit().body("no gzip").origin_requests(0);
    // Who accepts none is another reader.
    edge.origin.answer(PAGE, Answer::bytes("text/html", contents).field("Vary", "Accept-Encoding"));
    edge.get(PAGE).expect(200).fwd("vary-miss").no_field("Content-Encoding").body(contents).origin_requests(1);
}

#[test]
fn redirects_errors_and_answers_without_content_are_stored_as_they_are() {
    let edge = Options::follow().start();
    let answers = [
        (204, None, Answer::empty(204)),
        (301, Some("/pages/elsewhere"), Answer::empty(301)),
        (302, Some("https://elsewhere.test/"), Answer::empty(302)),
        (404, None, Answer::bytes("text/html", "none").status(404)),
        (410, None, Answer::bytes("text/html", "gone").status(410)),
        (503, None, Answer::bytes("text/html", "later").status(503)),
    ];
    for (number, (status, location, answer)) in answers.into_iter().enumerate() {
        let target = format!("/pages/{status}");
        let answer = answer.field("Cache-Control", "max-age=60");
        edge.origin.answer(&target, location.into_iter().fold(answer, |answer, place| answer.field("Location", place)));
        let miss = edge.get(&target).expect(status).fwd("uri-miss").stored(true).origin_requests(1);
        wait_until_stored(&edge, number + 1);
        let hit = edge.get(&target).expect(status).hit().body(&miss.body).origin_requests(0);
        for answer in [miss, hit] {
            assert_eq!(answer.field("Location"), location, "{status}");
        }
    }
}

#[test]
fn what_is_stale_is_validated_and_a_304_freshens_it() {
    let edge = Options::follow().start();
    let page = Answer::bytes("text/html", "first").field("ETag", "\"one\"").field("Cache-Control", "no-cache");
    edge.origin.script(PAGE, move |request, _| match request.fields.get("If-None-Match") {
        Some("\"one\"") => Answer::empty(304).field("ETag", "\"one\"").field("A", "2"),
        _ => page.clone().field("A", "1"),
    });
    edge.get(PAGE).expect(200).fwd("uri-miss").stored(true).field("A", "1").origin_requests(1);
    wait_until_stored(&edge, 1);
    edge.get(PAGE).expect(200).fwd("stale").stored(true).field("A", "2").body("first").origin_requests(1);
    // The client's own condition is not the origin's business.
    let known = Call::get(PAGE).field("If-None-Match", "\"one\"");
    edge.send(&known).expect(304).fwd("stale").body("").origin_requests(1);
    let unknown = Call::get(PAGE).field("If-None-Match", "\"other\"");
    edge.send(&unknown).expect(200).fwd("stale").body("first").origin_requests(1);
    assert_eq!(edge.origin.requests(PAGE)[3].fields.get("If-None-Match"), Some("\"one\""));
}

#[test]
fn parts_and_heads_come_from_the_whole() {
    let edge = Options::follow().start();
    edge.origin.answer(PAGE, Answer::bytes("text/plain", "0123456789").field("Cache-Control", "max-age=60"));
    let head = Call::new("HEAD", PAGE);
    edge.send(&head).expect(200).fwd("uri-miss").stored(true).body("").origin_requests(1);
    assert_eq!(edge.origin.requests(PAGE)[0].method, "GET");
    wait_until_stored(&edge, 1);
    edge.send(&head).expect(200).hit().body("").field("Content-Length", "10").origin_requests(0);
    let part = |range: &str| edge.send(&Call::get(PAGE).field("Range", range));
    let case = part("bytes=2-4").expect(206).hit().body("234").field("Content-Length", "3");
    case.field("Content-Range", "bytes 2-4/10").origin_requests(0);
    part("bytes=-3").expect(206).hit().body("789").origin_requests(0);
    part("bytes=10-").expect(416).hit().field("Content-Range", "bytes */10").origin_requests(0);
    part("bytes=0-1,3-4").expect(200).hit().body("0123456789").origin_requests(0);
}

#[test]
fn a_write_makes_its_target_and_what_it_names_absent_at_once() {
    let edge = Options::follow().start();
    let (created, updated) = ("/pages/created", "/pages/updated");
    for target in [PAGE, created, updated] {
        edge.origin.answer(target, Answer::bytes("text/plain", "before").field("Cache-Control", "max-age=60"));
        edge.get(target).expect(200).stored(true).origin_requests(1);
        edge.get(target).expect(200).hit().origin_requests(0);
    }
    let write = |status| Answer::empty(status).field("Location", created).field("Content-Location", updated);
    edge.origin.answer(PAGE, write(500));
    edge.send(&Call::new("POST", PAGE).body("x")).expect(500).fwd("method").origin_requests(1);
    edge.get(PAGE).expect(200).hit().origin_requests(0);
    edge.origin.answer(PAGE, write(201));
    edge.send(&Call::new("POST", PAGE).body("x")).expect(201).fwd("method").origin_requests(1);
    for target in [PAGE, created, updated] {
        edge.origin.answer(target, Answer::bytes("text/plain", "after").field("Cache-Control", "max-age=60"));
        edge.get(target).expect(200).fwd("uri-miss").detail("purged").body("after").origin_requests(1);
    }
    // In the same second, and so of the same burst.
    edge.send(&Call::new("PUT", PAGE).body("x")).expect(200).fwd("method").origin_requests(1);
    edge.get(PAGE).expect(200).fwd("uri-miss").detail("purged").origin_requests(1);
}

#[test]
fn what_is_stale_answers_while_the_origin_fails_unless_that_is_forbidden() {
    let edge = Options::follow().start();
    let strict = "/pages/strict";
    let page = |control: &str| Answer::bytes("text/plain", "stale").field("Cache-Control", control).field("Age", "100");
    edge.origin.answer(PAGE, page("max-age=90").field("ETag", "\"one\""));
    edge.origin.answer(strict, page("max-age=90, must-revalidate").field("ETag", "\"one\""));
    for target in [PAGE, strict] {
        edge.get(target).expect(200).stored(true).origin_requests(1);
    }
    wait_until_stored(&edge, 2);
    for target in [PAGE, strict] {
        edge.origin.answer(target, Answer::empty(503));
    }
    edge.get(PAGE).expect(200).body("stale").detail("stale-if-error").origin_requests(1);
    edge.get(strict).expect(503).fwd("stale").origin_requests(1);
    edge.origin.stop();
    edge.get(PAGE).expect(200).body("stale").detail("stale-if-error").origin_requests(0);
    // RFC 9111, section 5.2.2.2: not without the origin.
    edge.get(strict).problem(504).origin_requests(0);
}

fn passed_whole(case: Case<'_>) -> Case<'_> {
    let case = case.expect(200).field("Server", "s").no_field("X-Hop").no_field("Hotrod-CDN-Cache-Control");
    case.field("CDN-Cache-Control", "max-age=40").field("Cloudflare-CDN-Cache-Control", "no-store")
}

#[test]
fn fields_pass_whole_but_for_those_of_one_hop_and_of_the_edge() {
    let edge = Options::follow().start();
    let answer = Answer::bytes("text/plain", "x").field("Cache-Control", "max-age=60").field("Link", "</a>");
    let answer = answer.field("Link", "</b>").field("Connection", "X-Hop").field("X-Hop", "1").field("Server", "s");
    let answer = answer.field("Hotrod-CDN-Cache-Control", "max-age=30").field("CDN-Cache-Control", "max-age=40");
    edge.origin.answer(PAGE, answer);
    let call = Call::get(PAGE).field("Cookie", "a=1").field("X-Any", "1").field("X-Shop-Domain", "evil.test");
    let call = call.field("Connection", "X-Mine").field("X-Mine", "1").field("Accept-Language", "de");
    let miss = passed_whole(edge.send(&call)).stored(true).origin_requests(1);
    wait_until_stored(&edge, 1);
    let hit = passed_whole(edge.send(&call)).hit().ttl(25..=30).origin_requests(0);
    assert_eq!(
        (miss.fields.all("Link").join(", "), hit.fields.all("Link").join(", ")),
        ("</a>, </b>".into(), "</a>, </b>".into())
    );
    let asked = &edge.origin.requests(PAGE)[0].fields;
    assert_eq!(
        [asked.get("Cookie"), asked.get("X-Any"), asked.get("Accept-Language")],
        [Some("a=1"), Some("1"), Some("de")]
    );
    assert_eq!([asked.get("X-Mine"), asked.get("X-Shop-Domain")], [None, Some(TENANT)]);
}

#[test]
fn what_is_not_stored_passes_all_the_same() {
    let edge = Options::follow().start();
    let cookies =
        Answer::bytes("text/plain", "x").field("Cache-Control", "max-age=60").field("Set-Cookie", "a=1; Path=/");
    edge.origin.answer(PAGE, cookies.field("Set-Cookie", "b=2, c"));
    for _ in 0..2 {
        let answer = edge.get(PAGE).expect(200).stored(false).detail("set-cookie").body("x").origin_requests(1);
        assert_eq!(answer.fields.all("Set-Cookie"), ["a=1; Path=/", "b=2, c"]);
    }
    let long = Answer::pattern((1 << 20) + 1).field("Cache-Control", "max-age=60");
    edge.origin.answer("/pages/long", long.clone());
    edge.origin.answer("/pages/chunked", long.chunked());
    for target in ["/pages/long", "/pages/chunked"] {
        let answer = edge.get(target).expect(200).stored(false).detail("too-large").origin_requests(1);
        assert!(answer.body.len() == (1 << 20) + 1 && is_pattern(0, &answer.body));
    }
    let part = Answer::bytes("text/plain", "234").status(206).field("Content-Range", "bytes 2-4/10");
    edge.origin.answer("/pages/part", part.field("Cache-Control", "max-age=60"));
    let call = Call::get("/pages/part").field("Range", "bytes=2-4");
    for _ in 0..2 {
        let case = edge.send(&call).expect(206).fwd("uri-miss").stored(false).body("234");
        case.field("Content-Range", "bytes 2-4/10").origin_requests(1);
    }
    assert_eq!(edge.origin.requests("/pages/part")[0].fields.get("Range"), Some("bytes=2-4"));
    assert_eq!(edge.answers_in_cache(), Vec::<String>::new());
}
