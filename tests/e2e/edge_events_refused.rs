//! Webhooks that nobody sent who may: all are answered alike, and none reaches a ledger. Who may send is told what is
//! wrong.

use base64ct::{Base64, Encoding as _};
use hotrod_edge::validation::hex;
use lab::harness::{Edge, Options, TENANT};
use lab::stored::{SALES, SALES_KEY};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use crate::webhook::{
    OTHER, SECRETS, SHOPIFY_OTHER, SOURCES, Webhook, chatwoot_body, hmac, is_current, setting, shopify_body,
    standard_body, start, taken, timestamp,
};

/// An edge of which it can be said how often its ledger was called, with a tile in store.
fn watched() -> Edge {
    let edge = Options::failing().var("WEBHOOKS", &setting()).start();
    edge.fill(SALES, SALES_KEY, "stored");
    edge
}

/// No ledger was told anything, and the tile is as it was.
#[track_caller]
fn nothing_was_purged(edge: &Edge) {
    let calls = edge.get("/test/ledger/calls").expect(200).origin_requests(0).json();
    let paths: Vec<_> = calls.as_object().expect("counts by path").keys().collect();
    assert!(paths.iter().any(|path| path.starts_with("/counters/")), "{paths:?}");
    assert!(paths.iter().all(|path| !path.starts_with("/orders/")), "{paths:?}");
    is_current(edge, SALES, "stored");
}

/// What of an answer could tell one refusal from another: all but what names the request.
#[track_caller]
fn refusal(edge: &Edge, webhook: &Webhook) -> (Vec<(String, String)>, String) {
    let answer = edge.send(&webhook.call()).problem(401).origin_requests(0);
    let told = answer.fields.0.iter().filter(|(name, _)| !["x-request-id", "date"].contains(&&*name.to_lowercase()));
    (told.cloned().collect(), answer.text())
}

/// The same delivery with signatures that do not hold.
pub fn wrongly_signed(sent: &Webhook) -> Vec<Webhook> {
    let name = sent.signature_field();
    let right = sent.value(name);
    let prefix = ["v1,", "sha256="].into_iter().find(|prefix| right.starts_with(prefix)).unwrap_or_default();
    let digits = &right[prefix.len()..];
    let text = match sent.source {
        "standard" => format!("{}.{}.", sent.value("Webhook-Id"), sent.value("Webhook-Timestamp")),
        "chatwoot" => format!("{}.", sent.value("X-Chatwoot-Timestamp")),
        _ => String::new(),
    };
    let text = [text.as_bytes(), &sent.body].concat();
    let secret = SECRETS[SOURCES.iter().position(|source| *source == sent.source).expect("a source")][0];
    let written: fn(&[u8]) -> String = if sent.source == "chatwoot" { hex } else { Base64::encode_string };
    let sha1 = written(&hmac(|bytes| <sha1::Sha1 as sha1::Digest>::digest(bytes).to_vec(), 64, secret, &text));
    let sha512 = written(&hmac(|bytes| Sha512::digest(bytes).to_vec(), 128, secret, &text));
    let other_case: String = digits
        .chars()
        .map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    let values = [
        String::new(),
        prefix.to_owned(),
        digits[..digits.len() - 1].to_owned(),
        format!("{prefix}{}", &digits[..digits.len() - 1]),
        format!("{prefix}{}", &digits[1..]),
        format!("{prefix}{other_case}"),
        format!("{}{digits}", prefix.to_uppercase()) + if prefix.is_empty() { "x" } else { "" },
        format!("{prefix}{sha1}"),
        format!("{prefix}{sha512}"),
        format!("sha1={sha1}"),
        format!("sha512={sha512}"),
        format!("v1a,{digits}"),
        format!("v2,{digits}"),
        format!("{right},{right}"),
        format!("{prefix}{}", Base64::encode_string(&[0; 32])),
        format!("{prefix}{}", "0".repeat(64)),
        format!("{prefix}{}", "A".repeat(4000)),
        "é".to_owned(),
    ];
    let mut wrong: Vec<_> = values.iter().map(|value| sent.clone().with(name, Some(value))).collect();
    wrong.push(sent.clone().with(name, None));
    let mut doubled = sent.clone();
    doubled.fields.push((name, right.to_owned()));
    wrong.push(doubled);
    wrong
}

