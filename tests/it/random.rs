//! A small seeded generator, properties of random values, and how many cases each is tried with.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::cell::Cell;
use std::ops::Range;

/// splitmix64: every seed gives the same choices on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        // Mixed once: else one seed would give the choices of the one before it, but for the first.
        Self(Self(seed).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `end` - 1.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// Whether there is time for more cases: `HOTROD_LONG=1`.
pub fn is_long() -> bool {
    std::env::var("HOTROD_LONG").is_ok_and(|value| value == "1")
}

/// How many cases: `ordinary`, or twenty times as many.
pub fn cases(ordinary: u64) -> Range<u64> {
    0..if is_long() { ordinary * 20 } else { ordinary }
}

/// Tries a property with as many values as there are cases, the same on every machine. Of what breaks it, the least is
/// shown.
#[track_caller]
pub fn hold<S: Strategy>(cases: Range<u64>, values: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let cases = u32::try_from(cases.end).expect("not that many");
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::XorShift));
    if let Err(broken) = runner.run(&values, property) {
        panic!("{broken}");
    }
}

/// Counts how often a property meant something.
#[derive(Default)]
pub struct Count(Cell<usize>);

impl Count {
    pub fn one(&self) {
        self.0.set(self.0.get() + 1);
    }

    #[track_caller]
    pub fn at_least(&self, times: usize) {
        assert!(self.0.get() >= times, "{} times: too few to mean anything", self.0.get());
    }
}
