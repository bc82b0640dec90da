//! Purges on their way to the ledger: whoever asks for one, and what a write makes out of date.

use crate::classify::{Classified, Lane, classify};
use crate::epoch::{Counters, Mode, Scope, mark};
use crate::groups;
use crate::key::Tenant;
use crate::ledger::order::{Declined, Done, Occasion, Order};
use crate::ports::{Failure, Incident, Ledger as _, Ports, within};
use crate::rules::{Rules, Touches};
use crate::small::Set;
use crate::snapshot::{Snapshot, keep, share};
use crate::target::Target;
use alloc::rc::Rc;
use alloc::string::{String, ToString as _};
use serde_json::Value;

/// For so long a request waits for the ledger to take an order, in milliseconds.
pub const LEDGER_MS: u64 = 800;
/// For so long it waits for the data centre's copy of the counters to be put back.
const PUT_BACK_MS: u64 = 100;

/// Gives an order to a tenant's ledger. Whoever moves the counters puts them back here before they answer: in their
/// own isolate and data centre, the purge is in force at once.
///
/// # Errors
/// The ledger did not confirm it, so nothing is promised.
pub async fn order<P: Ports>(ports: &P, tenant: &Tenant, order: &Order) -> Result<Result<Done, Declined>, Failure> {
    let asked_at = ports.now();
    let answer = in_time(ports, ports.ledger().order(tenant, order)).await?;
    if let Ok(done) = &answer
        && let Some(counters) = Counters::decode(&done.counters)
    {
        let snapshot = Rc::new(Snapshot { counters, asked_at });
        keep(ports, tenant, &snapshot);
        // Whether it arrives does not matter for what is promised.
        _ = within(ports, PUT_BACK_MS, share(ports, tenant, &snapshot)).await;
    }
    Ok(answer)
}

/// Gives an order to the ledger of all tenants, from which theirs take it over.
///
/// # Errors
/// That ledger did not confirm it, so nothing is promised.
pub async fn order_everywhere<P: Ports>(ports: &P, order: &Order) -> Result<Result<Done, Declined>, Failure> {
    in_time(ports, ports.ledger().order_everywhere(order)).await
}

async fn in_time<P: Ports, T>(ports: &P, answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let answer = within(ports, LEDGER_MS, answer).await;
    let answer = answer.unwrap_or_else(|| Err(Failure("the ledger took too long".to_string())));
    answer.inspect_err(|failure| ports.record(Incident::Ledger, failure))
}

/// The scopes that rules.toml names as touched by something.
#[must_use]
pub fn touched(rules: &Rules, touches: &Touches) -> Set<Scope> {
    let mut scopes = Set::new();
    for name in touches.routes.iter() {
        scopes.insert(Scope::Route(name.to_string()));
    }
    for name in touches.classes.iter() {
        scopes.insert(Scope::Class(name.to_string()));
    }
    for name in touches.tags.iter() {
        tagged(rules, name, &mut scopes);
    }
    scopes
}

/// The scopes of a tag: whatever the origin put it on, and the routes that have it by rule.
pub fn tagged(rules: &Rules, tag: &str, scopes: &mut Set<Scope>) {
    scopes.insert(Scope::Tag(mark(tag)));
    for (route, stored) in rules.stored() {
        if stored.tags.iter().any(|name| name == tag) {
            scopes.insert(Scope::Route(route.name.to_string()));
        }
    }
}

/// What a request that is not safe makes out of date if it succeeds, as far as its target says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    scopes: Set<Scope>,
}

impl Write {
    /// Of a method that is not safe (RFC 9110, section 9.2.1): the target itself (RFC 9111, section 4.4), and what its
    /// rule says.
    #[must_use]
    pub fn begin(rules: &Rules, lane: Lane<'_>, target: &Target<'_>, method: &str) -> Option<Self> {
        if matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE") {
            return None;
        }
        let mut scopes = Set::new();
        match lane {
            Lane::Live(route) | Lane::Bypass(route) => {
                if let Some(touches) = &route.invalidates {
                    scopes = touched(rules, touches);
                }
            }
            Lane::Method(route) => {
                scopes.insert(match classify(rules, "GET", target) {
                    Classified::Stored(selected) => Scope::Key {
                        route: route.name.to_string(),
                        key: format!("{}{}", selected.stored.key, selected.in_key),
                    },
                    // With a query that selects none of its answers, it may mean any of them.
                    _ => Scope::Route(route.name.to_string()),
                });
            }
            Lane::Unlisted => {}
        }
        Some(Self { scopes })
    }

    /// With the groups that the answer names (RFC 9875, section 3), if the answer is no error. Nothing, if nothing is
    /// out of date.
    #[must_use]
    pub fn end(mut self, rules: &Rules, status: u16, groups: Option<&str>) -> Option<Self> {
        let groups = groups.and_then(groups::parse).unwrap_or_default();
        if groups.len() > groups::GROUPS_AT_MOST {
            // Too many to be told apart, so it may be anything.
            self.scopes.insert(Scope::Tenant);
        } else {
            for group in &groups {
                tagged(rules, group, &mut self.scopes);
            }
        }
        (matches!(status, 200..=399) && !self.scopes.is_empty()).then_some(self)
    }

    /// Tells the ledger. The token of the position, if it confirmed.
    pub async fn tell<P: Ports>(&self, ports: &P, tenant: &Tenant) -> Option<String> {
        let told = Order { mode: Mode::Soft, scopes: self.scopes.clone(), occasion: Occasion::Write };
        let done = order(ports, tenant, &told).await.ok()?.ok()?;
        let receipt: Value = serde_json::from_str(&done.receipt).ok()?;
        receipt.get("token")?.as_str().map(String::from)
    }
}
