//! A shop that uninstalled the app: nothing of it is kept any longer, and nothing new is stored, until an operator
//! lists it again.

use std::time::Duration;

use lab::client::Call;
use lab::harness::{OPERATOR_TOKEN, TENANT, wait_until};
use lab::locations::{At, Lab, Layout};
use lab::origin::Answer;
use lab::stored::{OPS, OPS_KEY, SALES, SALES_KEY, SEGMENTS, SEGMENTS_KEY, kv_key_of};
use serde_json::{Value, json};

use crate::webhook::{OTHER, SECRETS, SHOPIFY_OTHER, Webhook, setting, shopify_body, standard_body, timestamp};

/// Longer than any copy of counters judges in these labs.
const BOUND: Duration = Duration::from_millis(600);
/// What is filled at first.
const FILLED: [(&str, &str); 3] = [(SALES, SALES_KEY), (OPS, OPS_KEY), (SEGMENTS, SEGMENTS_KEY)];

/// Two tenants in two locations, each of them with answers in store.
fn start() -> Lab {
    let layout = Layout::new().locations(&["ams", "iad"]).tenants(&[TENANT, OTHER]);
    let lab = layout.var("WEBHOOKS", &setting()).var("SNAPSHOT_AT_MOST_MS", "500").start();
    for (target, key) in FILLED {
        lab.origin().answer(target, Answer::tile("before"));
        for tenant in 0..2 {
            let at = lab.at("ams").tenant(tenant);
            let filled = at.get(target).expect(200).stored(true).origin_requests(1);
            at.wait_until_kept(key, &filled.text());
        }
    }
    lab
}

fn uninstalled() -> Webhook {
    Webhook::shopify(SECRETS[1][0], "uninstalled", "app/uninstalled", shopify_body("app/uninstalled").to_string())
}

#[track_caller]
fn uninstall(lab: &Lab) -> Value {
    let receipt = lab.at("ams").send(&uninstalled().call()).expect(202).origin_requests(0).json();
    assert_eq!((&receipt["mode"], &receipt["purged"]), (&json!("erase"), &json!({"all": true})), "{receipt}");
    receipt
}

fn operator(method: &str, path: &str) -> Call {
    Call::new(method, path).field("Authorization", format!("Bearer {OPERATOR_TOKEN}"))
}

fn keys_of(lab: &Lab, tenant: &str) -> Vec<String> {
    lab.kv.keys().into_iter().filter(|key| key.starts_with(&format!("{tenant}/"))).collect()
}

/// Answered by the origin each time, and nothing is stored of it.
#[track_caller]
fn is_passed_through(at: At<'_>, lab: &Lab) {
    for (target, fact) in [(SALES, "first"), (SALES, "second"), (SEGMENTS, "third")] {
        lab.origin().answer(target, Answer::tile(fact));
        let case = at.get(target).expect(200).fwd("bypass").stored(false).detail("not-listed").says(fact);
        case.field("Cache-Control", "no-store").origin_requests(1);
    }
}

/// Events and purges are refused, by a sentence that says why.
#[track_caller]
fn is_not_listed(at: At<'_>) {
    let order = standard_body("order.created", TENANT).to_string();
    let purge = operator("POST", "/cache/purge").body(json!({"mode": "hard", "all": true}).to_string());
    for call in [Webhook::standard(SECRETS[0][0], "later", &timestamp(0), order).call(), purge] {
        let problem = at.send(&call).problem(422).origin_requests(0).json();
        assert_eq!(problem["detail"], "The tenant is not listed. Nothing was purged.");
    }
}

#[track_caller]
fn other_tenant_is_untouched(lab: &Lab) {
    let at = lab.at("ams").tenant(1);
    for (target, _) in FILLED {
        at.get(target).expect(200).hit().detail("edge").says("before").origin_requests(0);
    }
    assert_eq!(keys_of(lab, OTHER), [OPS_KEY, SALES_KEY].map(|key| kv_key_of(OTHER, key)));
}

