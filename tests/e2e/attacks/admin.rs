//! Whoever can end what is stored can take the origin down with it: the admin plane, webhooks, and ways past the store.

use lab::client::Call;
use lab::harness::{Edge, OPERATOR_TOKEN, TENANT};
use lab::origin::Answer;
use lab::purge::purge_call;
use lab::session::{ANNS, Session};
use lab::stored::{OPS, SALES, SALES_KEY};
use lab::stores::Op;
use serde_json::{Value, json};

use super::Case;
use super::stage::{LIVE, NARROW_TOKEN, Stage, clean_fill, is_clean, settle, victim_hits};
use crate::edge_events_refused::{with_another_body, wrongly_signed};
use crate::webhook::{OTHER, SECRETS, Webhook, shopify_body, standard_body, taken, timestamp};

const CASES: &[Case] = &[
    ("A80", signatures_that_do_not_hold),
    ("A81", replays),
    ("A82", beyond_the_scope),
    ("A84", past_the_store),
    ("B51", operators_past_the_store),
    ("B52", forms_of_other_pages),
    ("B53", receipts_of_others),
    ("B54", unsigned_fields),
    ("B55", what_health_tells),
    ("B56", members_twice),
    ("B57", refreshes),
    ("B58", nobodys_tokens),
];

#[test]
fn admin() {
    super::run("admin", CASES);
}

/// Refused with this status, and the tile is a hit that nothing has made out of date.
#[track_caller]
fn purges_nothing(edge: &Edge, call: &Call, status: u16) -> String {
    let answer = edge.send(call).problem(status).no_field("Access-Control-Allow-Origin").origin_requests(0);
    edge.get(SALES).expect(200).hit().detail("edge").origin_requests(0);
    answer.text()
}

fn signatures_that_do_not_hold(stage: &Stage) {
    let edge = stage.open();
    let clean = clean_fill(edge);
    let mut told = None;
    for sent in Webhook::of_each_source("an-attack") {
        for wrong in wrongly_signed(&sent).into_iter().chain(with_another_body(&sent)) {
            let text = purges_nothing(edge, &wrong.call(), 401);
            assert_eq!(told.get_or_insert_with(|| text.clone()), &text, "an oracle: {wrong:?}");
        }
    }
    victim_hits(edge, &clean);
}

fn replays(stage: &Stage) {
    let edge = stage.open();
    for sent in Webhook::of_each_source("replayed") {
        let first = taken(edge, &sent);
        for _ in 0..3 {
            let again = taken(edge, &sent);
            assert_eq!((&again["id"], &again["epoch"]), (&first["id"], &first["epoch"]), "{}", sent.source);
        }
    }
    clean_fill(edge);
    let body = standard_body("order.created", TENANT).to_string();
    for seconds in [-86_400, -301, 305, 86_400] {
        let late = Webhook::standard(SECRETS[0][0], &format!("late-{seconds}"), &timestamp(seconds), &body);
        purges_nothing(edge, &late.call(), 400);
    }
    let another = standard_body("order.updated", TENANT).to_string();
    purges_nothing(edge, &Webhook::standard(SECRETS[0][0], "replayed", &timestamp(0), another).call(), 409);
}

