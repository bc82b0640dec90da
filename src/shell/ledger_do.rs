//! The ledger of a tenant: one Durable Object, at whose desk the calls arrive. That of all tenants is another one of
//! the same class, under a name that no tenant can have.

use super::disk::SqlDisk;
use super::errands;
use super::ledgers::call_global;
use super::ports::{config, now, random, sleep};
use crate::config::Config;
use crate::epoch::Epoch;
use crate::key::Tenant;
use crate::ledger::desk::{Desk, Disk as _, GLOBAL_MS, Terms};
use crate::ledger::leases::{Lease, LeaseCall, decode_call, encode_lease};
use crate::ledger::order::{Order, encode_answer};
use crate::ledger::outbox::{COLLECTED_MS, Kind, Leg, State};
use crate::ports::Failure;
use crate::rules::compiled;
use crate::time::UnixMillis;
use alloc::string::{String, ToString as _};
use core::cell::{Cell, RefCell};
use wasm_bindgen::JsValue;
use worker::js_sys::Date;
use worker::{DurableObject, Env, Error, Method, Request, Response, Result, ScheduledTime, Storage, durable_object};

/// The name of the ledger of all tenants.
pub const GLOBAL: &str = "~";

/// Counters: `GET /counters/{ledger}/{position that must have been reached}`.
pub const COUNTERS: &str = "counters";
/// An order: `POST /orders/{ledger}`.
pub const ORDERS: &str = "orders";
/// Something about a lease: `POST /leases/{ledger}`.
pub const LEASES: &str = "leases";
/// A receipt: `GET /receipts/{ledger}/{id}`.
pub const RECEIPTS: &str = "receipts";
/// Whether the tenant is listed: `POST /listing/{ledger}`, with `true` or `false`.
pub const LISTING: &str = "listing";
/// At the global ledger, tags to be purged from the zone: `POST /tags/~/{id of the receipt}`, a line each.
pub const TAGS: &str = "tags";
/// At the global ledger, how far it is with them: `GET /legs/~/{id of the receipt}`.
pub const LEGS: &str = "legs";
/// At the global ledger, whether a tenant is listed: `GET /tenants/~/{tenant}`, or `POST` with `true` or `false`.
pub const TENANTS: &str = "tenants";

/// For so long a question for counters waits for the global ledger, in milliseconds.
const HEARD_MS: u64 = 1_000;
/// For so long an order does: less than whoever gives one waits.
const ORDER_HEARD_MS: u64 = 300;
/// Whoever waits for another one's answer looks for it as often as this, in milliseconds.
const LOOKED_AGAIN_MS: u64 = 50;
/// While what was heard still holds, the global ledger is asked once in so long, in milliseconds.
const ASK_AGAIN_MS: u64 = 5_000;

/// The counters of one tenant, the receipts of what moved them, and what is still to do for that.
#[durable_object]
pub struct Ledger {
    storage: Storage,
    env: Env,
    disk: SqlDisk,
    desk: RefCell<Desk>,
    /// When the global ledger was last heard of.
    heard: Cell<Option<UnixMillis>>,
    /// When it was last asked.
    asked: Cell<Option<UnixMillis>>,
    /// When the alarm is set to ring.
    alarm: Cell<Option<UnixMillis>>,
    /// Whether it was looked at since the object was started, or since the alarm last failed.
    has_looked: Cell<bool>,
}

impl DurableObject for Ledger {
    fn new(state: worker::State, env: Env) -> Self {
        let storage = state.storage();
        let disk = SqlDisk::new(storage.sql());
        Self {
            storage,
            env,
            disk,
            desk: RefCell::default(),
            heard: Cell::new(None),
            asked: Cell::new(None),
            alarm: Cell::new(None),
            has_looked: Cell::new(false),
        }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let path = request.path();
        let mut parts = path.trim_start_matches('/').splitn(3, '/');
        let (name, ledger, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next());
        let body = if request.method() == Method::Post { request.text().await? } else { String::new() };
        if !self.has_looked.replace(true) {
            self.set_alarm().await?;
        }
        let answer = self.answer(name, ledger, rest.unwrap_or_default(), &body).await;
        let Some(text) = answer.map_err(error)? else { return Response::error("there is no such thing", 404) };
        Response::ok(text)
    }

    async fn alarm(&self) -> Result<Response> {
        self.alarm.set(None);
        // The runtime rings again a few times after a failure. Behind those, the next call sets the alarm.
        self.has_looked.set(false);
        let config = config(&self.env).map_err(|wrong| Error::RustError(wrong.0))?;
        errands::run(&self.disk, &self.desk, &self.env, &config).await.map_err(error)?;
        self.set_alarm().await?;
        self.has_looked.set(true);
        Response::empty()
    }
}

fn error(failure: Failure) -> Error {
    Error::RustError(failure.0)
}

