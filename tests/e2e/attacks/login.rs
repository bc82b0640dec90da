//! Behind a login: the platform makes an assertion from a cookie, and the assertion alone says who asks.

use std::time::Duration;

use lab::client::Call;
use lab::harness::{CACHE, Edge, Options};
use lab::issuer::{ACCESS_AUDIENCE, Team, assertion, signed, test_key};
use lab::origin::Answer;
use lab::secrets::COOKIE;
use lab::session::{ANNS, BENS, SESSION_SECRET, Session, now};
use lab::stored::SALES;
use serde_json::{Value, json};

use super::Case;
use super::authorization::{EXPORT, is_of, says_for_whom};
use super::stage::{EVIL, LIVE, Stage, clean_fill, is_clean, settle, victim_hits};

/// In which the platform puts its assertion.
const ASSERTION: &str = "Cf-Access-Jwt-Assertion";
/// A `WebSocket` that is passed on.
const SOCKET: &str = "/api/realtime/echo";

const CASES: &[Case] = &[
    ("A75", one_cookie_and_another),
    ("B59", confused_algorithms),
    ("B60", keys_that_nobody_knows),
    ("B61", rotated_keys),
    ("B62", claims_of_others),
    ("B63", writes_and_sockets_by_pages_of_others),
    ("B64", assertions_in_other_places),
    ("B65", without_keys),
];

#[test]
fn login() {
    super::run("login", CASES);
}

/// An edge behind a login, and the team that says who has logged in.
fn start() -> (Edge, Team) {
    let team = Team::start();
    let edge = Options::built().access(&team).start();
    says_for_whom(&edge);
    (edge, team)
}

/// A GET by somebody of this shop, with the cookie that the browser has and the assertion that the platform adds.
fn by(team: &Team, shop: &str, target: &str) -> Call {
    let assertion = assertion("one", &team.claims(shop));
    Call::get(target).field("Cookie", format!("CF_Authorization={assertion}")).field(ASSERTION, assertion)
}

/// Refused, on a hit and on a miss and where requests are passed on, as whoever shows nothing.
#[track_caller]
fn is_nobody(edge: &Edge, what: &str, assertion: &str) {
    for target in [SALES, LIVE, EXPORT] {
        let nothing = edge.get(target).problem(401).origin_requests(0);
        let refused = edge.send(&Call::get(target).field(ASSERTION, assertion));
        let told = refused.problem(401).body(&nothing.body).origin_requests(0);
        assert_eq!(told.fields.names(), nothing.fields.names(), "{what}");
    }
}

fn one_cookie_and_another(stage: &Stage) {
    let edge = stage.open();
    says_for_whom(edge);
    let cookie = |target: &str, who: &str| Call::get(target).field("Cookie", format!("session={who}"));
    for target in [LIVE, EXPORT, "/api/me", "/api/me.css"] {
        for who in ["ann", "ben", "ann"] {
            let answer = edge.send(&cookie(target, who)).expect(200).stored(false).origin_requests(1);
            assert!(answer.text().contains(&format!("session={who}")), "{}", answer.text());
        }
        is_clean(target, &edge.get(target).expect(200).origin_requests(1));
    }
    // On a stored route no cookie says who asks, so no answer can be somebody's own.
    let clean = clean_fill(edge);
    for who in ["ann", "ben"] {
        edge.send(&cookie(SALES, who)).expect(200).hit().body(&clean.body).origin_requests(0);
    }
    victim_hits(edge, &clean);

    let edge = stage.session();
    let token = Session::of(ANNS).token();
    for value in [COOKIE.to_owned(), format!("session={token}"), format!("id_token={token}; Authorization={token}")] {
        edge.send(&Call::get(SALES).field("Cookie", value)).problem(401).origin_requests(0);
    }

    let (edge, team) = start();
    for target in [SALES, "/api/dashboard/segments", "/api/dashboard/trends/revenue?days=90"] {
        for shop in [ANNS, BENS] {
            let filled = edge.send(&by(&team, shop, target)).expect(200).stored(true).origin_requests(1);
            is_of(shop, &filled);
            settle(&edge);
        }
        for shop in [ANNS, BENS] {
            let hit = edge.send(&by(&team, shop, target)).expect(200).hit().origin_requests(0);
            is_of(shop, &hit);
            let control = hit.field("Cache-Control").unwrap_or_default();
            assert!(control.starts_with("private, "), "{control}");
            assert!(hit.field("Vary").is_some_and(|vary| vary.eq_ignore_ascii_case("cookie")), "{:?}", hit.fields);
        }
    }
    for url in edge.cache.urls(CACHE).into_iter().chain(edge.kv.keys()) {
        assert!(url.contains(ANNS) != url.contains(BENS), "{url}");
    }
    for target in [LIVE, EXPORT, "/api/unlisted"] {
        for shop in [ANNS, BENS, ANNS] {
            is_of(shop, &edge.send(&by(&team, shop, target)).expect(200).stored(false).origin_requests(1));
        }
    }
    is_nobody(&edge, "nothing", "");
}

