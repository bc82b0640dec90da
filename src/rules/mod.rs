//! The policy as data: classes, routes, parameters, events.
//!
//! `rules.toml` is read by `build.rs`, which refuses what is unsafe and writes [`compiled`] as a constant
//! table; nothing is parsed at run time. [`Rules`] is a value, so that a tool or a test may hold several
//! (natively, [`load`] makes one from a text). What a rule *means* for a request is decided elsewhere:
//! `classify`, `freshness`, `storing`.

pub mod table;

#[cfg(not(target_arch = "wasm32"))]
mod parse;
#[cfg(not(target_arch = "wasm32"))]
mod validate;

#[cfg(not(target_arch = "wasm32"))]
pub use parse::{RuleError, load};
pub use table::*;

mod generated {
    #![allow(
        unused_imports,
        clippy::unreadable_literal,
        reason = "written for a compiler; other rules have no need of some"
    )]
    use super::table::{
        Accepts, Auth, Bounds, Calendar, Class, DecidedBy, Demand, Disposition, Effect, Event, Lifetimes, Limits,
        Parameter, Policy, Requirement, Role, Route, Rules, Scalar, Segment, Shape, Stored, Touches, WithoutLedger,
    };
    use alloc::borrow::Cow;
    include!(concat!(env!("OUT_DIR"), "/rules.rs"));
}

/// Of what no rule lists.
const UNLISTED: Demand = Demand { value: 10, first_byte_timeout: 60, between_bytes_timeout: 60, total_timeout: 60 };

/// The table that this build was made with.
#[must_use]
pub fn compiled() -> &'static Rules {
    &generated::RULES
}

impl Rules {
    /// The class of that name.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes.iter().find(|class| class.name == name)
    }

    /// What the questions of the class of that name may take of the origin.
    #[must_use]
    pub fn demand(&self, class: &str) -> Demand {
        self.class(class).map_or(UNLISTED, |class| class.demand)
    }

    /// The route of that name.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.name == name)
    }

    /// Each stored route with how it is kept.
    pub fn stored(&self) -> impl Iterator<Item = (&Route, &Stored)> {
        self.routes.iter().filter_map(|route| match &route.disposition {
            Disposition::Store(stored) => Some((route, stored)),
            Disposition::Live | Disposition::Bypass => None,
        })
    }
}

impl Policy {
    /// The bounds of what is stored, if anything is.
    #[must_use]
    pub fn lifetimes(&self) -> Option<&Lifetimes> {
        match self {
            Self::Store(lifetimes) | Self::Origin(lifetimes) => Some(lifetimes),
            Self::Live | Self::Bypass => None,
        }
    }
}

impl Stored {
    /// What its answers look like, if its class decides.
    #[must_use]
    pub fn shape(&self) -> Option<&Shape> {
        match &self.decided_by {
            DecidedBy::Class(shape) => Some(shape),
            DecidedBy::Origin => None,
        }
    }
}
