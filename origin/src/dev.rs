//! The development plane: counts, faults, business events and what became of them at the edge.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State as Extract, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    actions::{self, Done},
    body::{cents, parse, parse_optional},
    echo::echo,
    envelope::ApiError,
    faults::Armed,
    session::DEFAULT_LIFETIME,
    shop,
    state::State,
    webhooks::first_attempts,
};

/// The longest that a session token is valid, in seconds.
const MOST_LIFETIME: u16 = 3600;

/// Whose token it is when nobody is named.
const DEFAULT_USER: &str = "1001";

/// Routes under `/dev`.
pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/dev/", get(index))
        .route("/dev/health", get(health))
        .route("/dev/shops", get(shops))
        .route("/dev/session-token", get(session_token))
        .route("/dev/echo", any(echo))
        .route("/dev/echo/{*rest}", any(echo))
        .route("/dev/requests", get(requests).delete(reset_requests))
        .route("/dev/faults", get(armed_faults).post(arm_fault).delete(clear_faults))
        .route("/dev/orders", post(create_order))
        .route("/dev/inventory", post(set_quantity))
        .route("/dev/sla-breach", post(breach_sla))
        .route("/dev/events", get(deliveries).post(send_event))
}

async fn index(Extract(state): Extract<State>) -> Response {
    let shop = state.default_shop();
    Json(json!({
        "GET /dev/health": "200 when the origin answers",
        "GET /dev/shops": "the shops there are",
        "GET /dev/session-token": {
            "?shop=": shop,
            "&user=": format!("an id; {DEFAULT_USER} if left out"),
            "&lifetime=": format!("seconds, 1 to {MOST_LIFETIME}; {DEFAULT_LIFETIME} if left out"),
        },
        "/dev/echo": "any method, and any path under it: what was received; ?cache-control= says what the answer has",
        "GET /dev/requests": "how often each path was asked for, but for those under /dev/",
        "DELETE /dev/requests": "counts from 0 again",
        "GET /dev/faults": "the faults that are armed, in the order in which they strike",
        "POST /dev/faults": {
            "path": "/api/dashboard/tiles/ops, or * for all",
            "times": "how many requests it strikes; until cleared if left out",
            "fault": {
                "status": "another status, 200 to 599",
                "delay_ms": "milliseconds before the headers",
                "chunk_delay_ms": "milliseconds before each chunk of the body",
                "chunk_bytes": "the size of those chunks, 1024 if left out",
                "cut_after_bytes": "closes the connection inside the body",
                "chunked": "true: the body that is cut is chunked; otherwise it has a length",
                "length_delta": "declares so many bytes more, or with a minus less, than are sent",
                "hang_up": "true: closes the connection without an answer",
                "echo": "true: answers with the request itself, in the envelope of the path",
                "body": "invalid-json, status-error, html or empty",
                "pad_bytes": "so many spaces after the body",
                "headers": {"Name": "a value, or a list of values, or null to leave it out"},
            },
        },
        "DELETE /dev/faults": "disarms all",
        "POST /dev/orders": {"shop": shop, "total": 1234.56},
        "POST /dev/inventory": {"shop": shop, "sku": "the best seller if left out", "quantity": 0},
        "POST /dev/sla-breach": {
            "shop": shop,
            "order": "the name of an open order, such as #HR1001; the newest if left out",
            "operator": "the name of an operator; the first if left out",
        },
        "GET /dev/events": "the last 100 events that were sent to the edge, the newest first, with every attempt",
        "POST /dev/events": {"type": "etl.completed", "data": {"shop_domain": shop}},
    }))
    .into_response()
}

