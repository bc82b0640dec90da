//! Looks a key up: the counters and the nearest tier that has it at once, then the further tiers, until something may
//! answer.

use crate::cache_control::RequestDirectives;
use crate::cache_status::Forward;
use crate::classify::Selected;
use crate::entry::{Head, StoredResponse};
use crate::epoch::{Covered, Epoch, Standing};
use crate::fill::Question;
use crate::follow::Inbound;
use crate::key::{CacheKey, Tenant};
use crate::ports::{Flights as _, Ports, Snapshots as _, Tier as _, TierName};
use crate::reuse::{Knowledge, Reuse, Stale, reuse};
use crate::rules::{Route, Seconds, Stored};
use crate::snapshot::{Bounds, Judge, Snapshot, URGED_MS, judge, renew};
use crate::stores::{Call, asked};
use alloc::rc::Rc;
use alloc::string::String;
use futures::future::join;

/// What was found in the stores.
pub struct Lookup<B> {
    /// By what it was judged, if there are counters at all.
    pub judge: Option<Judge>,
    /// What answers, if anything does.
    pub usable: Option<Usable<B>>,
    /// Otherwise: why the origin is asked.
    pub why: Forward,
    /// Whether what was found does not count because of a purge.
    pub purged: bool,
    /// What is stored but does not answer as it is.
    pub known: Option<Known<B>>,
}

/// A stored response that the origin is asked about.
pub struct Known<B> {
    /// It.
    pub usable: Usable<B>,
    /// When it answers after all.
    pub stands_in: StandsIn,
}

/// When a stored response that does not answer as it is answers in the origin's place. The greater, the sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StandsIn {
    /// Never: it can only be validated.
    Never,
    /// If the origin fails. It was or may have been purged, or the client knows of something newer, so waiting is better.
    OnError,
    /// The same, and if the origin has too much to do, or is being asked by somebody else.
    WhileBusy,
}

impl<B> Known<B> {
    /// Its head.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.usable.stored.head
    }
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
    /// How it is stale, if it is.
    pub stale: Option<Stale>,
}

impl<B> Usable<B> {
    /// One that is stale.
    pub fn stale(tier: TierName, stored: StoredResponse<B>, stale: Stale) -> Self {
        Self { tier, stored, age: stale.age, ttl: stale.ttl, stale: Some(stale) }
    }
}

