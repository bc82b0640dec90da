//! A store, and what can be wrong with it.

use super::{Bytes, Point, World};
use crate::tasks::until;
use hotrod_edge::entry::{HEAD_GREATEST_LENGTH, Head, StoredResponse};
use hotrod_edge::key::CacheKey;
use hotrod_edge::ports::{Body, Failure, Tier, TierName};
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

/// What is wrong with lookups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GetFault {
    #[default]
    None,
    /// No answer.
    Fails,
    /// What was there before the last put, or nothing.
    Old,
    /// Two seconds pass.
    Slow,
    /// No answer, ever.
    Hangs,
}

/// What is wrong with puts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PutFault {
    #[default]
    None,
    /// Refused.
    Fails,
    /// Stored, and reported as refused.
    FailsButLands,
    /// Reported as stored, and lost.
    Lost,
    /// Reported as stored, and stored by [`Store::land`].
    Late,
}

#[derive(Debug, Clone)]
struct Entry {
    head: String,
    body: Bytes,
    gone_at: u64,
}

/// A head has a digest of its body.
impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.head, self.gone_at).hash(state);
    }
}

/// What a tier holds. Of each key, every value that it ever had, the last one being its value.
#[derive(Debug, Default)]
pub struct Store {
    values: RefCell<BTreeMap<String, Vec<Entry>>>,
    late: RefCell<Vec<(String, Entry)>>,
    pub get_fault: Cell<GetFault>,
    pub put_fault: Cell<PutFault>,
}

impl Store {
    /// What is stored now, expired or not.
    pub fn keys(&self) -> Vec<String> {
        self.values.borrow().keys().cloned().collect()
    }

    /// Forgets everything, as an eviction does.
    pub fn clear(&self) {
        self.values.borrow_mut().clear();
    }

    /// Stores what was put late, in the order of the puts.
    pub fn land(&self) {
        for (key, entry) in self.late.borrow_mut().drain(..) {
            self.values.borrow_mut().entry(key).or_default().push(entry);
        }
    }

    /// The head under a key, as it is stored.
    pub fn head(&self, key: &str) -> Option<String> {
        self.values.borrow().get(key)?.last().map(|entry| entry.head.clone())
    }

    /// Until when a key is kept.
    pub fn gone_at(&self, key: &str) -> Option<u64> {
        self.values.borrow().get(key)?.last().map(|entry| entry.gone_at)
    }

    /// Turns over the first bit of a key's body.
    pub fn corrupt(&self, key: &str) {
        if let Some(entry) = self.values.borrow_mut().get_mut(key).and_then(|values| values.last_mut()) {
            let mut bytes = entry.body.bytes.to_vec();
            bytes.iter_mut().take(1).for_each(|byte| *byte ^= 1);
            entry.body.bytes = bytes.into();
        }
    }

    /// Forgets all values but the last one of each key.
    pub fn forget_the_past(&self) {
        for values in self.values.borrow_mut().values_mut() {
            values.drain(..values.len() - 1);
        }
    }

    /// Takes away the second half of a key's body.
    pub fn truncate(&self, key: &str) {
        if let Some(entry) = self.values.borrow_mut().get_mut(key).and_then(|values| values.last_mut()) {
            entry.body.bytes = entry.body.bytes[..entry.body.bytes.len() / 2].into();
        }
    }

    /// Puts something into the place of a key's value, as another build would have written it.
    pub fn overwrite(&self, key: &str, head: &str) {
        if let Some(entry) = self.values.borrow_mut().get_mut(key).and_then(|values| values.last_mut()) {
            entry.head = head.to_string();
        }
    }
}

impl Hash for Store {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.values.borrow().hash(state);
    }
}

/// A tier of one location.
pub struct FakeTier {
    pub name: TierName,
    pub store: Rc<Store>,
    pub world: Rc<World>,
}

fn failure() -> Failure {
    Failure("the store does not answer".to_string())
}

impl Tier for FakeTier {
    type Body = Bytes;

    fn name(&self) -> TierName {
        self.name
    }

    async fn get(&self, key: &CacheKey) -> Result<Option<StoredResponse<Bytes>>, Failure> {
        self.world.arrive(if self.name == TierName::Edge { Point::EdgeGet } else { Point::KvGet }).await;
        let back = match self.store.get_fault.get() {
            GetFault::None => 0,
            GetFault::Fails => return Err(failure()),
            GetFault::Hangs => {
                until(|| false).await;
                0
            }
            GetFault::Old => 1,
            GetFault::Slow => {
                self.world.pass(2_000);
                0
            }
        };
        let values = self.store.values.borrow();
        let Some(entry) = values.get(key.as_str()).and_then(|values| values.iter().rev().nth(back)) else {
            self.world.gates.saw(None::<&str>);
            return Ok(None);
        };
        let there = entry.gone_at > self.world.now();
        self.world.gates.saw(there.then_some(&entry.head));
        let head = Head::decode(&entry.head).filter(|_| there);
        Ok(head.map(|head| StoredResponse { head: head.into(), body: entry.body.clone() }))
    }

    async fn put(
        &self,
        key: &CacheKey,
        head: &Head,
        encoded: &str,
        body: Body<Bytes>,
        keep: u32,
    ) -> Result<(), Failure> {
        self.world.arrive(if self.name == TierName::Edge { Point::EdgePut } else { Point::KvPut }).await;
        let body = match body {
            Body::Bytes(bytes) => {
                assert_eq!(head.length, bytes.len(), "a head and its body are put together");
                Bytes { bytes, ..Bytes::default() }
            }
            // Passed on unread, whatever it is.
            Body::Stream(body) => body,
            Body::Empty => Bytes::default(),
        };
        assert_eq!(Head::decode(encoded).as_ref(), Some(head), "a tier keeps the head that it was given");
        assert!(encoded.len() <= HEAD_GREATEST_LENGTH);
        assert!(self.name == TierName::Edge || keep >= 60, "KV keeps nothing for less than 60 s, and {keep} was asked");
        let gone_at = self.world.now() + u64::from(keep) * 1000;
        let (key, entry) = (key.as_str().to_string(), Entry { head: encoded.to_string(), body, gone_at });
        let fault = self.store.put_fault.get();
        match fault {
            PutFault::Fails | PutFault::Lost => {}
            PutFault::None | PutFault::FailsButLands => {
                self.store.values.borrow_mut().entry(key).or_default().push(entry);
            }
            PutFault::Late => self.store.late.borrow_mut().push((key, entry)),
        }
        match fault {
            PutFault::Fails | PutFault::FailsButLands => Err(failure()),
            PutFault::None | PutFault::Lost | PutFault::Late => Ok(()),
        }
    }
}
