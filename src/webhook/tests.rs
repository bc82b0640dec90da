//! Deliveries of each source, as they are, and with everything about them wrong.

use super::{Delivery, Refused, Source, Webhooks, receive};
use crate::key::Tenant;
use crate::rules::compiled;
use crate::time::UnixMillis;
use crate::validation::hex;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use base64ct::{Base64, Encoding as _};
use sha2::{Digest as _, Sha256};

const NOW: u64 = 1_774_915_200;
const SHOP: &str = "a.myshopify.com";
const SETTING: &str = r#"{
    "standard": [{"secret": "whsec_c3RhbmRhcmQsIHRoZSBmaXJzdA==", "tenants": ["a.myshopify.com", "gone.myshopify.com"]},
                 {"secret": "whsec_c3RhbmRhcmQsIHRoZSBuZXh0", "tenants": ["b.myshopify.com"]}],
    "shopify": [{"secret": "shopify, the first", "tenant": "a.myshopify.com"},
                {"secret": "shopify, the next one", "tenant": "a.myshopify.com"},
                {"secret": "shopify, another shop", "tenant": "b.myshopify.com"}],
    "chatwoot": [{"secret": "chatwoot, one account", "accounts": {"1": "a.myshopify.com"}},
                 {"secret": "chatwoot, two accounts", "accounts": {"1": "a.myshopify.com", "2": "b.myshopify.com"}}]
}"#;

