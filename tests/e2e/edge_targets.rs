//! Request targets byte for byte on the wire: what can be read in two ways is refused, what is nobody's is a 404,
//! and nothing of either reaches the origin or the stores.

use lab::client::Call;
use lab::config::PROTO;
use lab::harness::{CACHE, Edge, Options};
use lab::origin::Answer;
use lab::stored::{SALES, SALES_KEY};

#[test]
fn what_two_parsers_could_read_in_two_ways_is_refused() {
    let edge = Edge::start();
    edge.fill(SALES, SALES_KEY, "a tile");
    for target in [
        "/api/./dashboard/tiles/sales-pulse",
        "/api/x/../dashboard/tiles/sales-pulse",
        "/api/..",
        "/api/dashboard/tiles/sales-pulse/.",
        "/api/dashboard/tiles/sales-pulse/..",
        "/../etc/passwd",
        "/api//dashboard/tiles/sales-pulse",
        "//api/dashboard/tiles/sales-pulse",
        "//evil.example/api/realtime/sla",
        "/api/realtime//sla",
        "/api/%2e%2e/x",
        "/api/%2E/x",
        "/api/.%2e/x",
        "/api/x%2fy",
        "/api/x%2Fy",
        "/api/x%5cy",
        "/api/%64ashboard/tiles/sales-pulse",
        "/%61pi/realtime/sla",
        "/api/dashboard/tiles/sales%2dpulse",
        "/api/session-token/claims%3bx.css",
        "/api/session-token/claims%0a.css",
        "/api/session-token/claims%0d%0aX:y",
        "/api/session-token/claims%3f.css",
        "/api/session-token/claims%23.css",
        "/api/session-token/claims%00.css",
        "/api/session-token/claims%25.css",
        "/robots.txt%2f..%2fapi/me",
        "/static/..%2fapi/me",
        "/api/%",
        "/api/%4",
        "/api/%zz",
        "/api\\dashboard\\tiles\\sales-pulse",
        "/api/..\\x",
        "/api/dashboard/tiles/sales-pulse\\",
        "/api/caf\u{e9}",
        "/api/\u{ff0e}\u{ff0e}/x",
        "/api/a|b",
        "/api/a^b",
        "/api/a\"b",
        "/api/a{b}",
    ] {
        let answer = edge.get(target).problem(400).origin_requests(0);
        assert!(answer.text().contains("malformed-target"), "{target}: {}", answer.text());
    }
    // The first five the runtime refuses before the Worker sees them; what has no slash in front is nobody's path.
    let unseen = [b"/api/\xff".as_slice(), b"/api/a b", b"/api/a<b", b"/api/a\x7fb", b"?x", b"*", b"api/realtime/sla"];
    for target in unseen {
        let answered = Call::get(target).send(edge.workerd.address());
        assert!(answered.as_ref().is_ok_and(|answer| matches!(answer.status, 400 | 404)), "{answered:?}");
    }
    assert_eq!((edge.origin.total(), edge.answers_in_cache().len()), (1, 1));
    edge.is_hit(SALES, "a tile");
}

#[test]
fn a_fragment_is_gone_before_the_worker_sees_the_url_and_so_for_the_origin() {
    let edge = Edge::start();
    edge.fill(SALES, SALES_KEY, "a tile");
    for target in ["#x", "#../../x", "?utm_source=x#y", "#x?days=30"] {
        edge.get(&format!("{SALES}{target}")).expect(200).hit().says("a tile").origin_requests(0);
    }
    edge.get("/api/a?b#c").expect(404).origin_requests(1);
    edge.get("/api/a#/../b").expect(404).origin_requests(1);
    let targets: Vec<_> = edge.origin.all_requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, [SALES, "/api/a?b", "/api/a"]);
}

#[test]
fn a_url_over_eight_kilobytes_is_a_414_and_one_below_passes() {
    let edge = Edge::start();
    let path = |length: usize| format!("/api/{}", "x".repeat(length - "http://localhost/api/".len()));
    let call = |target: &str| Call::get(target).field("Host", "localhost");
    edge.send(&call(&path(8193))).problem(414).origin_requests(0);
    edge.send(&call(&path(9_000))).problem(414).origin_requests(0);
    edge.send(&call(&format!("{SALES}?_={}", "x".repeat(9_000)))).problem(414).origin_requests(0);
    edge.origin.answer(&path(8192), Answer::tile("long"));
    edge.send(&call(&path(8192))).expect(200).fwd("bypass").says("long").origin_requests(1);
}

