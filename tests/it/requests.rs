//! Properties of keys and header fields, under requests that a hostile client could make up.

mod hostile;
mod poisoning;

use crate::client::ask;
use crate::fakes::{Asking, Location, Scripted, World};
use crate::random::{Count, cases, hold};
use crate::signing::{AUDIENCE, Token, session};
use crate::table::entries;
use hostile::{field_name, junk, manner, paths_alike, request, text};
use hotrod_edge::key::Tenant;
use hotrod_edge::rules::Rules;
use proptest::collection::vec;
use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof};
use proptest::sample::select;
use std::rc::Rc;

/// What a client's junk, or the origin's, says wherever it arrives.
const JUNK: &str = "evil-marker";

/// The repository's rules, and a route with every kind of parameter.
fn rules() -> Rc<Rules> {
    Rc::new(fuzz::rules().clone())
}

/// Where the tenant is that of a session.
fn with_sessions(world: &Rc<World>, tenants: &[&str]) -> Rc<Location> {
    for tenant in tenants {
        world.listed.borrow_mut().insert(Tenant::new(tenant).expect("a tenant"), true);
    }
    let settings = [("ACCESS_MODE", "session"), ("SESSION_SECRETS", "the-apps-secret"), ("SESSION_AUDIENCE", AUDIENCE)];
    Location::with_settings(world, &settings, Some(rules()))
}

/// The same request by somebody of a tenant.
fn by(world: &World, tenant: &str, mut request: Asking) -> Asking {
    request.lines.retain(|(name, _)| name != "authorization");
    request.with("authorization", &format!("Bearer {}", session(&Token::new(world.now() / 1000, tenant))))
}

/// What a request in an empty world left behind.
#[derive(Debug)]
struct Traced {
    /// The key that it was stored under, if it was.
    key: Option<String>,
    /// What reached the origin, without the request id.
    origin: Option<(String, Vec<(String, String)>)>,
}

fn traced(location: &Rc<Location>, request: Asking) -> Traced {
    ask(location, request);
    let origin = location.world.origin.last().map(|asked| {
        let lines = asked.lines.into_iter().filter(|(name, _)| name != "x-request-id").collect();
        (format!("{} {}", asked.method, asked.url), lines)
    });
    Traced { key: location.edge.keys().pop(), origin }
}

/// By whoever reaches the Worker, in an empty world.
fn alone(request: &Asking) -> Traced {
    traced(&Location::with(&World::new(), "shop.test", Some(rules())), request.clone())
}

#[test]
fn equal_keys_send_equal_bytes_to_the_origin_and_other_keys_other_bytes() {
    let (equal, other) = (Count::default(), Count::default());
    hold(cases(3_000), (paths_alike(), manner(), manner()), |((path, alike), one, another)| {
        let (one, another) = (alone(&one.ask(&path)), alone(&another.ask(&alike)));
        if one.key.is_some() && another.key.is_some() {
            prop_assert_eq!(one.key == another.key, one.origin == another.origin, "{:?} and {:?}", one, another);
            if one.key == another.key { &equal } else { &other }.one();
        }
        Ok(())
    });
    equal.at_least(200);
    other.at_least(10);
}

/// Names that are alike: one begins with another, or with what follows a tenant in a key.
fn tenant() -> impl Strategy<Value = String> {
    prop_oneof![
        select(&["a", "a.b", "a.b.test", "a-b", "aa"][..]).prop_map(str::to_string),
        text("[a-z0-9][a-z0-9.-]{0,12}")
    ]
}

#[test]
fn tenants_never_share_a_key_nor_a_beginning_of_one() {
    let count = Count::default();
    hold(cases(1_000), (request(), tenant(), tenant()), |(request, one, another)| {
        if one == another {
            return Ok(());
        }
        let world = World::new();
        let location = with_sessions(&world, &[&one, &another]);
        let mut stored = Vec::new();
        for tenant in [&one, &another] {
            ask(&location, by(&world, tenant, request.clone()));
            let told = world.origin.last();
            let told = told.as_ref().and_then(|asked| asked.header("x-shop-domain"));
            prop_assert!(told.is_none_or(|told| told == tenant), "{:?}", told);
            let keys: Vec<String> = location.edge.keys().into_iter().filter(|key| !stored.contains(key)).collect();
            prop_assert!(keys.iter().all(|key| key.starts_with(&format!("{tenant}/d"))), "{:?} of {}", keys, tenant);
            stored.extend(keys);
        }
        // What one of them stores, the other one stores for itself.
        prop_assert!(stored.is_empty() || stored.len() == 2, "{:?}", stored);
        if !stored.is_empty() {
            count.one();
        }
        Ok(())
    });
    count.at_least(200);
}

