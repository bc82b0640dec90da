//! Runs futures by hand on one thread, so that a test decides which request moves next.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// No request of a test has more awaits than this; one that has hangs.
const POLLS_AT_MOST: usize = 10_000;

/// A future that is polled by hand.
pub struct Task<T>(Pin<Box<dyn Future<Output = T>>>);

impl<T> Task<T> {
    pub fn new(future: impl Future<Output = T> + 'static) -> Self {
        Self(Box::pin(future))
    }

    /// Moves it on to its next await that is not ready.
    pub fn poll(&mut self) -> Option<T> {
        match self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    /// Runs it to its end, or as far as it gets.
    pub fn run(&mut self) -> Option<T> {
        (0..POLLS_AT_MOST).find_map(|_| self.poll())
    }
}

/// Lets other tasks run once.
pub async fn step_aside() {
    let mut waited = false;
    poll_fn(|_| if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// Waits for a condition that another task brings about.
pub async fn until(condition: impl Fn() -> bool) {
    poll_fn(|_| if condition() { Poll::Ready(()) } else { Poll::Pending }).await;
}
