//! One question for many who want the same: requests of one isolate share it while it is under way, and locations agree
//! by a lease of the ledger's who asks it.

use crate::epoch::Epoch;
use crate::fill::{Fetched, Filled, Question, ask, is_at_hand};
use crate::key::CacheKey;
use crate::ledger::leases::{Lease, LeaseCall};
use crate::lookup::{Known, judge_again};
use crate::ports::{Failure, Flights as _, InFlight, Incident, Landing, Ledger as _, Ports, within};
use crate::received::is_error;
use crate::rules::{Seconds, Stored};
use crate::snapshot::keep;
use crate::storing::Refusal;
use crate::turn::{Cause, Unanswered};
use alloc::rc::Rc;
use core::mem::replace;

/// For so long one request leads, in milliseconds. Then another one asks as well, once for all that wait.
pub const LED_MS: u64 = 3_000;
/// For so long it waits for another location that leads: it leads itself before any that waits for it would.
const LED_ELSEWHERE_MS: u64 = 2_500;
/// For so long a renewal does, behind which nobody waits.
const RENEWED_MS: u64 = 10_000;
/// For so long a request waits for those that lead if something stale could answer instead, in milliseconds. Otherwise it
/// waits for as long as the first of them may, and [`LED_MS`] more.
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

/// Asks the origin, unless somebody is asking the same. `epoch` is the position that was read before;
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
    loop {
        let had_stale = is_at_hand(known.as_ref());
        let filled = match epoch {
            Ok(position) => collapsed(ports, question, stored, position, newer_than, known, asker).await,
            Err(_) => ask(ports, question, stored, epoch, known).await,
        };
        // What is known stands in for a failure, unless it was purged meanwhile. Then the answer is worth a wait.
        judge_again(ports, question, known);
        let is_a_wait = matches!(&filled, Filled::Failed(failed) if failed.cause.is_a_wait());
        if !(is_a_wait && had_stale && !is_at_hand(known.as_ref())) {
            return filled;
        }
    }
}

async fn collapsed<P: Ports>(
    ports: &P,
    question: &Question,
    stored: &Stored,
    mut position: Epoch,
    newer_than: Option<Epoch>,
    known: &mut Option<Known<P::Body>>,
    asker: Asker,
) -> Filled<P::Body> {
    let needed = newer_than.map_or(position, |newer| newer.max(position));
    let has_stale = is_at_hand(known.as_ref());
    let name = question.flight();
    if ports.upstream(|upstream| upstream.is_unstorable(&name, ports.now())) {
        return ask(ports, question, stored, Ok(position), known).await;
    }
    let demand = ports.rules().route(&question.route).map(|route| ports.rules().demand(&route.class));
    let millis = |seconds: Option<Seconds>| u64::from(seconds.unwrap_or_default()).saturating_mul(1000);
    let follows = millis(demand.map(|demand| demand.first_byte_timeout)).saturating_add(LED_MS);
    let mut agrees = stored.limits.lease && asker != Asker::Refresh;
    match follow(ports, &name, needed, if has_stale { FOLLOWED_WITH_STALE_MS } else { follows }, has_stale).await {
        Followed::Lead => {}
        Followed::TakeOver => agrees = false,
        // RFC 9111, section 5.2.2.4: what must be validated before each use answers the one who asked alone.
        Followed::Landed(fetched) if fetched.head.ttl(&stored.lifetimes, ports.now()) > 0 => {
            return Filled::Joined(fetched);
        }
        Followed::Landed(_) | Followed::Released => return ask(ports, question, stored, Ok(position), known).await,
        Followed::InVain if has_stale => return Filled::Failed(Unanswered::awaited()),
        Followed::InVain => return ask(ports, question, stored, Err(Refusal::Leased), known).await,
    }
    // A purge may have come while it waited: what is asked from here on has seen it, and what is known may not have.
    position = judge_again(ports, question, known).map_or(position, |own| own.max(position));
    let lasts = millis(demand.map(|demand| demand.total_timeout)).saturating_add(LANDED_MS);
    let mut handle = ports.flights().take_off(&name, position, ports.now(), lasts);
    let filled = if agrees {
        let patience = match asker {
            Asker::Renewal => RENEWED_MS,
            Asker::Reader | Asker::Refresh if has_stale => 0,
            Asker::Reader | Asker::Refresh => LED_ELSEWHERE_MS,
        };
        match agreed(ports, question, stored, position, needed, lasts, patience).await {
            Agreed::Ask { position, lease } => {
                judge_again(ports, question, known);
                let filled = ask(ports, question, stored, Ok(position), known).await;
                if let Some(id) = lease {
                    ports.ledger().hand_back(&question.tenant, &name, id, filled.stored());
                }
                filled
            }
            Agreed::Take(fetched) => Filled::HandedOn(fetched),
            Agreed::Overdue if asker == Asker::Renewal || has_stale => Filled::Failed(Unanswered::awaited()),
            Agreed::Overdue => {
                // It leads from here on.
                position = judge_again(ports, question, known).map_or(position, |own| own.max(position));
                let next = ports.flights().take_off(&name, position, ports.now(), lasts);
                ports.flights().land(&name, replace(&mut handle, next), Landing::Failed);
                ask(ports, question, stored, Ok(position), known).await
            }
        }
    } else {
        ask(ports, question, stored, Ok(position), known).await
    };
    ports.flights().land(&name, handle, landing(&filled, stored));
    filled
}

/// What those who follow hear of an answer.
fn landing<B>(filled: &Filled<B>, stored: &Stored) -> Landing {
    match filled {
        Filled::Stored(fetched, _) | Filled::HandedOn(fetched) | Filled::Joined(fetched) => {
            Landing::Answer(fetched.clone())
        }
        // Who is not let through to the origin says so at once.
        Filled::Failed(failed) if matches!(failed.cause, Cause::BreakerOpen | Cause::Busy) => Landing::Released,
        Filled::Failed(_) => Landing::Failed,
        // An origin that says 500 is not asked by all of them. Where its errors are its answers, each has its own.
        Filled::Unstored(unstored) if is_error(unstored.status) && stored.shape().is_some() => Landing::Failed,
        Filled::Unstored(_) => Landing::Released,
    }
}

/// What came of following others who ask the same.
#[expect(clippy::large_enum_variant, reason = "it is matched where it is made")]
enum Followed {
    /// Nobody does, or all who did failed.
    Lead,
    /// Whoever leads has done so for long: another one asks as well.
    TakeOver,
    /// They had an answer.
    Landed(Fetched),
    /// Each asks for itself.
    Released,
    /// They had none in time.
    InVain,
}

/// Follows, for so many milliseconds, whoever asks the same in this isolate; `once`: nobody after that one.
async fn follow<P: Ports>(ports: &P, name: &CacheKey, needed: Epoch, patience: u64, once: bool) -> Followed {
    let came = ports.now();
    while let Some(flight) = joinable(ports, name, needed) {
        let now = ports.now().0;
        let left = patience.saturating_sub(now.saturating_sub(came.0));
        let lead = LED_MS.saturating_sub(now.saturating_sub(flight.since.0));
        if left == 0 {
            return Followed::InVain;
        }
        if lead == 0 && !once {
            return Followed::TakeOver;
        }
        let millis = if once { left } else { left.min(lead) };
        match within(ports, millis, ports.flights().landed(flight.handle)).await {
            Some(Landing::Answer(fetched)) => return Followed::Landed(fetched),
            Some(Landing::Released) => return Followed::Released,
            None if once => return Followed::InVain,
            Some(Landing::Failed) | None => {}
        }
    }
    Followed::Lead
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
