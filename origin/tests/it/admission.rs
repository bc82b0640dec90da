//! Who may ask: with a secret, the edge alone.

use crate::{
    client::{self, Answer},
    server::{DASHBOARD, DEFAULT_SHOP, Server},
};

const SECRET: &str = "shared-by-two";

fn ask(server: &Server, method: &str, path: &str, secrets: &[&str]) -> Answer {
    let shown = secrets.iter().map(|secret| ("edge-secret", *secret));
    let headers: Vec<_> = std::iter::once(("x-shop-domain", DEFAULT_SHOP)).chain(shown).collect();
    client::ask(server.port, method, path, &headers, "")
}

#[test]
fn who_does_not_show_the_secret_is_refused_before_anything_happens() {
    let server = Server::guarded(SECRET);
    let before = ask(&server, "GET", "/api/realtime/sla", &[SECRET]).json()["data"].take();
    server.post("/dev/faults", r#"{"path":"*","times":1,"fault":{"status":500}}"#);
    for secrets in [&[][..], &[""], &["shared-by-tw"], &["Shared-By-Two"], &[SECRET, SECRET], &["x", SECRET]] {
        for (method, path) in
            [("GET", DASHBOARD[0]), ("POST", "/api/orders"), ("GET", "/api/"), ("GET", "/api/public/")]
        {
            let answer = ask(&server, method, path, secrets);
            assert_eq!((answer.status, answer.header("cache-control")), (403, Some("no-store")), "{path} {secrets:?}");
            assert_eq!(answer.json()["success"], false);
        }
    }
    let counts = ask(&server, "GET", "/dev/requests", &[]).json();
    assert_eq!(counts["requests"], serde_json::json!({ "/api/realtime/sla": 1 }));
    assert_eq!(ask(&server, "GET", DASHBOARD[0], &[SECRET]).status, 500, "the fault is still there");
    assert_eq!(ask(&server, "GET", DASHBOARD[0], &[SECRET]).status, 200);
    assert_eq!(ask(&server, "GET", "/api/realtime/sla", &[SECRET]).json()["data"], before);
}

#[test]
fn without_a_secret_everyone_may_ask() {
    let server = Server::shared();
    for secrets in [&[][..], &[SECRET], &[SECRET, "x"]] {
        assert_eq!(ask(server, "GET", DASHBOARD[0], secrets).status, 200, "{secrets:?}");
    }
}

#[test]
fn development_and_what_is_public_need_no_secret_and_no_shop() {
    let guarded = Server::guarded(SECRET);
    for server in [Server::shared(), &guarded] {
        assert_eq!(client::ask(server.port, "GET", "/dev/health", &[], "").status, 200);
        let status = client::ask(server.port, "GET", "/api/public/status", &[], "");
        assert_eq!((status.status, status.header("cache-control")), (200, None));
        let json = status.json();
        assert_eq!((&json["success"], &json["data"]["status"]), (&true.into(), &"operational".into()));
        assert_eq!(json["meta"].get("shop"), None);
    }
}