#[test]
fn an_uninstalled_shop_is_erased_and_passed_through_until_it_is_listed_again() {
    let mut lab = start();
    assert_eq!(keys_of(&lab, TENANT).len(), 2);
    let receipt = uninstall(&lab);
    is_passed_through(lab.at("ams"), &lab);
    std::thread::sleep(BOUND);
    is_passed_through(lab.at("iad"), &lab);
    wait_until("its values are deleted", || keys_of(&lab, TENANT).is_empty());
    is_not_listed(lab.at("ams"));
    is_not_listed(lab.at("iad"));
    other_tenant_is_untouched(&lab);

    // The message is known: a repeat is answered as the first one was.
    let again = lab.at("iad").send(&uninstalled().call()).expect(202).origin_requests(0).json();
    assert_eq!(again["id"], receipt["id"]);
    let asked = operator("GET", &format!("/cache/receipts/{}", receipt["id"].as_str().expect("an id")));
    wait_until("the list of tenants has it", || {
        let read = lab.at("ams").ask(&asked).json();
        let legs = read["legs"].as_array().expect("legs").iter();
        legs.filter(|leg| leg["leg"] == "list").any(|leg| leg["state"] == "done")
    });

    lab.restart();
    is_not_listed(lab.at("ams"));
    is_passed_through(lab.at("ams"), &lab);
    is_passed_through(lab.at("iad"), &lab);
    assert_eq!(keys_of(&lab, TENANT), Vec::<String>::new());

    list_again(&lab);
    other_tenant_is_untouched(&lab);
}

#[track_caller]
fn list_again(lab: &Lab) {
    let listing = |token: &str, body: &str| {
        let call = Call::new("PUT", "/cache/listing").field("Authorization", format!("Bearer {token}"));
        call.body(body)
    };
    lab.at("ams").send(&listing("nobody", r#"{"listed":true}"#)).problem(401).origin_requests(0);
    lab.at("ams").send(&listing(OPERATOR_TOKEN, "{}")).problem(422).origin_requests(0);
    is_not_listed(lab.at("ams"));
    let listed = lab.at("ams").send(&listing(OPERATOR_TOKEN, r#"{"listed":true}"#)).expect(200);
    assert_eq!(listed.origin_requests(0).json(), json!({"tenant": TENANT, "listed": true}));
    // KV takes one write of a key in a second, and the value may have been deleted a moment ago.
    std::thread::sleep(BOUND.max(Duration::from_millis(1_100)));
    lab.origin().answer(SALES, Answer::tile("after"));
    // What was there before stays erased, in whatever store a copy of it is.
    let filled = lab.at("ams").get(SALES).expect(200).stored(true).says("after").origin_requests(1);
    lab.at("ams").wait_until_kept(SALES_KEY, &filled.text());
    lab.at("ams").get(SALES).expect(200).hit().says("after").origin_requests(0);
    assert_eq!(lab.at("iad").ask(&Call::get(SALES)).json()["fact"]["says"], "after");
    let order = standard_body("order.created", TENANT).to_string();
    let event = Webhook::standard(SECRETS[0][0], "listed-again", &timestamp(0), order);
    lab.at("ams").send(&event.call()).expect(202).origin_requests(0);
}

/// Signed by its own app, and sent to a deployment of another tenant.
#[test]
fn nobody_uninstalls_another_shop() {
    let lab = start();
    let body = json!({"id": 1, "myshopify_domain": OTHER}).to_string();
    let own = Webhook::shopify(SHOPIFY_OTHER, "1", "app/uninstalled", body).with("X-Shopify-Shop-Domain", Some(OTHER));
    lab.at("ams").send(&own.call()).problem(422).origin_requests(0);
    for tenant in 0..2 {
        lab.at("ams").tenant(tenant).get(SALES).expect(200).hit().detail("edge").says("before").origin_requests(0);
    }
    lab.at("ams").tenant(1).send(&own.call()).expect(202).origin_requests(0);
    lab.at("ams").get(SALES).expect(200).hit().detail("edge").says("before").origin_requests(0);
    lab.at("ams").tenant(1).get(SALES).expect(200).fwd("bypass").detail("not-listed").origin_requests(1);
}
