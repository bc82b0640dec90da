//! What an isolate and its data centre keep beside the stores: copies of counters, and questions under way.

use super::{Point, World};
use crate::tasks::until;
use hotrod_edge::entry::Head;
use hotrod_edge::epoch::Epoch;
use hotrod_edge::key::{CacheKey, Tenant};
use hotrod_edge::ports::{Failure, Flights, InFlight, Landing, Snapshots};
use hotrod_edge::snapshot::{Held, Snapshot};
use hotrod_edge::time::UnixMillis;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A data centre's copies, encoded as they are kept.
#[derive(Debug, Default)]
pub struct Shelf {
    copies: RefCell<BTreeMap<Tenant, String>>,
    /// Whether it answers nothing.
    pub fails: Cell<bool>,
}

impl Shelf {
    /// Forgets everything, as an eviction or a zone purge does.
    pub fn clear(&self) {
        self.copies.borrow_mut().clear();
    }

    /// What is there, in order.
    pub fn texts(&self) -> Vec<String> {
        self.copies.borrow().values().cloned().collect()
    }
}

/// Copies of counters, as the path sees them.
pub struct FakeSnapshots {
    pub world: Rc<World>,
    pub own: RefCell<BTreeMap<Tenant, Held>>,
    pub shelf: Rc<Shelf>,
}

impl Snapshots for FakeSnapshots {
    fn own(&self, tenant: &Tenant) -> Option<Held> {
        let own = self.own.borrow().get(tenant).cloned();
        self.world.gates.saw(own.as_ref().map(|held| (held.snapshot.encode(), held.since.0)));
        own
    }

    fn keep(&self, tenant: &Tenant, held: Held) {
        self.own.borrow_mut().insert(tenant.clone(), held);
    }

    async fn shared(&self, tenant: &Tenant) -> Result<Option<Snapshot>, Failure> {
        self.world.arrive(Point::SharedGet).await;
        if self.shelf.fails.get() {
            return Err(Failure("the cache does not answer".to_string()));
        }
        let copies = self.shelf.copies.borrow();
        self.world.gates.saw(copies.get(tenant));
        Ok(copies.get(tenant).and_then(|text| Snapshot::decode(text)))
    }

    async fn share(&self, tenant: &Tenant, snapshot: &Snapshot) -> Result<(), Failure> {
        self.world.arrive(Point::SharedPut).await;
        if self.shelf.fails.get() {
            return Err(Failure("the cache does not answer".to_string()));
        }
        self.shelf.copies.borrow_mut().insert(tenant.clone(), snapshot.encode());
        Ok(())
    }
}

/// How a question ended, when it did.
type Landed = Rc<RefCell<Option<Landing>>>;

/// The questions under way in one isolate.
pub struct FakeFlights {
    pub world: Rc<World>,
    pub(super) flights: RefCell<BTreeMap<CacheKey, InFlight<Landed>>>,
    pub(super) written: RefCell<BTreeMap<CacheKey, Head>>,
}

impl FakeFlights {
    /// What was last written to Workers KV, as far as it took it.
    pub fn written_so_far(&self) -> Vec<(String, Option<String>)> {
        self.written.borrow().iter().map(|(key, head)| (key.as_str().to_string(), head.encode())).collect()
    }

    /// The keys that are being asked for, each with its position and since when.
    pub fn under_way_now(&self) -> Vec<(String, u64, u64)> {
        let flights = self.flights.borrow();
        flights.iter().map(|(key, flight)| (key.as_str().to_string(), flight.epoch.0, flight.since.0)).collect()
    }
}

impl Flights for FakeFlights {
    type Handle = Landed;

    fn under_way(&self, key: &CacheKey) -> Option<InFlight<Landed>> {
        let flights = self.flights.borrow();
        self.world.gates.saw(flights.get(key).map(|flight| (flight.epoch.0, flight.since.0)));
        flights.get(key).cloned()
    }

    fn take_off(&self, key: &CacheKey, epoch: Epoch, since: UnixMillis, lasts: u64) -> Landed {
        let landing = Landed::default();
        self.flights.borrow_mut().insert(key.clone(), InFlight { epoch, since, lasts, handle: landing.clone() });
        landing
    }

    fn land(&self, key: &CacheKey, handle: Landed, landing: Landing) {
        let answers = if let Landing::Answer(fetched) = &landing { Some(fetched.head.epoch) } else { None };
        let mut flights = self.flights.borrow_mut();
        if let Some(last) = flights.get(key) {
            let is_own = Rc::ptr_eq(&last.handle, &handle);
            if is_own || answers.is_some_and(|epoch| epoch >= last.epoch) {
                last.handle.borrow_mut().get_or_insert_with(|| landing.clone());
                flights.remove(key);
            }
        }
        // Like a promise, it is resolved once.
        handle.borrow_mut().get_or_insert(landing);
    }

    async fn landed(&self, handle: Landed) -> Landing {
        until(|| handle.borrow().is_some()).await;
        let landing = handle.borrow().clone().unwrap_or(Landing::Failed);
        self.world.gates.saw(if let Landing::Answer(fetched) = &landing { Some(&fetched.encoded) } else { None });
        landing
    }

    fn written(&self, key: &CacheKey) -> Option<Head> {
        let written = self.written.borrow().get(key).cloned();
        self.world.gates.saw(written.as_ref().and_then(Head::encode));
        written
    }

    fn write_down(&self, key: &CacheKey, written: Option<Head>) {
        let mut all = self.written.borrow_mut();
        match written {
            Some(head) => _ = all.insert(key.clone(), head),
            None => _ = all.remove(key),
        }
    }
}
