//! What must never be stored, although two of these routes say that it may, as the system they stand for does.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    extract::{
        Path, Query, State as Extract, WebSocketUpgrade,
        rejection::QueryRejection,
        ws::{Message, WebSocket},
    },
    http::{HeaderMap, HeaderValue, header},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::{any, get},
};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{envelope::ApiError, shop::Shop, state::State};

/// Everything under `/api/realtime`.
pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/api/realtime/sla", get(sla))
        .route("/api/realtime/escalations", get(escalations))
        .route("/api/realtime/inventory/{sku}", get(stock))
        .route("/api/realtime/stream", get(stream_status))
        .route("/api/realtime/echo", any(echo))
}

/// The wrong header of the system that this stands for.
fn public_for_a_minute(mut answer: Response) -> Response {
    let value = HeaderValue::from_static("public, max-age=60");
    answer.headers_mut().insert(header::CACHE_CONTROL, value);
    answer
}

async fn sla(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    let status = state.store.sla_status(shop.clone()).await?;
    Ok(public_for_a_minute(state.envelopes.api(&shop, status)))
}

/// Personal, and sent without a word on caching.
async fn escalations(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Data<E> {
        escalations: Vec<E>,
        count: usize,
    }
    let escalations = state.store.live_escalations(shop.clone()).await?;
    Ok(state.envelopes.api(&shop, Data { count: escalations.len(), escalations }))
}

async fn stock(
    Extract(state): Extract<State>,
    Shop(shop): Shop,
    Path(sku): Path<String>,
) -> Result<Response, ApiError> {
    match state.store.stock(shop.clone(), sku.clone()).await? {
        Some(stock) => Ok(public_for_a_minute(state.envelopes.api(&shop, stock))),
        None => Err(ApiError::not_found(format!("The shop sells no {sku:?}."))),
    }
}

#[derive(Deserialize)]
struct Interval {
    interval_ms: Option<u64>,
}

/// The SLA at once, and again after every interval.
async fn stream_status(
    Extract(state): Extract<State>,
    Shop(shop): Shop,
    query: Result<Query<Interval>, QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let interval = match query {
        Ok(Query(Interval { interval_ms: None })) => Duration::from_secs(1),
        Ok(Query(Interval { interval_ms: Some(ms @ 1..=3_600_000) })) => Duration::from_millis(ms),
        _ => return Err(ApiError::bad_request("interval_ms: give 1 to 3600000.")),
    };
    let ticks = tokio::time::interval(interval);
    let events = stream::unfold((ticks, 1_u64), move |(mut ticks, number)| {
        let state = state.clone();
        let shop = shop.clone();
        async move {
            ticks.tick().await;
            // A database that fails ends the stream; the client connects again, and is told why.
            let status = state.store.sla_status(shop).await.ok()?;
            let data = json!({ "sla": status, "at": state.clock.stamp() });
            let event = Event::default().event("sla").id(number.to_string()).data(data.to_string());
            Some((Ok(event), (ticks, number + 1)))
        }
    });
    Ok(Sse::new(events))
}

/// Sends back what it is sent. Of the subprotocols asked for, the first is agreed to.
async fn echo(
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
    headers: HeaderMap,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            return ApiError::new(rejection.status(), format!("This path speaks WebSocket: {rejection}."))
                .into_response();
        }
    };
    let asked: Vec<String> = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    upgrade.protocols(asked).on_upgrade(send_back)
}

async fn send_back(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let sent = match message {
            Message::Text(_) | Message::Binary(_) => socket.send(message).await,
            // Pings are answered, and closing is agreed to, by the library.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => Ok(()),
        };
        if sent.is_err() {
            return;
        }
    }
}
