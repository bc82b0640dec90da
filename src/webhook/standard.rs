//! Standard Webhooks 1.0.0: id, time and body are signed together, and the body says which shop it is about.

use super::{Message, Refused, Source, Statement, Webhooks, foreign, unreadable};
use crate::names::field::{WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use alloc::string::ToString as _;
use alloc::vec::Vec;
use base64ct::{Base64, Encoding as _};
use serde_json::Value;

/// How many of a delivery's signatures are looked at.
const SIGNATURES_AT_MOST: usize = 16;

pub(super) fn read<'w>(message: &Message, webhooks: &'w Webhooks) -> Result<Statement<'w>, Refused> {
    let (id, timestamp) = (message.field(WEBHOOK_ID), message.field(WEBHOOK_TIMESTAMP));
    let signatures = message.field(WEBHOOK_SIGNATURE);
    let signatures =
        signatures.split(' ').take(SIGNATURES_AT_MOST).filter_map(|signature| signature.strip_prefix("v1,"));
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", message.body];
    let sender = webhooks
        .signed_by(Source::Standard, &signed, Base64::encode_string, &signatures.collect::<Vec<_>>())
        .ok_or(Refused::Unauthorized)?;
    message.is_recent(WEBHOOK_TIMESTAMP, &timestamp)?;
    let id = message.id(WEBHOOK_ID)?;
    // With a full stop in the id, one signature would hold for several cuts of the same bytes.
    if id.contains('.') {
        return Err(unreadable("`webhook-id` contains a full stop."));
    }
    let body = message.json()?;
    let kind = body.get("type").and_then(Value::as_str).ok_or_else(|| unreadable("The body has no `type`."))?;
    let shop = body.pointer("/data/shop_domain").and_then(Value::as_str);
    let shop = shop.ok_or_else(|| unreadable("The body has no `data.shop_domain`."))?;
    let tenant =
        sender.tenant(shop).ok_or_else(|| foreign("The sender does not speak for the shop in `data.shop_domain`."))?;
    Ok(Statement { id, kind: kind.to_string(), tenant, body })
}
