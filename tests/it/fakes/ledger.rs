//! The ledgers: the production code of a Durable Object on a disk in memory, and what can be wrong with the way to it.

use super::{Point, World};
use crate::tasks::until;
use hotrod_edge::epoch::{Counters, Epoch};
use hotrod_edge::fill::Fetched;
use hotrod_edge::key::{CacheKey, Tenant};
use hotrod_edge::ledger::desk::{Desk, Disk, GLOBAL_MS, Message, Terms};
use hotrod_edge::ledger::leases::{Lease, LeaseCall, decode_call, decode_lease, encode_call, encode_lease};
use hotrod_edge::ledger::order::{Declined, Done, Order, decode_answer, encode_answer};
use hotrod_edge::ledger::outbox::{Leg, State};
use hotrod_edge::ports::{Failure, Ledger, Told};
use hotrod_edge::rules::Rules;
use hotrod_edge::snapshot::Snapshot;
use hotrod_edge::time::UnixMillis;
use hotrod_edge::token::TokenSecret;
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// What is wrong with the ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LedgerFault {
    #[default]
    None,
    /// No answer to anything.
    Fails,
    /// An order is carried out, and no answer to it arrives.
    AnswerLost,
    /// It does not answer, and does not say so either.
    Hangs,
    /// It takes a second and a half.
    Slow,
}

/// A message: its source, id, digest and receipt, and when it came.
type Noted = (String, String, String, String, UnixMillis);

/// What a ledger has on disk.
#[derive(Debug, Default)]
pub struct MemoryDisk {
    line: RefCell<Option<String>>,
    receipts: RefCell<BTreeMap<String, (UnixMillis, String)>>,
    messages: RefCell<Vec<Noted>>,
    legs: RefCell<Vec<Leg>>,
    /// Whether it takes nothing more.
    pub is_full: Cell<bool>,
    /// After how many writes it is full, if that is to happen.
    pub full_after: Cell<Option<usize>>,
}

impl MemoryDisk {
    fn write(&self) -> Result<(), Failure> {
        match self.full_after.get() {
            Some(0) => self.is_full.set(true),
            Some(more) => self.full_after.set(Some(more - 1)),
            None => {}
        }
        if self.is_full.get() { Err(Failure("the disk is full".to_string())) } else { Ok(()) }
    }
}

impl Disk for MemoryDisk {
    fn line(&self) -> Result<Option<String>, Failure> {
        Ok(self.line.borrow().clone())
    }

    fn write_line(&self, text: &str) -> Result<(), Failure> {
        self.write()?;
        self.line.replace(Some(text.to_string()));
        Ok(())
    }

    fn receipt(&self, id: &str) -> Result<Option<String>, Failure> {
        Ok(self.receipts.borrow().get(id).map(|(_, text)| text.clone()))
    }

    fn write_receipt(&self, id: &str, at: UnixMillis, text: &str) -> Result<(), Failure> {
        self.write()?;
        self.receipts.borrow_mut().insert(id.to_string(), (at, text.to_string()));
        Ok(())
    }

    fn message(&self, source: &str, id: &str) -> Result<Option<(String, String)>, Failure> {
        let messages = self.messages.borrow();
        let found = messages.iter().find(|message| message.0 == source && message.1 == id);
        Ok(found.map(|(_, _, digest, receipt, _)| (digest.clone(), receipt.clone())))
    }

    fn message_like(&self, source: &str, digest: &str) -> Result<Option<String>, Failure> {
        let messages = self.messages.borrow();
        let found = messages.iter().find(|message| message.0 == source && message.2 == digest);
        Ok(found.map(|(_, _, _, receipt, _)| receipt.clone()))
    }

    fn write_message(&self, message: &Message<'_>) -> Result<(), Failure> {
        self.write()?;
        let Message { source, id, digest, receipt, at } = *message;
        let words = [source, id, digest, receipt].map(str::to_string);
        let [source, id, digest, receipt] = words;
        self.messages.borrow_mut().push((source, id, digest, receipt, at));
        Ok(())
    }

    fn write_leg(&self, leg: &Leg) -> Result<(), Failure> {
        self.write()?;
        let id = self.legs.borrow().len() as u64 + 1;
        self.legs.borrow_mut().push(Leg { id, ..leg.clone() });
        Ok(())
    }

    fn move_leg(&self, leg: &Leg) -> Result<(), Failure> {
        self.write()?;
        for there in self.legs.borrow_mut().iter_mut().filter(|there| there.id == leg.id) {
            *there = leg.clone();
        }
        Ok(())
    }

    fn legs(&self, receipt: &str) -> Result<Vec<Leg>, Failure> {
        Ok(self.legs.borrow().iter().filter(|leg| leg.receipt == receipt).cloned().collect())
    }

