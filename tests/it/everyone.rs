//! Purges for all tenants at once: the global ledger's own desk, and the desks of tenants that hear of it.

use crate::fakes::{EPOCH_SECRET, Object, TENANT};
use hotrod_edge::epoch::{Counters, Covered, Standing};
use hotrod_edge::key::Tenant;
use hotrod_edge::ledger::desk::{GLOBAL_MS, Terms};
use hotrod_edge::ledger::line::MERGED_MS;
use hotrod_edge::ledger::order::Order;
use hotrod_edge::rules::compiled;
use hotrod_edge::time::{UnixMillis, rfc3339};
use hotrod_edge::token::TokenSecret;
use serde_json::Value;

const OPS: Covered<'_> = Covered { class: "near_real_time", route: "ops", key: "dashboard:tile:ops:v1", marks: "" };
/// The bound of its class.
const BOUND_MS: u64 = 5_000;

/// Calls a desk with what it knows of its deployment.
fn with_terms<R>(tenant: Option<&Tenant>, call: impl FnOnce(Terms<'_>) -> R) -> R {
    let tokens = TokenSecret::new(EPOCH_SECRET).expect("a secret");
    call(Terms { tenant, rules: compiled(), snapshot_at_most: None, tokens: &tokens, has_zone: true })
}

/// Purges everything at the global ledger, and answers the receipt.
fn purge(global: &Object, mode: &str, now: u64) -> Value {
    let order =
        Order::decode(&format!(r#"{{"mode":"{mode}","scopes":["tenant"],"occasion":{{}}}}"#)).expect("an order");
    let mut desk = global.desk.borrow_mut();
    let done = with_terms(None, |terms| desk.order(&global.disk, terms, &order, &now.to_string(), UnixMillis(now)));
    let done = done.expect("a disk").expect("an order that is taken");
    serde_json::from_str(&done.receipt).expect("a receipt")
}

/// Purges something else at a tenant's own ledger.
fn purge_of(tenant: &Object, now: u64) {
    let order = Order::decode(r#"{"mode":"soft","scopes":["route/cx"],"occasion":{}}"#).expect("an order");
    let name = Tenant::new(TENANT).expect("a tenant");
    let mut desk = tenant.desk.borrow_mut();
    let done = with_terms(Some(&name), |terms| desk.order(&tenant.disk, terms, &order, "own", UnixMillis(now)));
    done.expect("a disk").expect("an order that is taken");
}

/// What a ledger tells at this time.
fn told(object: &Object, now: u64) -> String {
    object.desk.borrow_mut().counters(&object.disk, UnixMillis(now), None).expect("a disk")
}

/// A tenant's ledger hears of the global one, and tells.
fn hear(tenant: &Object, global: &Object, now: u64) -> Counters {
    let (text, name) = (told(global, now), Tenant::new(TENANT).expect("a tenant"));
    let mut desk = tenant.desk.borrow_mut();
    let adopted = with_terms(Some(&name), |terms| desk.adopt(&tenant.disk, terms, &text, UnixMillis(now)));
    adopted.expect("counters that can be read");
    drop(desk);
    Counters::decode(&told(tenant, now)).expect("counters")
}

#[test]
fn a_purge_for_all_is_in_every_ledger_before_its_receipt_says_that_it_is_in_force() {
    for waits in (0..=GLOBAL_MS).step_by(500) {
        for restarts in [false, true] {
            let (global, tenant) = (Object::default(), Object::default());
            let start = 1_000_000;
            let head = hear(&tenant, &global, start).epoch;
            // The second and the third are merged.
            purge(&global, "hard", start + 90_000);
            purge(&global, "hard", start + 90_300);
            let receipt = purge(&global, "hard", start + 90_600);
            let incremented = start + 91_000;
            assert_eq!(receipt["incremented_at"], rfc3339(UnixMillis(incremented)));
            assert_eq!((&receipt["tenant"], &receipt["token"]), (&"*".into(), &Value::Null));
            let arrived = incremented + GLOBAL_MS + MERGED_MS;
            let effective = rfc3339(UnixMillis(arrived + BOUND_MS));
            assert_eq!(receipt["effective_by_class"]["near_real_time"], effective);
            if restarts {
                tenant.restart();
            }
            // A purge that the tenant's ledger has just done puts off what it hears of.
            let then = incremented + waits;
            purge_of(&tenant, then);
            hear(&tenant, &global, then);
            let counters = Counters::decode(&told(&tenant, arrived)).expect("counters");
            assert_eq!(counters.standing(&OPS, head), Standing::Purged, "{waits}");
            // It is taken over once.
            let later = hear(&tenant, &global, arrived + 30_000);
            assert_eq!((later.epoch, later.standing(&OPS, counters.epoch)), (counters.epoch, Standing::Current));
        }
    }
}

#[test]
fn a_soft_purge_for_all_is_soft_everywhere_and_a_hard_one_is_not_softened() {
    let (global, tenant) = (Object::default(), Object::default());
    let head = hear(&tenant, &global, 1_000).epoch;
    purge(&global, "soft", 100_000);
    let counters = hear(&tenant, &global, 110_000);
    assert_eq!(counters.standing(&OPS, head), Standing::Invalidated { since: UnixMillis(110_000) });
    purge(&global, "hard", 200_000);
    purge(&global, "soft", 300_000);
    assert_eq!(hear(&tenant, &global, 310_000).standing(&OPS, counters.epoch), Standing::Purged);
}

#[test]
fn a_global_ledger_that_lost_its_memory_purges_everything() {
    let tenant = Object::default();
    let head = hear(&tenant, &Object::default(), 1_000).epoch;
    let counters = hear(&tenant, &Object::default(), 50_000);
    assert_eq!(counters.standing(&OPS, head), Standing::Purged);
    assert_eq!(counters.standing(&OPS, counters.epoch), Standing::Current);
}