#[test]
fn the_target_that_the_origin_gets_is_its_own_canonical_form() {
    let count = Count::default();
    hold(cases(2_000), request(), |request| {
        let first = alone(&request);
        let (Some(key), Some((sent, _))) = (first.key, first.origin) else { return Ok(()) };
        let target = sent.strip_prefix("GET https://origin.test").unwrap_or_default();
        let again = alone(&Asking::get(target));
        prop_assert_eq!(again.key, Some(key));
        prop_assert_eq!(again.origin.map(|(sent, _)| sent), Some(sent));
        count.one();
        Ok(())
    });
    count.at_least(200);
}

#[test]
fn no_field_of_a_client_reaches_the_origin_of_a_stored_route() {
    let count = Count::default();
    hold(cases(2_000), request(), |request| {
        let Traced { key: Some(_), origin: Some((sent, lines)) } = alone(&request) else { return Ok(()) };
        let names: Vec<&str> = lines.iter().map(|(name, _)| name.as_str()).collect();
        prop_assert_eq!(names, ["cdn-loop", "edge-secret", "x-shop-domain", "accept"]);
        prop_assert!(!sent.contains(JUNK) && !lines.iter().any(|(_, value)| value.contains(JUNK)), "{:?}", lines);
        count.one();
        Ok(())
    });
    count.at_least(200);
}

/// Header fields that an origin might send on a stored route.
const ANSWERED: &[&str] = &[
    "age",
    "alt-svc",
    "cache-control",
    "cache-groups",
    "cache-status",
    "cache-tag",
    "cdn-cache-control",
    "clear-site-data",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-security-policy",
    "date",
    "epoch-token",
    "etag",
    "expires",
    "last-modified",
    "location",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "upgrade",
    "vary",
    "via",
    "www-authenticate",
    "x-custom",
    "x-request-id",
];

/// What the edge says itself with any answer of a stored route.
const OWN: &[&str] = &[
    "age",
    "cache-control",
    "cache-status",
    "cloudflare-cdn-cache-control",
    "content-length",
    "etag",
    "strict-transport-security",
    "x-content-type-options",
];

#[test]
fn no_field_of_the_origin_comes_back_on_a_stored_route_but_the_listed() {
    let (stored, unstored) = (Count::default(), Count::default());
    let urls: Vec<String> = entries().into_iter().map(|entry| entry.url).collect();
    let answer = (select(&[200, 200, 200, 302, 401, 404, 503][..]), vec((field_name(ANSWERED), junk()), 0..6));
    hold(cases(2_000), (select(urls), answer), |(url, (status, fields))| {
        let location = Location::new(&World::new());
        let mut lines = vec![("content-type".to_string(), "application/json".to_string())];
        lines.extend(fields);
        location.world.origin.scripted.replace(Some(Scripted { status, lines, body: None }));
        for _ in 0..2 {
            let seen = ask(&location, Asking::get(&url));
            let kept = seen.cache_status().contains("stored") || seen.cache_status().starts_with("hit");
            let listed: &[&str] = if kept {
                &["content-language", "content-type"]
            } else {
                &["content-language", "content-type", "location", "retry-after", "www-authenticate"]
            };
            for (name, value) in &seen.lines {
                let is_listed = listed.contains(&name.as_str());
                prop_assert!(is_listed || OWN.contains(&name.as_str()), "{}: {}", name, value);
                prop_assert!(is_listed || !value.contains(JUNK), "{}: {}", name, value);
            }
            prop_assert!(kept || seen.field("cache-control") == Some("no-store"), "{:?}", seen.lines);
            if kept { &stored } else { &unstored }.one();
        }
        Ok(())
    });
    stored.at_least(200);
    unstored.at_least(200);
}
