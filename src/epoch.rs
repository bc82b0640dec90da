//! Epochs: how a purge is made certain without deleting anything.
//!
//! The *ledger* of a tenant is one ordered line of purges. Its position, the [`Epoch`], moves forward with each
//! of them, and each leaves its position as the counter of what it covered: the tenant, a class, a route, a
//! key, a tag. A fill reads the position *before* it asks the origin and stores it in the head. A reader compares
//! the head with the counters that cover the entry, whichever tier holds it and whenever it landed there:
//!
//! - from before a *hard* purge, it is as if it were not there;
//! - from before a *soft* one, it is never fresh, and may be reused for a while when the answer is being renewed.
//!   That while counts from the **first** soft purge that it has not seen: more of them never lengthen its life.
//!
//! One position in the head, not a vector of counters, is enough, since all counters of a ledger move along
//! one line: a head of position `e` has seen exactly the purges up to `e`. So no counter can be forgotten in
//! a head, and a counter may be folded into a wider one at any time.

use crate::small::Map;
use crate::time::UnixMillis;
use crate::validation::digest;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use serde::Serialize;

/// A position in a ledger. Greater is later. At least the ledger's clock in milliseconds at the time of its
/// purge, so that a ledger which lost its memory (see [`Counters::begin`]) still moves forward.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a purge covers, within one tenant. As text: `tenant`, `class/aggregate`, `route/ops`,
/// `key/ops/dashboard:tile:ops:v1`, `tag/` and a [`mark`]; names of classes and routes hold no slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything of the tenant.
    Tenant,
    /// All routes of a class.
    Class(String),
    /// All keys of a route.
    Route(String),
    /// One key, with its route, into whose counter it is folded when there are too many.
    Key {
        /// The route's name.
        route: String,
        /// The key within the tenant, with its parameters.
        key: String,
    },
    /// Whatever carries a tag, by its [`mark`].
    Tag(String),
}

/// By what a tag is known in heads and counters: short, and of characters that need no quoting. Two tags with one
/// mark would be purged together, which is safe.
#[must_use]
pub fn mark(tag: &str) -> String {
    digest(tag.as_bytes()).chars().take(12).collect()
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant => f.write_str("tenant"),
            Self::Class(name) => write!(f, "class/{name}"),
            Self::Route(name) => write!(f, "route/{name}"),
            Self::Key { route, key } => write!(f, "key/{route}/{key}"),
            Self::Tag(mark) => write!(f, "tag/{mark}"),
        }
    }
}

impl Scope {
    /// Reads the text of a scope. Anything else is nothing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/').map(str::to_string);
        match (parts.next()?.as_str(), parts.next(), parts.next()) {
            ("tenant", None, None) => Some(Self::Tenant),
            ("class", Some(name), None) => Some(Self::Class(name)),
            ("route", Some(name), None) => Some(Self::Route(name)),
            ("key", Some(route), Some(key)) => Some(Self::Key { route, key }),
            ("tag", Some(mark), None) => Some(Self::Tag(mark)),
            _ => None,
        }
    }

    /// Whether a purge of this covers an entry.
    #[must_use]
    pub fn covers(&self, entry: &Covered<'_>) -> bool {
        match self {
            Self::Tenant => true,
            Self::Class(name) => name == entry.class,
            Self::Route(name) => name == entry.route,
            Self::Key { key, .. } => key == entry.key,
            Self::Tag(mark) => entry.marks.split(' ').any(|carried| carried == mark),
        }
    }
}

/// Class, route, key and tags of one entry: what a purge is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Covered<'a> {
    /// The class's name.
    pub class: &'a str,
    /// The route's name.
    pub route: &'a str,
    /// The key within the tenant.
    pub key: &'a str,
    /// The marks of the entry's tags, separated by spaces.
    pub marks: &'a str,
}

/// How thoroughly a purge makes something go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// It is out of date: never fresh again, reused only while it is being renewed.
    Soft,
    /// It is absent.
    Hard,
    /// It is absent, and deleted from Workers KV as well.
    Erase,
}