/// Asks for counters and in the nearest tiers at once, then in the further ones in turn. `newer_than` is a position that
/// the client knows of.
///
/// What memory has and is stale may have been renewed by another isolate: the data centre's tier is asked for that, by one
/// request at a time.
pub async fn lookup<P: Ports>(
    ports: &P,
    selected: &Selected<'_>,
    question: &Question,
    newer_than: Option<Epoch>,
) -> Lookup<P::Body> {
    let Question { tenant, key, inbound, .. } = question;
    let asked = inbound.as_ref().map_or_else(RequestDirectives::default, |inbound| inbound.directives);
    let bounds = Bounds::of(&selected.stored.lifetimes, ports.config().snapshot_at_most);
    let (judge, (mut found, further)) = join(judge(ports, tenant, bounds, newer_than), nearest(ports, question)).await;
    let mut further = further.iter().copied().filter(|tier| holds(*tier, selected.stored));
    let mut lookup = Lookup { judge, usable: None, why: Forward::UriMiss, purged: false, known: None };
    loop {
        if matches!(found, Found::OtherVariant) {
            lookup.why = Forward::VaryMiss;
        }
        if let Found::This(tier, stored) = found {
            if catch_up(ports, tenant, bounds, &mut lookup.judge, &stored.head).await {
                // It was judged by counters that are not the last word any more.
                (lookup.known, lookup.usable) = (None, None);
            }
            let known = known(lookup.judge.as_ref(), selected.route, key, &stored, newer_than);
            let judged = reuse(&stored.head, &selected.stored.lifetimes, known, &asked, ports.now());
            let is_good_enough = known.within && !known.insisting && known.standing == Standing::Current;
            let on_error = if is_good_enough { StandsIn::WhileBusy } else { StandsIn::OnError };
            let (stale, why, stands_in) = match judged {
                Reuse::Fresh { age, ttl } => {
                    lookup.usable = Some(Usable { tier, stored, age, ttl, stale: None });
                    return lookup;
                }
                Reuse::WhileRenewed(stale) => {
                    // What is in memory needs no reading, so it answers unless there is a later one.
                    let is_later = |held: &Usable<_>| stored.head.is_later_than(&held.stored.head);
                    if lookup.usable.as_ref().is_none_or(is_later) {
                        lookup.usable = Some(Usable::stale(tier, stored, stale));
                    }
                    if tier != TierName::Memory || !ports.upstream(|upstream| upstream.looking.take(key, ports.now())) {
                        return lookup;
                    }
                    found = find(ports, TierName::Edge, question).await;
                    ports.upstream(|upstream| upstream.looking.release(key));
                    continue;
                }
                Reuse::OnError(stale) => (Some(stale), Forward::Stale, on_error),
                Reuse::Expired(stale) => (Some(stale), Forward::Stale, StandsIn::Never),
                Reuse::Unwanted(stale) => (Some(stale), Forward::Request, on_error),
                Reuse::Purged => {
                    if tier == TierName::Memory {
                        ports.memory(|memory| memory.remove(key));
                    }
                    (None, lookup.why, StandsIn::Never)
                }
            };
            if let Some(stale) = stale {
                (lookup.why, lookup.purged) = (why, false);
                if lookup.known.as_ref().is_none_or(|known| known.stands_in < stands_in) {
                    lookup.known = Some(Known { usable: Usable::stale(tier, stored, stale), stands_in });
                }
            } else if lookup.why == Forward::UriMiss {
                lookup.purged = true;
            }
        }
        let Some(tier) = further.next().filter(|_| lookup.usable.is_none()) else { return lookup };
        found = find(ports, tier, question).await;
    }
}

/// What memory has, or else the data centre; and where else to look.
async fn nearest<P: Ports>(ports: &P, question: &Question) -> (Found<P::Body>, &'static [TierName]) {
    match find(ports, TierName::Memory, question).await {
        Found::Nothing => (find(ports, TierName::Edge, question).await, &[TierName::Kv]),
        found => (found, &[TierName::Edge, TierName::Kv]),
    }
}

/// What the request's fields amount to that selected a stored response, if that is something else.
fn other_variant(head: &Head, inbound: &Inbound) -> Option<String> {
    let followed = head.followed.as_ref().filter(|followed| !followed.nominated.is_empty())?;
    let variance = inbound.variance(&followed.nominated);
    (variance != followed.variance).then_some(variance)
}

/// A head that is newer than the counters shows that they are behind: they are asked for again, if that was not done
/// a moment ago. If the ledger was asked after the head was made, it has lost its memory, and hears of it at once.
/// Whether there are new ones.
async fn catch_up<P: Ports>(
    ports: &P,
    tenant: &Tenant,
    bounds: Bounds,
    judge: &mut Option<Judge>,
    head: &Head,
) -> bool {
    let behind = |Judge { snapshot, within, .. }: &Judge| {
        let is_due = snapshot.age(ports.now()) > URGED_MS || snapshot.asked_at > head.received_at;
        *within && snapshot.counters.epoch < head.epoch && is_due
    };
    if judge.as_ref().is_some_and(behind)
        && let Some(renewed) = renew(ports, tenant, bounds, Some(head.epoch)).await
    {
        *judge = Some(renewed);
        return true;
    }
    false
}

/// What is known of the purges that cover a stored response.
fn known<B>(
    judge: Option<&Judge>,
    route: &Route,
    key: &CacheKey,
    stored: &StoredResponse<B>,
    newer_than: Option<Epoch>,
) -> Knowledge {
    let covered = Covered { class: &route.class, route: &route.name, key: key.logical(), marks: &stored.head.marks };
    let head = stored.head.epoch;
    Knowledge {
        standing: judge.map_or(Standing::Current, |judge| judge.snapshot.counters.standing(&covered, head)),
        within: judge.is_some_and(|judge| judge.within),
        insisting: newer_than.is_some_and(|position| head < position),
    }
}

