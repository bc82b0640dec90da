//! The core's ports on the Workers runtime.

use super::admissions::Doors;
use super::body::{Incoming, Unread};
use super::isolate::{Asking, Copies};
use super::js::{KvNamespace, get};
use super::ledgers::Ledgers;
use super::origin::FetchOrigin;
use super::tiers::{EdgeTier, KvTier, Store};
use crate::config::{Config, Misconfigured};
use crate::memory::Memory;
use crate::names::setting;
use crate::ports::{Failure, Incident, Ports};
use crate::rules::{Rules, compiled};
use crate::small::Map;
use crate::stores::Breakers;
use crate::time::UnixMillis;
use crate::upstream::Upstream;
use crate::validation::hex;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::js_sys::{self, Date, Function, Promise};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::WorkerGlobalScope;
use worker::{Context, Env};

thread_local! {
    /// An isolate's settings do not change, so they are read once.
    static CONFIG: RefCell<Option<Rc<Config>>> = const { RefCell::new(None) };
    static MEMORY: RefCell<Memory> = const { RefCell::new(Memory::new(0)) };
    static BREAKERS: RefCell<Breakers> = const { RefCell::new(Breakers::new()) };
    static UPSTREAM: RefCell<Upstream> = const { RefCell::new(Upstream::new()) };
    static INCIDENTS: RefCell<Map<Incident, u64>> = const { RefCell::new(Map::new()) };
}

/// Everything that one request needs of the runtime.
pub struct Shell {
    config: Rc<Config>,
    tiers: [Store; 2],
    ledgers: Ledgers,
    copies: Copies,
    asking: Asking,
    doors: Doors,
    pub origin: FetchOrigin,
}

impl Shell {
    /// Reads settings and bindings.
    pub fn open(env: &Env, context: &Rc<Context>) -> Result<Self, Misconfigured> {
        let config = config(env)?;
        let missing = |name, what| {
            Misconfigured(format!("Binding {name} is missing: wrangler.toml must bind {what} under that name."))
        };
        let kv = get(env, setting::KV);
        let ledgers = Ledgers::bind(env, context.clone())
            .ok_or_else(|| missing(setting::LEDGER, "the Durable Object class Ledger"))?;
        if !kv.is_object() {
            return Err(missing(setting::KV, "a KV namespace"));
        }
        let host = config.hosts.first().map_or("localhost", String::as_str);
        let tiers = [Store::Edge(EdgeTier::new(host)), Store::Kv(KvTier::new(kv.unchecked_into::<KvNamespace>()))];
        let copies = Copies::new(context.clone(), host);
        let (asking, doors) = (Asking::new(context.clone()), Doors::new(context.clone()));
        let origin = FetchOrigin::new(context.clone());
        Ok(Self { config, tiers, ledgers, copies, asking, doors, origin })
    }
}

pub fn config(env: &Env) -> Result<Rc<Config>, Misconfigured> {
    if let Some(config) = CONFIG.with_borrow(Clone::clone) {
        return Ok(config);
    }
    let config = Rc::new(Config::read(compiled(), |name| get(env, name).as_string())?);
    MEMORY.set(Memory::new(config.memory));
    CONFIG.set(Some(config.clone()));
    Ok(config)
}

impl Ports for Shell {
    type Body = Unread;
    type Request = Incoming;
    type Tier = Store;
    type Ledger = Ledgers;
    type Snapshots = Copies;
    type Flights = Asking;
    type Admissions = Doors;
    type Origin = FetchOrigin;

    fn now(&self) -> UnixMillis {
        now()
    }

    async fn sleep(&self, millis: u64) {
        sleep(millis).await;
    }

    fn random(&self) -> u64 {
        random_number()
    }

    fn request_id(&self) -> String {
        random()
    }

    fn rules(&self) -> &Rules {
        compiled()
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn memory<T>(&self, act: impl FnOnce(&mut Memory) -> T) -> T {
        MEMORY.with_borrow_mut(act)
    }

    fn held(&self, bytes: Rc<[u8]>) -> Unread {
        Unread::Bytes(bytes)
    }

    fn breakers<T>(&self, act: impl FnOnce(&mut Breakers) -> T) -> T {
        BREAKERS.with_borrow_mut(act)
    }

    fn tiers(&self) -> &[Store] {
        &self.tiers
    }

    fn ledger(&self) -> &Ledgers {
        &self.ledgers
    }

    fn snapshots(&self) -> &Copies {
        &self.copies
    }

    fn flights(&self) -> &Asking {
        &self.asking
    }

    fn admissions(&self) -> &Doors {
        &self.doors
    }

    fn origin(&self) -> &FetchOrigin {
        &self.origin
    }

    fn copy(&self, body: &Unread) -> Option<Unread> {
        match body {
            Unread::Buffer(buffer) => Some(Unread::Buffer(buffer.clone())),
            Unread::Bytes(bytes) => Some(Unread::Bytes(bytes.clone())),
            Unread::Response(_) | Unread::Stream(_) => None,
        }
    }

    fn upstream<T>(&self, look: impl FnOnce(&mut Upstream) -> T) -> T {
        UPSTREAM.with_borrow_mut(look)
    }

    fn count(&self, incident: Incident) {
        INCIDENTS.with_borrow_mut(|counts| counts.change(incident, |count| *count += 1));
    }

    fn record(&self, incident: Incident, failure: &Failure) {
        self.count(incident);
        worker::console_error!("{}: {}", incident.as_str(), failure.0);
    }

    fn incidents(&self) -> Vec<(Incident, u64)> {
        INCIDENTS.with_borrow(|counts| counts.iter().map(|(incident, count)| (*incident, *count)).collect())
    }
}

/// A name that nothing else has.
pub fn random() -> String {
    let mut bytes = [0; 16];
    // Without random numbers, requests share a name; they are served all the same.
    _ = getrandom::fill(&mut bytes);
    hex(&bytes)
}

/// Any number.
pub fn random_number() -> u64 {
    let mut bytes = [0; 8];
    // Without random numbers, pauses are not spread; they are kept all the same.
    _ = getrandom::fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Waits. A timer that cannot be set is over at once.
pub async fn sleep(millis: u64) {
    let global: WorkerGlobalScope = js_sys::global().unchecked_into();
    let millis = i32::try_from(millis).unwrap_or(i32::MAX);
    let mut timer = Timer(None);
    let over = Promise::new(&mut |resolve, _| match global
        .set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, millis)
    {
        Ok(handle) => timer.0 = Some((handle, resolve)),
        Err(_) => _ = resolve.call0(&JsValue::UNDEFINED),
    });
    // This promise is never rejected.
    _ = JsFuture::from(over).await;
    drop(timer);
}

/// A timer that is set. When nobody waits for it any more it is cleared, and its promise settled: what waits for a
/// promise is kept until then.
struct Timer(Option<(i32, Function)>);

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some((handle, resolve)) = self.0.take() {
            let global: WorkerGlobalScope = js_sys::global().unchecked_into();
            global.clear_timeout_with_handle(handle);
            _ = resolve.call0(&JsValue::UNDEFINED);
        }
    }
}

/// The runtime's clock. It stands still between two awaits.
pub fn now() -> UnixMillis {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole milliseconds since 1970 fit for 285,000 years"
    )]
    UnixMillis(Date::now() as u64)
}
