//! What the path needs from outside: time, stores, the ledger, the origin. The shell implements it on the
//! Workers runtime, the tests on fakes with a virtual clock.
//!
//! Futures here never leave their thread, and each belongs to one request.

#![expect(async_fn_in_trait, reason = "a Worker has one thread: no caller needs to ask for Send")]

use crate::access::jwks::{Key, Keys};
use crate::access::{Fingerprint, KnownListing, Reader};
use crate::config::Config;
use crate::entry::{Head, StoredResponse};
use crate::epoch::Epoch;
use crate::fill::Fetched;
use crate::key::{CacheKey, Tenant};
use crate::ledger::leases::{Lease, LeaseCall};
use crate::ledger::order::{Declined, Done, Order};
use crate::memory::Memory;
use crate::rules::{Rules, Seconds, Text};
use crate::snapshot::{Held, Snapshot};
use crate::stores::{Breakers, Call};
use crate::time::UnixMillis;
use crate::upstream::Upstream;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::pin::pin;
use futures::future::{Either, select};

/// A header field: its name in lower case, and its value.
pub type Field = (Text, String);

/// Everything that the path needs for one request.
pub trait Ports {
    /// A body that has not been read.
    type Body;
    /// The client's request.
    type Request: Request;
    /// One of the stores.
    type Tier: Tier<Body = Self::Body>;
    /// The ledgers of all tenants.
    type Ledger: Ledger;
    /// The copies of their counters.
    type Snapshots: Snapshots;
    /// What is being asked in this isolate.
    type Flights: Flights;
    /// Who was admitted in it.
    type Admissions: Admissions;
    /// Where the answers come from.
    type Origin: Origin<Body = Self::Body, Request = Self::Request>;

    /// The time. It may stand still between two awaits.
    fn now(&self) -> UnixMillis;
    /// Waits for so many milliseconds.
    async fn sleep(&self, millis: u64);
    /// Any number.
    fn random(&self) -> u64;
    /// A name for this request that no other has.
    fn request_id(&self) -> String;
    /// The policy.
    fn rules(&self) -> &Rules;
    /// The settings.
    fn config(&self) -> &Config;
    /// This isolate's memory.
    fn memory<T>(&self, act: impl FnOnce(&mut Memory) -> T) -> T;
    /// A body that memory holds.
    fn held(&self, bytes: Rc<[u8]>) -> Self::Body;
    /// Which calls of the stores have failed lately in this isolate.
    fn breakers<T>(&self, act: impl FnOnce(&mut Breakers) -> T) -> T;
    /// The stores, the nearest first.
    fn tiers(&self) -> &[Self::Tier];
    /// The ledger.
    fn ledger(&self) -> &Self::Ledger;
    /// The copies of the ledgers' counters.
    fn snapshots(&self) -> &Self::Snapshots;
    /// What is being asked.
    fn flights(&self) -> &Self::Flights;
    /// Who was admitted.
    fn admissions(&self) -> &Self::Admissions;
    /// The origin.
    fn origin(&self) -> &Self::Origin;
    /// A second copy of a body, if it can be had without reading it.
    fn copy(&self, body: &Self::Body) -> Option<Self::Body>;
    /// What is under way to the origin in this isolate, to be looked at or changed.
    fn upstream<T>(&self, look: impl FnOnce(&mut Upstream) -> T) -> T;
    /// Counts what went wrong without failing the request.
    fn count(&self, incident: Incident);
    /// The same, and writes it to the log.
    fn record(&self, incident: Incident, failure: &Failure);
    /// What was counted so far in this isolate.
    fn incidents(&self) -> Vec<(Incident, u64)>;
}

/// The client's request, as far as it is looked at before its body.
pub trait Request {
    /// The method as it was sent.
    fn method(&self) -> &str;
    /// The absolute URL.
    fn url(&self) -> &str;
    /// A field's value, its lines joined by commas.
    fn header(&self, name: &str) -> Option<String>;
    /// The names of all its header fields, in lower case.
    fn header_names(&self) -> Vec<String>;
    /// Reads the body, unless it is longer than `at_most` bytes.
    ///
    /// # Errors
    /// The client went away or sent something else than it had declared.
    async fn read(self, at_most: usize) -> Result<Option<Vec<u8>>, Failure>;
}

/// One of the places where answers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TierName {
    /// The memory of this isolate.
    Memory,
    /// The Cache API of this data centre.
    Edge,
    /// Workers KV, everywhere.
    Kv,
}

impl TierName {
    /// All of them, the nearest first.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Edge, Self::Kv];

