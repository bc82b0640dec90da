//! A question to the origin, and what becomes of its answer. A question needs no request: whoever can name what is
//! asked for can ask it, and a stale answer is renewed by the same steps behind somebody else's.

use crate::access::Admitted;
use crate::classify::Selected;
use crate::date;
use crate::entry::{FORMAT, Head, StoredResponse};
use crate::epoch::Epoch;
use crate::follow::Inbound;
use crate::forwarding::fill_fields;
use crate::freshness::Exchange;
use crate::key::{CacheKey, Tenant};
use crate::ledger::leases::ANSWER_AT_MOST;
use crate::lookup::{Known, StandsIn};
use crate::names::field;
use crate::ports::{Body, Incident, Origin, Ports, Read, Response};
use crate::received::{fields, is_error, is_overload, marks, no_answer, received, unasked, validators};
use crate::reuse::Staleness;
use crate::rules::{Seconds, Stored, Text};
use crate::storing::{Received, Refusal, Storable, Storing, may_store, may_store_body};
use crate::time::UnixMillis;
use crate::turn::{Cause, Turn, Unanswered};
use crate::upstream::{Ending, Lane, Upstream, WAIT_MS, WAIT_WITH_STALE_MS, retry_after};
use crate::validation::{Validators, digest, freshen};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

/// What the origin is asked for.
#[derive(Debug, Clone)]
pub struct Question {
    /// For whom.
    pub tenant: Tenant,
    /// In which role.
    pub role: Option<Text>,
    /// The route's name.
    pub route: Text,
    /// What the answer is called.
    pub key: CacheKey,
    /// Where it comes from.
    pub url: String,
    /// What the client's request says, on a route that follows its origin.
    pub inbound: Option<Rc<Inbound>>,
    /// Whether it is asked because a purge took away what was stored.
    pub is_surge: bool,
}

impl Question {
    /// What a request for a stored route asks. `url` is the origin's.
    #[must_use]
    pub fn new(admitted: &Admitted, selected: &Selected<'_>, url: String) -> Self {
        let Admitted { tenant, role, .. } = admitted;
        let key = CacheKey::new(tenant, &selected.key, role.as_deref());
        let route = selected.route.name.clone();
        Self { tenant: tenant.clone(), role: role.clone(), route, key, url, inbound: None, is_surge: false }
    }

    /// By which it is known while it is under way: requests that would ask in other words do not share it.
    #[must_use]
    pub fn flight(&self) -> CacheKey {
        self.inbound.as_ref().map_or_else(|| self.key.clone(), |inbound| self.key.asked(&inbound.words()))
    }
}

/// An answer that is fit to be stored, in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// By which reuse is judged.
    pub head: Head,
    /// The same, encoded.
    pub encoded: String,
    /// The body.
    pub bytes: Rc<[u8]>,
}

impl Fetched {
    /// As it is handed on to other locations: the head, which is one line, and the body. Nothing, if the body is no text.
    #[must_use]
    pub fn written(&self) -> Option<String> {
        let body = str::from_utf8(&self.bytes).ok()?;
        let length = self.encoded.len().saturating_add(body.len());
        (length < ANSWER_AT_MOST).then(|| [&self.encoded, body].join("\n"))
    }

    /// Reads what [`Fetched::written`] wrote. Anything else is nothing.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (encoded, body) = text.split_once('\n')?;
        let head = Head::decode(encoded)?;
        let is_whole = head.length == body.len() && head.digest == digest(body.as_bytes());
        is_whole.then(|| Self { head, encoded: encoded.into(), bytes: body.as_bytes().into() })
    }
}

/// What became of a question.
pub enum Filled<B> {
    /// An answer to be stored, and the status by which the origin gave it: 304, if it said that what is stored is right.
    Stored(Fetched, u16),
    /// The same, but another request asked for it and stores it.
    Joined(Fetched),
    /// The same, but another location asked for it.
    HandedOn(Fetched),
    /// An answer that is not stored.
    Unstored(Unstored<B>),
    /// None, or not a whole one.
    Failed(Unanswered),
}

impl<B> Filled<B> {
    /// What may be shared with others who ask the same.
    pub fn stored(&self) -> Option<&Fetched> {
        match self {
            Self::Stored(fetched, _) | Self::HandedOn(fetched) | Self::Joined(fetched) => Some(fetched),
            Self::Unstored(_) | Self::Failed(_) => None,
        }
    }
}

/// An answer that is passed on and not stored.
pub struct Unstored<B> {
    /// The status code.
    pub status: u16,
    /// The header fields that are let through.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Body<B>,
    /// Why it is not stored.
    pub refusal: Refusal,
    /// When it was received.
    pub received_at: UnixMillis,
}

