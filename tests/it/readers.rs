//! Properties of readers: whatever they send and whoever they are, in every mode and role, each sees what is theirs.

mod credentials;
mod neighbours;

use crate::client::{Seen, ask};
use crate::fakes::{Asking, Location, World};
use crate::random::{Count, cases, hold};
use crate::signing::{AUDIENCE, TEAM, Token, assertion, session};
use hotrod_edge::classify::{Classified, classify};
use hotrod_edge::key::{CacheKey, Tenant};
use hotrod_edge::rules::{Rules, load};
use hotrod_edge::target::Target;
use lab::issuer::key_set;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_assume, prop_oneof};
use proptest::sample::{Index, select, subsequence};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a client's junk says wherever it arrives.
const JUNK: &str = "evil-marker";

/// A route with parameters that is for two roles, and the second of them.
const FOR_ROLES: &str = r#"
[[role]]
name = "clerk"
claim = "custom.role"
values = ["clerk"]

[[route]]
name = "for_roles"
path = "/api/for-roles/{sku}"
class = "historical"
key = "d:for_roles:v1"
roles = ["owner", "clerk"]
query = { n = { integer = [1, 99], default = "1" }, word = { max_length = 8, default = "a" } }
"#;

fn rules() -> Rc<Rules> {
    thread_local! {
        static RULES: Rc<Rules> =
            Rc::new(load("rules.toml", &format!("{}{FOR_ROLES}", include_str!("../../rules.toml"))).expect("right"));
    }
    RULES.with(Rc::clone)
}

/// How a deployment finds out who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mode {
    Open,
    Session,
    Access,
}

/// Somebody who may read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Reader {
    mode: Mode,
    shop: String,
    /// As the claims of an assertion say it, in JSON.
    role: &'static str,
    user: &'static str,
}

/// A deployment of that mode, for these tenants, whose pages of one other origin may read.
fn deployment(world: &Rc<World>, mode: Mode, shops: &[&str]) -> Rc<Location> {
    for shop in shops {
        world.listed.borrow_mut().insert(Tenant::new(shop).expect("a tenant"), true);
    }
    let settings = match mode {
        Mode::Open => vec![("TENANT", shops[0])],
        Mode::Session => vec![
            ("ACCESS_MODE", "session"),
            ("SESSION_SECRETS", "the-apps-old-secret the-apps-secret"),
            ("SESSION_AUDIENCE", AUDIENCE),
            ("CORS_ORIGINS", "https://admin.test"),
        ],
        Mode::Access => {
            world.issuer.keys.replace(Some(key_set(&["one"])));
            vec![
                ("ACCESS_MODE", "access"),
                ("ACCESS_TEAM", TEAM),
                ("ACCESS_AUDIENCE", "another-tag the-tag"),
                ("ACCESS_TENANTS", r#"{"claim":"custom.shop"}"#),
                ("CORS_ORIGINS", "https://admin.test"),
            ]
        }
    };
    Location::with_settings(world, &settings, Some(rules()))
}

impl Reader {
    /// The same request, with nothing but the reader's own credential.
    fn sends(&self, now: u64, mut request: Asking) -> Asking {
        // Signing by RSA is slow, and a reader's credential is the same whatever they ask.
        thread_local! {
            static SIGNED: RefCell<BTreeMap<(Reader, u64), String>> = RefCell::default();
        }
        let name = match self.mode {
            Mode::Open => return request,
            Mode::Session => "authorization",
            Mode::Access => "cf-access-jwt-assertion",
        };
        let signed = SIGNED.with_borrow_mut(|signed| {
            let sign = || {
                let token = Token { user: self.user.into(), ..Token::new(now / 1000, &self.shop) };
                match self.mode {
                    Mode::Open | Mode::Session => format!("Bearer {}", session(&token)),
                    Mode::Access => assertion(&Token {
                        header: r#"{"alg":"RS256","kid":"one"}"#.into(),
                        role: self.role.into(),
                        ..token
                    }),
                }
            };
            signed.entry((self.clone(), now / 1000)).or_insert_with(sign).clone()
        });
        request.lines.retain(|(other, _)| other != name);
        request.with(name, &signed)
    }

    /// The role in which the reader asks for a route for roles.
    fn plays(&self) -> Option<&'static str> {
        match self.role {
            _ if self.mode != Mode::Access => None,
            r#""ceo""# | r#"["clerk","owner"]"# => Some("owner"),
            r#""clerk""# => Some("clerk"),
            _ => None,
        }
    }
}

