//! A path that the edge reads as one thing and the origin as another would store what is somebody's own under a name
//! that anybody may ask for. Somebody who is logged in opens such a URL, and then an attacker asks for the same.

use lab::client::{Call, Response};
use lab::harness::{CACHE, Edge};
use lab::origin::Recorded;
use lab::secrets::COOKIE;
use lab::session::{ANNS, BENS, Session};
use lab::stored::SALES;

use super::Case;
use super::stage::{LIVE, Stage, as_somebody, clean_fill, echo, empty, is_clean, is_like_a_clean_one, victim_hits};

const CASES: &[Case] = &[
    ("A43", |stage| is_passed_on(stage, &["/api/session-token/claims/x.css"])),
    ("A44", |stage| is_passed_on(stage, &["/api/session-token/claims;x.css", "/api/session-token/claims;.js"])),
    ("A45", |stage| is_refused(stage, &["/api/session-token/claims%3bx.css", "/api/session-token/claims%3B.js"])),
    ("A47", |stage| is_refused(stage, &["/api/session-token/claims%0a.css", "/api/session-token/claims%0d%0a.css"])),
    ("A49", |stage| is_refused(stage, &["/api/session-token/claims%3f.css", "/api/session-token/claims%23.css"])),
    ("A50", |stage| is_refused(stage, &["/static/..%2fapi/me", "/static/%2e%2e/api/me", "/api/static/..%5cme"])),
    ("A52", |stage| is_refused(stage, &["/api//dashboard/tiles/sales-pulse", "//api/dashboard/tiles/sales-pulse"])),
    ("A53", |stage| is_refused(stage, &["/api/./dashboard/tiles/sales-pulse", "/api/%2e/dashboard/tiles/sales-pulse"])),
    ("A55", |stage| is_passed_on(stage, &["/api/dashboard/tiles/sales-pulse/"])),
    ("A56", |stage| {
        is_refused(stage, &["/api\\dashboard\\tiles\\sales-pulse", "/api/dashboard%5ctiles%5csales-pulse"]);
    }),
    ("A58", |stage| {
        is_passed_on(stage, &["/api/dashboard/tiles/sales-pulse.json", "/api/dashboard/tiles/sales-pulse.css"]);
    }),
    ("A59", |stage| {
        is_passed_on(stage, &["/api/dashboard/tiles/sales-pulse%20", "/api/dashboard/tiles/%20sales-pulse"]);
    }),
    ("A60", well_known_names),
    ("A61", live_routes_with_a_suffix),
    ("B20", |stage| is_refused(stage, &DECODED_TWICE)),
    ("B21", |stage| is_passed_on(stage, &OVERLONG)),
    ("B22", |stage| is_passed_on(stage, &OTHER_CASE)),
    ("B23", |stage| is_passed_on(stage, &PATH_PARAMETERS)),
    ("B24", neighbours_of_the_edges_own),
    ("B25", |stage| is_passed_on(stage, &LOOK_ALIKES)),
    ("B26", control_characters),
    ("B27", fragments),
    ("B28", |stage| is_passed_on(stage, &["/api/exports/a.csv", "/api/exports/a.csv.css", "/api/orders"])),
    ("B29", |stage| is_refused(stage, &ENCODED_FOR_NOTHING)),
];

const DECODED_TWICE: [&str; 5] = [
    "/api/%252e%252e/me",
    "/api/x%252f..%252fme",
    "/api/dashboard/tiles%252fsales-pulse",
    "/api/session-token/claims%253b.css",
    "/api/%25",
];
/// Not UTF-8: whoever reads these as a point or a slash reads them so on a path that is not stored.
const OVERLONG: [&str; 3] =
    ["/api/%c0%ae%c0%ae/me", "/api/dashboard%c0%aftiles/sales-pulse", "/api/dashboard/tiles/sales-pulse%ff"];
const OTHER_CASE: [&str; 3] =
    ["/api/Dashboard/tiles/sales-pulse", "/api/dashboard/tiles/SALES-PULSE", "/api/dashboard/tiles/sales_pulse"];
