//! The ledger of a tenant: one Durable Object that keeps the counters in SQLite, and the way to it.

use super::js::get;
use super::ports::now;
use crate::epoch::{Counters, Epoch, Scope};
use crate::key::Tenant;
use crate::names::setting;
use crate::ports::{self, Failure};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;
use worker::{
    DurableObject, Env, Method, ObjectNamespace, Request, RequestInit, Response, Result, SqlStorage, State,
    durable_object,
};

const COUNTERS: &str = "/counters";
const PURGE: &str = "/purge";

/// The counters of one tenant.
#[durable_object]
pub struct Ledger {
    sql: SqlStorage,
    /// What is on disk; nothing until it was read, or when a write failed half way.
    counters: RefCell<Option<Counters>>,
}

/// A counter as it stands on disk. `scope` is the JSON of a [`Scope`].
#[derive(Deserialize)]
struct Row {
    scope: String,
    epoch: u64,
}

impl DurableObject for Ledger {
    fn new(state: State, _env: Env) -> Self {
        Self { sql: state.storage().sql(), counters: RefCell::new(None) }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        match (request.method(), request.path().as_str()) {
            (Method::Get, COUNTERS) => Response::from_json(&self.read()?),
            (Method::Post, PURGE) => {
                let scopes: Vec<Scope> = request.json().await?;
                Response::from_json(&self.purge(&scopes)?)
            }
            _ => Response::error("not a call of the ledger", 404),
        }
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
        let rows: Vec<Row> = self.sql.exec("SELECT scope, epoch FROM counter", None)?.to_array()?;
        let read: core::result::Result<Counters, _> =
            rows.into_iter().map(|row| Ok((serde_json::from_str::<Scope>(&row.scope)?, Epoch(row.epoch)))).collect();
        let counters = read.map_err(|error: serde_json::Error| worker::Error::RustError(error.to_string()))?;
        self.counters.replace(Some(counters.clone()));
        Ok(counters)
    }

    /// Purges, and writes down what moved. The runtime keeps the answer back until it is on disk.
    fn purge(&self, scopes: &[Scope]) -> Result<Epoch> {
        let mut counters = self.read()?;
        let epoch = counters.purge(scopes, now());
        // If a write fails, what is on disk decides: it is read again. A counter that moved too far only purges more.
        self.counters.replace(None);
        for (scope, _) in counters.rows().filter(|(_, moved)| *moved == epoch) {
            self.write(&scope, epoch)?;
        }
        self.counters.replace(Some(counters));
        Ok(epoch)
    }

    fn write(&self, scope: &Scope, epoch: Epoch) -> Result<()> {
        let route = match scope {
            Scope::Route(name) => {
                self.sql.exec("DELETE FROM counter WHERE route = ?", vec![name.as_str().into()])?;
                None
            }
            Scope::Key { route, .. } => Some(route.clone()),
            Scope::Tenant | Scope::Class(_) => None,
        };
        let text = serde_json::to_string(scope)?;
        let number = i64::try_from(epoch.0).map_err(|error| worker::Error::RustError(error.to_string()))?;
        let bindings = vec![text.into(), route.into(), worker::SqlStorageValue::try_from_i64(number)?];
        self.sql.exec("INSERT OR REPLACE INTO counter (scope, route, epoch) VALUES (?, ?, ?)", bindings)?;
        Ok(())
    }
}

/// The ledgers of all tenants, from outside.
pub struct Ledgers(ObjectNamespace);

impl Ledgers {
    pub fn bind(env: &Env) -> Option<Self> {
        get(env, setting::LEDGER).is_object().then(|| env.durable_object(setting::LEDGER).ok()).flatten().map(Self)
    }

    async fn call<T: for<'de> Deserialize<'de>>(
        &self,
        tenant: &Tenant,
        path: &str,
        purge: Option<&[Scope]>,
    ) -> Result<T> {
        let mut init = RequestInit::new();
        if let Some(scopes) = purge {
            init.with_method(Method::Post).with_body(Some(JsValue::from(body(&scopes)?)));
        }
        let request = Request::new_with_init(&format!("https://ledger{path}"), &init)?;
        let mut response = self.0.get_by_name(tenant.as_str())?.fetch_with_request(request).await?;
        if response.status_code() == 200 {
            response.json().await
        } else {
            Err(worker::Error::RustError(response.text().await?))
        }
    }
}

fn body<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(Into::into)
}

impl ports::Ledger for Ledgers {
    async fn counters(&self, tenant: &Tenant) -> core::result::Result<Counters, Failure> {
        self.call(tenant, COUNTERS, None).await.map_err(|error| Failure(error.to_string()))
    }

    async fn purge(&self, tenant: &Tenant, scopes: &[Scope]) -> core::result::Result<Epoch, Failure> {
        self.call(tenant, PURGE, Some(scopes)).await.map_err(|error| Failure(error.to_string()))
    }
}