    /// The word for header, log and metric.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Edge => "edge",
            Self::Kv => "kv",
        }
    }
}

/// A store. What it cannot do is a [`Failure`], and to the path a miss.
pub trait Tier {
    /// A body that has not been read.
    type Body;
    /// Which one it is.
    fn name(&self) -> TierName;
    /// The stored response under a key. Something that is not one of ours is nothing.
    ///
    /// # Errors
    /// The store did not answer.
    async fn get(&self, key: &CacheKey) -> Result<Option<StoredResponse<Self::Body>>, Failure>;
    /// Keeps a response for `keep` seconds. `encoded` is its head, encoded.
    ///
    /// # Errors
    /// The store did not take it, or did not say so.
    async fn put(
        &self,
        key: &CacheKey,
        head: &Head,
        encoded: &str,
        body: Body<Self::Body>,
        keep: Seconds,
    ) -> Result<(), Failure>;
}

/// What a ledger said about its counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The counters, and when the question was asked.
    pub snapshot: Snapshot,
    /// Whether it was this request's own question, and not one that it shared.
    pub first: bool,
}

/// The ledger of each tenant.
pub trait Ledger {
    /// The counters as they are, having reached `at_least` if that was ever promised. Requests of one isolate that ask
    /// at the same time may share a question.
    ///
    /// # Errors
    /// The ledger did not answer.
    async fn counters(&self, tenant: &Tenant, at_least: Option<Epoch>) -> Result<Told, Failure>;
    /// Says something about the lease of a name; how that stands then, and the counters.
    ///
    /// # Errors
    /// The ledger did not answer.
    async fn lease(&self, tenant: &Tenant, name: &CacheKey, call: LeaseCall) -> Result<(Lease, Snapshot), Failure>;
    /// Gives a lease back, behind the answer. What was fetched under it is handed on, if others wait for it.
    fn hand_back(&self, tenant: &Tenant, name: &CacheKey, id: u64, fetched: Option<&Fetched>);
    /// Gives it an order. What it did is on disk when this returns.
    ///
    /// # Errors
    /// The ledger did not answer; whether it did what it was told is not known.
    async fn order(&self, tenant: &Tenant, order: &Order) -> Result<Result<Done, Declined>, Failure>;
    /// Gives an order to the ledger of all tenants.
    ///
    /// # Errors
    /// That ledger did not answer; whether it did what it was told is not known.
    async fn order_everywhere(&self, order: &Order) -> Result<Result<Done, Declined>, Failure>;
    /// Lists the tenant again, or takes it off the list.
    ///
    /// # Errors
    /// The ledger did not answer.
    async fn list(&self, tenant: &Tenant, is_listed: bool) -> Result<(), Failure>;
    /// Whether the tenant is on the list of all tenants. Requests of one isolate that ask at the same time may share a
    /// question.
    ///
    /// # Errors
    /// The ledger of all tenants did not answer.
    async fn is_listed(&self, tenant: &Tenant) -> Result<bool, Failure>;
    /// A receipt, as JSON, by its id: of a tenant's ledger, or of that of all tenants.
    ///
    /// # Errors
    /// The ledger did not answer.
    async fn receipt(&self, tenant: Option<&Tenant>, id: &str) -> Result<Option<String>, Failure>;
}

/// Copies of the ledgers' counters: this isolate's own, and those of its data centre.
pub trait Snapshots {
    /// This isolate's copy.
    fn own(&self, tenant: &Tenant) -> Option<Held>;
    /// Makes this the isolate's copy.
    fn keep(&self, tenant: &Tenant, held: Held);
    /// The data centre's copy.
    ///
    /// # Errors
    /// The store did not answer.
    async fn shared(&self, tenant: &Tenant) -> Result<Option<Snapshot>, Failure>;
    /// Makes this the data centre's copy.
    ///
    /// # Errors
    /// The store did not take it.
    async fn share(&self, tenant: &Tenant, snapshot: &Snapshot) -> Result<(), Failure>;
}

/// A question under way in this isolate.
#[derive(Debug, Clone)]
pub struct InFlight<H> {
    /// The position that was read before it was asked.
    pub epoch: Epoch,
    /// Since when.
    pub since: UnixMillis,
    /// For how long at most, in milliseconds.
    pub lasts: u64,
    /// By which to wait for it.
    pub handle: H,
}

/// How a question ended.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "one is made for each question")]
pub enum Landing {
    /// With an answer to be stored.
    Answer(Fetched),
    /// Whoever wants an answer asks for itself: this one is not to be stored, or the origin is not asked at present.
    Released,
    /// Without one, or another one asks from here on: one of those who want one leads, and the others follow it.
    Failed,
}