fn beyond_the_scope(stage: &Stage) {
    let edge = stage.open();
    clean_fill(edge);
    let hard = |members: Value| {
        let mut body = json!({"mode": "hard"});
        let members = members.as_object().expect("an object").clone();
        body.as_object_mut().expect("an object").extend(members);
        body
    };
    for body in [
        hard(json!({"all": true})),
        hard(json!({"tags": ["orders"]})),
        hard(json!({"classes": ["near_real_time", "historical"]})),
        hard(json!({"routes": ["sales_pulse", "trends_revenue"]})),
        json!({"mode": "erase", "routes": ["sales_pulse"]}),
        json!({"mode": "soft", "routes": ["sales_pulse"]}),
        hard(json!({"all": true, "tenant": "*", "confirm": "all tenants"})),
    ] {
        purges_nothing(edge, &purge_call(NARROW_TOKEN, body.to_string()), 403);
    }
    let many: Vec<_> = (0..10_000).map(|number| format!("t{number}")).collect();
    for (body, status) in [
        (hard(json!({"tenant": OTHER, "all": true})), 422),
        (hard(json!({"tenant": "*"})), 422),
        (hard(json!({"tenant": "*", "all": true})), 422),
        (hard(json!({"tenant": "*", "all": true, "confirm": "ALL TENANTS"})), 422),
        (hard(json!({"tenant": "../x", "all": true})), 422),
        (hard(json!({"tags": ["*"]})), 422),
        (hard(json!({"tags": ["../orders"]})), 422),
        (hard(json!({"tags": ["ord.*s"]})), 422),
        (hard(json!({"tags": [""]})), 422),
        (hard(json!({"tags": []})), 422),
        (hard(json!({"keys": ["*"]})), 422),
        (hard(json!({"keys": ["../../dashboard:tile:sales_pulse:v1"]})), 422),
        (hard(json!({"keys": [format!("{TENANT}/{SALES_KEY}")]})), 422),
        (hard(json!({"routes": ["sales_*"]})), 422),
        (hard(json!({"classes": ["*"]})), 422),
        (hard(json!({"urls": ["/api/dashboard/tiles/../tiles/sales-pulse"]})), 422),
        (hard(json!({"urls": ["https://evil.example/api/dashboard/tiles/sales-pulse"]})), 422),
        (json!({"mode": "everything", "all": true}), 422),
        (json!({}), 422),
    ] {
        purges_nothing(edge, &purge_call(OPERATOR_TOKEN, body.to_string()), status);
    }
    let too_many = edge.send(&purge_call(OPERATOR_TOKEN, hard(json!({"tags": many})).to_string())).origin_requests(0);
    assert!(matches!(too_many.status, 413 | 422), "{}", too_many.status);
    edge.get(SALES).expect(200).hit().detail("edge").origin_requests(0);
}

/// What only operators may see is hidden from everybody else, and what a stranger asks for is what all are served.
fn past_the_store(stage: &Stage) {
    let edge = stage.open();
    let clean = clean_fill(edge);
    let target = format!("{SALES}?nocache=true");
    for token in ["", "Bearer", "Bearer wrong", &format!("Bearer {NARROW_TOKEN}"), &format!("Basic {OPERATOR_TOKEN}")] {
        let call = Call::get(&target).field("Edge-Authorization", token).field("Cache-Control", "no-cache");
        let answer = edge.send(&call).expect(200).hit().body(&clean.body).origin_requests(0);
        let status = answer.field("Cache-Status").unwrap_or_default();
        assert!(!status.contains("key=") && !status.contains(TENANT), "{status}");
        is_clean("past the store", &answer);
    }
    let before = edge.origin.total();
    edge.get("/api/exports/a.csv?nocache=true").expect(200).fwd("bypass").stored(false).origin_requests(1);
    assert_eq!(edge.origin.all_requests()[before].target, "/api/exports/a.csv");
    for target in
        ["/cache", "/cache/", "/cache/purge", "/cache/listing", "/cache/receipts/x", "/cache/stats", "/cache/explain"]
    {
        for method in ["GET", "POST", "PUT", "OPTIONS", "DELETE"] {
            let call = Call::new(method, target).field("Origin", "https://evil.example");
            let call = call.field("Access-Control-Request-Method", "POST");
            let answer = edge.send(&call).problem(401).no_field("Access-Control-Allow-Origin").origin_requests(0);
            is_clean(target, &answer);
        }
    }
    victim_hits(edge, &clean);
}

fn operators_past_the_store(_: &Stage) {
    let edge = Edge::start();
    edge.fill(SALES, SALES_KEY, "stored");
    edge.origin.answer(SALES, Answer::tile("what only an operator sees"));
    let puts = edge.answer_count(Op::Put);
    let call =
        Call::get(format!("{SALES}?nocache=true")).field("Edge-Authorization", format!("Bearer {OPERATOR_TOKEN}"));
    let mut refused = None;
    for count in 0..80 {
        let answer = call.send(edge.workerd.address()).expect("an answer");
        if answer.status == 429 {
            refused.get_or_insert((count, answer));
        } else {
            assert_eq!((answer.status, answer.field("Cache-Control")), (200, Some("no-store")));
        }
    }
    let (count, answer) = refused.expect("it is metered");
    assert!((60..=62).contains(&count) && answer.fields.has("Retry-After"), "after {count}: {:?}", answer.fields);
    settle(&edge);
    assert_eq!(edge.answer_count(Op::Put), puts);
    edge.is_hit(SALES, "stored");
}

