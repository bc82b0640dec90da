//! Snapshots: a reader's copy of a ledger's counters, so that a hit costs no question to the ledger.
//!
//! A snapshot is as old as the question that brought it, and that age never starts anew: not when another isolate
//! takes it over, not when it is put somewhere. What it may judge follows from its age alone ([`Bounds`]), and so
//! does by when a purge is in force everywhere, whatever was deleted, put back or lost on the way.

use crate::epoch::{Counters, Epoch};
use crate::key::Tenant;
use crate::ports::{Failure, Incident, Ledger as _, Ports, Snapshots as _, Told, within};
use crate::rules::{Lifetimes, Seconds};
use crate::stores::{Call, asked};
use crate::time::UnixMillis;
use alloc::rc::Rc;
use alloc::string::{String, ToString as _};

/// A copy of a tenant's counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What the ledger said.
    pub counters: Counters,
    /// When it was asked.
    pub asked_at: UnixMillis,
}

impl Snapshot {
    /// As the data centre's copy is written: when the ledger was asked, and what it said.
    #[must_use]
    pub fn encode(&self) -> String {
        format!("{}\n{}", self.asked_at.0, self.counters.encode())
    }

    /// Reads what [`Snapshot::encode`] wrote. Anything else is nothing.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let (asked_at, counters) = text.split_once('\n')?;
        Some(Self { counters: Counters::decode(counters)?, asked_at: UnixMillis(asked_at.parse().ok()?) })
    }

    /// Its age in milliseconds. One from the future, by a clock that ran back, is as old as can be.
    #[must_use]
    pub fn age(&self, now: UnixMillis) -> u64 {
        now.0.checked_sub(self.asked_at.0).unwrap_or(u64::MAX)
    }

    /// Whether it says more than another one.
    #[must_use]
    pub fn is_later_than(&self, other: &Self) -> bool {
        (self.counters.epoch, self.asked_at) > (other.counters.epoch, other.asked_at)
    }
}

/// An isolate's own copy, and since when it has had it.
#[derive(Debug, Clone)]
pub struct Held {
    /// The copy.
    pub snapshot: Rc<Snapshot>,
    /// When it was asked for or taken over.
    pub since: UnixMillis,
}

/// How old counters may be that judge a class's answers, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// For so long an isolate uses its own copy without a look at the data centre's.
    pub isolate: u64,
    /// The greatest age.
    pub bound: u64,
    /// From this age on it is renewed behind the answer.
    pub behind: u64,
}

impl Bounds {
    /// A class's, but no longer than the deployment says.
    #[must_use]
    pub fn of(lifetimes: &Lifetimes, at_most: Option<u64>) -> Self {
        let at_most = at_most.unwrap_or(u64::MAX);
        let millis = |seconds: u32| u64::from(seconds).saturating_mul(1000).min(at_most);
        let bounds = lifetimes.snapshot;
        let bound = millis(bounds.bound);
        Self { isolate: millis(bounds.isolate), bound, behind: bounds.behind.map_or(bound, millis) }
    }
}

/// For so long a reader waits for the ledger's counters, in milliseconds.
pub const ASKED_MS: u64 = 2000;

/// For so long a data centre's copy is kept, in seconds: no class may use an older one.
pub const KEPT: Seconds = 3600;

/// At most one renewal in this time, per isolate, is caused by tokens and by heads that are newer than the copy.
pub const URGED_MS: u64 = 250;

/// What a request is judged by.
#[derive(Debug, Clone)]
pub struct Judge {
    /// The copy.
    pub snapshot: Rc<Snapshot>,
    /// Whether its age is within the bound. If it is not, the ledger could not be asked.
    pub within: bool,
    /// What is to be done with it behind the answer.
    pub then: Then,
}

/// What is to be done with a snapshot when the answer is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// It is getting old: the next one is asked for.
    Renew,
    /// It came from the ledger: the other isolates of this data centre get it.
    Share,
}

impl Judge {
    fn within(snapshot: &Rc<Snapshot>, age: u64, bounds: Bounds) -> Self {
        let then = if age > bounds.behind { Then::Renew } else { Then::Nothing };
        Self { snapshot: snapshot.clone(), within: true, then }
    }
}