    fn due_legs(&self, by: UnixMillis, at_most: u32) -> Result<Vec<Leg>, Failure> {
        let legs = self.legs.borrow();
        let due = legs.iter().filter(|leg| leg.state == State::Waiting && leg.due <= by);
        Ok(due.take(at_most as usize).cloned().collect())
    }

    fn next_due(&self) -> Result<Option<UnixMillis>, Failure> {
        Ok(self.legs.borrow().iter().filter(|leg| leg.state == State::Waiting).map(|leg| leg.due).min())
    }

    fn forget(&self, before: UnixMillis) -> Result<(), Failure> {
        self.receipts.borrow_mut().retain(|_, (at, _)| *at >= before);
        self.messages.borrow_mut().retain(|message| message.4 >= before);
        Ok(())
    }
}

/// A Durable Object: what it has in memory, and on disk.
#[derive(Debug, Default)]
pub struct Object {
    pub desk: RefCell<Desk>,
    pub disk: MemoryDisk,
    /// When it heard of the ledger of all tenants.
    pub heard: Cell<Option<u64>>,
    /// By how much its clock is behind, in milliseconds.
    pub behind: Cell<u64>,
}

impl Object {
    /// The time by its own clock.
    pub fn now(&self, world: &World) -> UnixMillis {
        UnixMillis(world.now() - self.behind.get())
    }

    /// Whatever was on disk is gone as well.
    pub fn lose(&self) {
        self.restart();
        self.disk.line.take();
        self.disk.receipts.take();
        self.disk.messages.take();
        self.disk.legs.take();
    }

    /// Whatever was in memory is gone.
    pub fn restart(&self) {
        self.desk.take();
        self.heard.set(None);
    }
}

/// The ledgers as the path sees them.
pub struct FakeLedger {
    pub world: Rc<World>,
    pub rules: Rc<Rules>,
    pub tokens: TokenSecret,
    /// By how much the asking isolate's clock is ahead.
    pub ahead: Rc<Cell<i64>>,
}

fn failure() -> Failure {
    Failure("the ledger does not answer".to_string())
}

impl FakeLedger {
    /// Now, by the clock of whoever asks.
    fn asked_at(&self) -> UnixMillis {
        UnixMillis(self.world.now().saturating_add_signed(self.ahead.get()))
    }

    fn terms<'a>(&'a self, tenant: Option<&'a Tenant>) -> Terms<'a> {
        let (rules, tokens) = (&self.rules, &self.tokens);
        Terms { tenant, rules, snapshot_at_most: None, tokens, has_zone: false }
    }

    /// What was purged for all tenants is heard of as often as it is promised.
    fn hear(&self, tenant: &Tenant, object: &Object) -> Result<(), Failure> {
        let now = self.world.now();
        if object.heard.get().is_some_and(|heard| now.abs_diff(heard) < GLOBAL_MS / 2) {
            return Ok(());
        }
        object.heard.set(Some(now));
        let everyone = &self.world.everyone;
        let global = everyone.desk.borrow_mut().counters(&everyone.disk, UnixMillis(now), None)?;
        let now = object.now(&self.world);
        object.desk.borrow_mut().adopt(&object.disk, self.terms(Some(tenant)), &global, now)
    }

    /// Over the wire and back.
    fn say_of_lease(&self, tenant: &Tenant, name: &CacheKey, call: &LeaseCall) -> Result<(Lease, Counters), Failure> {
        let (name, call) = decode_call(&encode_call(name.as_str(), call)).ok_or_else(failure)?;
        let object = self.world.object(tenant);
        let now = object.now(&self.world);
        let (lease, counters) = object.desk.borrow_mut().lease(&object.disk, now, &name, call)?;
        let (lease, counters) = decode_lease(&encode_lease(&lease, &counters)).ok_or_else(failure)?;
        Ok((lease, Counters::decode(&counters).ok_or_else(failure)?))
    }

    async fn arrive(&self, point: Point) -> Result<(), Failure> {
        self.world.arrive(point).await;
        self.world.gates.saw(self.world.ledger_fault.get() == LedgerFault::None);
        match self.world.ledger_fault.get() {
            LedgerFault::Fails => Err(failure()),
            LedgerFault::Hangs => std::future::pending().await,
            LedgerFault::Slow => {
                let end = self.world.now() + 1_500;
                until(|| self.world.now() >= end).await;
                Ok(())
            }
            LedgerFault::None | LedgerFault::AnswerLost => Ok(()),
        }
    }
}

