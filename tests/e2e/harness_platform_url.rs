//! What workerd makes of a request before the Worker sees it, and of a URL that the Worker fetches:
//! targets, hosts, methods. A failure here after an update of workerd is news about the platform.

use lab::client::Call;
use lab::harness::Edge;
use serde_json::json;

use crate::harness_platform::fetch;
use crate::harness_workerd::probe;

/// The request line that the origin saw last.
fn last_line(edge: &Edge) -> String {
    let requests = edge.origin.all_requests();
    let request = requests.last().expect("the origin was asked");
    format!("{} {}", request.method, request.target)
}

#[test]
fn the_url_of_a_request_is_raw_and_fetch_normalises_it() {
    let edge = probe().start();
    let raw_and_fetched = [
        ("/api/../x", "GET /x"),
        ("/api/./x", "GET /api/x"),
        ("/api//x", "GET /api//x"),
        ("//host/x", "GET //host/x"),
        ("/a\\b", "GET /a/b"),
        ("/a/%2e%2E/x", "GET /x"),
        ("/a;..;/x", "GET /a;..;/x"),
        ("/é", "GET /%C3%A9"),
        ("/%C3%A9", "GET /%C3%A9"),
        ("/A%2fb%41", "GET /A%2fb%41"),
        ("/%zz", "GET /%zz"),
        ("/a?b=é#f", "GET /a?b=%C3%A9"),
        ("/a?", "GET /a?"),
    ];
    for (target, fetched) in raw_and_fetched {
        let raw = edge
            .send(&Call::get(target).field("X-Echo-Url", "1").field("Host", "localhost"))
            .expect(200)
            .origin_requests(0);
        let path = target.split('#').next().unwrap_or_default();
        assert_eq!(
            raw.text().strip_prefix("http://localhost").map(|rest| rest.split('#').next().unwrap_or_default()),
            Some(path)
        );
        edge.get(target).origin_requests(1);
        assert_eq!(last_line(&edge), fetched, "{target}");
    }
    let refused = |before: &str| -> String {
        let answers_400 = |byte: u8| {
            let target = [before.as_bytes(), &[byte], b"c"].concat();
            let answer = Call::get(target).send(edge.workerd.address()).expect("an answer");
            answer.status == 400
        };
        (0x20..0x80).filter(|byte| answers_400(*byte)).map(char::from).collect()
    };
    assert_eq!((refused("/a").as_str(), refused("/a?b").as_str()), (" <>`\u{7f}", " \"<>\u{7f}"));
    edge.send(&Call::get(b"/\xff")).expect(400).origin_requests(0);
    edge.send(&Call::get("?x=1")).expect(400).origin_requests(0);
}

#[test]
fn the_host_is_whatever_the_client_says() {
    let edge = probe().start();
    let url = |call: Call| edge.send(&call.field("X-Echo-Url", "1")).origin_requests(0).text();
    assert_eq!(url(Call::get("/x").field("Host", "EVIL.example:1")), "http://EVIL.example:1/x");
    assert_eq!(url(Call::get("/x").field("Host", "user@localhost")), "http://user@localhost/x");
    assert_eq!(url(Call::get("/x").field("Host", "a").field("Host", "b")), "http://a, b/x");
    assert_eq!(url(Call::get("http://other.example/x").field("Host", "a")), "http://a/x");
    edge.send(&Call::get("/x").without_host()).expect(400).origin_requests(0);
}

#[test]
fn unknown_methods_stop_before_the_worker_and_known_ones_reach_it() {
    let edge = probe().start();
    for method in ["QUERY", "PURGE", "PROPFIND", "TRACE", "OPTIONS", "PATCH", "SEARCH"] {
        edge.send(&Call::new(method, "/method")).expect(200).body(method).origin_requests(0);
        edge.send(&Call::new(method, "/x")).expect(404).origin_requests(1);
    }
    for method in ["get", "Get", "FOO", "BREW"] {
        edge.send(&Call::new(method, "/method")).expect(501).origin_requests(0);
    }
    edge.send(&Call::new("CONNECT", "/method")).expect(500).origin_requests(0);
    // A body on a GET reaches the Worker, and passing it on makes fetch throw.
    edge.send(&Call::get("/method").body("x")).expect(200).origin_requests(0);
    edge.send(&Call::get("/x").body("x")).expect(500).origin_requests(0);
    assert_eq!(
        fetch(&edge, "/x", &json!({"method": "GET", "body": "x"}))["error"],
        "TypeError: Request with a GET or HEAD method cannot have a body."
    );
}
