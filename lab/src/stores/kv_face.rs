//! Workers KV's HTTP protocol, as workerd's `kvNamespace` binding speaks it, with KV's own limits.
//!
//! Keys are percent-encoded in the path (`?urlencoded=true`), metadata travels as JSON in
//! `CF-KV-Metadata`, lifetimes as query parameters. Not here: the limit of one write a second, and lag.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::face::{Asked, Face, Reply, Shared};
use super::faults::{Faults, Op, Reading, Verdict};
use super::kv::{KvStore, KvValue};
use crate::wire::{percent_decode, query_parameter};

const LONGEST_KEY: usize = 512;
const LARGEST_METADATA: usize = 1024;
const LARGEST_VALUE: usize = 25 << 20;
const SHORTEST_LIFETIME: u64 = 60;
const SHORTEST_CACHE_TTL: u64 = 30;
const MOST_KEYS_AT_ONCE: usize = 100;
const LONGEST_LIST: usize = 1000;

/// What one Worker sees of a KV namespace.
pub struct KvFace(Face);

impl KvFace {
    /// Serves this store on a free loopback port.
    pub fn start(store: &KvStore) -> Self {
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

    /// Refuses connections, or takes them again.
    pub fn refuse_connections(&self, refused: bool) {
        if refused {
            self.0.server().stop();
        } else {
            self.0.server().resume();
        }
    }

    /// How many operations of this kind came, failed ones included.
    pub fn count(&self, op: Op) -> usize {
        self.0.count(op)
    }

    /// Every operation so far, in order, with its key.
    pub fn log(&self) -> Vec<(Op, String)> {
        self.0.log()
    }
}

fn answer(store: &KvStore, shared: &Shared, asked: &Asked) -> Reply {
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
        Op::Get => get(store, &key, &asked.target, &verdict),
        Op::GetMany => get_many(store, &asked.body, &verdict),
        Op::List => list(store, &asked.target),
        Op::Put => put(store, &key, asked, verdict),
        Op::Delete => change(store, key, None, verdict, asked),
    }
}

fn get(store: &KvStore, key: &str, target: &str, verdict: &Verdict) -> Reply {
    let cache_ttl = query_parameter(target, "cache_ttl");
    if cache_ttl.is_some_and(|ttl| ttl.parse::<u64>().map_or(true, |ttl| ttl < SHORTEST_CACHE_TTL)) {
        return Reply::status(400);
    }
    let Some(value) = seen(store, key, verdict) else {
        return Reply::status(404);
    };
    let mut fields = Vec::new();
    fields.extend(value.expires_at().map(|end| ("CF-Expiration".to_owned(), end.to_string())));
    fields.extend(value.metadata.clone().map(|json| ("CF-KV-Metadata".to_owned(), json)));
    Reply::Message { status: 200, fields, body: value.bytes, cut_body: verdict.cut_body }
}

fn seen(store: &KvStore, key: &str, verdict: &Verdict) -> Option<KvValue> {
    match verdict.reading {
        Reading::Nothing => None,
        Reading::Current | Reading::Previous => store.seen(key, Duration::ZERO, verdict.reading == Reading::Previous),
    }
}

fn get_many(store: &KvStore, body: &[u8], verdict: &Verdict) -> Reply {
    let Ok(question) = serde_json::from_slice::<Value>(body) else {
        return Reply::status(400);
    };
    let keys: Vec<&str> = question["keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if keys.is_empty() || keys.len() > MOST_KEYS_AT_ONCE {
        return Reply::status(400);
    }
    let mut found = serde_json::Map::new();
    for key in keys {
        let Some(value) = seen(store, key, verdict) else {
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

fn list(store: &KvStore, target: &str) -> Reply {
    let prefix = query_parameter(target, "prefix").unwrap_or_default();
    let cursor = query_parameter(target, "cursor").unwrap_or_default();
    let limit = query_parameter(target, "key_count_limit").and_then(|limit| limit.parse().ok()).unwrap_or(LONGEST_LIST);
    if limit == 0 || limit > LONGEST_LIST {
        return Reply::status(400);
    }
    let mut keys: Vec<String> =
        store.keys().into_iter().filter(|key| key.starts_with(&prefix) && *key > cursor).collect();
    let complete = keys.len() <= limit;
    keys.truncate(limit);
    let cursor = keys.last().cloned().filter(|_| !complete);
    let describe = |key: &String| {
        let value = store.get(key);
        json!({"name": key, "metadata": value.as_ref().and_then(|value| value.metadata.clone()),
            "expiration": value.as_ref().and_then(KvValue::expires_at)})
    };
    let described: Vec<Value> = keys.iter().map(describe).collect();
    message(&json!({"keys": described, "list_complete": complete, "cursor": cursor, "cacheStatus": null}))
}

fn put(store: &KvStore, key: &str, asked: &Asked, verdict: Verdict) -> Reply {
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
    change(store, key.to_owned(), Some(value), verdict, asked)
}

/// Puts or deletes, as the faults allow, and answers.
fn change(store: &KvStore, key: String, value: Option<KvValue>, verdict: Verdict, asked: &Asked) -> Reply {
    let store = store.clone();
    verdict.effect.apply(&asked.stop, move || match value {
        Some(value) => store.insert(&key, value),
        None => store.remove(&key),
    });
    Reply::status(verdict.then_status.unwrap_or(200))
}

fn message(body: &Value) -> Reply {
    Reply::Message { status: 200, fields: Vec::new(), body: body.to_string().into_bytes().into(), cut_body: None }
}
