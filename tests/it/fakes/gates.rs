//! Gates: every operation waits at its point until the explorer lets it through, one at a time.
//!
//! What a future has read from outside is noted too, since that and its place are all that it will act upon.

use super::Point;
use crate::tasks::until;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};

/// An operation that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    ticket: u64,
    /// Whose it is.
    pub actor: usize,
    /// Where.
    pub point: Point,
}

/// All gates of a world.
#[derive(Default)]
pub struct Gates {
    closed: Cell<bool>,
    actor: Cell<usize>,
    tickets: Cell<u64>,
    waiting: RefCell<Vec<Waiting>>,
    read: RefCell<BTreeMap<usize, DefaultHasher>>,
    alarms: RefCell<Vec<u64>>,
}

impl Gates {
    /// From now on, operations wait.
    pub fn close(&self) {
        self.closed.set(true);
    }

    /// Whose future is polled from now on.
    pub fn turn(&self, actor: usize) {
        self.actor.set(actor);
    }

    /// What waits, in the order in which it came.
    pub fn waiting(&self) -> Vec<Waiting> {
        self.waiting.borrow().clone()
    }

    /// Lets one operation through.
    pub fn open(&self, waiting: Waiting) {
        self.waiting.borrow_mut().retain(|other| *other != waiting);
    }

    /// Waits to be let through. Within a body there is nothing that others could see or change.
    pub(super) async fn pass(&self, point: Point) {
        if !self.closed.get() || point == Point::OriginBody {
            return;
        }
        self.tickets.set(self.tickets.get() + 1);
        let waiting = Waiting { ticket: self.tickets.get(), actor: self.actor.get(), point };
        self.waiting.borrow_mut().push(waiting);
        let left = Left { gates: self, waiting };
        until(|| !self.waiting.borrow().contains(&waiting)).await;
        drop(left);
    }

    /// Whether somebody lets operations through one by one.
    pub(super) fn are_closed(&self) -> bool {
        self.closed.get()
    }

    /// Notes what the future that is being polled has read.
    pub(super) fn saw(&self, value: impl Hash) {
        if self.closed.get() {
            value.hash(self.read.borrow_mut().entry(self.actor.get()).or_default());
        }
    }

    /// Everything that this actor has read.
    pub fn seen_by(&self, actor: usize) -> u64 {
        self.read.borrow().get(&actor).map_or(0, DefaultHasher::finish)
    }

    /// Somebody sleeps until then.
    pub(super) fn alarm(&self, at: u64) {
        self.alarms.borrow_mut().push(at);
    }

    /// When the next sleeper wakes.
    pub fn next_alarm(&self, now: u64) -> Option<u64> {
        self.alarms.borrow().iter().copied().filter(|at| *at > now).min()
    }
}

/// An operation whose future is gone waits no more.
struct Left<'a> {
    gates: &'a Gates,
    waiting: Waiting,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.gates.open(self.waiting);
    }
}