const PATH_PARAMETERS: [&str; 3] = [
    "/api/dashboard/tiles/sales-pulse;jsessionid=1",
    "/api/dashboard;v=1/tiles/sales-pulse",
    "/api/dashboard/tiles/..;/sales-pulse",
];
const LOOK_ALIKES: [&str; 4] = [
    "/api/dashboard/tiles/sales%E2%80%90pulse",
    "/api/dashboard/tiles/sales-pulse%E2%80%8B",
    "/api/dashboard%EF%BC%8Ftiles/sales-pulse",
    "/api/dashboard/tiles/%EF%BD%93ales-pulse",
];
const ENCODED_FOR_NOTHING: [&str; 4] = [
    "/api/dashboard/tiles/sales%2dpulse",
    "/%61pi/dashboard/tiles/sales-pulse",
    "/api/dashboard/tiles/%73ales-pulse",
    "/api/dashboard/tiles/sales-pulse%00",
];

#[test]
fn path() {
    super::run("path", CASES);
}

/// An origin that answers everything as the page of whoever asks, and begs every cache to keep it.
fn personal_pages(edge: &Edge) {
    edge.origin.otherwise(|request| {
        let kept = echo(request).field("Cache-Control", "public, max-age=31536000, s-maxage=31536000, immutable");
        kept.field("CDN-Cache-Control", "public, max-age=31536000").field("Expires", "Fri, 01 Jan 2100 00:00:00 GMT")
    });
    edge.origin.script(SALES, |request, _| echo(request));
}

/// No answer is in store.
#[track_caller]
fn nothing_is_stored(edge: &Edge) {
    // What is put behind an answer would be asked for by now: a look at the health comes after it in the isolate.
    edge.get("/healthz").expect(200).origin_requests(0);
    let mut stored: Vec<_> = edge.cache.urls(CACHE);
    stored.retain(|url| url.contains("/stored/"));
    assert_eq!((stored, edge.kv.keys()), (Vec::new(), Vec::new()));
}

/// Passed on, not stored, and the origin saw the same bytes as the edge.
#[track_caller]
fn passes(edge: &Edge, call: &Call, target: &str) -> (Response, Recorded) {
    let answer = edge.send(call).expect(200).fwd("bypass").stored(false).no_field("Age").origin_requests(1);
    let request = edge.origin.all_requests().pop().expect("the origin was asked");
    assert_eq!(request.target, target, "edge and origin see the same bytes");
    nothing_is_stored(edge);
    (answer, request)
}

/// Each of these is nobody's but the origin's: it is asked each time, and nobody gets what another was answered.
#[track_caller]
fn is_passed_on(stage: &Stage, targets: &[&str]) {
    let edge = stage.open();
    personal_pages(edge);
    for target in targets {
        let (somebodys, _) = passes(edge, &as_somebody(target), target);
        assert!(somebodys.text().contains(COOKIE), "{target}: {}", somebodys.text());
        let (attackers, _) = passes(edge, &Call::get(target), target);
        is_clean(target, &attackers);
    }
    victim_hits(edge, &clean_fill(edge));

    let edge = stage.session();
    personal_pages(edge);
    for target in targets {
        for shop in [ANNS, BENS] {
            let call = as_somebody(target).field("Authorization", Session::of(shop).bearer());
            let (_, request) = passes(edge, &call, target);
            assert_eq!(request.fields.all("X-Shop-Domain"), [shop], "{target}");
        }
        let attackers = edge.get(target).problem(401).origin_requests(0);
        is_clean(target, &attackers);
    }
}

/// Each of these is refused at the edge, whoever asks.
#[track_caller]
fn is_refused(stage: &Stage, targets: &[&str]) {
    let edge = stage.open();
    personal_pages(edge);
    let clean = clean_fill(edge);
    for target in targets {
        edge.send(&as_somebody(target)).problem(400).origin_requests(0);
        edge.get(target).problem(400).origin_requests(0);
        victim_hits(edge, &clean);
    }

    let edge = stage.session();
    personal_pages(edge);
    for target in targets {
        let call = as_somebody(target).field("Authorization", Session::of(ANNS).bearer());
        edge.send(&call).problem(400).origin_requests(0);
        let answer = edge.get(target).origin_requests(0);
        assert!(matches!(answer.status, 400 | 401), "{target}: {}", answer.status);
        nothing_is_stored(edge);
    }
}

