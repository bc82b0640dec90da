//! The path of a request: this file, `lookup`, `fill` and `after` decide in which order things happen, and nothing else
//! does.
//!
//! [`serve`] answers and hands back the work that may come later as data ([`After`]); whoever runs it calls
//! [`finish`](crate::after::finish) on that when the answer is on its way.

use crate::access::{Admitted, identify, not_listed};
use crate::admin;
use crate::after::{After, Renewal, put};
use crate::answer::{Answer, Asked, Made};
use crate::cache_control::RequestDirectives;
use crate::cache_status::{CacheStatus, Forward, Outcome};
use crate::classify::{Classified, Lane, Selected, classify};
use crate::collapse::{Asker, LED_MS, fill};
use crate::cors::Sharing;
use crate::early::is_early;
use crate::fill::{Filled, Question};
use crate::follow::{Inbound, is_for_the_origin};
use crate::forwarding::{is_too_long, request_edits, response_edits};
use crate::guard::guard;
use crate::invalidate::Write;
use crate::lookup::{StandsIn, Usable, lookup};
use crate::names::{field, path};
use crate::ports::{Admissions as _, Origin as _, Ports, Request as _, Response as _, within};
use crate::problem::{Kind, Problem};
use crate::received::{is_overload, no_answer};
use crate::refresh;
use crate::respond::{Missed, Reader, unanswered};
use crate::rules::{Auth, Text, WithoutLedger};
use crate::snapshot::{Bounds, Judge, Then};
use crate::storing::Refusal;
use crate::target::{Malformed, Target};
use crate::turn::{Turn, Unanswered};
use crate::upstream::{self, Ending, WAIT_MS};
use alloc::string::{String, ToString};

/// So many times in a minute an operator may ask past the store, in each isolate.
const BYPASSES_PER_MINUTE: u32 = 60;
/// For so long an answer of a route that follows its origin waits until it is stored, in milliseconds.
const STORED_MS: u64 = 1_000;

/// An answer, and what is to be done when it is on its way.
pub struct Served<P: Ports> {
    /// For the client.
    pub answer: Answer<P>,
    /// For [`finish`](crate::after::finish).
    pub after: After<P::Body>,
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
            let url = origin_url(ports, &target, &selected);
            match from_store(ports, &admitted, &selected, url.clone(), &request).await? {
                Looked::Served(served) => Ok(served),
                Looked::Past(why) => {
                    let lane = Lane::Past(selected.route, why);
                    forward(ports, Some(admitted), lane, None, &url, request).await
                }
            }
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
        Lane::Past(_, why) => why,
    };
    if is_too_long(&request) {
        return Err(too_long());
    }
    let id = ports.request_id();
    let edits = request_edits(&request, ports.config(), admitted.as_ref(), id.clone());
    let failed = |failed: Unanswered| {
        failed.record(ports);
        unanswered(failed.problem(), why, &failed)
    };
    let class = lane.route().map(|route| &route.class);
    let turn = Turn::take(ports, upstream::Lane::Forward, class, false, WAIT_MS).await.map_err(failed)?;
    // How long a body takes on its way up is its client's affair.
    let has_body = !matches!(request.method(), "GET" | "HEAD");
    let forwarded = ports.origin().forward(request, url, &edits);
    let response = if has_body { forwarded.await.map_err(Unanswered::from) } else { turn.head(ports, forwarded).await };
    let response = response.and_then(|response| no_answer(&response).map_or(Ok(response), |none| Err(none.into())));
    turn.end(
        ports,
        match &response {
            Ok(response) => Ending::Passed { is_overload: is_overload(response.status()) },
            Err(_) => Ending::Nothing,
        },
    );
    let response = response.map_err(failed)?;
    let status = CacheStatus::Forwarded { why, status: Some(response.status()), outcome: Outcome::NotForStore };
    let mut edits = response_edits(&response, lane, &status, id);
    let mut after = After::default();
    if let Some(Admitted { tenant, .. }) = admitted {
        if let Some(name) = ports.config().access.varies_by() {
            edits.vary_by(name, response.header(field::VARY));
        }
        if let Some(write) = write.and_then(|write| write.end(ports.rules(), ports.config(), &response)) {
            match write.tell(ports, &tenant).await {
                Some(token) => edits.set.push((Text::Borrowed(field::EPOCH_TOKEN), token)),
                None => after.write = Some((tenant, write)),
            }
        }
    }
    Ok(Served { answer: Answer::Passed { response, edits }, after })
}

/// What becomes of a request for a stored route.
#[expect(clippy::large_enum_variant, reason = "it is matched where it is made")]
enum Looked<P: Ports> {
    /// It is answered.
    Served(Served<P>),
    /// The store does not answer it, and it goes to the origin as it stands.
    Past(Forward),
}