/// What a page elsewhere can make a browser send without asking first.
fn forms_of_other_pages(stage: &Stage) {
    let edge = stage.open();
    clean_fill(edge);
    let body = json!({"mode": "hard", "all": true}).to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let call = Call::new("POST", "/cache/purge").field("Content-Type", kind).body(&body);
        let call = call.field("Origin", "https://evil.example").field("Cookie", format!("token={OPERATOR_TOKEN}"));
        purges_nothing(edge, &call, 401);
    }
    for query in ["mode=hard&all=true", &format!("token={OPERATOR_TOKEN}"), &format!("access_token={OPERATOR_TOKEN}")] {
        purges_nothing(edge, &Call::get(format!("/cache/purge?{query}")), 401);
        purges_nothing(edge, &Call::new("POST", format!("/cache/purge?{query}")).body(&body), 401);
    }
    let by_operator = |method: &str| {
        Call::new(method, "/cache/purge?mode=hard&all=true").field("Authorization", format!("Bearer {OPERATOR_TOKEN}"))
    };
    purges_nothing(edge, &by_operator("GET").field("X-HTTP-Method-Override", "POST"), 405);
    purges_nothing(edge, &by_operator("OPTIONS").body(&body), 405);
}

fn receipts_of_others(stage: &Stage) {
    let edge = stage.open();
    let receipt = edge.order(OPERATOR_TOKEN, &json!({"mode": "soft", "routes": ["segments"]}));
    let id = receipt["id"].as_str().expect("an id");
    let path = format!("/cache/receipts/{id}");
    edge.send(&Call::get(&path)).problem(401).origin_requests(0);
    let read = |path: &str| Call::get(path).field("Authorization", format!("Bearer {OPERATOR_TOKEN}"));
    edge.send(&read(&path)).expect(200).field("Cache-Control", "no-store").origin_requests(0);
    let (_, number) = id.split_once('~').expect("a ledger and a number");
    for guess in [
        "*",
        "",
        "~",
        "x",
        "..",
        "1",
        &format!("{OTHER}~{number}"),
        &format!("{TENANT}~"),
        &format!("{TENANT}~{number}0"),
        &format!("{TENANT}~*"),
        &format!("{TENANT}~' OR 1=1--"),
        &format!("{TENANT}~.."),
    ] {
        let answer = edge.send(&read(&format!("/cache/receipts/{}", guess.replace(' ', "%20")))).origin_requests(0);
        assert!(matches!(answer.status, 400 | 404), "{guess}: {} {}", answer.status, answer.text());
    }
}

fn unsigned_fields(stage: &Stage) {
    let edge = stage.open();
    clean_fill(edge);
    // The shop stands in a field that Shopify does not sign; the secret is of one shop's app.
    let sent = Webhook::shopify(SECRETS[1][0], "1", "orders/create", shopify_body("orders/create").to_string());
    purges_nothing(edge, &sent.clone().with("X-Shopify-Shop-Domain", Some(OTHER)).call(), 422);
    // The topic does not either: a body of another topic than it says is refused, and nothing is uninstalled by it.
    purges_nothing(edge, &sent.clone().with("X-Shopify-Topic", Some("app/uninstalled")).call(), 400);
    let products = sent.with("X-Shopify-Topic", Some("products/update"));
    purges_nothing(edge, &products.call(), 400);
    for source in ["Shopify", "stripe", "", "standard/x", "../purge"] {
        let answer = edge.send(&Call::new("POST", format!("/cache/events/{source}")).body("{}")).origin_requests(0);
        assert!(matches!(answer.status, 400 | 401 | 404), "{source}: {}", answer.status);
    }
    edge.get(SALES).expect(200).hit().detail("edge").origin_requests(0);
}

