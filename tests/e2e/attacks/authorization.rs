//! Nobody is answered what is another's: who asks is decided before anything is looked up, and by a credential alone.

use std::thread::sleep;
use std::time::Duration;

use lab::client::{Call, Response};
use lab::harness::{CACHE, Edge, OPERATOR_TOKEN, TENANT};
use lab::session::{ANNS, BENS, Session, now};
use lab::stored::{SALES, all_kept};
use serde_json::{Value, json};

use super::Case;
use super::stage::{EVIL, LIVE, Stage, echo, settle};

/// A route that is passed on, whatever the origin says of its answer.
pub const EXPORT: &str = "/api/exports/a.csv";

/// A route that is for owners.
pub const OWNERS: &str = "/api/dashboard/owner/summary";

const CASES: &[Case] = &[
    ("A74", two_shops),
    ("A77", expired_on_a_hit),
    ("B41", forged_tokens),
    ("B42", shops_that_are_not_listed),
    ("B43", expired_after_it_was_good),
    ("B44", readers_and_operators),
    ("B45", another_shop_by_other_fields),
    ("B47", two_readers_of_one_browser),
    ("B48", roles),
    ("B50", positions_of_another_shop),
    ("B66", a_route_that_is_open),
];

#[test]
fn authorization() {
    super::run("authorization", CASES);
}

/// A GET by somebody of this shop.
pub fn by(shop: &str, target: &str) -> Call {
    Call::get(target).field("Authorization", Session::of(shop).bearer())
}

/// An origin that says for whom it answers, and begs every cache to keep it.
pub fn says_for_whom(edge: &Edge) {
    edge.origin.otherwise(|request| {
        let control = "public, max-age=300, s-maxage=300, must-revalidate";
        echo(request).field("Cache-Control", control).field("Expires", "Fri, 01 Jan 2100 00:00:00 GMT")
    });
}

/// The answer is this shop's and no other's.
#[track_caller]
pub fn is_of(shop: &str, answer: &Response) {
    let other = if shop == ANNS { BENS } else { ANNS };
    let text = answer.text();
    assert!(text.contains(shop) && !text.contains(other), "for {shop}: {text}");
}

/// Refused as whoever has no credential: at once, and whatever is wrong in one and the same way.
#[track_caller]
fn is_nobody(edge: &Edge, call: &Call) {
    let told = |answer: Response| {
        let mut fields = answer.fields.0;
        fields.retain(|(name, _)| !name.eq_ignore_ascii_case("x-request-id"));
        (fields, answer.body)
    };
    let nothing = told(edge.get(LIVE).problem(401).origin_requests(0));
    let refused = edge.send(call).problem(401).field("WWW-Authenticate", "Bearer realm=\"hotrod-edge\"");
    assert_eq!(told(refused.origin_requests(0)), nothing, "{call}");
}

fn two_shops(stage: &Stage) {
    let edge = stage.session();
    says_for_whom(edge);
    for target in [SALES, "/api/dashboard/segments", "/api/dashboard/trends/revenue?days=90"] {
        for shop in [ANNS, BENS] {
            let filled = edge.send(&by(shop, target)).expect(200).fwd("uri-miss").stored(true).origin_requests(1);
            is_of(shop, &filled);
            settle(edge);
        }
        for shop in [ANNS, BENS] {
            is_of(shop, &edge.send(&by(shop, target)).expect(200).hit().origin_requests(0));
        }
        edge.cache.clear();
        is_nobody(edge, &Call::get(target));
        is_nobody(edge, &Call::get(target).field("Authorization", EVIL).field("X-Shop-Domain", ANNS));
    }
    for url in edge.cache.urls(CACHE).into_iter().chain(edge.kv.keys()) {
        assert!(url.contains(ANNS) != url.contains(BENS), "{url}");
    }
    for target in [LIVE, EXPORT, "/api/unlisted"] {
        for shop in [ANNS, BENS, ANNS] {
            is_of(shop, &edge.send(&by(shop, target)).expect(200).stored(false).origin_requests(1));
        }
        is_nobody(edge, &Call::get(target));
    }
}