impl Ledger for FakeLedger {
    async fn counters(&self, tenant: &Tenant, at_least: Option<Epoch>) -> Result<Told, Failure> {
        let asked_at = self.asked_at();
        self.world.gates.saw(asked_at.0);
        self.world.ledger_questions.set(self.world.ledger_questions.get() + 1);
        self.arrive(Point::LedgerRead).await?;
        let object = self.world.object(tenant);
        self.hear(tenant, &object)?;
        let text = object.desk.borrow_mut().counters(&object.disk, object.now(&self.world), at_least)?;
        self.world.gates.saw(&text);
        self.world.arrive(Point::LedgerAnswer).await;
        let counters = Counters::decode(&text).ok_or_else(failure)?;
        Ok(Told { snapshot: Snapshot { counters, asked_at }, first: true })
    }

    async fn lease(&self, tenant: &Tenant, name: &CacheKey, call: LeaseCall) -> Result<(Lease, Snapshot), Failure> {
        let asked_at = self.asked_at();
        self.arrive(Point::LedgerLease).await?;
        let until_then = if let LeaseCall::Wait { millis, .. } = call { self.world.now() + millis } else { 0 };
        let waits = || self.world.now() < until_then;
        if until_then > 0 {
            self.world.gates.alarm(until_then);
        }
        let answer = || self.say_of_lease(tenant, name, &call);
        until(|| !waits() || !matches!(answer(), Ok((Lease::Held { .. }, _)))).await;
        let (lease, counters) = answer()?;
        self.world.gates.saw((asked_at.0, encode_lease(&lease, &counters.encode())));
        Ok((lease, Snapshot { counters, asked_at }))
    }

    fn hand_back(&self, tenant: &Tenant, name: &CacheKey, id: u64, fetched: Option<&Fetched>) {
        self.world.call();
        let answer = fetched.and_then(Fetched::written);
        let ended = self.say_of_lease(tenant, name, &LeaseCall::End { id, is_stored: answer.is_some() });
        if let (Ok((Lease::Held { .. }, _)), Some(answer)) = (ended, answer) {
            self.world.call();
            drop(self.say_of_lease(tenant, name, &LeaseCall::HandOn { id, answer }));
        }
    }

    async fn order(&self, tenant: &Tenant, order: &Order) -> Result<Result<Done, Declined>, Failure> {
        // As on the wire: what cannot be read back is a failure there too.
        let order = Order::decode(&order.encode()).ok_or_else(failure)?;
        self.arrive(Point::LedgerOrder).await?;
        let object = self.world.object(tenant);
        let terms = self.terms(Some(tenant));
        let id = format!("{}~{}", tenant.as_str(), self.world.serial());
        let now = object.now(&self.world);
        let answer = object.desk.borrow_mut().order(&object.disk, terms, &order, &id, now)?;
        self.world.gates.saw((now.0, object.disk.line()?, answer.is_ok()));
        self.world.arrive(Point::LedgerOrdered).await;
        match self.world.ledger_fault.get() {
            LedgerFault::AnswerLost => Err(failure()),
            LedgerFault::None | LedgerFault::Fails | LedgerFault::Hangs | LedgerFault::Slow => {
                decode_answer(&encode_answer(&answer)).ok_or_else(failure)
            }
        }
    }

    async fn order_everywhere(&self, order: &Order) -> Result<Result<Done, Declined>, Failure> {
        self.arrive(Point::LedgerOrder).await?;
        let object = &self.world.everyone;
        let id = format!("~~{}", self.world.serial());
        let now = UnixMillis(self.world.now());
        let answer = object.desk.borrow_mut().order(&object.disk, self.terms(None), order, &id, now)?;
        decode_answer(&encode_answer(&answer)).ok_or_else(failure)
    }

    async fn list(&self, tenant: &Tenant, is_listed: bool) -> Result<(), Failure> {
        self.arrive(Point::LedgerOrder).await?;
        let object = self.world.object(tenant);
        let now = UnixMillis(self.world.now());
        object.desk.borrow_mut().list(&object.disk, tenant.as_str(), is_listed, now)?;
        self.world.listed.borrow_mut().insert(tenant.clone(), is_listed);
        Ok(())
    }

    async fn is_listed(&self, tenant: &Tenant) -> Result<bool, Failure> {
        self.world.call();
        self.world.listing_questions.set(self.world.listing_questions.get() + 1);
        if self.world.everyone_fails.get() {
            return Err(failure());
        }
        Ok(self.world.listed.borrow().get(tenant).copied().unwrap_or(false))
    }

    async fn receipt(&self, tenant: Option<&Tenant>, id: &str) -> Result<Option<String>, Failure> {
        self.arrive(Point::LedgerRead).await?;
        let Some(tenant) = tenant else {
            let object = &self.world.everyone;
            return object.desk.borrow().receipt(&object.disk, id);
        };
        let object = self.world.object(tenant);
        object.desk.borrow().receipt(&object.disk, id)
    }
}
