//! A small generator of its own, so that a seed means the same figures for as long as this file stands.

/// The generator known as `SplitMix64`.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// A generator for one purpose: other parts, other numbers.
    pub(crate) fn of(parts: [u32; 4]) -> Self {
        let mut rng = Self(0x5eed);
        for part in parts {
            rng.0 = rng.next() ^ u64::from(part);
        }
        rng
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bits(&mut self) -> u32 {
        u32::try_from(self.next() >> 32).unwrap_or(u32::MAX)
    }

    /// A whole number below `end`, 0 if `end` is.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        u32::try_from((u64::from(self.bits()) * u64::from(end)) >> 32).unwrap_or(0)
    }

    /// A whole number from `low` up to and with `high`.
    pub(crate) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// A number from 0 up to, not with, 1.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(self.bits()) / 4_294_967_296.0
    }

    /// A number from `low` to `high`.
    pub(crate) fn spread(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// True in that share of the cases.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// An index into a list of that length, 0 if it is empty.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        u32::try_from(length).map_or(0, |length| self.below(length)) as usize
    }

    /// One of a list that is not empty.
    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.index(list.len())]
    }

    /// An index, by weights.
    pub(crate) fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut ball = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if ball < *weight {
                return index;
            }
            ball -= weight;
        }
        0
    }

    /// A list in another order.
    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, self.index(end + 1));
        }
    }
}
