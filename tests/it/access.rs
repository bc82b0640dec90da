//! Who may read: modes `session` and `access`, roles, the list of tenants, pages of other origins, and refreshes.

use crate::client::{Seen, ask, get};
use crate::fakes::{Asking, LedgerFault, Location, OriginFault, Scripted, TOKEN, World};
use crate::signing::{AUDIENCE, SHOP, TEAM, Token, assertion, session};
use hotrod_edge::key::Tenant;
use hotrod_edge::rules::load;
use lab::issuer::key_set;
use std::rc::Rc;

const TILE: &str = "/api/dashboard/tiles/ops";
const OTHER: &str = "other.test";

/// A location of mode `session`, with two listed shops.
pub fn sessions(world: &Rc<World>) -> Rc<Location> {
    in_mode(world, &[])
}

fn in_mode(world: &Rc<World>, more: &[(&str, &str)]) -> Rc<Location> {
    let mut settings = vec![
        ("ACCESS_MODE", "session"),
        ("SESSION_SECRETS", "the-apps-old-secret the-apps-secret"),
        ("SESSION_AUDIENCE", AUDIENCE),
    ];
    settings.extend(more);
    listed(world);
    Location::with_settings(world, &settings, None)
}

/// A location of mode `access`.
fn assertions(world: &Rc<World>) -> Rc<Location> {
    listed(world);
    world.issuer.keys.replace(Some(key_set(&["one"])));
    let settings = [
        ("ACCESS_MODE", "access"),
        ("ACCESS_TEAM", TEAM),
        ("ACCESS_AUDIENCE", "another-tag the-tag"),
        ("ACCESS_TENANTS", r#"{"claim":"custom.shop"}"#),
    ];
    Location::with_settings(world, &settings, None)
}

fn listed(world: &Rc<World>) {
    for shop in [SHOP, OTHER] {
        world.listed.borrow_mut().insert(Tenant::new(shop).unwrap(), true);
    }
}

pub fn with(token: &Token, url: &str) -> Asking {
    Asking::get(url).with("authorization", &format!("Bearer {}", session(token)))
}

fn asserting(token: &Token, url: &str) -> Asking {
    Asking::get(url).with("cf-access-jwt-assertion", &assertion(token))
}

/// Refused for want of a credential: nothing was looked up, and nobody was asked.
#[track_caller]
fn refused(world: &Rc<World>, seen: &Seen) {
    assert_eq!(seen.status, 401);
    assert_eq!(seen.field("www-authenticate"), Some("Bearer realm=\"hotrod-edge\""));
    assert_eq!(seen.field("cache-control"), Some("no-store"));
    assert_eq!((seen.origin_requests, seen.field("cache-status"), seen.field("etag")), (0, None, None));
    assert_eq!(world.ledger_questions.get(), 0, "no ledger was asked");
}

#[test]
fn a_session_reads_its_own_shop_and_no_other() {
    let world = World::new();
    let location = sessions(&world);
    let now = world.now() / 1000;
    let (ann, bob) = (Token::new(now, SHOP), Token::new(now, OTHER));
    let first = ask(&location, with(&ann, TILE));
    assert_eq!((first.status, first.origin_requests, first.serial()), (200, 1, Some(1)));
    assert_eq!(first.field("cache-control"), Some("private, max-age=0"));
    assert_eq!(first.field("vary"), Some("authorization"));
    // Another session of the shop shares its answer; a session of another shop has one of its own.
    let again = ask(&location, with(&Token { user: "7".into(), ..ann.clone() }, TILE));
    assert_eq!((again.origin_requests, again.serial()), (0, Some(1)));
    let other = ask(&location, with(&bob, TILE));
    assert_eq!((other.origin_requests, other.serial()), (1, Some(2)));
    let shops: Vec<_> = world.origin.seen().iter().map(|seen| seen.header("x-shop-domain").map(String::from)).collect();
    assert_eq!(shops, [Some(SHOP.to_string()), Some(OTHER.to_string())]);
    assert!(world.origin.seen().iter().all(|seen| seen.header("authorization").is_none()));
}

#[test]
fn whatever_is_wrong_with_a_session_token_the_answer_is_one_401_on_every_lane() {
    let world = World::new();
    let good = Token::new(world.now() / 1000, SHOP);
    let wrong = |change: fn(&mut Token)| {
        let mut token = good.clone();
        change(&mut token);
        session(&token)
    };
    let valid = session(&good);
    let (unsigned, signature) = valid.rsplit_once('.').unwrap();
    let tokens = [
        wrong(|token| token.secret = "another-secret".into()),
        wrong(|token| token.secret = "the-apps-old-secret the-apps-secret".into()),
        wrong(|token| token.header = r#"{"alg":"none"}"#.into()),
        wrong(|token| token.header = r#"{"alg":"HS384","typ":"JWT"}"#.into()),
        wrong(|token| token.header = r#"{"alg":"RS256","typ":"JWT"}"#.into()),
        wrong(|token| token.header = r#"{"alg":"HS256","crit":["b64"],"b64":false}"#.into()),
        wrong(|token| token.audience = "another-app".into()),
        wrong(|token| token.expires -= 70),
        wrong(|token| token.not_before += 11),
        wrong(|token| token.issuer = "https://other.test/admin".into()),
        wrong(|token| token.shop = "a/b".into()),
        format!("{unsigned}."),
        format!("{unsigned}.{}", signature.get(..42).unwrap()),
        format!("{unsigned}.{signature}="),
        unsigned.to_string(),
        String::new(),
        "x".repeat(9000),
    ];
    let location = sessions(&world);
    let body = ask(&location, Asking::get(TILE)).body;
    let mut asked: Vec<(&str, Option<String>)> =
        vec![("authorization", None), ("authorization", Some(format!("Basic {valid}")))];
    asked.push(("authorization", Some(valid.clone())));
    asked.push(("cf-access-jwt-assertion", Some(valid.clone())));
    asked.push(("cookie", Some(format!("session={valid}"))));
    asked.extend(tokens.iter().map(|token| ("authorization", Some(format!("Bearer {token}")))));
    for (name, value) in asked {
        for url in
            [TILE, "/api/realtime/sla", "/api/exports/orders.csv", "/api/nobodys", "/api/dashboard/owner/summary"]
        {
            let request = Asking::get(url);
            let request = if let Some(value) = &value { request.with(name, value) } else { request };
            let seen = ask(&location, request);
            refused(&world, &seen);
            assert_eq!(seen.body, body, "{name}: {value:?}");
        }
    }
    assert_eq!((world.objects(), world.listing_questions.get()), (0, 0));
    assert_eq!(ask(&location, with(&good, TILE)).status, 200);
    // The same on a hit.
    world.ledger_questions.set(0);
    refused(&world, &ask(&location, with(&Token { expires: good.expires - 70, ..good.clone() }, TILE)));
}

#[test]
fn a_session_ends_on_the_second_and_both_secrets_sign() {
    let world = World::new();
    let location = sessions(&world);
    let now = world.now() / 1000;
    let token = Token::new(now, SHOP);
    assert_eq!(ask(&location, with(&token, TILE)).status, 200);
    let old = Token { secret: "the-apps-old-secret".into(), user: "2".into(), ..token.clone() };
    assert_eq!(ask(&location, with(&old, TILE)).status, 200);
    world.set_now((token.expires + 10) * 1000 - 1);
    assert_eq!(ask(&location, with(&token, TILE)).status, 200);
    world.pass(1);
    world.ledger_questions.set(0);
    refused(&world, &ask(&location, with(&token, TILE)));
}

#[test]
fn a_shop_that_is_not_listed_gets_no_object_and_no_effect() {
    let world = World::new();
    let location = sessions(&world);
    let stranger = Token::new(world.now() / 1000, "stranger.test");
    for url in [TILE, "/api/realtime/sla", "/api/nobodys"] {
        let seen = ask(&location, with(&stranger, url));
        assert_eq!((seen.status, seen.origin_requests), (403, 0), "{url}");
    }
    let refresh =
        Asking::new("POST", "/cache/refresh").with("authorization", &format!("Bearer {}", session(&stranger)));
    assert_eq!(ask(&location, refresh.sending(format!(r#"{{"url":"{TILE}"}}"#))).status, 403);
    assert_eq!((world.objects(), world.listing_questions.get()), (0, 1), "the answer is remembered for a moment");
    let list = |listed: bool| {
        let body = format!(r#"{{"tenant":"stranger.test","listed":{listed}}}"#);
        Asking::new("PUT", "/cache/listing").by_operator().sending(body)
    };
    assert_eq!(ask(&location, list(true)).status, 200);
    assert_eq!(ask(&location, with(&stranger, TILE)).status, 200);
    assert_eq!(ask(&location, list(false)).status, 200);
    assert_eq!(ask(&location, with(&stranger, TILE)).status, 403);
}

#[test]
fn a_listing_is_asked_for_once_a_minute_and_what_was_known_outlives_an_outage() {
    let world = World::new();
    let location = sessions(&world);
    let token = |world: &World| Token::new(world.now() / 1000, SHOP);
    for _ in 0..3 {
        assert_eq!(ask(&location, with(&token(&world), TILE)).status, 200);
    }
    assert_eq!(world.listing_questions.get(), 1);
    world.everyone_fails.set(true);
    world.pass(60_000);
    let seen = ask(&location, with(&token(&world), TILE));
    assert_eq!((seen.status, seen.origin_requests, world.listing_questions.get()), (200, 0, 2));
    // A shop of which nothing was known is passed through, and nothing of it is kept.
    let other = || with(&Token::new(world.now() / 1000, OTHER), TILE);
    for _ in 0..2 {
        let seen = ask(&location, other());
        assert_eq!((seen.status, seen.origin_requests), (200, 1));
        assert!(seen.cache_status().ends_with("detail=ledger"), "{}", seen.cache_status());
    }
    assert_eq!(world.objects(), 1);
    // What would change something waits until somebody can say.
    let bearer = format!("Bearer {}", session(&Token::new(world.now() / 1000, OTHER)));
    let write = Asking::new("POST", "/api/orders").with("authorization", &bearer);
    let refresh =
        Asking::new("POST", "/cache/refresh").with("authorization", &bearer).sending(format!(r#"{{"url":"{TILE}"}}"#));
    for request in [write, refresh] {
        let seen = ask(&location, request);
        assert_eq!((seen.status, seen.origin_requests), (503, 0));
    }
    assert_eq!(world.objects(), 1);
    // What was known does not count for ever.
    world.pass(600_000);
    assert!(ask(&location, with(&token(&world), TILE)).cache_status().ends_with("detail=ledger"));
    world.everyone_fails.set(false);
    world.pass(5_000);
    assert!(ask(&location, other()).cache_status().contains("stored"));
}

#[test]
fn an_uninstalled_shop_is_refused_by_its_own_ledger_too() {
    let world = World::new();
    let location = sessions(&world);
    let token = Token::new(world.now() / 1000, SHOP);
    assert_eq!(ask(&location, with(&token, TILE)).status, 200);
    let elsewhere = sessions(&world);
    let body = format!(r#"{{"tenant":"{SHOP}","listed":false}}"#);
    assert_eq!(ask(&elsewhere, Asking::new("PUT", "/cache/listing").by_operator().sending(body)).status, 200);
    // Here the listing is remembered for a minute; the counters say it within their bound.
    world.pass(5_001);
    let seen = ask(&location, with(&token, TILE));
    assert_eq!((seen.status, seen.origin_requests), (403, 0));
}

#[test]
fn an_assertion_is_verified_by_the_teams_keys() {
    let world = World::new();
    let location = assertions(&world);
    let good = Token { header: r#"{"alg":"RS256","kid":"one"}"#.into(), ..Token::new(world.now() / 1000, SHOP) };
    let seen = ask(&location, asserting(&good, TILE));
    assert_eq!((seen.status, seen.origin_requests, world.issuer.questions.get()), (200, 1, 1));
    assert_eq!(seen.field("vary"), Some("cookie"));
    assert_eq!(world.origin.last().unwrap().header("x-shop-domain"), Some(SHOP));
    // Seen a moment ago, it is not verified again.
    assert_eq!(ask(&location, asserting(&good, TILE)).status, 200);
    assert_eq!(location.admissions.verified.get(), 1);
    world.pass(60_000);
    assert_eq!(ask(&location, asserting(&good, TILE)).status, 200);
    assert_eq!(location.admissions.verified.get(), 2);

    let wrong = |change: fn(&mut Token)| {
        let mut token = good.clone();
        change(&mut token);
        token
    };
    for token in [
        wrong(|token| token.header = r#"{"alg":"HS256","kid":"one"}"#.into()),
        wrong(|token| token.header = r#"{"alg":"none","kid":"one"}"#.into()),
        wrong(|token| token.header = r#"{"alg":"RS256"}"#.into()),
        wrong(|token| token.header = r#"{"alg":"RS256","kid":"one","crit":[]}"#.into()),
        wrong(|token| token.team = "https://evil.test".into()),
        wrong(|token| token.audience = "tag".into()),
        wrong(|token| token.shop = "A".into()),
        wrong(|token| token.key = "two"),
        wrong(|token| token.expires -= 200),
    ] {
        world.ledger_questions.set(0);
        refused(&world, &ask(&location, asserting(&token, TILE)));
    }
    // A session token signed with the public key as secret, the oldest trick.
    let confused = Token { secret: key_set(&["one"]), ..good.clone() };
    refused(&world, &ask(&location, Asking::get(TILE).with("cf-access-jwt-assertion", &session(&confused))));
    assert_eq!(world.issuer.questions.get(), 1);
}

#[test]
fn unknown_keys_are_asked_for_once_a_minute_and_a_rotation_is_followed() {
    let world = World::new();
    let location = assertions(&world);
    let by = |key: &'static str, world: &World| Token {
        header: format!(r#"{{"alg":"RS256","kid":"{key}"}}"#),
        key,
        ..Token::new(world.now() / 1000, SHOP)
    };
    assert_eq!(ask(&location, asserting(&by("one", &world), TILE)).status, 200);
    world.issuer.keys.replace(Some(key_set(&["one", "two"])));
    for _ in 0..5 {
        assert_eq!(ask(&location, asserting(&by("two", &world), TILE)).status, 401);
    }
    assert_eq!(world.issuer.questions.get(), 1, "a question was asked within the minute");
    world.pass(60_000);
    assert_eq!(ask(&location, asserting(&by("two", &world), TILE)).status, 200);
    assert_eq!(world.issuer.questions.get(), 2);
    // A key that was taken back is out after an hour.
    world.issuer.keys.replace(Some(key_set(&["two"])));
    world.pass(3_600_000);
    assert_eq!(ask(&location, asserting(&by("two", &world), TILE)).status, 200);
    assert_eq!(ask(&location, asserting(&by("one", &world), TILE)).status, 401);
}

#[test]
fn without_keys_nobody_can_say_and_the_known_ones_are_good_for_a_day() {
    let world = World::new();
    let location = assertions(&world);
    let token = |world: &World| Token {
        header: r#"{"alg":"RS256","kid":"one"}"#.into(),
        ..Token::new(world.now() / 1000, SHOP)
    };
    world.issuer.keys.replace(None);
    let seen = ask(&location, asserting(&token(&world), TILE));
    assert_eq!((seen.status, seen.field("retry-after"), seen.origin_requests), (503, Some("5"), 0));
    assert_eq!(world.incidents().get("keys_failed"), Some(&1));
    // Nobody is told that a login does not hold while that cannot be known; the issuer is left alone for a moment.
    world.pass(4_999);
    assert_eq!(ask(&location, asserting(&token(&world), TILE)).status, 503);
    assert_eq!(world.issuer.questions.get(), 1);
    world.issuer.keys.replace(Some(key_set(&["one"])));
    world.pass(60_000);
    assert_eq!(ask(&location, asserting(&token(&world), TILE)).status, 200);
    for broken in [None, Some("<html>".to_string()), Some(key_set(&[]))] {
        world.issuer.keys.replace(broken);
        world.pass(3_600_000);
        assert_eq!(ask(&location, asserting(&token(&world), TILE)).status, 200);
    }
    world.pass(24 * 3_600_000);
    assert_eq!(ask(&location, asserting(&token(&world), TILE)).status, 503);
}

#[test]
fn a_role_is_part_of_the_key_and_others_are_refused() {
    const OWNERS: &str = "/api/dashboard/owner/summary";
    let world = World::new();
    let location = assertions(&world);
    let token = |role: &str| Token {
        header: r#"{"alg":"RS256","kid":"one"}"#.into(),
        role: role.into(),
        ..Token::new(world.now() / 1000, SHOP)
    };
    for role in [r#""owner""#, r#"["staff","ceo"]"#] {
        assert_eq!(ask(&location, asserting(&token(role), OWNERS)).status, 200, "{role}");
    }
    assert_eq!(world.origin.seen().len(), 1, "the second was a hit");
    assert_eq!(world.origin.last().unwrap().header("x-edge-role"), Some("owner"));
    assert_eq!(location.edge.keys(), ["shop.test/dashboard:owner:summary:v1;role=owner"]);
    for role in ["null", r#""Owner""#, r#""staff""#, r#"["staff"]"#, r#"{"owner":1}"#] {
        let seen = ask(&location, asserting(&token(role), OWNERS));
        assert_eq!((seen.status, seen.origin_requests), (403, 0), "{role}");
    }
    // A purge of the key covers every role's copy.
    let purge = Asking::purge(format!(r#"{{"mode":"hard","tenant":"{SHOP}","keys":["dashboard:owner:summary:v1"]}}"#));
    assert_eq!(ask(&location, purge).status, 202);
    let seen = ask(&location, asserting(&token(r#""owner""#), OWNERS));
    assert_eq!((seen.status, seen.origin_requests), (200, 1));
    // Where nobody has a role, nobody gets in.
    assert_eq!(get(&Location::new(&world), OWNERS).status, 403);
}

#[test]
fn what_a_lenient_server_takes_for_a_route_of_a_role_is_nobodys() {
    let world = World::new();
    let location = assertions(&world);
    let token = Token { header: r#"{"alg":"RS256","kid":"one"}"#.into(), ..Token::new(world.now() / 1000, SHOP) };
    for near in ["summary/", "Summary", "SUMMARY", "summary;x", "summary.json", "summary%20", "summary;jsessionid=1/"] {
        let seen = ask(&location, asserting(&token, &format!("/api/dashboard/owner/{near}")));
        assert_eq!((seen.status, seen.origin_requests), (404, 0), "{near}");
    }
    let seen = ask(&location, asserting(&token, "/api/dashboard/owner/other"));
    assert_eq!((seen.status, seen.origin_requests), (200, 1), "what is not near is passed on");
}

#[test]
fn two_roles_of_one_route_share_nothing() {
    let text = include_str!("../../rules.toml").replace("roles = [\"owner\"]", "roles = [\"owner\", \"staff\"]")
        + "\n[[role]]\nname = \"staff\"\nclaim = \"custom.role\"\nvalues = [\"staff\"]\n";
    let rules = Rc::new(load("rules.toml", &text).unwrap());
    let world = World::new();
    listed(&world);
    world.issuer.keys.replace(Some(key_set(&["one"])));
    let settings = [
        ("ACCESS_MODE", "access"),
        ("ACCESS_TEAM", TEAM),
        ("ACCESS_AUDIENCE", "the-tag"),
        ("ACCESS_TENANTS", r#"{"claim":"custom.shop"}"#),
    ];
    let location = Location::with_settings(&world, &settings, Some(rules));
    let ask_as = |role: &str| {
        let header = r#"{"alg":"RS256","kid":"one"}"#.into();
        let token = Token { header, role: role.into(), ..Token::new(world.now() / 1000, SHOP) };
        ask(&location, asserting(&token, "/api/dashboard/owner/summary")).serial()
    };
    assert_eq!(
        [ask_as(r#""owner""#), ask_as(r#""staff""#), ask_as(r#"["staff","owner"]"#)],
        [Some(1), Some(2), Some(1)]
    );
}

#[test]
fn a_route_whose_origin_decides_carries_neither_secret_nor_tenant() {
    let world = World::new();
    let location = sessions(&world);
    let seen = ask(&location, Asking::get("/api/public/status").with("x-shop-domain", "evil.test"));
    assert_eq!((seen.status, seen.origin_requests, seen.field("vary")), (200, 1, None));
    let sent = world.origin.seen().pop().unwrap();
    for name in ["edge-secret", "x-shop-domain", "x-edge-role"] {
        assert_eq!(sent.header(name), None, "{name}");
    }
    assert_eq!(sent.header("cdn-loop"), Some("hotrod-edge"));
    assert_eq!(world.objects(), 0);
}

#[test]
fn a_refresh_is_done_once_in_ten_seconds_wherever_it_is_asked_for() {
    let world = World::new();
    let (here, elsewhere) = (sessions(&world), sessions(&world));
    let refresh = |location: &Rc<Location>, shop: &str, url: &str| {
        let token = session(&Token::new(world.now() / 1000, shop));
        let request = Asking::new("POST", "/cache/refresh").with("authorization", &format!("Bearer {token}"));
        ask(location, request.sending(format!(r#"{{"url":"{url}"}}"#)))
    };
    let tile = |location: &Rc<Location>| ask(location, with(&Token::new(world.now() / 1000, SHOP), TILE));
    assert_eq!(tile(&here).serial(), Some(1));
    world.pass(2_000);
    let done = refresh(&here, SHOP, TILE);
    assert_eq!((done.status, done.origin_requests, &done.json()["refreshed"]), (200, 1, &true.into()));
    let seen = tile(&here);
    assert_eq!((seen.serial(), seen.origin_requests), (Some(2), 0));
    for location in [&here, &elsewhere] {
        let again = refresh(location, SHOP, TILE);
        assert_eq!((again.status, again.origin_requests, &again.json()["refreshed"]), (200, 0, &false.into()));
        assert_eq!(again.field("epoch-token"), done.field("epoch-token"));
    }
    // Another tile and another shop have their own ten seconds.
    assert_eq!(refresh(&here, SHOP, "/api/dashboard/trends/revenue?days=90").origin_requests, 1);
    assert_eq!(refresh(&here, OTHER, TILE).origin_requests, 1);
    world.pass(10_000);
    assert_eq!(refresh(&elsewhere, SHOP, TILE).origin_requests, 1);
    // What is no stored route, or not asked for by a reader, changes nothing.
    for url in ["/api/realtime/sla", "/api/dashboard/tiles/ops?evil=1", "//evil", "https://evil.test/", "/cache/purge"]
    {
        assert_eq!(refresh(&here, SHOP, url).status, 422, "{url}");
    }
    assert_eq!(refresh(&here, SHOP, "/api/dashboard/owner/summary").status, 403);
    let body = format!(r#"{{"url":"{TILE}"}}"#);
    let bare = || Asking::new("POST", "/cache/refresh").sending(body.clone());
    assert_eq!(ask(&here, bare()).status, 401);
    assert_eq!(ask(&here, bare().by_operator()).status, 401);
    world.ledger_fault.set(LedgerFault::Fails);
    assert_eq!(refresh(&here, SHOP, TILE).status, 503);
}

#[test]
fn readers_of_a_shop_may_refresh_a_hundred_and_twenty_times_a_minute() {
    let world = World::new();
    let rules = include_str!("../../rules.toml").to_string()
        + "\n[[route]]\nname = \"book\"\npath = \"/api/books/{id}\"\nclass = \"aggregate\"\nkey = \"d:book:v1\"\n";
    listed(&world);
    let settings = [("ACCESS_MODE", "session"), ("SESSION_SECRETS", "the-apps-secret"), ("SESSION_AUDIENCE", AUDIENCE)];
    let location = Location::with_settings(&world, &settings, Some(Rc::new(load("rules.toml", &rules).unwrap())));
    let refresh = |shop: &str, url: &str| {
        let token = session(&Token::new(world.now() / 1000, shop));
        let request = Asking::new("POST", "/cache/refresh").with("authorization", &format!("Bearer {token}"));
        ask(&location, request.sending(format!(r#"{{"url":"{url}"}}"#)))
    };
    for number in 0..120 {
        assert_eq!(refresh(SHOP, &format!("/api/books/{number}")).status, 200, "{number}");
    }
    let seen = refresh(SHOP, "/api/books/120");
    assert_eq!((seen.status, seen.origin_requests, seen.field("retry-after")), (429, 0, Some("1")));
    assert_eq!(refresh(OTHER, "/api/books/120").status, 200);
    world.pass(1_000);
    assert_eq!(refresh(SHOP, "/api/books/120").status, 200);
}

#[test]
fn a_failed_refresh_leaves_what_is_stored() {
    let world = World::new();
    let location = sessions(&world);
    let token = Token::new(world.now() / 1000, SHOP);
    assert_eq!(ask(&location, with(&token, TILE)).serial(), Some(1));
    world.origin.fault.set(OriginFault::Fails);
    let request = Asking::new("POST", "/cache/refresh").with("authorization", &format!("Bearer {}", session(&token)));
    assert_eq!(ask(&location, request.sending(format!(r#"{{"url":"{TILE}"}}"#))).status, 502);
    world.pass(1_000);
    assert_eq!(ask(&location, with(&token, TILE)).serial(), Some(1));
}

#[test]
fn an_operator_asks_past_the_store_sixty_times_a_minute() {
    let world = World::new();
    let location = Location::new(&world);
    let url = format!("{TILE}?nocache=true");
    let asked = || ask(&location, Asking::get(&url).with("edge-authorization", &format!("Bearer {TOKEN}")));
    for _ in 0..60 {
        assert_eq!(asked().status, 200);
    }
    let seen = asked();
    assert_eq!((seen.status, seen.origin_requests, seen.field("retry-after")), (429, 0, Some("1")));
    assert_eq!(get(&location, &url).status, 200, "for others it is an ordinary request");
    world.pass(1_000);
    assert_eq!(asked().status, 200);
}

#[test]
fn listed_pages_may_read_and_others_may_not_even_ask() {
    const PAGE: &str = "https://admin.example.test";
    let world = World::new();
    let location = in_mode(&world, &[("CORS_ORIGINS", "https://admin.example.test http://localhost:5173")]);
    let token = Token::new(world.now() / 1000, SHOP);
    let preflight = |origin: &str, url: &str| {
        let request = Asking::new("OPTIONS", url).with("origin", origin).with("access-control-request-method", "GET");
        ask(&location, request.with("access-control-request-headers", "authorization"))
    };
    let seen = preflight(PAGE, TILE);
    assert_eq!((seen.status, seen.origin_requests), (204, 0));
    assert_eq!(seen.field("access-control-allow-origin"), Some(PAGE));
    assert!(seen.field("access-control-allow-headers").unwrap().contains("Authorization"));
    assert_eq!(seen.field("access-control-allow-credentials"), None);
    for origin in ["https://evil.test", "null", "https://admin.example.test.evil.test", "http://admin.example.test"] {
        let seen = preflight(origin, TILE);
        assert_eq!((seen.status, seen.field("access-control-allow-origin")), (403, None), "{origin}");
    }
    let lines = [("content-type", "application/json"), ("access-control-allow-origin", "*"), ("vary", "x-custom")];
    let lines = lines.map(|(name, value)| (name.to_string(), value.to_string())).to_vec();
    world.origin.scripted.replace(Some(Scripted { status: 200, lines, body: None }));
    // Stored by one page's request, served to another's and to none.
    for (origin, allowed) in [
        (Some(PAGE), Some(PAGE)),
        (Some("http://localhost:5173"), Some("http://localhost:5173")),
        (Some("https://evil.test"), None),
        (None, None),
    ] {
        for url in [TILE, "/api/realtime/sla"] {
            let request = with(&token, url);
            let seen = ask(&location, if let Some(origin) = origin { request.with("origin", origin) } else { request });
            assert_eq!(seen.status, 200);
            assert_eq!(seen.field("access-control-allow-origin"), allowed, "{origin:?} {url}");
            assert!(seen.field("vary").unwrap().ends_with("Origin"), "{:?}", seen.field("vary"));
        }
    }
    // A page can read why it was refused, and nothing of the admin plane.
    let seen = ask(&location, Asking::get(TILE).with("origin", PAGE));
    assert_eq!((seen.status, seen.field("access-control-allow-origin")), (401, Some(PAGE)));
    let seen = ask(&location, Asking::get("/cache/receipts/x").by_operator().with("origin", PAGE));
    assert_eq!(seen.field("access-control-allow-origin"), None);
}

#[test]
fn a_page_of_another_origin_cannot_write_by_a_readers_login() {
    let world = World::new();
    let location = assertions(&world);
    let token = Token { header: r#"{"alg":"RS256","kid":"one"}"#.into(), ..Token::new(world.now() / 1000, SHOP) };
    let assertion = assertion(&token);
    let write = |origin: &str| {
        Asking::new("POST", "/api/orders").with("origin", origin).with("cf-access-jwt-assertion", &assertion)
    };
    for origin in ["https://evil.test", "null", "https://dash.test.evil.test", ""] {
        let seen = ask(&location, write(origin));
        assert_eq!((seen.status, seen.origin_requests), (403, 0), "{origin}");
    }
    assert_eq!(ask(&location, write("https://dash.test")).status, 200);
    let socket = |origin: &str| {
        let request = Asking::get("/api/realtime/echo").with("upgrade", "websocket").with("origin", origin);
        ask(&location, request.with("cf-access-jwt-assertion", &assertion)).status
    };
    assert_eq!([socket("https://evil.test"), socket("https://dash.test")], [403, 200]);
}

#[test]
fn plain_http_is_for_this_machine() {
    let world = World::new();
    let location = Location::new(&world);
    let seen = get(&location, "http://dash.test/api/dashboard/trends/revenue?days=30");
    assert_eq!((seen.status, seen.origin_requests), (308, 0));
    assert_eq!(seen.field("location"), Some("https://dash.test/api/dashboard/trends/revenue?days=30"));
    assert_eq!(seen.field("cache-control"), Some("no-store"));
    assert_eq!(seen.field("strict-transport-security"), None);
    assert_eq!(get(&location, &format!("http://localhost{TILE}")).status, 200);
    let seen = get(&location, TILE);
    assert_eq!(seen.field("strict-transport-security"), Some("max-age=31536000"));
}

#[test]
fn too_many_parameters_and_too_long_fields_are_refused() {
    let world = World::new();
    let location = Location::new(&world);
    let parameters = |count: usize| format!("{TILE}?{}", vec!["_=1"; count].join("&"));
    assert_eq!(get(&location, &parameters(64)).status, 200);
    assert_eq!(get(&location, &parameters(65)).status, 400);
    let long = |length: usize| {
        ask(&location, Asking::get("/api/realtime/sla").with("x-long", &"x".repeat(length - "x-long".len())))
    };
    assert_eq!(long(16_000).status, 200);
    let seen = long(16_001);
    assert_eq!((seen.status, seen.origin_requests), (431, 0));
}
