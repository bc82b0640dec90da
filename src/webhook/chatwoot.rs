//! Chatwoot: time and body are signed together, by a secret of each webhook's own.

use super::{Message, Refused, Source, Statement, Webhooks, foreign, unreadable};
use crate::names::field::{X_CHATWOOT_DELIVERY, X_CHATWOOT_SIGNATURE, X_CHATWOOT_TIMESTAMP};
use crate::validation::hex;
use alloc::string::ToString as _;
use serde_json::Value;

pub(super) fn read<'w>(message: &Message, webhooks: &'w Webhooks) -> Result<Statement<'w>, Refused> {
    let (timestamp, signature) = (message.field(X_CHATWOOT_TIMESTAMP), message.field(X_CHATWOOT_SIGNATURE));
    let signature = signature.strip_prefix("sha256=").unwrap_or_default();
    let sender = webhooks
        .signed_by(Source::Chatwoot, &[timestamp.as_bytes(), b".", message.body], hex, &[signature])
        .ok_or(Refused::Unauthorized)?;
    message.is_recent(X_CHATWOOT_TIMESTAMP, &timestamp)?;
    // Not every delivery has an id. Its signature, which covers its time, is as good a name.
    let id = match (message.header)(X_CHATWOOT_DELIVERY) {
        Some(_) => message.id(X_CHATWOOT_DELIVERY)?,
        None => signature.to_string(),
    };
    let body = message.json()?;
    let kind = body.get("event").and_then(Value::as_str).ok_or_else(|| unreadable("The body has no `event`."))?;
    // Bodies about messages name their account and those about conversations do not. A webhook belongs to one
    // account, so a secret with one account says it too.
    let tenant = match body.get("account") {
        None => {
            sender.only_tenant().ok_or_else(|| unreadable("The body has no `account`, and its secret has several."))?
        }
        Some(account) => {
            let id = account.get("id").and_then(Value::as_u64);
            let id = id.ok_or_else(|| unreadable("`account.id` of the body is not a number."))?.to_string();
            sender.tenant(&id).ok_or_else(|| foreign("The sender does not speak for the account in `account.id`."))?
        }
    };
    Ok(Statement { id, kind: kind.to_string(), tenant, body })
}
