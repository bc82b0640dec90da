//! Faults of a store, as data: what happens to an operation before, during and after it.

use std::sync::Mutex;
use std::time::Duration;

use crate::gate::{Gate, Stop, lock, sleep};

/// What a Worker asks of a store. A `match` of the Cache API is a `Get`, its `delete` a `Delete`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// One value.
    Get,
    /// Several values in one operation (KV alone).
    GetMany,
    /// The names of keys (KV alone).
    List,
    /// Store a value.
    Put,
    /// Remove a value.
    Delete,
}

/// Something that goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing happens but this status.
    Status(u16),
    /// The connection closes without an answer.
    Close,
    /// It takes so much longer.
    Slow(Duration),
    /// It starts when the gate opens; whoever asked waits too.
    Hold(Gate),
    /// A put is acknowledged at once and takes effect when the gate opens.
    LandLate(Gate),
    /// A put or a delete is acknowledged and has no effect.
    Lose,
    /// A put or a delete takes effect, and this status says that it failed.
    LandThenStatus(u16),
    /// A read sees the value before the current one.
    Stale,
    /// A read finds nothing.
    Miss,
    /// The connection closes after so many bytes of the value.
    CutBody(usize),
}

/// The faults that are in force. They combine, in the order in which they were set.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Rule>>);

#[derive(Debug)]
struct Rule {
    op: Op,
    /// Only keys that contain this.
    key_part: String,
    fault: Fault,
    times: usize,
}

/// What is left of the faults once the waiting is over.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) instead: Option<Instead>,
    pub(super) effect: Effect,
    pub(super) then_status: Option<u16>,
    pub(super) reading: Reading,
    pub(super) cut_body: Option<usize>,
}

/// What happens instead of the operation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Instead {
    Status(u16),
    Close,
}

/// When a put or a delete takes effect.
#[derive(Debug, Default)]
pub(super) enum Effect {
    #[default]
    Now,
    Late(Gate),
    Never,
}

/// What a read sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reading {
    #[default]
    Current,
    Previous,
    Nothing,
}

impl Effect {
    /// Runs a change of the store when its time has come.
    pub(super) fn apply(self, stop: &Stop, change: impl FnOnce() + Send + 'static) {
        match self {
            Self::Now => change(),
            Self::Never => {}
            Self::Late(gate) => {
                let stop = Stop::clone(stop);
                std::thread::spawn(move || {
                    gate.pass(&stop);
                    change();
                });
            }
        }
    }
}

impl Faults {
    /// In force until [`Faults::heal`].
    pub fn set(&self, op: Op, fault: Fault) {
        self.set_for(op, "", fault, usize::MAX);
    }

    /// For the next operation of this kind alone.
    pub fn once(&self, op: Op, fault: Fault) {
        self.set_for(op, "", fault, 1);
    }

    /// For so many operations whose key contains `key_part`.
    pub fn set_for(&self, op: Op, key_part: &str, fault: Fault, times: usize) {
        lock(&self.0).push(Rule { op, key_part: key_part.to_owned(), fault, times });
    }

    /// The same fault for every kind of operation.
    pub fn set_all(&self, fault: &Fault) {
        for op in [Op::Get, Op::GetMany, Op::List, Op::Put, Op::Delete] {
            self.set(op, fault.clone());
        }
    }

    /// No faults any more.
    pub fn heal(&self) {
        lock(&self.0).clear();
    }

    /// True if the next such operation meets [`Fault::Close`].
    pub(super) fn closes(&self, op: Op, key: &str) -> bool {
        let closes = |rule: &Rule| matches!(rule.fault, Fault::Close) && rule.op == op && key.contains(&rule.key_part);
        lock(&self.0).iter().any(closes)
    }

    /// Waits as the faults say, and tells what else they do to this operation.
    pub(super) fn strike(&self, op: Op, key: &str, stop: &Stop) -> Verdict {
        let mut verdict = Verdict::default();
        for fault in self.take(op, key) {
            match fault {
                Fault::Status(status) => verdict.instead = Some(Instead::Status(status)),
                Fault::Close => verdict.instead = Some(Instead::Close),
                Fault::Slow(duration) => sleep(duration, stop),
                Fault::Hold(gate) => gate.pass(stop),
                Fault::LandLate(gate) => verdict.effect = Effect::Late(gate),
                Fault::Lose => verdict.effect = Effect::Never,
                Fault::LandThenStatus(status) => verdict.then_status = Some(status),
                Fault::Stale => verdict.reading = Reading::Previous,
                Fault::Miss => verdict.reading = Reading::Nothing,
                Fault::CutBody(bytes) => verdict.cut_body = Some(bytes),
            }
        }
        verdict
    }

    fn take(&self, op: Op, key: &str) -> Vec<Fault> {
        let mut rules = lock(&self.0);
        let mut struck = Vec::new();
        for rule in rules.iter_mut().filter(|rule| rule.op == op && key.contains(&rule.key_part)) {
            struck.push(rule.fault.clone());
            rule.times = rule.times.saturating_sub(1);
        }
        rules.retain(|rule| rule.times > 0);
        struck
    }
}
