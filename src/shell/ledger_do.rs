//! The ledger of a tenant: one Durable Object, at whose desk the calls arrive.

use super::disk::SqlDisk;
use super::ports::{config, now, random};
use crate::epoch::Epoch;
use crate::key::Tenant;
use crate::ledger::desk::{Desk, Disk as _, Terms};
use crate::ledger::order::{Order, encode_answer};
use crate::ports::Failure;
use crate::rules::compiled;
use alloc::string::{String, ToString as _};
use core::cell::RefCell;
use worker::{DurableObject, Env, Error, Method, Request, Response, Result, State, durable_object};

/// Counters: `GET /counters/{position that must have been reached}`.
pub const COUNTERS: &str = "/counters/";
/// An order: `POST /orders/{tenant}`.
pub const ORDERS: &str = "/orders/";
/// A receipt: `GET /receipts/{id}`.
pub const RECEIPTS: &str = "/receipts/";

/// The counters of one tenant, and the receipts of what moved them.
#[durable_object]
pub struct Ledger {
    env: Env,
    disk: SqlDisk,
    desk: RefCell<Desk>,
}

impl DurableObject for Ledger {
    fn new(state: State, env: Env) -> Self {
        Self { env, disk: SqlDisk::new(state.storage().sql()), desk: RefCell::default() }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let path = request.path();
        // Nothing is awaited behind this line, so one call is done before the next begins.
        let body = if request.method() == Method::Post { request.text().await? } else { String::new() };
        let after = |call| path.strip_prefix(call);
        let answer = if let Some(position) = after(COUNTERS) {
            self.desk.borrow_mut().counters(&self.disk, now(), position.parse().ok().map(Epoch))
        } else if let Some(tenant) = after(ORDERS) {
            self.order(tenant, &body)
        } else if let Some(id) = after(RECEIPTS) {
            match self.disk.receipt(id) {
                Ok(None) => return Response::error("no such receipt", 404),
                Ok(Some(receipt)) => Ok(receipt),
                Err(failure) => Err(failure),
            }
        } else {
            return Response::error("not a call of a ledger", 404);
        };
        Response::ok(answer.map_err(|failure| Error::RustError(failure.0))?)
    }
}

impl Ledger {
    /// Carries an order out. The runtime keeps the answer back until all that was written is on disk.
    fn order(&self, tenant: &str, body: &str) -> core::result::Result<String, Failure> {
        let unreadable = || Failure("an order that this version does not know".to_string());
        let tenant = Tenant::new(tenant).ok_or_else(unreadable)?;
        let order = Order::decode(body).ok_or_else(unreadable)?;
        let config = config(&self.env).map_err(|wrong| Failure(wrong.0))?;
        let terms = Terms {
            tenant: &tenant,
            rules: compiled(),
            snapshot_at_most: config.snapshot_at_most,
            tokens: &config.tokens,
        };
        let id = format!("{}~{}", tenant.as_str(), random());
        let answer = self.desk.borrow_mut().order(&self.disk, terms, &order, &id, now())?;
        Ok(encode_answer(&answer))
    }
}
