//! Webhooks as the origin sends them: Standard Webhooks, signed for any tenant.

use std::time::{SystemTime, UNIX_EPOCH};

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::client::Call;

/// What signs.
const SECRET: &[u8] = b"standard-secret-for-tests";

/// The Worker's `WEBHOOKS` that admits what is signed here, of these tenants.
pub fn setting(tenants: &[&str]) -> String {
    let secret = format!("whsec_{}", Base64::encode_string(SECRET));
    json!({"standard": [{"secret": secret, "tenants": tenants}]}).to_string()
}

/// An event of this type in a tenant, under this id, sent now.
pub fn event(tenant: &str, id: &str, kind: &str) -> Call {
    let body = json!({"type": kind, "data": {"shop_domain": tenant}});
    signed(id, &body)
}

fn signed(id: &str, body: &Value) -> Call {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
    let body = body.to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).expect("a key of any length will do");
    mac.update(format!("{id}.{now}.{body}").as_bytes());
    let signature = format!("v1,{}", Base64::encode_string(&mac.finalize().into_bytes()));
    Call::new("POST", "/cache/events/standard")
        .field("Content-Type", "application/json")
        .field("webhook-id", id)
        .field("webhook-timestamp", now.to_string())
        .field("webhook-signature", signature)
        .body(body)
}