/// The questions under way in this isolate, the last one of each key; and what it last wrote to Workers KV.
pub trait Flights {
    /// By which one of them is known.
    type Handle;
    /// The one of this key.
    fn under_way(&self, key: &CacheKey) -> Option<InFlight<Self::Handle>>;
    /// One begins, which lasts so many milliseconds at most. It goes on when its request's client goes away.
    fn take_off(&self, key: &CacheKey, epoch: Epoch, now: UnixMillis, lasts: u64) -> Self::Handle;
    /// It ends. Whoever waits for it hears of it; and of an answer also who waits for the last one of this key, if that
    /// was read at no later position.
    fn land(&self, key: &CacheKey, handle: Self::Handle, landing: Landing);
    /// Waits for its end. That of one whose request was ended by the runtime may never come.
    async fn landed(&self, handle: Self::Handle) -> Landing;
    /// What was last written under this key, as far as it is remembered.
    fn written(&self, key: &CacheKey) -> Option<Head>;
    /// Remembers it, as long as there is room, or forgets it.
    fn write_down(&self, key: &CacheKey, written: Option<Head>);
}

/// What an isolate remembers of those whom it admitted, and of what admits them.
pub trait Admissions {
    /// Whose a credential of this fingerprint was found to be.
    fn seen(&self, fingerprint: &Fingerprint) -> Option<Rc<Reader>>;
    /// Remembers it, for as long as there is room.
    fn remember(&self, fingerprint: Fingerprint, reader: Rc<Reader>);
    /// What was last said about a tenant.
    fn listing(&self, tenant: &Tenant) -> Option<KnownListing>;
    /// Remembers it.
    fn keep_listing(&self, tenant: &Tenant, listing: KnownListing);
    /// What is known of the issuer's keys.
    fn keys(&self) -> Keys;
    /// Remembers it.
    fn keep_keys(&self, keys: Keys);
    /// Whether a request of this isolate is asking for them at the moment.
    fn is_asking_for_keys(&self) -> bool;
    /// Asks for the issuer's keys, no cache between. Requests that ask at the same time share a question.
    ///
    /// # Errors
    /// There was no answer, or one of another status than 200.
    async fn ask_for_keys(&self, url: &str) -> Result<String, Failure>;
    /// Whether this key made that signature by RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, section 3.3).
    ///
    /// # Errors
    /// The key cannot be used.
    async fn verify_rs256(&self, key: &Key, signed: &[u8], signature: &[u8]) -> Result<bool, Failure>;
    /// Takes one of so many in a minute from somebody.
    ///
    /// # Errors
    /// There is none left; in how many seconds there is.
    fn spend(&self, who: &str, per_minute: u32, now: UnixMillis) -> Result<(), u32>;
}

/// Waits for something, but no longer than so many milliseconds.
pub async fn within<P: Ports, T>(ports: &P, millis: u64, future: impl Future<Output = T>) -> Option<T> {
    match select(pin!(future), pin!(ports.sleep(millis))).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(((), _)) => None,
    }
}

/// The origin.
pub trait Origin {
    /// A body that has not been read.
    type Body;
    /// The client's request.
    type Request;
    /// What it answers.
    type Response: Response<Body = Self::Body>;
    /// Asks by GET, with these header fields and no others of ours. Follows no redirect, asks no cache. The body comes
    /// `as_encoded` (RFC 9110, section 8.4), or else decoded. Whoever does not wait for it ends the exchange.
    ///
    /// # Errors
    /// There was no answer.
    async fn fetch(&self, url: &str, fields: &[Field], as_encoded: bool) -> Result<Self::Response, Failure>;
    /// Sends the client's request on as it stands, body and upgrade included, but for the edits.
    ///
    /// # Errors
    /// There was no answer.
    async fn forward(&self, request: Self::Request, url: &str, edits: &Edits) -> Result<Self::Response, Failure>;
    /// Reads a body, unless it is longer than `at_most` bytes: then it is handed back whole, unread.
    ///
    /// # Errors
    /// It was cut short, or is not as long as was declared.
    async fn read(&self, body: Self::Body, at_most: usize) -> Result<Read<Self::Body>, Failure>;
    /// The same, of a body that is still on its way: nothing, if it pauses for more than `pause` milliseconds. Whoever
    /// does not wait for its end ends the exchange.
    ///
    /// # Errors
    /// It was cut short, or is not as long as was declared.
    async fn receive(&self, body: Self::Body, at_most: usize, pause: u64) -> Result<Option<Read<Self::Body>>, Failure>;
}

