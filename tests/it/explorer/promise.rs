//! What purges promise, and whether an answer keeps it.

use super::plan::{Key, Task};
use crate::client::Seen;
use crate::fakes::{DAY, Script, TENANT, World};
use hotrod_edge::ledger::line::Line;
use std::hash::Hash;

/// How things stood after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Note {
    now: u64,
    /// The position on disk. A ledger that has lost it begins with a purge of everything.
    epoch: u64,
    /// So many requests had reached the origin.
    fetched: usize,
}

impl Note {
    pub fn of(world: &World) -> Self {
        let epoch = world
            .counters(TENANT)
            .map_or(u64::MAX, |text| Line::decode(&text).map_or(0, |line| line.counters().epoch.0));
        Self { now: world.now(), epoch, fetched: world.origin.count() }
    }
}

/// What is known of a task under way.
#[derive(Debug, Default, Hash)]
pub struct Asked {
    pub received_at: u64,
    /// So many promises had been made by then.
    pub promises: usize,
    /// It carries a token of this position.
    pub insists: Option<u64>,
    /// Its own question to the origin failed.
    pub origin_failed: bool,
    /// Its own question to the ledger failed.
    pub ledger_failed: bool,
    /// Of a purge: how things stood since the ledger heard of it.
    pub since_order: Vec<Note>,
}

/// The promise of one receipt.
#[derive(Debug, Clone, Hash)]
pub struct Promise {
    task: Task,
    epoch: u64,
    incremented_at: u64,
    pub effective_by: u64,
    /// When the ledger heard of it.
    ordered: Note,
    /// So many answers of the origin are from before its increment, if that has happened.
    fetched_before: Option<usize>,
}

impl Promise {
    fn happens(&mut self, note: &Note) {
        if self.fetched_before.is_none() && (note.epoch >= self.epoch || note.now >= self.incremented_at) {
            self.fetched_before = Some(note.fetched);
        }
    }

    /// Whether this request must see nothing from before it: when it is in force everywhere, at once in the isolate that
    /// purged unless the increment was still to come, and at once with its token.
    fn binds(&self, at: usize, asked: &Asked, made_before: bool) -> bool {
        let Task::Purge { at: purged_at, is_hard, .. } = self.task else { return false };
        let at_once = is_hard && at == purged_at && made_before && self.incremented_at <= self.ordered.now;
        let insisted = asked.insists.is_some_and(|position| self.epoch <= position);
        asked.received_at > self.effective_by || at_once || insisted
    }
}

/// All promises, with their tokens apart, and when each answer of the origin was asked for.
#[derive(Debug, Default)]
pub struct Promises {
    pub made: Vec<Promise>,
    tokens: Vec<String>,
    fetched_at: Vec<u64>,
}

impl Promises {
    pub fn note(&mut self, note: &Note) {
        self.fetched_at.resize(note.fetched, note.now);
        for promise in &mut self.made {
            promise.happens(note);
        }
    }

    /// The last token, and its position.
    pub fn token(&self) -> Option<(&str, u64)> {
        Some((self.tokens.last()?, self.made.last()?.epoch))
    }

    /// A purge was answered: with a promise, if it was confirmed.
    pub fn add(&mut self, task: Task, asked: &Asked, seen: &Seen) -> Result<(), String> {
        match (seen.status, asked.since_order.as_slice()) {
            (202, [ordered, ..]) => {
                let receipt = seen.json();
                let time = |name: &str| receipt[name].as_str().and_then(millis).ok_or(format!("no time {name}"));
                let (incremented_at, effective_by) = (time("incremented_at")?, time("effective_by")?);
                if incremented_at > ordered.now + 1_000 || effective_by > incremented_at + task.promised() {
                    return Err(format!("its receipt promises too little: {receipt}"));
                }
                let (Some(epoch), Some(token)) = (receipt["epoch"].as_u64(), receipt["token"].as_str()) else {
                    return Err(format!("its receipt is not whole: {receipt}"));
                };
                let mut promise =
                    Promise { task, epoch, incremented_at, effective_by, ordered: *ordered, fetched_before: None };
                for note in &asked.since_order {
                    promise.happens(note);
                }
                self.made.push(promise);
                self.tokens.push(token.to_string());
                Ok(())
            }
            (503, _) => Ok(()),
            (status, _) => Err(format!("answered {status}: {}", seen.text())),
        }
    }

    /// Whether an answer keeps all promises.
    pub fn judge(&self, at: usize, key: Key, asked: &Asked, seen: &Seen) -> Result<(), String> {
        let (status, label) = (seen.status, seen.cache_status());
        if matches!(status, 502 | 504) && asked.origin_failed {
            return Ok(());
        }
        let serial = seen.serial().and_then(|serial| usize::try_from(serial).ok()).filter(|_| status == 200);
        let serial = serial.ok_or_else(|| format!("answered {status}: {}", seen.text()))?;
        if seen.cut || seen.body != Script::body(serial, &format!("https://origin.test{}", key.url())) {
            return Err(format!("not a whole body of its own: {}", seen.text()));
        }
        let fetched_at = self.fetched_at.get(serial - 1).copied().unwrap_or_default();
        let window = if label.ends_with("/expired") { key.while_revalidate() } else { 0 };
        if label.starts_with("hit") && asked.received_at >= fetched_at + key.lifetime() + window {
            return Err(format!("answer {serial} of the origin is past its lifetime: {label}"));
        }
        for (index, promise) in self.made.iter().enumerate() {
            let before = promise.fetched_before.unwrap_or(promise.ordered.fetched);
            let excused = match promise.task {
                _ if label.ends_with("/ledger") => key == Key::Trends && asked.ledger_failed,
                Task::Purge { is_hard: false, .. } => label.ends_with("stale-if-error") && asked.origin_failed,
                Task::Purge { .. } | Task::Get { .. } => false,
            };
            let bound = promise.task.covers(key) && promise.binds(at, asked, index < asked.promises);
            if bound && serial <= before && !excused {
                return Err(format!("answer {serial} of the origin is from before the {}: {label}", promise.task));
            }
        }
        Ok(())
    }
}

/// A time of the test's day.
fn millis(text: &str) -> Option<u64> {
    let of_day = text.strip_prefix("2026-03-31T")?.strip_suffix('Z')?;
    let mut parts = of_day.split([':', '.']).map(str::parse::<u64>);
    let (hours, minutes) = (parts.next()?.ok()?, parts.next()?.ok()?);
    Some(DAY + ((hours * 60 + minutes) * 60 + parts.next()?.ok()?) * 1_000 + parts.next()?.ok()?)
}
