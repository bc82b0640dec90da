//! Epochs: how a purge is made certain without deleting anything.
//!
//! The *ledger* of a tenant is one ordered line of purges. Its position, the [`Epoch`], moves forward with each
//! of them, and each leaves its position as the counter of what it purged: the tenant, a class, a route, a
//! key. A fill reads the position *before* it asks the origin and stores it in the head. A reader takes the
//! greatest counter that covers the entry: a head from before it is as if it were not there, whichever tier
//! holds it and whenever it landed there.
//!
//! One position in the head, not a vector of counters, is enough, since all counters of a ledger move along
//! one line: a head of position `e` has seen exactly the purges up to `e`. So no counter can be forgotten in
//! a head, and a counter may be folded into a wider one at any time.

use crate::time::UnixMillis;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use core::fmt;
use serde::Serialize;
use serde_json::Value;

/// A position in a ledger. Greater is later. Never below the ledger's clock in milliseconds at the time of its
/// purge, so that a ledger which lost its memory (see [`Counters::begin`]) still moves forward.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a purge covers, within one tenant. As text: `tenant`, `class/aggregate`, `route/ops`,
/// `key/ops/dashboard:tile:ops:v1`; names of classes and routes hold no slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
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
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Tenant => "tenant".to_string(),
            Scope::Class(name) => format!("class/{name}"),
            Scope::Route(name) => format!("route/{name}"),
            Scope::Key { route, key } => format!("key/{route}/{key}"),
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
            _ => None,
        }
    }
}

/// Class, route and key of one entry: what a purge is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Covered<'a> {
    /// The class's name.
    pub class: &'a str,
    /// The route's name.
    pub route: &'a str,
    /// The key within the tenant.
    pub key: &'a str,
}

/// How many keys have a counter of their own; one more, and its route's keys are folded into the route's counter.
pub const KEYS_AT_MOST: usize = 512;

/// A tenant's counters: the ledger's own state, and the copy of it that a reader gets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// The position: no counter is greater.
    pub epoch: Epoch,
    /// Of each scope, the last hard purge.
    hard: BTreeMap<Scope, Epoch>,
}

impl Counters {
    /// The last hard purge that covers an entry.
    #[must_use]
    pub fn hard(&self, entry: &Covered<'_>) -> Epoch {
        let scopes = [
            Scope::Tenant,
            Scope::Class(entry.class.to_string()),
            Scope::Route(entry.route.to_string()),
            Scope::Key { route: entry.route.to_string(), key: entry.key.to_string() },
        ];
        scopes.iter().filter_map(|scope| self.hard.get(scope)).max().copied().unwrap_or_default()
    }