#[test]
fn a_near_match_of_a_cached_route_is_forwarded_as_it_is_and_never_stored() {
    let edge = Edge::start();
    edge.fill(SALES, SALES_KEY, "a tile");
    for target in [
        "/api/dashboard/tiles/sales-pulse/",
        "/api/dashboard/tiles/sales-pulse.json",
        "/api/dashboard/tiles/sales-pulse%20",
        "/api/dashboard/tiles/sales-pulse;x.css",
        "/api/dashboard/tiles/Sales-Pulse",
        "/api/dashboard/tiles/sales_pulse",
        "/api/dashboard/tiles",
        "/api/dashboard/tiles/sales-pulse/x.css",
        "/api/session-token/claims/x.css",
        "/api/session-token/claims;x.css",
        "/api/realtime/sla.css",
        "/api/realtime/inventory/a/b",
        "/api/realtime/inventory/",
        "/api/caf%C3%A9%20%22x%22",
        "/api/%c3%a9?q=%zz&%2e%2e/..//\\",
        "/api/...",
        "/api/a=b&c,d:e@f!$'()*+",
    ] {
        edge.origin.answer(target, Answer::tile("somebody's own").field("Cache-Control", "public, max-age=600"));
        for _ in 0..2 {
            edge.get(target).expect(200).fwd("bypass").stored(false).says("somebody's own").origin_requests(1);
            let request = edge.origin.all_requests().pop().expect("the origin was asked");
            assert_eq!(request.target, target, "edge and origin see the same bytes");
        }
    }
    assert_eq!((edge.answers_in_cache().len(), edge.kv.keys().len()), (1, 1));
    edge.is_hit(SALES, "a tile");
}

#[test]
fn what_is_nobodys_is_a_404_and_the_origin_is_not_asked() {
    let edge = Edge::start();
    for target in [
        "/",
        "/api",
        "/apix",
        "/API/realtime/sla",
        "/favicon.ico",
        "/robots.txt",
        "/dev/faults",
        "/healthz/",
        "/healthzx",
        "/cachex",
    ] {
        edge.get(target).problem(404).origin_requests(0);
        edge.send(&Call::new("POST", target).body("x")).problem(404).origin_requests(0);
    }
    edge.get("/healthz?x=1").expect(200).origin_requests(0);
}

#[test]
fn only_the_configured_hosts_are_served() {
    let edge = Edge::start();
    edge.fill(SALES, SALES_KEY, "a tile");
    for host in [
        "evil.example",
        "localhost.evil.example",
        "localhost.",
        "xlocalhost",
        "127.0.0.2",
        "hotroddash.myshopify.com",
        "[::1]",
        "localhost:8787:1",
    ] {
        for target in [SALES, "/api/realtime/sla", "/nowhere"] {
            edge.send(&Call::get(target).field("Host", host)).problem(421).origin_requests(0);
        }
        let purge = Call::new("POST", "/cache/purge").field("Host", host).body("{}");
        edge.send(&purge).problem(421).origin_requests(0);
        edge.send(&Call::get("/healthz").field("Host", host)).expect(200).origin_requests(0);
    }
    for host in
        ["user@localhost", "localhost, evil.example", "", "localhost/x", "localhost?x", "localhost#x", "localhost\\x"]
    {
        let answered = Call::get(SALES).field("Host", host).send(edge.workerd.address());
        let refused = |status| (400..500).contains(&status);
        assert!(answered.as_ref().is_ok_and(|answer| refused(answer.status)), "{host:?}: {answered:?}");
    }
    let two = Call::get(SALES).field("Host", "localhost").field("Host", "evil.example");
    assert!(edge.send(&two).origin_requests(0).status >= 400);
    for host in ["LOCALHOST", "localhost:1", "127.0.0.1", "127.0.0.1:99"] {
        let case = edge.send(&Call::get(SALES).field("Host", host)).expect(200).hit();
        case.says("a tile").origin_requests(0);
    }
    // The request line's host does not count beside the field.
    let absolute = Call::get(format!("http://evil.example{SALES}")).field("Host", "localhost");
    edge.send(&absolute).expect(200).hit().says("a tile").origin_requests(0);
}

#[test]
fn hosts_are_a_list_and_the_first_names_the_entries() {
    let edge = Options::built().var("HOSTS", "Dash.Example.com, other.example").start();
    edge.origin.answer(SALES, Answer::tile("a tile"));
    let host = |host: &str| Call::get(SALES).field("Host", host).field(PROTO, "https");
    edge.send(&host("other.example")).expect(200).stored(true).origin_requests(1);
    edge.wait_until("it is stored", |edge| edge.in_kv(SALES_KEY).is_some());
    edge.send(&host("DASH.example.com:443")).expect(200).hit().detail("edge").origin_requests(0);
    edge.send(&host("localhost")).problem(421).origin_requests(0);
    let plain = Call::get(format!("{SALES}?_=1")).field("Host", "other.example");
    let moved = edge.send(&plain).expect(308).field("Cache-Control", "no-store").origin_requests(0);
    assert_eq!(moved.field("Location"), Some(format!("https://other.example{SALES}?_=1").as_str()));
    let urls = edge.cache.urls(CACHE);
    assert!(urls.iter().all(|url| url.starts_with("https://dash.example.com/cache/")), "{urls:?}");
    assert!(urls.iter().any(|url| url.ends_with(SALES_KEY)), "{urls:?}");
}
