//! Fakes of everything that the path needs, on a virtual clock, with their faults as data.
//!
//! A [`World`] is what there is once: the clock, Workers KV, the ledger, the origin. A [`Location`] is one data
//! centre in it, with its own Cache API store. Every operation passes [`World::arrive`], where a test can hold it.

mod admissions;
mod gates;
mod isolate;
mod ledger;
mod message;
mod origin;
mod tier;

pub use admissions::Issuer;
pub use gates::{Gates, Waiting};
pub use isolate::Shelf;
pub use ledger::{LedgerFault, MemoryDisk, Object};
pub use message::{Asking, Bytes, Content};
pub use origin::{OriginFault, Script, Scripted, edited};
pub use tier::{GetFault, PutFault, Store};

use crate::tasks::{step_aside, until};
use hotrod_edge::config::Config;
use hotrod_edge::key::Tenant;
use hotrod_edge::ledger::desk::Disk as _;
use hotrod_edge::memory::Memory;
use hotrod_edge::ports::{Failure, Incident, Ports, TierName};
use hotrod_edge::rules::{Disposition, Rules, compiled};
use hotrod_edge::snapshot::Snapshot;
use hotrod_edge::stores::Breakers;
use hotrod_edge::time::UnixMillis;
use hotrod_edge::upstream::Upstream;
use hotrod_edge::validation;
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::LazyLock;

/// The tenant of every test that does not say otherwise.
pub const TENANT: &str = "shop.test";
/// The host that clients ask.
pub const HOST: &str = "dash.test";
/// What the origin knows the edge by.
pub const SECRET: &str = "the-origin-secret";
/// With which epoch tokens are signed.
pub const EPOCH_SECRET: &str = "the-epoch-secret-of-tests";
/// An operator's token.
pub const TOKEN: &str = "an-operators-token";
/// Who may send webhooks: one sender for both shops by Standard Webhooks, and each shop's app by Shopify.
pub const WEBHOOKS: &str = r#"{
    "standard": [{"secret": "whsec_c2VudCBieSB0aGUgb3JpZ2lu", "tenants": ["shop.test", "other.test"]}],
    "shopify": [{"secret": "the app of shop.test", "tenant": "shop.test"},
                {"secret": "the app of other.test", "tenant": "other.test"}]
}"#;
/// The first of its secrets, decoded.
pub const STANDARD_SECRET: &str = "sent by the origin";
/// 2026-03-31T00:00:00Z.
pub const DAY: u64 = 1_774_915_200_000;

/// Where an operation is when it arrives outside. In the order in which a request that fills comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    /// Before the ledger reads its counters.
    LedgerRead,
    /// After it did, before the reader has them.
    LedgerAnswer,
    /// Before the ledger says who asks.
    LedgerLease,
    /// Before the ledger carries an order out.
    LedgerOrder,
    /// After it did, before whoever gave it hears of it.
    LedgerOrdered,
    /// Before the data centre's copy of the counters is read.
    SharedGet,
    /// Before it is put.
    SharedPut,
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
    objects: RefCell<BTreeMap<Tenant, Rc<Object>>>,
    /// The Durable Object of all tenants.
    pub everyone: Object,
    /// Whether each tenant is listed there, as far as it knows.
    pub listed: RefCell<BTreeMap<Tenant, bool>>,
    /// How often it was asked for that.
    pub listing_questions: Cell<usize>,
    /// Whether it answers nothing about that.
    pub everyone_fails: Cell<bool>,
    /// Who signs the assertions of mode `access`.
    pub issuer: Issuer,
    /// How many calls went out of the isolates, of whatever kind.
    pub calls: Cell<usize>,
    /// How often a ledger was asked for its counters.
    pub ledger_questions: Cell<usize>,
    pub ledger_fault: Cell<LedgerFault>,
    pub origin: Script,
    incidents: RefCell<BTreeMap<Incident, u64>>,
    request_ids: Cell<u64>,
    /// Of any number, by how much it is less than the greatest one.
    pub randomness: Cell<u64>,
    /// Whether every operation lets other tasks run.
    pub interleaved: Cell<bool>,
    /// Where operations wait for the explorer.
    pub gates: Gates,
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

    /// A tenant's Durable Object.
    pub fn object(&self, tenant: &Tenant) -> Rc<Object> {
        self.objects.borrow_mut().entry(tenant.clone()).or_default().clone()
    }

    /// The ledgers lose what they have, on disk as well.
    pub fn forget_ledgers(&self) {
        self.objects.borrow_mut().clear();
    }

    /// A tenant's counters as they are on disk.
    pub fn counters(&self, tenant: &str) -> Option<String> {
        self.object(&Tenant::new(tenant).expect("a tenant")).disk.line().expect("a disk in memory")
    }

    /// How many tenants have a Durable Object.
    pub fn objects(&self) -> usize {
        self.objects.borrow().len()
    }

    /// A number that was not given before.
    pub fn serial(&self) -> u64 {
        self.request_ids.set(self.request_ids.get() + 1);
        self.request_ids.get()
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

    fn call(&self) {
        self.calls.set(self.calls.get() + 1);
    }

    async fn arrive(&self, point: Point) {
        if !matches!(point, Point::LedgerAnswer | Point::LedgerOrdered | Point::OriginAnswer | Point::OriginBody) {
            self.call();
        }
        self.gates.pass(point).await;
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

/// All that requests can come upon.
impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.now(), &*self.kv).hash(state);
        let objects = self.objects.borrow();
        for object in objects.values().map(|object| &**object).chain([&self.everyone]) {
            (object.disk.line().expect("a disk in memory"), object.heard.get()).hash(state);
            object.desk.borrow().leases().hash(state);
        }
    }
}

