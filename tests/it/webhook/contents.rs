//! Webhooks whose signatures hold: what they may say, and for whom.

use super::{NOW, SHOP, Sent, event, good, order, unreadable};
use hotrod_edge::webhook::Refused;

fn foreign(sentence: &str) -> Refused {
    Refused::Foreign(sentence.into())
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
        for id in ["", "a, a", "a b"] {
            assert_eq!(sent.clone().with(name, Some(id)).refusal(), unreadable(&format!("`{name}` {wrong}")), "{id}");
        }
    }
    let nameless = shopify.with("x-shopify-webhook-id", None);
    assert_eq!(nameless.refusal(), unreadable(&format!("`x-shopify-webhook-id` {wrong}")));
    let signature = chatwoot.value("x-chatwoot-signature");
    let nameless = chatwoot.with("x-chatwoot-delivery", None).received().unwrap();
    assert_eq!(format!("sha256={}", nameless.id), signature);
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
