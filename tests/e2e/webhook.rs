//! Webhooks as their senders make them, signed here by hand.

use base64ct::{Base64, Encoding as _};
use hotrod_edge::validation::hex;
use lab::client::Call;
use lab::harness::{Edge, Options, TENANT};
use lab::origin::Answer;
use lab::stored::Kept;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};

/// A tenant of another deployment, for which some of the senders speak too.
pub const OTHER: &str = "other.myshopify.com";
/// The names of the sources, as paths have them.
pub const SOURCES: [&str; 3] = ["standard", "shopify", "chatwoot"];
/// Of each source the secret that is rotated out and the one that is rotated in.
pub const SECRETS: [[&str; 2]; 3] = [
    ["standard, the first", "standard, the next one"],
    ["shopify, the first", "shopify, the next one"],
    ["chatwoot, the first", "chatwoot, the next one"],
];
/// Shopify's secret of the other tenant's app.
pub const SHOPIFY_OTHER: &str = "shopify, another shop";

/// The secret `WEBHOOKS`.
pub fn setting() -> String {
    let [standard, shopify, chatwoot] = SECRETS;
    let whsec = |secret: &str| format!("whsec_{}", Base64::encode_string(secret.as_bytes()));
    json!({
        "standard": [{"secret": whsec(standard[0]), "tenants": [TENANT, OTHER]},
                     {"secret": whsec(standard[1]), "tenants": [TENANT]}],
        "shopify": [{"secret": shopify[0], "tenant": TENANT}, {"secret": shopify[1], "tenant": TENANT},
                    {"secret": SHOPIFY_OTHER, "tenant": OTHER}],
        "chatwoot": [{"secret": chatwoot[0], "accounts": {"1": TENANT}},
                     {"secret": chatwoot[1], "accounts": {"1": TENANT, "2": OTHER}}],
    })
    .to_string()
}

/// An edge to which all three sources may send.
pub fn start() -> Edge {
    Options::built().var("WEBHOOKS", &setting()).start()
}

/// RFC 2104, for any digest with blocks of so many bytes.
pub fn hmac(digest: fn(&[u8]) -> Vec<u8>, block: usize, secret: &str, text: &[u8]) -> Vec<u8> {
    assert!(secret.len() <= block, "a longer secret would be digested first");
    let pad = |byte: u8| (0..block).map(|at| secret.as_bytes().get(at).copied().unwrap_or(0) ^ byte).collect();
    let (inner, outer): (Vec<u8>, Vec<u8>) = (pad(0x36), pad(0x5c));
    digest(&[outer, digest(&[inner, text.to_vec()].concat())].concat())
}

fn hmac_sha256(secret: &str, text: &[u8]) -> Vec<u8> {
    hmac(|bytes| Sha256::digest(bytes).to_vec(), 64, secret, text)
}

/// So many seconds from now, as timestamps have it.
pub fn timestamp(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
    now.saturating_add_signed(seconds).to_string()
}