/// A stored route: the key, the lookup, and then a hit or a fill.
async fn from_store<P: Ports>(
    ports: &P,
    admitted: &Admitted,
    selected: &Selected<'_>,
    url: String,
    request: &P::Request,
) -> Result<Looked<P>, Problem> {
    let tenant = &admitted.tenant;
    let mut question = Question::new(admitted, selected, url);
    question.inbound = Inbound::of(request, selected.stored);
    let follows = question.inbound.is_some();
    if follows && is_too_long(request) {
        return Err(too_long());
    }
    let reader = Reader { ports, selected, asked: Asked::of(request, follows) };
    let wants = match &question.inbound {
        Some(inbound) => inbound.directives,
        None => RequestDirectives::parse(request.header(field::CACHE_CONTROL).as_deref(), None),
    };
    let unstored = async |question: Question, why: Forward, refusal: Refusal| {
        if wants.only_if_cached {
            return Err(not_cached());
        }
        let filled = fill(ports, &question, selected.stored, Err(refusal), None, &mut None, Asker::Reader).await;
        reader.filled(&question, filled, Missed { why, purged: false, known: None }).await
    };
    if follows && is_for_the_origin(request) {
        return if wants.only_if_cached { Err(not_cached()) } else { Ok(Looked::Past(Forward::Request)) };
    }
    if selected.nocache && may_bypass(ports, request)? {
        return unstored(question, Forward::Request, Refusal::NoCacheRequest).await.map(Looked::Served);
    }
    if !admitted.is_listed {
        return unstored(question, Forward::Bypass, Refusal::LedgerUnreachable).await.map(Looked::Served);
    }
    let newer_than = request.header(field::X_NEWER_THAN);
    let newer_than = newer_than.and_then(|token| ports.config().tokens.verify(tenant, token.trim()));
    let lookup = lookup(ports, selected, &question, newer_than).await;
    let counters = lookup.judge.as_ref().filter(|judge| judge.then != Then::Nothing).map(|judge| {
        (tenant.clone(), Bounds::of(&selected.stored.lifetimes, ports.config().snapshot_at_most), judge.clone())
    });
    let is_delisted = lookup.judge.as_ref().is_some_and(|judge| judge.snapshot.counters.is_delisted);
    if is_delisted && !ports.config().access.is_public() {
        return Err(not_listed());
    }
    let usable = lookup.usable.filter(|_| !is_delisted);
    let renewed =
        usable.as_ref().filter(|usable| is_renewed(ports, selected, usable)).map(|usable| usable.stored.head.fetched());
    let hit = match usable {
        Some(usable) => reader.hit(&question, usable).await,
        None => None,
    };
    let mut served = if let Some(mut served) = hit {
        // Nothing is asked for, or stored, on account of a request that says so.
        let is_final = wants.only_if_cached || follows && wants.no_store;
        let judge = lookup.judge.filter(|_| !is_final);
        let renewal = |(judge, instead_of): (Judge, _)| Renewal { question, snapshot: judge.snapshot, instead_of };
        served.after.renewal = judge.zip(renewed).map(renewal);
        served
    } else if is_delisted {
        unstored(question, Forward::Bypass, Refusal::NotListed).await?
    } else if wants.only_if_cached {
        return Err(not_cached());
    } else if reader.asked.range.is_some() && lookup.known.is_none() {
        // A part is never stored, and whether all of it is wanted nobody knows.
        return Ok(Looked::Past(lookup.why));
    } else {
        let forwards = selected.stored.lifetimes.without_ledger == WithoutLedger::Forward;
        let judge = lookup.judge.filter(|judge| judge.within || !forwards);
        let epoch = judge.map(|judge| judge.snapshot.counters.epoch).ok_or(Refusal::LedgerUnreachable);
        // RFC 9111, section 5.2.1.5: nothing of an exchange is stored of which the client says so.
        let epoch =
            epoch.and_then(|epoch| if follows && wants.no_store { Err(Refusal::NoStoreRequest) } else { Ok(epoch) });
        let mut known = lookup.known;
        question.is_surge = lookup.purged;
        let came = ports.now();
        loop {
            let filled = fill(ports, &question, selected.stored, epoch, newer_than, &mut known, Asker::Reader).await;
            // Others may have asked as well, and had an answer meanwhile.
            if matches!(filled, Filled::Failed(_))
                && ports.now().0.saturating_sub(came.0) >= LED_MS
                && let found = self::lookup(ports, selected, &question, newer_than).await
                && let Some(usable) = found.usable.filter(|usable| usable.stale.is_none())
                && let Some(served) = reader.hit(&question, usable).await
            {
                break served;
            }
            let is_a_wait = matches!(&filled, Filled::Failed(failed) if failed.cause.is_a_wait());
            let is_stood_in_for =
                is_a_wait && known.as_ref().is_some_and(|known| known.stands_in == StandsIn::WhileBusy);
            let missed = Missed { why: lookup.why, purged: lookup.purged, known: known.take() };
            match reader.filled(&question, filled, missed).await {
                // What was to stand in for the origin cannot be read, so the origin is worth a wait.
                Err(_) if is_stood_in_for => {}
                served => break served?,
            }
        }
    };
    served.after.counters = counters;
    if follows && let Some(keep) = served.after.keep.take() {
        // Whoever has the answer of such a route finds it stored, as with any cache, unless the store takes too long. A
        // class's is not worth the wait.
        _ = within(ports, STORED_MS, put(ports, keep)).await;
    }
    Ok(Looked::Served(served))
}

/// Whether what answers is renewed behind the answer: if it is stale, and by chance if it is hot and soon will be.
fn is_renewed<P: Ports>(ports: &P, selected: &Selected<'_>, usable: &Usable<P::Body>) -> bool {
    match usable.stale {
        Some(stale) => stale.why.is_renewed(),
        None => selected.stored.hot && is_early(&usable.stored.head, usable.ttl, || ports.random()),
    }
}

fn too_long() -> Problem {
    Problem::new(Kind::FieldsTooLarge, "The header fields are longer than 16,000 bytes in all.")
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
