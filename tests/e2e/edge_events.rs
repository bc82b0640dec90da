//! Events: each makes out of date what rules.toml says, once, however often and by whatever scheme it is sent.

use std::collections::BTreeMap;
use std::time::Duration;

use hotrod_edge::rules::{Effect, Event, Touches, compiled};
use lab::client::Call;
use lab::harness::{Edge, OPERATOR_TOKEN, TENANT};
use lab::origin::Answer;
use lab::stored::{Kept, OPS, SALES, SALES_KEY, all_kept};
use serde_json::{Value, json};

use crate::webhook::{
    SECRETS, SOURCES, Webhook, chatwoot_body, is_asked_anew, is_current, newer, shopify_body, standard_body, start,
    taken, timestamp,
};

/// A tile that conversations touch.
const CX: &str = "/api/dashboard/tiles/cx";
/// The greatest body, in bytes.
const GREATEST: usize = 2 << 20;

/// Whether what rules.toml says of an event covers this.
fn is_touched(touches: &Touches, kept: &Kept) -> bool {
    assert!(touches.tags.is_empty(), "this test does not know tags");
    touches.routes.iter().any(|route| route == kept.route) || touches.classes.iter().any(|class| class == kept.class)
}

/// Sends an event of this kind for each name that the rules give it, and asks for every route after each.
fn each_event(names: impl Fn(&'static Event) -> Vec<&'static str>, make: impl Fn(&str, &str) -> Webhook) {
    let edge = start();
    let mut facts: BTreeMap<String, String> = BTreeMap::new();
    for kept in all_kept() {
        edge.fill(&kept.target, &kept.key, "stored");
        facts.insert(kept.target, "stored".to_owned());
    }
    for event in &*compiled().events {
        let Effect::Invalidates(touches) = &event.effect else { continue };
        for name in names(event) {
            let receipt = taken(&edge, &make(&format!("id-of-{}", name.replace(['/', '.'], "-")), name));
            assert_eq!((&receipt["mode"], &receipt["tenant"]), (&json!("soft"), &json!(TENANT)), "{name}");
            let (stale, current): (Vec<_>, Vec<_>) = all_kept().into_iter().partition(|kept| is_touched(touches, kept));
            assert!(!stale.is_empty(), "{name}");
            for kept in current {
                let case = edge.send(&newer(&kept.target, &receipt)).expect(200).hit().detail("edge");
                case.says(&facts[&kept.target]).origin_requests(0);
            }
            for kept in stale {
                let new = is_asked_anew(&edge, &kept, &receipt);
                facts.insert(kept.target, new);
            }
        }
    }
    assert!(facts.values().any(|fact| fact != "stored"));
}

#[test]
fn each_event_by_standard_webhooks_makes_its_routes_out_of_date_and_no_others() {
    each_event(|event| vec![&*event.name], Webhook::event);
}

#[test]
fn each_topic_of_shopify_makes_its_routes_out_of_date_and_no_others() {
    let names = |event: &'static Event| event.shopify.iter().map(|topic| &**topic).collect();
    each_event(names, |id, topic| Webhook::shopify(SECRETS[1][0], id, topic, shopify_body(topic).to_string()));
}

#[test]
fn each_event_of_chatwoot_makes_its_routes_out_of_date_and_no_others() {
    let names = |event: &'static Event| event.chatwoot.iter().map(|name| &**name).collect();
    each_event(names, |id, name| {
        Webhook::chatwoot(SECRETS[2][0], id, &timestamp(0), chatwoot_body(name, 1).to_string())
    });
}

/// The first answer after an event may be the old one, and says so; meanwhile the origin is asked, once.
#[test]
fn an_event_is_soft() {
    for (webhook, target) in Webhook::of_each_source("soft").into_iter().zip([OPS, SALES, CX]) {
        let key = kept(target).key;
        let edge = start();
        edge.fill(target, &key, "old");
        let receipt = taken(&edge, &webhook);
        edge.origin.answer(target, Answer::tile("new"));
        // How far the origin has been asked behind the answer is not known when the answer is there.
        let first = Call::get(target).send(edge.workerd.address()).expect("an answer");
        let status = first.field("Cache-Status").unwrap_or_default();
        assert!(status.contains("; hit;") && status.ends_with("; detail=edge/invalidated"), "{status}");
        assert_eq!(first.json()["fact"]["says"], "old");
        edge.wait_until("it is renewed", |edge| edge.in_cache(&key).is_some_and(|body| body.contains("new")));
        edge.send(&newer(target, &receipt)).expect(200).hit().says("new").origin_requests(0);
        assert_eq!(edge.origin.count(target), 2, "one fill and one renewal");
    }
}

#[track_caller]
fn kept(target: &str) -> Kept {
    all_kept().into_iter().find(|kept| kept.target == target).expect("a tile")
}

#[test]
fn while_a_secret_is_rotated_both_are_good() {
    let edge = start();
    let body = |id: u32| json!({"id": id, "line_items": []}).to_string();
    for (number, id) in [(0, "before"), (1, "after")] {
        let (standard, now) = (standard_body("order.created", TENANT).to_string(), timestamp(0));
        for webhook in [
            Webhook::standard(SECRETS[0][number], id, &now, &standard),
            Webhook::shopify(SECRETS[1][number], id, "orders/create", body(u32::try_from(number).expect("small"))),
            Webhook::chatwoot(
                SECRETS[2][number],
                id,
                &now,
                json!({"event": "message_created", "account": {"id": 1}, "id": number}).to_string(),
            ),
        ] {
            taken(&edge, &webhook);
        }
    }
}

/// That the same was sent again is not seen but in its receipt, which is that of the first time.
#[track_caller]
fn is_repeat(edge: &Edge, webhook: &Webhook, first: &Value) {
    let again = taken(edge, webhook);
    let known = |receipt: &Value| ["id", "epoch", "incremented_at", "event"].map(|name| receipt[name].clone());
    assert_eq!(known(&again), known(first), "{}", webhook.source);
}

#[test]
fn a_repeat_gets_the_receipt_of_the_first_time_and_purges_nothing_also_after_a_restart() {
    let mut edge = start();
    let sent = Webhook::of_each_source("again");
    let first = [0, 1, 2].map(|at| taken(&edge, &sent[at]));
    // By now the last of them has happened too, and what is stored is from after it.
    let renewed = [OPS, SALES].map(|target| (target, is_asked_anew(&edge, &kept(target), &first[2])));
    let last = edge.purge(&json!({"mode": "hard", "routes": ["segments"]}));
    for restarts in 0..2 {
        for (webhook, receipt) in sent.iter().zip(&first) {
            is_repeat(&edge, webhook, receipt);
        }
        // By Standard Webhooks each attempt has a time, and so a signature, of its own.
        let body = standard_body("shop.activated", TENANT).to_string();
        is_repeat(&edge, &Webhook::standard(SECRETS[0][1], "again", &timestamp(-20), body), &first[0]);
        for (target, fact) in &renewed {
            edge.send(&newer(target, &last)).expect(200).hit().detail("edge").says(fact).origin_requests(0);
        }
        if restarts == 0 {
            edge.workerd.restart();
        }
    }
}

#[test]
fn where_the_id_is_not_signed_the_body_tells_a_repeat() {
    let edge = start();
    let shopify = |id: &str, topic: &str, body: &Value| Webhook::shopify(SECRETS[1][0], id, topic, body.to_string());
    let (order, other) = (json!({"id": 1, "line_items": []}), json!({"id": 2, "line_items": []}));
    let first = taken(&edge, &shopify("one", "orders/create", &order));
    is_repeat(&edge, &shopify("two", "orders/create", &order), &first);
    let case = edge.send(&shopify("one", "orders/create", &other).call()).problem(409);
    assert!(case.origin_requests(0).text().contains("Nothing was purged"));
    // One body as two topics is two events.
    let updated = taken(&edge, &shopify("three", "orders/updated", &order));
    assert_ne!(updated["id"], first["id"]);

    let chatwoot =
        |id: &str, name: &str| Webhook::chatwoot(SECRETS[2][0], id, &timestamp(0), chatwoot_body(name, 1).to_string());
    let first = taken(&edge, &chatwoot("one", "message_created"));
    is_repeat(&edge, &chatwoot("two", "message_created"), &first);
    edge.send(&chatwoot("one", "conversation_updated").call()).problem(409).origin_requests(0);
}

#[test]
fn where_the_id_is_signed_it_tells_a_repeat() {
    let edge = start();
    let first = taken(&edge, &Webhook::event("one", "order.created"));
    let second = taken(&edge, &Webhook::event("two", "order.created"));
    assert_ne!(second["id"], first["id"], "the same happened twice");
    edge.send(&Webhook::event("one", "order.updated").call()).problem(409).origin_requests(0);
    is_repeat(&edge, &Webhook::event("one", "order.created"), &first);
}

#[test]
fn the_receipt_of_an_event_says_which_and_can_be_asked_for() {
    let edge = start();
    for (webhook, source) in Webhook::of_each_source("receipt").iter().zip(SOURCES) {
        let receipt = taken(&edge, webhook);
        assert_eq!(receipt["event"], json!({"source": source, "id": "receipt"}));
        let asked = Call::get(format!("/cache/receipts/{}", receipt["id"].as_str().expect("an id")));
        edge.send(&asked).problem(401).origin_requests(0);
        let asked = asked.field("Authorization", format!("Bearer {OPERATOR_TOKEN}"));
        let read = edge.send(&asked).expect(200).origin_requests(0).json();
        assert_eq!((&read["token"], &read["effective_by_class"]), (&receipt["token"], &receipt["effective_by_class"]));
    }
}

#[test]
fn an_event_that_the_rules_do_not_know_is_taken_and_does_nothing() {
    let edge = start();
    edge.fill(SALES, SALES_KEY, "stored");
    for (webhook, kind) in [
        (Webhook::event("1", "order.archived"), "order.archived"),
        (Webhook::event("2", "orders/create"), "orders/create"),
        (Webhook::shopify(SECRETS[1][0], "3", "carts/update", "{}"), "carts/update"),
        (
            Webhook::chatwoot(SECRETS[2][0], "4", &timestamp(0), chatwoot_body("webwidget_triggered", 1).to_string()),
            "webwidget_triggered",
        ),
    ] {
        let answer =
            edge.send(&webhook.call()).expect(200).field("Cache-Control", "no-store").origin_requests(0).json();
        assert_eq!(answer, json!({"event": kind, "detail": "This event makes nothing out of date here."}));
    }
    is_current(&edge, SALES, "stored");
}

#[test]
fn a_source_that_is_none_and_a_method_that_is_none() {
    let edge = start();
    let sent = Webhook::event("1", "order.created");
    for source in ["", "stripe", "Standard", "standard/", "standard/1", "shopify?x=1/.."] {
        let call = Call::new("POST", format!("/cache/events/{source}")).body(&sent.body);
        let call = sent.fields.iter().fold(call, |call, (name, value)| call.field(name, value));
        let status = edge.send(&call).origin_requests(0).status;
        assert!(status == 404 || (source.contains('?') && status == 401), "{source}: {status}");
    }
    for source in SOURCES {
        for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
            let call = Call::new(method, format!("/cache/events/{source}"));
            edge.send(&call).problem(405).field("Allow", "POST").origin_requests(0);
        }
    }
}

