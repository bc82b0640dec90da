//! Properties of keys and header fields, under requests that a hostile client could make up.

use crate::client::ask;
use crate::fakes::{Asking, Location, Scripted, World};
use crate::random::{Random, cases};
use crate::table::entries;
use hotrod_edge::rules::{
    Accepts, Auth, Bounds, Calendar, Class, Disposition, Lifetimes, Parameter, Policy, Route, Rules, Segment, Stored,
    WithoutLedger,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a client's junk says wherever it arrives.
const JUNK: &str = "evil-marker";

/// Header fields that a cache has been poisoned with somewhere, and some harmless ones.
const FIELDS: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "cdn-loop",
    "cf-connecting-ip",
    "connection",
    "content-length",
    "cookie",
    "edge-secret",
    "expect",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "referer",
    "te",
    "traceparent",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-data-as-of",
    "x-edge-tenant",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-scheme",
    "x-host",
    "x-http-method-override",
    "x-original-url",
    "x-request-id",
    "x-rewrite-url",
    "x-shop-domain",
    "x-wap-profile",
];

/// Pieces of which queries are made: known, dropped, the edge's own, unknown, doubled, encoded.
const PAIRS: &[&str] = &[
    "days=30",
    "days=90",
    "days=7",
    "days=030",
    "days",
    "DAYS=30",
    "d%61ys=30",
    "n=1",
    "n=99",
    "n=100",
    "n=01",
    "word=a",
    "word=b.c",
    "word=..",
    "word=%61",
    "_=1",
    "_=evil-marker",
    "utm_source=x",
    "utm_medium=%00",
    "nocache=true",
    "nocache=1",
    "page=2",
    "",
    "=",
];

/// What is done to a path.
fn mangled(random: &mut Random, path: &str) -> String {
    let at = random.below(path.len());
    let (before, after) = path.split_at(at);
    match random.below(12) {
        0 => format!("{before}/{after}"),
        1 => format!("{before}%{:02x}{}", after.as_bytes()[0], &after[1..]),
        2 => path.to_ascii_uppercase(),
        3 => format!("{path}/"),
        4 => format!("{path}.css"),
        5 => format!("{path};x"),
        6 => format!("{before}/../{after}"),
        7 => path.replace('/', "\\"),
        8 => format!("{path}%2f"),
        9 => before.to_string(),
        10 => format!("{path}%20"),
        _ => format!("{before}x{after}"),
    }
}

/// A request for a route of `paths`, or for something like it.
fn hostile(random: &mut Random, paths: &[String]) -> Asking {
    let path = random.pick(paths).clone();
    let mut url = if random.once_in(4) { mangled(random, &path) } else { path };
    let pairs: Vec<&str> = (0..random.below(4)).map(|_| *random.pick(PAIRS)).collect();
    if !pairs.is_empty() || random.once_in(10) {
        url = format!("{url}?{}", pairs.join("&"));
    }
    if !url.starts_with('/') {
        url.insert(0, '/');
    }
    let method = *random.pick(&["GET", "GET", "GET", "GET", "HEAD", "POST", "PURGE", "get"]);
    let fields = 1 + random.below(5);
    (0..fields).fold(Asking::new(method, &url), |request, _| request.with(random.pick::<&str>(FIELDS), JUNK))
}