    /// Purges these scopes at one new position, and answers it.
    pub fn purge<'a>(&mut self, scopes: impl IntoIterator<Item = &'a Scope>, clock: UnixMillis) -> Epoch {
        self.epoch = Epoch(self.epoch.0.saturating_add(1).max(clock.0));
        for scope in scopes {
            _ = self.hard.insert(scope.clone(), self.epoch);
            match scope {
                Scope::Tenant | Scope::Class(_) => {}
                Scope::Route(route) => self.fold(route),
                Scope::Key { route, .. } => {
                    if self.hard.keys().filter(|scope| matches!(scope, Scope::Key { .. })).count() > KEYS_AT_MOST {
                        _ = self.hard.insert(Scope::Route(route.clone()), self.epoch);
                        self.fold(route);
                    }
                }
            }
        }
        self.epoch
    }

    /// A route's counter covers all its keys, so theirs are not needed any more.
    fn fold(&mut self, folded: &str) {
        self.hard.retain(|scope, _| !matches!(scope, Scope::Key { route, .. } if route == folded));
    }

    /// The counters of a ledger that finds nothing written down. It cannot know whether it is new or has lost its
    /// memory, and with it purges; so it begins with a purge of everything.
    #[must_use]
    pub fn begin(clock: UnixMillis) -> Self {
        let mut counters = Self::default();
        _ = counters.purge(&[Scope::Tenant], clock);
        counters
    }

    /// Reads counters as they are serialized. Anything else is nothing.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let read: Value = serde_json::from_str(text).ok()?;
        let mut counters = Self { epoch: Epoch(read.get("epoch")?.as_u64()?), ..Self::default() };
        for (scope, epoch) in read.get("hard")?.as_object()? {
            counters.restore(Scope::parse(scope)?, Epoch(epoch.as_u64()?));
        }
        Some(counters)
    }

    /// Every counter, for a ledger to write down.
    pub fn rows(&self) -> impl Iterator<Item = (&Scope, Epoch)> {
        self.hard.iter().map(|(scope, epoch)| (scope, *epoch))
    }

    /// Takes back a counter that was written down.
    pub fn restore(&mut self, scope: Scope, epoch: Epoch) {
        self.epoch = self.epoch.max(epoch);
        _ = self.hard.insert(scope, epoch);
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, Covered, Epoch, KEYS_AT_MOST, Scope};
    use crate::time::UnixMillis;
    use alloc::string::String;

    const OPS: Covered<'_> = Covered { class: "near", route: "ops", key: "d:ops:v1" };

    fn key(route: &str, key: &str) -> Scope {
        Scope::Key { route: route.into(), key: key.into() }
    }

    #[track_caller]
    fn check(scope: Scope, covers: bool) {
        let mut counters = Counters::default();
        let epoch = counters.purge(&[scope], UnixMillis(1_000));
        assert_eq!(epoch, Epoch(1_000));
        assert_eq!(counters.hard(&OPS), if covers { epoch } else { Epoch(0) });
    }

    #[test]
    fn a_purge_covers_its_tenant_class_route_or_key_and_nothing_else() {
        check(Scope::Tenant, true);
        check(Scope::Class("near".into()), true);
        check(Scope::Class("nea".into()), false);
        check(Scope::Route("ops".into()), true);
        check(Scope::Route("op".into()), false);
        check(key("ops", "d:ops:v1"), true);
        check(key("ops", "d:ops"), false);
        check(key("other", "d:ops:v1"), false);
    }

    #[test]
    fn the_position_only_moves_forward_even_if_the_clock_does_not() {
        let mut counters = Counters::default();
        assert_eq!(counters.purge(&[Scope::Tenant], UnixMillis(1_000)), Epoch(1_000));
        assert_eq!(counters.purge(&[Scope::Tenant], UnixMillis(1_000)), Epoch(1_001));
        assert_eq!(counters.purge(&[Scope::Tenant], UnixMillis(5)), Epoch(1_002));
        assert_eq!(counters.purge(&[Scope::Tenant], UnixMillis(9_000)), Epoch(9_000));
        assert_eq!(counters.epoch, Epoch(9_000));
    }

    #[test]
    fn too_many_keys_are_folded_into_their_route() {
        let mut counters = Counters::default();
        counters.purge(&[key("ops", "d:ops:v1")], UnixMillis(1));
        for number in 0..KEYS_AT_MOST {
            counters.purge(&[key("many", &format!("d:many:v1?n={number}"))], UnixMillis(2));
        }
        let last = counters.epoch;
        let many = |key: &str| counters.hard(&Covered { class: "near", route: "many", key });
        assert_eq!(many("d:many:v1?n=0"), last);
        assert_eq!(many("d:many:v1?n=never-purged"), last);
        assert_eq!(counters.hard(&OPS), Epoch(1));
        assert!(counters.rows().count() <= KEYS_AT_MOST);
    }

    #[test]
    fn counters_survive_being_written_and_read() {
        let mut counters = Counters::default();
        counters.purge(
            &[Scope::Tenant, Scope::Class("near".into()), Scope::Route("ops".into()), key("a", "b")],
            UnixMillis(3),
        );
        let text = serde_json::to_string(&counters).unwrap();
        assert_eq!(Counters::decode(&text).as_ref(), Some(&counters));
        let mut restored = Counters::default();
        for (scope, epoch) in counters.rows() {
            let text = String::from(scope.clone());
            restored.restore(Scope::parse(&text).unwrap(), epoch);
        }
        assert_eq!(restored, counters);
    }

    #[test]
    fn a_ledger_without_memory_begins_with_a_purge_of_everything() {
        let counters = Counters::begin(UnixMillis(1_000));
        assert_eq!(counters.hard(&OPS), Epoch(1_000));
        assert_eq!(counters.epoch, Epoch(1_000));
    }

    #[test]
    fn what_is_no_scope_is_not_read_as_one() {
        for text in ["", "tenant/", "tenant/a", "class", "class/a/b", "route", "key", "key/a", "all", "Key/a/b"] {
            assert_eq!(Scope::parse(text), None, "{text}");
        }
    }
}
