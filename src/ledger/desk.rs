//! The desk at which a ledger is called: each call changes the line and the disk together, or nothing.

use super::erase::Erasure;
use super::leases::{Lease, LeaseCall, Leases};
use super::line::{Line, MERGED_MS, Purge};
use super::order::{Declined, Done, Occasion, Order};
use super::outbox::{Kind, Leg, with_legs};
use crate::epoch::{Counters, Epoch, Increment, Mode, Scope};
use crate::key::Tenant;
use crate::meter::Meter;
use crate::names::field;
use crate::ports::Failure;
use crate::reach::Reach;
use crate::refresh::EVERY_MS;
use crate::rules::Rules;
use crate::small::{Map, Set};
use crate::time::{UnixMillis, rfc3339};
use crate::token::TokenSecret;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use serde_json::{Value, json};

/// For so long receipts can be asked for, and a repeat of an event is known, in milliseconds.
pub const REMEMBERED_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Under which name the readers of a tenant are metered, who have keys asked for anew; no token can have it.
const REFRESHES: &str = "refresh:";
/// How many of them in a minute.
const REFRESHES_PER_MINUTE: u32 = 120;

/// So often what is old is forgotten, in milliseconds.
const FORGET_EVERY_MS: u64 = 60 * 60 * 1000;

/// What a ledger keeps on disk. Everything that one call writes becomes durable together, before its answer leaves.
pub trait Disk {
    /// The line, as it was written.
    ///
    /// # Errors
    /// The disk did not answer.
    fn line(&self) -> Result<Option<String>, Failure>;
    /// Writes the line.
    ///
    /// # Errors
    /// The disk did not take it.
    fn write_line(&self, text: &str) -> Result<(), Failure>;
    /// A receipt, by its id.
    ///
    /// # Errors
    /// The disk did not answer.
    fn receipt(&self, id: &str) -> Result<Option<String>, Failure>;
    /// Writes a receipt.
    ///
    /// # Errors
    /// The disk did not take it.
    fn write_receipt(&self, id: &str, at: UnixMillis, text: &str) -> Result<(), Failure>;
    /// The message of this id: its digest, and the id of its receipt.
    ///
    /// # Errors
    /// The disk did not answer.
    fn message(&self, source: &str, id: &str) -> Result<Option<(String, String)>, Failure>;
    /// The id of the receipt of a message of this digest.
    ///
    /// # Errors
    /// The disk did not answer.
    fn message_like(&self, source: &str, digest: &str) -> Result<Option<String>, Failure>;
    /// Writes a message down.
    ///
    /// # Errors
    /// The disk did not take it.
    fn write_message(&self, message: &Message<'_>) -> Result<(), Failure>;
    /// Writes something down that is still to do.
    ///
    /// # Errors
    /// The disk did not take it.
    fn write_leg(&self, leg: &Leg) -> Result<(), Failure>;
    /// Writes down how far it is.
    ///
    /// # Errors
    /// The disk did not take it.
    fn move_leg(&self, leg: &Leg) -> Result<(), Failure>;
    /// What belongs to a receipt, in order.
    ///
    /// # Errors
    /// The disk did not answer.
    fn legs(&self, receipt: &str) -> Result<Vec<Leg>, Failure>;
    /// What is waiting and due by this time, the oldest first, at most so many.
    ///
    /// # Errors
    /// The disk did not answer.
    fn due_legs(&self, by: UnixMillis, at_most: u32) -> Result<Vec<Leg>, Failure>;
    /// When the next of them is due.
    ///
    /// # Errors
    /// The disk did not answer.
    fn next_due(&self) -> Result<Option<UnixMillis>, Failure>;
    /// Forgets receipts, messages and what was done from before this time.
    ///
    /// # Errors
    /// The disk did not do it.
    fn forget(&self, before: UnixMillis) -> Result<(), Failure>;
}

/// A message that was acted upon.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Who sent it.
    pub source: &'a str,
    /// Its id.
    pub id: &'a str,
    /// Of what a repeat must equal.
    pub digest: &'a str,
    /// The id of its receipt.
    pub receipt: &'a str,
    /// When it came.
    pub at: UnixMillis,
}

/// For so long a tenant's ledger goes by what it last heard of the global one, in milliseconds.
pub const GLOBAL_MS: u64 = 60_000;

