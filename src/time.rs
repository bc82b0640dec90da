//! Points in time. Nothing here, nor anywhere in the core, reads a clock: `now` is always an argument.

use crate::rules::Seconds;
use serde::Serialize;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// Whole seconds from `earlier` to `self`; 0 if the clock went back in between.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> Seconds {
        Seconds::try_from(self.0.saturating_sub(earlier.0) / 1000).unwrap_or(Seconds::MAX)
    }
}