/// One isolate in one data centre, as the path sees it.
pub struct Location {
    pub world: Rc<World>,
    pub edge: Rc<Store>,
    pub shelf: Rc<Shelf>,
    memory: RefCell<Memory>,
    breakers: RefCell<Breakers>,
    tiers: [tier::FakeTier; 2],
    ledger: ledger::FakeLedger,
    snapshots: isolate::FakeSnapshots,
    flights: isolate::FakeFlights,
    pub admissions: admissions::FakeAdmissions,
    origin: origin::FakeOrigin,
    /// What this isolate has under way to it.
    pub upstream: RefCell<Upstream>,
    /// By how much this isolate's clock is ahead, in milliseconds.
    pub ahead: Rc<Cell<i64>>,
    config: Config,
    /// The compiled ones without leases, if there are no others.
    rules: Option<Rc<Rules>>,
}

impl Location {
    pub fn new(world: &Rc<World>) -> Rc<Self> {
        Self::of_tenant(world, TENANT)
    }

    /// With the compiled rules as they are. The others do without leases: what they show happens in each location.
    pub fn with_leases(world: &Rc<World>) -> Rc<Self> {
        Self::with(world, TENANT, Some(Rc::new(compiled().clone())))
    }

    pub fn of_tenant(world: &Rc<World>, tenant: &str) -> Rc<Self> {
        Self::with(world, tenant, None)
    }

    pub fn with(world: &Rc<World>, tenant: &str, rules: Option<Rc<Rules>>) -> Rc<Self> {
        Self::of(world, config(tenant, &[]), rules, Rc::default(), Rc::default())
    }

    /// With one setting more.
    pub fn with_setting(world: &Rc<World>, name: &str, value: &str) -> Rc<Self> {
        Self::with_settings(world, &[(name, value)], None)
    }

    /// With a memory tier. Without one, a test sees what the tiers behind it do.
    pub fn remembering(world: &Rc<World>) -> Rc<Self> {
        Self::with_setting(world, "MEMORY_BYTES", "16777216")
    }

    /// With a memory tier and leases.
    pub fn with_everything(world: &Rc<World>) -> Rc<Self> {
        let rules = Some(Rc::new(compiled().clone()));
        Self::with_settings(world, &[("MEMORY_BYTES", "16777216")], rules)
    }

    /// With these settings in the place of the usual ones, and perhaps other rules.
    pub fn with_settings(world: &Rc<World>, settings: &[(&str, &str)], rules: Option<Rc<Rules>>) -> Rc<Self> {
        Self::of(world, config(TENANT, settings), rules, Rc::default(), Rc::default())
    }

    /// Another isolate of the same data centre.
    pub fn beside(other: &Self) -> Rc<Self> {
        Self::of(&other.world, other.config.clone(), other.rules.clone(), other.edge.clone(), other.shelf.clone())
    }

    /// The same of another build, with rules of its own.
    pub fn of_another_build(other: &Self, rules: Rules) -> Rc<Self> {
        let (edge, shelf) = (other.edge.clone(), other.shelf.clone());
        Self::of(&other.world, other.config.clone(), Some(Rc::new(rules)), edge, shelf)
    }

    fn of(world: &Rc<World>, config: Config, rules: Option<Rc<Rules>>, edge: Rc<Store>, shelf: Rc<Shelf>) -> Rc<Self> {
        let ahead = Rc::new(Cell::new(0));
        let tier = |name, store| tier::FakeTier { name, store, world: world.clone() };
        Rc::new(Self {
            memory: RefCell::new(Memory::new(config.memory)),
            breakers: RefCell::default(),
            tiers: [tier(TierName::Edge, edge.clone()), tier(TierName::Kv, world.kv.clone())],
            ledger: ledger::FakeLedger {
                world: world.clone(),
                rules: rules.clone().unwrap_or_else(|| Rc::new(compiled().clone())),
                tokens: config.tokens.clone(),
                ahead: ahead.clone(),
            },
            snapshots: isolate::FakeSnapshots { world: world.clone(), own: RefCell::default(), shelf: shelf.clone() },
            flights: isolate::FakeFlights {
                world: world.clone(),
                flights: RefCell::default(),
                written: RefCell::default(),
            },
            admissions: admissions::FakeAdmissions::new(world),
            origin: origin::FakeOrigin(world.clone()),
            upstream: RefCell::default(),
            ahead,
            config,
            rules,
            world: world.clone(),
            edge,
            shelf,
        })
    }
}

