//! Tells the edge what changed, by Standard Webhooks: <https://www.standardwebhooks.com>.

mod delivery;
mod endpoint;
mod signing;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet};

pub(crate) use delivery::{Listed, Sent, first_attempts};
pub use endpoint::EdgeUrl;
pub use signing::Secret;

use delivery::{Message, Progress, deliver};
use endpoint::Endpoint;

/// How many deliveries are remembered.
const MOST_RECENT: usize = 100;
/// How many events may be on their way.
const MOST_PENDING: usize = 256;

/// How long the edge is given.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long one attempt may take.
    pub attempt: Duration,
    /// The pause after the first attempt. Each later one is about twice as long as the one before.
    pub first_delay: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempt: Duration::from_secs(10), first_delay: Duration::from_secs(1) }
    }
}

/// Something that happened to a shop.
#[derive(Debug, Serialize)]
pub(crate) struct Event {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) timestamp: String,
    /// Which shop, and the ids of what changed.
    pub(crate) data: Value,
}

/// Sends events in the background. Dropped, it stops.
#[derive(Debug)]
pub(crate) struct Webhooks {
    endpoint: Option<Arc<Endpoint>>,
    first_delay: Duration,
    pending: Mutex<JoinSet<()>>,
    /// The newest first.
    recent: Mutex<VecDeque<Sent>>,
}

impl Webhooks {
    /// To an edge; without one, nothing is sent.
    pub(crate) fn new(edge: Option<EdgeUrl>, secret: Secret, patience: Patience) -> Self {
        Self {
            endpoint: edge.map(|edge| Arc::new(Endpoint { edge, secret, limit: patience.attempt })),
            first_delay: patience.first_delay,
            pending: Mutex::default(),
            recent: Mutex::default(),
        }
    }

    /// Hands an event over to be sent. None without an edge.
    pub(crate) fn send(&self, event: &Event) -> Option<Sent> {
        let endpoint = Arc::clone(self.endpoint.as_ref()?);
        let message = Message {
            id: format!("msg_{:032x}", fastrand::u128(..)),
            kind: event.kind.clone(),
            body: serde_json::to_vec(event).ok()?.into(),
        };
        let (progress, watched) = watch::channel(Progress::PENDING);
        let sent = Sent { id: message.id.clone(), kind: message.kind.clone(), progress: watched };
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        while pending.try_join_next().is_some() {}
        if pending.len() < MOST_PENDING {
            let first_delay = self.first_delay;
            pending.spawn(async move { deliver(&endpoint, message, first_delay, progress).await });
        } else {
            eprintln!("reference-origin: {} ({}) is dropped: {MOST_PENDING} events wait already.", sent.kind, sent.id);
            progress.send_replace(Progress::DROPPED);
        }
        drop(pending);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_front(sent.clone());
        recent.truncate(MOST_RECENT);
        Some(sent)
    }

    /// The last deliveries, the newest first.
    pub(crate) fn recent(&self) -> Vec<Listed> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Sent::listed).collect()
    }
}
