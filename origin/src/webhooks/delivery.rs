//! One event on its way: attempts until the edge accepts it, further and further apart.

use std::time::Duration;

use axum::body::Bytes;
use serde::Serialize;
use serde_json::Value;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::endpoint::Endpoint;
use crate::clock;

/// After so many attempts an event is given up.
const MOST_ATTEMPTS: u32 = 8;
/// How long an answer waits for the first attempts.
const FIRST_ATTEMPT_LIMIT: Duration = Duration::from_secs(2);

/// A message as it is sent; its id and body are the same in every attempt.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) body: Bytes,
}

/// What came of an attempt.
#[derive(Debug, Clone, Serialize)]
struct Attempt {
    at: String,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Clone, Serialize)]
struct Outcome {
    /// Null if nothing was answered.
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Outcome {
    fn without_answer(error: impl Into<String>) -> Self {
        Self { status: None, receipt: None, error: Some(error.into()) }
    }
}

/// Where an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Pending,
    Delivered,
    GivenUp,
    /// Too many others were pending.
    Dropped,
}

/// How far an event has come.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Progress {
    state: State,
    attempts: Vec<Attempt>,
}

impl Progress {
    /// Nothing was tried yet.
    pub(super) const PENDING: Self = Self { state: State::Pending, attempts: Vec::new() };
    /// Nothing will be tried.
    pub(super) const DROPPED: Self = Self { state: State::Dropped, attempts: Vec::new() };

    fn is_told(&self) -> bool {
        !self.attempts.is_empty() || self.state == State::Dropped
    }

    fn last(&self) -> Outcome {
        match self.attempts.last() {
            Some(attempt) => attempt.outcome.clone(),
            None if self.state == State::Dropped => Outcome::without_answer("Too many events wait already."),
            None => Outcome::without_answer("The edge has not answered yet."),
        }
    }
}

/// An event that was handed over to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) progress: watch::Receiver<Progress>,
}

/// What an answer says of an event.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(flatten)]
    outcome: Outcome,
}

/// What the list of deliveries says of an event.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(flatten)]
    progress: Progress,
}

impl Sent {
    /// Every attempt up to now.
    pub(super) fn listed(&self) -> Listed {
        Listed { id: self.id.clone(), kind: self.kind.clone(), progress: self.progress.borrow().clone() }
    }

    fn report(self) -> Report {
        let outcome = self.progress.borrow().last();
        Report { id: self.id, kind: self.kind, outcome }
    }
}

/// Waits until each event was tried once, but not for long, and says what came of it.
pub(crate) async fn first_attempts(mut events: Vec<Sent>) -> Vec<Report> {
    let told = async {
        for event in &mut events {
            // A task that ended without a word was stopped with the origin.
            drop(event.progress.wait_for(Progress::is_told).await);
        }
    };
    // Whatever is not told by then is reported as it stands.
    let _ = timeout(FIRST_ATTEMPT_LIMIT, told).await;
    events.into_iter().map(Sent::report).collect()
}

/// Attempts until one is accepted or all are used up.
pub(super) async fn deliver(
    endpoint: &Endpoint,
    message: Message,
    first_delay: Duration,
    progress: watch::Sender<Progress>,
) {
    for number in 1..=MOST_ATTEMPTS {
        let now = clock::system_now();
        let outcome = match endpoint.post(&message.id, now.timestamp(), message.body.clone()).await {
            Err(error) => Outcome::without_answer(error),
            Ok(answer) => Outcome {
                status: Some(answer.status.as_u16()),
                receipt: answer.receipt,
                error: (!answer.status.is_success()).then(|| format!("The edge answered {}.", answer.status)),
            },
        };
        let state = match &outcome.error {
            None => State::Delivered,
            Some(_) if number < MOST_ATTEMPTS => State::Pending,
            Some(error) => {
                let Message { id, kind, .. } = &message;
                eprintln!("reference-origin: {kind} ({id}) is given up after {number} attempts. {error}");
                State::GivenUp
            }
        };
        progress.send_modify(|progress| {
            progress.state = state;
            progress.attempts.push(Attempt { at: clock::text(now), outcome });
        });
        if state != State::Pending {
            break;
        }
        sleep(delay_after(number, first_delay)).await;
    }
}

/// Twice as long after each attempt, less up to a half by chance, so that what failed together is not retried together.
fn delay_after(attempt: u32, first_delay: Duration) -> Duration {
    (first_delay * 2_u32.pow(attempt - 1)).mul_f64(1.0 - fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_vary() {
        for attempt in 1..MOST_ATTEMPTS {
            let most = Duration::from_secs(1 << (attempt - 1));
            let delays: Vec<_> = (0..100).map(|_| delay_after(attempt, Duration::from_secs(1))).collect();
            assert!(delays.iter().all(|delay| (most / 2..=most).contains(delay)), "{attempt}: {delays:?}");
            assert!(delays.iter().any(|delay| *delay != delays[0]), "{attempt}");
        }
    }
}
