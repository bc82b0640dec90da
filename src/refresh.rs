//! `POST /cache/refresh`: whoever may read a tile may have it asked for anew, once in a while.

use crate::access::{Identity, not_listed};
use crate::admin::{JSON, body, not_confirmed};
use crate::after::After;
use crate::answer::{Answer, Made};
use crate::classify::{Classified, classify};
use crate::collapse::{Asker, fill};
use crate::epoch::{Counters, Epoch, Mode, Scope};
use crate::fill::{Filled, Question};
use crate::invalidate::order;
use crate::keep::Keep;
use crate::ledger::order::{Declined, Occasion, Order};
use crate::names::field;
use crate::pipeline::{Served, origin_url};
use crate::ports::{Ports, Request};
use crate::problem::{Kind, Problem};
use crate::rules::Text;
use crate::storing::Refusal;
use crate::target::Target;
use alloc::string::{String, ToString as _};
use serde_json::{Value, json};

/// A tile is asked for anew at most once in so long, whoever asks and wherever, in milliseconds.
pub const EVERY_MS: u64 = 10_000;
/// The greatest body, in bytes.
const BODY_GREATEST_LENGTH: usize = 16 * 1024;

/// Has the ledger make the tile out of date, unless that was done a moment ago, and asks the origin for it at once.
///
/// # Errors
/// The problem that is the answer. What is stored stays as it is.
pub async fn call<P: Ports>(ports: &P, identity: Identity, request: P::Request) -> Result<Served<P>, Problem> {
    if request.method() != "POST" {
        return Err(Problem::new(Kind::Method, "A refresh is a POST.").with(field::ALLOW, "POST"));
    }
    let body = body(request, BODY_GREATEST_LENGTH).await?;
    let read: Value = serde_json::from_slice(&body).unwrap_or_default();
    let unprocessable = || {
        Problem::new(
            Kind::Unprocessable,
            r#"Say which stored route: {"url": "/api/…"}, with its query. Nothing was refreshed."#,
        )
    };
    let asked = read.get("url").and_then(Value::as_str).filter(|url| url.starts_with('/')).ok_or_else(unprocessable)?;
    let url = format!("https://edge{asked}");
    let target = Target::parse(&url).map_err(|_| unprocessable())?;
    let Classified::Stored(selected) = classify(ports.rules(), "GET", &target) else { return Err(unprocessable()) };
    // Where the route follows its origin, its readers ask for a newer one by Cache-Control.
    selected.stored.shape().ok_or_else(unprocessable)?;
    let admitted = identity.enter(ports, Some(selected.route)).await?;
    if !admitted.is_listed {
        return Err(not_confirmed());
    }
    let question = Question::new(&admitted, &selected, origin_url(ports, &target, &selected));
    let scope = Scope::Key { route: selected.route.name.to_string(), key: question.key.logical().to_string() };
    let soft = Order { mode: Mode::Soft, scopes: [scope].into_iter().collect(), occasion: Occasion::Refresh };
    let done = order(ports, &admitted.tenant, &soft).await.map_err(|_| not_confirmed())?;
    let done = done.map_err(|declined| match declined {
        Declined::NotListed => not_listed(),
        Declined::TooMany { retry_after } => Problem::new(Kind::TooMany, "Too much was refreshed in this minute.")
            .with(field::RETRY_AFTER, retry_after.to_string()),
        Declined::Conflict => not_confirmed(),
    })?;
    if done.is_repeat {
        return Ok(answer(&done.receipt, false).into());
    }
    // Where the line stands, not where this order will have moved it: others may join that move until it happens.
    let epoch = Counters::decode(&done.counters).map(|counters| counters.epoch).ok_or(Refusal::LedgerUnreachable);
    // Never somebody's question from before: it may have been asked long ago.
    let keep =
        match fill(ports, &question, selected.stored, epoch, Some(Epoch(u64::MAX)), &mut None, Asker::Refresh).await {
            Filled::Stored(fetched, _) | Filled::Joined(fetched) | Filled::HandedOn(fetched) => {
                Keep::everywhere(ports, &question.key, selected.stored, fetched)
            }
            Filled::Unstored(_) => return Ok(answer(&done.receipt, false).into()),
            Filled::Failed(unanswered) => {
                unanswered.record(ports);
                return Err(unanswered.problem());
            }
        };
    Ok(Served { answer: Answer::Made(answer(&done.receipt, true)), after: After::keeping(Some(keep)) })
}

/// Whether it was asked for anew, and the token by which the page gets nothing older.
fn answer<B>(receipt: &str, refreshed: bool) -> Made<B> {
    let receipt: Value = serde_json::from_str(receipt).unwrap_or_default();
    let token = receipt.get("token").and_then(Value::as_str).unwrap_or_default();
    let body = json!({ "refreshed": refreshed, "token": token, "again_in": EVERY_MS / 1000 });
    let mut made = Made::own(200, JSON, body.to_string(), false);
    made.fields.push((Text::Borrowed(field::EPOCH_TOKEN), String::from(token)));
    made
}