/// Tokens of Ann's shop that do not hold.
fn broken() -> Vec<String> {
    let good = Session::of(ANNS);
    let unsigned = good.clone().header("alg", "none");
    let signed = |session: Session| session.bearer();
    vec![
        // Expired.
        signed(good.clone().expires_in(-11)),
        // Expired long ago.
        signed(good.clone().expires_in(-86_400)),
        // Without an end.
        signed(good.clone().claim("exp", Value::Null)),
        // An end in words.
        signed(good.clone().claim("exp", "never")),
        // Not yet good.
        signed(good.clone().claim("nbf", now() + 60)),
        // Another app's.
        signed(good.clone().claim("aud", "another-app")),
        // Of no app.
        signed(good.clone().claim("aud", Value::Null)),
        // Another secret.
        signed(good.clone().signed_with("another-secret-for-tests")),
        // An empty secret.
        signed(good.clone().signed_with("")),
        // The app as secret.
        signed(good.clone().signed_with("app-key-for-tests")),
        // Unsigned.
        format!("Bearer {}.", unsigned.signing_input()),
        // Said to be unsigned.
        signed(unsigned),
        // NoNe.
        signed(good.clone().header("alg", "NoNe")),
        // Another algorithm.
        signed(good.clone().header("alg", "HS512")),
        // A public key's algorithm.
        signed(good.clone().header("alg", "RS256")),
        // No algorithm.
        signed(good.clone().header("alg", Value::Null)),
        // Without a signature.
        format!("Bearer {}", good.signing_input()),
        // Another issuer.
        signed(good.clone().claim("iss", format!("https://{BENS}/admin"))),
        // No issuer.
        signed(good.clone().claim("iss", Value::Null)),
        // No shop.
        signed(good.clone().claim("dest", Value::Null)),
        // An insecure shop.
        signed(good.clone().claim("dest", format!("http://{ANNS}"))),
        // A shop with a path.
        signed(good.clone().claim("dest", format!("https://{ANNS}/x"))),
    ]
}

fn expired_on_a_hit(stage: &Stage) {
    let edge = stage.session();
    says_for_whom(edge);
    edge.send(&by(ANNS, SALES)).expect(200).stored(true).origin_requests(1);
    settle(edge);
    for bearer in broken() {
        for target in [SALES, LIVE, EXPORT, "/api/unlisted"] {
            is_nobody(edge, &Call::get(target).field("Authorization", &bearer));
            let condition = Call::get(target).field("Authorization", &bearer).field("If-None-Match", "*");
            is_nobody(edge, &condition);
        }
    }
    edge.send(&by(ANNS, SALES)).expect(200).hit().origin_requests(0);
}

fn forged_tokens(stage: &Stage) {
    let edge = stage.session();
    says_for_whom(edge);
    let (good, bens) = (Session::of(ANNS), Session::of(BENS));
    let token = good.token();
    let parts: Vec<_> = token.split('.').collect();
    let bens = bens.token();
    let of_ben: Vec<_> = bens.split('.').collect();
    let mut values = vec![
        format!("Bearer {}.{}.{}", parts[0], of_ben[1], parts[2]),
        format!("Bearer {}.{}.{}", of_ben[0], parts[1], of_ben[2]),
        format!("Bearer {token}.{}", parts[2]),
        format!("Bearer {token}="),
        format!("Bearer {token}A"),
        format!("Bearer {}", &token[..token.len() - 1]),
        format!("Bearer {}", token.to_uppercase()),
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer {token} {token}"),
        format!("Basic {token}"),
        token.clone(),
        "Bearer".to_owned(),
        "Bearer ..".to_owned(),
        "Bearer e30.e30.".to_owned(),
        format!("Bearer {}", "eyJ".repeat(5_000)),
        String::new(),
    ];
    // Whichever bit of it is another: the last character of a signature holds two bits that say nothing.
    for at in (0..token.len() - 1).step_by(7) {
        let other = if &token[at..=at] == "B" { "C" } else { "B" };
        values.push(format!("Bearer {}{other}{}", &token[..at], &token[at + 1..]));
    }
    for value in values {
        is_nobody(edge, &Call::get(SALES).field("Authorization", &value));
    }
    let twice = Call::get(SALES).field("Authorization", format!("Bearer {token}"));
    is_nobody(edge, &twice.field("Authorization", format!("Bearer {bens}")));
    for name in
        ["X-Authorization", "Proxy-Authorization", "Edge-Authorization", "Cf-Access-Jwt-Assertion", "X-Id-Token"]
    {
        is_nobody(edge, &Call::get(SALES).field(name, format!("Bearer {token}")));
        is_nobody(edge, &Call::get(LIVE).field(name, &token));
    }
    for parameter in ["id_token", "access_token", "session", "shop"] {
        is_nobody(edge, &Call::get(format!("{LIVE}?{parameter}={token}")));
    }
    assert_eq!(edge.cache.urls(CACHE).iter().filter(|url| url.contains("/stored/")).count(), 0);
}

