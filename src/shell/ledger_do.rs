//! The ledger of a tenant: one Durable Object that keeps the counters in SQLite, and the way to it.

use super::body::text_of;
use super::js::{failure, get};
use super::ports::now;
use crate::epoch::{Counters, Epoch, Scope};
use crate::key::Tenant;
use crate::names::setting;
use crate::ports::{self, Failure};
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use core::cell::RefCell;
use serde_json::Value;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{self, RequestInit};
use worker::worker_sys::DurableObjectNamespace;
use worker::{DurableObject, Env, Error, Method, Request, Response, Result, SqlStorage, State, durable_object};

const COUNTERS: &str = "/counters";
const PURGE: &str = "/purge";

/// The counters of one tenant.
#[durable_object]
pub struct Ledger {
    sql: SqlStorage,
    /// What is on disk; nothing until it was read, or when a write failed half way.
    counters: RefCell<Option<Counters>>,
}

impl DurableObject for Ledger {
    fn new(state: State, _env: Env) -> Self {
        Self { sql: state.storage().sql(), counters: RefCell::new(None) }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let answer = match (request.method(), request.path().as_str()) {
            (Method::Get, COUNTERS) => serde_json::to_string(&self.read()?)?,
            (Method::Post, PURGE) => {
                let scopes = read_scopes(&request.text().await?).ok_or_else(|| unreadable("a purge"))?;
                serde_json::to_string(&self.purge(&scopes)?)?
            }
            _ => return Response::error("not a call of the ledger", 404),
        };
        Response::ok(answer)
    }
}

impl Ledger {
    fn read(&self) -> Result<Counters> {
        if let Some(counters) = self.counters.borrow().as_ref() {
            return Ok(counters.clone());
        }
        self.sql.exec(
            "CREATE TABLE IF NOT EXISTS counter (scope TEXT PRIMARY KEY, route TEXT, epoch INTEGER NOT NULL)",
            None,
        )?;
        let mut counters = Counters::default();
        for row in self.sql.exec_raw("SELECT scope, epoch FROM counter", None)? {
            let row = row?;
            let scope = get(&row, "scope").as_string().unwrap_or_default();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "written below, from a whole number"
            )]
            let epoch = get(&row, "epoch").as_f64().map(|epoch| Epoch(epoch as u64));
            let epoch = epoch.ok_or_else(|| unreadable("a counter on disk"))?;
            let scope = Scope::parse(&scope).ok_or_else(|| unreadable("a counter on disk"))?;
            counters.restore(scope, epoch);
        }
        if counters == Counters::default() {
            counters = Counters::begin(now());
            for (scope, epoch) in counters.rows() {
                self.write(scope, epoch)?;
            }
        }
        self.counters.replace(Some(counters.clone()));
        Ok(counters)
    }

    /// Purges, and writes down what moved. The runtime keeps the answer back until it is on disk.
    fn purge(&self, scopes: &BTreeSet<Scope>) -> Result<Epoch> {
        let mut counters = self.read()?;
        let epoch = counters.purge(scopes, now());
        // If a write fails, what is on disk decides: it is read again. A counter that moved too far only purges more.
        self.counters.replace(None);
        for (scope, _) in counters.rows().filter(|(_, moved)| *moved == epoch) {
            self.write(scope, epoch)?;
        }
        self.counters.replace(Some(counters));
        Ok(epoch)
    }

    fn write(&self, scope: &Scope, epoch: Epoch) -> Result<()> {
        let route = match scope {
            Scope::Route(name) => {
                self.sql.exec_raw("DELETE FROM counter WHERE route = ?", vec![JsValue::from(name.as_str())])?;
                JsValue::NULL
            }
            Scope::Key { route, .. } => JsValue::from(route.as_str()),
            Scope::Tenant | Scope::Class(_) => JsValue::NULL,
        };
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact for 285,000 years")]
        let bindings = vec![JsValue::from(String::from(scope.clone())), route, JsValue::from(epoch.0 as f64)];
        self.sql.exec_raw("INSERT OR REPLACE INTO counter (scope, route, epoch) VALUES (?, ?, ?)", bindings)?;
        Ok(())
    }
}

/// A list of scopes as it is sent.
fn read_scopes(text: &str) -> Option<BTreeSet<Scope>> {
    let read: Value = serde_json::from_str(text).ok()?;
    let mut scopes = BTreeSet::new();
    for scope in read.as_array()? {
        _ = scopes.insert(Scope::parse(scope.as_str()?)?);
    }
    Some(scopes)
}

fn unreadable(what: &str) -> Error {
    Error::RustError(format!("{what} is not of the form that this version writes"))
}

/// The ledgers of all tenants, from outside.
pub struct Ledgers(DurableObjectNamespace);

impl Ledgers {
    pub fn bind(env: &Env) -> Option<Self> {
        let namespace = get(env, setting::LEDGER);
        namespace.is_object().then(|| Self(namespace.unchecked_into()))
    }

    async fn call(&self, tenant: &Tenant, path: &str, body: Option<String>) -> core::result::Result<String, Failure> {
        let init = RequestInit::new();
        if let Some(body) = body {
            init.set_method("POST");
            init.set_body(&JsValue::from(body));
        }
        let request =
            web_sys::Request::new_with_str_and_init(&format!("https://ledger{path}"), &init).map_err(failure)?;
        let stub = self.0.get_by_name(tenant.as_str()).map_err(failure)?;
        let response = JsFuture::from(stub.fetch_with_request(&request).map_err(failure)?).await.map_err(failure)?;
        let response: web_sys::Response = response.unchecked_into();
        let text = text_of(&response).await?;
        if response.status() == 200 { Ok(text) } else { Err(Failure(text)) }
    }
}

impl ports::Ledger for Ledgers {
    async fn counters(&self, tenant: &Tenant) -> core::result::Result<Counters, Failure> {
        let text = self.call(tenant, COUNTERS, None).await?;
        Counters::decode(&text).ok_or_else(|| Failure(unreadable("the ledger's answer").to_string()))
    }

    async fn purge(&self, tenant: &Tenant, scopes: &BTreeSet<Scope>) -> core::result::Result<Epoch, Failure> {
        let body = serde_json::to_string(scopes).map_err(|error| Failure(error.to_string()))?;
        let text = self.call(tenant, PURGE, Some(body)).await?;
        text.parse().map(Epoch).map_err(|_| Failure(unreadable("the ledger's answer").to_string()))
    }
}
