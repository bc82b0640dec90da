//! The Cache API's HTTP protocol, as workerd's `cacheApiOutbound` speaks it, and the store behind it.
//!
//! `match` is a GET with `only-if-cached`, answered with `CF-Cache-Status: HIT` or with 504 and `MISS`;
//! `put` is a PUT whose body is a whole HTTP response; `delete` is PURGE. `caches.open(name)` sends the
//! name in `CF-Cache-Namespace`. The key is the full URL (the service is addressed as a proxy is).
//!
//! Stored is what says how long it lasts (s-maxage, else max-age) and has no reason against it;
//! everything else is answered 413, of which the Worker hears nothing. Not here: Vary, Expires,
//! heuristic lifetimes, multiple ranges.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::face::{Asked, Face, Reply, Shared};
use super::faults::{Faults, Op, Reading, Verdict};
use crate::gate::lock;
use crate::wire::{Fields, percent_decode, read_head};

/// A stored response.
#[derive(Clone, Debug)]
struct Stored {
    status: u16,
    fields: Fields,
    body: Arc<[u8]>,
    since: Instant,
    lifetime: Duration,
}

/// Namespace and URL.
type Key = (String, String);

/// The current response of a key, and the one before.
#[derive(Clone, Debug, Default)]
struct Pair {
    current: Option<Stored>,
    previous: Option<Stored>,
}

/// One data centre's cache. Clones are the same cache.
#[derive(Clone, Debug, Default)]
pub struct CacheStore(Arc<Mutex<BTreeMap<Key, Pair>>>);

impl CacheStore {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// The URLs stored in this namespace (what the Worker gave to `caches.open`), in order.
    pub fn urls(&self, namespace: &str) -> Vec<String> {
        let store = lock(&self.0);
        let held = store.iter().filter(|((space, _), pair)| space == namespace && pair.current.is_some());
        held.map(|((_, url), _)| url.clone()).collect()
    }

    /// What is stored under this URL: fields and body.
    pub fn get(&self, namespace: &str, url: &str) -> Option<(Fields, Vec<u8>)> {
        let stored = self.seen(&(namespace.to_owned(), url.to_owned()), false)?;
        Some((stored.fields, stored.body.to_vec()))
    }

    /// Stores a response past every fault and rule.
    pub fn insert(&self, namespace: &str, url: &str, fields: Fields, body: &[u8], lifetime: Duration) {
        let stored = Stored { status: 200, fields, body: body.into(), since: Instant::now(), lifetime };
        self.put((namespace.to_owned(), url.to_owned()), stored);
    }

    /// Evicts what was put with this tag in its `Cache-Tag`, whatever its namespace; tags know no case.
    pub fn purge_tag(&self, tag: &str) {
        let carries = |stored: &Stored| {
            let tags = stored.fields.all("Cache-Tag").join(",");
            tags.split(',').any(|carried| carried.trim().eq_ignore_ascii_case(tag))
        };
        for pair in lock(&self.0).values_mut().filter(|pair| pair.current.as_ref().is_some_and(carries)) {
            pair.previous = pair.current.take();
        }
    }

    /// Evicts everything.
    pub fn clear(&self) {
        lock(&self.0).clear();
    }

    fn seen(&self, key: &Key, previous: bool) -> Option<Stored> {
        let store = lock(&self.0);
        let pair = store.get(key)?;
        let stored = if previous { &pair.previous } else { &pair.current };
        stored.clone().filter(|stored| stored.since.elapsed() < stored.lifetime)
    }

    fn put(&self, key: Key, stored: Stored) {
        let mut store = lock(&self.0);
        let pair = store.entry(key).or_default();
        pair.previous = pair.current.replace(stored);
    }

    fn delete(&self, key: &Key) {
        if let Some(pair) = lock(&self.0).get_mut(key) {
            pair.previous = pair.current.take();
        }
    }
}

/// What one Worker sees of a cache.
pub struct CacheFace(Face);

impl CacheFace {
    /// Serves this store on a free loopback port.
    pub fn start(store: &CacheStore) -> Self {
        let store = store.clone();
        Self(Face::start(move |shared, asked| answer(&store, shared, &asked)))
    }

    /// Where workerd finds it.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// The faults in force.
    pub fn faults(&self) -> &Faults {
        self.0.faults()
    }

    /// How many operations of this kind came, failed ones included.
    pub fn count(&self, op: Op) -> usize {
        self.0.count(op)
    }

    /// Every operation so far, in order, with its URL.
    pub fn log(&self) -> Vec<(Op, String)> {
        self.0.log()
    }
}

