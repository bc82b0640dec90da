//! What a storm showed, judged: by the receipts and by what the origin's answers say of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::load::{Load, Look};
use super::receipt::Receipt;
use super::{Counts, Plan};

/// Less than this of all answers may wait for the origin.
const MAY_WAIT: f64 = 0.1;
/// Nearly every event (p99) is answered within so long.
const ANSWERED: Duration = Duration::from_secs(1);

/// The figures of one storm.
#[derive(Debug)]
pub struct Report {
    plan: Plan,
    /// How many events were sent.
    pub events: usize,
    /// How many were answered 202 with a receipt of its own.
    pub receipts: usize,
    /// To how many positions of the ledger they led.
    pub increments: usize,
    /// How long they took to be answered, in order.
    answered: Vec<Duration>,
    /// How many requests readers made.
    pub requests: usize,
    /// How many were answered without waiting for the origin.
    pub hits: usize,
    /// How many were answered neither 200 nor 304, or with something else than a figure.
    pub failed: usize,
    /// Of each hit that says that it was invalidated: for how long, in milliseconds. In order.
    pub invalidated: Vec<u64>,
    /// The same of each hit that does not say so, since its location had not heard of it.
    pub unheard: Vec<u64>,
    /// How many answers a receipt bound.
    pub bound: usize,
    /// How a receipt was broken, each in a sentence.
    pub broken: Vec<String>,
    counts: Counts,
    late: Duration,
}

impl Report {
    /// `afterwards` is what was seen when everything was in force.
    pub(super) fn new(plan: &Plan, load: &Load, afterwards: &[Look], counts: Counts) -> Self {
        let receipts: Vec<&Receipt> = load.receipts().collect();
        let confirmed = load.told.iter().filter(|told| told.status == 202).filter_map(|told| told.receipt.as_ref());
        let ids: BTreeSet<_> = confirmed.map(|receipt| &receipt.id).collect();
        let epochs: BTreeSet<_> = receipts.iter().map(|receipt| receipt.epoch).collect();
        let mut answered: Vec<_> = load.told.iter().map(|told| told.took).collect();
        answered.sort_unstable();
        let hits = || load.looks.iter().filter(|look| look.cache_status.hit);
        let (mut invalidated, mut unheard) = (Vec::new(), Vec::new());
        for hit in hits() {
            match out_of_date_for(hit, &receipts) {
                age if says_invalidated(hit) => invalidated.push(age.unwrap_or(0)),
                Some(age) => unheard.push(age),
                None => {}
            }
        }
        invalidated.sort_unstable();
        unheard.sort_unstable();
        let all = || load.looks.iter().chain(afterwards);
        Self {
            plan: *plan,
            events: load.told.len(),
            receipts: ids.len(),
            increments: epochs.len(),
            answered,
            requests: load.looks.len(),
            hits: hits().count(),
            failed: all().filter(|look| !matches!(look.status, 200 | 304) || look.asked_at.is_none()).count(),
            invalidated,
            unheard,
            bound: all().filter(|look| receipts.iter().any(|receipt| binds(receipt, look))).count(),
            broken: all().filter_map(|look| broken(look, &receipts)).collect(),
            counts,
            late: load.late,
        }
    }

    /// The share of answers that did not wait for the origin.
    pub fn hit_rate(&self) -> f64 {
        share(self.hits, self.requests)
    }

    /// What must not be, each in a sentence.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = self.broken.clone();
        let mut check = |holds: bool, sentence: String| failures.extend((!holds).then_some(sentence));
        check(self.hit_rate() > 1.0 - MAY_WAIT, format!("the hit rate is {:.1} %", 100.0 * self.hit_rate()));
        check(self.bound > 0, "no answer came late enough to break a receipt".to_owned());
        check(self.failed == 0, format!("{} requests were not answered with a figure", self.failed));
        check(
            self.receipts == self.events && self.events == self.plan.events,
            format!("{} of {} events have a receipt of their own", self.receipts, self.plan.events),
        );
        let [_, p99, _] = spread(&self.answered).unwrap_or_default();
        check(p99 < ANSWERED, format!("1 % of the events were answered after {p99:?} or later"));
        failures
    }
}

