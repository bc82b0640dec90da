//! Purges on their way to the ledger: whoever asks for one, and what a write makes out of date.

use crate::classify::{Classified, Lane, classify};
use crate::config::Config;
use crate::epoch::{Counters, Mode, Scope, mark};
use crate::groups;
use crate::key::Tenant;
use crate::ledger::order::{Declined, Done, Occasion, Order};
use crate::names::field;
use crate::ports::{Failure, Incident, Ledger as _, Ports, Response, within};
use crate::rules::{Disposition, Lifetimes, Rules, Touches};
use crate::small::Set;
use crate::snapshot::{Bounds, Snapshot, keep, renew, share};
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
    /// The bounds of a route that follows its origin: what was written to is not used again before it is validated
    /// (RFC 9111, section 4.4), so not for a window either, which only a class can say that it bears.
    at_once: Option<Lifetimes>,
}

impl Write {
    /// Of a method that is not safe (RFC 9110, section 9.2.1): the target itself (RFC 9111, section 4.4), and what its
    /// rule says.
    #[must_use]
    pub fn begin(rules: &Rules, lane: Lane<'_>, target: &Target<'_>, method: &str) -> Option<Self> {
        if matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE") {
            return None;
        }
        let (mut scopes, mut at_once) = (Set::new(), None);
        match lane {
            Lane::Live(route) | Lane::Bypass(route) => {
                if let Some(touches) = &route.invalidates {
                    scopes = touched(rules, touches);
                }
            }
            Lane::Method(route) => {
                if let Disposition::Store(stored) = &route.disposition
                    && stored.shape().is_none()
                {
                    at_once = Some(stored.lifetimes);
                }
                scopes.insert(match classify(rules, "GET", target) {
                    Classified::Stored(selected) => Scope::Key { route: route.name.to_string(), key: selected.key },
                    // With a query that selects none of its answers, it may mean any of them.
                    _ => Scope::Route(route.name.to_string()),
                });
            }
            Lane::Unlisted | Lane::Past(..) => {}
        }
        Some(Self { scopes, at_once })
    }

    /// With the groups that the answer names (RFC 9875, section 3), and what it says that was written at the same time
    /// (RFC 9111, section 4.4), if the answer is no error. Nothing, if nothing is out of date.
    #[must_use]
    pub fn end<R: Response>(mut self, rules: &Rules, config: &Config, response: &R) -> Option<Self> {
        let groups = response.header(field::CACHE_GROUP_INVALIDATION);
        let groups = groups.as_deref().and_then(groups::parse).unwrap_or_default();
        for name in [field::LOCATION, field::CONTENT_LOCATION] {
            let scope = response.header(name).and_then(|location| located(rules, config, &location));
            if let Some(scope) = scope {
                self.scopes.insert(scope);
            }
        }
        if groups.len() > groups::GROUPS_AT_MOST {
            // Too many to be told apart, so it may be anything.
            self.scopes.insert(Scope::Tenant);
        } else {
            for group in &groups {
                tagged(rules, group, &mut self.scopes);
            }
        }
        (matches!(response.status(), 200..=399) && !self.scopes.is_empty()).then_some(self)
    }

    /// Tells the ledger. The token of the position, if it confirmed.
    pub async fn tell<P: Ports>(&self, ports: &P, tenant: &Tenant) -> Option<String> {
        let mode = if self.at_once.is_some() { Mode::Hard } else { Mode::Soft };
        let told = Order { mode, scopes: self.scopes.clone(), occasion: Occasion::Write };
        let done = order(ports, tenant, &told).await.ok()?.ok()?;
        let receipt: Value = serde_json::from_str(&done.receipt).ok()?;
        let token = receipt.get("token")?.as_str()?;
        if let Some(lifetimes) = &self.at_once {
            // In a burst, the position may be one that is to come. Who asks for it brings it about.
            let position = ports.config().tokens.verify(tenant, token);
            let bounds = Bounds::of(lifetimes, ports.config().snapshot_at_most);
            if let Some(judge) = renew(ports, tenant, bounds, position).await {
                _ = within(ports, PUT_BACK_MS, share(ports, tenant, &judge.snapshot)).await;
            }
        }
        Some(String::from(token))
    }
}

/// The key that a URI in an answer names, if it is of the origin that answered: "a cache MUST NOT invalidate [...] if the
/// origin (scheme, host, port) differs" (section 4.4).
fn located(rules: &Rules, config: &Config, location: &str) -> Option<Scope> {
    // A path on the same origin, or a whole URL: as the origin names itself, or as its clients do.
    let path = location.strip_prefix(config.origin.as_str()).unwrap_or(location);
    let is_path = path.starts_with('/') && !path.starts_with("//");
    let url = if is_path { format!("https://edge{path}") } else { location.to_string() };
    let target = Target::parse(&url).ok().filter(|target| is_path || config.serves(target.host))?;
    let Classified::Stored(selected) = classify(rules, "GET", &target) else { return None };
    Some(Scope::Key { route: selected.route.name.to_string(), key: selected.key })
}
