//! What a purge reaches, and by when: the promise that its receipt makes.

use crate::epoch::{Mode, Scope, mark};
use crate::rules::{Accepts, Class, Lifetimes, Route, Rules, Seconds, Stored};
use crate::small::Set;
use crate::snapshot::Bounds;

/// The spans that follow from what a purge covers. In milliseconds, but for the last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// The greatest age of a reader's counters that may judge what it covers.
    pub bound: u64,
    /// The longest soft window of what it covers.
    pub window: u64,
    /// Both of them together, for the entry for which they are longest: after that nothing older is served.
    pub soft: u64,
    /// The longest lifetime that browsers are given, in seconds.
    pub browser: Seconds,
}

impl Reach {
    /// Of one scope. A tag reaches every stored route, since the origin may put it on any answer. `at_most` is the
    /// deployment's own bound on the age of counters.
    #[must_use]
    pub fn of(rules: &Rules, scope: &Scope, at_most: Option<u64>) -> Self {
        let classes = rules.classes.iter().filter_map(|class| Self::in_class(rules, scope, class, at_most));
        classes.fold(Self::default(), Self::and)
    }

    /// Of what a scope covers in one class, if it does.
    #[must_use]
    pub fn in_class(rules: &Rules, scope: &Scope, class: &Class, at_most: Option<u64>) -> Option<Self> {
        let lifetimes = class.policy.lifetimes()?;
        let covers = match scope {
            Scope::Tenant | Scope::Tag(_) => true,
            Scope::Class(name) => *name == class.name,
            Scope::Route(_) | Scope::Key { .. } => {
                rules.stored().any(|(route, _)| route.class == class.name && touches(scope, route))
            }
        };
        covers.then(|| Self::single(lifetimes, at_most))
    }

    fn single(lifetimes: &Lifetimes, at_most: Option<u64>) -> Self {
        let bound = Bounds::of(lifetimes, at_most).bound;
        let window = u64::from(lifetimes.soft_window).saturating_mul(1000);
        Self { bound, window, soft: bound.saturating_add(window), browser: lifetimes.max_age }
    }

    /// Of two scopes.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            bound: self.bound.max(other.bound),
            window: self.window.max(other.window),
            soft: self.soft.max(other.soft),
            browser: self.browser.max(other.browser),
        }
    }

    /// How long after its increment a purge is in force everywhere, in milliseconds.
    #[must_use]
    pub fn effective(&self, mode: Mode) -> u64 {
        match mode {
            Mode::Soft => self.soft,
            Mode::Hard | Mode::Erase => self.bound,
        }
    }
}

fn touches(scope: &Scope, route: &Route) -> bool {
    match scope {
        Scope::Tenant | Scope::Tag(_) => true,
        Scope::Class(name) => *name == route.class,
        Scope::Route(name) | Scope::Key { route: name, .. } => *name == route.name,
    }
}

/// How many keys the scopes cover, as far as the rules know: a parameter that may be any word counts as one, and so does
/// a route that follows its origin.
#[must_use]
pub fn keys(rules: &Rules, scopes: &Set<Scope>) -> u64 {
    let covered = |route: &Route, stored: &Stored, scope: &Scope| match scope {
        Scope::Tag(tag) => stored.tags.iter().any(|name| mark(name) == *tag),
        Scope::Key { .. } => false,
        Scope::Tenant | Scope::Class(_) | Scope::Route(_) => touches(scope, route),
    };
    let whole = |(route, stored): &(&Route, &Stored)| scopes.iter().any(|scope| covered(route, stored, scope));
    let of_routes: u64 = rules.stored().filter(whole).map(|(_, stored)| keys_of(stored)).sum();
    let single = scopes.iter().filter(|scope| match scope {
        Scope::Key { route: name, .. } => !rules.stored().any(|both| both.0.name == *name && whole(&both)),
        Scope::Tenant | Scope::Class(_) | Scope::Route(_) | Scope::Tag(_) => false,
    });
    of_routes.saturating_add(u64::try_from(single.count()).unwrap_or(u64::MAX))
}

fn keys_of(stored: &Stored) -> u64 {
    let values = |accepts: &Accepts| match accepts {
        Accepts::OneOf(values) => u64::try_from(values.len()).unwrap_or(u64::MAX),
        Accepts::Integer { min, max } => u64::from(max.saturating_sub(*min)).saturating_add(1),
        Accepts::Word { .. } => 1,
    };
    let query = stored.shape().map_or(&[][..], |shape| &shape.query);
    query.iter().map(|parameter| values(&parameter.accepts)).fold(1, u64::saturating_mul)
}
