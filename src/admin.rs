//! What the edge answers about itself: its health, and the admin plane under `/cache/`.

use crate::access::{KnownListing, Listing, listing};
use crate::answer::Made;
use crate::config::Misconfigured;
use crate::epoch::Mode;
use crate::events;
use crate::invalidate::{order, order_everywhere};
use crate::key::Tenant;
use crate::ledger::desk::purged;
use crate::ledger::order::{Declined, Occasion, Order};
use crate::memory::Held;
use crate::names::{field, path};
use crate::operators::{Caller, Operators};
use crate::ports::{Admissions as _, Incident, Ledger as _, Ports, Request};
use crate::problem::{Kind, Problem};
use crate::purge::{self, BODY_GREATEST_LENGTH, Refused, Requested, Tenants};
use crate::reach;
use alloc::string::ToString;
use alloc::vec::Vec;
use serde_json::{Map, Value, json};

pub(crate) const JSON: &str = "application/json";

/// `GET /healthz`: that the Worker runs, which version, and of this isolate what went wrong around it and what its
/// memory holds.
///
/// # Errors
/// It was asked by another method.
pub fn health<P: Ports>(ports: &P, request: &P::Request) -> Result<Made<P::Body>, Problem> {
    let head = request.method() == "HEAD";
    if !head && request.method() != "GET" {
        return Err(Problem::new(Kind::Method, "Health is asked by GET.").with(field::ALLOW, "GET, HEAD"));
    }
    let mut counts = Map::new();
    for (incident, count) in ports.incidents() {
        _ = counts.insert(incident.as_str().to_string(), count.into());
    }
    let Held { bytes, entries, evictions } = ports.memory(|memory| memory.held());
    let memory = json!({ "bytes": bytes, "entries": entries, "evictions": evictions });
    let body = json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION"), "incidents": counts, "memory": memory });
    Ok(Made::own(200, JSON, body.to_string(), head))
}

/// What every request gets while the settings are incomplete or wrong.
#[must_use]
pub fn misconfigured<B>(method: &str, url: &str, wrong: &Misconfigured) -> Made<B> {
    let head = method == "HEAD";
    let asked = url.split_once("://").and_then(|(_, rest)| rest.find('/').and_then(|slash| rest.get(slash..)));
    if asked.is_some_and(|asked| asked.split('?').next() == Some(path::HEALTH)) {
        let body = json!({ "status": "misconfigured", "version": env!("CARGO_PKG_VERSION"), "detail": wrong.0 });
        return Made::own(503, JSON, body.to_string(), head);
    }
    Made::problem(&Problem::new(Kind::Misconfigured, wrong.0.clone()), head)
}

/// A call of the admin plane. Whoever has no valid token learns nothing but that.
///
/// # Errors
/// The problem that is the answer.
pub async fn call<P: Ports>(ports: &P, asked: &str, request: P::Request) -> Result<Made<P::Body>, Problem> {
    if let Some(source) = asked.strip_prefix(path::EVENTS) {
        return events::call(ports, source, request).await;
    }
    let Some(caller) = ports.config().operators.admit(request.header(field::AUTHORIZATION).as_deref()) else {
        return Err(Operators::refusal());
    };
    match (asked, request.method()) {
        (path::PURGE, "POST") => purge_call(ports, caller, request).await,
        (path::PURGE, _) => Err(Problem::new(Kind::Method, "A purge is a POST.").with(field::ALLOW, "POST")),
        (path::LISTING, "PUT") if caller.is_operator => listing_call(ports, request).await,
        (path::LISTING, "PUT") => Err(Problem::new(Kind::Forbidden, "A listing is changed by operators alone.")),
        (path::LISTING, _) => Err(Problem::new(Kind::Method, "A listing is a PUT.").with(field::ALLOW, "PUT")),
        (asked, method) => match (asked.strip_prefix(path::RECEIPTS), method) {
            (Some(id), "GET" | "HEAD") => receipt_call(ports, caller, id, method == "HEAD").await,
            (Some(_), _) => Err(Problem::new(Kind::Method, "A receipt is read.").with(field::ALLOW, "GET, HEAD")),
            (None, _) => Err(Problem::new(
                Kind::NotFound,
                "The admin plane has POST /cache/purge, POST /cache/events/{source}, GET /cache/receipts/{id} and PUT /cache/listing.",
            )),
        },
    }
}

