//! Events: what the origin and the services beside it say has happened, and what it makes out of date.

use crate::access::{Listing, listing};
use crate::admin::{JSON, body, declined_problem, not_confirmed};
use crate::answer::Made;
use crate::epoch::{Mode, Scope};
use crate::invalidate::{order, touched};
use crate::ledger::order::{Declined, Occasion, Order};
use crate::names::field;
use crate::ports::{Ports, Request};
use crate::problem::{Kind, Problem};
use crate::rules::{Effect, Event};
use crate::webhook::{Delivery, Refused, Source, receive};
use alloc::string::ToString as _;
use serde_json::json;

/// The greatest body of a webhook, in bytes.
pub const BODY_GREATEST_LENGTH: usize = 2 * 1024 * 1024;

/// `POST /cache/events/{source}`: a webhook, which its signature admits and nothing else.
///
/// # Errors
/// The problem that is the answer. Nothing was purged.
pub async fn call<P: Ports>(ports: &P, source: &str, request: P::Request) -> Result<Made<P::Body>, Problem> {
    if request.method() != "POST" {
        return Err(Problem::new(Kind::Method, "An event is a POST.").with(field::ALLOW, "POST"));
    }
    let config = ports.config();
    if !Source::named(source).is_some_and(|source| config.webhooks.has(source)) {
        return Err(unknown_source());
    }
    let only = config.access.only_tenant();
    let sent = field::OF_WEBHOOKS.map(|name| (name, request.header(name)));
    let body = body(request, BODY_GREATEST_LENGTH).await?;
    let delivery = receive(
        source,
        |name| sent.iter().find(|(sent, _)| *sent == name).and_then(|(_, value)| value.clone()),
        &body,
        ports.now(),
        &config.webhooks,
        ports.rules(),
        |tenant| only.is_none_or(|only| only == tenant),
    )
    .map_err(refused)?;
    let Some(event) = delivery.event else {
        let answer = json!({ "event": delivery.kind, "detail": "This event makes nothing out of date here." });
        return Ok(Made::own(200, JSON, answer.to_string(), false));
    };
    // Of a tenant that has left, what it was told to forget may be said again.
    let leaves = event.effect == Effect::Uninstalls;
    if only.is_none() && !leaves && listing(ports, &delivery.tenant).await == Listing::NotListed {
        return Err(declined_problem(Declined::NotListed));
    }
    let answer = order(ports, &delivery.tenant, &ordered(ports, &delivery, event)).await;
    match answer.map_err(|_| not_confirmed())? {
        Ok(done) => Ok(Made::own(202, JSON, done.receipt, false)),
        Err(declined) => Err(declined_problem(declined)),
    }
}

/// What an event orders. It is soft: the figures are out of date, and not wrong to show for a moment.
fn ordered<P: Ports>(ports: &P, delivery: &Delivery<'_>, event: &Event) -> Order {
    let (mode, scopes, delists) = match &event.effect {
        Effect::Invalidates(touches) => (Mode::Soft, touched(ports.rules(), touches), false),
        Effect::Uninstalls => (Mode::Erase, [Scope::Tenant].into_iter().collect(), true),
    };
    // Where the id is not signed, a body that came before is a repeat under any id. Shopify may send the same order as
    // created and as updated, which are two events.
    let by_digest = delivery.source != Source::Standard;
    let digest = format!("{} {}", delivery.digest, event.name);
    let (source, id) = (delivery.source.as_str().into(), delivery.id.clone());
    Order { mode, scopes, occasion: Occasion::Event { source, id, digest, by_digest, delists } }
}

fn unknown_source() -> Problem {
    Problem::new(Kind::NotFound, "No such source of events is configured here. Nothing was purged.")
}

fn refused(refused: Refused) -> Problem {
    let say = |kind, sentence| Problem::new(kind, format!("{sentence} Nothing was purged."));
    match refused {
        Refused::UnknownSource => unknown_source(),
        Refused::Unauthorized => {
            Problem::new(Kind::Unauthorized, "This needs a signature that holds. Nothing was purged.")
        }
        Refused::Unreadable(sentence) => say(Kind::BadRequest, sentence),
        Refused::Foreign(sentence) => say(Kind::Unprocessable, sentence),
    }
}
