//! Tokens that an edge in development takes for those of Shopify.

use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::DateTime;
use reference_origin::{DEFAULT_APP_KEY, DEFAULT_APP_SECRET};
use serde_json::{Value, json};

use crate::{
    client,
    receiver::hmac,
    server::{DEFAULT_SHOP, SHOPS, Server},
};

/// What a token says, whose signature must hold.
#[track_caller]
fn claims(server: &Server, secret: &str, query: &str) -> Value {
    let answer = client::ask(server.port, "GET", &format!("/dev/session-token?{query}"), &[], "");
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{query}: {}", answer.text());
    let json = answer.json();
    let token = json["token"].as_str().expect("a token");
    let (signed, signature) = token.rsplit_once('.').expect("a signature");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    assert_eq!(signature, hmac(secret.as_bytes(), signed.as_bytes()));
    let [header, claims] = signed.split_once('.').map(<[&str; 2]>::from).expect("two parts").map(|part| {
        let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
        serde_json::from_slice::<Value>(&bytes).expect("JSON")
    });
    assert_eq!(header, json!({ "alg": "HS256", "typ": "JWT" }));
    let expires_at = json["expires_at"].as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    assert_eq!(claims["exp"], expires_at.expect("a moment").timestamp());
    claims
}

#[test]
fn a_token_is_of_a_user_of_a_shop_for_a_minute_of_real_time() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    for shop in SHOPS {
        let before = now();
        // Its own clock was started at another moment.
        let claims = claims(Server::shared(), DEFAULT_APP_SECRET, &format!("shop={shop}"));
        let issued = claims["iat"].as_u64().expect("seconds");
        assert!((before..=now()).contains(&issued), "{before} {issued}");
        assert_eq!((&claims["nbf"], &claims["exp"]), (&json!(issued), &json!(issued + 60)));
        assert_eq!(claims["iss"], format!("https://{shop}/admin"));
        assert_eq!(claims["dest"], format!("https://{shop}"));
        assert_eq!(claims["aud"], DEFAULT_APP_KEY);
        let named: BTreeSet<_> = claims.as_object().expect("claims").keys().map(String::as_str).collect();
        assert_eq!(named, BTreeSet::from(["aud", "dest", "exp", "iat", "iss", "jti", "nbf", "sid", "sub"]));
    }
}

#[test]
fn app_user_and_lifetime_are_as_asked_for() {
    let server = Server::of_app("another-key", "another-secret");
    let of = |query: &str| claims(&server, "another-secret", &format!("shop={DEFAULT_SHOP}&{query}"));
    for lifetime in [1, 3600] {
        let claims = of(&format!("user=77&lifetime={lifetime}"));
        assert_eq!((&claims["aud"], &claims["sub"]), (&json!("another-key"), &json!("77")));
        assert_eq!(claims["exp"].as_u64().zip(claims["iat"].as_u64()).map(|(exp, iat)| exp - iat), Some(lifetime));
    }
}

#[test]
fn no_two_tokens_are_alike_and_a_session_is_of_one_user_in_one_shop() {
    let of = |shop: &str, user: &str| {
        let claims = claims(Server::shared(), DEFAULT_APP_SECRET, &format!("shop={shop}&user={user}"));
        [&claims["jti"], &claims["sid"]].map(|claim| claim.as_str().expect("text").to_owned())
    };
    let all = [of(SHOPS[0], "1"), of(SHOPS[0], "1"), of(SHOPS[0], "2"), of(SHOPS[1], "1")];
    assert_eq!(all.iter().map(|[jti, _]| jti).collect::<BTreeSet<_>>().len(), 4);
    assert_eq!(all[0][1], all[1][1]);
    assert_eq!(all.iter().map(|[_, sid]| sid).collect::<BTreeSet<_>>().len(), 3);
}

#[test]
fn what_no_token_can_be_of_is_said() {
    for (query, status, word) in [
        ("", 400, "?shop="),
        ("shop=", 404, "no shop"),
        ("shop=nobody.myshopify.com", 404, "nobody"),
        ("shop=a&shop=b", 400, "?shop="),
        ("shop=hotroddash.myshopify.com&user=", 400, "user"),
        ("shop=hotroddash.myshopify.com&lifetime=0", 400, "3600"),
        ("shop=hotroddash.myshopify.com&lifetime=3601", 400, "3600"),
        ("shop=hotroddash.myshopify.com&lifetime=-1", 400, "3600"),
        ("shop=hotroddash.myshopify.com&ttl=1", 400, "lifetime"),
    ] {
        let answer = client::ask(Server::shared().port, "GET", &format!("/dev/session-token?{query}"), &[], "");
        let json = answer.json();
        let sentence = json["error"].as_str().expect("a sentence");
        assert_eq!(answer.status, status, "{query}: {sentence}");
        assert!(sentence.contains(word), "{query}: {sentence}");
        assert_eq!(json.get("token"), None);
    }
}
