//! Requests that a hostile client could make up, as strategies that shrink.

use super::JUNK;
use crate::fakes::Asking;
use crate::table::entries;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::string::string_regex;

/// Header fields that a cache has been poisoned with somewhere, and some harmless ones.
const FIELDS: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "access-control-request-headers",
    "authorization",
    "cache-control",
    "cdn-loop",
    "cf-connecting-ip",
    "connection",
    "content-length",
    "cookie",
    "edge-authorization",
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
    "x-edge-role",
    "x-edge-tenant",
    "x-forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-scheme",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-newer-than",
    "x-original-host",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
    "x-rewrite-url",
    "x-shop-domain",
    "x-wap-profile",
];

/// Pieces of which queries are made: dropped, the edge's own and known; unknown, encoded, written in another way.
const PAIRS: &[&str] = &[
    "_=1",
    "_=evil-marker",
    "utm_source=x",
    "nocache=true",
    "days=30",
    "days=90",
    "n=99",
    "days=7",
    "days=030",
    "days",
    "DAYS=30",
    "d%61ys=30",
    "n=1",
    "n=100",
    "n=01",
    "word=a",
    "word=b.c",
    "word=..",
    "word=%61",
    "utm_medium=%00",
    "nocache=1",
    "page=2",
    "",
    "=",
];

/// How many of these are accepted somewhere.
const ACCEPTED: usize = 7;

/// Where requests are sent to, other than as it should be: written in another way, redirected, and elsewhere.
const AUTHORITIES: &[&str] =
    &["https://DASH.test:443", "http://localhost:8787", "https://localhost", "http://dash.test", "https://evil.test"];

const METHODS: &[&str] = &["HEAD", "HEAD", "POST", "DELETE", "OPTIONS", "PURGE", "get"];

/// Paths of every stored route of these rules and of the parameters' kinds.
pub fn stored_paths() -> Vec<String> {
    let mut paths: Vec<String> =
        entries().iter().map(|entry| entry.url.split('?').next().unwrap_or_default().to_string()).collect();
    paths.dedup();
    paths.extend(["/api/kinds/a.json", "/api/kinds/a.b~c.json"].map(str::to_string));
    paths
}

/// One of those, or perhaps something like it, or a path of no stored route.
fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(stored_paths()),
        2 => (select(stored_paths()), any::<Index>(), 0..12_u8).prop_map(|(path, at, how)| mangled(&path, at, how)),
        1 => select(&["/api/realtime/echo", "/api/orders", "/api/nobody", "/api/kinds/.json", "/healthz"][..])
            .prop_map(str::to_string),
    ]
}

/// Paths that one parser too many would take for the same.
const SPELLINGS: &[(&str, &str)] = &[
    ("/api/kinds/a.json", "/api/kinds/%61.json"),
    ("/api/kinds/a.json", "/api/kinds/%2561.json"),
    ("/api/kinds/a.json", "/api/kinds/a%2ejson"),
    ("/api/kinds/a.json", "/api/kinds/A.json"),
    ("/api/kinds/a.json", "/api/kinds//a.json"),
    ("/api/dashboard/tiles/ops", "/api/dashboard/tiles/%6fps"),
    ("/api/dashboard/tiles/ops", "/api/dashboard/tiles/ops/"),
];

/// One path twice, or two that are alike.
pub fn paths_alike() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        8 => path().prop_map(|path| (path.clone(), path)),
        1 => (select(stored_paths()), any::<Index>(), 0..12_u8).prop_map(|(path, at, how)| {
            let other = mangled(&path, at, how);
            (path, other)
        }),
        1 => select(SPELLINGS).prop_map(|(path, other)| (path.to_string(), other.to_string())),
    ]
}

/// What is done to a path.
fn mangled(path: &str, at: Index, how: u8) -> String {
    let (before, after) = path.split_at(1 + at.index(path.len() - 1));
    match how {
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

/// How something is asked for.
#[derive(Debug, Clone)]
pub struct Manner {
    authority: &'static str,
    query: String,
    method: &'static str,
    fields: Vec<(String, String)>,
}

impl Manner {
    /// A request for that path.
    pub fn ask(&self, path: &str) -> Asking {
        let Self { authority, query, method, fields } = self;
        let asking = Asking::new(method, &format!("{authority}{path}{query}"));
        fields.iter().fold(asking, |asking, (name, value)| asking.with(name, value))
    }
}

pub fn manner() -> impl Strategy<Value = Manner> {
    let authority = prop_oneof![3 => Just("https://dash.test"), 1 => select(AUTHORITIES)];
    let method = prop_oneof![4 => Just("GET"), 1 => select(METHODS)];
    let pair = prop_oneof![8 => select(PAIRS).prop_map(str::to_string), 1 => text("[ -~]{0,12}")];
    let pairs = prop_oneof![
        3 => Just(Vec::new()),
        3 => vec(select(&PAIRS[..ACCEPTED]).prop_map(str::to_string), 1..3),
        2 => vec(pair, 1..4),
    ];
    let query = pairs.prop_map(|pairs| if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) });
    (authority, query, method, vec((field_name(FIELDS), junk()), 0..6))
        .prop_map(|(authority, query, method, fields)| Manner { authority, query, method, fields })
}

/// A request for anything.
pub fn request() -> impl Strategy<Value = Asking> {
    (path(), manner()).prop_map(|(path, manner)| manner.ask(&path))
}

/// One of these names, or any other.
pub fn field_name(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![8 => select(names).prop_map(str::to_string), 1 => text("[a-z][a-z0-9_.!-]{0,15}")]
}

/// A value that can be recognised.
pub fn junk() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(JUNK.to_string()), 1 => text("[!-~]{0,12}").prop_map(|text| format!("{JUNK}{text}"))]
}

/// Texts of that form.
pub fn text(form: &str) -> impl Strategy<Value = String> {
    string_regex(form).expect("a regular expression")
}
