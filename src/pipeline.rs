//! The path of a request: this file, `lookup` and `fill` decide in which order things happen, and nothing else does.
//!
//! [`serve`] answers and hands back the work that may come later as data ([`After`]); whoever runs it calls
//! [`finish`] on that when the answer is on its way.

use crate::access::{Admitted, identify, not_listed};
use crate::admin;
use crate::answer::{Answer, Asked, Emitted, Made};
use crate::cache_control::Audience;
use crate::cache_status::{CacheStatus, Forward, Outcome};
use crate::classify::{Classified, Lane, Selected, classify};
use crate::cors::Sharing;
use crate::entry::StoredResponse;
use crate::epoch::{Covered, Standing};
use crate::fill::{Fetched, Filled, Keep, Question, Unstored, fill, joinable, left, no_answer};
use crate::forwarding::{is_too_long, request_edits, response_edits};
use crate::guard::guard;
use crate::invalidate::Write;
use crate::key::{CacheKey, Tenant};
use crate::ledger::outbox::ERASED_AGAIN_MS;
use crate::lookup::{Usable, get, holds, lookup};
use crate::names::{field, path};
use crate::ports::{
    Admissions as _, Body, Failure, Incident, Origin as _, Ports, Request as _, Response as _, Tier as _, TierName,
};
use crate::problem::{Kind, Problem};
use crate::refresh;
use crate::reuse::Staleness;
use crate::rules::{Auth, Seconds, Stored, Text, WithoutLedger};
use crate::snapshot::{Bounds, Judge, Snapshot, Then, renew, share};
use crate::storing::Refusal;
use crate::target::{Malformed, Target};
use alloc::rc::Rc;
use alloc::string::{String, ToString};

/// So many times in a minute an operator may ask past the store, in each isolate.
const BYPASSES_PER_MINUTE: u32 = 60;

/// An answer, and what is to be done when it is on its way.
pub struct Served<P: Ports> {
    /// For the client.
    pub answer: Answer<P>,
    /// For [`finish`].
    pub after: After<P::Body>,
}

/// Work that nobody waits for.
#[derive(Debug)]
pub struct After<B> {
    /// A response to be kept.
    keep: Option<Keep<B>>,
    /// A copy of a tenant's counters that is to be renewed, or shared with the other isolates here.
    counters: Option<(Tenant, Bounds, Judge)>,
    /// A stale response to be renewed.
    renewal: Option<Renewal>,
    /// A write whose invalidation the ledger has not confirmed.
    write: Option<(Tenant, Write)>,
}

/// What is stale and is being served.
#[derive(Debug)]
struct Renewal {
    question: Question,
    /// By what it was judged.
    snapshot: Rc<Snapshot>,
}

impl<B> Default for After<B> {
    fn default() -> Self {
        Self { keep: None, counters: None, renewal: None, write: None }
    }
}

impl<B> After<B> {
    /// A response to be kept, and nothing else.
    #[must_use]
    pub fn keeping(keep: Option<Keep<B>>) -> Self {
        Self { keep, ..Self::default() }
    }

    /// Whether there is anything to do.
    #[must_use]
    pub fn is_something(&self) -> bool {
        self.keep.is_some() || self.counters.is_some() || self.renewal.is_some() || self.write.is_some()
    }
}

impl<P: Ports> From<Made<P::Body>> for Served<P> {
    fn from(made: Made<P::Body>) -> Self {
        Self { answer: Answer::Made(made), after: After::default() }
    }
}

/// Answers a request.
pub async fn serve<P: Ports>(ports: &P, request: P::Request) -> Served<P> {
    let head = request.method() == "HEAD";
    let is_secure = request.url().starts_with("https:");
    let sharing = Sharing::of(ports.config(), &request);
    let answered = path(ports, request, sharing.as_ref()).await;
    let mut served = answered.unwrap_or_else(|problem| Made::problem(&problem, head).into());
    if let Some(sharing) = sharing {
        sharing.say(&mut served.answer);
    }
    if let Answer::Made(made) = &mut served.answer
        && is_secure
    {
        made.secure();
    }
    served
}

