//! One question for many who want the same: requests of one isolate share it while it is under way, and locations agree
//! by a lease of the ledger's who asks it.

use crate::epoch::Epoch;
use crate::fill::{Fetched, Filled, Question, ask, is_at_hand};
use crate::key::CacheKey;
use crate::ledger::leases::{Lease, LeaseCall};
use crate::lookup::Known;
use crate::ports::{Failure, Flights as _, InFlight, Incident, Landing, Ledger as _, Ports, within};
use crate::rules::Stored;
use crate::snapshot::keep;
use crate::storing::Refusal;
use crate::turn::{Cause, Unanswered};
use alloc::rc::Rc;

/// For so long a request waits for another one's answer before it asks for itself, in milliseconds.
const FOLLOWED_MS: u64 = 3_000;
/// For so long it does if something stale could answer instead.
const FOLLOWED_WITH_STALE_MS: u64 = 500;
/// For so long a question counts as under way beyond the time that its class gives the origin, in milliseconds; whoever
/// asked may be gone. Within it, locations agree who asks.
const LANDED_MS: u64 = 5_000;
/// For so long the ledger is waited for when a lease is wanted, in milliseconds.
const LEASED_MS: u64 = 500;

/// For whom the origin is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// For a request that waits.
    Reader,
    /// For nobody but the store: what is stale has been served.
    Renewal,
    /// For a reader who wants it anew, and no answer of anybody else's.
    Refresh,
}

/// Asks the origin, unless somebody in this isolate is asking the same. `epoch` is the position that was read before;
/// or why the answer is not stored whatever it is. `newer_than` is a position that the client knows of. `known` is what
/// is stored and stale: it is taken if the origin says that it is right.
pub async fn fill<P: Ports>(
    ports: &P,
    question: &Question,
    stored: &Stored,
    epoch: Result<Epoch, Refusal>,
    newer_than: Option<Epoch>,
    known: &mut Option<Known<P::Body>>,
    asker: Asker,
) -> Filled<P::Body> {
    let Ok(position) = epoch else { return ask(ports, question, stored, epoch, known).await };
    let needed = newer_than.map_or(position, |newer| newer.max(position));
    let has_stale = is_at_hand(known.as_ref());
    let name = question.flight();
    if ports.upstream(|upstream| upstream.is_unstorable(&name, ports.now())) {
        return ask(ports, question, stored, epoch, known).await;
    }
    if let Some(flight) = joinable(ports, &name, needed) {
        let patience = if has_stale { FOLLOWED_WITH_STALE_MS } else { FOLLOWED_MS };
        return match within(ports, patience, ports.flights().landed(flight.handle)).await {
            // RFC 9111, section 5.2.2.4: what must be validated before each use answers the one who asked alone.
            Some(Landing::Answer(fetched)) if fetched.head.ttl(&stored.lifetimes, ports.now()) > 0 => {
                Filled::Joined(fetched)
            }
            Some(Landing::Answer(_) | Landing::Nothing) => ask(ports, question, stored, epoch, known).await,
            Some(Landing::Overdue) | None if has_stale => Filled::Failed(Unanswered::awaited()),
            Some(Landing::Overdue) | None => ask(ports, question, stored, Err(Refusal::Leased), known).await,
        };
    }
    let total = ports.rules().route(&question.route).map(|route| ports.rules().demand(&route.class).total_timeout);
    let lasts = u64::from(total.unwrap_or_default()).saturating_mul(1000).saturating_add(LANDED_MS);
    let handle = ports.flights().take_off(&name, position, ports.now(), lasts);
    let filled = if stored.limits.lease && asker != Asker::Refresh {
        let patience = match asker {
            Asker::Renewal => u64::MAX,
            Asker::Reader | Asker::Refresh if has_stale => 0,
            Asker::Reader | Asker::Refresh => FOLLOWED_MS,
        };
        match agreed(ports, question, stored, position, needed, lasts, patience).await {
            Agreed::Ask { position, lease } => {
                let filled = ask(ports, question, stored, Ok(position), known).await;
                if let Some(id) = lease {
                    ports.ledger().hand_back(&question.tenant, &name, id, filled.stored());
                }
                filled
            }
            Agreed::Take(fetched) => Filled::HandedOn(fetched),
            Agreed::Overdue if asker == Asker::Renewal || has_stale => Filled::Failed(Unanswered::awaited()),
            Agreed::Overdue => ask(ports, question, stored, Err(Refusal::Leased), known).await,
        }
    } else {
        ask(ports, question, stored, epoch, known).await
    };
    let landing = match (&filled, filled.stored()) {
        (_, Some(fetched)) => Landing::Answer(fetched.clone()),
        (Filled::Failed(unanswered), None) if unanswered.cause == Cause::Awaited => Landing::Overdue,
        (_, None) => Landing::Nothing,
    };
    ports.flights().land(&name, handle, landing);
    filled
}

