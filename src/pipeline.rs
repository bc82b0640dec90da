//! The path of a request: this file and `lookup` decide in which order things happen, and nothing else does.
//!
//! [`serve`] answers and hands back the work that may come later as data ([`After`]); whoever runs it calls
//! [`finish`] on that when the answer is on its way.

use crate::admin;
use crate::answer::{Answer, Asked, Emitted, Made};
use crate::cache_control::Audience;
use crate::cache_status::{CacheStatus, Forward, Outcome};
use crate::classify::{Classified, Lane, Selected, classify};
use crate::entry::{FORMAT, Head, StoredResponse};
use crate::epoch::Epoch;
use crate::forwarding::{fill_fields, is_loop, request_edits, response_edits};
use crate::key::{CacheKey, Tenant};
use crate::lookup::{Usable, get, holds, lookup};
use crate::names::field;
use crate::ports::{
    Body, Failure, Field, Incident, Origin as _, Ports, Read, Request as _, Response, Tier as _, TierName,
};
use crate::problem::{Kind, Problem};
use crate::reuse::Absence;
use crate::rules::{KV_LEAST_LIFE, NOCACHE, Seconds, Text};
use crate::storing::{BODY_GREATEST_LENGTH, Received, Refusal, Storing, may_store, may_store_body};
use crate::target::{Malformed, Target};
use crate::validation::digest;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// An answer, and what is to be done when it is on its way.
pub struct Served<P: Ports> {
    /// For the client.
    pub answer: Answer<P>,
    /// For [`finish`].
    pub after: After<P::Body>,
}

/// Work that nobody waits for.
#[derive(Debug)]
pub struct After<B>(Option<Keep<B>>);

impl<B> After<B> {
    /// Whether there is anything to do.
    #[must_use]
    pub fn is_something(&self) -> bool {
        self.0.is_some()
    }
}

/// A response to be kept, and where.
#[derive(Debug)]
struct Keep<B> {
    key: CacheKey,
    head: Head,
    encoded: String,
    seconds: Seconds,
    places: Vec<(TierName, Body<B>)>,
}

impl<P: Ports> From<Made<P::Body>> for Served<P> {
    fn from(made: Made<P::Body>) -> Self {
        Self { answer: Answer::Made(made), after: After(None) }
    }
}

/// Answers a request.
pub async fn serve<P: Ports>(ports: &P, request: P::Request) -> Served<P> {
    let head = request.method() == "HEAD";
    match path(ports, request).await {
        Ok(served) => served,
        Err(problem) => Made::problem(&problem, head).into(),
    }
}