async fn path<P: Ports>(ports: &P, request: P::Request, sharing: Option<&Sharing>) -> Result<Served<P>, Problem> {
    let target = Target::parse(request.url()).map_err(malformed)?;
    let classified = classify(ports.rules(), request.method(), &target);
    if classified == Classified::Health {
        return admin::health(ports, &request).map(Served::from);
    }
    if let Some(made) = guard(ports, &request, &target, sharing)? {
        return Ok(made.into());
    }
    match classified {
        Classified::Admin if target.path == path::REFRESH => {
            let identity = identify(ports, &request).await?;
            refresh::call(ports, identity, request).await
        }
        Classified::Health | Classified::Admin => {
            Ok(admin::call(ports, &String::from(target.path), request).await?.into())
        }
        Classified::NotFound => Err(Problem::new(Kind::NotFound, "Nothing is served under this path.")),
        Classified::Refused(refused) => Err(Problem::new(Kind::Query, refused.sentence())),
        Classified::Forward(lane) => {
            let route = lane.route();
            let admitted = match route.map_or(Auth::Edge, |route| route.auth) {
                Auth::Edge => Some(identify(ports, &request).await?.enter(ports, route).await?),
                Auth::Origin => None,
            };
            let url = format!("{}{}", ports.config().origin, target.without_own_parameter());
            let write = Write::begin(ports.rules(), lane, &target, request.method());
            // What a write makes out of date could be told to nobody.
            if write.is_some() && admitted.as_ref().is_some_and(|admitted| !admitted.is_listed) {
                return Err(Problem::new(
                    Kind::LedgerUnreachable,
                    "Whether the shop is listed cannot be known now. Ask again.",
                ));
            }
            forward(ports, admitted, lane, write, &url, request).await
        }
        Classified::Stored(selected) => {
            let admitted = identify(ports, &request).await?.enter(ports, Some(selected.route)).await?;
            from_store(ports, &admitted, &selected, origin_url(ports, &target, &selected), &request).await
        }
    }
}

fn malformed(malformed: Malformed) -> Problem {
    let kind = if malformed == Malformed::TooLong { Kind::TargetTooLong } else { Kind::MalformedTarget };
    Problem::new(kind, malformed.sentence())
}

/// Where the answer of a stored route comes from: its path, and the canonical query.
pub fn origin_url<P: Ports>(ports: &P, target: &Target<'_>, selected: &Selected<'_>) -> String {
    format!("{}{}{}", ports.config().origin, target.path, selected.query)
}

/// Passes a request on and its answer back, unread. What a write has made out of date is invalidated before the answer
/// goes out, with the token by which whoever wrote reads what they wrote.
async fn forward<P: Ports>(
    ports: &P,
    admitted: Option<Admitted>,
    lane: Lane<'_>,
    write: Option<Write>,
    url: &str,
    request: P::Request,
) -> Result<Served<P>, Problem> {
    let why = match lane {
        Lane::Live(_) | Lane::Bypass(_) | Lane::Unlisted => Forward::Bypass,
        Lane::Method(_) => Forward::Method,
    };
    if is_too_long(&request) {
        return Err(Problem::new(Kind::FieldsTooLarge, "The header fields are longer than 16,000 bytes in all."));
    }
    let id = ports.request_id();
    let edits = request_edits(&request, ports.config(), admitted.as_ref(), id.clone());
    let response = ports.origin().forward(request, url, &edits).await;
    let response = response.map_err(|failure| origin_unreachable(ports, why, &failure))?;
    if let Some(failure) = no_answer(&response) {
        return Err(origin_unreachable(ports, why, &failure));
    }
    let status = CacheStatus::Forwarded { why, status: Some(response.status()), outcome: Outcome::NotForStore };
    let mut edits = response_edits(&response, lane, &status, id);
    let mut after = After::default();
    if let Some(Admitted { tenant, .. }) = admitted {
        if let Some(name) = ports.config().access.varies_by() {
            edits.vary_by(name, response.header(field::VARY));
        }
        let groups = response.header(field::CACHE_GROUP_INVALIDATION);
        if let Some(write) = write.and_then(|write| write.end(ports.rules(), response.status(), groups.as_deref())) {
            match write.tell(ports, &tenant).await {
                Some(token) => edits.set.push((Text::Borrowed(field::EPOCH_TOKEN), token)),
                None => after.write = Some((tenant, write)),
            }
        }
    }
    Ok(Served { answer: Answer::Passed { response, edits }, after })
}

