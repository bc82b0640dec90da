//! A question to the origin, and what becomes of its answer. A question needs no request: whoever can name what is
//! asked for can ask it, and a stale answer is renewed by the same steps behind somebody else's.

use crate::access::Admitted;
use crate::classify::Selected;
use crate::entry::{FORMAT, Head};
use crate::epoch::{Epoch, mark};
use crate::forwarding::fill_fields;
use crate::groups;
use crate::key::{CacheKey, Tenant};
use crate::lookup::holds;
use crate::names::field;
use crate::ports::{
    Body, Failure, Field, Flights as _, InFlight, Origin as _, Ports, Read, Response, Tier as _, TierName, within,
};
use crate::rules::{KV_LEAST_LIFE, Seconds, Stored, Text};
use crate::storing::{BODY_GREATEST_LENGTH, Received, Refusal, Storing, may_store, may_store_body};
use crate::validation::digest;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

/// For so long a request waits for another one's answer before it asks for itself, in milliseconds.
const FOLLOWED_MS: u64 = 5_000;
/// For so long a question counts as under way, in milliseconds; whoever asked may be gone.
pub const LEADING_MS: u64 = 15_000;

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
}

impl Question {
    /// What a request for a stored route asks. `url` is the origin's.
    #[must_use]
    pub fn new(admitted: &Admitted, selected: &Selected<'_>, url: String) -> Self {
        let Admitted { tenant, role, .. } = admitted;
        let key = CacheKey::new(tenant, &selected.stored.key, &selected.in_key, role.as_deref());
        Self { tenant: tenant.clone(), role: role.clone(), route: selected.route.name.clone(), key, url }
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

/// What became of a question.
pub enum Filled<B> {
    /// An answer to be stored.
    Stored(Fetched),
    /// The same, but another request asked for it and stores it.
    Joined(Fetched),
    /// An answer that is not stored.
    Unstored(Unstored<B>),
    /// None, or not a whole one.
    Failed(Failure),
}

/// An answer that is passed on and not stored.
pub struct Unstored<B> {
    /// The status code.
    pub status: u16,
    /// The header fields that are let through.
    pub fields: Vec<Field>,
    /// The body.
    pub body: Body<B>,
    /// Why it is not stored.
    pub refusal: Refusal,
}

/// Asks the origin, unless somebody in this isolate is asking the same. `epoch` is the position that was read before;
/// or why the answer is not stored whatever it is. `newer_than` is a position that the client knows of.
pub async fn fill<P: Ports>(
    ports: &P,
    question: &Question,
    stored: &Stored,
    epoch: Result<Epoch, Refusal>,
    newer_than: Option<Epoch>,
) -> Filled<P::Body> {
    let Ok(position) = epoch else { return ask(ports, question, stored, epoch).await };
    let needed = newer_than.map_or(position, |newer| newer.max(position));
    if let Some(flight) = joinable(ports, &question.key, needed) {
        return match within(ports, FOLLOWED_MS, ports.flights().landed(flight.handle)).await.flatten() {
            Some(fetched) => Filled::Joined(fetched),
            None => ask(ports, question, stored, epoch).await,
        };
    }
    let handle = ports.flights().take_off(&question.key, position, ports.now());
    let filled = ask(ports, question, stored, epoch).await;
    ports.flights().land(
        &question.key,
        handle,
        if let Filled::Stored(fetched) = &filled { Some(fetched) } else { None },
    );
    filled
}

/// The same question under way, if its answer will have seen all that ours would have.
pub fn joinable<P: Ports>(
    ports: &P,
    key: &CacheKey,
    position: Epoch,
) -> Option<InFlight<<P::Flights as crate::ports::Flights>::Handle>> {
    let flight = ports.flights().under_way(key)?;
    let led = ports.now().0.checked_sub(flight.since.0).is_some_and(|led| led < LEADING_MS);
    (led && flight.epoch >= position).then_some(flight)
}

async fn ask<P: Ports>(
    ports: &P,
    question: &Question,
    stored: &Stored,
    epoch: Result<Epoch, Refusal>,
) -> Filled<P::Body> {
    let requested_at = ports.now();
    let fields = fill_fields(ports.config(), question, &stored.content_type, ports.request_id());
    let response = match ports.origin().fetch(&question.url, &fields).await {
        Ok(response) => response,
        Err(failure) => return Filled::Failed(failure),
    };
    if let Some(failure) = no_answer(&response).or_else(|| unasked(&response)) {
        return Filled::Failed(failure);
    }
    let received_at = ports.now();
    let received = received(&response);
    let (kept, passed) = (pick(&response, stored.response_fields.iter()), pick(&response, field::UNSTORED.iter()));
    let groups = response.header(field::CACHE_GROUPS);
    let status = received.status;
    let unstored = |body, refusal| Filled::Unstored(Unstored { status, fields: passed, body, refusal });
    let (epoch, freshness) = match (epoch, may_store(stored, &received, requested_at, received_at)) {
        (Ok(epoch), Storing::Store(freshness)) => (epoch, freshness),
        (Err(refusal), _) | (Ok(_), Storing::Refuse(refusal)) => {
            return unstored(Body::Stream(response.into_body()), refusal);
        }
    };
    let bytes = match ports.origin().read(response.into_body(), BODY_GREATEST_LENGTH).await {
        Ok(Read::Whole(bytes)) => bytes,
        Ok(Read::Longer(body)) => return unstored(Body::Stream(body), Refusal::TooLarge),
        Err(failure) => return Filled::Failed(failure),
    };
    let etag = match may_store_body(stored, &bytes) {
        Storing::Store(etag) => etag,
        Storing::Refuse(refusal) => return unstored(Body::Bytes(bytes.into()), refusal),
    };
    let Some(marks) = marks(groups.as_deref()) else {
        return unstored(Body::Bytes(bytes.into()), Refusal::TooManyGroups);
    };
    let head = Head {
        format: FORMAT,
        status,
        requested_at,
        received_at,
        initial_age: freshness.initial_age,
        lifetime: freshness.lifetime,
        period_end: freshness.period_end,
        epoch,
        etag,
        digest: digest(&bytes),
        length: bytes.len(),
        headers: kept.into_iter().map(|(name, value)| (name.into_owned(), value)).collect(),
        marks,
    };
    match head.encode() {
        Some(encoded) => Filled::Stored(Fetched { head, encoded, bytes: bytes.into() }),
        None => unstored(Body::Bytes(bytes.into()), Refusal::HeadTooLarge),
    }
}

/// The marks of an answer's cache groups; nothing, if there are too many of them to be kept.
fn marks(field: Option<&str>) -> Option<String> {
    let groups = field.and_then(groups::parse).unwrap_or_default();
    (groups.len() <= groups::GROUPS_AT_MOST).then_some(())?;
    let mut marks = String::new();
    for group in groups {
        if !marks.is_empty() {
            marks.push(' ');
        }
        marks.push_str(&mark(&group));
    }
    Some(marks)
}

/// A response to be kept, and where.
#[derive(Debug)]
pub struct Keep<B> {
    /// Its name.
    pub key: CacheKey,
    /// By which reuse is judged.
    pub head: Head,
    /// The same, encoded.
    pub encoded: String,
    /// For how long.
    pub seconds: Seconds,
    /// The tiers, each with a body of its own.
    pub places: Vec<(TierName, Body<B>)>,
}

impl<B> Keep<B> {
    /// In every tier in which its route lives.
    pub fn everywhere<P: Ports<Body = B>>(ports: &P, key: &CacheKey, stored: &Stored, fetched: Fetched) -> Self {
        let Fetched { head, encoded, bytes } = fetched;
        let holding = ports.tiers().iter().map(P::Tier::name).filter(|tier| holds(*tier, stored));
        let places = holding.map(|tier| (tier, Body::Bytes(bytes.clone()))).collect();
        Self { key: key.clone(), seconds: left(stored, head.initial_age), head, encoded, places }
    }
}

/// How long a tier keeps what is `age` seconds old already. A store may refuse a shorter life; reuse is judged by the
/// head, so a longer one does no harm.
#[must_use]
pub fn left(stored: &Stored, age: Seconds) -> Seconds {
    stored.lifetimes.keep().saturating_sub(age).max(KV_LEAST_LIFE)
}

/// A status that is no final answer to a request (RFC 9110, section 15): nothing can be passed on.
pub fn no_answer<R: Response>(response: &R) -> Option<Failure> {
    match response.status() {
        101 if response.is_upgraded() => None,
        200..=599 => None,
        status => Some(Failure(format!("status {status}"))),
    }
}

/// A status that answers something which a fill did not ask for.
fn unasked<R: Response>(response: &R) -> Option<Failure> {
    match response.status() {
        status @ (101 | 304) => {
            Some(Failure(format!("status {status} to a request without a condition or an upgrade")))
        }
        _ => None,
    }
}

fn received<R: Response>(response: &R) -> Received {
    Received {
        status: response.status(),
        content_type: response.header(field::CONTENT_TYPE),
        content_length: response.header(field::CONTENT_LENGTH),
        cache_control: response.header(field::CACHE_CONTROL),
        age: response.header(field::AGE),
        vary: response.header(field::VARY),
        set_cookie: response.header(field::SET_COOKIE).is_some(),
    }
}

/// The listed header fields of an answer, and no others.
fn pick<R: Response, N: AsRef<str>>(response: &R, names: impl Iterator<Item = N>) -> Vec<Field> {
    names.filter_map(|name| Some((Text::Owned(name.as_ref().into()), response.header(name.as_ref())?))).collect()
}