/// The same delivery with a body that was not signed.
pub fn with_another_body(sent: &Webhook) -> Vec<Webhook> {
    let read: Value = serde_json::from_slice(&sent.body).expect("JSON");
    let members = read.as_object().expect("an object").iter().rev();
    let members: Vec<_> = members.map(|(name, value)| format!("{}:{value}", json!(name))).collect();
    let reordered = format!("{{{}}}", members.join(","));
    assert_eq!(serde_json::from_str::<Value>(&reordered).expect("JSON"), read);
    assert_ne!(reordered.as_bytes(), sent.body);
    let altered = String::from_utf8_lossy(&sent.body).replacen(':', ": ", 1);
    let longer = [&sent.body, b"\n".as_slice()].concat();
    let bodies = [reordered.into_bytes(), altered.into_bytes(), longer, Vec::new()];
    bodies.into_iter().map(|body| Webhook { body, ..sent.clone() }).collect()
}

#[test]
fn what_is_not_signed_is_refused_in_one_way_and_purges_nothing() {
    let edge = watched();
    let mut told = None;
    for sent in Webhook::of_each_source("refused") {
        for wrong in wrongly_signed(&sent).into_iter().chain(with_another_body(&sent)) {
            let refusal = refusal(&edge, &wrong);
            assert_eq!(told.get_or_insert_with(|| refusal.clone()), &refusal, "{wrong:?}");
        }
    }
    nothing_was_purged(&edge);
    // The same are taken when they are signed.
    for sent in Webhook::of_each_source("refused") {
        taken(&edge, &sent);
    }
}

#[test]
fn what_else_is_signed_cannot_be_exchanged() {
    let edge = watched();
    let [standard, _, chatwoot] = Webhook::of_each_source("exchanged");
    for (sent, name, others) in [
        (&standard, "Webhook-Id", ["another", ""]),
        (&standard, "Webhook-Timestamp", [&timestamp(-5), ""]),
        (&chatwoot, "X-Chatwoot-Timestamp", [&timestamp(-5), ""]),
    ] {
        for other in others.map(Some).into_iter().chain([None]) {
            refusal(&edge, &sent.clone().with(name, other));
        }
        let mut doubled = sent.clone();
        doubled.fields.push((name, sent.value(name).to_owned()));
        refusal(&edge, &doubled);
    }
    // A secret is good for its own scheme and for no other.
    let now = timestamp(0);
    let body = standard_body("order.created", TENANT).to_string();
    refusal(&edge, &Webhook::standard(SECRETS[1][0], "1", &now, &body));
    refusal(&edge, &Webhook::shopify(SECRETS[2][0], "1", "orders/create", shopify_body("orders/create").to_string()));
    refusal(&edge, &Webhook::chatwoot(SECRETS[0][0], "1", &now, chatwoot_body("message_created", 1).to_string()));
    // So is a delivery.
    for (sent, source) in Webhook::of_each_source("1").into_iter().zip(["shopify", "chatwoot", "standard"]) {
        refusal(&edge, &Webhook { source, ..sent });
    }
    nothing_was_purged(&edge);
}

#[test]
fn a_signed_time_is_about_now() {
    let edge = watched();
    let standard = |seconds| {
        let body = standard_body("order.created", TENANT).to_string();
        Webhook::standard(SECRETS[0][0], "time", &timestamp(seconds), body)
    };
    let chatwoot = |seconds| {
        let body = chatwoot_body("message_created", 1).to_string();
        Webhook::chatwoot(SECRETS[2][0], "time", &timestamp(seconds), body)
    };
    for seconds in [-86_400, -310, 310, 86_400] {
        for (webhook, name) in [(standard(seconds), "webhook-timestamp"), (chatwoot(seconds), "x-chatwoot-timestamp")] {
            let problem = edge.send(&webhook.call()).problem(400).origin_requests(0).json();
            let sentence = format!("`{name}` is more than 300 seconds from now. Nothing was purged.");
            assert_eq!(problem["detail"], sentence, "{seconds}");
        }
    }
    nothing_was_purged(&edge);
    for seconds in [-280, 280] {
        taken(&edge, &standard(seconds));
        taken(&edge, &chatwoot(seconds));
    }
}

/// Refused with this status and sentence.
#[track_caller]
fn is_told(edge: &Edge, webhook: &Webhook, status: u16, sentence: &str) {
    let problem = edge.send(&webhook.call()).problem(status).origin_requests(0).json();
    let detail = problem["detail"].as_str().expect("a sentence");
    assert!(detail.starts_with(sentence) && detail.ends_with("Nothing was purged."), "{detail}");
}

