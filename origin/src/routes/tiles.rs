//! The five tiles, the KPI summary and the trends: the tile envelope.

use axum::{
    Router,
    extract::{Query, State as Extract, rejection::QueryRejection},
    response::Response,
    routing::get,
};
use serde::{Deserialize, Serialize};

use super::groups::{INVENTORY, ORDERS, ORDERS_AND_INVENTORY, grouped};
use crate::{
    envelope::{ApiError, Stamped},
    shop::Shop,
    state::State,
    store::{CategoryDay, RevenueDay},
};

/// Tiles, KPI summary, trends.
pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/api/dashboard/tiles/sales-pulse", get(sales_pulse))
        .route("/api/dashboard/tiles/inventory", get(inventory))
        .route("/api/dashboard/tiles/fulfillment", get(fulfillment))
        .route("/api/dashboard/tiles/cx", get(cx))
        .route("/api/dashboard/tiles/ops", get(ops))
        .route("/api/dashboard/kpi/summary", get(kpi_summary))
        .route("/api/dashboard/trends/revenue", get(revenue_trend))
        .route("/api/dashboard/trends/categories", get(category_trend))
}

/// Whether answers of this path come in the envelope of tiles.
pub(crate) fn is_tile(path: &str) -> bool {
    ["/api/dashboard/tiles/", "/api/dashboard/kpi/", "/api/dashboard/trends/"]
        .iter()
        .any(|start| path.starts_with(start))
}

async fn sales_pulse(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Data<P, O> {
        #[serde(flatten)]
        pulse: P,
        pending_fulfillment: Vec<O>,
    }
    let (pulse, pending_fulfillment) = state.store.sales_pulse(shop).await?;
    Ok(grouped(ORDERS, state.envelopes.tile(|_| Data { pulse, pending_fulfillment })))
}

async fn inventory(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Data<A> {
        alerts: Vec<Stamped<A>>,
        count: usize,
    }
    let alerts = state.store.inventory_alerts(shop).await?;
    Ok(grouped(
        INVENTORY,
        state.envelopes.tile(|generated_at| Data {
            count: alerts.len(),
            alerts: alerts.into_iter().map(|alert| Stamped::new(alert, generated_at)).collect(),
        }),
    ))
}

async fn fulfillment(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Data<I> {
        issues: Vec<I>,
        count: usize,
    }
    let issues = state.store.fulfillment_issues(shop).await?;
    Ok(grouped(ORDERS, state.envelopes.tile(|_| Data { count: issues.len(), issues })))
}

async fn cx(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Data<E> {
        escalations: Vec<E>,
        count: usize,
    }
    let escalations = state.store.cx_escalations(shop).await?;
    Ok(state.envelopes.tile(|_| Data { count: escalations.len(), escalations }))
}

async fn ops(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    let operations = state.store.operations(shop).await?;
    Ok(state.envelopes.tile(|_| operations))
}

async fn kpi_summary(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    let summary = state.store.kpi_summary(shop).await?;
    Ok(grouped(ORDERS_AND_INVENTORY, state.envelopes.tile(|_| summary)))
}

#[derive(Serialize)]
struct Trend<D> {
    range_days: u8,
    series: Vec<D>,
}

async fn revenue_trend(
    Extract(state): Extract<State>,
    Shop(shop): Shop,
    days: Result<Query<Range>, QueryRejection>,
) -> Result<Response, ApiError> {
    let range_days = range(&days)?;
    let series: Vec<RevenueDay> = state.store.revenue_trend(shop, range_days).await?;
    Ok(state.envelopes.tile(|_| Trend { range_days, series }))
}

async fn category_trend(
    Extract(state): Extract<State>,
    Shop(shop): Shop,
    days: Result<Query<Range>, QueryRejection>,
) -> Result<Response, ApiError> {
    let range_days = range(&days)?;
    let series: Vec<CategoryDay> = state.store.category_trend(shop, range_days).await?;
    Ok(state.envelopes.tile(|_| Trend { range_days, series }))
}

#[derive(Deserialize)]
struct Range {
    days: Option<u8>,
}

/// 30 days unless the request says 90.
fn range(query: &Result<Query<Range>, QueryRejection>) -> Result<u8, ApiError> {
    match query {
        Ok(Query(Range { days: None | Some(30) })) => Ok(30),
        Ok(Query(Range { days: Some(90) })) => Ok(90),
        _ => Err(ApiError::bad_request("days: give 30 or 90.")),
    }
}
