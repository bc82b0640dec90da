//! What a shop does: each action writes its rows and sends the events that tell what changed.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::{
    clock,
    envelope::ApiError,
    state::State,
    store::{CreatedBreach, CreatedOrder, CreatedQuantity, NewBreach, NewOrder, NewQuantity, Refusal, StoreError},
    webhooks::{Event, Sent},
};

/// What was written, and the events on their way.
pub(crate) struct Done<T> {
    pub(crate) created: T,
    pub(crate) events: Vec<Sent>,
}

/// Makes an order.
pub(crate) async fn create_order(
    state: &State,
    shop: String,
    total_cents: Option<i64>,
) -> Result<Done<CreatedOrder>, StoreError> {
    let created = state.store.create_order(NewOrder { shop, total_cents, at: state.clock.now() }).await?;
    let CreatedOrder { shop, order_id, name, .. } = &created;
    let order = json!({ "shop_domain": shop, "order_id": order_id, "name": name });
    // History is computed from the orders themselves, so it is never behind them: it changes with each.
    let events = send_all(state, [("order.created", order.clone()), ("etl.completed", order)]);
    Ok(Done { created, events })
}

/// Counts the stock of a part.
pub(crate) async fn set_quantity(
    state: &State,
    shop: String,
    sku: Option<String>,
    quantity: u32,
) -> Result<Done<CreatedQuantity>, ApiError> {
    let change = NewQuantity { shop, sku, quantity, at: state.clock.now() };
    let created = state.store.set_quantity(change).await?.map_err(refused)?;
    let CreatedQuantity { shop, variant_id, sku, .. } = &created;
    let part = json!({ "shop_domain": shop, "variant_id": variant_id, "sku": sku });
    let events = send_all(state, [("inventory.updated", part)]);
    Ok(Done { created, events })
}

/// Breaks a promise: an operator is told, the order is put on hold, and its customer complains.
pub(crate) async fn breach_sla(
    state: &State,
    shop: String,
    order: Option<String>,
    operator: Option<String>,
) -> Result<Done<CreatedBreach>, ApiError> {
    let breach = NewBreach { shop, order, operator, at: state.clock.now() };
    let created = state.store.breach_sla(breach).await?.map_err(refused)?;
    let CreatedBreach { shop, sla_event_id, order_id, order, conversation_id, .. } = &created;
    let events = [
        ("sla.breached", json!({ "shop_domain": shop, "sla_event_id": sla_event_id, "order_id": order_id })),
        ("order.updated", json!({ "shop_domain": shop, "order_id": order_id, "name": order })),
        ("conversation.updated", json!({ "shop_domain": shop, "conversation_id": conversation_id })),
    ];
    let events = send_all(state, events);
    Ok(Done { created, events })
}

/// Sends an event of any type. None without an edge.
pub(crate) fn send(state: &State, kind: &str, data: Value) -> Option<Sent> {
    state.webhooks.send(&Event { kind: kind.to_owned(), timestamp: clock::text(state.clock.now()), data })
}

fn send_all<const N: usize>(state: &State, events: [(&str, Value); N]) -> Vec<Sent> {
    events.into_iter().filter_map(|(kind, data)| send(state, kind, data)).collect()
}

fn refused(refusal: Refusal) -> ApiError {
    let sentence = match refusal {
        Refusal::Sku(sku) => format!("sku: the shop sells no {sku:?}."),
        Refusal::Order(Some(order)) => format!("order: the shop has no open {order:?} without an issue."),
        Refusal::Order(None) => "order: every open order has an issue already.".to_owned(),
        Refusal::Operator(operator) => format!("operator: the shop has no {operator:?}."),
    };
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, sentence)
}
