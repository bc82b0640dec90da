//! Products, alerts, segments, growth, comparisons: the API envelope.

use axum::{
    Router,
    extract::{Path, State as Extract},
    response::Response,
    routing::{get, post},
};
use serde::Serialize;
use serde_json::json;

use super::groups::{INVENTORY, ORDERS, grouped};
use crate::{envelope::ApiError, shop::Shop, state::State, store::Comparison};

/// Everything under `/api/dashboard` that is not in the tile envelope.
pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/api/dashboard/products/top", get(top_products))
        .route("/api/dashboard/products/performance", get(product_performance))
        .route("/api/dashboard/alerts/critical", get(critical_alerts))
        .route("/api/dashboard/alerts/all", get(all_alerts))
        .route("/api/dashboard/alerts/{id}/acknowledge", post(acknowledge_alert))
        .route("/api/dashboard/segments", get(segments))
        .route("/api/dashboard/growth/metrics", get(growth_metrics))
        .route("/api/dashboard/growth/milestones", get(growth_milestones))
        .route("/api/dashboard/metrics/ytd", get(year_to_date))
        .route("/api/dashboard/time-savings", get(time_savings))
        .route("/api/dashboard/owner/summary", get(owner_summary))
        .route("/api/dashboard/compare/yoy", get(year_over_year))
        .route("/api/dashboard/compare/qoq", get(quarter_over_quarter))
}

async fn top_products(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Data<P> {
        window_days: u8,
        products: Vec<P>,
    }
    let products = state.store.top_products(shop.clone()).await?;
    Ok(grouped(ORDERS, state.envelopes.api(&shop, Data { window_days: 30, products })))
}

async fn product_performance(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    let categories = state.store.product_performance(shop.clone()).await?;
    Ok(state.envelopes.api(&shop, categories))
}

#[derive(Serialize)]
struct Alerts<A> {
    alerts: Vec<A>,
    count: usize,
}

async fn critical_alerts(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    let alerts = state.store.alerts(shop.clone(), true).await?;
    Ok(grouped(INVENTORY, state.envelopes.api(&shop, Alerts { count: alerts.len(), alerts })))
}

async fn all_alerts(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    let alerts = state.store.alerts(shop.clone(), false).await?;
    Ok(grouped(INVENTORY, state.envelopes.api(&shop, Alerts { count: alerts.len(), alerts })))
}

async fn acknowledge_alert(
    Extract(state): Extract<State>,
    Shop(shop): Shop,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let at = state.clock.stamp();
    if state.store.acknowledge(shop.clone(), id.clone(), at.clone()).await? {
        Ok(state.envelopes.api(&shop, json!({ "alert_id": id, "acknowledged_at": at })))
    } else {
        Err(ApiError::not_found(format!("The shop has no alert {id:?}.")))
    }
}

async fn segments(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    let segments = state.store.segments(shop.clone()).await?;
    Ok(state.envelopes.api(&shop, segments))
}

async fn growth_metrics(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    let growth = state.store.growth_metrics(shop.clone()).await?;
    Ok(grouped(ORDERS, state.envelopes.api(&shop, growth)))
}

async fn growth_milestones(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    let months = state.store.growth_milestones(shop.clone()).await?;
    Ok(state.envelopes.api(&shop, months))
}

async fn year_to_date(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Data {
        from: String,
        to: String,
        ytd_revenue: f64,
        ytd_orders: i64,
        ytd_units: i64,
        avg_order_value: f64,
        previous_ytd_revenue: f64,
        revenue_growth_pct: f64,
    }
    let year = state.store.year_to_date(shop.clone()).await?;
    let data = Data {
        from: year.current_from,
        to: year.current_to,
        ytd_revenue: year.current_revenue,
        ytd_orders: year.current_orders,
        ytd_units: year.current_units,
        avg_order_value: year.current_aov,
        previous_ytd_revenue: year.previous_revenue,
        revenue_growth_pct: year.revenue_change_pct,
    };
    Ok(state.envelopes.api(&shop, data))
}

async fn time_savings(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Data<T> {
        total_hours_saved: f64,
        total_value_saved: f64,
        by_task: Vec<T>,
    }
    let by_task = state.store.time_savings(shop.clone()).await?;
    let data = Data {
        total_hours_saved: cents(by_task.iter().map(|task| task.total_hours_saved).sum()),
        total_value_saved: cents(by_task.iter().map(|task| task.total_value_saved).sum()),
        by_task,
    };
    Ok(state.envelopes.api(&shop, data))
}

/// What the owner wants to know at a glance, and nobody else is to.
async fn owner_summary(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Data {
        ytd_revenue: f64,
        previous_ytd_revenue: f64,
        total_value_saved: f64,
    }
    let year = state.store.year_to_date(shop.clone()).await?;
    let by_task = state.store.time_savings(shop.clone()).await?;
    let data = Data {
        ytd_revenue: year.current_revenue,
        previous_ytd_revenue: year.previous_revenue,
        total_value_saved: cents(by_task.iter().map(|task| task.total_value_saved).sum()),
    };
    Ok(state.envelopes.api(&shop, data))
}

/// A sum of figures with two decimals, with two decimals.
fn cents(sum: f64) -> f64 {
    (sum * 100.0).round() / 100.0
}

#[derive(Serialize)]
struct Period {
    from: String,
    to: String,
    revenue: f64,
    orders: i64,
    avg_order_value: f64,
}

#[derive(Serialize)]
struct Periods {
    current: Period,
    previous: Period,
    revenue_change_pct: f64,
    orders_change_pct: f64,
}

impl From<Comparison> for Periods {
    fn from(both: Comparison) -> Self {
        Self {
            current: Period {
                from: both.current_from,
                to: both.current_to,
                revenue: both.current_revenue,
                orders: both.current_orders,
                avg_order_value: both.current_aov,
            },
            previous: Period {
                from: both.previous_from,
                to: both.previous_to,
                revenue: both.previous_revenue,
                orders: both.previous_orders,
                avg_order_value: both.previous_aov,
            },
            revenue_change_pct: both.revenue_change_pct,
            orders_change_pct: both.orders_change_pct,
        }
    }
}

async fn year_over_year(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Data<M> {
        #[serde(flatten)]
        periods: Periods,
        months: Vec<M>,
    }
    let (year, months) = state.store.year_over_year(shop.clone()).await?;
    Ok(state.envelopes.api(&shop, Data { periods: year.into(), months }))
}

async fn quarter_over_quarter(Extract(state): Extract<State>, Shop(shop): Shop) -> Result<Response, ApiError> {
    let quarter = state.store.quarter_over_quarter(shop.clone()).await?;
    Ok(state.envelopes.api(&shop, Periods::from(quarter)))
}
