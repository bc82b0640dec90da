//! Looks a key up: the ledger and the nearest tier at once, then the further tiers, until something may answer.

use crate::cache_status::Forward;
use crate::classify::Selected;
use crate::entry::StoredResponse;
use crate::epoch::{Counters, Covered};
use crate::key::{CacheKey, Tenant};
use crate::ports::{Incident, Ledger as _, Ports, Tier as _, TierName};
use crate::reuse::{Absence, Reuse, reuse};
use crate::rules::{Seconds, WithoutLedger};
use futures::future::join;

/// What was found in the stores.
pub struct Lookup<B> {
    /// What the ledger said, if it could be asked.
    pub counters: Option<Counters>,
    /// What answers, if anything does.
    pub usable: Option<Usable<B>>,
    /// Otherwise: why the origin is asked.
    pub why: Forward,
    /// Why what was found does not count.
    pub absence: Option<Absence>,
}

/// A stored response that may answer.
pub struct Usable<B> {
    /// Where it was.
    pub tier: TierName,
    /// Head and unread body.
    pub stored: StoredResponse<B>,
    /// Its current age.
    pub age: Seconds,
    /// Seconds of freshness left.
    pub ttl: i64,
}

/// Asks the ledger and the nearest tier at once, then the further tiers in turn.
pub async fn lookup<P: Ports>(ports: &P, tenant: &Tenant, selected: &Selected<'_>, key: &CacheKey) -> Lookup<P::Body> {
    let mut tiers = ports.tiers().iter().filter(|tier| holds(tier.name(), selected));
    let nearest = tiers.next();
    let (counters, found) = join(ports.ledger().counters(tenant), get(ports, nearest, key)).await;
    let counters = counters.map_err(|failure| ports.record(Incident::Ledger, &failure)).ok();
    let covered = Covered { class: &selected.route.class, route: &selected.route.name, key: key.logical() };
    let mut lookup = Lookup { counters, usable: None, why: Forward::UriMiss, absence: None };
    let mut found = found;
    if lookup.counters.is_none() && selected.stored.lifetimes.without_ledger == WithoutLedger::Forward {
        // Whatever a tier has, nobody can say whether it was purged.
        return Lookup { why: Forward::Miss, ..lookup };
    }
    loop {
        if let Some((tier, stored)) = found {
            match reuse(&stored.head, &selected.stored.lifetimes, &covered, lookup.counters.as_ref(), ports.now()) {
                Reuse::Fresh { age, ttl } => {
                    lookup.usable = Some(Usable { tier, stored, age, ttl });
                    return lookup;
                }
                Reuse::Stale { .. } => (lookup.why, lookup.absence) = (Forward::Stale, None),
                Reuse::Absent(absence) if lookup.why == Forward::UriMiss => lookup.absence = Some(absence),
                Reuse::Absent(_) => {}
            }
        }
        let Some(next) = tiers.next() else { return lookup };
        found = get(ports, Some(next), key).await;
    }
}

/// Which routes live in which tier.
#[must_use]
pub fn holds(tier: TierName, selected: &Selected<'_>) -> bool {
    match tier {
        TierName::Edge => true,
        TierName::Kv => selected.stored.hot,
    }
}

/// What a tier has. A tier that fails has nothing.
pub async fn get<P: Ports>(
    ports: &P,
    tier: Option<&P::Tier>,
    key: &CacheKey,
) -> Option<(TierName, StoredResponse<P::Body>)> {
    let tier = tier?;
    match tier.get(key).await {
        Ok(stored) => stored.map(|stored| (tier.name(), stored)),
        Err(failure) => {
            ports.record(Incident::Get(tier.name()), &failure);
            None
        }
    }
}
