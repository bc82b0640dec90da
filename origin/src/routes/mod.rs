//! Every path, and what stands before the routes: who may ask, counting, then faults.

mod analytics;
mod exports;
mod groups;
mod live;
mod orders;
mod public;
mod tiles;

use axum::{
    Router,
    extract::{Request, State as Extract},
    http::{HeaderMap, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

pub(crate) use tiles::is_tile;

use crate::{credential::Credential, dev, envelope::ApiError, faults, state::State};

/// The header in which the edge shows the secret that it shares with the origin.
const EDGE_SECRET: &str = "edge-secret";

/// The whole API.
pub(crate) fn router(state: State) -> Router {
    Router::new()
        .merge(tiles::routes())
        .merge(analytics::routes())
        .merge(live::routes())
        .merge(exports::routes())
        .merge(orders::routes())
        .merge(public::routes())
        .merge(dev::routes())
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(state.clone(), faults::misbehave))
        .layer(middleware::from_fn_with_state(state.clone(), count))
        .layer(middleware::from_fn_with_state(state.clone(), admit))
        .with_state(state)
}

/// Refuses who does not show the edge's secret, if there is one.
async fn admit(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_guarded = path.starts_with("/api/") && path != public::STATUS;
    match &state.edge_secret {
        Some(secret) if is_guarded && !shows(request.headers(), secret) => {
            let refusal = ApiError::new(StatusCode::FORBIDDEN, "Ask the edge: this origin answers nobody else.");
            ([(header::CACHE_CONTROL, "no-store")], refusal).into_response()
        }
        _ => next.run(request).await,
    }
}

fn shows(headers: &HeaderMap, secret: &Credential) -> bool {
    let mut shown = headers.get_all(EDGE_SECRET).iter();
    matches!((shown.next(), shown.next()), (Some(shown), None) if secret.is(shown.as_bytes()))
}

async fn count(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !path.starts_with("/dev/") {
        state.requests.count(path);
    }
    next.run(request).await
}

async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::not_found(format!("There is nothing at {:?}.", uri.path()))
}

async fn no_such_method() -> ApiError {
    let sentence = "This path is not for that method; the Allow header lists those that it is for.";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, sentence)
}