/// A body of at most so many bytes.
pub(crate) async fn body<R: Request>(request: R, at_most: usize) -> Result<Vec<u8>, Problem> {
    let too_large =
        || Problem::new(Kind::ContentTooLarge, format!("The body has at most {at_most} bytes. Nothing was purged."));
    let declared = request.header(field::CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if declared.is_some_and(|length| length > at_most) {
        return Err(too_large());
    }
    let body = request.read(at_most).await;
    body.map_err(|_| Problem::new(Kind::BadRequest, "The body did not arrive whole. Nothing was purged."))?
        .ok_or_else(too_large)
}

async fn purge_call<P: Ports>(ports: &P, caller: &Caller, request: P::Request) -> Result<Made<P::Body>, Problem> {
    let body = body(request, BODY_GREATEST_LENGTH).await?;
    let requested = purge::read(&body, ports.rules(), ports.config());
    let requested = requested.map_err(|refused| {
        let (kind, sentence) = match refused {
            Refused::Unreadable(sentence) => (Kind::BadRequest, sentence),
            Refused::Unprocessable(sentence) => (Kind::Unprocessable, sentence),
        };
        Problem::new(kind, format!("{sentence} Nothing was purged."))
    })?;
    let permitted = caller.permits(ports.rules(), &requested);
    permitted.map_err(|sentence| Problem::new(Kind::Forbidden, format!("{sentence} Nothing was purged.")))?;
    let Requested { tenants, mode, scopes, dry_run } = requested;
    // What is left of a tenant that has gone can still be erased.
    if let Tenants::One(tenant) = &tenants
        && mode != Mode::Erase
        && !is_tenant(ports, tenant).await
    {
        return Err(declined_problem(Declined::NotListed));
    }
    if dry_run {
        // Nothing is asked or changed for this: it follows from the rules.
        let keys = reach::keys(ports.rules(), &scopes);
        let whose = if let Tenants::One(tenant) = &tenants { tenant.as_str() } else { "*" };
        let answer = json!({
            "tenant": whose, "mode": mode.as_str(), "dry_run": true, "purged": purged(&scopes),
            "keys": keys, "origin_requests": { "at_most_in_each_data_centre": keys },
        });
        return Ok(Made::own(200, JSON, answer.to_string(), false));
    }
    let occasion = Occasion::Call { by: caller.name.clone(), per_minute: caller.per_minute };
    let ordered = Order { mode, scopes, occasion };
    let answer = match &tenants {
        Tenants::One(tenant) => order(ports, tenant, &ordered).await,
        Tenants::All => order_everywhere(ports, &ordered).await,
    };
    match answer.map_err(|_| not_confirmed())? {
        Ok(done) => Ok(Made::own(202, JSON, done.receipt, false)),
        Err(declined) => Err(declined_problem(declined)),
    }
}

/// Whether a tenant is one of the deployment's, as far as anybody can say.
async fn is_tenant<P: Ports>(ports: &P, tenant: &Tenant) -> bool {
    ports.config().access.only_tenant().is_some() || listing(ports, tenant).await != Listing::NotListed
}

pub(crate) fn declined_problem(declined: Declined) -> Problem {
    match declined {
        Declined::TooMany { retry_after } => {
            Problem::new(Kind::TooMany, "This token has asked for too many purges. Nothing was purged.")
                .with(field::RETRY_AFTER, retry_after.to_string())
        }
        Declined::NotListed => Problem::new(Kind::Unprocessable, "The tenant is not listed. Nothing was purged."),
        Declined::Conflict => Problem::new(
            Kind::Conflict,
            "Another message came with this id before. Nothing was purged; send this one under an id of its own.",
        ),
    }
}

pub(crate) fn not_confirmed() -> Problem {
    Problem::new(Kind::LedgerUnreachable, "The ledger did not confirm the purge, so nothing is promised. Ask again.")
}

/// Lists the tenant again, or takes it off the list: what is not listed is passed through, and nothing of it is stored.
async fn listing_call<P: Ports>(ports: &P, request: P::Request) -> Result<Made<P::Body>, Problem> {
    let body = body(request, BODY_GREATEST_LENGTH).await?;
    let read: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(is_listed) = read.get("listed").and_then(Value::as_bool) else {
        return Err(Problem::new(
            Kind::Unprocessable,
            r#"Say {"tenant": "…", "listed": true} or {"tenant": "…", "listed": false}. Nothing changed."#,
        ));
    };
    let named = match read.get("tenant") {
        None => Ok(None),
        Some(name) => name.as_str().map(Some).ok_or_else(|| "`tenant` is not a text.".to_string()),
    };
    let tenant = named.and_then(|named| purge::tenant(named, ports.config().access.only_tenant()));
    let tenant =
        &tenant.map_err(|sentence| Problem::new(Kind::Unprocessable, format!("{sentence} Nothing changed.")))?;
    ports.ledger().list(tenant, is_listed).await.map_err(|failure| {
        ports.record(Incident::Ledger, &failure);
        not_confirmed()
    })?;
    // Here it is in force at once, elsewhere when what is known there is asked for again.
    let listing = if is_listed { Listing::Listed } else { Listing::NotListed };
    ports.admissions().keep_listing(tenant, KnownListing { listing, asked_at: ports.now(), until: ports.now() });
    Ok(Made::own(200, JSON, json!({ "tenant": tenant.as_str(), "listed": is_listed }).to_string(), false))
}

/// What a purge did, by the id of its receipt.
async fn receipt_call<P: Ports>(ports: &P, caller: &Caller, id: &str, head: bool) -> Result<Made<P::Body>, Problem> {
    let none = || Problem::new(Kind::NotFound, "There is no receipt of this id; they are kept for seven days.");
    // It begins with the name of the ledger that has it; that of all tenants has none.
    let ledger = id.split_once('~').map(|(ledger, _)| ledger).ok_or_else(none)?;
    let tenant = if ledger.is_empty() { None } else { Some(Tenant::new(ledger).ok_or_else(none)?) };
    if tenant.is_none() && !caller.is_operator {
        caller.reaches_all().map_err(|sentence| Problem::new(Kind::Forbidden, sentence))?;
    }
    if let Some(tenant) = &tenant {
        if ports.config().access.only_tenant().is_some_and(|only| only != tenant) {
            return Err(none());
        }
        caller.reaches(tenant).map_err(|sentence| Problem::new(Kind::Forbidden, sentence))?;
    }
    let receipt = ports.ledger().receipt(tenant.as_ref(), id).await.map_err(|failure| {
        ports.record(Incident::Ledger, &failure);
        Problem::new(Kind::LedgerUnreachable, "The ledger that has the receipt did not answer. Ask again.")
    })?;
    receipt.map(|receipt| Made::own(200, JSON, receipt, head)).ok_or_else(none)
}