/// A delivery, as it goes out.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The name of its source.
    pub source: &'static str,
    pub fields: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Webhook {
    /// By Standard Webhooks.
    pub fn standard(secret: &str, id: &str, timestamp: &str, body: impl AsRef<[u8]>) -> Self {
        let text = [format!("{id}.{timestamp}.").as_bytes(), body.as_ref()].concat();
        let signature = Base64::encode_string(&hmac_sha256(secret, &text));
        let fields = vec![
            ("Webhook-Id", id.to_owned()),
            ("Webhook-Timestamp", timestamp.to_owned()),
            ("Webhook-Signature", format!("v1,{signature}")),
        ];
        Self { source: "standard", fields, body: body.as_ref().to_vec() }
    }

    /// By Shopify.
    pub fn shopify(secret: &str, id: &str, topic: &str, body: impl AsRef<[u8]>) -> Self {
        let fields = vec![
            ("X-Shopify-Webhook-Id", id.to_owned()),
            ("X-Shopify-Topic", topic.to_owned()),
            ("X-Shopify-Shop-Domain", TENANT.to_owned()),
            ("X-Shopify-Hmac-Sha256", Base64::encode_string(&hmac_sha256(secret, body.as_ref()))),
        ];
        Self { source: "shopify", fields, body: body.as_ref().to_vec() }
    }

    /// By Chatwoot.
    pub fn chatwoot(secret: &str, id: &str, timestamp: &str, body: impl AsRef<[u8]>) -> Self {
        let text = [format!("{timestamp}.").as_bytes(), body.as_ref()].concat();
        let fields = vec![
            ("X-Chatwoot-Delivery", id.to_owned()),
            ("X-Chatwoot-Timestamp", timestamp.to_owned()),
            ("X-Chatwoot-Signature", format!("sha256={}", hex(&hmac_sha256(secret, &text)))),
        ];
        Self { source: "chatwoot", fields, body: body.as_ref().to_vec() }
    }

    /// Something of this type happened to the tenant, by Standard Webhooks and now.
    pub fn event(id: &str, kind: &str) -> Self {
        Self::standard(SECRETS[0][0], id, &timestamp(0), standard_body(kind, TENANT).to_string())
    }

    /// One good delivery of each source, each of an event that touches a tile of its own.
    pub fn of_each_source(id: &str) -> [Self; 3] {
        [
            Self::event(id, "shop.activated"),
            Self::shopify(SECRETS[1][0], id, "orders/create", shopify_body("orders/create").to_string()),
            Self::chatwoot(SECRETS[2][0], id, &timestamp(0), chatwoot_body("message_created", 1).to_string()),
        ]
    }

    /// The field with the signature.
    pub fn signature_field(&self) -> &'static str {
        match self.source {
            "standard" => "Webhook-Signature",
            "shopify" => "X-Shopify-Hmac-Sha256",
            _ => "X-Chatwoot-Signature",
        }
    }

    /// The value of a field.
    #[track_caller]
    pub fn value(&self, name: &str) -> &str {
        &self.fields.iter().find(|(other, _)| *other == name).unwrap_or_else(|| panic!("no {name}")).1
    }

    /// The same with another value of a field, or without it.
    pub fn with(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.fields.retain(|(other, _)| *other != name);
        self.fields.extend(value.map(|value| (name, value.to_owned())));
        self
    }

    /// What is sent.
    pub fn call(&self) -> Call {
        self.call_without_body().body(&self.body)
    }

    /// The same, to be sent with a body in another framing.
    pub fn call_without_body(&self) -> Call {
        let call = Call::new("POST", format!("/cache/events/{}", self.source));
        let call = self.fields.iter().fold(call, |call, (name, value)| call.field(name, value));
        call.field("Content-Type", "application/json")
    }
}

/// The body of an event by Standard Webhooks.
pub fn standard_body(kind: &str, shop: &str) -> Value {
    json!({"type": kind, "timestamp": "2026-11-01T00:00:00Z", "data": {"shop_domain": shop}})
}

/// A body of such a topic. No two have the same bytes but those of one resource.
pub fn shopify_body(topic: &str) -> Value {
    match topic.split('/').next() {
        Some("orders") => json!({"id": 820_982_911, "line_items": [{"sku": "CHROME"}]}),
        Some("products") => json!({"id": 788_032_119, "variants": [{"sku": "CHROME"}]}),
        Some("inventory_levels") => json!({"inventory_item_id": 271_878, "available": 3}),
        _ => json!({"id": 548_380_009, "myshopify_domain": TENANT}),
    }
}

/// The body of one of Chatwoot's events.
pub fn chatwoot_body(event: &str, account: u32) -> Value {
    json!({"event": event, "id": 7, "account": {"id": account, "name": "Garage"}})
}

/// The receipt with which an event was taken.
#[track_caller]
pub fn taken(edge: &Edge, webhook: &Webhook) -> Value {
    let case = edge.send(&webhook.call()).expect(202).field("Content-Type", "application/json");
    case.field("Cache-Control", "no-store").origin_requests(0).json()
}

/// A hit that nothing has made out of date.
#[track_caller]
pub fn is_current(edge: &Edge, target: &str, fact: &str) {
    edge.get(target).expect(200).hit().detail("edge").says(fact).origin_requests(0);
}

/// Whoever has the receipt's token is answered anew, and the answer is stored: what it says.
#[track_caller]
pub fn is_asked_anew(edge: &Edge, kept: &Kept, receipt: &Value) -> String {
    let new = format!("new, as answer {} of the origin", edge.origin.total() + 1);
    edge.origin.answer(&kept.target, Answer::tile(&new));
    let refilled = edge.send(&newer(&kept.target, receipt)).expect(200).stored(true).says(&new).origin_requests(1);
    edge.wait_until_kept(&kept.key, &refilled.text());
    new
}

/// A GET by somebody who has the receipt's token.
#[track_caller]
pub fn newer(target: &str, receipt: &Value) -> Call {
    Call::get(target).field("X-Newer-Than", receipt["token"].as_str().unwrap_or_else(|| panic!("a token: {receipt}")))
}
