//! What anyone may ask for: no shop is named, and no edge has to vouch for it.

use axum::{Router, extract::State as Extract, response::Response, routing::get};
use serde_json::json;

use crate::state::State;

/// Whether the origin answers.
pub(super) const STATUS: &str = "/api/public/status";

/// The public route.
pub(super) fn routes() -> Router<State> {
    Router::new().route(STATUS, get(status))
}

async fn status(Extract(state): Extract<State>) -> Response {
    state.envelopes.api_of(None, json!({ "status": "operational" }))
}