impl Mode {
    /// The word in purges, receipts, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Hard => "hard",
            Self::Erase => "erase",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Soft, Self::Hard, Self::Erase].into_iter().find(|mode| mode.as_str() == text)
    }
}

/// How many keys and tags have a counter of their own; one more, and a key's route or, for a tag, the tenant takes
/// them over.
pub const SPARSE_AT_MOST: usize = 512;

/// A soft window is told apart in so many parts: purges that lie closer together count as one, from the first of them.
const PARTS: u64 = 10;

/// Behind the position in the text of a tenant that is gone.
const DELISTED: &str = " delisted";

/// So many are kept, whatever the clock does.
const LONGEST: usize = 16;

/// What happened to one scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Purges {
    /// The last hard purge.
    hard: Epoch,
    /// The soft purges, in order; those that are old or close together as one.
    soft: Vec<Soft>,
}

/// Heads from before `before` have been out of date since `since`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Soft {
    before: Epoch,
    since: UnixMillis,
}

/// Where a stored response stands against the purges that cover it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has seen all of them.
    Current,
    /// A soft one came after it.
    Invalidated {
        /// When the first of them happened, by the ledger's clock.
        since: UnixMillis,
    },
    /// A hard one came after it.
    Purged,
}

/// A moment on a ledger's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Increment {
    /// The position.
    pub epoch: Epoch,
    /// When, by the ledger's clock.
    pub at: UnixMillis,
}

/// A tenant's counters: the ledger's own state, and the copy of it that a reader gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// The position: no counter is greater.
    pub epoch: Epoch,
    /// The tenant is listed no longer: nothing of it is stored.
    pub is_delisted: bool,
    purges: Map<Scope, Purges>,
}

impl Counters {
    /// The counters of a ledger that finds nothing written down. It cannot know whether it is new or has lost its
    /// memory, and with it purges; so it begins with a purge of everything.
    #[must_use]
    pub fn begin(clock: UnixMillis) -> Self {
        let mut counters = Self::default();
        counters.purge(&Scope::Tenant, Mode::Hard, Increment { epoch: counters.next(clock), at: clock }, 0);
        counters
    }

    /// Where a response that was stored at position `head` stands.
    #[must_use]
    pub fn standing(&self, entry: &Covered<'_>, head: Epoch) -> Standing {
        let mut first: Option<UnixMillis> = None;
        for (_, purges) in self.purges.iter().filter(|(scope, _)| scope.covers(entry)) {
            if head < purges.hard {
                return Standing::Purged;
            }
            for soft in purges.soft.iter().filter(|soft| head < soft.before) {
                first = Some(first.map_or(soft.since, |first| first.min(soft.since)));
            }
        }
        first.map_or(Standing::Current, |since| Standing::Invalidated { since })
    }

    /// The position that comes next at this time.
    #[must_use]
    pub fn next(&self, clock: UnixMillis) -> Epoch {
        Epoch(self.epoch.0.saturating_add(1).max(clock.0))
    }

    /// Purges a scope. `window` is the longest soft window of what it covers, in milliseconds.
    pub fn purge(&mut self, scope: &Scope, mode: Mode, increment: Increment, window: u64) {
        self.epoch = self.epoch.max(increment.epoch);
        self.purges.change(scope.clone(), |purges| match mode {
            Mode::Soft => purges.invalidate(increment, window),
            Mode::Hard | Mode::Erase => purges.hard = purges.hard.max(increment.epoch),
        });
        if self.purges.iter().filter(|(scope, _)| matches!(scope, Scope::Key { .. } | Scope::Tag(_))).count()
            > SPARSE_AT_MOST
        {
            match scope {
                Scope::Key { route, .. } => self.fold(
                    &Scope::Route(route.clone()),
                    |scope| matches!(scope, Scope::Key { route: folded, .. } if folded == route),
                ),
                Scope::Tag(_) => self.fold(&Scope::Tenant, |scope| matches!(scope, Scope::Tag(_))),
                Scope::Tenant | Scope::Class(_) | Scope::Route(_) => {}
            }
        }
    }

