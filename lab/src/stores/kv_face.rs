//! Workers KV's HTTP protocol, as workerd's `kvNamespace` binding speaks it, with KV's own limits.
//!
//! Keys are percent-encoded in the path (`?urlencoded=true`), metadata travels as JSON in
//! `CF-KV-Metadata`, lifetimes as query parameters. A face is a location: it sees what it wrote at once, and,
//! as its [`Consistency`] says, what others wrote only later.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::face::{Asked, Face, Reply, Shared};
use super::faults::{Faults, Op, Reading, Verdict};
use super::kv::{KvStore, KvValue, Location, Reader};
use crate::gate::lock;
use crate::wire::{percent_decode, query_parameter};

const LONGEST_KEY: usize = 512;
const LARGEST_METADATA: usize = 1024;
const LARGEST_VALUE: usize = 25 << 20;
const SHORTEST_LIFETIME: u64 = 60;
const SHORTEST_CACHE_TTL: u64 = 30;
const MOST_KEYS_AT_ONCE: usize = 100;
const LONGEST_LIST: usize = 1000;

/// How far a location is from the others. By default it is none: every write is seen at once, and none is one too many.
#[derive(Clone, Copy, Debug, Default)]
pub struct Consistency {
    /// What another location wrote is seen only after so long.
    pub lag: Duration,
    /// A miss is remembered for so long, whatever is written elsewhere meanwhile.
    pub misses: Duration,
    /// A key takes one write a second, from all locations together; another is answered 429.
    pub write_limit: bool,
}

impl Consistency {
    /// KV as it is, but for the length of its lag: misses are remembered as long.
    pub fn lagging(lag: Duration) -> Self {
        Self { lag, misses: lag, write_limit: true }
    }
}

/// What the Workers of one location see of a KV namespace.
pub struct KvFace {
    face: Face,
    view: Arc<View>,
}

/// The namespace as it looks from one location.
struct View {
    store: KvStore,
    at: Location,
    consistency: Mutex<Consistency>,
    /// When a key was last asked for in vain.
    missed: Mutex<BTreeMap<String, Instant>>,
}

impl KvFace {
    /// Serves this store on a free loopback port, as a location of its own.
    pub fn start(store: &KvStore) -> Self {
        let (consistency, missed) = (Mutex::default(), Mutex::default());
        let view = Arc::new(View { store: store.clone(), at: Location::new(), consistency, missed });
        let face = Face::start({
            let view = Arc::clone(&view);
            move |shared, asked| answer(&view, shared, &asked)
        });
        Self { face, view }
    }

    /// Where workerd finds it.
    pub fn address(&self) -> SocketAddr {
        self.face.address()
    }

    /// From now on the location is so far from the others.
    pub fn set_consistency(&self, consistency: Consistency) {
        *lock(&self.view.consistency) = consistency;
    }

    /// The faults in force.
    pub fn faults(&self) -> &Faults {
        self.face.faults()
    }

    /// Refuses connections, or takes them again.
    pub fn refuse_connections(&self, refused: bool) {
        if refused {
            self.face.server().stop();
        } else {
            self.face.server().resume();
        }
    }

    /// How many operations of this kind came, failed ones included.
    pub fn count(&self, op: Op) -> usize {
        self.face.count(op)
    }

    /// Every operation so far, in order, with its key.
    pub fn log(&self) -> Vec<(Op, String)> {
        self.face.log()
    }
}

impl View {
    fn consistency(&self) -> Consistency {
        *lock(&self.consistency)
    }

    fn reader(&self) -> Reader {
        Reader { at: Some(self.at), lag: self.consistency().lag }
    }

    fn seen(&self, key: &str, verdict: &Verdict) -> Option<KvValue> {
        if verdict.reading == Reading::Nothing {
            return None;
        }
        let mut missed = lock(&self.missed);
        if missed.get(key).is_some_and(|at| at.elapsed() < self.consistency().misses) {
            return None;
        }
        let value = self.store.seen(key, self.reader(), verdict.reading == Reading::Previous);
        if value.is_none() {
            missed.insert(key.to_owned(), Instant::now());
        }
        value
    }

    fn write(&self, key: &str, value: Option<KvValue>) {
        self.store.add(key, value, Some(self.at));
        lock(&self.missed).remove(key);
    }

    fn takes_write(&self, key: &str) -> bool {
        !self.consistency().write_limit || self.store.takes_write(key)
    }
}

fn answer(view: &Arc<View>, shared: &Shared, asked: &Asked) -> Reply {
    let key = percent_decode(asked.target.split('?').next().unwrap_or_default().trim_start_matches('/'));
    let op = match (asked.method.as_str(), key.as_str()) {
        ("POST", "bulk/get") => Op::GetMany,
        ("GET", "") => Op::List,
        ("GET", _) => Op::Get,
        ("PUT", _) => Op::Put,
        ("DELETE", _) => Op::Delete,
        _ => return Reply::status(405),
    };
    let verdict = match shared.begin(op, &key, asked) {
        Ok(verdict) => verdict,
        Err(reply) => return reply,
    };
    if key.len() > LONGEST_KEY {
        return Reply::status(414);
    }
    match op {
        Op::Get => get(view, &key, &asked.target, &verdict),
        Op::GetMany => get_many(view, &asked.body, &verdict),
        Op::List => list(view, &asked.target),
        Op::Put => put(view, &key, asked, verdict),
        Op::Delete => change(view, key, None, verdict, asked),
    }
}

