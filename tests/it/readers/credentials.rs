//! Credentials of any kind: what a listed key or secret signed says who is asking, and nothing else does.

use super::{Mode, deployment};
use crate::client::{Seen, ask};
use crate::fakes::{Asking, Location, World};
use crate::random::{Count, cases, hold};
use crate::signing::{AUDIENCE, SHOP, TEAM, Token, assertion, by_hmac, by_rsa, session};
use lab::issuer::test_key;
use proptest::prelude::{Just, Strategy, TestCaseError, any, prop_assert_eq, prop_oneof};
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use std::rc::Rc;

const TILE: &str = "/api/dashboard/tiles/ops";
const OTHER: &str = "other.test";
/// Holds a credential, as any other does, but is not listed.
const STRANGER: &str = "stranger.test";

/// A value, and whether a credential with it can hold.
type Judged<T> = (T, bool);

/// Mostly one of those that can hold.
fn either<T: Clone + std::fmt::Debug + 'static>(good: Vec<T>, bad: Vec<T>) -> impl Strategy<Value = Judged<T>> + Clone {
    prop_oneof![
        9 => select(good).prop_map(|value| (value, true)),
        1 => select(bad).prop_map(|value| (value, false)),
    ]
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_string()).collect()
}

/// For whom it is: one, or one of several.
fn audience(ours: &str) -> impl Strategy<Value = Judged<Value>> + Clone {
    let good = vec![json!(ours), json!(["another", ours])];
    let bad =
        vec![json!("another"), json!(["another"]), json!([]), json!(null), json!({ "any": ours }), json!([[ours]])];
    either(good, bad)
}

/// When it begins and ends, in seconds from now.
fn times() -> impl Strategy<Value = Judged<(Value, Value)>> + Clone {
    const NOW: i64 = 1_774_958_400;
    let end = prop_oneof![
        9 => (-9..100_i64).prop_map(|end| (json!(NOW + end), true)),
        1 => (-100..=-10_i64).prop_map(|end| (json!(NOW + end), false)),
        1 => select(vec![json!(null), json!("1774958460"), json!(-1), json!([NOW + 60])]).prop_map(|end| (end, false)),
    ];
    let begin = prop_oneof![
        9 => (-100..=10_i64).prop_map(|begin| (json!(NOW + begin), true)),
        1 => (11..100_i64).prop_map(|begin| (json!(NOW + begin), false)),
        1 => select(vec![json!(null), json!("0"), json!(false)]).prop_map(|begin| (begin, false)),
    ];
    (begin, end).prop_map(|((begin, begins), (end, ends))| ((begin, end), begins && ends))
}

/// What a shop is called: three that are tenants' names, and what is none.
fn shop() -> impl Strategy<Value = Judged<String>> + Clone {
    let bad =
        ["", "/", "shop.test/", "shop.test/x", "SHOP.test", "shop.test:443", "-shop.test", "shop.test?", "\u{e9}"];
    either(texts(&[SHOP, OTHER, STRANGER]), texts(&bad))
}

/// The answer is that shop's if the credential holds and the shop is listed. Else nobody was asked.
fn judge(world: &World, seen: &Seen, shop: &str, holds: bool, count: &Count) -> Result<(), TestCaseError> {
    let told = world.origin.last().and_then(|asked| asked.header("x-shop-domain").map(str::to_string));
    let expected = match (holds, shop) {
        (false, _) => (401, None),
        (true, STRANGER) => (403, None),
        (true, shop) => (200, Some(shop.to_string())),
    };
    prop_assert_eq!((seen.status, told), expected);
    if seen.status == 200 {
        count.one();
    }
    Ok(())
}