    /// Lets a wider scope take over what happened to narrower ones: it then covers more, and nothing comes back.
    fn fold(&mut self, wider: &Scope, narrower: impl Fn(&Scope) -> bool) {
        let mut folded = Purges::default();
        for (_, purges) in self.purges.iter().filter(|(scope, _)| narrower(scope)) {
            folded.hard = folded.hard.max(purges.hard);
            for soft in &purges.soft {
                folded.soft = vec![folded.soft.first().map_or(*soft, |other| other.and(*soft))];
            }
        }
        self.purges.retain(|scope, _| !narrower(scope));
        self.purges.change(wider.clone(), |purges| {
            purges.hard = purges.hard.max(folded.hard);
            purges.soft.extend(folded.soft);
        });
    }

    /// As a ledger answers and a reader keeps them: the position, and whether the tenant is gone; then a line for each scope, with its hard counter,
    /// its soft ones as `before@since` and its text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = self.epoch.to_string();
        if self.is_delisted {
            text.push_str(DELISTED);
        }
        for (scope, purges) in self.purges.iter() {
            // Writing to a String cannot fail.
            _ = write!(text, "\n{} ", purges.hard);
            for (index, soft) in purges.soft.iter().enumerate() {
                _ = write!(text, "{}{}@{}", if index == 0 { "" } else { "," }, soft.before, soft.since.0);
            }
            _ = write!(text, " {scope}");
        }
        text
    }

    /// Reads what [`Counters::encode`] wrote. Anything else is nothing.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let first = lines.next()?;
        let listed = first.strip_suffix(DELISTED);
        let epoch = Epoch(listed.unwrap_or(first).parse().ok()?);
        let mut counters = Self { epoch, is_delisted: listed.is_some(), ..Self::default() };
        for line in lines {
            let mut words = line.splitn(3, ' ');
            let mut purges = Purges { hard: Epoch(words.next()?.parse().ok()?), soft: Vec::new() };
            for soft in words.next()?.split(',').filter(|soft| !soft.is_empty()) {
                let (before, since) = soft.split_once('@')?;
                let (before, since) = (Epoch(before.parse().ok()?), UnixMillis(since.parse().ok()?));
                purges.soft.push(Soft { before, since });
            }
            counters.purges.insert(Scope::parse(words.next()?)?, purges);
        }
        Some(counters)
    }
}

impl Purges {
    /// Notes a soft purge. Those within a part of the window count from the first of them, and so do those that are
    /// older than the window; a life is shortened by that, never lengthened, and the list stays short.
    fn invalidate(&mut self, increment: Increment, window: u64) {
        let new = Soft { before: increment.epoch, since: increment.at };
        match self.soft.last_mut() {
            Some(last) if new.since.0 < last.since.0.saturating_add(window / PARTS) => *last = last.and(new),
            Some(_) | None => self.soft.push(new),
        }
        while let [oldest, older, ..] = *self.soft {
            if older.since.0.saturating_add(window + window / PARTS) > new.since.0 && self.soft.len() <= LONGEST {
                break;
            }
            _ = self.soft.remove(0);
            if let Some(first) = self.soft.first_mut() {
                *first = oldest.and(older);
            }
        }
    }
}

