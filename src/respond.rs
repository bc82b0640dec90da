//! From a stored response, or from the origin's, to an answer.

use crate::after::After;
use crate::answer::{Answer, Asked, Emitted, Made, Whole};
use crate::cache_control::Audience;
use crate::cache_status::{CacheStatus, Forward, Outcome};
use crate::classify::Selected;
use crate::entry::{Head, StoredResponse};
use crate::fill::{Fetched, Filled, Question, Unstored};
use crate::keep::{Keep, left};
use crate::lookup::{Known, StandsIn, Usable, hold};
use crate::names::field;
use crate::pipeline::Served;
use crate::ports::{Body, Failure, Incident, Origin as _, Ports, Read, TierName, within};
use crate::problem::Problem;
use crate::received::is_error;
use crate::reuse::Staleness;
use crate::rules::{DecidedBy, Seconds};
use crate::storing::BODY_GREATEST_LENGTH;
use crate::turn::{Cause, Unanswered};
use crate::validation::digest;
use alloc::rc::Rc;
use alloc::string::ToString as _;

/// For so long the body of a store that is read is waited for, in milliseconds.
const READ_MS: u64 = 1_000;

/// A request for a stored route, as it is answered.
pub struct Reader<'a, P: Ports> {
    /// What there is outside.
    pub ports: &'a P,
    /// The route.
    pub selected: &'a Selected<'a>,
    /// What of the request decides how a representation is sent.
    pub asked: Asked,
}

/// What the store had for a request that it did not answer.
pub struct Missed<B> {
    /// Why it did not.
    pub why: Forward,
    /// Whether because of a purge.
    pub purged: bool,
    /// What is left of what is stored and stale.
    pub known: Option<Known<B>>,
}

