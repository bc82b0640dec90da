//! What an isolate may ask of the origin: a breaker for each class, slots that shrink when the origin is in trouble, and
//! a budget of second tries.
//!
//! Plain data, and no clock: whoever asks polls [`Upstream::ask`] until it says something else than "wait".

use crate::breaker::{Breaker, Change, Permit};
use crate::date;
use crate::key::CacheKey;
use crate::latch::Latch;
use crate::rules::{Demand, Text};
use crate::small::Map;
use crate::time::UnixMillis;
use alloc::vec::Vec;

/// For so long a request waits for a slot at most, in milliseconds.
pub const WAIT_MS: u64 = 5_000;
/// For so long it does if something stale answers otherwise: longer than a slot is taken on a day like any other.
pub const WAIT_WITH_STALE_MS: u64 = 500;
/// A request that waits asks again after so many milliseconds.
pub const POLL_MS: u64 = 25;
/// Who has not asked again for so long is gone.
const GONE_MS: u64 = 1_000;
/// So many wait at most; a further one is refused at once.
const WAITING_AT_MOST: usize = 1_024;
/// So many questions because of a purge are under way at once.
const SURGE_AT_MOST: usize = 8;
/// An origin that has answered somebody within so many milliseconds is there: if it has too much to do, fewer questions
/// help it, and the classes share them by their value, where a breaker would stop one class and not another.
const THERE_MS: u64 = 1_000;
/// A slot, in the units in which the limit grows.
const SLOT: u64 = 1_000;
/// A second try costs as much as so many first ones bring in.
const RETRY_COST: u32 = 10;
/// So many second tries are saved up at most. There are none at first: they are earned.
const RETRIES_AT_MOST: u32 = 10;
/// So many slots are left by questions that nobody answers: whether it is asked at all is for the breakers to say.
const SLOTS_LEAST: u64 = 4;
/// For so long it is remembered that an answer was not one for the store, in milliseconds.
const UNSTORABLE_MS: u64 = 10_000;
/// Of so many keys.
const UNSTORABLE_AT_MOST: usize = 512;

/// What is under way to the origin, and how it went of late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    breakers: Map<(Lane, Text), Breaker>,
    slots: Vec<Slot>,
    waiting: Vec<Waiting>,
    tickets: u64,
    /// How many slots there are, in parts of one.
    limit: u64,
    /// The ticket of the last question that was asked before the slots were last halved.
    halved_at: u64,
    /// When it last answered anybody.
    answered_at: u64,
    retries: u32,
    unstorable: Map<CacheKey, u64>,
    /// Who asks the data centre whether it has something newer than this isolate.
    pub looking: Latch,
    /// Who renews a response.
    pub renewing: Latch,
}

/// In which way the origin is asked. What it says in one of them is no verdict on the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// For an answer to be stored.
    Fill,
    /// A request is passed on.
    Forward,
}

/// Somebody who wants to ask the origin.
#[derive(Debug, Clone)]
pub struct Wanting {
    /// In which way.
    pub lane: Lane,
    /// For which class, by name.
    pub class: Text,
    /// What the class may take.
    pub demand: Demand,
    /// Because a purge took away what was stored.
    pub is_surge: bool,
    /// How many questions may be under way at once when the origin is well.
    pub at_most: u32,
    /// Since when it waits, and as which number.
    since: Option<(u64, u64)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Waiting {
    ticket: u64,
    value: u32,
    is_surge: bool,
    since: u64,
    seen: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    ticket: u64,
    is_surge: bool,
    /// When it is free again, whatever became of its holder.
    until: u64,
}

/// What somebody is told who wants to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Ask, and say how it went.
    Go(Pass),
    /// All slots are taken: come again in [`POLL_MS`].
    Wait,
    /// The breaker is open for so many milliseconds.
    Open(u64),
    /// Too many wait already.
    Full,
}

/// A slot, and leave of the breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Pass {
    ticket: u64,
    lane: Lane,
    class: Text,
    permit: Permit,
}

/// How a question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The origin answered.
    Answered,
    /// It answered what is passed on as it stands, and so is no reason to leave it alone.
    Passed {
        /// Whether it has too much to do.
        is_overload: bool,
    },
    /// It answered with an error, and asks to be left alone for so many milliseconds, if it says so.
    Error {
        /// For how long.
        retry_after: Option<u64>,
        /// Whether it has too much to do.
        is_overload: bool,
    },
    /// It did not answer, or not in time, or not whole.
    Nothing,
}