fn shops_that_are_not_listed(stage: &Stage) {
    let edge = stage.session();
    says_for_whom(edge);
    for shop in ["evil.myshopify.com", &format!("{ANNS}.evil.example"), "x", TENANT] {
        for target in [SALES, LIVE, EXPORT] {
            edge.send(&by(shop, target)).problem(403).origin_requests(0);
        }
    }
    edge.send(&by(BENS, SALES)).expect(200).stored(true).origin_requests(1);
    settle(edge);
    edge.list(BENS, false);
    edge.wait_until("Ben's shop is not served any more", |edge| {
        Call::get(SALES)
            .field("Authorization", Session::of(BENS).bearer())
            .send(edge.workerd.address())
            .is_ok_and(|answer| answer.status == 403)
    });
    edge.send(&by(BENS, SALES)).problem(403).origin_requests(0);
    edge.send(&by(ANNS, SALES)).expect(200).origin_requests(1);
    edge.list(BENS, true);
}

/// What was verified is remembered for a while, and not for longer than it holds.
fn expired_after_it_was_good(stage: &Stage) {
    let edge = stage.session();
    says_for_whom(edge);
    // The clocks of two machines may be ten seconds apart, so this is good for two more.
    let call = Call::get(SALES).field("Authorization", Session::of(ANNS).expires_in(-8).bearer());
    edge.send(&call).expect(200).stored(true).origin_requests(1);
    settle(edge);
    edge.send(&call).expect(200).hit().origin_requests(0);
    sleep(Duration::from_millis(3_100));
    is_nobody(edge, &call);
    edge.send(&by(ANNS, SALES)).expect(200).hit().origin_requests(0);
}

fn readers_and_operators(stage: &Stage) {
    let edge = stage.session();
    let reader = Session::of(ANNS).bearer();
    for (method, target) in [("POST", "/cache/purge"), ("PUT", "/cache/listing"), ("GET", "/cache/receipts/x")] {
        let call = Call::new(method, target).body(json!({"mode": "hard", "all": true, "tenant": ANNS}).to_string());
        edge.send(&call.field("Authorization", &reader)).problem(401).origin_requests(0);
    }
    let operator = format!("Bearer {OPERATOR_TOKEN}");
    for target in [SALES, LIVE, EXPORT] {
        is_nobody(edge, &Call::get(target).field("Authorization", &operator));
        is_nobody(edge, &Call::get(target).field("Edge-Authorization", &operator));
    }
    is_nobody(edge, &Call::get(format!("{SALES}?nocache=true")).field("Edge-Authorization", &operator));
    // A reader gains nothing by the parameter.
    edge.send(&by(ANNS, SALES)).expect(200).stored(true).origin_requests(1);
    settle(edge);
    let call = by(ANNS, &format!("{SALES}?nocache=true")).field("Edge-Authorization", &reader);
    edge.send(&call).expect(200).hit().origin_requests(0);
}

fn another_shop_by_other_fields(stage: &Stage) {
    let edge = stage.session();
    says_for_whom(edge);
    let names = ["X-Shop-Domain", "X-Shopify-Shop-Domain", "X-Tenant", "X-Edge-Tenant", "X_Shop_Domain", "Shop"];
    for target in [SALES, LIVE, EXPORT] {
        let call = names.iter().fold(by(ANNS, target), |call, name| call.field(name, BENS));
        let before = edge.origin.total();
        edge.send(&call).expect(200).origin_requests(1);
        let request = &edge.origin.all_requests()[before];
        assert_eq!(request.fields.all("X-Shop-Domain"), [ANNS], "{target}");
        assert!(!request.fields.has("X-Edge-Tenant") && !request.fields.has("X_Shop_Domain"), "{target}: {request:?}");
    }
    settle(edge);
    is_of(ANNS, &edge.send(&by(ANNS, SALES)).expect(200).hit().origin_requests(0));
    is_of(BENS, &edge.send(&by(BENS, SALES)).expect(200).fwd("uri-miss").origin_requests(1));
}

