//! Orders as a shop's own pages place them.

use axum::{
    Router,
    body::Bytes,
    extract::State as Extract,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;

use super::groups::{CACHE_GROUP_INVALIDATION, ORDERS};
use crate::{
    actions,
    body::{cents, parse_optional},
    envelope::ApiError,
    shop::Shop,
    state::State,
};

/// The write API.
pub(super) fn routes() -> Router<State> {
    Router::new().route("/api/orders", post(create_order))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OrderRequest {
    total: Option<f64>,
}

/// Says itself what it makes out of date, and does not wait for the events that say so too.
async fn create_order(Extract(state): Extract<State>, Shop(shop): Shop, body: Bytes) -> Result<Response, ApiError> {
    let request: OrderRequest = parse_optional(&body)?;
    let total_cents = request.total.map(cents).transpose()?;
    let order = actions::create_order(&state, shop.clone(), total_cents).await?.created;
    let invalidates = [(CACHE_GROUP_INVALIDATION, ORDERS)];
    Ok((StatusCode::CREATED, invalidates, state.envelopes.api(&shop, order)).into_response())
}
