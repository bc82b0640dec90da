//! What every route answers: whose it is, its headers, and what it refuses.

use crate::{
    client,
    server::{DASHBOARD, DEFAULT_SHOP, Server},
};

#[test]
fn routes_ask_whose_figures_are_wanted() {
    let server = Server::shared();
    for path in DASHBOARD.into_iter().chain([
        "/api/realtime/sla",
        "/api/realtime/escalations",
        "/api/realtime/inventory/AN6-PTFE-BL",
        "/api/realtime/stream",
        "/api/exports/orders.csv",
    ]) {
        let absent = client::ask(server.port, "GET", path, &[], "");
        assert_eq!(absent.status, 400, "{path}");
        assert!(absent.text().contains("X-Shop-Domain"), "{path}");
        let unknown = server.get(path, "nobody.myshopify.com");
        assert_eq!(unknown.status, 404, "{path}");
        assert!(unknown.json()["error"].as_str().expect("a sentence").contains("nobody"), "{path}");
    }
    let two = [("x-shop-domain", DEFAULT_SHOP), ("x-shop-domain", "chrome-alley.myshopify.com")];
    assert_eq!(client::ask(server.port, "GET", DASHBOARD[0], &two, "").status, 400);
    assert_eq!(server.get(DASHBOARD[0], "HotRodDash.myshopify.com").status, 200);
}

#[test]
fn headers_are_as_wrong_as_those_of_the_public_system() {
    let server = Server::shared();
    let header = |path: &str, name: &str| server.get(path, DEFAULT_SHOP).header(name).map(str::to_owned);
    for path in DASHBOARD {
        let answer = server.get(path, DEFAULT_SHOP);
        assert_eq!(answer.header("cache-control"), None, "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
        assert!(answer.header("date").is_some(), "{path}");
    }
    for path in ["/api/realtime/sla", "/api/realtime/inventory/AN6-PTFE-BL", "/dev/health"] {
        assert_eq!(header(path, "cache-control").as_deref(), Some("public, max-age=60"), "{path}");
    }
    for path in ["/api/realtime/escalations", "/api/exports/customers.csv"] {
        assert_eq!(header(path, "cache-control"), None, "{path}");
    }
}

#[test]
fn what_is_not_there_is_said_in_json() {
    let server = Server::shared();
    for path in [
        "/",
        "/api/dashboard/tiles",
        "/api/dashboard/tiles/nope",
        "/api/realtime/inventory/NO-SUCH",
        "/api/exports/secrets.csv",
        "/api/exports/orders",
    ] {
        let answer = server.get(path, DEFAULT_SHOP);
        assert_eq!((answer.status, answer.header("content-type")), (404, Some("application/json")), "{path}");
        assert_eq!(answer.json()["success"], false, "{path}");
    }
    for days in ["7", "", "-30", "30x", "30&days=90"] {
        let answer = server.get(&format!("/api/dashboard/trends/revenue?days={days}"), DEFAULT_SHOP);
        assert_eq!(answer.status, 400, "days={days}");
        assert!(answer.text().contains("30 or 90"), "{}", answer.text());
    }
    let shop = [("x-shop-domain", DEFAULT_SHOP)];
    let post = client::ask(server.port, "POST", DASHBOARD[0], &shop, "");
    assert_eq!((post.status, post.header("allow")), (405, Some("GET,HEAD")));
    let head = client::ask(server.port, "HEAD", DASHBOARD[0], &shop, "");
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn thirty_days_are_meant_unless_ninety_are_asked_for() {
    for (trend, rows_a_day) in [("revenue", 1), ("categories", 20)] {
        for (query, days) in [("", 30), ("?days=30", 30), ("?days=90", 90)] {
            let path = format!("/api/dashboard/trends/{trend}{query}");
            let data = Server::shared().data(&path, DEFAULT_SHOP);
            assert_eq!(data["range_days"], days, "{path}");
            let rows = data["series"].as_array().map(Vec::len);
            assert_eq!(rows, Some(days * rows_a_day), "{path}");
        }
    }
}
