//! What the edge answers about itself: its health, and the admin plane under `/cache/`.

use crate::admit::OperatorTokens;
use crate::answer::Made;
use crate::config::Misconfigured;
use crate::epoch::{Epoch, Scope};
use crate::key::Tenant;
use crate::names::{field, path};
use crate::ports::{Incident, Ledger as _, Ports, Request};
use crate::problem::{Kind, Problem};
use crate::purge::{self, BODY_GREATEST_LENGTH, Refused};
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use serde_json::{Map, Value, json};

const JSON: &str = "application/json";

/// `GET /healthz`: that the Worker runs, which version, and what went wrong around it in this isolate.
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
    let body = json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION"), "incidents": counts });
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
    if !ports.config().operators.admit(request.header(field::AUTHORIZATION).as_deref()) {
        return Err(OperatorTokens::refusal());
    }
    match (asked, request.method()) {
        (path::PURGE, "POST") => purge_call(ports, request).await,
        (path::PURGE, _) => Err(Problem::new(Kind::Method, "A purge is a POST.").with(field::ALLOW, "POST")),
        _ => Err(Problem::new(Kind::NotFound, "The admin plane has POST /cache/purge.")),
    }
}

async fn purge_call<P: Ports>(ports: &P, request: P::Request) -> Result<Made<P::Body>, Problem> {
    let tenant = ports.config().access.admit()?;
    let too_large = || {
        Problem::new(
            Kind::ContentTooLarge,
            format!("A purge has at most {BODY_GREATEST_LENGTH} bytes. Nothing was purged."),
        )
    };
    let declared = request.header(field::CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if declared.is_some_and(|length| length > BODY_GREATEST_LENGTH) {
        return Err(too_large());
    }
    let body = request.read(BODY_GREATEST_LENGTH).await;
    let body =
        body.map_err(|_| Problem::new(Kind::BadRequest, "The body did not arrive whole. Nothing was purged."))?;
    let scopes =
        purge::read(&body.ok_or_else(too_large)?, ports.rules(), ports.config(), tenant).map_err(|refused| {
            match refused {
                Refused::Unreadable(sentence) => {
                    Problem::new(Kind::BadRequest, format!("{sentence} Nothing was purged."))
                }
                Refused::Unprocessable(sentence) => {
                    Problem::new(Kind::Unprocessable, format!("{sentence} Nothing was purged."))
                }
            }
        })?;
    let epoch = ports.ledger().purge(tenant, &scopes).await.map_err(|failure| {
        ports.record(Incident::Ledger, &failure);
        Problem::new(
            Kind::LedgerUnreachable,
            "The ledger did not confirm the purge, so nothing is promised. Ask again.",
        )
    })?;
    Ok(Made::own(202, JSON, confirmation(tenant, epoch, &scopes), false))
}

/// What was purged, at which position of the ledger.
fn confirmation(tenant: &Tenant, epoch: Epoch, scopes: &BTreeSet<Scope>) -> String {
    let names = |pick: fn(&Scope) -> Option<&str>| scopes.iter().filter_map(pick).collect::<Value>();
    let keys = names(|scope| if let Scope::Key { key, .. } = scope { Some(key) } else { None });
    let routes = names(|scope| if let Scope::Route(name) = scope { Some(name) } else { None });
    let classes = names(|scope| if let Scope::Class(name) = scope { Some(name) } else { None });
    let all = scopes.contains(&Scope::Tenant);
    json!({
        "tenant": tenant.as_str(), "mode": "hard", "epoch": epoch,
        "purged": { "all": all, "classes": classes, "routes": routes, "keys": keys },
    })
    .to_string()
}