fn answer(store: &CacheStore, shared: &Shared, asked: &Asked) -> Reply {
    let op = match asked.method.as_str() {
        "GET" => Op::Get,
        "PUT" => Op::Put,
        "PURGE" => Op::Delete,
        _ => return Reply::status(405),
    };
    let namespace = percent_decode(asked.fields.get("CF-Cache-Namespace").unwrap_or_default());
    let key = (namespace, asked.target.clone());
    let verdict = match shared.begin(op, &key.1, asked) {
        Ok(verdict) => verdict,
        Err(reply) => return reply,
    };
    match op {
        Op::Get => matched(store, &key, asked, &verdict),
        Op::Put => put(store, key, asked, verdict),
        _ => {
            let status = if store.seen(&key, false).is_some() { 200 } else { 404 };
            let store = store.clone();
            verdict.effect.apply(&asked.stop, move || store.delete(&key));
            Reply::status(verdict.then_status.unwrap_or(status))
        }
    }
}

fn matched(store: &CacheStore, key: &Key, asked: &Asked, verdict: &Verdict) -> Reply {
    let found = match verdict.reading {
        Reading::Nothing => None,
        Reading::Current | Reading::Previous => store.seen(key, verdict.reading == Reading::Previous),
    };
    let Some(stored) = found else {
        let fields = vec![("CF-Cache-Status".to_owned(), "MISS".to_owned())];
        return Reply::Message { status: 504, fields, body: Arc::new([]), cut_body: None };
    };
    let mut fields = stored.fields.0.clone();
    fields.push(("CF-Cache-Status".to_owned(), "HIT".to_owned()));
    fields.push(("Age".to_owned(), stored.since.elapsed().as_secs().to_string()));
    let not_modified = match (asked.fields.get("If-None-Match"), stored.fields.get("ETag")) {
        (Some(asked), Some(held)) => asked == "*" || asked.split(',').any(|tag| weak(tag) == weak(held)),
        _ => false,
    };
    if not_modified {
        return Reply::Message { status: 304, fields, body: Arc::new([]), cut_body: None };
    }
    if let Some((from, to)) = asked.fields.get("Range").and_then(|range| one_range(range, stored.body.len())) {
        fields.push(("Content-Range".to_owned(), format!("bytes {from}-{}/{}", to - 1, stored.body.len())));
        return Reply::Message { status: 206, fields, body: stored.body[from..to].into(), cut_body: verdict.cut_body };
    }
    Reply::Message { status: stored.status, fields, body: stored.body, cut_body: verdict.cut_body }
}

/// An entity tag as weak comparison sees it (RFC 9110, section 8.8.3.2).
fn weak(tag: &str) -> &str {
    tag.trim().trim_start_matches("W/")
}

/// `bytes=a-b`, as a half-open range inside the body.
fn one_range(range: &str, length: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let from = from.parse().ok()?;
    let to = to.parse::<usize>().map_or(length, |last| length.min(last.saturating_add(1)));
    (from < to).then_some((from, to))
}

fn put(store: &CacheStore, key: Key, asked: &Asked, verdict: Verdict) -> Reply {
    let Some(stored) = storable(&asked.body) else {
        return Reply::status(413);
    };
    let store = store.clone();
    verdict.effect.apply(&asked.stop, move || store.put(key, stored));
    Reply::status(verdict.then_status.unwrap_or(204))
}

/// The response inside a put, if it may be stored and is whole.
fn storable(mut payload: &[u8]) -> Option<Stored> {
    let head = read_head(&mut payload).ok()??;
    let status = head.start.split(' ').nth(1)?.parse().ok()?;
    let mut fields = head.fields;
    let declared = fields.get("Content-Length").map(str::parse::<usize>);
    let control = fields.all("Cache-Control").join(",").to_ascii_lowercase();
    let directives: Vec<&str> = control.split(',').map(str::trim).collect();
    let forbidden = ["no-store", "private", "no-cache"].iter().any(|word| directives.contains(word));
    let seconds =
        |name: &str| directives.iter().find_map(|one| one.strip_prefix(name)?.strip_prefix('=')?.parse().ok());
    let lifetime = Duration::from_secs(seconds("s-maxage").or_else(|| seconds("max-age"))?);
    let whole = declared.is_none_or(|length| length == Ok(payload.len()));
    if forbidden || !whole || lifetime.is_zero() || fields.has("Set-Cookie") || matches!(status, 206 | 304 | 500..) {
        return None;
    }
    // A put's body is never chunked inside, whatever the field says.
    for name in ["Transfer-Encoding", "Content-Length"] {
        fields.remove(name);
    }
    Some(Stored { status, fields, body: payload.into(), since: Instant::now(), lifetime })
}