impl Ledger {
    /// Answers a call. Nothing is awaited between what one call writes, so that it becomes durable together; and the
    /// runtime keeps the answer back until it is.
    async fn answer(
        &self,
        name: &str,
        ledger: &str,
        rest: &str,
        body: &str,
    ) -> core::result::Result<Option<String>, Failure> {
        let config = config(&self.env).map_err(|wrong| Failure(wrong.0))?;
        let tenant = Tenant::new(ledger);
        match name {
            COUNTERS => {
                if let Some(tenant) = &tenant {
                    self.hear(&config, tenant, HEARD_MS).await?;
                }
                let at_least = rest.parse().ok().map(Epoch);
                self.desk.borrow_mut().counters(&self.disk, now(), at_least).map(Some)
            }
            ORDERS => {
                let order = Order::decode(body);
                let order = order.ok_or_else(|| Failure("an order that this version does not know".to_string()))?;
                let heard = match &tenant {
                    Some(tenant) => self.hear(&config, tenant, ORDER_HEARD_MS).await,
                    None => Ok(()),
                };
                let id = format!("{ledger}~{}", random());
                let terms = terms(&config, tenant.as_ref());
                let mut answer = self.desk.borrow_mut().order(&self.disk, terms, &order, &id, now())?;
                if let (Err(_), Ok(done)) = (heard, &mut answer) {
                    // They may lack what was purged for all tenants, so nobody is to judge by them.
                    done.counters.clear();
                }
                self.set_alarm().await.map_err(|error| Failure(error.to_string()))?;
                Ok(Some(encode_answer(&answer)))
            }
            LEASES => {
                if let Some(tenant) = &tenant {
                    self.hear(&config, tenant, HEARD_MS).await?;
                }
                self.lease(body).await.map(Some)
            }
            RECEIPTS => self.receipt(rest).await,
            LISTING => {
                self.desk.borrow_mut().list(&self.disk, ledger, body == "true", now())?;
                // So that it is in force when this is answered. If it fails, the leg that was written does it later.
                let path = format!("/{TENANTS}/{GLOBAL}/{ledger}");
                drop(call_global(&self.env, &path, Some(body.to_string()), HEARD_MS).await);
                self.set_alarm().await.map_err(|error| Failure(error.to_string()))?;
                Ok(Some(String::new()))
            }
            TAGS => {
                if self.disk.legs(rest)?.is_empty() {
                    for tag in body.split(' ') {
                        self.disk.write_leg(&Leg::new(rest, Kind::Tag, tag.to_string(), now(), COLLECTED_MS))?;
                    }
                }
                self.set_alarm().await.map_err(|error| Failure(error.to_string()))?;
                Ok(Some(String::new()))
            }
            LEGS => {
                let legs = self.disk.legs(rest)?;
                let some = |state| legs.iter().any(|leg| leg.state == state);
                let state = [State::Waiting, State::GivenUp].into_iter().find(|state| some(*state));
                Ok((!legs.is_empty()).then(|| state.unwrap_or(State::Done).as_str().to_string()))
            }
            TENANTS if body.is_empty() => self.disk.is_listed(rest).map(|is_listed| Some(is_listed.to_string())),
            TENANTS => self.disk.list(rest, body == "true").map(|()| Some(String::new())),
            _ => Ok(None),
        }
    }

    /// Answers what is said about a lease. Whoever waits looks again and again, for nothing wakes one request from another.
    async fn lease(&self, body: &str) -> core::result::Result<String, Failure> {
        let unknown = || Failure("a call about a lease that this version does not know".to_string());
        let (name, call) = decode_call(body).ok_or_else(unknown)?;
        let since = now();
        loop {
            let (lease, counters) = self.desk.borrow_mut().lease(&self.disk, now(), &name, call.clone())?;
            match (&call, &lease) {
                (LeaseCall::Wait { millis, .. }, Lease::Held { .. }) if now().0.saturating_sub(since.0) < *millis => {
                    sleep(LOOKED_AGAIN_MS).await;
                }
                _ => return Ok(encode_lease(&lease, &counters)),
            }
        }
    }

    /// A receipt. What the global ledger does for it is asked there.
    async fn receipt(&self, id: &str) -> core::result::Result<Option<String>, Failure> {
        errands::settle_handed_over(&self.disk, &self.env, id).await?;
        self.desk.borrow().receipt(&self.disk, id)
    }

    /// Takes over what was purged for all tenants. What was heard less than half of the time ago that is promised is
    /// good enough; so is, within that time, what somebody is asking for or lately asked for in vain.
    async fn hear(&self, config: &Config, tenant: &Tenant, patience: u64) -> core::result::Result<(), Failure> {
        let asked_at = now();
        let within =
            |since: &Cell<Option<UnixMillis>>, most| since.get().is_some_and(|at| asked_at.0.abs_diff(at.0) < most);
        let holds = within(&self.heard, GLOBAL_MS);
        if within(&self.heard, GLOBAL_MS / 2) || holds && within(&self.asked, ASK_AGAIN_MS) {
            return Ok(());
        }
        self.asked.set(Some(asked_at));
        let heard = call_global(&self.env, &format!("/{COUNTERS}/{GLOBAL}/"), None, patience).await;
        match heard {
            Ok(counters) => {
                let counters = counters.unwrap_or_default();
                self.desk.borrow_mut().adopt(&self.disk, terms(config, Some(tenant)), &counters, now())?;
                self.heard.set(Some(asked_at));
                Ok(())
            }
            // Within the time that is promised, what was heard before still holds.
            Err(_) if holds => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Has the alarm ring when the next thing is due, if it does not already.
    async fn set_alarm(&self) -> Result<()> {
        let next = self.disk.next_due().map_err(error)?;
        let set = self.alarm.get();
        let Some(due) = next.filter(|due| set.is_none_or(|set| *due < set)) else { return Ok(()) };
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact for 285,000 years")]
        let date = Date::new(&JsValue::from(due.0 as f64));
        self.alarm.set(Some(due));
        let done = self.storage.set_alarm(ScheduledTime::new(date)).await;
        if done.is_err() {
            self.alarm.set(set);
        }
        done
    }
}

fn terms<'a>(config: &'a Config, tenant: Option<&'a Tenant>) -> Terms<'a> {
    Terms {
        tenant,
        rules: compiled(),
        snapshot_at_most: config.snapshot_at_most,
        tokens: &config.tokens,
        has_zone: config.zone.is_some(),
    }
}