/// Paths of every stored route, and rules that have more kinds of parameters than the repository's.
fn paths_and_rules() -> (Vec<String>, Rc<Rules>) {
    let mut rules = hotrod_edge::rules::compiled().clone();
    let text = |text: &str| text.to_string().into();
    let lifetimes = Lifetimes {
        s_maxage: 300,
        max_age: 60,
        stale_while_revalidate: 0,
        stale_if_error: 0,
        soft_window: 0,
        calendar: Calendar::None,
        without_ledger: WithoutLedger::Forward,
        snapshot: Bounds { isolate: 1, bound: 5, behind: None },
    };
    rules.classes.to_mut().push(Class { name: text("kinds"), policy: Policy::Store(lifetimes) });
    let parameter = |name: &str, accepts, default: Option<&str>| Parameter {
        name: text(name),
        accepts,
        default: default.map(text),
    };
    let query = vec![
        parameter("n", Accepts::Integer { min: 1, max: 99 }, Some("1")),
        parameter("word", Accepts::Word { max_length: 8 }, Some("a")),
    ];
    rules.routes.to_mut().push(Route {
        name: text("kinds"),
        path: vec![
            Segment::Literal(text("api")),
            Segment::Literal(text("kinds")),
            Segment::Parameter { name: text("sku"), suffix: text(".json") },
        ]
        .into(),
        class: text("kinds"),
        disposition: Disposition::Store(Stored {
            key: text("d:kinds:v1"),
            hot: true,
            personal: false,
            query: query.into(),
            lifetimes,
            content_type: text("application/json"),
            require: None,
            volatile: Vec::new().into(),
            tags: Vec::new().into(),
            response_fields: vec![text("content-type")].into(),
        }),
        invalidates: None,
        auth: Auth::Edge,
        roles: Vec::new().into(),
    });
    let mut paths: Vec<String> =
        entries().iter().map(|entry| entry.url.split('?').next().unwrap_or_default().to_string()).collect();
    paths.extend(
        ["/api/kinds/a.json", "/api/kinds/b.json", "/api/kinds/.json", "/api/kinds/a.b~c.json"].map(str::to_string),
    );
    (paths, Rc::new(rules))
}

/// What a request in an empty world left behind.
struct Traced {
    /// The key that it was stored under, if it was.
    key: Option<String>,
    /// What reached the origin, without the request id.
    origin: Option<(String, Vec<(String, String)>)>,
}

fn traced(tenant: &str, rules: &Rc<Rules>, request: Asking) -> Traced {
    let location = Location::with(&World::new(), tenant, Some(rules.clone()));
    ask(&location, request);
    let origin = location.world.origin.last().map(|asked| {
        let lines = asked.lines.into_iter().filter(|(name, _)| name != "x-request-id").collect();
        (format!("{} {}", asked.method, asked.url), lines)
    });
    Traced { key: location.edge.keys().pop(), origin }
}

#[test]
fn equal_keys_send_equal_bytes_to_the_origin() {
    let (paths, rules) = paths_and_rules();
    let mut sent = BTreeMap::new();
    let mut shared = 0;
    for case in cases(800) {
        let request = hostile(&mut Random::new(case), &paths);
        let Traced { key, origin, .. } = traced("shop.test", &rules, request.clone());
        let (Some(key), Some(origin)) = (key, origin) else { continue };
        if let Some(before) = sent.insert(key.clone(), origin.clone()) {
            assert_eq!(before, origin, "case {case}: {request:?} has the key {key}");
            shared += 1;
        }
    }
    assert!(sent.len() > 20 && shared > 100, "{} keys, {shared} met again: too few to mean anything", sent.len());
}

#[test]
fn tenants_never_share_a_key() {
    let (paths, rules) = paths_and_rules();
    for case in cases(300) {
        let request = hostile(&mut Random::new(case), &paths);
        for tenant in ["a.test", "a.test.b", "b"] {
            let Traced { key, origin, .. } = traced(tenant, &rules, request.clone());
            let Some(key) = key else { continue };
            assert!(key.starts_with(&format!("{tenant}/d")), "case {case}: {key}");
            let lines = origin.map(|(_, lines)| lines).unwrap_or_default();
            let told = lines.iter().find(|(name, _)| name == "x-shop-domain").map(|(_, value)| value.as_str());
            assert_eq!(told, Some(tenant), "case {case}");
        }
    }
}

#[test]
fn the_target_that_the_origin_gets_is_its_own_canonical_form() {
    let (paths, rules) = paths_and_rules();
    for case in cases(800) {
        let request = hostile(&mut Random::new(case), &paths);
        let first = traced("shop.test", &rules, request.clone());
        let (Some(key), Some((sent, _))) = (first.key, first.origin) else { continue };
        let target = sent.strip_prefix("GET https://origin.test").unwrap_or_default();
        let again = traced("shop.test", &rules, Asking::get(target));
        assert_eq!(again.key, Some(key), "case {case}: {request:?}");
        assert_eq!(again.origin.map(|(sent, _)| sent), Some(sent), "case {case}: {request:?}");
    }
}

