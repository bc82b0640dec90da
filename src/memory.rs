//! The tier in an isolate's memory: what is asked for again and again is answered without asking anybody.
//!
//! It is bounded in bytes and entries, and evicts by segmented LRU: what is new is on probation, and what was used again
//! is protected, so that many keys asked for once push out nothing that is used.
//!
//! Plain data, judged by epoch and age as in every tier. A lookup is a binary search; only what evicts or protects looks
//! through the entries.

use crate::entry::Head;
use crate::key::CacheKey;
use crate::rules::{Limits, Text};
use crate::small::Map;
use alloc::rc::Rc;
use core::cmp::Reverse;

/// No body longer than this is held.
pub const LARGEST_BODY: usize = 64 * 1024;
/// So many entries are held at most.
const ENTRIES_AT_MOST: usize = 4096;
/// So much of the bytes may be protected, in percent.
const PROTECTED_PERCENT: usize = 80;
/// What an entry takes beside its texts and its body, in bytes.
const ENTRY_BYTES: usize = 512;

/// What an isolate holds.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    at_most: usize,
    entries: Map<CacheKey, Entry>,
    held: Held,
    protected_bytes: usize,
    /// Counts uses: the greater, the later.
    uses: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    head: Rc<Head>,
    body: Rc<[u8]>,
    class: Text,
    bytes: usize,
    used: u64,
    is_protected: bool,
}

/// What is held, for operators.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Bytes of bodies, heads and keys.
    pub bytes: usize,
    /// Entries.
    pub entries: usize,
    /// How many had to make room so far.
    pub evictions: u64,
}

impl Memory {
    /// An empty one that holds so many bytes at most, or none at all.
    #[must_use]
    pub const fn new(at_most: usize) -> Self {
        let held = Held { bytes: 0, entries: 0, evictions: 0 };
        Self { at_most, entries: Map::new(), held, protected_bytes: 0, uses: 0 }
    }

    /// Whether a body of this length may be held.
    #[must_use]
    pub fn takes(&self, length: usize) -> bool {
        length <= LARGEST_BODY && length < self.at_most
    }

    /// What is held.
    #[must_use]
    pub fn held(&self) -> Held {
        Held { entries: self.entries.len(), ..self.held }
    }

    /// The heads that are held, in the order of their keys.
    pub fn heads(&self) -> impl Iterator<Item = (&CacheKey, &Head)> {
        self.entries.iter().map(|(key, entry)| (key, &*entry.head))
    }

    /// What is held under a key. It counts as used.
    pub fn get(&mut self, key: &CacheKey) -> Option<(Rc<Head>, Rc<[u8]>)> {
        let entry = self.entries.get_mut(key)?;
        self.uses = self.uses.saturating_add(1);
        entry.used = self.uses;
        let found = (entry.head.clone(), entry.body.clone());
        if !entry.is_protected {
            entry.is_protected = true;
            self.protected_bytes = self.protected_bytes.saturating_add(entry.bytes);
            self.demote();
        }
        Some(found)
    }

    /// Holds a response, as far as its class may, in the place of an earlier one of its key.
    pub fn put(&mut self, key: &CacheKey, class: &Text, limits: Limits, head: Rc<Head>, body: Rc<[u8]>) {
        let there = self.entries.get(key);
        if there.is_some_and(|there| there.head.is_later_than(&head)) {
            return;
        }
        let is_protected = there.is_some_and(|there| there.is_protected);
        self.remove(key);
        let bytes =
            body.len().saturating_add(key.as_str().len()).saturating_add(texts(&head)).saturating_add(ENTRY_BYTES);
        let of_class = percent(self.at_most, usize::try_from(limits.memory_percent).unwrap_or(0));
        if !self.takes(body.len()) || bytes > of_class {
            return;
        }
        while self.bytes_of(class).saturating_add(bytes) > of_class && self.evict(|entry| entry.class == *class) {}
        while (self.held.bytes.saturating_add(bytes) > self.at_most || self.entries.len() >= ENTRIES_AT_MOST)
            && self.evict(|_| true)
        {}
        self.uses = self.uses.saturating_add(1);
        let entry = Entry { head, body, class: class.clone(), bytes, used: self.uses, is_protected };
        self.held.bytes = self.held.bytes.saturating_add(bytes);
        self.entries.insert(key.clone(), entry);
        if is_protected {
            self.protected_bytes = self.protected_bytes.saturating_add(bytes);
            self.demote();
        }
    }

    /// Holds nothing under a key any more.
    pub fn remove(&mut self, key: &CacheKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.held.bytes = self.held.bytes.saturating_sub(entry.bytes);
            if entry.is_protected {
                self.protected_bytes = self.protected_bytes.saturating_sub(entry.bytes);
            }
        }
    }

    fn bytes_of(&self, class: &Text) -> usize {
        self.entries.iter().filter(|(_, entry)| entry.class == *class).map(|(_, entry)| entry.bytes).sum()
    }

    /// Makes room: what is on probation goes first, and of it what was not used for the longest time. Whether there was
    /// anything.
    fn evict(&mut self, of: impl Fn(&Entry) -> bool) -> bool {
        let last = self.entries.iter().filter(|(_, entry)| of(entry));
        let last = last.min_by_key(|(_, entry)| (entry.is_protected, entry.used)).map(|(key, _)| key.clone());
        if let Some(key) = &last {
            self.remove(key);
            self.held.evictions = self.held.evictions.saturating_add(1);
        }
        last.is_some()
    }

    /// Puts on probation again what was not used for the longest time, until the protected ones leave room for new ones.
    fn demote(&mut self) {
        while self.protected_bytes > percent(self.at_most, PROTECTED_PERCENT) {
            let protected = self.entries.iter_mut().filter(|(_, entry)| entry.is_protected);
            let Some((_, entry)) = protected.max_by_key(|(_, entry)| Reverse(entry.used)) else { return };
            entry.is_protected = false;
            self.protected_bytes = self.protected_bytes.saturating_sub(entry.bytes);
        }
    }
}

/// So much of something.
fn percent(of: usize, percent: usize) -> usize {
    of.saturating_mul(percent) / 100
}

/// The length of a head's texts.
fn texts(head: &Head) -> usize {
    let fields = head.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    let followed = head.followed.as_ref().map_or(0, |followed| followed.nominated.len() + followed.variance.len());
    fields + followed + head.etag.len() + head.digest.len() + head.marks.len()
}

#[cfg(test)]
mod tests;