/// For which failures what is stored stands in.
#[must_use]
pub fn stands_in<B>(known: Option<&Known<B>>) -> StandsIn {
    known.map_or(StandsIn::Never, |known| known.stands_in)
}

/// Whether what is stored answers if the origin would have to be waited for. Who wants it anew waits as long as one who has
/// nothing (RFC 9111, section 5.2.1).
#[must_use]
pub fn is_at_hand<B>(known: Option<&Known<B>>) -> bool {
    known.is_some_and(|known| {
        let is_wanted_anew = known.usable.stale.is_some_and(|stale| stale.why == Staleness::Request);
        known.stands_in == StandsIn::WhileBusy && !is_wanted_anew
    })
}

/// Asks the origin, in this question's turn. `epoch` is the position that was read before; or why the answer is not stored
/// whatever it is. `known` is what is stored and stale: it is taken if the origin says that it is right.
pub async fn ask<P: Ports>(
    ports: &P,
    question: &Question,
    stored: &Stored,
    epoch: Result<Epoch, Refusal>,
    known: &mut Option<Known<P::Body>>,
) -> Filled<P::Body> {
    let class = ports.rules().route(&question.route).map(|route| &route.class);
    let patience = if is_at_hand(known.as_ref()) { WAIT_WITH_STALE_MS } else { WAIT_MS };
    let turn = match Turn::take(ports, Lane::Fill, class, question.is_surge, patience).await {
        Ok(turn) => turn,
        Err(unanswered) => return Filled::Failed(unanswered),
    };
    let filled = asked(ports, &turn, question, stored, epoch, known).await;
    turn.end(ports, ending(&filled, stored.shape().is_none(), ports.now()));
    let is_unstorable = match &filled {
        Filled::Unstored(Unstored { status, refusal, .. }) => *refusal != Refusal::Older && !is_error(*status),
        Filled::Stored(..) | Filled::Joined(_) | Filled::HandedOn(_) => false,
        Filled::Failed(_) => return filled,
    };
    if epoch.is_err() {
        // That it was not stored says nothing of the answer.
        return filled;
    }
    ports.upstream(|upstream| upstream.note(&question.flight(), is_unstorable, ports.now()));
    filled
}

/// An error on a route that follows its origin is that route's answer, as on one that is passed on, unless it asks to be
/// left alone: the class may have others that are well.
fn ending<B>(filled: &Filled<B>, is_following: bool, now: UnixMillis) -> Ending {
    let (status, fields) = match filled {
        Filled::Stored(fetched, _) | Filled::Joined(fetched) | Filled::HandedOn(fetched) => {
            (fetched.head.status, fetched.head.headers.as_slice())
        }
        Filled::Unstored(unstored) => (unstored.status, unstored.fields.as_slice()),
        Filled::Failed(_) => return Ending::Nothing,
    };
    if !is_error(status) {
        return Ending::Answered;
    }
    let is_overload = is_overload(status);
    let says = fields.iter().find(|(name, _)| is_overload && name == field::RETRY_AFTER);
    match says.and_then(|(_, value)| retry_after(value, now)) {
        None if is_following => Ending::Passed { is_overload },
        retry_after => Ending::Error { retry_after, is_overload },
    }
}

async fn asked<P: Ports>(
    ports: &P,
    turn: &Turn,
    question: &Question,
    stored: &Stored,
    epoch: Result<Epoch, Refusal>,
    known: &mut Option<Known<P::Body>>,
) -> Filled<P::Body> {
    let before = known.as_ref().map(|known| Before::of(known.head()));
    let taken = async |response, exchange| {
        taken(ports, turn, question, stored, epoch, before.as_ref(), response, exchange).await
    };
    // RFC 9111, section 4.3.1: with the validators of what is stored.
    let conditions = known.as_ref().map_or_else(Vec::new, |known| known.head().conditions());
    let is_conditional = !conditions.is_empty();
    let may_retry = stands_in(known.as_ref()) == StandsIn::Never;
    let (response, exchange) = match put_to_origin(ports, turn, question, stored, &conditions, may_retry).await {
        Ok(answered) => answered,
        Err(unanswered) => return Filled::Failed(unanswered),
    };
    if response.status() != 304 || !is_conditional {
        return taken(response, exchange).await;
    }
    let answered = validators(|name| response.header(name));
    let is_about = |known: &Known<P::Body>| known.head().validators.are_selected_by(&answered);
    if let Some(known) = known.take_if(|known| is_about(known))
        && let Some(filled) = freshened(ports, question, stored, epoch, known, &response, exchange).await
    {
        return filled;
    }
    // It is not about what is stored, or that is not whole: asked without a condition, the origin says all of it.
    match put_to_origin(ports, turn, question, stored, &[], may_retry).await {
        Ok((response, exchange)) => taken(response, exchange).await,
        Err(unanswered) => Filled::Failed(unanswered),
    }
}

