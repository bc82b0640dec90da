//! What executions consist of: tasks, faults, and how much of each.

use crate::fakes::{Asking, Location, Point};
use hotrod_edge::epoch::Mode;
use std::fmt;
use std::rc::Rc;

/// Two isolates of one data centre, and one of another.
pub const PLACES: [&str; 3] = ["A", "A'", "B"];
pub const A: usize = 0;
pub const BESIDE: usize = 1;
pub const B: usize = 2;

/// What is asked for: a key of a class that forwards without the ledger, and one of a class that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    Ops,
    Trends,
}

impl Key {
    pub fn url(self) -> &'static str {
        match self {
            Self::Ops => "/api/dashboard/tiles/ops",
            Self::Trends => "/api/dashboard/trends/revenue?days=30",
        }
    }

    /// For so long its answers are fresh, in milliseconds.
    pub fn lifetime(self) -> u64 {
        match self {
            Self::Ops => 300_000,
            Self::Trends => 600_000,
        }
    }

    /// For so long after that they may be used while they are renewed, in milliseconds.
    pub fn while_revalidate(self) -> u64 {
        match self {
            Self::Ops => 300_000,
            Self::Trends => 900_000,
        }
    }

    /// The greatest age of counters that judge its answers.
    pub fn bound(self) -> u64 {
        match self {
            Self::Ops => 5_000,
            Self::Trends => 60_000,
        }
    }
}

/// What a purge names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Named {
    Route,
    Class,
    Key,
    All,
}

/// What somebody does, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// Asks for a key, with the token of the last purge or without.
    Get { at: usize, key: Key, insists: bool },
    /// Purges.
    Purge { at: usize, is_hard: bool, named: Named },
}

pub const fn get(at: usize, key: Key) -> Task {
    Task::Get { at, key, insists: false }
}

pub const fn insist(at: usize, key: Key) -> Task {
    Task::Get { at, key, insists: true }
}

pub const fn hard(at: usize, named: Named) -> Task {
    Task::Purge { at, is_hard: true, named }
}

pub const fn soft(at: usize, named: Named) -> Task {
    Task::Purge { at, is_hard: false, named }
}

impl Task {
    /// Whether it is a purge of this key. All but one name only the first.
    pub fn covers(&self, key: Key) -> bool {
        matches!(self, Self::Purge { named, .. } if key == Key::Ops || *named == Named::All)
    }

    /// So long after its increment a purge is in force, at the latest: counters may be so old, and after a soft one
    /// an answer may be served for its window.
    pub fn promised(&self) -> u64 {
        match self {
            Self::Purge { is_hard: true, named: Named::All, .. } => 60_000,
            Self::Purge { is_hard: false, named: Named::All, .. } => 60_000 + 60_000,
            Self::Purge { is_hard: true, .. } => 5_000,
            Self::Purge { is_hard: false, .. } => 5_000 + 10_000,
            Self::Get { .. } => 0,
        }
    }

    pub fn insists(&self) -> bool {
        matches!(self, Self::Get { insists: true, .. })
    }

