//! What is done when the answer is on its way.

use crate::collapse::{Asker, fill, joinable};
use crate::entry::{Head, StoredResponse};
use crate::epoch::{Epoch, Standing};
use crate::fill::{Filled, Question};
use crate::invalidate::Write;
use crate::keep::{Keep, Place, left};
use crate::key::{CacheKey, Tenant};
use crate::ledger::outbox::ERASED_AGAIN_MS;
use crate::lookup::{Found, Known, StandsIn, Usable, find, get, hold, holds, standing};
use crate::ports::{Body, Flights as _, Ports, Tier as _, TierName};
use crate::reuse::{Stale, Staleness};
use crate::rules::{Route, Stored};
use crate::snapshot::{Bounds, Judge, Snapshot, Then, renew, share};
use crate::stores::{Call, asked};
use crate::storing::is_worth_writing;
use crate::time::UnixMillis;
use alloc::rc::Rc;

/// Work that nobody waits for.
#[derive(Debug)]
pub struct After<B> {
    /// A response to be kept.
    pub keep: Option<Keep<B>>,
    /// A copy of a tenant's counters that is to be renewed, or shared with the other isolates here.
    pub counters: Option<(Tenant, Bounds, Judge)>,
    /// A stale response to be renewed.
    pub renewal: Option<Renewal>,
    /// A write whose invalidation the ledger has not confirmed.
    pub write: Option<(Tenant, Write)>,
}

/// What is stale, or soon will be, and is being served.
#[derive(Debug)]
pub struct Renewal {
    /// What it answers.
    pub question: Question,
    /// By what it was judged.
    pub snapshot: Rc<Snapshot>,
    /// Which response is being served: whatever was asked for later will do.
    pub instead_of: (Epoch, UnixMillis),
}

impl<B> Default for After<B> {
    fn default() -> Self {
        Self { keep: None, counters: None, renewal: None, write: None }
    }
}

impl<B> After<B> {
    /// A response to be kept, and nothing else.
    #[must_use]
    pub fn keeping(keep: Option<Keep<B>>) -> Self {
        Self { keep, ..Self::default() }
    }

    /// Whether there is anything to do.
    #[must_use]
    pub fn is_something(&self) -> bool {
        self.keep.is_some() || self.counters.is_some() || self.renewal.is_some() || self.write.is_some()
    }
}

/// Does what was left for later.
pub async fn finish<P: Ports>(ports: &P, after: After<P::Body>) {
    let After { keep, counters, renewal, write } = after;
    if let Some((tenant, write)) = write {
        _ = write.tell(ports, &tenant).await;
    }
    if let Some((tenant, bounds, judge)) = counters {
        let judge = if judge.then == Then::Renew { renew(ports, &tenant, bounds, None).await } else { Some(judge) };
        if let Some(judge) = judge.filter(|judge| judge.then == Then::Share) {
            share(ports, &tenant, &judge.snapshot).await;
        }
    }
    if let Some(keep) = keep {
        put(ports, keep).await;
    }
    if let Some(renewal) = renewal {
        renew_response(ports, renewal).await;
    }
}

/// Puts what was fetched where it belongs.
///
/// Stores have no compare-and-set, so an older fill may land over a newer one. This looks at the copy in its own
/// data centre first and keeps the later; across data centres, the epochs keep an older body from being served.
pub async fn put<P: Ports>(ports: &P, keep: Keep<P::Body>) {
    let Keep { head, encoded, seconds, places } = keep;
    // What took too long would land behind an erasure, and lie there until it ends.
    let is_late = ports.now().0.saturating_sub(head.requested_at.0) > ERASED_AGAIN_MS / 2;
    let mut looked: Option<(CacheKey, bool)> = None;
    for Place { tier: name, key, body } in places {
        let is_older = match looked.as_ref().filter(|(other, _)| *other == key) {
            Some((_, is_older)) => *is_older,
            None => get(ports, TierName::Edge, &key).await.is_some_and(|there| there.head.is_later_than(&head)),
        };
        looked = Some((key.clone(), is_older));
        if is_older || name == TierName::Kv && (is_late || !is_due(ports, &key, &head)) {
            continue;
        }
        let Some(tier) = ports.tiers().iter().find(|tier| tier.name() == name) else { continue };
        if name == TierName::Kv {
            ports.flights().write_down(&key, Some(Head::clone(&head)));
        }
        let put = asked(ports, Call::Put(name), tier.put(&key, &head, &encoded, body, seconds)).await;
        if put.is_none() && name == TierName::Kv {
            ports.flights().write_down(&key, None);
        }
    }
}

