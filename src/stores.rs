//! Calls of the stores: each ends within a limit, and one that fails again and again is left alone for a while. What a
//! store does not do is a miss and a count.

use crate::breaker::{Breaker, Change};
use crate::ports::{Failure, Incident, Ports, TierName, within};
use crate::small::Map;

/// For so long a lookup in the Cache API is waited for, in milliseconds. It takes a few; but with hundreds of requests
/// under way an isolate is itself late to hear of an answer, and giving up then would make it do more.
const EDGE_GET_MS: u64 = 1_000;
/// The same of Workers KV.
const KV_GET_MS: u64 = 1_000;
/// For so long a put is waited for, behind the answer. It may still land.
const PUT_MS: u64 = 5_000;

/// What is asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// A lookup.
    Get(TierName),
    /// A put.
    Put(TierName),
    /// The data centre's copy of the counters.
    SnapshotGet,
    /// To put one.
    SnapshotPut,
}

impl Call {
    /// For how long it is waited for, in milliseconds.
    #[must_use]
    pub fn limit(self) -> u64 {
        match self {
            Self::Get(TierName::Memory | TierName::Edge) | Self::SnapshotGet => EDGE_GET_MS,
            Self::Get(TierName::Kv) => KV_GET_MS,
            Self::Put(_) | Self::SnapshotPut => PUT_MS,
        }
    }

    /// As what a failure counts.
    fn incident(self) -> Incident {
        match self {
            Self::Get(tier) => Incident::Get(tier),
            Self::Put(tier) => Incident::Put(tier),
            Self::SnapshotGet | Self::SnapshotPut => Incident::Snapshot,
        }
    }
}

/// The breaker of each call, in one isolate.
#[derive(Debug, Clone, Default)]
pub struct Breakers(Map<Call, Breaker>);

impl Breakers {
    /// All closed.
    #[must_use]
    pub const fn new() -> Self {
        Self(Map::new())
    }

    fn of<T>(&mut self, call: Call, act: impl FnOnce(&mut Breaker) -> T) -> T {
        if let Some(breaker) = self.0.get_mut(&call) {
            return act(breaker);
        }
        let mut breaker = Breaker::new();
        let done = act(&mut breaker);
        self.0.insert(call, breaker);
        done
    }
}

/// Asks a store, unless its breaker is open. Nothing, if it was not asked or did not answer within the limit: both are
/// counted.
pub async fn asked<P: Ports, T>(ports: &P, call: Call, asks: impl Future<Output = Result<T, Failure>>) -> Option<T> {
    let limit = call.limit();
    let now = ports.now();
    let Ok(permit) = ports.breakers(|breakers| breakers.of(call, |breaker| breaker.admit(now, limit))) else {
        ports.count(Incident::Skipped(call));
        return None;
    };
    let answer = within(ports, limit, asks).await;
    let answer = answer.unwrap_or_else(|| Err(Failure(format!("it took longer than {limit} ms"))));
    let now = ports.now();
    let change = ports.breakers(|breakers| {
        breakers.of(call, |breaker| match &answer {
            Ok(_) => breaker.succeeded(permit),
            Err(_) => breaker.failed(permit, now, None),
        })
    });
    if let Err(failure) = &answer {
        ports.record(call.incident(), failure);
    }
    if let Some(change) = change {
        let words = if change == Change::Opened { "open" } else { "closed" };
        ports.record(Incident::Breaker(call), &Failure(words.into()));
    }
    answer.ok()
}