#[test]
fn bodies_are_taken_up_to_two_mebibytes() {
    let edge = start();
    let body = |length: usize| {
        let (start, end) = (r#"{"type":"order.created","data":{"shop_domain":""#, r#"","note":""}}"#);
        let padding = "x".repeat(length - start.len() - TENANT.len() - end.len());
        format!(r#"{start}{TENANT}","note":"{padding}"}}}}"#)
    };
    let sent = |id: &str, length: usize| {
        let body = body(length);
        assert_eq!(body.len(), length);
        Webhook::standard(SECRETS[0][0], id, &timestamp(0), body)
    };
    let in_chunks = |webhook: &Webhook| {
        let parts: Vec<_> = webhook.body.chunks(100_000).map(|part| (Duration::ZERO, part.to_vec())).collect();
        webhook.call_without_body().chunks(parts)
    };
    for (id, length) in [("1", 1_900_000), ("2", GREATEST)] {
        let webhook = sent(id, length);
        let receipt = taken(&edge, &webhook);
        let again = edge.send(&in_chunks(&webhook)).expect(202).origin_requests(0).json();
        assert_eq!(again["id"], receipt["id"]);
    }
    edge.fill(SALES, SALES_KEY, "stored");
    let longer = sent("3", GREATEST + 1);
    edge.send(&longer.call()).problem(413).origin_requests(0);
    edge.send(&in_chunks(&longer)).problem(413).origin_requests(0);
    is_current(&edge, SALES, "stored");
}