/// What a ledger knows of its deployment.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Whose ledger it is; nobody's, if it is that of all tenants.
    pub tenant: Option<&'a Tenant>,
    /// The policy.
    pub rules: &'a Rules,
    /// The deployment's own bound on the age of counters.
    pub snapshot_at_most: Option<u64>,
    /// With which its tokens are signed.
    pub tokens: &'a TokenSecret,
    /// Whether the zone's caches can be purged.
    pub has_zone: bool,
}

/// A ledger in memory, as it is on disk.
#[derive(Debug, Default)]
pub struct Desk {
    /// Nothing until it was read, or when a write failed half way.
    line: Option<Line>,
    /// How many purges each token has left.
    meter: Meter,
    /// When a reader last had a key asked for anew, and the receipt of that.
    refreshed: Map<String, (UnixMillis, String)>,
    /// Who asks the origin for what.
    leases: Leases,
    /// When what is old was last forgotten.
    forgot: UnixMillis,
}

impl Desk {
    /// Who asks the origin for what.
    #[must_use]
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The counters, encoded. Whoever knows of a promised position gets it.
    ///
    /// # Errors
    /// The disk failed.
    pub fn counters(&mut self, disk: &impl Disk, now: UnixMillis, at_least: Option<Epoch>) -> Result<String, Failure> {
        let mut line = self.open(disk, now)?;
        if line.settle(now, at_least) {
            disk.write_line(&line.encode())?;
        }
        let counters = line.counters().encode();
        self.line = Some(line);
        Ok(counters)
    }

    /// Does what a location says about the lease of this name; how that stands then, with the counters, encoded.
    ///
    /// # Errors
    /// The disk failed.
    pub fn lease(
        &mut self,
        disk: &impl Disk,
        now: UnixMillis,
        name: &str,
        call: LeaseCall,
    ) -> Result<(Lease, String), Failure> {
        let counters = self.counters(disk, now, None)?;
        let line = self.line.as_ref().map_or(Epoch(0), |line| line.counters().epoch);
        Ok((self.leases.call(name, call, line, now), counters))
    }

    /// Takes over what the global ledger, whose encoded counters these are, purged for all tenants.
    ///
    /// # Errors
    /// The disk failed, or these are no counters.
    pub fn adopt(&mut self, disk: &impl Disk, terms: Terms<'_>, global: &str, now: UnixMillis) -> Result<(), Failure> {
        let global =
            Counters::decode(global).ok_or_else(|| Failure("the global counters cannot be read".to_string()))?;
        let mut line = self.open(disk, now)?;
        let window = Reach::of(terms.rules, &Scope::Tenant, terms.snapshot_at_most).window;
        if line.adopt(&global, window, now) {
            disk.write_line(&line.encode())?;
        }
        self.line = Some(line);
        Ok(())
    }

    /// Lists the tenant again, or takes it off the list.
    ///
    /// # Errors
    /// The disk failed.
    pub fn list(&mut self, disk: &impl Disk, tenant: &str, is_listed: bool, now: UnixMillis) -> Result<(), Failure> {
        let mut line = self.open(disk, now)?;
        if is_listed && line.counters().is_delisted {
            // Meanwhile purges were refused, so nobody knows what of its copies is out of date.
            _ = line.purge(vec![Purge { mode: Mode::Hard, scope: Scope::Tenant, window: 0 }], now);
        }
        line.list(is_listed);
        disk.write_line(&line.encode())?;
        disk.write_leg(&Leg::new("", Kind::List, tenant.to_string(), now, 0))?;
        self.line = Some(line);
        Ok(())
    }

