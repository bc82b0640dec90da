//! Strangers, readers of other tenants, and neighbours with another role or odd requests: whatever they send, a reader
//! is answered with one and the same body, from store as well as anew, and nobody but its tenant's readers is answered
//! with its data. The origin answers with all that it was asked.

use super::{Mode, deployment, request};
use crate::client::ask;
use crate::fakes::{Asking, Location, World};
use crate::random::{Count, hold, is_long};
use crate::signing::{SHOP, Token, assertion, session};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq};
use proptest::sample::{Index, select};
use std::rc::Rc;

const STRANGER: &str = "other.test";

/// What is asked for, and made into attacks.
const SESSION_PATHS: &[&str] =
    &["/api/dashboard/tiles/cx", "/api/dashboard/tiles/ops", "/api/dashboard/trends/revenue"];
const ACCESS_PATHS: &[&str] = &["/api/for-roles/x", "/api/dashboard/owner/summary", "/api/dashboard/tiles/cx"];

/// A credential as header fields, and whether it is of a reader of the shop.
type Credential = (Vec<(&'static str, String)>, bool);

/// Credentials that hold for the whole test, in this mode, the first of them the reader's own.
fn credentials(mode: Mode) -> Vec<Credential> {
    let now = World::new().now() / 1000;
    let signs = |token: &Token| if mode == Mode::Access { assertion(token) } else { session(token) };
    let header = if mode == Mode::Access { r#"{"alg":"RS256","kid":"one"}"# } else { r#"{"alg":"HS256"}"# };
    let of = |shop: &str| {
        let token = Token { header: header.into(), role: r#""owner""#.into(), ..Token::new(now, shop) };
        Token { expires: now + 100_000_000, ..token }
    };
    let field = |token: &str| match mode {
        Mode::Access => ("cf-access-jwt-assertion", token.to_string()),
        Mode::Open | Mode::Session => ("authorization", format!("Bearer {token}")),
    };
    let with = |token: &Token| vec![field(&signs(token))];
    let (ours, theirs) = (of(SHOP), of(STRANGER));
    let unsigned = |token: &Token| format!("{}.", signs(token).rsplit_once('.').expect("three parts").0);
    vec![
        (with(&ours), true),
        (with(&Token { user: "2".into(), ..ours.clone() }), true),
        // Without a role a neighbour is one in mode `session`, where nobody has one.
        (with(&Token { role: r#""clerk""#.into(), ..ours.clone() }), true),
        (with(&theirs), false),
        (Vec::new(), false),
        (vec![field("evil")], false),
        (vec![("authorization", format!("Basic {}", signs(&ours)))], false),
        (vec![("cookie", format!("CF_Authorization={}", signs(&ours)))], false),
        (vec![field(&unsigned(&Token { header: r#"{"alg":"none","kid":"one"}"#.into(), ..ours.clone() }))], false),
        (with(&Token { secret: "the-strangers-secret".into(), key: "two", ..ours.clone() }), false),
        (with(&Token { expires: now - 1_000, ..ours.clone() }), false),
        (with(&Token { audience: "another-app".into(), ..ours.clone() }), false),
        ([with(&theirs), with(&ours)].concat(), false),
        ([with(&theirs), vec![("x-shop-domain", SHOP.into()), ("x-edge-role", "owner".into())]].concat(), false),
    ]
}

/// What happens before somebody attacks.
#[derive(Debug, Clone, Copy)]
enum Before {
    Nothing,
    Eviction,
    Expiry,
    Soft,
    Hard,
}

/// One attack on the answers of a path.
#[derive(Debug, Clone)]
struct Attack {
    before: Before,
    path: &'static str,
    request: Asking,
    by: Index,
}

fn attack(paths: &'static [&'static str]) -> impl Strategy<Value = Attack> {
    const PIECES: &[&str] = &[
        "/",
        "//",
        "/..",
        "/.",
        "\\",
        "%2e",
        "%2f",
        "%5c",
        "%61",
        "%2561",
        ";evil",
        "%3b",
        "%00",
        "%0d%0aevil:1",
        ".css",
        "#evil",
        "?",
        "&",
        "=",
        "&days=30",
        "&n=1",
        "&n=2",
        "&nocache=true",
        "&evil",
        "%zz",
        "+",
        "\u{e9}",
    ];
    const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PURGE", "get"];
    let authority =
        select(&["https://DASH.test:443", "http://dash.test", "http://localhost:1", "https://evil.test"][..]);
    let before = select(vec![Before::Nothing, Before::Eviction, Before::Expiry, Before::Soft, Before::Hard]);
    let piece = option::weighted(0.4, (select(PIECES), any::<Index>()));
    let method = option::weighted(0.2, select(METHODS));
    let changes = (piece, method, option::weighted(0.1, authority));
    let asked = select(paths).prop_flat_map(|path| (Just(path), request(path)));
    (before, asked, changes, any::<Index>()).prop_map(
        |(before, (path, mut request), (piece, method, authority), by)| {
            const OWN: &str = "https://dash.test";
            if let Some((piece, at)) = piece {
                let at = OWN.len() + 1 + at.index(request.url.len() - OWN.len());
                request.url.insert_str(at, piece);
            }
            if let Some(authority) = authority {
                request.url.replace_range(..OWN.len(), authority);
            }
            if let Some(method) = method {
                request.method = method.into();
            }
            Attack { before, path, request, by }
        },
    )
}

fn prepare(location: &Location, before: Before) -> Option<Asking> {
    let purge = |mode: &str| Some(Asking::purge(format!(r#"{{"mode":"{mode}","all":true,"tenant":"{SHOP}"}}"#)));
    match before {
        Before::Nothing => None,
        Before::Eviction => {
            location.edge.clear();
            location.world.kv.clear();
            None
        }
        Before::Expiry => {
            location.world.pass(90_000_000);
            None
        }
        Before::Soft => purge("soft"),
        Before::Hard => purge("hard"),
    }
}

fn with(request: Asking, (fields, _): &Credential) -> Asking {
    fields.iter().fold(request, |request, (name, value)| request.with(name, value))
}

/// In rounds of twenty attacks on average: 5,000, or half a million with `HOTROD_LONG=1`.
fn neighbours(mode: Mode, paths: &'static [&'static str]) {
    let deployed = || -> Rc<Location> {
        let world = World::new();
        world.origin.echoes.set(true);
        deployment(&world, mode, &[SHOP, STRANGER])
    };
    let credentials = credentials(mode);
    let clean = |location: &Rc<Location>, path: &str| ask(location, with(Asking::get(path), &credentials[0]));
    let expected = |path: &str| clean(&deployed(), path).body;
    let expected: Vec<(&str, Vec<u8>)> = paths.iter().map(|path| (*path, expected(path))).collect();
    // As the origin says whose data an answer is.
    let ours = format!(r#"["x-shop-domain","{SHOP}"]"#);
    assert!(expected.iter().all(|(_, body)| String::from_utf8_lossy(body).contains(&ours)));
    let (attacks, filled, refused) = (Count::default(), Count::default(), Count::default());
    let rounds = if is_long() { 25_000 } else { 250 };
    hold(0..rounds, vec(attack(paths), 1..40), |round| {
        let location = deployed();
        for Attack { before, path, request, by } in round {
            if let Some(purge) = prepare(&location, before) {
                prop_assert_eq!(ask(&location, purge).status, 202);
            }
            let by = by.get(&credentials);
            let attacker = ask(&location, with(request, by));
            prop_assert!(by.1 || !attacker.text().contains(&ours), "{}", attacker.text());
            let seen = clean(&location, path);
            prop_assert_eq!(seen.status, 200);
            prop_assert_eq!(Some(&seen.body), expected.iter().find(|(of, _)| *of == path).map(|(_, body)| body));
            prop_assert!(!seen.lines.iter().any(|(_, value)| value.contains("evil")), "{:?}", seen.lines);
            attacks.one();
            if attacker.origin_requests == 1 && seen.origin_requests == 0 {
                filled.one();
            }
            if attacker.status == 401 {
                refused.one();
            }
        }
        Ok(())
    });
    attacks.at_least(4_500);
    // What the attacker's request had put into the store, for one.
    filled.at_least(200);
    refused.at_least(1_000);
}

#[test]
fn a_session_is_answered_the_same_whatever_others_send() {
    neighbours(Mode::Session, SESSION_PATHS);
}

#[test]
fn a_login_is_answered_the_same_whatever_others_send() {
    neighbours(Mode::Access, ACCESS_PATHS);
}