async fn path<P: Ports>(ports: &P, request: P::Request) -> Result<Served<P>, Problem> {
    let target = Target::parse(request.url()).map_err(malformed)?;
    let classified = classify(ports.rules(), request.method(), &target);
    if classified == Classified::Health {
        return admin::health(ports, &request).map(Served::from);
    }
    if !ports.config().serves(target.host) {
        return Err(Problem::new(
            Kind::Host,
            "This host is not one that the deployment serves; the variable HOSTS lists them.",
        ));
    }
    if is_loop(request.header(field::CDN_LOOP).as_deref()) {
        return Err(Problem::new(
            Kind::Loop,
            "The request came back through this edge: its origin must not be the edge itself.",
        ));
    }
    // Its answer would repeat what the edge tells the origin alone (RFC 9110, section 9.3.8).
    if request.method() == "TRACE" {
        return Err(Problem::new(Kind::Method, "TRACE is not passed on, since its answer would tell a secret.")
            .with(field::ALLOW, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
    match classified {
        Classified::Health | Classified::Admin => {
            Ok(admin::call(ports, target.path.to_string().as_str(), request).await?.into())
        }
        Classified::NotFound => Err(Problem::new(Kind::NotFound, "Nothing is served under this path.")),
        Classified::Refused(refused) => Err(Problem::new(Kind::Query, refused.sentence())),
        Classified::Forward(lane) => {
            let url = format!("{}{}", ports.config().origin, path_and_query(&target));
            let tenant = ports.config().access.admit()?;
            forward(ports, tenant, lane, &url, request).await
        }
        Classified::Stored(selected) => {
            let tenant = ports.config().access.admit()?;
            let url = format!("{}{}{}", ports.config().origin, target.path, selected.query);
            from_store(ports, tenant, &selected, &url, &request).await
        }
    }
}

fn malformed(malformed: Malformed) -> Problem {
    let kind = if malformed == Malformed::TooLong { Kind::TargetTooLong } else { Kind::MalformedTarget };
    Problem::new(kind, malformed.sentence())
}

/// Path and query of a request that is passed on. The edge's own parameter stays with the edge.
fn path_and_query(target: &Target<'_>) -> String {
    let mut text = target.path.to_string();
    let passed = target.query.split('&').filter(|pair| pair.split('=').next() != Some(NOCACHE));
    for (index, pair) in passed.filter(|_| !target.query.is_empty()).enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(pair);
    }
    text
}

/// Passes a request on and its answer back, unread.
async fn forward<P: Ports>(
    ports: &P,
    tenant: &Tenant,
    lane: Lane<'_>,
    url: &str,
    request: P::Request,
) -> Result<Served<P>, Problem> {
    let why = match lane {
        Lane::Live(_) | Lane::Bypass(_) | Lane::Unlisted => Forward::Bypass,
        Lane::Method(_) => Forward::Method,
    };
    let id = ports.request_id();
    let edits = request_edits(&request, ports.config(), tenant, id.clone());
    let response = ports.origin().forward(request, url, &edits).await;
    let response = response.map_err(|failure| origin_unreachable(ports, why, &failure))?;
    if let Some(failure) = no_answer(&response) {
        return Err(origin_unreachable(ports, why, &failure));
    }
    let status = CacheStatus::Forwarded { why, status: Some(response.status()), outcome: Outcome::NotForStore };
    let edits = response_edits(&response, lane, &status, id);
    Ok(Served { answer: Answer::Passed { response, edits }, after: After(None) })
}

/// A stored route: the key, the lookup, and then a hit or a fill.
async fn from_store<P: Ports>(
    ports: &P,
    tenant: &Tenant,
    selected: &Selected<'_>,
    url: &str,
    request: &P::Request,
) -> Result<Served<P>, Problem> {
    let asked = Asked { head: request.method() == "HEAD", if_none_match: request.header(field::IF_NONE_MATCH) };
    let key = CacheKey::new(tenant, &selected.stored.key, &selected.in_key);
    let fill =
        |why, absence, epoch| Fill { ports, tenant, selected, url, key: &key, asked: &asked, why, absence, epoch };
    let by_operator = || ports.config().operators.admit(request.header(field::EDGE_AUTHORIZATION).as_deref());
    if selected.nocache && by_operator() {
        return fill(Forward::Request, None, Err(Refusal::NoCacheRequest)).run().await;
    }
    let lookup = lookup(ports, tenant, selected, &key).await;
    match lookup.usable {
        Some(usable) => Ok(hit(ports, selected, key, &asked, usable)),
        None => {
            fill(
                lookup.why,
                lookup.absence,
                lookup.counters.map(|counters| counters.epoch).ok_or(Refusal::LedgerUnreachable),
            )
            .run()
            .await
        }
    }
}

fn audience<P: Ports>(ports: &P, selected: &Selected<'_>) -> Audience {
    if ports.config().access.is_public() && !selected.stored.personal { Audience::Public } else { Audience::Private }
}

/// Answers from store. What a further tier had is kept in the nearest one too.
fn hit<P: Ports>(
    ports: &P,
    selected: &Selected<'_>,
    key: CacheKey,
    asked: &Asked,
    usable: Usable<P::Body>,
) -> Served<P> {
    let Usable { tier, stored: StoredResponse { head, body }, age, ttl } = usable;
    let emitted = Emitted { audience: audience(ports, selected), rule: &selected.stored.lifetimes, age: Some(age) };
    let status = CacheStatus::Hit { ttl, tier };
    let copy = match tier {
        TierName::Edge => None,
        TierName::Kv => ports.copy(&body),
    };
    let made = Made::stored(&head, Body::Stream(body), asked, emitted, &status);
    let keep = copy.and_then(|copy| {
        let places = vec![(TierName::Edge, Body::Stream(copy))];
        Some(Keep { key, encoded: head.encode()?, seconds: left(selected, age), head, places })
    });
    Served { answer: Answer::Made(made), after: After(keep) }
}

/// How long a tier keeps what is `age` seconds old already. A store may refuse a shorter life; reuse is judged by the
/// head, so a longer one does no harm.
fn left(selected: &Selected<'_>, age: Seconds) -> Seconds {
    selected.stored.lifetimes.keep().saturating_sub(age).max(KV_LEAST_LIFE)
}

/// One question to the origin, and what it is for.
struct Fill<'a, P: Ports> {
    ports: &'a P,
    tenant: &'a Tenant,
    selected: &'a Selected<'a>,
    url: &'a str,
    key: &'a CacheKey,
    asked: &'a Asked,
    /// Why the store did not answer.
    why: Forward,
    /// Why what is in the store does not count.
    absence: Option<Absence>,
    /// The ledger's position before the origin is asked; or why the answer is not stored whatever it is.
    epoch: Result<Epoch, Refusal>,
}

impl<P: Ports> Fill<'_, P> {
    async fn run(self) -> Result<Served<P>, Problem> {
        let Self { ports, selected, .. } = self;
        let requested_at = ports.now();
        let fields = fill_fields(ports.config(), self.tenant, &selected.stored.content_type, ports.request_id());
        let response = ports.origin().fetch(self.url, &fields).await.map_err(|failure| self.unreachable(&failure))?;
        if let Some(failure) = no_answer(&response).or_else(|| unasked(&response)) {
            return Err(self.unreachable(&failure));
        }
        let received_at = ports.now();
        let received = received(&response);
        let epoch_and_freshness = match (self.epoch, may_store(selected.stored, &received, requested_at, received_at)) {
            (Err(refusal), _) | (Ok(_), Storing::Refuse(refusal)) => Err(refusal),
            (Ok(epoch), Storing::Store(freshness)) => Ok((epoch, freshness)),
        };
        let (epoch, freshness) = match epoch_and_freshness {
            Ok(both) => both,
            Err(refusal) => {
                let fields = pick(&response, &field::UNSTORED);
                return Ok(self.unstored(&received, fields, Body::Stream(response.into_body()), refusal));
            }
        };
        let (kept, unstored) = (pick(&response, &field::STORED), pick(&response, &field::UNSTORED));
        let read = ports.origin().read(response.into_body(), BODY_GREATEST_LENGTH).await;
        let bytes = match read.map_err(|failure| self.unreachable(&failure))? {
            Read::Whole(bytes) => bytes,
            Read::Longer(body) => return Ok(self.unstored(&received, unstored, Body::Stream(body), Refusal::TooLarge)),
        };
        let etag = match may_store_body(selected.stored, &bytes) {
            Storing::Store(etag) => etag,
            Storing::Refuse(refusal) => {
                return Ok(self.unstored(&received, unstored, Body::Bytes(bytes.into()), refusal));
            }
        };
        let head = Head {
            format: FORMAT,
            status: received.status,
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
        };
        match head.encode() {
            Some(encoded) => Ok(self.stored(head, encoded, &bytes.into())),
            None => Ok(self.unstored(&received, unstored, Body::Bytes(bytes.into()), Refusal::HeadTooLarge)),
        }
    }

    fn stored(self, head: Head, encoded: String, bytes: &Rc<[u8]>) -> Served<P> {
        let Self { ports, selected, .. } = self;
        let outcome = Outcome::Stored(self.absence);
        let status = CacheStatus::Forwarded { why: self.why, status: Some(head.status), outcome };
        // Its lifetime counts from when it was made, so whoever keeps it must know how long ago that was.
        let age = (head.initial_age > 0).then_some(head.initial_age);
        let emitted = Emitted { audience: audience(ports, selected), rule: &selected.stored.lifetimes, age };
        let made = Made::stored(&head, Body::Bytes(bytes.clone()), self.asked, emitted, &status);
        let holding = ports.tiers().iter().map(P::Tier::name).filter(|tier| holds(*tier, selected));
        let places = holding.map(|tier| (tier, Body::Bytes(bytes.clone()))).collect();
        let seconds = left(selected, head.initial_age);
        let keep = Keep { key: self.key.clone(), head, encoded, seconds, places };
        Served { answer: Answer::Made(made), after: After(Some(keep)) }
    }

    fn unstored(&self, received: &Received, fields: Vec<Field>, body: Body<P::Body>, refusal: Refusal) -> Served<P> {
        let outcome = Outcome::Refused(refusal);
        let status = CacheStatus::Forwarded { why: self.why, status: Some(received.status), outcome };
        Made::unstored(received.status, fields, body, self.asked, &status).into()
    }

    fn unreachable(&self, failure: &Failure) -> Problem {
        origin_unreachable(self.ports, self.why, failure)
    }
}