/// A stored route: the key, the lookup, and then a hit or a fill.
async fn from_store<P: Ports>(
    ports: &P,
    admitted: &Admitted,
    selected: &Selected<'_>,
    url: String,
    request: &P::Request,
) -> Result<Served<P>, Problem> {
    let tenant = &admitted.tenant;
    let asked = Asked { head: request.method() == "HEAD", if_none_match: request.header(field::IF_NONE_MATCH) };
    let question = Question::new(admitted, selected, url);
    let only_if_cached = is_only_if_cached(request.header(field::CACHE_CONTROL).as_deref());
    let unstored = async |question: Question, asked: Asked, why: Forward, refusal: Refusal| {
        if only_if_cached {
            return Err(not_cached());
        }
        let filled = fill(ports, &question, selected.stored, Err(refusal), None).await;
        Miss { ports, selected, question, asked, why, purged: false, on_error: None }.answer(filled)
    };
    if selected.nocache && may_bypass(ports, request)? {
        return unstored(question, asked, Forward::Request, Refusal::NoCacheRequest).await;
    }
    if !admitted.is_listed {
        return unstored(question, asked, Forward::Bypass, Refusal::LedgerUnreachable).await;
    }
    let newer_than = request.header(field::X_NEWER_THAN);
    let newer_than = newer_than.and_then(|token| ports.config().tokens.verify(tenant, token.trim()));
    let lookup = lookup(ports, tenant, selected, &question.key, newer_than).await;
    let counters = lookup.judge.as_ref().filter(|judge| judge.then != Then::Nothing).map(|judge| {
        (tenant.clone(), Bounds::of(&selected.stored.lifetimes, ports.config().snapshot_at_most), judge.clone())
    });
    let is_delisted = lookup.judge.as_ref().is_some_and(|judge| judge.snapshot.counters.is_delisted);
    let mut served = if is_delisted && !ports.config().access.is_public() {
        return Err(not_listed());
    } else if is_delisted {
        unstored(question, asked, Forward::Bypass, Refusal::NotListed).await?
    } else if let Some(usable) = lookup.usable {
        let invalidated = usable.stale.is_some_and(|stale| stale.why == Staleness::Invalidated);
        let judge = lookup.judge.filter(|_| invalidated);
        let renewal = judge.map(|judge| Renewal { question: question.clone(), snapshot: judge.snapshot });
        let mut served = hit(ports, selected, question.key, &asked, usable);
        served.after.renewal = renewal;
        served
    } else if only_if_cached {
        return Err(not_cached());
    } else {
        let forwards = selected.stored.lifetimes.without_ledger == WithoutLedger::Forward;
        let judge = lookup.judge.filter(|judge| judge.within || !forwards);
        let epoch = judge.map(|judge| judge.snapshot.counters.epoch).ok_or(Refusal::LedgerUnreachable);
        let filled = fill(ports, &question, selected.stored, epoch, newer_than).await;
        let (why, purged, on_error) = (lookup.why, lookup.purged, lookup.on_error);
        Miss { ports, selected, question, asked, why, purged, on_error }.answer(filled)?
    };
    served.after.counters = counters;
    Ok(served)
}

/// Whether a request wants nothing that is not in store (RFC 9111, section 5.2.1.7).
fn is_only_if_cached(cache_control: Option<&str>) -> bool {
    let directives = cache_control.unwrap_or_default().split(',');
    directives.map(str::trim).any(|directive| directive.eq_ignore_ascii_case("only-if-cached"))
}

fn not_cached() -> Problem {
    Problem::new(Kind::NotCached, "Nothing usable is in store, and the request says `only-if-cached`.")
}

/// Whether a request asks past the store and may do so: by an operator, so many times in a minute.
fn may_bypass<P: Ports>(ports: &P, request: &P::Request) -> Result<bool, Problem> {
    let caller = ports.config().operators.admit(request.header(field::EDGE_AUTHORIZATION).as_deref());
    let Some(caller) = caller.filter(|caller| caller.is_operator) else { return Ok(false) };
    let spent = ports.admissions().spend(&caller.name, BYPASSES_PER_MINUTE, ports.now());
    spent.map(|()| true).map_err(|seconds| {
        Problem::new(Kind::TooMany, "This operator has asked past the store too often.")
            .with(field::RETRY_AFTER, seconds.to_string())
    })
}

