//! Webhooks whose signatures hold, and every way in which one may not.

mod contents;

use base64ct::{Base64, Encoding as _};
use hotrod_edge::key::Tenant;
use hotrod_edge::rules::compiled;
use hotrod_edge::time::UnixMillis;
use hotrod_edge::validation::hex;
use hotrod_edge::webhook::{Delivery, Refused, Source, Webhooks, receive};
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
pub struct Sent {
    pub source: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Sent {
    pub fn standard(secret: &str, id: &str, timestamp: &str, body: &str) -> Self {
        let signature = Base64::encode_string(&hmac(secret.as_bytes(), format!("{id}.{timestamp}.{body}").as_bytes()));
        let headers = vec![
            ("webhook-id", id.to_string()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", format!("v1,{signature}")),
        ];
        Self { source: "standard", headers, body: body.into() }
    }

    pub fn shopify(secret: &str, topic: &str, body: &str) -> Self {
        let headers = vec![
            ("x-shopify-webhook-id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043".to_string()),
            ("x-shopify-topic", topic.to_string()),
            ("x-shopify-shop-domain", SHOP.to_string()),
            ("x-shopify-hmac-sha256", Base64::encode_string(&hmac(secret.as_bytes(), body.as_bytes()))),
        ];
        Self { source: "shopify", headers, body: body.into() }
    }

    pub fn chatwoot(secret: &str, timestamp: &str, body: &str) -> Self {
        let signature = hex(&hmac(secret.as_bytes(), format!("{timestamp}.{body}").as_bytes()));
        let headers = vec![
            ("x-chatwoot-delivery", "5d1c9a2e".to_string()),
            ("x-chatwoot-timestamp", timestamp.to_string()),
            ("x-chatwoot-signature", format!("sha256={signature}")),
        ];
        Self { source: "chatwoot", headers, body: body.into() }
    }

    /// The same with another value of a header, or without it.
    pub fn with(mut self, name: &'static str, value: Option<&str>) -> Self {
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
    for list in [
        format!("v1a,abc {right}"),
        format!("{right} v2,abc"),
        format!("  {right} "),
        format!("{others}{right}"),
        format!("{right} {others}"),
    ] {
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