fn get(view: &View, key: &str, target: &str, verdict: &Verdict) -> Reply {
    let cache_ttl = query_parameter(target, "cache_ttl");
    if cache_ttl.is_some_and(|ttl| ttl.parse::<u64>().map_or(true, |ttl| ttl < SHORTEST_CACHE_TTL)) {
        return Reply::status(400);
    }
    let Some(value) = view.seen(key, verdict) else {
        return Reply::status(404);
    };
    let mut fields = Vec::new();
    fields.extend(value.expires_at().map(|end| ("CF-Expiration".to_owned(), end.to_string())));
    fields.extend(value.metadata.clone().map(|json| ("CF-KV-Metadata".to_owned(), json)));
    Reply::Message { status: 200, fields, body: value.bytes, cut_body: verdict.cut_body }
}

fn get_many(view: &View, body: &[u8], verdict: &Verdict) -> Reply {
    let Ok(question) = serde_json::from_slice::<Value>(body) else {
        return Reply::status(400);
    };
    let keys: Vec<&str> = question["keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if keys.is_empty() || keys.len() > MOST_KEYS_AT_ONCE {
        return Reply::status(400);
    }
    let mut found = serde_json::Map::new();
    for key in keys {
        let Some(value) = view.seen(key, verdict) else {
            found.insert(key.to_owned(), Value::Null);
            continue;
        };
        let text = String::from_utf8_lossy(&value.bytes).into_owned();
        let value_json = match question["type"].as_str() {
            Some("json") => serde_json::from_str(&text).ok(),
            Some("text") | None => Some(Value::String(text)),
            Some(_) => None,
        };
        let Some(value_json) = value_json else {
            return Reply::status(400);
        };
        let metadata = value.metadata.and_then(|json| serde_json::from_str::<Value>(&json).ok());
        let with_metadata = question["withMetadata"] == true;
        let shown = if with_metadata { json!({"value": value_json, "metadata": metadata}) } else { value_json };
        found.insert(key.to_owned(), shown);
    }
    message(&Value::Object(found))
}

fn list(view: &View, target: &str) -> Reply {
    let prefix = query_parameter(target, "prefix").unwrap_or_default();
    let cursor = query_parameter(target, "cursor").unwrap_or_default();
    let limit = query_parameter(target, "key_count_limit").and_then(|limit| limit.parse().ok()).unwrap_or(LONGEST_LIST);
    if limit == 0 || limit > LONGEST_LIST {
        return Reply::status(400);
    }
    let mut keys: Vec<String> = view
        .store
        .keys_seen(view.reader())
        .into_iter()
        .filter(|key| key.starts_with(&prefix) && *key > cursor)
        .collect();
    let complete = keys.len() <= limit;
    keys.truncate(limit);
    let cursor = keys.last().cloned().filter(|_| !complete);
    let describe = |key: &String| {
        let value = view.store.seen(key, view.reader(), false);
        json!({"name": key, "metadata": value.as_ref().and_then(|value| value.metadata.clone()),
            "expiration": value.as_ref().and_then(KvValue::expires_at)})
    };
    let described: Vec<Value> = keys.iter().map(describe).collect();
    message(&json!({"keys": described, "list_complete": complete, "cursor": cursor, "cacheStatus": null}))
}

fn put(view: &Arc<View>, key: &str, asked: &Asked, verdict: Verdict) -> Reply {
    let now = SystemTime::now();
    let number = |name: &str| query_parameter(&asked.target, name).map(|text| text.parse::<u64>().unwrap_or(0));
    let end = number("expiration").map(|end| UNIX_EPOCH + Duration::from_secs(end));
    let expires = number("expiration_ttl").map(|lifetime| now + Duration::from_secs(lifetime)).or(end);
    if expires.is_some_and(|end| end < now + Duration::from_secs(SHORTEST_LIFETIME)) {
        return Reply::status(400);
    }
    let metadata = asked.fields.get("CF-KV-Metadata").map(str::to_owned);
    if asked.body.len() > LARGEST_VALUE || metadata.as_ref().is_some_and(|json| json.len() > LARGEST_METADATA) {
        return Reply::status(413);
    }
    let value = KvValue { bytes: asked.body.as_slice().into(), metadata, expires };
    change(view, key.to_owned(), Some(value), verdict, asked)
}

/// Puts or deletes, as the faults allow, and answers.
fn change(view: &Arc<View>, key: String, value: Option<KvValue>, verdict: Verdict, asked: &Asked) -> Reply {
    if !view.takes_write(&key) {
        return Reply::status(429);
    }
    let view = Arc::clone(view);
    verdict.effect.apply(&asked.stop, move || view.write(&key, value));
    Reply::status(verdict.then_status.unwrap_or(200))
}

fn message(body: &Value) -> Reply {
    Reply::Message { status: 200, fields: Vec::new(), body: body.to_string().into_bytes().into(), cut_body: None }
}
