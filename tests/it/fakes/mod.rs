//! Fakes of everything that the path needs, on a virtual clock, with their faults as data.
//!
//! A [`World`] is what there is once: the clock, Workers KV, the ledger, the origin. A [`Location`] is one data
//! centre in it, with its own Cache API store. Every operation passes [`World::arrive`], where a test can hold it.

mod ledger;
mod message;
mod origin;
mod tier;

pub use ledger::LedgerFault;
pub use message::{Asking, Bytes, Content};
pub use origin::{OriginFault, Script, Scripted, edited};
pub use tier::{GetFault, PutFault, Store};

use crate::tasks::{step_aside, until};
use hotrod_edge::config::Config;
use hotrod_edge::epoch::Counters;
use hotrod_edge::ports::{Failure, Incident, Ports, TierName};
use hotrod_edge::rules::{Rules, compiled};
use hotrod_edge::time::UnixMillis;
use hotrod_edge::validation;
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The tenant of every test that does not say otherwise.
pub const TENANT: &str = "shop.test";
/// The host that clients ask.
pub const HOST: &str = "dash.test";
/// What the origin knows the edge by.
pub const SECRET: &str = "the-origin-secret";
/// An operator's token.
pub const TOKEN: &str = "an-operators-token";
/// 2026-03-31T00:00:00Z.
pub const DAY: u64 = 1_774_915_200_000;

/// Where an operation is when it arrives outside. In the order in which a request that fills comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    /// Before the ledger reads its counters.
    LedgerRead,
    /// After it did, before the reader has them.
    LedgerAnswer,
    /// Before the Cache API looks.
    EdgeGet,
    /// Before Workers KV looks.
    KvGet,
    /// Before the origin makes its answer.
    OriginAsked,
    /// After it did, before its head arrives.
    OriginAnswer,
    /// Within the body.
    OriginBody,
    /// Before the Cache API stores.
    EdgePut,
    /// Before Workers KV stores.
    KvPut,
}

/// What there is once.
#[derive(Default)]
pub struct World {
    now: Cell<u64>,
    pub kv: Rc<Store>,
    pub counters: RefCell<Counters>,
    pub ledger_fault: Cell<LedgerFault>,
    pub origin: Script,
    incidents: RefCell<BTreeMap<Incident, u64>>,
    request_ids: Cell<u64>,
    /// Whether every operation lets other tasks run.
    pub interleaved: Cell<bool>,
    hold: Cell<Option<Point>>,
    held: RefCell<BTreeSet<Point>>,
}

impl World {
    /// At `seconds` of the test's day.
    pub fn at(seconds: u64) -> Rc<Self> {
        let world = Self::default();
        world.now.set(DAY + seconds * 1000);
        Rc::new(world)
    }

    /// At noon.
    pub fn new() -> Rc<Self> {
        Self::at(12 * 3600)
    }

    pub fn now(&self) -> u64 {
        self.now.get()
    }

    pub fn set_now(&self, millis: u64) {
        self.now.set(millis);
    }

    pub fn pass(&self, millis: u64) {
        self.now.set(self.now() + millis);
    }

    /// Holds the next operation that arrives at `point`, until [`World::release`].
    pub fn hold(&self, point: Point) {
        self.hold.set(Some(point));
    }

    /// Whether an operation is held at `point`.
    pub fn holds(&self, point: Point) -> bool {
        self.held.borrow().contains(&point)
    }

    pub fn release(&self, point: Point) {
        self.held.borrow_mut().remove(&point);
    }

    async fn arrive(&self, point: Point) {
        if self.interleaved.get() {
            step_aside().await;
        }
        if self.hold.get() == Some(point) {
            self.hold.set(None);
            self.held.borrow_mut().insert(point);
            until(|| !self.holds(point)).await;
        }
    }

    /// How often each incident was recorded, by its word.
    pub fn incidents(&self) -> BTreeMap<&'static str, u64> {
        self.incidents.borrow().iter().map(|(incident, count)| (incident.as_str(), *count)).collect()
    }
}

/// One data centre, as the path sees it.
pub struct Location {
    pub world: Rc<World>,
    pub edge: Rc<Store>,
    tiers: [tier::FakeTier; 2],
    ledger: ledger::FakeLedger,
    origin: origin::FakeOrigin,
    config: Config,
    /// The compiled ones, if there are no others.
    rules: Option<Rc<Rules>>,
}

impl Location {
    pub fn new(world: &Rc<World>) -> Rc<Self> {
        Self::of_tenant(world, TENANT)
    }

    pub fn of_tenant(world: &Rc<World>, tenant: &str) -> Rc<Self> {
        Self::with(world, tenant, None)
    }

    pub fn with(world: &Rc<World>, tenant: &str, rules: Option<Rc<Rules>>) -> Rc<Self> {
        let edge = Rc::<Store>::default();
        let tier = |name, store| tier::FakeTier { name, store, world: world.clone() };
        Rc::new(Self {
            tiers: [tier(TierName::Edge, edge.clone()), tier(TierName::Kv, world.kv.clone())],
            ledger: ledger::FakeLedger(world.clone()),
            origin: origin::FakeOrigin(world.clone()),
            config: config(tenant),
            rules,
            world: world.clone(),
            edge,
        })
    }
}

fn config(tenant: &str) -> Config {
    let get = |name: &str| {
        let value = match name {
            "ACCESS_MODE" => "open",
            "TENANT" => tenant,
            "ORIGIN" => "https://origin.test",
            "HOSTS" => "dash.test localhost",
            "OPERATOR_TOKENS_SHA256" => return Some(validation::digest(TOKEN.as_bytes())),
            "ORIGIN_SECRET" => SECRET,
            _ => return None,
        };
        Some(value.to_string())
    };
    Config::read(get).expect("these settings are complete")
}

impl Ports for Location {
    type Body = Bytes;
    type Request = Asking;
    type Tier = tier::FakeTier;
    type Ledger = ledger::FakeLedger;
    type Origin = origin::FakeOrigin;

    fn now(&self) -> UnixMillis {
        UnixMillis(self.world.now())
    }

    fn request_id(&self) -> String {
        self.world.request_ids.set(self.world.request_ids.get() + 1);
        format!("request-{}", self.world.request_ids.get())
    }

    fn rules(&self) -> &Rules {
        self.rules.as_deref().unwrap_or_else(|| compiled())
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn tiers(&self) -> &[Self::Tier] {
        &self.tiers
    }

    fn ledger(&self) -> &Self::Ledger {
        &self.ledger
    }

    fn origin(&self) -> &Self::Origin {
        &self.origin
    }

    fn copy(&self, body: &Bytes) -> Option<Bytes> {
        Some(body.clone())
    }

    fn record(&self, incident: Incident, _failure: &Failure) {
        *self.world.incidents.borrow_mut().entry(incident).or_default() += 1;
    }

    fn incidents(&self) -> Vec<(Incident, u64)> {
        self.world.incidents.borrow().iter().map(|(incident, count)| (*incident, *count)).collect()
    }
}