#[test]
fn nobody_speaks_for_another_tenant() {
    let edge = watched();
    let now = timestamp(0);
    let standard =
        |secret, shop| Webhook::standard(secret, "1", &now, standard_body("order.created", shop).to_string());
    let shopify = |secret, topic, body: &Value| Webhook::shopify(secret, "1", topic, body.to_string());
    let chatwoot =
        |secret, account| Webhook::chatwoot(secret, "1", &now, chatwoot_body("message_created", account).to_string());
    let [[first, next], [app, _], [one, several]] = SECRETS;

    let not_for_the_shop = "The sender does not speak for the shop in `data.shop_domain`.";
    is_told(&edge, &standard(first, "unknown.myshopify.com"), 422, not_for_the_shop);
    is_told(&edge, &standard(next, OTHER), 422, not_for_the_shop);
    is_told(&edge, &standard(first, OTHER), 422, "The shop is no tenant here.");

    let order = shopify_body("orders/create");
    let foreign_header = shopify(app, "orders/create", &order).with("X-Shopify-Shop-Domain", Some(OTHER));
    is_told(&edge, &foreign_header, 422, "The sender does not speak for the shop in `x-shopify-shop-domain`.");
    let foreign_body = json!({"id": 1, "myshopify_domain": OTHER});
    let not_in_body = "The sender does not speak for the shop in `myshopify_domain`.";
    is_told(&edge, &shopify(app, "app/uninstalled", &foreign_body), 422, not_in_body);
    let foreign_app = shopify(SHOPIFY_OTHER, "orders/create", &order);
    is_told(&edge, &foreign_app, 422, "The sender does not speak for the shop in `x-shopify-shop-domain`.");
    let of_the_other = foreign_app.with("X-Shopify-Shop-Domain", Some(OTHER));
    is_told(&edge, &of_the_other, 422, "The shop is no tenant here.");

    let not_for_the_account = "The sender does not speak for the account in `account.id`.";
    is_told(&edge, &chatwoot(one, 2), 422, not_for_the_account);
    is_told(&edge, &chatwoot(several, 3), 422, not_for_the_account);
    is_told(&edge, &chatwoot(several, 2), 422, "The shop is no tenant here.");
    nothing_was_purged(&edge);
}

#[test]
fn a_signed_body_that_cannot_be_read_is_a_400() {
    let edge = watched();
    let now = timestamp(0);
    let not_json: [&[u8]; 6] =
        [b"", b"\xff\xfe", b"{\"type\":\"order.created\"", b"{\"a\":\"\xc3\x28\"}", b"type=1", b"{} {}"];
    for body in not_json {
        for webhook in [
            Webhook::standard(SECRETS[0][0], "1", &now, body),
            Webhook::shopify(SECRETS[1][0], "1", "orders/create", body),
            Webhook::chatwoot(SECRETS[2][0], "1", &now, body),
        ] {
            is_told(&edge, &webhook, 400, "The body is not JSON: ");
        }
    }
    for body in ["[]", "null", "{}", r#"{"type":7,"event":7}"#] {
        is_told(&edge, &Webhook::standard(SECRETS[0][0], "1", &now, body), 400, "The body has no `type`.");
        is_told(&edge, &Webhook::chatwoot(SECRETS[2][0], "1", &now, body), 400, "The body has no `event`.");
    }
    let topic_of_another = Webhook::shopify(SECRETS[1][0], "1", "products/update", r#"{"line_items":[]}"#);
    is_told(&edge, &topic_of_another, 400, "The body is none of this topic: it has no `variants`.");
    let deep = "[".repeat(100_000);
    is_told(&edge, &Webhook::standard(SECRETS[0][0], "1", &now, deep), 400, "The body is not JSON: ");
    nothing_was_purged(&edge);
}

#[test]
fn a_source_without_secrets_is_not_there() {
    let none = Options::built().start();
    let one = Options::built()
        .var("WEBHOOKS", &json!({"shopify": [{"secret": SECRETS[1][0], "tenant": TENANT}]}).to_string());
    let one = one.start();
    for sent in Webhook::of_each_source("1") {
        none.send(&sent.call()).problem(404).origin_requests(0);
        if sent.source == "shopify" {
            taken(&one, &sent);
        } else {
            one.send(&sent.call()).problem(404).origin_requests(0);
        }
    }
    // An operator's token opens no other door.
    let token = format!("Bearer {}", lab::harness::OPERATOR_TOKEN);
    let edge = start();
    for sent in Webhook::of_each_source("1") {
        let unsigned = sent.clone().with(sent.signature_field(), None);
        edge.send(&unsigned.call().field("Authorization", &token)).problem(401).origin_requests(0);
    }
}
