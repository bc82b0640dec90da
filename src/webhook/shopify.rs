//! Shopify: the body is signed, and nothing else is.
//!
//! The tenant is therefore the one whose secret verified, never the one of a header. Whoever has caught one signed
//! body can still send it again under another id or topic, at any time. So a body must have the shape of its topic,
//! and what erases a shop must name that shop in signed bytes.
//!
//! What is left to such a person: an order may be repeated under another order's topic, which makes the same figures
//! out of date once more; a body of `app/uninstalled` may be repeated after the shop has come back; and a body of
//! `shop/update` looks like one of `app/uninstalled`. The digest of each body bounds the first two for as long as
//! digests are remembered. Against the last, an app that is connected here does not subscribe to `shop/update`.

use super::{Message, Refused, Source, Statement, Webhooks, foreign, unreadable};
use crate::names::field::{X_SHOPIFY_HMAC_SHA256, X_SHOPIFY_SHOP_DOMAIN, X_SHOPIFY_TOPIC, X_SHOPIFY_WEBHOOK_ID};
use crate::rules::{Effect, Event};
use base64ct::{Base64, Encoding as _};
use serde_json::Value;

pub(super) fn read<'w>(message: &Message, webhooks: &'w Webhooks) -> Result<Statement<'w>, Refused> {
    let signature = message.field(X_SHOPIFY_HMAC_SHA256);
    let tenant = webhooks
        .signed_by(Source::Shopify, &[message.body], Base64::encode_string, &[&signature])
        .and_then(|sender| sender.only_tenant())
        .ok_or(Refused::Unauthorized)?;
    let id = message.id(X_SHOPIFY_WEBHOOK_ID)?;
    let kind = message.field(X_SHOPIFY_TOPIC);
    if kind.is_empty() {
        return Err(unreadable("`x-shopify-topic` is missing or sent twice."));
    }
    let body = message.json()?;
    if (message.header)(X_SHOPIFY_SHOP_DOMAIN).is_some_and(|shop| shop != tenant.as_str()) {
        return Err(foreign("The sender does not speak for the shop in `x-shopify-shop-domain`."));
    }
    Ok(Statement { id, kind, tenant, body })
}

/// Whether the signed body can be one of its unsigned topic.
pub(super) fn agrees(said: &Statement, event: &Event) -> Result<(), Refused> {
    let shop = said.body.get("myshopify_domain").map(Value::as_str);
    if shop.is_some_and(|shop| shop != Some(said.tenant.as_str())) {
        return Err(foreign("The sender does not speak for the shop in `myshopify_domain`."));
    }
    let member = if event.effect == Effect::Uninstalls { Some("myshopify_domain") } else { characteristic(&said.kind) };
    match member {
        Some(member) if said.body.get(member).is_none() => {
            Err(unreadable(&format!("The body is none of this topic: it has no `{member}`.")))
        }
        _ => Ok(()),
    }
}

/// A member that a topic's bodies have and other resources' have not.
fn characteristic(topic: &str) -> Option<&'static str> {
    match topic {
        "orders/create"
        | "orders/updated"
        | "orders/paid"
        | "orders/cancelled"
        | "orders/fulfilled"
        | "orders/partially_fulfilled" => Some("line_items"),
        "products/create" | "products/update" => Some("variants"),
        "inventory_levels/connect" | "inventory_levels/update" | "inventory_levels/disconnect" => {
            Some("inventory_item_id")
        }
        _ => None,
    }
}