/// What locations have agreed upon.
#[expect(clippy::large_enum_variant, reason = "it is matched where it is made")]
enum Agreed {
    /// This one asks: from this position on, and under this lease, if there is one.
    Ask { position: Epoch, lease: Option<u64> },
    /// Another one has asked, and this is its answer.
    Take(Fetched),
    /// Another one is asking, and has no answer yet.
    Overdue,
}

/// Agrees with the other locations who asks the origin, by a lease of the ledger's. What is handed on answers if it has
/// seen what is `needed`. Whoever cannot agree asks.
async fn agreed<P: Ports>(
    ports: &P,
    question: &Question,
    stored: &Stored,
    position: Epoch,
    needed: Epoch,
    lasts: u64,
    patience: u64,
) -> Agreed {
    let name = question.flight();
    let call = async |millis: u64, call: LeaseCall| {
        let answer = within(ports, millis, ports.ledger().lease(&question.tenant, &name, call)).await;
        let answer = answer.unwrap_or_else(|| Err(Failure("the ledger took too long for a lease".into())));
        answer.map_err(|failure| ports.record(Incident::Lease, &failure)).ok()
    };
    let Some((mut lease, snapshot)) = call(LEASED_MS, LeaseCall::Take { lasts }).await else {
        return Agreed::Ask { position, lease: None };
    };
    let position = position.max(snapshot.counters.epoch);
    keep(ports, &question.tenant, &Rc::new(snapshot));
    if let Lease::Held { id, lasts } = lease {
        let millis = patience.min(lasts);
        if millis == 0 {
            return Agreed::Overdue;
        }
        match call(millis.saturating_add(LEASED_MS), LeaseCall::Wait { id, millis }).await {
            Some((waited, _)) => lease = waited,
            None => return Agreed::Overdue,
        }
    }
    match lease {
        Lease::Granted { id } => Agreed::Ask { position, lease: Some(id) },
        Lease::Held { .. } => Agreed::Overdue,
        Lease::HandedOn(text) => match Fetched::read(&text) {
            Some(fetched) if fetched.head.epoch >= needed && fetched.head.ttl(&stored.lifetimes, ports.now()) > 0 => {
                Agreed::Take(fetched)
            }
            Some(_) | None => Agreed::Ask { position, lease: None },
        },
        Lease::Over => Agreed::Ask { position, lease: None },
    }
}

/// The same question under way, if its answer will have seen all that ours would have.
pub fn joinable<P: Ports>(
    ports: &P,
    key: &CacheKey,
    position: Epoch,
) -> Option<InFlight<<P::Flights as crate::ports::Flights>::Handle>> {
    let flight = ports.flights().under_way(key)?;
    let led = ports.now().0.checked_sub(flight.since.0).is_some_and(|led| led < flight.lasts);
    (led && flight.epoch >= position).then_some(flight)
}