/// Who takes the public key for the secret of an HMAC, or a key for good because the token names it, believes anybody.
fn confused_algorithms(_: &Stage) {
    let (edge, team) = start();
    edge.send(&by(&team, ANNS, SALES)).expect(200).stored(true).origin_requests(1);
    settle(&edge);
    let public = test_key("one").public();
    let claims = team.claims(ANNS);
    let symmetric = |secret: &str, algorithm: &str| {
        let members = claims.as_object().expect("an object");
        let session = Session::of(ANNS).header("alg", algorithm).header("kid", "one").signed_with(secret);
        members.iter().fold(session, |session, (name, value)| session.claim(name, value.clone())).token()
    };
    let modulus = public["n"].as_str().expect("a modulus");
    for secret in ["", modulus, &public.to_string(), SESSION_SECRET, ACCESS_AUDIENCE] {
        for algorithm in ["HS256", "RS256", "none", "HS512"] {
            is_nobody(&edge, &format!("{algorithm} {secret}"), &symmetric(secret, algorithm));
        }
    }
    let evil = test_key("two").public();
    for (what, header) in [
        ("another key under the name of one", json!({ "alg": "RS256", "kid": "one" })),
        ("a key that it brings", json!({ "alg": "RS256", "kid": "one", "jwk": evil })),
        ("a key that it points to", json!({ "alg": "RS256", "kid": "one", "jku": format!("{}/evil", team.url()) })),
        ("a certificate", json!({ "alg": "RS256", "kid": "one", "x5u": format!("{}/evil", team.url()) })),
        ("no name", json!({ "alg": "RS256" })),
        ("a name that is a path", json!({ "alg": "RS256", "kid": "../../dev/null" })),
        ("a name that is a list", json!({ "alg": "RS256", "kid": ["one"] })),
    ] {
        is_nobody(&edge, what, &signed("two", &header, &claims));
    }
    for (what, header) in [
        ("another padding", json!({ "alg": "PS256", "kid": "one" })),
        ("another digest", json!({ "alg": "RS512", "kid": "one" })),
        ("unsigned", json!({ "alg": "none", "kid": "one" })),
        ("another kind", json!({ "alg": "RS256", "kid": "one", "typ": "at+jwt" })),
        ("an extension", json!({ "alg": "RS256", "kid": "one", "crit": ["exp"] })),
    ] {
        is_nobody(&edge, what, &signed("one", &header, &claims));
    }
    let good = assertion("one", &claims);
    let (input, _) = good.rsplit_once('.').expect("a signature");
    let of_ben = assertion("one", &team.claims(BENS));
    let (_, bens) = of_ben.rsplit_once('.').expect("a signature");
    is_nobody(&edge, "no signature", &format!("{input}."));
    is_nobody(&edge, "a signature of nothing", &format!("{input}.AAAA"));
    is_nobody(&edge, "another's signature", &format!("{input}.{bens}"));
    is_nobody(&edge, "two", &format!("{good}, {good}"));
    assert_eq!(team.asked(), 1, "no token made it ask for keys again, or elsewhere");
    edge.send(&by(&team, ANNS, SALES)).expect(200).hit().origin_requests(0);
}