impl Soft {
    fn and(self, other: Self) -> Self {
        Self { before: self.before.max(other.before), since: self.since.min(other.since) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, Covered, Epoch, Increment, Mode, SPARSE_AT_MOST, Scope, Standing, mark};
    use crate::time::UnixMillis;
    use alloc::string::ToString as _;
    use alloc::vec::Vec;

    const OPS: Covered<'_> = Covered { class: "near", route: "ops", key: "d:ops:v1", marks: "" };

    fn key(route: &str, key: &str) -> Scope {
        Scope::Key { route: route.into(), key: key.into() }
    }

    /// Purges at a time, with a soft window of ten seconds.
    fn purge(counters: &mut Counters, scope: &Scope, mode: Mode, at: u64) -> Epoch {
        let increment = Increment { epoch: counters.next(UnixMillis(at)), at: UnixMillis(at) };
        counters.purge(scope, mode, increment, 10_000);
        increment.epoch
    }

    #[track_caller]
    fn check(scope: &Scope, entry: &Covered<'_>, covers: bool) {
        for (mode, standing) in [
            (Mode::Soft, Standing::Invalidated { since: UnixMillis(1_000) }),
            (Mode::Hard, Standing::Purged),
            (Mode::Erase, Standing::Purged),
        ] {
            let mut counters = Counters::default();
            let epoch = purge(&mut counters, scope, mode, 1_000);
            assert_eq!(epoch, Epoch(1_000));
            assert_eq!(counters.standing(entry, Epoch(999)), if covers { standing } else { Standing::Current });
            assert_eq!(counters.standing(entry, epoch), Standing::Current);
        }
    }

    #[test]
    fn a_purge_covers_its_scope_and_nothing_else() {
        check(&Scope::Tenant, &OPS, true);
        check(&Scope::Class("near".into()), &OPS, true);
        check(&Scope::Class("nea".into()), &OPS, false);
        check(&Scope::Route("ops".into()), &OPS, true);
        check(&Scope::Route("op".into()), &OPS, false);
        check(&key("ops", "d:ops:v1"), &OPS, true);
        check(&key("ops", "d:ops"), &OPS, false);
        check(&key("other", "d:other:v1"), &OPS, false);
    }

    #[test]
    fn a_tag_covers_what_carries_it() {
        let (orders, other) = (mark("orders"), mark("Orders"));
        assert_ne!(orders, other);
        let marks = format!("{other} {orders}");
        check(&Scope::Tag(orders.clone()), &Covered { marks: &marks, ..OPS }, true);
        check(&Scope::Tag(orders.clone()), &Covered { marks: &other, ..OPS }, false);
        check(&Scope::Tag(orders), &OPS, false);
    }

    #[test]
    fn the_position_only_moves_forward_even_if_the_clock_does_not() {
        let mut counters = Counters::default();
        let mut purge = |at| purge(&mut counters, &Scope::Tenant, Mode::Hard, at);
        assert_eq!(
            [purge(1_000), purge(1_000), purge(5), purge(9_000)].map(|epoch| epoch.0),
            [1_000, 1_001, 1_002, 9_000]
        );
    }

    #[track_caller]
    fn check_since(purges: &[u64], head: u64, expected: Option<u64>) {
        let mut counters = Counters::default();
        for at in purges {
            purge(&mut counters, &Scope::Tenant, Mode::Soft, *at);
        }
        let since = expected.map_or(Standing::Current, |since| Standing::Invalidated { since: UnixMillis(since) });
        assert_eq!(counters.standing(&OPS, Epoch(head)), since, "{purges:?}, {head}: {counters:?}");
    }

    #[test]
    fn what_is_out_of_date_is_so_since_the_first_purge_that_it_has_not_seen() {
        check_since(&[10_000], 9_999, Some(10_000));
        check_since(&[10_000], 10_000, None);
        check_since(&[10_000, 15_000], 9_000, Some(10_000));
        check_since(&[10_000, 15_000], 10_000, Some(15_000));
        // Within a tenth of the window they are one, from the first of them.
        check_since(&[10_000, 10_500], 10_000, Some(10_000));
        check_since(&[10_000, 11_000], 10_000, Some(11_000));
        // What is older than the window is one as well.
        check_since(&[10_000, 20_000, 40_000], 9_000, Some(10_000));
        check_since(&[10_000, 20_000, 40_000], 10_000, Some(10_000));
        check_since(&[10_000, 20_000, 40_000], 20_000, Some(40_000));
        // A clock that runs back only makes it older.
        check_since(&[10_000, 5_000], 9_000, Some(5_000));
    }

    /// Against every purge remembered one by one: never younger, and older by a tenth of the window at most where the
    /// window is not over yet. However many purges there are, few are kept.
    #[test]
    fn what_is_forgotten_never_lengthens_a_life() {
        for step in [1, 7, 100, 999, 1_000, 1_001, 2_500, 9_999, 10_000, 30_000] {
            let times: Vec<u64> = (1..200).map(|number| 100_000 + number * step).collect();
            let mut counters = Counters::default();
            for (index, now) in times.iter().enumerate() {
                purge(&mut counters, &Scope::Tenant, Mode::Soft, *now);
                for head in times.iter().take(index) {
                    let exact = times.iter().find(|at| *at > head).copied().unwrap_or_default();
                    let Standing::Invalidated { since } = counters.standing(&OPS, Epoch(*head)) else {
                        panic!("a head from before {now} is not current")
                    };
                    assert!(since.0 <= exact, "{step}: {since:?} instead of {exact}");
                    let near = since.0 + 1_000 > exact;
                    assert!(near || exact + 10_000 <= *now, "{step}, {now}: {since:?} instead of {exact}");
                }
            }
            assert!(counters.encode().len() < 600, "{}", counters.encode());
        }
    }

    #[test]
    fn too_many_keys_are_folded_into_their_route_and_tags_into_the_tenant() {
        for (mode, standing) in
            [(Mode::Hard, Standing::Purged), (Mode::Soft, Standing::Invalidated { since: UnixMillis(1_000) })]
        {
            let mut counters = Counters::default();
            purge(&mut counters, &key("ops", "d:ops:v1"), Mode::Hard, 1_000);
            for number in 0..SPARSE_AT_MOST {
                purge(&mut counters, &key("many", &format!("d:many:v1?n={number}")), mode, 1_000);
            }
            let many = |counters: &Counters, key: &str| {
                counters.standing(&Covered { class: "near", route: "many", key, marks: "" }, Epoch(999))
            };
            assert_eq!(many(&counters, "d:many:v1?n=0"), standing);
            assert_eq!(many(&counters, "d:many:v1?n=never-purged"), standing);
            assert_eq!(counters.standing(&OPS, Epoch(1_000)), Standing::Current);
            assert!(counters.purges.len() <= SPARSE_AT_MOST);
            for number in 0..SPARSE_AT_MOST {
                purge(&mut counters, &Scope::Tag(mark(&number.to_string())), mode, 2_000);
            }
            assert!(counters.purges.len() <= SPARSE_AT_MOST);
            assert_ne!(counters.standing(&OPS, Epoch(1_999)), Standing::Current);
        }
    }

    #[test]
    fn counters_survive_being_written_and_read() {
        let mut counters = Counters::default();
        for scope in [Scope::Tenant, Scope::Class("near".into()), Scope::Route("ops".into()), key("a", "b c?d=e/f")] {
            purge(&mut counters, &scope, Mode::Hard, 3_000);
            purge(&mut counters, &scope, Mode::Soft, 5_000);
            purge(&mut counters, &scope, Mode::Soft, 9_000);
        }
        purge(&mut counters, &Scope::Tag(mark("a tag")), Mode::Soft, 9_000);
        assert_eq!(Counters::decode(&counters.encode()).as_ref(), Some(&counters));
        counters.is_delisted = true;
        assert_eq!(Counters::decode(&counters.encode()), Some(counters));
        assert_eq!(Counters::decode("0"), Some(Counters::default()));
    }

    #[test]
    fn what_is_no_counters_is_not_read_as_some() {
        for text in
            ["", "x", "-1", "1\n", "1\n2", "1\n2  all", "1\n2 3 tenant", "1\n2 3@ tenant", "1\n2 tenant", "1\n\n"]
        {
            assert_eq!(Counters::decode(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_ledger_without_memory_begins_with_a_purge_of_everything() {
        let counters = Counters::begin(UnixMillis(1_000));
        assert_eq!(counters.standing(&OPS, Epoch(999)), Standing::Purged);
        assert_eq!(counters.epoch, Epoch(1_000));
    }

    #[test]
    fn what_is_no_scope_is_not_read_as_one() {
        for text in ["", "tenant/", "tenant/a", "class", "class/a/b", "route", "key", "key/a", "tag", "all", "Key/a/b"]
        {
            assert_eq!(Scope::parse(text), None, "{text}");
        }
    }
}