/// How a stored response stands, by these counters.
#[must_use]
pub fn standing(snapshot: &Snapshot, route: &Route, question: &Question, head: &Head) -> Standing {
    let covered = Covered { class: &route.class, route: &route.name, key: question.key.logical(), marks: &head.marks };
    snapshot.counters.standing(&covered, head.epoch)
}

/// Judges what is known once more, by the counters that this isolate has by now, and says where they stand. What they
/// purged is neither asked about, since the origin might say that it is right, nor does it stand in.
pub fn judge_again<P: Ports>(ports: &P, question: &Question, known: &mut Option<Known<P::Body>>) -> Option<Epoch> {
    let own = ports.snapshots().own(&question.tenant)?.snapshot;
    let route = ports.rules().route(&question.route)?;
    let now_stands = known.as_ref().map(|known| standing(&own, route, question, known.head()));
    match (now_stands, &mut *known) {
        (Some(Standing::Purged), _) => *known = None,
        (Some(Standing::Invalidated { .. }), Some(known)) => known.stands_in = known.stands_in.min(StandsIn::OnError),
        (Some(_) | None, _) => {}
    }
    Some(own.counters.epoch)
}

/// What a tier has for a question.
pub enum Found<B> {
    /// Nothing.
    Nothing,
    /// Only what other fields of a request selected.
    OtherVariant,
    /// This.
    This(TierName, StoredResponse<B>),
}

/// Asks a tier: for the entry that was stored last, and if other fields selected that one, for the variant that this
/// request's fields select (RFC 9111, section 4.1).
pub async fn find<P: Ports>(ports: &P, tier: TierName, question: &Question) -> Found<P::Body> {
    let Some(stored) = get(ports, tier, &question.key).await else { return Found::Nothing };
    let Some(inbound) = &question.inbound else { return Found::This(tier, stored) };
    let Some(variance) = other_variant(&stored.head, inbound) else { return Found::This(tier, stored) };
    match get(ports, tier, &question.key.variant(&variance)).await {
        Some(variant) if other_variant(&variant.head, inbound).is_none() => Found::This(tier, variant),
        Some(_) | None => Found::OtherVariant,
    }
}

/// Which routes live in which tier.
#[must_use]
pub fn holds(tier: TierName, stored: &Stored) -> bool {
    match tier {
        TierName::Memory | TierName::Edge => true,
        TierName::Kv => stored.hot,
    }
}

/// What a tier has. A tier that fails has nothing.
pub async fn get<P: Ports>(ports: &P, tier: TierName, key: &CacheKey) -> Option<StoredResponse<P::Body>> {
    if tier == TierName::Memory {
        let (head, bytes) = ports.memory(|memory| memory.get(key))?;
        return Some(StoredResponse { head, body: ports.held(bytes) });
    }
    let store = ports.tiers().iter().find(|store| store.name() == tier)?;
    let found = asked(ports, Call::Get(tier), store.get(key)).await?;
    if found.is_none() && tier == TierName::Kv {
        // Whatever was written there is gone, or not yet to be seen.
        ports.flights().write_down(key, None);
    }
    found
}

/// Holds a response in this isolate's memory, if it is small enough. One of several variants under its own name, too.
pub fn hold<P: Ports>(ports: &P, route: &Route, stored: &Stored, key: &CacheKey, head: &Rc<Head>, bytes: &Rc<[u8]>) {
    let variant = head.followed.as_ref().filter(|followed| !followed.nominated.is_empty());
    let variant = variant.map(|variant| key.variant(&variant.variance));
    ports.memory(|memory| {
        for key in [Some(key), variant.as_ref()].into_iter().flatten() {
            memory.put(key, &route.class, stored.limits, head.clone(), bytes.clone());
        }
    });
}