/// Whoever makes names up could have the team asked as often as they like.
fn keys_that_nobody_knows(_: &Stage) {
    let (edge, team) = start();
    let unknown = |number: u32, claims: &Value| {
        signed("two", &json!({ "alg": "RS256", "kid": format!("unknown-{number}") }), claims)
    };
    let not_ours = json!({ "iss": team.url(), "aud": "another", "exp": now() + 60, "custom": { "shop": ANNS } });
    for number in 0..5 {
        is_nobody(&edge, "not for us", &unknown(number, &not_ours));
    }
    assert_eq!(team.asked(), 0, "what is not for us is not looked at further");
    for number in 0..10 {
        is_nobody(&edge, "unknown", &unknown(number, &team.claims(ANNS)));
    }
    assert_eq!(team.asked(), 1, "once a minute");
    edge.send(&by(&team, ANNS, SALES)).expect(200).origin_requests(1);
    assert_eq!(team.asked(), 1, "the answer to the first is good for all");
}

fn rotated_keys(_: &Stage) {
    let (edge, team) = start();
    team.publish(&["two"]);
    let by_key = |key: &str| Call::get(SALES).field(ASSERTION, assertion(key, &team.claims(ANNS)));
    edge.send(&by_key("two")).expect(200).stored(true).origin_requests(1);
    settle(&edge);
    // The old one is published no more, so it signs for nobody, even if the new one has another name for it.
    is_nobody(&edge, "the old key", &assertion("one", &team.claims(ANNS)));
    let renamed = signed("one", &json!({ "alg": "RS256", "kid": "two" }), &team.claims(ANNS));
    is_nobody(&edge, "the old key under the new name", &renamed);
    edge.send(&by_key("two")).expect(200).hit().origin_requests(0);
    assert_eq!(team.asked(), 1);

    let (edge, team) = start();
    team.publish(&["two", "one"]);
    for key in ["one", "two"] {
        let call = Call::get(LIVE).field(ASSERTION, assertion(key, &team.claims(BENS)));
        is_of(BENS, &edge.send(&call).expect(200).origin_requests(1));
    }
    assert_eq!(team.asked(), 1);
}

fn claims_of_others(_: &Stage) {
    let (edge, team) = start();
    edge.send(&by(&team, ANNS, SALES)).expect(200).stored(true).origin_requests(1);
    settle(&edge);
    for (what, claim, value) in [
        ("another application", "aud", json!(["another"])),
        ("part of an application", "aud", json!(&ACCESS_AUDIENCE[..10])),
        ("no application", "aud", json!([])),
        ("another team", "iss", json!("https://evil.cloudflareaccess.com")),
        ("a team that begins alike", "iss", json!(format!("{}.evil.example", team.url()))),
        ("a team with a slash", "iss", json!(format!("{}/", team.url()))),
        ("expired", "exp", json!(now() - 11)),
        ("without an end", "exp", json!(null)),
        ("an end in words", "exp", json!("9999999999")),
        ("not yet good", "nbf", json!(now() + 60)),
        ("no shop", "custom", json!({})),
        ("a shop that is a list", "custom", json!({ "shop": [ANNS] })),
        ("a shop that is a path", "custom", json!({ "shop": format!("{ANNS}/../{BENS}") })),
        ("a shop with a separator", "custom", json!({ "shop": format!("{ANNS}/dashboard:tile:sales_pulse:v1") })),
        ("a shop at the top", "custom.shop", json!(ANNS)),
    ] {
        let mut claims = team.claims(ANNS);
        claims[claim] = value;
        if claim == "custom.shop" {
            claims["custom"] = json!({});
        }
        is_nobody(&edge, what, &assertion("one", &claims));
    }
    for shop in ["evil.myshopify.com", &format!("{ANNS}.evil.example")] {
        edge.send(&by(&team, shop, SALES)).problem(403).origin_requests(0);
    }
    is_of(ANNS, &edge.send(&by(&team, ANNS, SALES)).expect(200).hit().origin_requests(0));
}

