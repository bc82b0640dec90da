//! A barrier that a test opens: whoever arrives waits, and the test can wait for arrivals.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest time that anybody waits: a test that forgets to open a gate fails, and does not hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// Set when the server that a thread serves is stopped; long waits look at it.
pub type Stop = Arc<AtomicBool>;

/// A gate, closed at first. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    open: bool,
    arrived: usize,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.state().open = true;
        self.0.1.notify_all();
    }

    /// Waits until so many have arrived.
    #[track_caller]
    pub fn wait_for_arrivals(&self, count: usize) {
        let (state, timeout) = self
            .0
            .1
            .wait_timeout_while(self.state(), PATIENCE, |state| state.arrived < count)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "{} of {count} arrived at the gate within {PATIENCE:?}", state.arrived);
    }

    /// Waits until the gate is open, the server stops or patience ends.
    pub fn pass(&self, stop: &Stop) {
        let mut state = self.state();
        state.arrived += 1;
        self.0.1.notify_all();
        let until = Instant::now() + PATIENCE;
        while !state.open && !stop.load(Ordering::Relaxed) && Instant::now() < until {
            let (next, _) =
                self.0.1.wait_timeout(state, Duration::from_millis(20)).unwrap_or_else(PoisonError::into_inner);
            state = next;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.0)
    }
}

/// Locks, even where another thread panicked with the lock in hand: its test fails by itself.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sleeps, but not past the moment when the server stops.
pub fn sleep(duration: Duration, stop: &Stop) {
    let until = Instant::now() + duration;
    while !stop.load(Ordering::Relaxed) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}