    /// Purges, and makes out the receipt under this id.
    ///
    /// # Errors
    /// The disk failed; what of the order is on disk then purges too much at worst.
    pub fn order(
        &mut self,
        disk: &impl Disk,
        terms: Terms<'_>,
        order: &Order,
        id: &str,
        now: UnixMillis,
    ) -> Result<Result<Done, Declined>, Failure> {
        match &order.occasion {
            Occasion::Call { by, per_minute } => {
                if let Err(retry_after) = self.meter.spend(by, *per_minute, now) {
                    return Ok(Err(Declined::TooMany { retry_after }));
                }
            }
            Occasion::Event { source, id, digest, by_digest, .. } => {
                let before = match disk.message(source, id)? {
                    Some((other, _)) if other != *digest => return Ok(Err(Declined::Conflict)),
                    Some((_, receipt)) => Some(receipt),
                    None if *by_digest => disk.message_like(source, digest)?,
                    None => None,
                };
                let before = before.map(|id| self.receipt(disk, &id)).transpose()?.flatten();
                if let Some(receipt) = before {
                    let counters = self.counters(disk, now, None)?;
                    return Ok(Ok(Done { receipt, is_repeat: true, counters }));
                }
            }
            Occasion::Write => {}
            Occasion::Refresh => {
                self.refreshed.retain(|_, (at, _)| now.0.abs_diff(at.0) < EVERY_MS);
                let before = self.refreshed.get(&order.encode()).map(|(_, receipt)| receipt.clone());
                if let Some(receipt) = before {
                    let counters = self.counters(disk, now, None)?;
                    return Ok(Ok(Done { receipt, is_repeat: true, counters }));
                }
                if let Err(retry_after) = self.meter.spend(REFRESHES, REFRESHES_PER_MINUTE, now) {
                    return Ok(Err(Declined::TooMany { retry_after }));
                }
            }
        }
        let mut line = self.open(disk, now)?;
        if line.counters().is_delisted && order.mode != Mode::Erase {
            self.line = Some(line);
            return Ok(Err(Declined::NotListed));
        }
        let reach = |scope: &Scope| Reach::of(terms.rules, scope, terms.snapshot_at_most);
        let purges = order.scopes.iter().map(|scope| Purge {
            mode: order.mode,
            scope: scope.clone(),
            window: reach(scope).window,
        });
        let increment = line.purge(purges.collect(), now);
        let receipt = receipt(terms, order, id, increment).to_string();
        let delists = matches!(order.occasion, Occasion::Event { delists: true, .. });
        if delists {
            line.list(false);
        }
        disk.write_line(&line.encode())?;
        disk.write_receipt(id, now, &receipt)?;
        for leg in legs(terms, order, id, increment, now) {
            disk.write_leg(&leg)?;
        }
        if let Occasion::Event { source, id: message, digest, .. } = &order.occasion {
            disk.write_message(&Message { source, id: message, digest, receipt: id, at: now })?;
        }
        let counters = line.counters().encode();
        self.line = Some(line);
        self.forget(disk, now)?;
        let receipt = self.receipt(disk, id)?.unwrap_or(receipt);
        if order.occasion == Occasion::Refresh {
            self.refreshed.insert(order.encode(), (now, receipt.clone()));
        }
        Ok(Ok(Done { receipt, is_repeat: false, counters }))
    }

    /// A receipt, with how far it is with what is still to do.
    ///
    /// # Errors
    /// The disk failed.
    pub fn receipt(&self, disk: &impl Disk, id: &str) -> Result<Option<String>, Failure> {
        let Some(receipt) = disk.receipt(id)? else { return Ok(None) };
        Ok(Some(with_legs(&receipt, &disk.legs(id)?).unwrap_or(receipt)))
    }

    /// Forgets what is old, if that was not done lately.
    ///
    /// # Errors
    /// The disk failed.
    pub fn forget(&mut self, disk: &impl Disk, now: UnixMillis) -> Result<(), Failure> {
        if now.0.abs_diff(self.forgot.0) > FORGET_EVERY_MS {
            disk.forget(UnixMillis(now.0.saturating_sub(REMEMBERED_MS)))?;
            self.forgot = now;
        }
        Ok(())
    }

    /// Whether the tenant is listed.
    ///
    /// # Errors
    /// The disk failed.
    pub fn is_listed(&mut self, disk: &impl Disk, now: UnixMillis) -> Result<bool, Failure> {
        let line = self.open(disk, now)?;
        Ok(!self.line.insert(line).counters().is_delisted)
    }

    /// The line as it is on disk. It is taken out: if a write fails, what is on disk decides.
    fn open(&mut self, disk: &impl Disk, now: UnixMillis) -> Result<Line, Failure> {
        if let Some(line) = self.line.take() {
            return Ok(line);
        }
        let Some(text) = disk.line()? else {
            let line = Line::begin(now);
            disk.write_line(&line.encode())?;
            return Ok(line);
        };
        Line::decode(&text).ok_or_else(|| Failure("the ledger on disk cannot be read".to_string()))
    }
}