/// The browser sends the login's cookie for whichever page asks.
fn writes_and_sockets_by_pages_of_others(_: &Stage) {
    let (edge, team) = start();
    edge.origin.answer(SOCKET, Answer::websocket_echo());
    edge.send(&by(&team, ANNS, SALES)).expect(200).stored(true).origin_requests(1);
    settle(&edge);
    let with_login = |method: &str, target: &str, page: &str| {
        let call = Call::new(method, target).field(ASSERTION, assertion("one", &team.claims(ANNS)));
        call.field("Cookie", COOKIE).field("Origin", page)
    };
    let socket = |page: &str| {
        let call = with_login("GET", SOCKET, page).field("Connection", "Upgrade").field("Upgrade", "websocket");
        call.field("Sec-WebSocket-Version", "13").field("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    };
    let own = format!("http://localhost:{}", edge.workerd.address().port());
    let evils = [
        "https://evil.example",
        "null",
        "https://localhost.evil.example",
        "https://evil.example/localhost",
        "https://localhost@evil.example",
        "localhost",
        EVIL,
        // Another port and another scheme are another origin.
        "http://localhost",
        "http://localhost:1",
        &own.replace("http:", "https:"),
    ];
    for page in evils {
        for (method, target) in
            [("POST", "/api/orders"), ("PUT", SALES), ("DELETE", LIVE), ("PATCH", EXPORT), ("POST", "/cache/refresh")]
        {
            let call = with_login(method, target, page).field("Content-Type", "text/plain");
            edge.send(&call.body(json!({"url": SALES}).to_string())).problem(403).origin_requests(0);
        }
        edge.send(&socket(page)).problem(403).origin_requests(0);
        // Such a page may cause a GET, and cannot read what is answered.
        let read = edge.send(&with_login("GET", SALES, page)).expect(200).hit();
        read.no_field("Access-Control-Allow-Origin").no_field("Access-Control-Allow-Credentials").origin_requests(0);
    }
    edge.send(&with_login("POST", "/api/orders", &own).body("{}")).expect(200).origin_requests(1);
    let opened = socket(&own).open(edge.workerd.address()).expect("an answer");
    assert_eq!(opened.status, 101);
    opened.abort();
}

/// Only the platform can set its field, and only a page of ours can set others.
fn assertions_in_other_places(_: &Stage) {
    let (edge, team) = start();
    let good = assertion("one", &team.claims(ANNS));
    for (name, value) in [
        ("Cookie", format!("CF_Authorization={good}")),
        ("Authorization", format!("Bearer {good}")),
        ("Authorization", Session::of(ANNS).bearer()),
        ("Cf_Access_Jwt_Assertion", good.clone()),
        ("Cf-Access-Token", good.clone()),
        ("Cf-Access-Authenticated-User-Email", "reader@shop.example".to_owned()),
        ("X-Shop-Domain", ANNS.to_owned()),
        (ASSERTION, format!("Bearer {good}")),
        (ASSERTION, Session::of(ANNS).token()),
    ] {
        for target in [SALES, LIVE, EXPORT] {
            edge.send(&Call::get(target).field(name, &value)).problem(401).origin_requests(0);
        }
    }
    edge.get(&format!("{LIVE}?{ASSERTION}={good}")).problem(401).origin_requests(0);
    // The origin is told for whom by the edge, and gets no assertion that it could be asked to believe.
    let before = edge.origin.total();
    edge.send(&by(&team, ANNS, LIVE).field("X-Shop-Domain", BENS)).expect(200).origin_requests(1);
    let request = &edge.origin.all_requests()[before];
    assert_eq!(request.fields.all("X-Shop-Domain"), [ANNS]);
    assert!(!request.fields.has(ASSERTION), "{request:?}");
}

/// While the team does not answer, nobody is let in, and nobody is told to log in again.
fn without_keys(_: &Stage) {
    let (edge, team) = start();
    team.publish(&[]);
    let good = by(&team, ANNS, SALES);
    edge.send(&good).problem(503).field("Retry-After", "5").origin_requests(0);
    is_nobody(&edge, "not for us", EVIL);
    for _ in 0..5 {
        let refused = good.send(edge.workerd.address()).expect("an answer");
        assert!(matches!(refused.status, 401 | 503), "{}", refused.text());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!((team.asked(), edge.origin.total()), (1, 0));
}
