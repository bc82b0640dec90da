//! What every route can reach.

use std::sync::Arc;

use crate::{clock::Clock, envelope::Envelopes, store::Store};

/// Shared by all requests.
#[derive(Clone)]
pub(crate) struct State(Arc<Shared>);

/// The parts of `State`.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) envelopes: Envelopes,
    pub(crate) clock: Arc<Clock>,
    shops: Vec<String>,
}

impl std::ops::Deref for State {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl State {
    /// State over a store with these shops.
    pub(crate) fn new(store: Store, clock: Arc<Clock>, shops: Vec<String>) -> Self {
        Self(Arc::new(Shared {
            store,
            envelopes: Envelopes::new(Arc::clone(&clock)),
            clock,
            shops,
        }))
    }
}

impl Shared {
    /// Whether there is such a shop.
    pub(crate) fn has_shop(&self, shop: &str) -> bool {
        self.shops.iter().any(|known| known == shop)
    }

    /// The first shop.
    pub(crate) fn default_shop(&self) -> &str {
        self.shops.first().map_or("", String::as_str)
    }
}
