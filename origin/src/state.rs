//! What every route can reach.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    clock::Clock, credential::Credential, envelope::Envelopes, faults::Faults, session::App, store::Store,
    webhooks::Webhooks,
};

/// Shared by all requests.
#[derive(Clone)]
pub(crate) struct State(Arc<Shared>);

/// The parts of `State`.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) envelopes: Envelopes,
    pub(crate) faults: Faults,
    pub(crate) requests: RequestCounts,
    pub(crate) clock: Arc<Clock>,
    pub(crate) webhooks: Webhooks,
    pub(crate) app: App,
    /// What the edge has to show, if anything.
    pub(crate) edge_secret: Option<Credential>,
    shops: Vec<String>,
}

impl std::ops::Deref for State {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl State {
    /// State over a store with these shops, whose events go out by these webhooks and whose users have this app.
    pub(crate) fn new(
        store: Store,
        clock: Arc<Clock>,
        shops: Vec<String>,
        webhooks: Webhooks,
        app: App,
        edge_secret: Option<Credential>,
    ) -> Self {
        Self(Arc::new(Shared {
            store,
            envelopes: Envelopes::new(Arc::clone(&clock)),
            faults: Faults::default(),
            requests: RequestCounts::default(),
            clock,
            webhooks,
            app,
            edge_secret,
            shops,
        }))
    }
}

impl Shared {
    /// Whether there is such a shop.
    pub(crate) fn has_shop(&self, shop: &str) -> bool {
        self.shops.iter().any(|known| known == shop)
    }

    /// Every shop, the default one first.
    pub(crate) fn shops(&self) -> &[String] {
        &self.shops
    }

    /// The shop that events are about when they name none.
    pub(crate) fn default_shop(&self) -> &str {
        self.shops.first().map_or("", String::as_str)
    }
}

/// How often each path was asked for.
#[derive(Debug, Default)]
pub(crate) struct RequestCounts(Mutex<BTreeMap<String, u64>>);

impl RequestCounts {
    /// Counts a request.
    pub(crate) fn count(&self, path: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(path.to_owned()).or_default() += 1;
    }

    /// All counts.
    pub(crate) fn all(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets all counts.
    pub(crate) fn reset(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
