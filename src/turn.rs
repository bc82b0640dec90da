//! A turn at the origin: waited for, kept within its time, and given back with what came of it.

use crate::breaker::Change;
use crate::names::field;
use crate::ports::{Failure, Incident, Origin, Ports, Read, within};
use crate::problem::{Kind, Problem};
use crate::rules::{Demand, Text};
use crate::time::UnixMillis;
use crate::upstream::{Ending, Lane, POLL_MS, Pass, Told, Wanting};
use alloc::string::{String, ToString as _};

/// Why there is no answer of the origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// In one word.
    pub cause: Cause,
    /// What happened, if it was asked.
    pub failure: Option<Failure>,
    /// In so many milliseconds it is worth another try.
    pub again_ms: u64,
}

/// The same in one word, for header, log and metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It gave none, or not a whole one.
    Unreachable,
    /// It took too long.
    TimedOut,
    /// It was not asked, since it has failed again and again.
    BreakerOpen,
    /// It was not asked, since too many questions are under way.
    Busy,
    /// It was not asked, since somebody else is asking the same.
    Awaited,
}

/// What is worth another try, and nobody knows when.
const AGAIN_MS: u64 = 5_000;
/// When there may be a slot.
const BUSY_MS: u64 = 1_000;

impl Cause {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "origin-unreachable",
            Self::TimedOut => "origin-timeout",
            Self::BreakerOpen => "breaker-open",
            Self::Busy => "origin-busy",
            Self::Awaited => "awaited",
        }
    }

    /// Whether that says nothing of the origin, but that others are asking it.
    #[must_use]
    pub fn is_a_wait(self) -> bool {
        matches!(self, Self::Busy | Self::Awaited)
    }

    /// Whether the origin was not even asked.
    #[must_use]
    pub fn is_held_back(self) -> bool {
        matches!(self, Self::BreakerOpen | Self::Busy | Self::Awaited)
    }
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self { cause: Cause::Unreachable, failure: Some(failure), again_ms: AGAIN_MS }
    }
}

impl Unanswered {
    fn timed_out(what: &str) -> Self {
        Self { cause: Cause::TimedOut, failure: Some(Failure(what.to_string())), again_ms: AGAIN_MS }
    }

    /// Somebody else is asking the same.
    #[must_use]
    pub fn awaited() -> Self {
        Self::held_back(Cause::Awaited, BUSY_MS)
    }

    fn held_back(cause: Cause, again_ms: u64) -> Self {
        Self { cause, failure: None, again_ms }
    }

    /// Counts it. What was held back is no incident of its own: that a breaker opened was one.
    pub fn record<P: Ports>(&self, ports: &P) {
        if let Some(failure) = &self.failure {
            ports.record(Incident::Origin, failure);
        }
    }

    /// What a client is told: no more than that.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let (kind, sentence) = match self.cause {
            Cause::Unreachable => (Kind::OriginUnreachable, "The origin gave no whole answer. Ask again later."),
            Cause::TimedOut => (Kind::OriginTimeout, "The origin took too long to answer. Ask again later."),
            Cause::BreakerOpen => (Kind::BreakerOpen, "The origin has failed again and again. Ask again later."),
            Cause::Busy | Cause::Awaited => {
                (Kind::OriginBusy, "Too much is being asked of the origin. Ask again later.")
            }
        };
        self.dated(Problem::new(kind, sentence))
    }

    /// The same for what must not be used before the origin has said that it is right (RFC 9111, section 5.2.2.2).
    #[must_use]
    pub fn not_validated(&self) -> Problem {
        self.dated(Problem::new(Kind::NotValidated, "The origin gave no answer, and must be asked. Ask again later."))
    }

    fn dated(&self, problem: Problem) -> Problem {
        problem.with(field::RETRY_AFTER, self.again_ms.div_ceil(1000).max(1).to_string())
    }
}

/// A turn that was had.
#[must_use]
pub struct Turn {
    pass: Pass,
    demand: Demand,
    began: UnixMillis,
}

impl Turn {
    /// Waits for it, for `patience` milliseconds at most.
    ///
    /// # Errors
    /// There is none.
    pub async fn take<P: Ports>(
        ports: &P,
        lane: Lane,
        class: Option<&Text>,
        is_surge: bool,
        patience: u64,
    ) -> Result<Self, Unanswered> {
        let class = class.cloned().unwrap_or_default();
        let (demand, at_most) = (ports.rules().demand(&class), ports.config().origin_concurrency);
        let mut wanting = Wanting::new(lane, class, demand, is_surge, at_most);
        let came = ports.now();
        loop {
            let now = ports.now();
            match ports.upstream(|upstream| upstream.ask(&mut wanting, now)) {
                Told::Go(pass) => return Ok(Self { pass, demand, began: now }),
                Told::Open(left) => return Err(Unanswered::held_back(Cause::BreakerOpen, left)),
                Told::Wait if now.0.abs_diff(came.0) < patience => ports.sleep(POLL_MS).await,
                Told::Wait | Told::Full => {
                    ports.upstream(|upstream| upstream.give_up(&wanting));
                    return Err(Unanswered::held_back(Cause::Busy, BUSY_MS));
                }
            }
        }
    }

    /// Waits for an answer's header fields.
    ///
    /// # Errors
    /// There was no answer, or not in time.
    pub async fn head<P: Ports, T>(
        &self,
        ports: &P,
        answer: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Unanswered> {
        let millis = u64::from(self.demand.first_byte_timeout) * 1000;
        match within(ports, millis, answer).await {
            Some(answer) => Ok(answer?),
            None => Err(Unanswered::timed_out("no header fields in time")),
        }
    }

    /// Reads an answer's body.
    ///
    /// # Errors
    /// It was cut short, is not as long as was declared, or took too long.
    pub async fn body<P: Ports>(&self, ports: &P, body: P::Body, at_most: u32) -> Result<Read<P::Body>, Unanswered> {
        let total = u64::from(self.demand.total_timeout) * 1000;
        // The header fields were there in their time, so a clock that says otherwise has jumped.
        let passed = ports.now().0.saturating_sub(self.began.0).min(u64::from(self.demand.first_byte_timeout) * 1000);
        let left = total.saturating_sub(passed);
        let pause = u64::from(self.demand.between_bytes_timeout) * 1000;
        let at_most = usize::try_from(at_most).unwrap_or(usize::MAX);
        match within(ports, left, ports.origin().receive(body, at_most, pause)).await.transpose()?.flatten() {
            Some(read) => Ok(read),
            None => Err(Unanswered::timed_out("not the whole body in time")),
        }
    }

    /// Gives it back.
    pub fn end<P: Ports>(self, ports: &P, ending: Ending) {
        let at_most = ports.config().origin_concurrency;
        let now = ports.now();
        let class = self.pass.class().clone();
        let change = ports.upstream(|upstream| upstream.ended(self.pass, ending, at_most, now));
        if let Some(change) = change {
            let mut said = String::from(match change {
                Change::Opened => "opened for class `",
                Change::Closed => "closed for class `",
            });
            said.push_str(&class);
            said.push('`');
            ports.record(Incident::OriginBreaker, &Failure(said));
        }
    }
}