/// The counters for a request: the isolate's own copy, the data centre's, or the ledger's.
///
/// `newer_than` is a position that the counters must have reached; a copy that has not counts as too old.
pub async fn judge<P: Ports>(ports: &P, tenant: &Tenant, bounds: Bounds, newer_than: Option<Epoch>) -> Option<Judge> {
    let reached = |snapshot: &Snapshot| newer_than.is_none_or(|position| snapshot.counters.epoch >= position);
    let recent = |Held { snapshot, since }: Held| {
        let now = ports.now();
        let recent = now.0.checked_sub(since.0).is_some_and(|held| held <= bounds.isolate);
        let judges = recent && snapshot.age(now) <= bounds.bound && reached(&snapshot);
        judges.then(|| Judge::within(&snapshot, snapshot.age(now), bounds))
    };
    if let Some(judge) = ports.snapshots().own(tenant).and_then(recent) {
        return Some(judge);
    }
    let shared = asked(ports, Call::SnapshotGet, ports.snapshots().shared(tenant)).await.flatten();
    // Looked at only now: another request may have asked meanwhile.
    let known = match (shared, ports.snapshots().own(tenant)) {
        (Some(shared), Some(own)) if !shared.is_later_than(&own.snapshot) => Some(own.snapshot),
        (Some(shared), _) => Some(Rc::new(shared)),
        (None, own) => own.map(|own| own.snapshot),
    };
    if let Some(snapshot) = known.as_ref().filter(|snapshot| reached(snapshot)) {
        let age = snapshot.age(ports.now());
        if age <= bounds.bound {
            keep(ports, tenant, snapshot);
            return Some(Judge::within(snapshot, age, bounds));
        }
    }
    let asked_lately = |known: &Rc<Snapshot>| URGED_MS.checked_sub(known.age(ports.now()));
    if let Some(pause) = newer_than.and(known.as_ref()).and_then(asked_lately) {
        ports.sleep(pause).await;
        if let Some(judge) = ports.snapshots().own(tenant).and_then(recent) {
            return Some(judge);
        }
    }
    let renewed = renew(ports, tenant, bounds, newer_than).await;
    renewed.or_else(|| known.map(|snapshot| Judge { snapshot, within: false, then: Then::Nothing }))
}

/// Asks the ledger, and keeps what it says here. Requests that ask at the same time share one question.
pub async fn renew<P: Ports>(ports: &P, tenant: &Tenant, bounds: Bounds, at_least: Option<Epoch>) -> Option<Judge> {
    let told = within(ports, ASKED_MS, ports.ledger().counters(tenant, at_least)).await;
    match told.unwrap_or_else(|| Err(Failure("the ledger took too long".to_string()))) {
        Ok(Told { snapshot, first }) => {
            let snapshot = Rc::new(snapshot);
            keep(ports, tenant, &snapshot);
            let within = snapshot.age(ports.now()) <= bounds.bound;
            Some(Judge { snapshot, within, then: if first { Then::Share } else { Then::Nothing } })
        }
        Err(failure) => {
            ports.record(Incident::Ledger, &failure);
            None
        }
    }
}

/// Keeps a copy in this isolate, unless the one that it has says more.
pub fn keep<P: Ports>(ports: &P, tenant: &Tenant, snapshot: &Rc<Snapshot>) {
    let own = ports.snapshots().own(tenant);
    if own.is_none_or(|own| !own.snapshot.is_later_than(snapshot)) {
        ports.snapshots().keep(tenant, Held { snapshot: snapshot.clone(), since: ports.now() });
    }
}

/// Puts a copy where the other isolates of this data centre find it, unless the one there says more. Two that do so
/// at once may leave the older one; it is as old as it says.
pub async fn share<P: Ports>(ports: &P, tenant: &Tenant, snapshot: &Snapshot) {
    let Some(there) = asked(ports, Call::SnapshotGet, ports.snapshots().shared(tenant)).await else { return };
    if there.is_none_or(|there| snapshot.is_later_than(&there)) {
        _ = asked(ports, Call::SnapshotPut, ports.snapshots().share(tenant, snapshot)).await;
    }
}