/// What a client is told when the origin gave no answer: no more than that.
fn origin_unreachable<P: Ports>(ports: &P, why: Forward, failure: &Failure) -> Problem {
    ports.record(Incident::Origin, failure);
    let status = CacheStatus::Forwarded { why, status: None, outcome: Outcome::OriginUnreachable };
    Problem::new(Kind::OriginUnreachable, "The origin gave no whole answer. Ask again later.")
        .with(field::CACHE_STATUS, status.to_string())
}

/// A status that is no final answer to a request (RFC 9110, section 15): nothing can be passed on.
fn no_answer<R: Response>(response: &R) -> Option<Failure> {
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
fn pick<R: Response>(response: &R, names: &[&'static str]) -> Vec<Field> {
    names.iter().filter_map(|name| Some((Text::Borrowed(*name), response.header(name)?))).collect()
}

/// Does what was left for later: puts what was fetched where it belongs.
///
/// Stores have no compare-and-set, so an older fill may land over a newer one. This looks at the copy in its own
/// data centre first and keeps the later; across data centres, the epochs keep an older body from being served.
pub async fn finish<P: Ports>(ports: &P, after: After<P::Body>) {
    let Some(Keep { key, head, encoded, seconds, places }) = after.0 else { return };
    let own = ports.tiers().iter().find(|tier| tier.name() == TierName::Edge);
    let there = get(ports, own, &key).await.map(|(_, there)| (there.head.epoch, there.head.requested_at));
    if there > Some((head.epoch, head.requested_at)) {
        return;
    }
    for (name, body) in places {
        let Some(tier) = ports.tiers().iter().find(|tier| tier.name() == name) else { continue };
        if let Err(failure) = tier.put(&key, &head, &encoded, body, seconds).await {
            ports.record(Incident::Put(name), &failure);
        }
    }
}
