//! The development plane: counts, faults and business events.

use axum::{
    Json, Router,
    body::Bytes,
    extract::State as Extract,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    envelope::ApiError,
    faults::Armed,
    shop,
    state::State,
    store::{NewBreach, NewOrder, NewQuantity, Refusal},
};

/// The most that an order may come to.
const MOST_CENTS: f64 = 100_000_000.0;

/// Routes under `/dev`.
pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/dev/", get(index))
        .route("/dev/health", get(health))
        .route("/dev/requests", get(requests).delete(reset_requests))
        .route("/dev/faults", get(armed_faults).post(arm_fault).delete(clear_faults))
        .route("/dev/orders", post(create_order))
        .route("/dev/inventory", post(set_quantity))
        .route("/dev/sla-breach", post(breach_sla))
}

async fn index(Extract(state): Extract<State>) -> Response {
    let shop = state.default_shop();
    Json(json!({
        "GET /dev/health": "200 when the origin answers",
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
            "order": "the name of an order, such as #HR1001; the newest open one if left out",
            "operator": "the name of an operator; the first if left out",
        },
    }))
    .into_response()
}

/// Says `public`, as the system that this stands for does, although a health check must not be stored.
async fn health() -> Response {
    let public = [(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"))];
    (public, Json(json!({ "status": "ok" }))).into_response()
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

async fn create_order(Extract(state): Extract<State>, body: Bytes) -> Result<Response, ApiError> {
    let event: OrderEvent = parse_event(&body)?;
    let total_cents = event.total.map(cents).transpose()?;
    let order = NewOrder { shop: shop_of(&state, event.shop)?, total_cents, at: state.clock.now() };
    Ok(created(state.store.create_order(order).await?))
}

async fn set_quantity(Extract(state): Extract<State>, body: Bytes) -> Result<Response, ApiError> {
    let event: InventoryEvent = parse_event(&body)?;
    let change = NewQuantity {
        shop: shop_of(&state, event.shop)?,
        sku: event.sku,
        quantity: event.quantity,
        at: state.clock.now(),
    };
    Ok(created(state.store.set_quantity(change).await?.map_err(refused)?))
}

async fn breach_sla(Extract(state): Extract<State>, body: Bytes) -> Result<Response, ApiError> {
    let event: BreachEvent = parse_event(&body)?;
    let breach = NewBreach {
        shop: shop_of(&state, event.shop)?,
        order: event.order,
        operator: event.operator,
        at: state.clock.now(),
    };
    Ok(created(state.store.breach_sla(breach).await?.map_err(refused)?))
}

fn created<T: Serialize>(created: T) -> Response {
    #[derive(Serialize)]
    struct Created<T> {
        created: T,
    }
    (StatusCode::CREATED, Json(Created { created })).into_response()
}

fn refused(refusal: Refusal) -> ApiError {
    let sentence = match refusal {
        Refusal::Sku(sku) => format!("sku: the shop sells no {sku:?}."),
        Refusal::Order(order) => {
            format!("order: the shop has no {order:?} without an issue.")
        }
        Refusal::Operator(operator) => format!("operator: the shop has no {operator:?}."),
    };
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, sentence)
}

fn shop_of(state: &State, named: Option<String>) -> Result<String, ApiError> {
    match named {
        None => Ok(state.default_shop().to_owned()),
        Some(shop) if state.has_shop(&shop) => Ok(shop),
        Some(shop) => Err(shop::unknown(&shop)),
    }
}

/// Money with two decimals as cents.
fn cents(total: f64) -> Result<i64, ApiError> {
    let cents = (total * 100.0).round();
    if !(1.0..=MOST_CENTS).contains(&cents) || (total * 100.0 - cents).abs() > 1e-4 {
        let sentence = "total: give an amount from 0.01 to 1000000 with at most two decimals.";
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, sentence));
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range, as just checked")]
    Ok(cents as i64)
}

/// A body that need not be there.
fn parse_event<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, ApiError> {
    if body.is_empty() {
        return Ok(T::default());
    }
    parse(body)
}

/// Reads JSON, or says which field is wrong.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // A list would be read as the fields in their order.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(ApiError::bad_request("The body is a list: give a JSON object."));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        if error.is_data() {
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{path}: {error}."))
        } else {
            not_json(&error)
        }
    })?;
    deserializer.end().map_err(|error| not_json(&error))?;
    Ok(parsed)
}

fn not_json(error: &serde_json::Error) -> ApiError {
    ApiError::bad_request(format!("The body is not JSON: {error}."))
}