fn emitted<'a, P: Ports>(ports: &P, stored: &'a Stored, age: Option<Seconds>) -> Emitted<'a> {
    let public = ports.config().access.is_public() && !stored.personal;
    let audience = if public { Audience::Public } else { Audience::Private };
    Emitted { audience, rule: &stored.lifetimes, age, is_stale: false, vary: ports.config().access.varies_by() }
}

/// Answers from store. What a further tier had is kept in the nearest one too.
fn hit<P: Ports>(
    ports: &P,
    selected: &Selected<'_>,
    key: CacheKey,
    asked: &Asked,
    usable: Usable<P::Body>,
) -> Served<P> {
    let Usable { tier, stored: StoredResponse { head, body }, age, ttl, stale } = usable;
    let emitted = Emitted { is_stale: stale.is_some(), ..emitted(ports, selected.stored, Some(age)) };
    let status = CacheStatus::Hit { ttl, tier, stale: stale.map(|stale| stale.why) };
    let copy = match tier {
        TierName::Edge => None,
        TierName::Kv => ports.copy(&body),
    };
    let made = Made::stored(&head, Body::Stream(body), asked, emitted, &status);
    let keep = copy.and_then(|copy| {
        let places = vec![(TierName::Edge, Body::Stream(copy))];
        Some(Keep { key, encoded: head.encode()?, seconds: left(selected.stored, age), head, places })
    });
    Served { answer: Answer::Made(made), after: After { keep, ..After::default() } }
}

/// A request that the store could not answer.
struct Miss<'a, P: Ports> {
    ports: &'a P,
    selected: &'a Selected<'a>,
    question: Question,
    asked: Asked,
    /// Why the store did not answer.
    why: Forward,
    /// What is in the store does not count because of a purge.
    purged: bool,
    /// What answers if the origin fails.
    on_error: Option<Usable<P::Body>>,
}

impl<P: Ports> Miss<'_, P> {
    fn answer(self, filled: Filled<P::Body>) -> Result<Served<P>, Problem> {
        match filled {
            Filled::Stored(fetched) => {
                let made = self.made(&fetched, Outcome::Stored { purged: self.purged });
                let keep = Keep::everywhere(self.ports, &self.question.key, self.selected.stored, fetched);
                Ok(Served { answer: Answer::Made(made), after: After { keep: Some(keep), ..After::default() } })
            }
            Filled::Joined(fetched) => Ok(self.made(&fetched, Outcome::Collapsed).into()),
            Filled::Unstored(Unstored { status, fields, body, refusal }) => {
                // RFC 5861, section 4: these count as errors.
                if let Some(usable) = self.on_error.filter(|_| matches!(status, 500 | 502 | 503 | 504)) {
                    return Ok(stale_if_error(self.ports, self.selected, &self.asked, self.why, Some(status), usable));
                }
                let outcome = Outcome::Refused(refusal);
                let cache_status = CacheStatus::Forwarded { why: self.why, status: Some(status), outcome };
                Ok(Made::unstored(status, fields, body, &self.asked, &cache_status).into())
            }
            Filled::Failed(failure) => match self.on_error {
                Some(usable) => {
                    self.ports.record(Incident::Origin, &failure);
                    Ok(stale_if_error(self.ports, self.selected, &self.asked, self.why, None, usable))
                }
                None => Err(origin_unreachable(self.ports, self.why, &failure)),
            },
        }
    }

    fn made(&self, fetched: &Fetched, outcome: Outcome) -> Made<P::Body> {
        let status = CacheStatus::Forwarded { why: self.why, status: Some(fetched.head.status), outcome };
        // Its lifetime counts from when it was made, so whoever keeps it must know how long ago that was.
        let age = Some(fetched.head.initial_age).filter(|age| *age > 0);
        let emitted = emitted(self.ports, self.selected.stored, age);
        Made::stored(&fetched.head, Body::Bytes(fetched.bytes.clone()), &self.asked, emitted, &status)
    }
}

/// Answers from store because the origin failed (RFC 5861, section 4).
fn stale_if_error<P: Ports>(
    ports: &P,
    selected: &Selected<'_>,
    asked: &Asked,
    why: Forward,
    status: Option<u16>,
    usable: Usable<P::Body>,
) -> Served<P> {
    let Usable { stored: StoredResponse { head, body }, age, ttl, stale, .. } = usable;
    let emitted = Emitted { is_stale: true, ..emitted(ports, selected.stored, Some(age)) };
    let outcome = Outcome::StaleIfError { ttl, why: stale.map_or(Staleness::Expired, |stale| stale.why) };
    let status = CacheStatus::Forwarded { why, status, outcome };
    Made::stored(&head, Body::Stream(body), asked, emitted, &status).into()
}