impl Pass {
    /// The name of the class.
    #[must_use]
    pub fn class(&self) -> &Text {
        &self.class
    }
}

impl Wanting {
    /// A first question.
    #[must_use]
    pub fn new(lane: Lane, class: Text, demand: Demand, is_surge: bool, at_most: u32) -> Self {
        Self { lane, class, demand, is_surge, at_most, since: None }
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self::new()
    }
}

impl Upstream {
    /// One that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            breakers: Map::new(),
            slots: Vec::new(),
            waiting: Vec::new(),
            tickets: 0,
            limit: u64::MAX,
            halved_at: 0,
            answered_at: 0,
            retries: 0,
            unstorable: Map::new(),
            looking: Latch::new(),
            renewing: Latch::new(),
        }
    }

    /// Whether the origin may be asked now. Whoever is told to wait asks again with the same value, or calls
    /// [`Upstream::give_up`].
    pub fn ask(&mut self, wanting: &mut Wanting, now: UnixMillis) -> Told {
        let total_ms = u64::from(wanting.demand.total_timeout.max(wanting.demand.first_byte_timeout)) * 1000;
        self.slots.retain(|slot| is_ahead(slot.until, now.0, total_ms.max(300_000)));
        self.waiting.retain(|other| now.0.abs_diff(other.seen) < GONE_MS);
        let name = (wanting.lane, wanting.class.clone());
        let mut told = Told::Wait;
        let has_room = self.has_room(wanting);
        self.breakers.change(name, |breaker| match breaker.admit(now, total_ms) {
            Err(left) => told = Told::Open(left),
            Ok(permit) if has_room => {
                told = Told::Go(Pass { ticket: 0, lane: wanting.lane, class: wanting.class.clone(), permit });
            }
            Ok(permit) => breaker.forget(permit),
        });
        match &mut told {
            Told::Go(pass) => {
                self.give_up(wanting);
                self.tickets = self.tickets.wrapping_add(1);
                pass.ticket = self.tickets;
                let until = now.0.saturating_add(total_ms);
                self.slots.push(Slot { ticket: pass.ticket, is_surge: wanting.is_surge, until });
                self.retries = self.retries.saturating_add(1).min(RETRIES_AT_MOST * RETRY_COST);
            }
            Told::Wait => told = self.wait(wanting, now),
            Told::Open(_) | Told::Full => self.give_up(wanting),
        }
        told
    }

    /// Whoever waited waits no more.
    pub fn give_up(&mut self, wanting: &Wanting) {
        if let Some((_, ticket)) = wanting.since {
            self.waiting.retain(|other| other.ticket != ticket);
        }
    }

    /// Whether there is a slot that is due to nobody else: the class of greatest value comes first, and among equals who
    /// has waited longest.
    fn has_room(&self, wanting: &Wanting) -> bool {
        // The last slots are for what is stored: many who wait for some slow path take them from nobody's tiles.
        let share = if wanting.lane == Lane::Fill { 4 } else { 3 };
        let limit = (self.limit(wanting.at_most) / SLOT).saturating_mul(share).div_ceil(4);
        let free = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(self.slots.len());
        let surging = self.slots.iter().filter(|slot| slot.is_surge).count();
        let surge_left = SURGE_AT_MOST.saturating_sub(surging);
        let is_before = |other: &&Waiting| match wanting.since {
            None => other.value >= wanting.demand.value,
            Some((since, ticket)) => (other.value, since, ticket) > (wanting.demand.value, other.since, other.ticket),
        };
        let before = self.waiting.iter().filter(is_before);
        let (surges, others) =
            before.fold(
                (0, 0),
                |(surges, others), other| {
                    if other.is_surge { (surges + 1, others) } else { (surges, others + 1) }
                },
            );
        let fits = !wanting.is_surge || surges < surge_left;
        fits && others + surges.min(surge_left) < free
    }

    fn wait(&mut self, wanting: &mut Wanting, now: UnixMillis) -> Told {
        if let Some((_, ticket)) = wanting.since
            && let Some(there) = self.waiting.iter_mut().find(|other| other.ticket == ticket)
        {
            there.seen = now.0;
            return Told::Wait;
        }
        if self.waiting.len() >= WAITING_AT_MOST {
            return Told::Full;
        }
        self.tickets = self.tickets.wrapping_add(1);
        let (since, ticket) = wanting.since.unwrap_or((now.0, self.tickets));
        wanting.since = Some((since, ticket));
        let Wanting { demand, is_surge, .. } = *wanting;
        self.waiting.push(Waiting { ticket, value: demand.value, is_surge, since, seen: now.0 });
        Told::Wait
    }

    /// A question ended.
    pub fn ended(&mut self, pass: Pass, ending: Ending, at_most: u32, now: UnixMillis) -> Option<Change> {
        let Pass { ticket, lane, class, permit } = pass;
        let taken = u64::try_from(self.slots.len()).unwrap_or(u64::MAX).saturating_mul(SLOT);
        self.slots.retain(|slot| slot.ticket != ticket);
        let is_overload = matches!(
            ending,
            Ending::Nothing | Ending::Error { is_overload: true, .. } | Ending::Passed { is_overload: true }
        );
        let limit = self.limit(at_most);
        let is_there = now.0.abs_diff(self.answered_at) < THERE_MS;
        if matches!(ending, Ending::Answered | Ending::Passed { is_overload: false }) {
            self.answered_at = now.0;
            self.limit = limit.saturating_add(SLOT * SLOT / limit.max(SLOT));
        } else if is_overload && ticket > self.halved_at {
            // Once for all questions that were under way together, and of what was taken: slots that nobody took say
            // nothing of what the origin can take.
            let least = if ending == Ending::Nothing { SLOTS_LEAST * SLOT } else { SLOT };
            (self.limit, self.halved_at) = ((limit.min(taken) / 2).max(least).min(limit), self.tickets);
        }
        let mut change = None;
        self.breakers.change((lane, class), |breaker| {
            change = match ending {
                Ending::Answered | Ending::Passed { .. } => breaker.succeeded(permit),
                Ending::Error { retry_after: None, is_overload: true } if is_there => {
                    breaker.forget(permit);
                    None
                }
                Ending::Error { retry_after, .. } => breaker.failed(permit, now, retry_after),
                Ending::Nothing => breaker.failed(permit, now, None),
            };
        });
        change
    }

    fn limit(&self, at_most: u32) -> u64 {
        self.limit.min(u64::from(at_most.max(1)) * SLOT)
    }

    /// Takes a second try from the budget, if one is left.
    pub fn may_retry(&mut self) -> bool {
        let left = self.retries.checked_sub(RETRY_COST);
        self.retries = left.unwrap_or(self.retries);
        left.is_some()
    }

    /// Whether the answer to this was not one for the store, a moment ago: nobody waits for another one's then.
    #[must_use]
    pub fn is_unstorable(&self, key: &CacheKey, now: UnixMillis) -> bool {
        self.unstorable.get(key).is_some_and(|until| is_ahead(*until, now.0, UNSTORABLE_MS))
    }

    /// Remembers whether the answer to this was one for the store.
    pub fn note(&mut self, key: &CacheKey, is_unstorable: bool, now: UnixMillis) {
        if !is_unstorable {
            self.unstorable.remove(key);
            return;
        }
        if self.unstorable.len() >= UNSTORABLE_AT_MOST {
            self.unstorable.retain(|_, until| is_ahead(*until, now.0, UNSTORABLE_MS));
        }
        if self.unstorable.len() < UNSTORABLE_AT_MOST {
            self.unstorable.insert(key.clone(), now.0.saturating_add(UNSTORABLE_MS));
        }
    }
}

/// Whether a time is still to come, and no further off than it can be: a clock may have been set back since.
fn is_ahead(until: u64, now: u64, at_most: u64) -> bool {
    until.checked_sub(now).is_some_and(|left| left > 0 && left <= at_most)
}

/// For how long an answer asks to be left alone (RFC 9110, section 10.2.3), in milliseconds.
#[must_use]
pub fn retry_after(value: &str, now: UnixMillis) -> Option<u64> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1000));
    }
    Some(date::parse(value, now)?.0.saturating_sub(now.0))
}

#[cfg(test)]
mod tests;
