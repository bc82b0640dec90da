//! The ledger: the counters that the Durable Object keeps, and what can be wrong with the way to it.

use super::{Point, World};
use hotrod_edge::epoch::{Counters, Epoch, Scope};
use hotrod_edge::key::Tenant;
use hotrod_edge::ports::{Failure, Ledger};
use hotrod_edge::time::UnixMillis;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::rc::Rc;

/// What is wrong with the ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LedgerFault {
    #[default]
    None,
    /// No answer to anything.
    Fails,
    /// A purge is written down, and no answer to it arrives.
    AnswerLost,
}

/// The ledger of the one tenant.
pub struct FakeLedger(pub Rc<World>);

fn failure() -> Failure {
    Failure("the ledger does not answer".to_string())
}

impl Ledger for FakeLedger {
    async fn counters(&self, _tenant: &Tenant) -> Result<Counters, Failure> {
        self.0.arrive(Point::LedgerRead).await;
        if self.0.ledger_fault.get() == LedgerFault::Fails {
            return Err(failure());
        }
        // As on the wire: what cannot be read back is a failure there too.
        let text = serde_json::to_string(&*self.0.counters.borrow()).map_err(|_| failure())?;
        self.0.arrive(Point::LedgerAnswer).await;
        Counters::decode(&text).ok_or_else(failure)
    }

    async fn purge(&self, _tenant: &Tenant, scopes: &BTreeSet<Scope>) -> Result<Epoch, Failure> {
        if self.0.ledger_fault.get() == LedgerFault::Fails {
            return Err(failure());
        }
        let epoch = self.0.counters.borrow_mut().purge(scopes, UnixMillis(self.0.now()));
        match self.0.ledger_fault.get() {
            LedgerFault::AnswerLost => Err(failure()),
            LedgerFault::None | LedgerFault::Fails => Ok(epoch),
        }
    }
}
