//! Once at a time: what many requests of an isolate come upon at once, one of them sees to.

use crate::key::CacheKey;
use crate::small::Map;
use crate::time::UnixMillis;

/// One who never comes back holds it for so long, in milliseconds: longer than a look into every tier may take.
const HELD_MS: u64 = 1_000;
/// So many are held at once. Beyond that everybody sees to it.
const HELD_AT_MOST: usize = 1_024;

/// Who sees to what, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latch(Map<CacheKey, UnixMillis>);

impl Latch {
    /// Nobody, to anything.
    #[must_use]
    pub const fn new() -> Self {
        Self(Map::new())
    }

    /// Whether nobody is seeing to it. Then the caller does, until [`Latch::release`].
    pub fn take(&mut self, name: &CacheKey, now: UnixMillis) -> bool {
        let is_held = |since: &UnixMillis| now.0.checked_sub(since.0).is_some_and(|held| held < HELD_MS);
        if self.0.get(name).is_some_and(is_held) {
            return false;
        }
        if self.0.len() >= HELD_AT_MOST {
            self.0.retain(|_, since| is_held(since));
        }
        if self.0.len() < HELD_AT_MOST {
            self.0.insert(name.clone(), now);
        }
        true
    }

    /// It has been seen to.
    pub fn release(&mut self, name: &CacheKey) {
        self.0.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::{HELD_AT_MOST, Latch};
    use crate::key::{CacheKey, Tenant};
    use crate::time::UnixMillis;
    use alloc::string::ToString as _;

    fn key(name: &str) -> CacheKey {
        CacheKey::new(&Tenant::new("shop.test").expect("a tenant"), name, None)
    }

    #[test]
    fn one_at_a_time_sees_to_a_name_and_one_who_never_comes_back_for_a_second() {
        let (mut latch, one, other) = (Latch::new(), key("one"), key("other"));
        assert!(latch.take(&one, UnixMillis(5_000)));
        assert!(!latch.take(&one, UnixMillis(5_999)));
        assert!(latch.take(&other, UnixMillis(5_999)));
        latch.release(&other);
        assert!(latch.take(&other, UnixMillis(5_999)));
        assert!(latch.take(&one, UnixMillis(6_000)));
        // A clock that was set back holds nobody up.
        assert!(latch.take(&one, UnixMillis(4_000)));
    }

    #[test]
    fn it_is_bounded_and_beyond_that_holds_nobody_up() {
        let mut latch = Latch::new();
        for number in 0..HELD_AT_MOST {
            assert!(latch.take(&key(&number.to_string()), UnixMillis(0)));
        }
        let further = key("further");
        assert!(latch.take(&further, UnixMillis(0)) && latch.take(&further, UnixMillis(0)));
        assert!(latch.take(&further, UnixMillis(1_000)));
        assert!(!latch.take(&further, UnixMillis(1_000)), "there is room again");
    }
}