/// What is still to do when an order has been answered.
fn legs(terms: Terms<'_>, order: &Order, id: &str, increment: Increment, now: UnixMillis) -> Vec<Leg> {
    let Some(tenant) = terms.tenant else { return Vec::new() };
    // Before the increment has happened, there is nothing new for anybody to find.
    let wait = increment.at.0.saturating_sub(now.0);
    let mut legs = Vec::new();
    // A reader's wish is not worth a call of the zone's, of which there are few.
    if terms.has_zone && order.occasion != Occasion::Refresh {
        let mut tags = format!("{}{}", field::COUNTERS_TAG, tenant.as_str());
        if order.mode == Mode::Erase {
            tags.push(' ');
            tags.push_str(field::DATA_TAG);
            tags.push_str(tenant.as_str());
        }
        legs.push(Leg::new(id, Kind::Zone, tags, now, wait));
    }
    if order.mode == Mode::Erase {
        let erasure = Erasure::begin(increment.epoch, order.scopes.iter().cloned().collect());
        legs.push(Leg::new(id, Kind::Erase, erasure.encode(), now, wait));
    }
    if matches!(order.occasion, Occasion::Event { delists: true, .. }) {
        legs.push(Leg::new(id, Kind::List, tenant.as_str().to_string(), now, 0));
    }
    legs
}

/// What is promised: from when on nothing older is served, by the edge and by what it gave to browsers.
fn receipt(terms: Terms<'_>, order: &Order, id: &str, increment: Increment) -> Value {
    // What is purged for all tenants arrives at their ledgers first.
    let on_the_way = if terms.tenant.is_some() { 0 } else { GLOBAL_MS.saturating_add(MERGED_MS) };
    let arrived = increment.at.0.saturating_add(on_the_way);
    let (mut classes, mut reach) = (serde_json::Map::new(), Reach::default());
    for class in terms.rules.classes.iter() {
        let scopes = order.scopes.iter();
        let of_class = scopes.filter_map(|scope| Reach::in_class(terms.rules, scope, class, terms.snapshot_at_most));
        if let Some(of_class) = of_class.reduce(Reach::and) {
            let effective = UnixMillis(arrived.saturating_add(of_class.effective(order.mode)));
            _ = classes.insert(class.name.to_string(), rfc3339(effective).into());
            reach = reach.and(of_class);
        }
    }
    let effective = UnixMillis(arrived.saturating_add(reach.effective(order.mode)));
    let beyond = UnixMillis(effective.0.saturating_add(u64::from(reach.browser).saturating_mul(1000)));
    let mut receipt = json!({
        "id": id,
        "tenant": terms.tenant.map_or("*", Tenant::as_str),
        "mode": order.mode.as_str(),
        "epoch": increment.epoch,
        "token": terms.tenant.map(|tenant| terms.tokens.sign(tenant, increment.epoch)),
        "incremented_at": rfc3339(increment.at),
        "effective_by": rfc3339(effective),
        "effective_by_class": classes,
        "beyond_by": rfc3339(beyond),
        "purged": purged(&order.scopes),
    });
    if let (Occasion::Event { source, id, .. }, Value::Object(members)) = (&order.occasion, &mut receipt) {
        _ = members.insert("event".to_string(), json!({ "source": source, "id": id }));
    }
    receipt
}

/// What scopes cover, by name; tags by their marks.
#[must_use]
pub fn purged(scopes: &Set<Scope>) -> Value {
    let mut purged = serde_json::Map::new();
    for scope in scopes.iter() {
        let (kind, name) = match scope {
            Scope::Tenant => ("all", ""),
            Scope::Class(name) => ("classes", name.as_str()),
            Scope::Route(name) => ("routes", name.as_str()),
            Scope::Key { key, .. } => ("keys", key.as_str()),
            Scope::Tag(mark) => ("tags", mark.as_str()),
        };
        match purged.get_mut(kind) {
            Some(Value::Array(names)) => names.push(name.into()),
            _ if *scope == Scope::Tenant => _ = purged.insert(kind.to_string(), true.into()),
            _ => _ = purged.insert(kind.to_string(), vec![Value::from(name)].into()),
        }
    }
    Value::Object(purged)
}