    /// The request, and where it is sent.
    pub fn begin<'a>(&self, locations: &'a [Rc<Location>; 3], token: Option<&str>) -> (&'a Rc<Location>, Asking) {
        match self {
            Self::Get { at, key, .. } => {
                let request = Asking::get(key.url());
                (&locations[*at], token.map_or(request.clone(), |token| request.with("x-newer-than", token)))
            }
            Self::Purge { at, is_hard, named } => {
                let named = match named {
                    Named::Route => r#""routes": ["ops"]"#,
                    Named::Class => r#""classes": ["near_real_time"]"#,
                    Named::Key => r#""keys": ["dashboard:tile:ops:v1"]"#,
                    Named::All => r#""all": true"#,
                };
                let mode = if *is_hard { Mode::Hard } else { Mode::Soft };
                (&locations[*at], Asking::purge(format!(r#"{{ "mode": "{}", {named} }}"#, mode.as_str())))
            }
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get { at, key, insists } => {
                write!(f, "get {key:?} at {}{}", PLACES[*at], if *insists { ", with the last token" } else { "" })
            }
            Self::Purge { at, is_hard, named } => {
                write!(f, "{} purge of {named:?} at {}", if *is_hard { "hard" } else { "soft" }, PLACES[*at])
            }
        }
    }
}

/// What may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The ledger does not answer.
    LedgerFails,
    /// It does as it was told, and its answer does not arrive.
    AnswerLost,
    /// Its object loses its memory, not its disk.
    Restart,
    /// It loses its disk.
    LedgerLost,
    /// The origin does not answer.
    OriginFails,
    /// Workers KV has not yet heard of the last put.
    OldValue,
    /// A put arrives nowhere.
    PutLost,
    /// A data centre forgets what is in its Cache API.
    Eviction,
}

impl Fault {
    /// Whether it can befall an operation at this point.
    pub fn befalls(self, point: Point) -> bool {
        match self {
            Self::LedgerFails => matches!(point, Point::LedgerRead | Point::LedgerLease | Point::LedgerOrder),
            Self::AnswerLost => point == Point::LedgerOrdered,
            Self::OriginFails => point == Point::OriginAsked,
            Self::OldValue => point == Point::KvGet,
            Self::PutLost => matches!(point, Point::EdgePut | Point::KvPut | Point::SharedPut),
            Self::Restart | Self::LedgerLost | Self::Eviction => false,
        }
    }

    /// Where it can come by itself. A data centre is known by its first isolate.
    pub fn places(self) -> &'static [usize] {
        match self {
            Self::Eviction | Self::Restart | Self::LedgerLost => &[A],
            _ => &[],
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LedgerFails => "the ledger does not answer",
            Self::AnswerLost => "the ledger's answer is lost",
            Self::Restart => "the ledger restarts",
            Self::LedgerLost => "the ledger loses its disk",
            Self::OriginFails => "the origin does not answer",
            Self::OldValue => "KV has an older value",
            Self::PutLost => "the put is lost",
            Self::Eviction => "the Cache API forgets everything",
        })
    }
}

/// How often what is not the ordinary course may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Somebody else moves although whoever moved last could go on.
    pub switches: u8,
    /// The clock moves.
    pub times: u8,
    /// Something goes wrong.
    pub faults: u8,
}

impl Budget {
    pub const fn new((switches, times, faults): (u8, u8, u8)) -> Self {
        Self { switches, times, faults }
    }

    pub fn switch(self) -> Option<Self> {
        Some(Self { switches: self.switches.checked_sub(1)?, ..self })
    }

    pub fn time(self) -> Option<Self> {
        Some(Self { times: self.times.checked_sub(1)?, ..self })
    }

    pub fn fault(self) -> Option<Self> {
        Some(Self { faults: self.faults.checked_sub(1)?, ..self })
    }

    /// Whether it allows all that another one does.
    pub fn holds(self, other: Self) -> bool {
        self.switches >= other.switches && self.times >= other.times && self.faults >= other.faults
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} switches, {} times, {} faults", self.switches, self.times, self.faults)
    }
}

/// What the isolates have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kit {
    /// The stores that locations share.
    Stores,
    /// A memory tier of their own as well, and leases.
    Everything,
}

/// What is explored: all executions of these tasks within a budget.
#[derive(Debug)]
pub struct Plan {
    pub name: &'static str,
    /// Done one after the other, before anything else.
    pub before: &'static [Task],
    /// Each begins when those before it have begun.
    pub tasks: &'static [Task],
    pub faults: &'static [Fault],
    /// By so much the clock may move at any time, beside the times at which something turns.
    pub spans: &'static [u64],
    pub budget: Budget,
    /// With `HOTROD_LONG=1`.
    pub long: Budget,
}