/// Each of these is nobody's at all.
#[track_caller]
fn is_nobodys(edge: &Edge, targets: &[&str]) {
    personal_pages(edge);
    for target in targets {
        edge.send(&as_somebody(target)).problem(404).origin_requests(0);
        edge.get(target).problem(404).origin_requests(0);
        nothing_is_stored(edge);
    }
}

fn well_known_names(stage: &Stage) {
    is_refused(stage, &["/robots.txt%2f..%2fapi/me", "/favicon.ico%2f..%2fapi%2fme", "/index.html%23/../api/me"]);
    let names =
        ["/robots.txt", "/favicon.ico", "/sitemap.xml", "/index.html", "/static/x.css", "/.well-known/security.txt"];
    is_nobodys(stage.open(), &names);
    is_passed_on(stage, &["/api/robots.txt", "/api/me/favicon.ico", "/api/static/x.css", "/api/me/index.html"]);
}

fn live_routes_with_a_suffix(stage: &Stage) {
    let targets = [
        "/api/realtime/sla.css",
        "/api/realtime/sla/x.css",
        "/api/realtime/sla;x.css",
        "/api/realtime/sla?x=/x.css",
        "/api/realtime/inventory/SKU-1.css",
        "/api/realtime/inventory/SKU-1/x.css",
    ];
    is_passed_on(stage, &targets);
    let edge = stage.open();
    personal_pages(edge);
    for target in [LIVE, "/api/realtime/sla?x=/x.css", "/api/realtime/inventory/SKU-1.css"] {
        let case = edge.get(target).expect(200).field("Cache-Control", "no-store").no_field("Expires");
        case.no_field("CDN-Cache-Control").field("Cloudflare-CDN-Cache-Control", "no-store").origin_requests(1);
    }
}

fn neighbours_of_the_edges_own(stage: &Stage) {
    let malformed =
        ["/healthz/../api/me", "/cache/../api/me", "/cache%2fpurge", "/healthz%2f..%2fapi/me", "//cache/purge"];
    is_refused(stage, &malformed);
    is_nobodys(stage.open(), &["/cachex", "/healthz/x.css", "/healthz.css", "/Cache/purge", "/HEALTHZ", "/healthz;x"]);
    for target in ["/cache", "/cache/", "/cache/purge/x.css", "/cache/purge;x.css", "/cache/receipts/x.css"] {
        stage.open().send(&as_somebody(target)).problem(401).origin_requests(0);
    }
}

fn control_characters(stage: &Stage) {
    let edge = stage.open();
    personal_pages(edge);
    let clean = clean_fill(edge);
    let before = edge.origin.total();
    for bytes in
        [b"\x01".as_slice(), b"\x7f", b"\t", b"\xff", b"\xc3\xa9", b"\x0b", b"\x0c", b"\x85", b"<", b">", b"`", b"^"]
    {
        for target in [[SALES.as_bytes(), bytes].concat(), [bytes, SALES.as_bytes()].concat()] {
            // A connection that is closed without a word is an answer too.
            let answered = Call::get(&target).send(edge.workerd.address());
            assert!(answered.is_err() || answered.is_ok_and(|answer| matches!(answer.status, 400 | 404)), "{target:?}");
        }
    }
    assert_eq!(edge.origin.total(), before);
    victim_hits(edge, &clean);
}

fn fragments(stage: &Stage) {
    let edge = stage.open();
    personal_pages(edge);
    for fragment in ["#.css", "#/../../me", "#?days=90", "#"] {
        is_like_a_clean_one(edge, &Call::get(format!("{SALES}{fragment}")));
        empty(edge);
        let (_, request) = passes(edge, &as_somebody(&format!("/api/me{fragment}")), "/api/me");
        assert_eq!(request.path(), "/api/me");
        let (attackers, _) = passes(edge, &Call::get(format!("/api/me{fragment}")), "/api/me");
        is_clean(fragment, &attackers);
    }
}