fn what_health_tells(stage: &Stage) {
    let edge = stage.open();
    edge.get("/healthz").expect(200).origin_requests(0);
    for call in
        [Call::get("/healthz"), Call::get("/healthz?verbose=1").field("X-Debug", "1"), Call::new("HEAD", "/healthz")]
    {
        let answer = edge.send(&call).expect(200).field("Cache-Control", "no-store").origin_requests(0);
        let text = answer.text();
        for secret in [TENANT, &edge.origin.address().to_string(), OPERATOR_TOKEN, "sha256"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

/// Two readers of one body could each see another of two members.
fn members_twice(stage: &Stage) {
    let edge = stage.open();
    clean_fill(edge);
    for body in [
        r#"{"mode":"hard","classes":["near_real_time"],"classes":["historical"]}"#,
        r#"{"mode":"hard","mode":"erase","routes":["sales_pulse"]}"#,
        r#"{"mode":"hard","routes":["sales_pulse"],"all":false,"all":true}"#,
    ] {
        // The last one counts, for the judgement as for what is done.
        purges_nothing(edge, &purge_call(NARROW_TOKEN, body), 403);
    }
}

fn refreshes(stage: &Stage) {
    let edge = stage.session();
    let refresh = |body: &Value| Call::new("POST", "/cache/refresh").body(body.to_string());
    let anns = |body: &Value| refresh(body).field("Authorization", Session::of(ANNS).bearer());
    let tile = json!({"url": OPS});
    edge.send(&refresh(&tile)).problem(401).origin_requests(0);
    edge.send(&refresh(&tile).field("Authorization", format!("Bearer {OPERATOR_TOKEN}")))
        .problem(401)
        .origin_requests(0);
    for body in [
        json!({"url": "https://evil.example/"}),
        json!({"url": "//evil.example/x"}),
        json!({"url": LIVE}),
        json!({"url": "/api/../x"}),
        json!({"url": "/cache/purge"}),
        json!({"url": format!("{OPS}?evil=1")}),
        json!({"url": "@evil.example/x"}),
        json!({"urls": [OPS]}),
        json!([]),
    ] {
        edge.send(&anns(&body)).problem(422).origin_requests(0);
    }
    let first = edge.send(&anns(&tile)).expect(200).field("Cache-Control", "no-store").origin_requests(1);
    assert_eq!(first.json()["refreshed"], true, "{}", first.text());
    for _ in 0..5 {
        let again = edge.send(&anns(&tile)).expect(200).origin_requests(0);
        assert_eq!(again.json()["refreshed"], false, "{}", again.text());
    }
}

fn nobodys_tokens(stage: &Stage) {
    let edge = stage.open();
    clean_fill(edge);
    let body = json!({"mode": "hard", "all": true}).to_string();
    let digest = hotrod_edge::validation::digest(OPERATOR_TOKEN.as_bytes());
    let mut told = None;
    for value in [
        format!("Bearer {digest}"),
        format!("Bearer {}", OPERATOR_TOKEN.to_uppercase()),
        format!("Bearer {}", &OPERATOR_TOKEN[1..]),
        format!("Bearer {OPERATOR_TOKEN}\u{a0}"),
        format!("Bearer {OPERATOR_TOKEN}, Bearer {OPERATOR_TOKEN}"),
        format!("Digest {OPERATOR_TOKEN}"),
        OPERATOR_TOKEN.to_owned(),
        format!("Bearer {}", Session::of(ANNS).token()),
        String::new(),
    ] {
        let call = Call::new("POST", "/cache/purge").field("Authorization", &value).body(&body);
        let text = purges_nothing(edge, &call, 401);
        assert_eq!(told.get_or_insert_with(|| text.clone()), &text, "an oracle: {value}");
    }
    for name in ["Edge-Authorization", "X-Authorization", "Proxy-Authorization", "X-Api-Key", "Cookie"] {
        let call = Call::new("POST", "/cache/purge").field(name, format!("Bearer {OPERATOR_TOKEN}")).body(&body);
        purges_nothing(edge, &call, 401);
    }
}
