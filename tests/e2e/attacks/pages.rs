//! Pages of other origins: a browser sends for them what it sends for our own.

use lab::client::Call;
use lab::harness::Options;
use lab::session::{ANNS, Session};
use lab::stored::SALES;

use super::Case;
use super::authorization::by;
use super::stage::{LIVE, Stage, echo, empty, settle};

const CASES: &[Case] = &[("B46", pages_of_other_origins), ("B49", writes_by_pages_of_others)];

#[test]
fn pages() {
    super::run("pages", CASES);
}

fn pages_of_other_origins(_: &Stage) {
    let page = "https://app.example";
    let edge = Options::built().session().var("CORS_ORIGINS", page).start();
    edge.origin.otherwise(|request| echo(request).field("Access-Control-Allow-Origin", "*"));
    let evils = [
        "https://evil.example",
        "null",
        "https://app.example.evil",
        "http://app.example",
        "https://app.example:8443",
        "https://xapp.example",
        "HTTPS://APP.EXAMPLE",
        "https://app.example https://evil.example",
    ];
    for target in [SALES, LIVE] {
        // Whoever fills the store, each page is told what holds for itself.
        for evil in evils {
            empty(&edge);
            for origin in [evil, page, evil, page] {
                let call = by(ANNS, target).field("Origin", origin);
                let answer = call.send(edge.workerd.address()).expect("an answer");
                settle(&edge);
                assert_eq!(answer.status, 200, "{target} {origin}");
                let allowed = answer.fields.all("Access-Control-Allow-Origin");
                assert_eq!(allowed, if origin == page { vec![page] } else { vec![] }, "{target} {origin}");
                assert!(answer.fields.all("Vary").join(", ").contains("Origin"), "{:?}", answer.fields);
            }
        }
    }
    let preflight = |origin: &str| {
        let call = Call::new("OPTIONS", SALES).field("Origin", origin).field("Access-Control-Request-Method", "GET");
        call.field("Access-Control-Request-Headers", "authorization")
    };
    for evil in evils {
        let refused = edge.send(&preflight(evil)).problem(403).no_field("Access-Control-Allow-Origin");
        refused.origin_requests(0);
    }
    edge.send(&preflight(page)).expect(204).field("Access-Control-Allow-Origin", page).origin_requests(0);
    // What a page is told that has no credential, and what the admin plane says, it may not read or is nothing.
    let nobody = Call::get(SALES).field("Origin", "https://evil.example");
    edge.send(&nobody).problem(401).no_field("Access-Control-Allow-Origin").origin_requests(0);
    for origin in [page, "https://evil.example"] {
        let call = Call::get("/cache/receipts/x").field("Origin", origin);
        edge.send(&call).problem(401).no_field("Access-Control-Allow-Origin").origin_requests(0);
    }
}

fn writes_by_pages_of_others(stage: &Stage) {
    let edge = stage.session();
    for (method, target) in [("POST", "/api/orders"), ("DELETE", SALES), ("PATCH", LIVE), ("POST", "/cache/refresh")] {
        for page in ["https://evil.example", "null", "https://localhost.evil.example", "https://localhost@evil.example"]
        {
            let call = Call::new(method, target).field("Authorization", Session::of(ANNS).bearer());
            let call = call.field("Origin", page).field("Content-Type", "text/plain").body("{}");
            edge.send(&call).problem(403).origin_requests(0);
        }
    }
}