fn reader() -> impl Strategy<Value = Reader> {
    let shop = select(&["shop.test", "shop.test.b", "s"][..]).prop_map(str::to_string);
    let role = select(&[r#""ceo""#, r#"["clerk","owner"]"#, r#""clerk""#, r#""visitor""#, "null"][..]);
    let mode = prop_oneof![1 => Just(Mode::Open), 1 => Just(Mode::Session), 4 => Just(Mode::Access)];
    (mode, shop, role, select(&["1", "2"][..])).prop_map(|(mode, shop, role, user)| Reader { mode, shop, role, user })
}

/// A request for a route with parameters, in some order, some of them by their default, with junk in header fields.
fn request(path: &'static str) -> impl Strategy<Value = Asking> {
    const FIELDS: &[&str] = &[
        "accept",
        "accept-language",
        "cookie",
        "edge-secret",
        "if-none-match",
        "origin",
        "range",
        "traceparent",
        "x-edge-role",
        "x-forwarded-host",
        "x-original-url",
        "x-request-id",
        "x-shop-domain",
        "x-tenant",
    ];
    const VALUES: &[&str] = &[JUNK, "owner", "shop.test", "other.test", "*", "https://admin.test"];
    let pairs: &[&str] = match path {
        "/api/dashboard/trends/revenue" => &["days=30", "days=90", "utm_source=evil-marker", "_=1"],
        _ if path.starts_with("/api/for-roles/") => {
            &["n=1", "n=2", "word=a", "word=b", "utm_source=evil-marker", "_=1"]
        }
        _ => &["utm_source=evil-marker", "_=1", "utm_medium=%00"],
    };
    let name = prop_oneof![8 => select(FIELDS).prop_map(str::to_string), 1 => "[a-z][a-z0-9_.!-]{0,15}"];
    let query = subsequence(pairs, 0..4).prop_shuffle();
    (query, select(&["GET", "GET", "GET", "HEAD"][..]), vec((name, select(VALUES)), 0..4)).prop_map(
        move |(pairs, method, fields)| {
            let asking = Asking::new(method, &format!("{path}?{}", pairs.join("&")));
            fields.iter().fold(asking, |asking, (name, value)| asking.with(name, value))
        },
    )
}

const PATHS: &[&str] = &[
    "/api/for-roles/x",
    "/api/for-roles/x",
    "/api/for-roles/y",
    "/api/dashboard/owner/summary",
    "/api/dashboard/trends/revenue",
    "/api/dashboard/tiles/cx",
];

/// What a request in an empty world left behind.
#[derive(Debug)]
struct Traced {
    seen: Seen,
    /// The key that it was stored under, if it was.
    key: Option<String>,
    /// What reached the origin, without the request id.
    origin: Option<(String, Vec<(String, String)>)>,
}

fn traced(reader: &Reader, request: &Asking) -> Traced {
    let world = World::new();
    let location = deployment(&world, reader.mode, &[&reader.shop]);
    let seen = ask(&location, reader.sends(world.now(), request.clone()));
    let origin = world.origin.last().map(|asked| {
        let lines = asked.lines.into_iter().filter(|(name, _)| name != "x-request-id").collect();
        (format!("{} {}", asked.method, asked.url), lines)
    });
    Traced { seen, key: location.edge.keys().pop(), origin }
}

#[test]
fn in_any_mode_and_role_equal_keys_send_equal_bytes_and_other_keys_other_bytes() {
    let (equal, in_roles, other) = (Count::default(), Count::default(), Count::default());
    let asked = || (reader(), select(PATHS).prop_flat_map(request));
    // Of one shop and in one role, but perhaps in another mode.
    let alike = select(PATHS).prop_flat_map(|path| {
        (reader(), request(path), reader(), request(path)).prop_map(|(reader, request, other, another)| {
            let other = Reader { shop: reader.shop.clone(), role: reader.role, ..other };
            ((reader, request), (other, another))
        })
    });
    hold(cases(1_200), prop_oneof![1 => (asked(), asked()), 4 => alike], |(one, another)| {
        let [one, another] = [one, another].map(|(reader, request)| traced(&reader, &request));
        if one.key.is_none() || another.key.is_none() {
            return Ok(());
        }
        prop_assert_eq!(one.key == another.key, one.origin == another.origin, "{:?} and {:?}", one, another);
        if one.key != another.key {
            other.one();
        } else if one.key.is_some_and(|key| key.contains(";role=")) {
            in_roles.one();
        } else {
            equal.one();
        }
        Ok(())
    });
    for count in [equal, in_roles, other] {
        count.at_least(50);
    }
}

#[test]
fn the_origin_hears_of_the_reader_by_what_the_edge_vouches_for_and_by_nothing_else() {
    let count = Count::default();
    hold(cases(1_000), (reader(), select(PATHS).prop_flat_map(request)), |(reader, request)| {
        let Traced { seen, key: Some(key), origin: Some((sent, lines)) } = traced(&reader, &request) else {
            return Ok(());
        };
        let role = reader.plays().filter(|_| key.contains(";role="));
        let expected = [
            Some(("cdn-loop", "hotrod-edge")),
            Some(("edge-secret", crate::fakes::SECRET)),
            Some(("x-shop-domain", reader.shop.as_str())),
            role.map(|role| ("x-edge-role", role)),
            Some(("accept", "application/json")),
        ];
        let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        prop_assert_eq!(lines, expected.into_iter().flatten().collect::<Vec<_>>());
        prop_assert!(sent.starts_with("GET https://origin.test/api/") && !sent.contains(JUNK), "{}", sent);
        prop_assert_eq!(key.ends_with(&format!(";role={}", role.unwrap_or("nobody"))), role.is_some());
        prop_assert!(!seen.lines.iter().any(|(_, value)| value.contains(JUNK)), "{:?}", seen.lines);
        count.one();
        Ok(())
    });
    count.at_least(200);
}

/// Two names that are no two names of one tenant, as alike as can be.
fn tenants() -> impl Strategy<Value = (Tenant, Tenant)> {
    let odd = vec(select(b"aaab09..--/;?=&%:~_ AZ\t".to_vec()), 1..12)
        .prop_map(|bytes| String::from_utf8(bytes).expect("ASCII"));
    let name = prop_oneof![6 => "[a-z0-9][a-z0-9.-]{0,8}", 1 => "[a-z0-9][a-z0-9.-]{120,127}", 2 => odd.clone()];
    let more = prop_oneof!["[a-z0-9.-]{1,8}", odd, Just("/d".to_string()), Just("/d:for_roles:v1".to_string())];
    let pair = (name.clone(), name, more, any::<Index>(), 0..3_u8).prop_map(|(one, other, more, at, how)| {
        let another = match how {
            0 => format!("{one}{more}"),
            1 => one.chars().take(at.index(one.len())).collect(),
            _ => other,
        };
        (one, another)
    });
    pair.prop_filter_map("two tenants", |(one, another)| {
        (one != another).then(|| Some((Tenant::new(&one)?, Tenant::new(&another)?)))?
    })
}

#[test]
fn no_name_of_a_tenants_entry_is_one_of_another_tenant() {
    let rules = rules();
    let asked = (select(PATHS), 1..99_u8, "[a-z0-9.~_-]{1,8}", select(&[None, Some("owner"), Some("clerk")][..]));
    hold(cases(2_000), (tenants(), asked.clone(), asked), |((one, another), its, other)| {
        let name = |tenant: &Tenant, (path, n, word, role): (&str, u8, String, Option<&str>)| {
            let url = format!("https://dash.test{path}?n={n}&word={word}");
            let url = if path.starts_with("/api/for-roles") { url } else { format!("https://dash.test{path}") };
            let target = Target::parse(&url).ok()?;
            let Classified::Stored(selected) = classify(&rules, "GET", &target) else { return None };
            Some(CacheKey::new(tenant, &selected.key, role))
        };
        let (Some(its), Some(other)) = (name(&one, its), name(&another, other)) else {
            prop_assume!(false);
            return Ok(());
        };
        prop_assert!(its.as_str() != other.as_str());
        for (tenant, key) in [(one, its), (another, other)] {
            prop_assert_eq!(key.as_str().split('/').next(), Some(tenant.as_str()));
            prop_assert_eq!(key.tenant(), tenant.as_str());
        }
        Ok(())
    });
}