#[test]
fn a_session_token_speaks_for_its_shop_if_all_of_it_is_right_and_else_for_nobody() {
    let header = either(
        texts(&[r#"{"alg":"HS256","typ":"JWT"}"#, r#"{"alg":"HS256"}"#, r#"{"typ":"jwt","kid":"x","alg":"HS256"}"#]),
        texts(&[
            r#"{"alg":"none"}"#,
            r#"{"alg":"None","typ":"JWT"}"#,
            r#"{"alg":"hs256"}"#,
            r#"{"alg":"HS384"}"#,
            r#"{"alg":"RS256"}"#,
            r#"{"alg":["HS256"]}"#,
            r#"{"alg":"HS256","typ":"JWE"}"#,
            r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
            r#"["HS256"]"#,
            "HS256",
            "",
        ]),
    );
    let secret = either(
        texts(&["the-apps-secret", "the-apps-old-secret"]),
        texts(&["", "another-secret", "the-apps-old-secret the-apps-secret", "the-apps-secret ", "the-apps-secre"]),
    );
    let issuer = either(texts(&["https://SHOP/admin"]), texts(&["https://SHOP", "http://SHOP/admin", "SHOP", ""]));
    let dest = either(texts(&["https://SHOP"]), texts(&["https://SHOP/", "http://SHOP", "SHOP", "https://x@SHOP"]));
    let scheme = either(texts(&["Bearer ", "bearer ", "BEARER  "]), texts(&["", "Basic ", "Bearer", "Bearer x "]));
    let count = Count::default();
    let claims = (shop(), issuer, dest, audience(AUDIENCE), times());
    hold(cases(1_500), (header, secret, claims, scheme), |(header, secret, claims, scheme)| {
        let (shop, issuer, dest, audience, ((begin, end), in_time)) = claims;
        let named = |text: &str| text.replace("SHOP", &shop.0);
        let claims = json!({
            "iss": named(&issuer.0), "dest": named(&dest.0), "aud": audience.0, "sub": OTHER, "nbf": begin, "exp": end,
        });
        let token = by_hmac(&header.0, &claims, secret.0.as_bytes());
        let holds = [header.1, secret.1, shop.1, issuer.1, dest.1, audience.1, in_time, scheme.1].iter().all(|is| *is);
        let world = World::new();
        let location = deployment(&world, Mode::Session, &[SHOP, OTHER]);
        let request = Asking::get(TILE).with("authorization", &format!("{}{token}", scheme.0));
        let seen = ask(&location, request.with("x-shop-domain", OTHER).with("cf-access-jwt-assertion", &token));
        judge(&world, &seen, &shop.0, holds, &count)
    });
    count.at_least(200);
}

/// By which key an assertion is signed.
#[derive(Debug, Clone, Copy)]
enum Signer {
    One,
    Two,
    /// By HMAC, with what everybody can know of the key.
    Published,
    Nobody,
}

#[test]
fn an_assertion_speaks_for_its_shop_if_all_of_it_is_right_and_else_for_nobody() {
    let header = either(
        texts(&[r#"{"alg":"RS256","kid":"one","typ":"JWT"}"#, r#"{"kid":"one","alg":"RS256"}"#]),
        texts(&[
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"RS256","kid":"two"}"#,
            r#"{"alg":"HS256","kid":"one"}"#,
            r#"{"alg":"none","kid":"one"}"#,
            r#"{"alg":"PS256","kid":"one"}"#,
            r#"{"alg":"RS256","kid":["one"]}"#,
            r#"{"alg":"RS256","kid":"one","crit":["exp"]}"#,
        ]),
    );
    let signer = either(vec![Signer::One], vec![Signer::Two, Signer::Published, Signer::Nobody]);
    let team = either(texts(&[TEAM]), texts(&["https://evil.test", "https://team.test/", ""]));
    let count = Count::default();
    hold(
        cases(300),
        (header, signer, shop(), team, audience("the-tag"), times()),
        |(header, signer, shop, team, aud, time)| {
            let ((begin, end), in_time) = time;
            let claims = json!({
                "iss": team.0, "aud": aud.0, "custom": { "shop": shop.0 }, "shop": OTHER, "nbf": begin, "exp": end,
            });
            let token = match signer.0 {
                Signer::One => by_rsa(&header.0, &claims, "one"),
                Signer::Two => by_rsa(&header.0, &claims, "two"),
                Signer::Published => {
                    let modulus = test_key("one").public();
                    by_hmac(&header.0, &claims, modulus["n"].as_str().expect("a text").as_bytes())
                }
                Signer::Nobody => by_hmac(&header.0, &claims, b"").rsplit_once('.').expect("parts").0.to_string() + ".",
            };
            let holds = [header.1, signer.1, shop.1, team.1, aud.1, in_time].iter().all(|is| *is);
            let world = World::new();
            let location = deployment(&world, Mode::Access, &[SHOP, OTHER]);
            let request = Asking::get(TILE).with("cf-access-jwt-assertion", &token).with("x-shop-domain", OTHER);
            let seen = ask(&location, request.with("authorization", &format!("Bearer {token}")));
            judge(&world, &seen, &shop.0, holds, &count)
        },
    );
    count.at_least(50);
}

/// What is done to a credential's text.
#[derive(Debug, Clone, Copy)]
enum Change {
    Other(char),
    More(char),
    Less,
    Cut,
    /// From here on it is another good one's.
    Splice,
}

fn change() -> impl Strategy<Value = (Change, Index)> {
    // Mostly what base64url has.
    let letter = || prop_oneof![4 => select(b"ABCXYZabcxyz0189-_.=".to_vec()).prop_map(char::from), 1 => any::<char>()];
    let change = prop_oneof![
        6 => letter().prop_map(Change::Other),
        1 => letter().prop_map(Change::More),
        1 => Just(Change::Less),
        1 => Just(Change::Cut),
        2 => Just(Change::Splice),
    ];
    (change, any::<Index>())
}

fn changed(good: &str, other: &str, change: Change, at: Index) -> String {
    let at = at.index(good.len());
    let (before, after) = good.split_at(at);
    match change {
        Change::Other(letter) => format!("{before}{letter}{}", &after[1..]),
        Change::More(letter) => format!("{before}{letter}{after}"),
        Change::Less => format!("{before}{}", &after[1..]),
        Change::Cut => before.to_string(),
        Change::Splice => format!("{before}{}", other.get(at..).unwrap_or_default()),
    }
}

/// Asks with good credentials first, so that they are remembered, and then with what is nearly one of them.
fn refuses(ordinary: u64, location: &Rc<Location>, good: &[String; 2], with: impl Fn(&str) -> Asking) {
    for good in good {
        assert_eq!(ask(location, with(good)).status, 200);
    }
    let refused = ask(location, with("")).body;
    let count = Count::default();
    hold(cases(ordinary), (any::<bool>(), change()), |(first, (change, at))| {
        let [one, other] = good;
        let text = if first { changed(one, other, change, at) } else { changed(other, one, change, at) };
        if good.iter().any(|good| good == text.trim()) {
            return Ok(());
        }
        let seen = ask(location, with(&text));
        prop_assert_eq!((seen.status, seen.origin_requests), (401, 0));
        prop_assert_eq!(&seen.body, &refused, "one answer, whatever is wrong");
        count.one();
        Ok(())
    });
    count.at_least(usize::try_from(ordinary).expect("not that many") * 9 / 10);
}

#[test]
fn a_session_token_with_any_byte_changed_is_refused() {
    let world = World::new();
    let location = deployment(&world, Mode::Session, &[SHOP, OTHER]);
    let good = [SHOP, OTHER].map(|shop| session(&Token::new(world.now() / 1000, shop)));
    refuses(10_000, &location, &good, |token| Asking::get(TILE).with("authorization", &format!("Bearer {token}")));
}

#[test]
fn an_assertion_with_any_byte_changed_is_refused() {
    let world = World::new();
    let location = deployment(&world, Mode::Access, &[SHOP, OTHER]);
    let header = r#"{"alg":"RS256","kid":"one"}"#.to_string();
    let good =
        [SHOP, OTHER].map(|shop| assertion(&Token { header: header.clone(), ..Token::new(world.now() / 1000, shop) }));
    refuses(3_000, &location, &good, |token| Asking::get(TILE).with("cf-access-jwt-assertion", token));
}