/// Whether Workers KV is written: not for what this isolate has written there already. If the ledger's line moved in
/// between, that may be purged.
fn is_due<P: Ports>(ports: &P, key: &CacheKey, head: &Head) -> bool {
    let written = ports.flights().written(key).filter(|written| written.epoch == head.epoch);
    written.is_none_or(|there| is_worth_writing(&there, head, ports.now()))
}

/// Renews a stale response: from a further tier, where another location may have put a newer one, or from the origin.
/// Once at a time, in this isolate.
async fn renew_response<P: Ports>(ports: &P, renewal: Renewal) {
    let (question, position) = (&renewal.question, renewal.snapshot.counters.epoch);
    let name = question.flight();
    let route = ports.rules().stored().find(|(route, _)| route.name == question.route);
    let Some((route, stored)) = route.filter(|_| joinable(ports, &name, position).is_none()) else { return };
    if !ports.upstream(|upstream| upstream.renewing.take(&name, ports.now())) {
        return;
    }
    let is_renewed = renew_from_tiers(ports, route, stored, &renewal).await;
    let mut known = if is_renewed { None } else { known(ports, route, stored, question, &renewal.snapshot).await };
    ports.upstream(|upstream| upstream.renewing.release(&name));
    if is_renewed || joinable(ports, &name, position).is_some() {
        return;
    }
    match fill(ports, question, stored, Ok(position), None, &mut known, Asker::Renewal).await {
        Filled::Stored(fetched, _) => {
            hold(ports, route, stored, &question.key, &Rc::new(fetched.head.clone()), &fetched.bytes);
            put(ports, Keep::everywhere(ports, &question.key, stored, fetched)).await;
        }
        Filled::HandedOn(fetched) => {
            hold(ports, route, stored, &question.key, &Rc::new(fetched.head.clone()), &fetched.bytes);
            put(ports, Keep::nearby(ports, &question.key, stored, fetched)).await;
        }
        Filled::Failed(unanswered) => unanswered.record(ports),
        Filled::Joined(_) | Filled::Unstored(_) => {}
    }
}

/// Whether a further tier had a newer response. The next request finds it.
async fn renew_from_tiers<P: Ports>(ports: &P, route: &Route, stored: &Stored, renewal: &Renewal) -> bool {
    let Renewal { question, snapshot, instead_of } = renewal;
    for tier in [TierName::Edge, TierName::Kv].into_iter().filter(|tier| holds(*tier, stored)) {
        let Some(StoredResponse { head, body }) = get(ports, tier, &question.key).await else { continue };
        let is_current = standing(snapshot, route, question, &head) == Standing::Current;
        if is_current && head.fetched() > *instead_of && head.ttl(&stored.lifetimes, ports.now()) > 0 {
            if tier == TierName::Edge {
                ports.memory(|memory| memory.remove(&question.key));
                return true;
            }
            let seconds = left(stored, &head, head.current_age(ports.now()));
            let keep = Keep::in_tier(TierName::Edge, question.key.clone(), head, Body::Stream(body), seconds);
            if let Some(keep) = keep {
                put(ports, keep).await;
                return true;
            }
        }
    }
    false
}

/// What the nearest tier has that the origin can be asked about. The copy that answers is on its way out.
async fn known<P: Ports>(
    ports: &P,
    route: &Route,
    stored: &Stored,
    question: &Question,
    snapshot: &Snapshot,
) -> Option<Known<P::Body>> {
    let there = match find(ports, TierName::Memory, question).await {
        Found::This(tier, there) => Found::This(tier, there),
        Found::Nothing | Found::OtherVariant => find(ports, TierName::Edge, question).await,
    };
    let Found::This(tier, there) = there else { return None };
    let is_of_use = standing(snapshot, route, question, &there.head) != Standing::Purged;
    (is_of_use && !there.head.validators.are_none()).then_some(())?;
    let now = ports.now();
    let (age, ttl) = (there.head.current_age(now), there.head.ttl(&stored.lifetimes, now));
    let stale = Stale { age, ttl, why: Staleness::Expired };
    Some(Known { usable: Usable::stale(tier, there, stale), stands_in: StandsIn::Never })
}