#[test]
fn no_field_of_a_client_reaches_the_origin_of_a_stored_route() {
    let (paths, rules) = paths_and_rules();
    for case in cases(800) {
        let request = hostile(&mut Random::new(case), &paths);
        let Traced { key, origin, .. } = traced("shop.test", &rules, request.clone());
        let (Some(_), Some((sent, lines))) = (key, origin) else { continue };
        let names: Vec<&str> = lines.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["cdn-loop", "edge-secret", "x-shop-domain", "accept"], "case {case}: {request:?}");
        assert!(
            !sent.contains(JUNK) && !lines.iter().any(|(_, value)| value.contains(JUNK)),
            "case {case}: {request:?}"
        );
    }
}

#[test]
fn no_field_of_the_origin_comes_back_on_a_stored_route_but_the_listed() {
    const STORED: &[&str] = &[
        "cache-control",
        "cloudflare-cdn-cache-control",
        "etag",
        "cache-status",
        "age",
        "content-type",
        "content-language",
        "content-length",
        "strict-transport-security",
        "x-content-type-options",
    ];
    const UNSTORED: &[&str] = &[
        "cache-control",
        "cloudflare-cdn-cache-control",
        "cache-status",
        "content-type",
        "content-language",
        "location",
        "retry-after",
        "strict-transport-security",
        "www-authenticate",
        "x-content-type-options",
    ];
    const NAMES: &[&str] = &[
        "age",
        "alt-svc",
        "cache-control",
        "cache-status",
        "cache-tag",
        "clear-site-data",
        "connection",
        "content-encoding",
        "content-language",
        "content-length",
        "content-security-policy",
        "date",
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
    let (mut stored, mut unstored) = (0, 0);
    for case in cases(800) {
        let random = &mut Random::new(case);
        let location = Location::new(&World::new());
        let mut lines = vec![("content-type".to_string(), "application/json".to_string())];
        lines.extend((0..random.below(5)).map(|_| ((*random.pick(NAMES)).to_string(), JUNK.to_string())));
        let status = *random.pick(&[200, 200, 200, 302, 404, 503]);
        location.world.origin.scripted.replace(Some(Scripted { status, lines: lines.clone(), body: None }));
        for _ in 0..2 {
            let seen = ask(&location, Asking::get(&random.pick(&entries()).url));
            let kept = seen.cache_status().contains("stored") || seen.cache_status().starts_with("hit");
            let (allowed, junk): (_, &[&str]) = if kept {
                (STORED, &["content-language", "content-type"])
            } else {
                (UNSTORED, &["content-language", "content-type", "location", "retry-after", "www-authenticate"])
            };
            if kept {
                stored += 1;
            } else {
                unstored += 1;
            }
            for (name, value) in &seen.lines {
                assert!(allowed.contains(&name.as_str()), "case {case}: {name} after {lines:?}");
                assert!(!value.contains(JUNK) || junk.contains(&name.as_str()), "case {case}: {name}: {value}");
            }
            let cache_control = seen.field("cache-control").unwrap_or_default();
            assert!(kept || cache_control == "no-store", "case {case}: {cache_control}");
        }
    }
    assert!(stored > 100 && unstored > 100, "{stored}, {unstored}");
}

#[test]
fn whatever_others_asked_a_clean_request_gets_the_same_bytes() {
    let (paths, rules) = paths_and_rules();
    let clean = |location: &Rc<Location>, url: &str| {
        let seen = ask(location, Asking::get(url));
        let mut body = seen.json();
        // Which answer it is, and when it was made, is nothing that a request could choose.
        (body["data"]["serial"], body["data"]["generated_at"]) = (Value::Null, Value::Null);
        (seen.status, body)
    };
    for case in cases(10) {
        let random = &mut Random::new(case);
        let location = Location::with(&World::new(), "shop.test", Some(rules.clone()));
        for _ in 0..50 {
            ask(&location, hostile(random, &paths));
        }
        for entry in entries() {
            let alone = Location::with(&World::new(), "shop.test", Some(rules.clone()));
            let (after, expected) = (clean(&location, &entry.url), clean(&alone, &entry.url));
            assert_eq!(after, expected, "case {case}: {}", entry.url);
            assert_eq!(after.0, 200);
        }
    }
}