fn without_leases() -> &'static Rules {
    static RULES: LazyLock<Rules> = LazyLock::new(|| {
        let mut rules = compiled().clone();
        for route in rules.routes.to_mut() {
            if let Disposition::Store(stored) = &mut route.disposition {
                stored.limits.lease = false;
            }
        }
        rules
    });
    &RULES
}

fn config(tenant: &str, settings: &[(&str, &str)]) -> Config {
    let get = |name: &str| {
        if let Some((_, value)) = settings.iter().find(|(other, _)| *other == name) {
            return Some((*value).to_string());
        }
        let value = match name {
            "ACCESS_MODE" => "open",
            "TENANT" => tenant,
            "ORIGIN" => "https://origin.test",
            "HOSTS" => "dash.test localhost",
            "OPERATOR_TOKENS_SHA256" => return Some(validation::digest(TOKEN.as_bytes())),
            "ORIGIN_SECRET" => SECRET,
            "EPOCH_SECRET" => EPOCH_SECRET,
            "WEBHOOKS" => WEBHOOKS,
            "MEMORY_BYTES" => "0",
            _ => return None,
        };
        Some(value.to_string())
    };
    Config::read(compiled(), get).expect("these settings are complete")
}

impl Location {
    /// The questions to the origin that are under way, by key.
    pub fn under_way(&self) -> Vec<(String, u64, u64)> {
        self.flights.under_way_now()
    }

    /// When the ledger was asked for each of the copies of its counters that are here.
    pub fn asked_at(&self) -> Vec<UnixMillis> {
        let own = self.snapshots.own.borrow();
        let shared = self.shelf.texts();
        let shared = shared.iter().filter_map(|text| Snapshot::decode(text)).map(|copy| copy.asked_at);
        own.values().map(|held| held.snapshot.asked_at).chain(shared).collect()
    }
}

/// What this isolate and its data centre hold.
impl Hash for Location {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&*self.edge, self.shelf.texts(), self.flights.under_way_now(), self.flights.written_so_far()).hash(state);
        for (key, head) in self.memory.borrow().heads() {
            (key.as_str(), head.encode()).hash(state);
        }
        for held in self.snapshots.own.borrow().values() {
            (held.snapshot.encode(), held.since.0).hash(state);
        }
    }
}

impl Ports for Location {
    type Body = Bytes;
    type Request = Asking;
    type Tier = tier::FakeTier;
    type Ledger = ledger::FakeLedger;
    type Snapshots = isolate::FakeSnapshots;
    type Flights = isolate::FakeFlights;
    type Admissions = admissions::FakeAdmissions;
    type Origin = origin::FakeOrigin;

    fn now(&self) -> UnixMillis {
        let now = self.world.now().saturating_add_signed(self.ahead.get());
        self.world.gates.saw(now);
        UnixMillis(now)
    }

    async fn sleep(&self, millis: u64) {
        let end = self.world.now() + millis;
        self.world.gates.saw(end);
        self.world.gates.alarm(end);
        until(|| self.world.now() >= end).await;
    }

    fn random(&self) -> u64 {
        u64::MAX - self.world.randomness.get()
    }

    fn request_id(&self) -> String {
        format!("request-{}", self.world.serial())
    }

    fn rules(&self) -> &Rules {
        self.rules.as_deref().unwrap_or_else(|| without_leases())
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn memory<T>(&self, act: impl FnOnce(&mut Memory) -> T) -> T {
        let done = act(&mut self.memory.borrow_mut());
        if self.world.gates.are_closed() {
            for (key, head) in self.memory.borrow().heads() {
                self.world.gates.saw((key.as_str(), head.encode()));
            }
        }
        done
    }

    fn held(&self, bytes: Rc<[u8]>) -> Bytes {
        Bytes { bytes, cut: false, stalls: false }
    }

    fn breakers<T>(&self, act: impl FnOnce(&mut Breakers) -> T) -> T {
        act(&mut self.breakers.borrow_mut())
    }

    fn tiers(&self) -> &[Self::Tier] {
        &self.tiers
    }

    fn ledger(&self) -> &Self::Ledger {
        &self.ledger
    }

    fn snapshots(&self) -> &Self::Snapshots {
        &self.snapshots
    }

    fn flights(&self) -> &Self::Flights {
        &self.flights
    }

    fn admissions(&self) -> &Self::Admissions {
        &self.admissions
    }

    fn origin(&self) -> &Self::Origin {
        &self.origin
    }

    fn copy(&self, body: &Bytes) -> Option<Bytes> {
        Some(body.clone())
    }

    fn upstream<T>(&self, look: impl FnOnce(&mut Upstream) -> T) -> T {
        look(&mut self.upstream.borrow_mut())
    }

    fn record(&self, incident: Incident, _failure: &Failure) {
        self.count(incident);
    }

    fn count(&self, incident: Incident) {
        *self.world.incidents.borrow_mut().entry(incident).or_default() += 1;
    }

    fn incidents(&self) -> Vec<(Incident, u64)> {
        self.world.incidents.borrow().iter().map(|(incident, count)| (*incident, *count)).collect()
    }
}
