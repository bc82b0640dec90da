//! The data of one KV namespace, with the history that stale and lagging readers need: who wrote what, and when.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::gate::lock;

/// How many versions of a key are remembered at least.
const REMEMBERED: usize = 8;
/// Younger ones are all remembered: no reader is further behind.
const FURTHEST_BEHIND: Duration = Duration::from_mins(2);
/// A key takes one write in so long.
const BETWEEN_WRITES: Duration = Duration::from_secs(1);

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
    /// The location that wrote it; none if it was put there past every face.
    by: Option<Location>,
    value: Option<KvValue>,
}

/// A place from which a namespace is read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location(usize);

impl Location {
    /// One that is not any other.
    pub(super) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        Self(NUMBER.fetch_add(1, Ordering::Relaxed))
    }
}

/// Who reads: what was written elsewhere is seen only when it is as old as the lag.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader {
    pub(super) at: Option<Location>,
    pub(super) lag: Duration,
}

impl Reader {
    /// One who sees all.
    const NOW: Self = Self { at: None, lag: Duration::ZERO };

    fn sees(&self, version: &Version) -> bool {
        let own = version.by.is_some() && version.by == self.at;
        own || version.since.elapsed() >= self.lag
    }
}

#[derive(Debug, Default)]
struct Key {
    versions: Vec<Version>,
    /// The last write that was let through.
    written: Option<Instant>,
}

/// One namespace. Clones are the same namespace, so several faces can show it.
#[derive(Clone, Debug, Default)]
pub struct KvStore(Arc<Mutex<BTreeMap<String, Key>>>);

impl KvStore {
    /// An empty namespace.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is stored now under this key.
    pub fn get(&self, key: &str) -> Option<KvValue> {
        self.seen(key, Reader::NOW, false)
    }

    /// The names of the keys that hold something now, in order.
    pub fn keys(&self) -> Vec<String> {
        self.keys_seen(Reader::NOW)
    }

    /// Stores a value, past every fault.
    pub fn insert(&self, key: &str, value: KvValue) {
        self.add(key, Some(value), None);
    }

    /// Removes a value, past every fault.
    pub fn remove(&self, key: &str) {
        self.add(key, None, None);
    }

    /// Forgets everything, history included.
    pub fn clear(&self) {
        lock(&self.0).clear();
    }

    /// What a reader sees; with `previous`, the version before that one.
    pub(super) fn seen(&self, key: &str, reader: Reader, previous: bool) -> Option<KvValue> {
        let store = lock(&self.0);
        let mut visible = store.get(key)?.versions.iter().rev().filter(|version| reader.sees(version));
        let version = visible.nth(usize::from(previous))?;
        let live = |value: &KvValue| value.expires.is_none_or(|end| end > SystemTime::now());
        version.value.clone().filter(live)
    }

    /// The names of the keys that hold something for this reader, in order.
    pub(super) fn keys_seen(&self, reader: Reader) -> Vec<String> {
        let keys: Vec<_> = lock(&self.0).keys().cloned().collect();
        keys.into_iter().filter(|key| self.seen(key, reader, false).is_some()).collect()
    }

    /// True if this key takes a write now: then it takes no other for a while.
    pub(super) fn takes_write(&self, key: &str) -> bool {
        let mut store = lock(&self.0);
        let written = &mut store.entry(key.to_owned()).or_default().written;
        let free = written.is_none_or(|at| at.elapsed() >= BETWEEN_WRITES);
        if free {
            *written = Some(Instant::now());
        }
        free
    }

    /// Adds a version: a value, or a deletion.
    pub(super) fn add(&self, key: &str, value: Option<KvValue>, by: Option<Location>) {
        let mut store = lock(&self.0);
        let versions = &mut store.entry(key.to_owned()).or_default().versions;
        versions.push(Version { since: Instant::now(), by, value });
        let surplus = versions.len().saturating_sub(REMEMBERED);
        let old = versions.iter().take(surplus).filter(|version| version.since.elapsed() > FURTHEST_BEHIND).count();
        versions.drain(..old);
    }
}