impl<P: Ports> Reader<'_, P> {
    /// Answers from store. What a further tier had is kept in the nearer ones too. Nothing, if the store does not give
    /// the body, or not the one that the head was written for.
    pub async fn hit(&self, question: &Question, usable: Usable<P::Body>) -> Option<Served<P>> {
        let Usable { tier, stored: StoredResponse { head, body }, age, ttl, stale } = usable;
        let status = CacheStatus::Hit { ttl, tier, stale: stale.map(|stale| stale.why) };
        let copy = match tier {
            TierName::Memory | TierName::Edge => None,
            TierName::Kv => self.ports.copy(&body),
        };
        let body = self.readable(&head, body, tier).await?;
        if let Body::Bytes(bytes) = &body
            && tier != TierName::Memory
        {
            self.hold(question, &head, bytes);
        }
        let made = self.stored(&head, body, Some(age), stale.is_some(), &status);
        let keep = copy.and_then(|copy| {
            let seconds = left(self.selected.stored, &head, age);
            Keep::in_tier(TierName::Edge, question.key.clone(), head, Body::Stream(copy), seconds)
        });
        Some(Served { answer: Answer::Made(made), after: After::keeping(keep) })
    }

    /// Answers with what became of a question.
    ///
    /// # Errors
    /// The origin gave no answer, and nothing stands in for it.
    pub async fn filled(
        &self,
        question: &Question,
        filled: Filled<P::Body>,
        missed: Missed<P::Body>,
    ) -> Result<Served<P>, Problem> {
        let Missed { why, purged, known } = missed;
        let must_validate =
            known.as_ref().is_some_and(|known| known.head().followed.as_ref().is_some_and(|of| of.forbids_stale));
        let least = match &filled {
            Filled::Failed(failed) if failed.cause.is_a_wait() => StandsIn::WhileBusy,
            _ => StandsIn::OnError,
        };
        let on_error = known.filter(|known| known.stands_in >= least).map(|known| known.usable);
        match filled {
            Filled::Stored(fetched, status) => {
                let made = self.fetched(&fetched, why, status, Outcome::Stored { purged });
                self.hold(question, &Rc::new(fetched.head.clone()), &fetched.bytes);
                let keep = Keep::everywhere(self.ports, &question.key, self.selected.stored, fetched);
                Ok(Served { answer: Answer::Made(made), after: After::keeping(Some(keep)) })
            }
            Filled::Joined(fetched) => {
                let status = fetched.head.status;
                Ok(self.fetched(&fetched, why, status, Outcome::Collapsed).into())
            }
            Filled::HandedOn(fetched) => {
                let made = self.fetched(&fetched, why, fetched.head.status, Outcome::Collapsed);
                let keep = Keep::nearby(self.ports, &question.key, self.selected.stored, fetched);
                Ok(Served { answer: Answer::Made(made), after: After::keeping(Some(keep)) })
            }
            Filled::Unstored(unstored) => {
                let on_error = on_error.filter(|_| is_error(unstored.status));
                let instead = self.stale_if_error(why, Some(unstored.status), None, on_error).await;
                Ok(instead.unwrap_or_else(|| self.unstored(unstored, why).into()))
            }
            Filled::Failed(failed) => {
                failed.record(self.ports);
                let held_back = Some(failed.cause).filter(|cause| cause.is_held_back());
                self.stale_if_error(why, None, held_back, on_error).await.ok_or_else(|| {
                    let problem = if must_validate { failed.not_validated() } else { failed.problem() };
                    unanswered(problem, why, &failed)
                })
            }
        }
    }

    fn fetched(&self, fetched: &Fetched, why: Forward, status: u16, outcome: Outcome) -> Made<P::Body> {
        let status = CacheStatus::Forwarded { why, status: Some(status), outcome };
        // Its lifetime counts from when it was made, so whoever keeps it must know how long ago that was.
        let age = Some(fetched.head.initial_age).filter(|age| *age > 0);
        self.stored(&fetched.head, Body::Bytes(fetched.bytes.clone()), age, false, &status)
    }

    /// Answers from store because the origin failed (RFC 5861, section 4).
    async fn stale_if_error(
        &self,
        why: Forward,
        status: Option<u16>,
        held_back: Option<Cause>,
        usable: Option<Usable<P::Body>>,
    ) -> Option<Served<P>> {
        let Usable { tier, stored: StoredResponse { head, body }, stale, .. } = usable?;
        // The origin may have been waited for since it was found.
        let now = self.ports.now();
        let (age, ttl) = (head.current_age(now), head.ttl(&self.selected.stored.lifetimes, now));
        let ended_by = stale.map_or(Staleness::Expired, |stale| stale.why);
        let outcome = Outcome::StaleIfError { ttl, why: ended_by, held_back };
        let status = CacheStatus::Forwarded { why, status, outcome };
        let body = self.readable(&head, body, tier).await?;
        Some(self.stored(&head, body, Some(age), true, &status).into())
    }

    /// A body of a store's. One of which a part is asked for is read, and so is one that memory can hold: then it is seen
    /// whether it is the one that its head was written for.
    async fn readable(&self, head: &Head, body: P::Body, tier: TierName) -> Option<Body<P::Body>> {
        let is_held = tier != TierName::Memory && self.ports.memory(|memory| memory.takes(head.length));
        if self.asked.range.is_none() && !is_held {
            return Some(Body::Stream(body));
        }
        let reads = self.ports.origin().read(body, BODY_GREATEST_LENGTH);
        let read = within(self.ports, READ_MS, reads).await;
        match read.unwrap_or_else(|| Err(Failure("the body took too long".into()))) {
            Ok(Read::Whole(bytes)) if is_held && digest(&bytes) != head.digest => {
                self.ports.record(Incident::Corrupt(tier), &Failure("the body is not what its head says".into()));
                None
            }
            Ok(Read::Whole(bytes)) => Some(Body::Bytes(bytes.into())),
            Ok(Read::Longer(body)) => Some(Body::Stream(body)),
            Err(failure) => {
                self.ports.record(Incident::Get(tier), &failure);
                None
            }
        }
    }

    fn hold(&self, question: &Question, head: &Rc<Head>, bytes: &Rc<[u8]>) {
        hold(self.ports, self.selected.route, self.selected.stored, &question.key, head, bytes);
    }

    fn stored(
        &self,
        head: &Head,
        body: Body<P::Body>,
        age: Option<Seconds>,
        is_stale: bool,
        status: &CacheStatus,
    ) -> Made<P::Body> {
        let config = self.ports.config();
        match &self.selected.stored.decided_by {
            DecidedBy::Class(shape) => {
                let public = config.access.is_public() && !shape.personal;
                let audience = if public { Audience::Public } else { Audience::Private };
                let (rule, vary) = (&self.selected.stored.lifetimes, config.access.varies_by());
                Made::stored(head, body, &self.asked, Emitted { audience, rule, age, is_stale, vary }, status)
            }
            DecidedBy::Origin => {
                let whole = Whole {
                    status: head.status,
                    fields: head.headers.clone(),
                    body,
                    length: Some(head.length),
                    received_at: head.received_at,
                    age,
                };
                Made::followed(whole, &self.asked, status, self.ports.now())
            }
        }
    }

    fn unstored(&self, unstored: Unstored<P::Body>, why: Forward) -> Made<P::Body> {
        let Unstored { status, fields, body, refusal, received_at } = unstored;
        let cache_status = CacheStatus::Forwarded { why, status: Some(status), outcome: Outcome::Refused(refusal) };
        match &self.selected.stored.decided_by {
            DecidedBy::Class(_) => Made::unstored(status, fields, body, &self.asked, &cache_status),
            DecidedBy::Origin => {
                let whole = Whole { status, fields, body, length: None, received_at, age: None };
                // RFC 9111, section 4.3.2: conditions are not held against what is not stored.
                let asked = Asked { head: self.asked.head, ..Asked::default() };
                Made::followed(whole, &asked, &cache_status, self.ports.now())
            }
        }
    }
}

/// What a client is told when the origin gave no answer, and what it met.
#[must_use]
pub fn unanswered(problem: Problem, why: Forward, unanswered: &Unanswered) -> Problem {
    let status = CacheStatus::Forwarded { why, status: None, outcome: Outcome::Unanswered(unanswered.cause) };
    problem.with(field::CACHE_STATUS, status.to_string())
}