type Answered<P> = (<<P as Ports>::Origin as Origin>::Response, Exchange);

async fn put_to_origin<P: Ports>(
    ports: &P,
    turn: &Turn,
    question: &Question,
    stored: &Stored,
    conditions: &[(&'static str, &str)],
    may_retry: bool,
) -> Result<Answered<P>, Unanswered> {
    let fields = fill_fields(ports.config(), question, stored.shape(), conditions, ports.request_id());
    let fetch = async || {
        let requested_at = ports.now();
        let fetched = ports.origin().fetch(&question.url, &fields, stored.shape().is_none());
        turn.head(ports, fetched).await.map(|response| (response, requested_at))
    };
    let mut fetched = fetch().await;
    // A connection that was cut is worth another one; an origin that is slow is not helped by being asked twice.
    if let Err(Unanswered { cause: Cause::Unreachable, failure: Some(failure), .. }) = &fetched
        && may_retry
        && ports.upstream(Upstream::may_retry)
    {
        ports.record(Incident::Retry, failure);
        fetched = fetch().await;
    }
    let (response, requested_at) = fetched?;
    match no_answer(&response) {
        Some(failure) => Err(failure.into()),
        None => Ok((response, Exchange { requested_at, received_at: ports.now() })),
    }
}

/// When what is stored was made, as far as it says so.
struct Before {
    last_modified: Option<UnixMillis>,
    made_at: u64,
}

impl Before {
    fn of(head: &Head) -> Self {
        let last_modified = head.validators.last_modified.as_deref();
        Self {
            last_modified: last_modified.and_then(|text| date::parse(text, head.received_at)),
            made_at: head.received_at.0.saturating_sub(u64::from(head.initial_age) * 1000),
        }
    }

    /// Whether an answer was made before that: by its Last-Modified if both have one, or else by its Age. What was on the
    /// way for part of a second is no older for that.
    fn is_later_than(&self, received: &Received, initial_age: Seconds, exchange: Exchange) -> bool {
        let last_modified = received.validators.last_modified.as_deref();
        let modified = last_modified.and_then(|text| date::parse(text, exchange.received_at));
        match self.last_modified.zip(modified) {
            Some((before, now)) => now < before,
            None => exchange.received_at.0.saturating_sub(u64::from(initial_age) * 1000) + 1000 < self.made_at,
        }
    }
}

/// What becomes of an answer that is a whole one.
#[expect(clippy::too_many_arguments, reason = "all that decides about an answer")]
async fn taken<P: Ports>(
    ports: &P,
    turn: &Turn,
    question: &Question,
    stored: &Stored,
    epoch: Result<Epoch, Refusal>,
    before: Option<&Before>,
    response: <P::Origin as Origin>::Response,
    exchange: Exchange,
) -> Filled<P::Body> {
    if let Some(failure) = unasked(&response) {
        return Filled::Failed(failure.into());
    }
    let received = received(question, response.status(), |name| response.header(name));
    let (kept, passed) = fields(stored.shape(), &response, exchange);
    let groups = response.header(field::CACHE_GROUPS);
    let (status, received_at) = (received.status, exchange.received_at);
    let unstored = |body, refusal| Filled::Unstored(Unstored { status, fields: passed, body, refusal, received_at });
    let (epoch, storable) = match (epoch, may_store(stored, &received, None, exchange)) {
        (Ok(epoch), Storing::Store(storable)) => (epoch, storable),
        (Err(refusal), _) | (Ok(_), Storing::Refuse(refusal)) => {
            return unstored(Body::Stream(response.into_body()), refusal);
        }
    };
    if before.is_some_and(|before| before.is_later_than(&received, storable.freshness.initial_age, exchange)) {
        return unstored(Body::Stream(response.into_body()), Refusal::Older);
    }
    let bytes = match turn.body(ports, response.into_body(), stored.limits.largest_body).await {
        Ok(Read::Whole(bytes)) => bytes,
        Ok(Read::Longer(body)) => return unstored(Body::Stream(body), Refusal::TooLarge),
        Err(unanswered) => return Filled::Failed(unanswered),
    };
    let etag = match stored.shape().map(|shape| may_store_body(shape, &bytes)) {
        Some(Storing::Store(etag)) => etag,
        Some(Storing::Refuse(refusal)) => return unstored(Body::Bytes(bytes.into()), refusal),
        None => received.validators.etag.clone().unwrap_or_default(),
    };
    let Some(marks) = marks(groups.as_deref()) else {
        return unstored(Body::Bytes(bytes.into()), Refusal::TooManyGroups);
    };
    let body = Described { status, etag, digest: digest(&bytes), length: bytes.len(), marks };
    let validators = received.own_validators(stored.shape().is_some(), exchange);
    let head = head(question, epoch, storable, validators, body, kept, exchange);
    match head.encode() {
        Some(encoded) => Filled::Stored(Fetched { head, encoded, bytes: bytes.into() }, status),
        None => unstored(Body::Bytes(bytes.into()), Refusal::HeadTooLarge),
    }
}

/// What becomes of a 304: the stored response with its fields (RFC 9111, section 4.3.4), at the position that was read
/// before it was asked for. Nothing, if that is not whole any more, or not allowed by the rules of this build.
async fn freshened<P: Ports>(
    ports: &P,
    question: &Question,
    stored: &Stored,
    epoch: Result<Epoch, Refusal>,
    known: Known<P::Body>,
    response: &<P::Origin as Origin>::Response,
    exchange: Exchange,
) -> Option<Filled<P::Body>> {
    let StoredResponse { head: before, body } = known.usable.stored;
    let before = Rc::unwrap_or_clone(before);
    let answered = validators(|name| response.header(name));
    let at_most = usize::try_from(stored.limits.largest_body).unwrap_or(usize::MAX);
    let Ok(Read::Whole(bytes)) = ports.origin().read(body, at_most).await else { return None };
    (bytes.len() == before.length && digest(&bytes) == before.digest).then_some(())?;
    // What another build stored is judged by the rules of this one.
    let etag = match stored.shape().map(|shape| may_store_body(shape, &bytes)) {
        Some(Storing::Store(etag)) => etag,
        Some(Storing::Refuse(_)) => return None,
        None => answered.etag.clone().unwrap_or(before.etag),
    };
    let (kept, mut passed) = fields(stored.shape(), response, exchange);
    let mut headers = before.headers;
    if let Some(shape) = stored.shape() {
        headers.retain(|(name, _)| shape.response_fields.iter().any(|listed| listed == name));
    }
    freshen(&mut headers, kept);
    // That is for this client alone, and it keeps what was stored from being stored again.
    passed.retain(|(name, _)| name == field::SET_COOKIE);
    let mut received = received(question, before.status, |name| {
        let of_this_answer = [field::AGE, field::DATE, field::SET_COOKIE].contains(&name);
        let kept = || headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
        response.header(name).or_else(|| if of_this_answer { None } else { kept() })
    });
    // The content is what it was.
    received.content_length = None;
    received.validators = Validators {
        etag: answered.etag.or(before.validators.etag),
        last_modified: answered.last_modified.or(before.validators.last_modified),
    };
    let unstored = |refusal| {
        let fields = headers.iter().chain(&passed).cloned().collect();
        let body = Body::Bytes(bytes.clone().into());
        let (status, received_at) = (before.status, exchange.received_at);
        Some(Filled::Unstored(Unstored { status, fields, body, refusal, received_at }))
    };
    let (epoch, storable) = match (epoch, may_store(stored, &received, before.stated, exchange)) {
        (Ok(epoch), Storing::Store(storable)) => (epoch, storable),
        (Err(refusal), _) | (Ok(_), Storing::Refuse(refusal)) => return unstored(refusal),
    };
    let marks = match response.header(field::CACHE_GROUPS) {
        None => before.marks,
        Some(groups) => match marks(Some(&groups)) {
            Some(marks) => marks,
            None => return unstored(Refusal::TooManyGroups),
        },
    };
    let body = Described { status: before.status, etag, digest: before.digest, length: before.length, marks };
    let validators = received.own_validators(stored.shape().is_some(), exchange);
    let head = head(question, epoch, storable, validators, body, headers.clone(), exchange);
    match head.encode() {
        Some(encoded) => Some(Filled::Stored(Fetched { head, encoded, bytes: bytes.into() }, response.status())),
        None => unstored(Refusal::HeadTooLarge),
    }
}

/// A representation as it is stored.
struct Described {
    status: u16,
    etag: String,
    digest: String,
    length: usize,
    marks: String,
}

fn head(
    question: &Question,
    epoch: Epoch,
    storable: Storable,
    validators: Validators,
    described: Described,
    headers: Vec<(String, String)>,
    exchange: Exchange,
) -> Head {
    let Storable { freshness, mut followed } = storable;
    if let (Some(followed), Some(inbound)) = (&mut followed, &question.inbound)
        && !followed.nominated.is_empty()
    {
        followed.variance = inbound.variance(&followed.nominated);
    }
    let Described { status, etag, digest, length, marks } = described;
    Head {
        format: FORMAT,
        status,
        requested_at: exchange.requested_at,
        received_at: exchange.received_at,
        initial_age: freshness.initial_age,
        lifetime: freshness.lifetime,
        period_end: freshness.period_end,
        epoch,
        etag,
        digest,
        length,
        headers,
        marks,
        stated: freshness.stated,
        validators,
        followed,
    }
}
