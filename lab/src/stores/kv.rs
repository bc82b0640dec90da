//! The data of one KV namespace, with the history that stale and lagging readers need.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::gate::lock;

/// How many versions of a key are remembered.
const REMEMBERED: usize = 8;

/// A stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvValue {
    /// The bytes.
    pub bytes: Arc<[u8]>,
    /// JSON text, as it was put.
    pub metadata: Option<String>,
    /// When it ends.
    pub expires: Option<SystemTime>,
}

impl KvValue {
    /// A value without an end.
    pub fn new(bytes: impl AsRef<[u8]>, metadata: Option<&str>) -> Self {
        Self { bytes: bytes.as_ref().into(), metadata: metadata.map(str::to_owned), expires: None }
    }

    /// Seconds since 1970 at which it ends.
    pub fn expires_at(&self) -> Option<u64> {
        let since = self.expires?.duration_since(UNIX_EPOCH).ok()?;
        Some(since.as_secs())
    }
}

/// What a key held from some moment on; `None` is a deletion.
#[derive(Clone, Debug)]
struct Version {
    since: Instant,
    value: Option<KvValue>,
}

/// One namespace. Clones are the same namespace, so several faces can show it.
#[derive(Clone, Debug, Default)]
pub struct KvStore(Arc<Mutex<BTreeMap<String, Vec<Version>>>>);

impl KvStore {
    /// An empty namespace.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is stored now under this key.
    pub fn get(&self, key: &str) -> Option<KvValue> {
        self.seen(key, Duration::ZERO, false)
    }

    /// The names of the keys that hold something now, in order.
    pub fn keys(&self) -> Vec<String> {
        let keys: Vec<_> = lock(&self.0).keys().cloned().collect();
        keys.into_iter().filter(|key| self.get(key).is_some()).collect()
    }

    /// Stores a value, past every fault.
    pub fn insert(&self, key: &str, value: KvValue) {
        self.add(key, Some(value));
    }

    /// Removes a value, past every fault.
    pub fn remove(&self, key: &str) {
        self.add(key, None);
    }

    /// Forgets everything, history included.
    pub fn clear(&self) {
        lock(&self.0).clear();
    }

    /// What a reader sees who is so far behind; with `previous`, the version before that one.
    pub(super) fn seen(&self, key: &str, lag: Duration, previous: bool) -> Option<KvValue> {
        let store = lock(&self.0);
        let mut visible = store.get(key)?.iter().rev().filter(|version| version.since.elapsed() >= lag);
        let version = visible.nth(usize::from(previous))?;
        let live = |value: &KvValue| value.expires.is_none_or(|end| end > SystemTime::now());
        version.value.clone().filter(live)
    }

    fn add(&self, key: &str, value: Option<KvValue>) {
        let mut store = lock(&self.0);
        let versions = store.entry(key.to_owned()).or_default();
        versions.push(Version { since: Instant::now(), value });
        let surplus = versions.len().saturating_sub(REMEMBERED);
        versions.drain(..surplus);
    }
}