fn two_readers_of_one_browser(stage: &Stage) {
    let edge = stage.session();
    says_for_whom(edge);
    let private = |answer: &Response| {
        let control = answer.field("Cache-Control").unwrap_or_default();
        assert!(control.starts_with("private") || control == "no-store", "{control}");
        assert!(answer.fields.all("Vary").join(", ").to_lowercase().contains("authorization"), "{:?}", answer.fields);
    };
    for kept in all_kept() {
        let filled = edge.send(&by(ANNS, &kept.target)).expect(200).origin_requests(1);
        private(&filled);
        settle(edge);
        private(&edge.send(&by(ANNS, &kept.target)).expect(200).hit().origin_requests(0));
        let tag = filled.field("ETag").expect("an ETag");
        private(&edge.send(&by(ANNS, &kept.target).field("If-None-Match", tag)).expect(304).origin_requests(0));
    }
}

fn roles(stage: &Stage) {
    let edge = stage.session();
    says_for_whom(edge);
    let as_role = |role: Value| {
        let session = Session::of(ANNS).claim("custom", json!({ "role": role }));
        Call::get(OWNERS).field("Authorization", session.bearer())
    };
    let owner = || as_role(json!("owner"));
    let filled = edge.send(&owner()).expect(200).stored(true).origin_requests(1);
    settle(edge);
    edge.send(&owner()).expect(200).hit().body(&filled.body).origin_requests(0);
    for role in [
        json!(null),
        json!(""),
        json!("Owner"),
        json!("owner "),
        json!("owner,staff"),
        json!(["staff"]),
        json!({"owner": true}),
        json!(true),
    ] {
        edge.send(&as_role(role)).problem(403).origin_requests(0);
    }
    let claimed = by(ANNS, OWNERS).field("X-Edge-Role", "owner").field("X_Edge_Role", "owner");
    edge.send(&claimed).problem(403).origin_requests(0);
    is_nobody(edge, &Call::get(OWNERS).field("X-Edge-Role", "owner"));
    // An owner of another shop is none here.
    let bens = Session::of(BENS).claim("custom", json!({ "role": "owner" }));
    let answer = edge.send(&Call::get(OWNERS).field("Authorization", bens.bearer())).expect(200);
    is_of(BENS, &answer.fwd("uri-miss").origin_requests(1));
}

fn positions_of_another_shop(stage: &Stage) {
    let edge = stage.session();
    says_for_whom(edge);
    for shop in [ANNS, BENS] {
        edge.send(&by(shop, SALES)).expect(200).stored(true).origin_requests(1);
    }
    settle(edge);
    let receipt = edge.order(OPERATOR_TOKEN, &json!({"mode": "soft", "tenant": ANNS, "routes": ["segments"]}));
    let token = receipt["token"].as_str().expect("a token");
    edge.send(&by(BENS, SALES).field("X-Newer-Than", token)).expect(200).hit().origin_requests(0);
}

/// Where the edge lets everybody through, it vouches for nobody.
fn a_route_that_is_open(stage: &Stage) {
    let edge = stage.session();
    let target = "/api/public/status";
    let claimed =
        |call: Call| call.field("X-Shop-Domain", ANNS).field("Edge-Secret", EVIL).field("X-Edge-Role", "owner");
    for call in [Call::get(target), by(ANNS, target)] {
        let before = edge.origin.total();
        edge.send(&claimed(call)).expect(200).stored(false).origin_requests(1);
        let request = &edge.origin.all_requests()[before];
        for name in ["X-Shop-Domain", "Edge-Secret", "X-Edge-Role"] {
            assert!(!request.fields.has(name), "{name}: {request:?}");
        }
    }
    for near in ["/api/public/status/", "/api/public/status.css", "/api/public/", "/api/public/status;x"] {
        is_nobody(edge, &claimed(Call::get(near)));
    }
}
