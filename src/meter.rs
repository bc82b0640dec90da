//! So many in a minute, and no more: for callers that may ask for something expensive.

use crate::small::Map;
use crate::time::UnixMillis;
use alloc::string::{String, ToString as _};

const MINUTE_MS: u64 = 60_000;

/// Of each caller, until when what it may ask for is used up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meter(Map<String, u64>);

impl Meter {
    /// An unused one.
    #[must_use]
    pub const fn new() -> Self {
        Self(Map::new())
    }

    /// Takes one from a caller's minute.
    ///
    /// # Errors
    /// There is none left; in how many seconds there is.
    pub fn spend(&mut self, who: &str, per_minute: u32, now: UnixMillis) -> Result<(), u32> {
        let step = MINUTE_MS / u64::from(per_minute.max(1));
        self.0.retain(|_, until| *until > now.0 && *until <= now.0.saturating_add(MINUTE_MS));
        let until = self.0.get(who).copied().unwrap_or(now.0).saturating_add(step);
        let over = until.saturating_sub(now.0.saturating_add(MINUTE_MS));
        if over > 0 {
            return Err(u32::try_from(over.div_ceil(1000)).unwrap_or(u32::MAX));
        }
        self.0.insert(who.to_string(), until);
        Ok(())
    }
}