/// An answer of the origin whose body has not been read.
pub trait Response {
    /// A body that has not been read.
    type Body;
    /// The status code.
    fn status(&self) -> u16;
    /// Whether the connection speaks another protocol now.
    fn is_upgraded(&self) -> bool;
    /// A field's value, its lines joined by commas.
    fn header(&self, name: &str) -> Option<String>;
    /// All header fields, their names in lower case. Set-Cookie alone may be there more than once.
    fn fields(&self) -> Vec<(String, String)>;
    /// The body.
    fn into_body(self) -> Self::Body;
}

/// A body that was to be read.
#[derive(Debug)]
pub enum Read<B> {
    /// Here it is.
    Whole(Vec<u8>),
    /// It is longer than was allowed; nothing of it is lost.
    Longer(B),
}

/// A body on its way out.
#[derive(Debug)]
pub enum Body<B> {
    /// None.
    Empty,
    /// In memory.
    Bytes(Rc<[u8]>),
    /// Passed on unread.
    Stream(B),
}

/// What is changed in the header fields of a message that is otherwise passed on as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    /// Taken out, by name.
    pub remove: Vec<Text>,
    /// Put in the place of whatever stood there.
    pub set: Vec<Field>,
}

/// Why something outside did not answer. For the log, never for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub String);

/// What can go wrong outside without failing the request. One word for log, health and metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Incident {
    /// A tier did not answer a lookup.
    Get(TierName),
    /// A tier did not take an entry.
    Put(TierName),
    /// A body is not the one that its head was written for.
    Corrupt(TierName),
    /// A store has failed again and again and was not asked.
    Skipped(Call),
    /// Since now a store is not asked any more, or is asked again.
    Breaker(Call),
    /// The ledger did not answer.
    Ledger,
    /// It did not say who asks the origin.
    Lease,
    /// The data centre's copy of the counters could not be read or put.
    Snapshot,
    /// The origin did not answer, or not whole.
    Origin,
    /// The origin did not answer, and was asked once more.
    Retry,
    /// A class's questions to the origin are held back, or no longer.
    OriginBreaker,
    /// The keys by which credentials are verified could not be had or used.
    Keys,
}

impl Incident {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get(TierName::Edge) => "edge_get_failed",
            Self::Get(TierName::Kv) => "kv_get_failed",
            Self::Put(TierName::Edge) => "edge_put_failed",
            Self::Put(TierName::Kv) => "kv_put_failed",
            Self::Corrupt(TierName::Edge) => "edge_body_corrupt",
            Self::Corrupt(TierName::Kv) => "kv_body_corrupt",
            Self::Skipped(Call::Get(TierName::Edge)) => "edge_get_skipped",
            Self::Skipped(Call::Get(TierName::Kv)) => "kv_get_skipped",
            Self::Skipped(Call::Put(TierName::Edge)) => "edge_put_skipped",
            Self::Skipped(Call::Put(TierName::Kv)) => "kv_put_skipped",
            Self::Skipped(Call::SnapshotGet) => "snapshot_get_skipped",
            Self::Skipped(Call::SnapshotPut) => "snapshot_put_skipped",
            Self::Breaker(Call::Get(TierName::Edge)) => "edge_get_breaker",
            Self::Breaker(Call::Get(TierName::Kv)) => "kv_get_breaker",
            Self::Breaker(Call::Put(TierName::Edge)) => "edge_put_breaker",
            Self::Breaker(Call::Put(TierName::Kv)) => "kv_put_breaker",
            Self::Breaker(Call::SnapshotGet) => "snapshot_get_breaker",
            Self::Breaker(Call::SnapshotPut) => "snapshot_put_breaker",
            // Memory is not asked in a way that could fail.
            Self::Get(TierName::Memory)
            | Self::Put(TierName::Memory)
            | Self::Corrupt(TierName::Memory)
            | Self::Skipped(Call::Get(TierName::Memory) | Call::Put(TierName::Memory))
            | Self::Breaker(Call::Get(TierName::Memory) | Call::Put(TierName::Memory)) => "memory_failed",
            Self::Ledger => "ledger_failed",
            Self::Lease => "lease_failed",
            Self::Snapshot => "snapshot_failed",
            Self::Origin => "origin_failed",
            Self::Retry => "origin_retried",
            Self::OriginBreaker => "origin_breaker",
            Self::Keys => "keys_failed",
        }
    }
}