/// Says `public`, as the system that this stands for does, although a health check must not be stored.
async fn health() -> Response {
    let public = [(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"))];
    (public, Json(json!({ "status": "ok" }))).into_response()
}

async fn shops(Extract(state): Extract<State>) -> Json<Value> {
    Json(json!({ "shops": state.shops() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    shop: String,
    user: Option<String>,
    lifetime: Option<u16>,
}

async fn session_token(
    Extract(state): Extract<State>,
    request: Result<Query<TokenRequest>, QueryRejection>,
) -> Result<Response, ApiError> {
    let understood = request.ok().and_then(|Query(TokenRequest { shop, user, lifetime })| {
        let user = user.unwrap_or_else(|| DEFAULT_USER.to_owned());
        let lifetime = lifetime.unwrap_or(DEFAULT_LIFETIME);
        (!user.is_empty() && (1..=MOST_LIFETIME).contains(&lifetime)).then_some((shop, user, lifetime))
    });
    let Some((shop, user, lifetime)) = understood else {
        return Err(ApiError::bad_request(format!(
            "Ask with ?shop={}, and perhaps with a user and a lifetime of 1 to {MOST_LIFETIME} seconds.",
            state.default_shop()
        )));
    };
    let token = state.app.token(&shop_of(&state, Some(shop))?, &user, lifetime);
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(token)).into_response())
}

async fn requests(Extract(state): Extract<State>) -> Json<Value> {
    Json(json!({ "requests": state.requests.all() }))
}

async fn reset_requests(Extract(state): Extract<State>) -> StatusCode {
    state.requests.reset();
    StatusCode::NO_CONTENT
}

async fn armed_faults(Extract(state): Extract<State>) -> Json<Value> {
    Json(json!({ "faults": state.faults.all() }))
}

async fn arm_fault(Extract(state): Extract<State>, body: Bytes) -> Result<Response, ApiError> {
    let armed: Armed = parse(&body)?;
    armed.check().map_err(|sentence| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, sentence))?;
    state.faults.arm(armed.clone());
    Ok((StatusCode::CREATED, Json(json!({ "armed": armed }))).into_response())
}

async fn clear_faults(Extract(state): Extract<State>) -> StatusCode {
    state.faults.clear();
    StatusCode::NO_CONTENT
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OrderEvent {
    shop: Option<String>,
    total: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct InventoryEvent {
    shop: Option<String>,
    sku: Option<String>,
    quantity: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BreachEvent {
    shop: Option<String>,
    order: Option<String>,
    operator: Option<String>,
}

/// An event that is sent by hand.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenEvent {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Map<String, Value>,
}

async fn create_order(Extract(state): Extract<State>, body: Bytes) -> Result<Response, ApiError> {
    let event: OrderEvent = parse_optional(&body)?;
    let total_cents = event.total.map(cents).transpose()?;
    let shop = shop_of(&state, event.shop)?;
    Ok(created(actions::create_order(&state, shop, total_cents).await?).await)
}

async fn set_quantity(Extract(state): Extract<State>, body: Bytes) -> Result<Response, ApiError> {
    let event: InventoryEvent = parse_optional(&body)?;
    let shop = shop_of(&state, event.shop)?;
    Ok(created(actions::set_quantity(&state, shop, event.sku, event.quantity).await?).await)
}

async fn breach_sla(Extract(state): Extract<State>, body: Bytes) -> Result<Response, ApiError> {
    let event: BreachEvent = parse_optional(&body)?;
    let shop = shop_of(&state, event.shop)?;
    Ok(created(actions::breach_sla(&state, shop, event.order, event.operator).await?).await)
}

async fn created<T: Serialize>(Done { created, events }: Done<T>) -> Response {
    let body = json!({ "created": created, "events": first_attempts(events).await });
    (StatusCode::CREATED, Json(body)).into_response()
}

async fn deliveries(Extract(state): Extract<State>) -> Json<Value> {
    Json(json!({ "events": state.webhooks.recent() }))
}

async fn send_event(Extract(state): Extract<State>, body: Bytes) -> Result<Response, ApiError> {
    let GivenEvent { kind, mut data } = parse(&body)?;
    data.entry("shop_domain").or_insert_with(|| state.default_shop().into());
    let sent = actions::send(&state, &kind, data.into()).ok_or_else(|| {
        ApiError::new(StatusCode::CONFLICT, "There is no edge to send it to: start the origin with --edge-url.")
    })?;
    let body = json!({ "events": first_attempts(vec![sent]).await });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

fn shop_of(state: &State, named: Option<String>) -> Result<String, ApiError> {
    match named {
        None => Ok(state.default_shop().to_owned()),
        Some(shop) if state.has_shop(&shop) => Ok(shop),
        Some(shop) => Err(shop::unknown(&shop)),
    }
}