fn share(part: usize, whole: usize) -> f64 {
    let count = |count: usize| f64::from(u32::try_from(count).expect("a run is short"));
    count(part) / count(whole.max(1))
}

fn says_invalidated(look: &Look) -> bool {
    look.cache_status.detail.as_ref().is_some_and(|detail| detail.ends_with("/invalidated"))
}

/// For how long, when it was asked for, a figure had been out of date: since the first increment after it was made.
fn out_of_date_for(look: &Look, receipts: &[&Receipt]) -> Option<u64> {
    let asked_at = look.asked_at?;
    let covering = receipts.iter().filter(|receipt| receipt.binds(&look.figure).is_some());
    let first = covering.map(|receipt| receipt.incremented_at).filter(|at| *at > asked_at).min()?;
    look.began.checked_sub(first)
}

/// Whether a receipt says something of a request that began then.
fn binds(receipt: &Receipt, look: &Look) -> bool {
    receipt.binds(&look.figure).is_some_and(|from| look.began >= from)
}

/// How a figure breaks a receipt, if it does: it was made before the increment, and should not be served any more.
fn broken(look: &Look, receipts: &[&Receipt]) -> Option<String> {
    let asked_at = look.asked_at?;
    let breaks = |receipt: &&&Receipt| binds(receipt, look) && asked_at < receipt.incremented_at;
    let receipt = receipts.iter().find(breaks)?;
    Some(format!(
        "{} of {asked_at} was served at {}, against the receipt {} of {} (Cache-Status: {:?})",
        look.figure.route, look.began, receipt.id, receipt.incremented_at, look.cache_status
    ))
}

/// p50, p99 and the greatest of values that are in order.
fn spread<T: Copy>(sorted: &[T]) -> Option<[T; 3]> {
    let at = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    Some([at(50)?, at(99)?, at(100)?])
}

fn ages(sorted: &[u64], requests: usize) -> String {
    let percent = 100.0 * share(sorted.len(), requests);
    spread(sorted).map_or_else(
        || "none".to_owned(),
        |[p50, p99, most]| format!("{percent:.1} %, p50 {p50} ms, p99 {p99} ms, max {most} ms"),
    )
}

fn listed(counts: &BTreeMap<String, usize>) -> String {
    let each: Vec<_> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    format!("{} ({})", counts.values().sum::<usize>(), each.join(", "))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { name, locations, length, .. } = self.plan;
        let spread = spread(&self.answered).map(|each| each.map(|took| took.as_millis()));
        let [p50, p99, most] = spread.unwrap_or_default();
        let line = |f: &mut fmt::Formatter<'_>, name: &str, value: String| writeln!(f, "  {name:<24}{value}");
        writeln!(f, "{name}, {} s, from {}, with warm caches", length.as_secs(), locations.join(", "))?;
        line(f, "events", format!("{} (answered: p50 {p50} ms, p99 {p99} ms, max {most} ms)", self.events))?;
        line(f, "receipts of their own", self.receipts.to_string())?;
        line(f, "increments", self.increments.to_string())?;
        line(f, "requests", format!("{} (the latest was sent {} ms late)", self.requests, self.late.as_millis()))?;
        line(f, "hit rate", format!("{:.1} % did not wait for the origin", 100.0 * self.hit_rate()))?;
        line(f, "hits, invalidated for", ages(&self.invalidated, self.requests))?;
        line(f, "hits, unheard of for", ages(&self.unheard, self.requests))?;
        line(f, "origin requests", listed(&self.counts.origin))?;
        line(f, "ledger calls", listed(&self.counts.ledger))?;
        line(f, "KV operations", listed(&self.counts.kv))?;
        line(f, "answers under a receipt", self.bound.to_string())?;
        line(f, "receipts broken", self.broken.len().to_string())
    }
}

#[cfg(test)]
mod tests;