/// RFC 2104 by hand: H(K xor opad, H(K xor ipad, text)).
fn hmac(secret: &[u8], text: &[u8]) -> Vec<u8> {
    assert!(secret.len() <= 64);
    let pad = |byte: u8| (0..64).map(|index| secret.get(index).copied().unwrap_or(0) ^ byte).collect::<Vec<u8>>();
    let inner = Sha256::digest([pad(0x36), text.to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

/// A request to one source.
#[derive(Clone)]
struct Sent {
    source: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Sent {
    fn standard(secret: &str, id: &str, timestamp: &str, body: &str) -> Self {
        let signature = Base64::encode_string(&hmac(secret.as_bytes(), format!("{id}.{timestamp}.{body}").as_bytes()));
        let headers = vec![
            ("webhook-id", id.to_string()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", format!("v1,{signature}")),
        ];
        Self { source: "standard", headers, body: body.into() }
    }

    fn shopify(secret: &str, topic: &str, body: &str) -> Self {
        let headers = vec![
            ("x-shopify-webhook-id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043".to_string()),
            ("x-shopify-topic", topic.to_string()),
            ("x-shopify-shop-domain", SHOP.to_string()),
            ("x-shopify-hmac-sha256", Base64::encode_string(&hmac(secret.as_bytes(), body.as_bytes()))),
        ];
        Self { source: "shopify", headers, body: body.into() }
    }

    fn chatwoot(secret: &str, timestamp: &str, body: &str) -> Self {
        let signature = hex(&hmac(secret.as_bytes(), format!("{timestamp}.{body}").as_bytes()));
        let headers = vec![
            ("x-chatwoot-delivery", "5d1c9a2e".to_string()),
            ("x-chatwoot-timestamp", timestamp.to_string()),
            ("x-chatwoot-signature", format!("sha256={signature}")),
        ];
        Self { source: "chatwoot", headers, body: body.into() }
    }

    /// The same with another value of a header, or without it.
    fn with(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.extend(value.map(|value| (name, value.to_string())));
        self
    }

    fn value(&self, name: &str) -> String {
        self.headers.iter().find(|(other, _)| *other == name).unwrap().1.clone()
    }

    fn received(&self) -> Result<Delivery<'static>, Refused> {
        let header = |name: &str| self.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.clone());
        let webhooks = Webhooks::parse(SETTING).unwrap();
        let is_listed = |tenant: &Tenant| tenant.as_str() != "gone.myshopify.com";
        receive(self.source, header, &self.body, UnixMillis(NOW * 1000), &webhooks, compiled(), is_listed)
    }

    fn refusal(&self) -> Refused {
        self.received().unwrap_err()
    }
}

fn order(kind: &str, shop: &str) -> String {
    format!(r#"{{"type":"{kind}","data":{{"shop_domain":"{shop}","order":1}}}}"#)
}

/// One good delivery of each source, with its signature's header.
fn good() -> [(Sent, &'static str); 3] {
    let now = NOW.to_string();
    [
        (Sent::standard("standard, the first", "msg_1", &now, &order("order.created", SHOP)), "webhook-signature"),
        (Sent::shopify("shopify, the first", "orders/create", r#"{"id":1,"line_items":[]}"#), "x-shopify-hmac-sha256"),
        (
            Sent::chatwoot("chatwoot, one account", &now, r#"{"event":"message_created","account":{"id":1}}"#),
            "x-chatwoot-signature",
        ),
    ]
}

fn event(sent: &Sent) -> Option<&'static str> {
    sent.received().unwrap().event.map(|event| event.name.as_ref())
}

fn unreadable(sentence: &str) -> Refused {
    Refused::Unreadable(sentence.into())
}

fn foreign(sentence: &str) -> Refused {
    Refused::Foreign(sentence.into())
}

#[test]
fn a_signed_delivery_says_whose_data_changed_and_how() {
    for ((sent, _), (source, id, kind, name)) in good().into_iter().zip([
        (Source::Standard, "msg_1", "order.created", "order.created"),
        (Source::Shopify, "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043", "orders/create", "order.created"),
        (Source::Chatwoot, "5d1c9a2e", "message_created", "conversation.updated"),
    ]) {
        let event = compiled().events.iter().find(|event| event.name == name);
        assert!(event.is_some(), "{name}");
        let (id, kind, digest) = (id.to_string(), kind.to_string(), hex(&Sha256::digest(&sent.body)));
        let expected = Delivery { source, id, digest, tenant: Tenant::new(SHOP).unwrap(), event, kind };
        assert_eq!(sent.received(), Ok(expected));
    }
}

#[test]
fn the_published_vector_of_standard_webhooks_verifies() {
    let setting = r#"{"standard": [{"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "tenants": ["a.test"]}]}"#;
    let header = |name: &str| match name {
        "webhook-id" => Some("msg_p5jXN8AQM9LWM0D4loKWxJek".to_string()),
        "webhook-timestamp" => Some("1614265330".to_string()),
        "webhook-signature" => Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_string()),
        _ => None,
    };
    let (now, webhooks) = (UnixMillis(1_614_265_330_000), Webhooks::parse(setting).unwrap());
    let received = receive("standard", header, br#"{"test": 2432232314}"#, now, &webhooks, compiled(), |_| true);
    assert_eq!(received, Err(unreadable("The body has no `type`.")), "signed, and no event");
    let received = receive("standard", header, br#"{"test": 2432232315}"#, now, &webhooks, compiled(), |_| true);
    assert_eq!(received, Err(Refused::Unauthorized));
}

#[test]
fn a_source_without_secrets_is_none() {
    let sent = good()[0].0.clone();
    for source in ["", "Standard", "stripe"] {
        assert_eq!(Sent { source, ..sent.clone() }.refusal(), Refused::UnknownSource, "{source}");
    }
    let none = Webhooks::parse(r#"{"standard": []}"#).unwrap();
    for source in ["standard", "shopify", "chatwoot"] {
        let received = receive(source, |_| None, b"", UnixMillis(0), &none, compiled(), |_| true);
        assert_eq!(received, Err(Refused::UnknownSource), "{source}");
    }
}

#[test]
fn a_signature_that_does_not_hold_is_refused_and_nothing_is_said_of_why() {
    for (sent, name) in good() {
        let right = sent.value(name);
        let prefix = ["v1,", "sha256="].into_iter().find(|prefix| right.starts_with(prefix)).unwrap_or_default();
        let digits = &right[prefix.len()..];
        let swapped: Vec<u8> =
            digits.bytes().map(|byte| if byte.is_ascii_alphabetic() { byte ^ 0x20 } else { byte }).collect();
        let swapped = String::from_utf8(swapped).unwrap();
        let wrong = [
            String::new(),
            prefix.to_string(),
            digits[..digits.len() - 1].to_string(),
            format!("{prefix}{}", &digits[..digits.len() - 1]),
            format!("{prefix}{}", &digits[1..]),
            format!("{right}="),
            format!("{right}\n"),
            format!("\t{right}"),
            format!("{right}, {right}"),
            format!("{prefix}{swapped}"),
            format!("{prefix}{}x", digits.trim_end_matches('=')),
            format!("V1,{digits}"),
            format!("v2,{digits}"),
            format!("v1a,{digits}"),
            format!("v1={digits}"),
            format!("sha1={digits}"),
            format!("SHA256={digits}"),
            format!("v1,{right}"),
            format!("sha256={right}"),
            format!("{prefix}{}", Base64::encode_string(digits.as_bytes())),
            format!("{prefix}{}", Base64::encode_string(&[0; 32])),
            format!("{prefix}{}", "0".repeat(64)),
        ];
        for wrong in wrong {
            assert_eq!(
                sent.clone().with(name, Some(&wrong)).refusal(),
                Refused::Unauthorized,
                "{} {wrong}",
                sent.source
            );
        }
        assert_eq!(sent.clone().with(name, None).refusal(), Refused::Unauthorized, "{}", sent.source);
        let mut longer = sent.clone();
        longer.body.push(b' ');
        assert_eq!(longer.refusal(), Refused::Unauthorized, "{}", sent.source);
    }
}

#[test]
fn members_in_another_order_are_another_body() {
    let reordered = |sent: &Sent, body: &str| Sent { body: body.into(), ..sent.clone() }.refusal();
    let [standard, shopify, chatwoot] = good().map(|(sent, _)| sent);
    let body = format!(r#"{{"data":{{"shop_domain":"{SHOP}","order":1}},"type":"order.created"}}"#);
    assert_eq!(reordered(&standard, &body), Refused::Unauthorized);
    assert_eq!(reordered(&shopify, r#"{"line_items":[],"id":1}"#), Refused::Unauthorized);
    assert_eq!(reordered(&chatwoot, r#"{"account":{"id":1},"event":"message_created"}"#), Refused::Unauthorized);
}

#[test]
fn each_bit_of_what_is_signed_counts() {
    let signed: [&[&str]; 3] = [
        &["webhook-id", "webhook-timestamp", "webhook-signature"],
        &["x-shopify-hmac-sha256"],
        &["x-chatwoot-timestamp", "x-chatwoot-signature"],
    ];
    for ((sent, _), fields) in good().into_iter().zip(signed) {
        assert!(sent.received().is_ok());
        for bit in 0..sent.body.len() * 8 {
            let mut flipped = sent.clone();
            flipped.body[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(flipped.refusal(), Refused::Unauthorized, "{} body, bit {bit}", sent.source);
        }
        for name in fields {
            let value = sent.value(name).into_bytes();
            for bit in 0..value.len() * 8 {
                let mut flipped = value.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                // As a runtime hands a field over: each byte one character.
                let flipped: String = flipped.into_iter().map(char::from).collect();
                let refusal = sent.clone().with(name, Some(&flipped)).refusal();
                assert_eq!(refusal, Refused::Unauthorized, "{name}: {flipped}");
            }
        }
    }
}

#[test]
fn what_is_signed_counts_even_when_it_is_missing_or_doubled() {
    let [standard, _, chatwoot] = good().map(|(sent, _)| sent);
    for (sent, name) in
        [(&standard, "webhook-id"), (&standard, "webhook-timestamp"), (&chatwoot, "x-chatwoot-timestamp")]
    {
        let twice = format!("{0}, {0}", sent.value(name));
        for value in [None, Some(""), Some(twice.as_str())] {
            assert_eq!(sent.clone().with(name, value).refusal(), Refused::Unauthorized, "{name} {value:?}");
        }
    }
}

#[test]
fn one_of_several_signatures_is_enough() {
    let (sent, name) = good()[0].clone();
    let right = sent.value(name);
    let among = |signatures: &str| sent.clone().with(name, Some(signatures)).received();
    let others = "v1,AAAA ".repeat(15);
    for list in
        [format!("v1a,abc {right}"), format!("{right} v2,abc"), format!("  {right} "), format!("{others}{right}")]
    {
        assert!(among(&list).is_ok(), "{list}");
    }
    for list in [format!("{others}v1,AAAA {right}"), format!("v1,AAAA, {right}"), format!("{right},{right}")] {
        assert_eq!(among(&list), Err(Refused::Unauthorized), "{list}");
    }
}

#[test]
fn while_a_secret_is_rotated_both_hold() {
    let body = r#"{"line_items":[]}"#;
    for secret in ["shopify, the first", "shopify, the next one"] {
        assert_eq!(event(&Sent::shopify(secret, "orders/create", body)), Some("order.created"), "{secret}");
    }
    assert_eq!(Sent::shopify("shopify, the last", "orders/create", body).refusal(), Refused::Unauthorized);
    // A secret is good for its own scheme.
    assert_eq!(Sent::shopify("chatwoot, one account", "orders/create", body).refusal(), Refused::Unauthorized);
}

#[test]
fn a_time_may_be_five_minutes_away() {
    for (timestamp, expected) in [
        ((NOW - 300).to_string(), None),
        ((NOW + 300).to_string(), None),
        ((NOW - 301).to_string(), Some("is more than 300 seconds from now.")),
        ((NOW + 301).to_string(), Some("is more than 300 seconds from now.")),
        (u64::MAX.to_string(), Some("is more than 300 seconds from now.")),
        ((u128::from(u64::MAX) + 1).to_string(), Some("is not a number of seconds.")),
        (format!("+{NOW}"), Some("is not a number of seconds.")),
        (format!("{NOW}.0"), Some("is not a number of seconds.")),
        ("2026-03-31T00:00:00Z".into(), Some("is not a number of seconds.")),
        (String::new(), Some("is not a number of seconds.")),
    ] {
        for (sent, name) in [
            (
                Sent::standard("standard, the first", "msg_1", &timestamp, &order("order.created", SHOP)),
                "webhook-timestamp",
            ),
            (
                Sent::chatwoot(
                    "chatwoot, one account",
                    &timestamp,
                    r#"{"event":"message_created","account":{"id":1}}"#,
                ),
                "x-chatwoot-timestamp",
            ),
        ] {
            let refusal = sent.received().err();
            assert_eq!(refusal, expected.map(|wrong| unreadable(&format!("`{name}` {wrong}"))), "{timestamp}");
        }
    }
}

#[test]
fn an_id_is_short_and_visible() {
    let standard =
        |id: &str| Sent::standard("standard, the first", id, &NOW.to_string(), &order("order.created", SHOP));
    assert!(standard(&"i".repeat(256)).received().is_ok());
    let wrong = "is not one id of 1 to 256 visible characters.";
    for id in ["", "a b", "a\u{7f}", "caf\u{e9}", &"i".repeat(257)] {
        assert_eq!(standard(id).refusal(), unreadable(&format!("`webhook-id` {wrong}")), "{id}");
    }
    assert_eq!(standard("a.1").refusal(), unreadable("`webhook-id` contains a full stop."));
    let [_, shopify, chatwoot] = good().map(|(sent, _)| sent);
    for (sent, name) in [(&shopify, "x-shopify-webhook-id"), (&chatwoot, "x-chatwoot-delivery")] {
        for id in [None, Some(""), Some("a, a"), Some("a b")] {
            assert_eq!(sent.clone().with(name, id).refusal(), unreadable(&format!("`{name}` {wrong}")), "{id:?}");
        }
    }
}

#[test]
fn a_signed_body_that_says_too_little_is_unreadable() {
    let now = NOW.to_string();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let not_json = |sent: &Sent| {
        let Refused::Unreadable(sentence) = sent.refusal() else { return false };
        sentence.starts_with("The body is not JSON: ")
    };
    for body in ["", "{", "{}}", "shop=a", &deep] {
        assert!(not_json(&Sent::standard("standard, the first", "msg_1", &now, body)), "{body}");
        assert!(not_json(&Sent::shopify("shopify, the first", "orders/create", body)), "{body}");
        assert!(not_json(&Sent::chatwoot("chatwoot, one account", &now, body)), "{body}");
    }
    for (body, wrong) in [
        ("[]", "The body has no `type`."),
        (r#"{"type":1,"data":{"shop_domain":"a.myshopify.com"}}"#, "The body has no `type`."),
        (r#"{"type":"order.created"}"#, "The body has no `data.shop_domain`."),
        (r#"{"type":"order.created","shop_domain":"a.myshopify.com"}"#, "The body has no `data.shop_domain`."),
        (
            r#"{"type":"order.created","data":{"shop_domain":["a.myshopify.com"]}}"#,
            "The body has no `data.shop_domain`.",
        ),
    ] {
        let sent = Sent::standard("standard, the first", "msg_1", &now, body);
        assert_eq!(sent.refusal(), unreadable(wrong), "{body}");
    }
    for (body, wrong) in [
        (r#"{"account":{"id":1}}"#, "The body has no `event`."),
        (r#"{"event":"message_created","account":{}}"#, "`account.id` of the body is not a number."),
        (r#"{"event":"message_created","account":{"id":"1"}}"#, "`account.id` of the body is not a number."),
        (r#"{"event":"message_created","account":null}"#, "`account.id` of the body is not a number."),
    ] {
        let sent = Sent::chatwoot("chatwoot, one account", &now, body);
        assert_eq!(sent.refusal(), unreadable(wrong), "{body}");
    }
}

#[test]
fn a_sender_speaks_for_its_own_tenants_only() {
    let standard =
        |secret: &str, shop: &str| Sent::standard(secret, "msg_1", &NOW.to_string(), &order("order.created", shop));
    let wrong = "The sender does not speak for the shop in `data.shop_domain`.";
    assert!(standard("standard, the next", "b.myshopify.com").received().is_ok());
    for (secret, shop) in [
        ("standard, the next", SHOP),
        ("standard, the first", "b.myshopify.com"),
        ("standard, the first", "A.myshopify.com"),
        ("standard, the first", "a.myshopify.com."),
    ] {
        assert_eq!(standard(secret, shop).refusal(), foreign(wrong), "{secret} {shop}");
    }
    assert_eq!(standard("standard, the first", "gone.myshopify.com").refusal(), foreign("The shop is no tenant here."));
}

#[test]
fn a_shopify_header_does_not_choose_the_shop() {
    let sent = Sent::shopify("shopify, another shop", "orders/create", r#"{"line_items":[]}"#);
    let wrong = foreign("The sender does not speak for the shop in `x-shopify-shop-domain`.");
    assert_eq!(sent.refusal(), wrong);
    for shop in ["", "b.myshopify.com, b.myshopify.com", "B.myshopify.com"] {
        assert_eq!(sent.clone().with("x-shopify-shop-domain", Some(shop)).refusal(), wrong, "{shop}");
    }
    for shop in [None, Some("b.myshopify.com")] {
        let delivery = sent.clone().with("x-shopify-shop-domain", shop).received().unwrap();
        assert_eq!(delivery.tenant.as_str(), "b.myshopify.com");
    }
}

#[test]
fn a_shopify_body_has_the_shape_of_its_topic() {
    let bodies = [
        ("line_items", r#"{"id":1,"line_items":[]}"#),
        ("variants", r#"{"id":1,"variants":[]}"#),
        ("inventory_item_id", r#"{"inventory_item_id":1,"available":2}"#),
        ("myshopify_domain", r#"{"id":1,"myshopify_domain":"a.myshopify.com"}"#),
    ];
    for (topic, member, name) in [
        ("orders/create", "line_items", "order.created"),
        ("orders/updated", "line_items", "order.updated"),
        ("orders/fulfilled", "line_items", "order.fulfilled"),
        ("products/update", "variants", "product.updated"),
        ("inventory_levels/update", "inventory_item_id", "inventory.updated"),
        ("app/uninstalled", "myshopify_domain", "app.uninstalled"),
    ] {
        for (has, body) in bodies {
            let sent = Sent::shopify("shopify, the first", topic, body);
            if has == member {
                assert_eq!(event(&sent), Some(name));
            } else {
                let wrong = format!("The body is none of this topic: it has no `{member}`.");
                assert_eq!(sent.refusal(), unreadable(&wrong), "{topic} {body}");
            }
        }
    }
}

#[test]
fn a_shop_is_erased_in_its_own_signed_name_only() {
    let wrong = foreign("The sender does not speak for the shop in `myshopify_domain`.");
    for domain in [r#""b.myshopify.com""#, r#""A.myshopify.com""#, "null", r#"["a.myshopify.com"]"#] {
        let sent =
            Sent::shopify("shopify, the first", "app/uninstalled", &format!(r#"{{"myshopify_domain":{domain}}}"#));
        assert_eq!(sent.refusal(), wrong, "{domain}");
    }
    let nested = r#"{"line_items":[],"customer":{"myshopify_domain":"a.myshopify.com"}}"#;
    let wrong = "The body is none of this topic: it has no `myshopify_domain`.";
    assert_eq!(Sent::shopify("shopify, the first", "app/uninstalled", nested).refusal(), unreadable(wrong));
}

#[test]
fn a_chatwoot_account_is_the_signed_one_or_the_secrets_only_one() {
    let tenant = |secret: &str, account: &str| {
        let body = format!(r#"{{"event":"conversation_created"{account}}}"#);
        Sent::chatwoot(secret, &NOW.to_string(), &body).received().map(|delivery| delivery.tenant.as_str().to_string())
    };
    assert_eq!(tenant("chatwoot, one account", ""), Ok(SHOP.into()));
    assert_eq!(tenant("chatwoot, two accounts", r#","account":{"id":2}"#), Ok("b.myshopify.com".into()));
    let several = "The body has no `account`, and its secret has several.";
    assert_eq!(tenant("chatwoot, two accounts", ""), Err(unreadable(several)));
    let wrong = "The sender does not speak for the account in `account.id`.";
    assert_eq!(tenant("chatwoot, one account", r#","account":{"id":2}"#), Err(foreign(wrong)));
}

#[test]
fn what_the_rules_do_not_know_is_no_event() {
    let now = NOW.to_string();
    let long = "x".repeat(200);
    for (sent, kind) in [
        (Sent::standard("standard, the first", "msg_1", &now, &order("orders/create", SHOP)), "orders/create"),
        (Sent::standard("standard, the first", "msg_1", &now, &order(&long, SHOP)), &long[..100]),
        (Sent::shopify("shopify, the first", "themes/publish", "{}"), "themes/publish"),
        (Sent::shopify("shopify, the first", "order.created", "{}"), "order.created"),
        (Sent::chatwoot("chatwoot, one account", &now, r#"{"event":"webwidget_triggered"}"#), "webwidget_triggered"),
    ] {
        let delivery = sent.received().unwrap();
        assert_eq!((delivery.event, delivery.kind.as_str()), (None, kind));
    }
    let sent = Sent::shopify("shopify, the first", "orders/create", r#"{"line_items":[]}"#);
    for topic in [None, Some(""), Some("orders/create, orders/create")] {
        let refusal = sent.clone().with("x-shopify-topic", topic).refusal();
        assert_eq!(refusal, unreadable("`x-shopify-topic` is missing or sent twice."), "{topic:?}");
    }
}