/// What a client is told when the origin gave no answer: no more than that.
fn origin_unreachable<P: Ports>(ports: &P, why: Forward, failure: &Failure) -> Problem {
    ports.record(Incident::Origin, failure);
    let status = CacheStatus::Forwarded { why, status: None, outcome: Outcome::OriginUnreachable };
    Problem::new(Kind::OriginUnreachable, "The origin gave no whole answer. Ask again later.")
        .with(field::CACHE_STATUS, status.to_string())
}

/// Does what was left for later.
pub async fn finish<P: Ports>(ports: &P, after: After<P::Body>) {
    let After { keep, counters, renewal, write } = after;
    if let Some((tenant, write)) = write {
        _ = write.tell(ports, &tenant).await;
    }
    if let Some((tenant, bounds, judge)) = counters {
        let judge = if judge.then == Then::Renew { renew(ports, &tenant, bounds, None).await } else { Some(judge) };
        if let Some(judge) = judge.filter(|judge| judge.then == Then::Share) {
            share(ports, &tenant, &judge.snapshot).await;
        }
    }
    if let Some(keep) = keep {
        put(ports, keep).await;
    }
    if let Some(renewal) = renewal {
        renew_response(ports, renewal).await;
    }
}

/// Puts what was fetched where it belongs.
///
/// Stores have no compare-and-set, so an older fill may land over a newer one. This looks at the copy in its own
/// data centre first and keeps the later; across data centres, the epochs keep an older body from being served.
async fn put<P: Ports>(ports: &P, keep: Keep<P::Body>) {
    let Keep { key, head, encoded, seconds, places } = keep;
    let own = ports.tiers().iter().find(|tier| tier.name() == TierName::Edge);
    let there = get(ports, own, &key).await.map(|(_, there)| (there.head.epoch, there.head.requested_at));
    if there > Some((head.epoch, head.requested_at)) {
        return;
    }
    // What took too long would land behind an erasure, and lie there until it ends.
    let is_late = ports.now().0.saturating_sub(head.requested_at.0) > ERASED_AGAIN_MS / 2;
    for (name, body) in places.into_iter().filter(|(name, _)| *name != TierName::Kv || !is_late) {
        let Some(tier) = ports.tiers().iter().find(|tier| tier.name() == name) else { continue };
        if let Err(failure) = tier.put(&key, &head, &encoded, body, seconds).await {
            ports.record(Incident::Put(name), &failure);
        }
    }
}

/// Renews a stale response: from a further tier, where another location may have put a newer one, or from the origin.
/// Once at a time, in this isolate.
async fn renew_response<P: Ports>(ports: &P, renewal: Renewal) {
    let Renewal { question, snapshot } = renewal;
    let position = snapshot.counters.epoch;
    let route = ports.rules().stored().find(|(route, _)| route.name == question.route);
    let Some((route, stored)) = route.filter(|_| joinable(ports, &question.key, position).is_none()) else { return };
    for tier in ports.tiers().iter().filter(|tier| tier.name() != TierName::Edge && holds(tier.name(), stored)) {
        let Some((_, StoredResponse { head, body })) = get(ports, Some(tier), &question.key).await else { continue };
        let covered =
            Covered { class: &route.class, route: &route.name, key: question.key.logical(), marks: &head.marks };
        let current = snapshot.counters.standing(&covered, head.epoch) == Standing::Current;
        if current && head.ttl(&stored.lifetimes, ports.now()) > 0 {
            let seconds = left(stored, head.current_age(ports.now()));
            let places = vec![(TierName::Edge, Body::Stream(body))];
            if let Some(encoded) = head.encode() {
                put(ports, Keep { key: question.key, head, encoded, seconds, places }).await;
                return;
            }
        }
    }
    if joinable(ports, &question.key, position).is_some() {
        return;
    }
    match fill(ports, &question, stored, Ok(position), None).await {
        Filled::Stored(fetched) => {
            put(ports, Keep::everywhere(ports, &question.key, stored, fetched)).await;
        }
        Filled::Failed(failure) => ports.record(Incident::Origin, &failure),
        Filled::Joined(_) | Filled::Unstored(_) => {}
    }
}
