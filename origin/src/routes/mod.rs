//! Every path, and what stands before the routes: counting, then faults.

mod analytics;
mod exports;
mod groups;
mod live;
mod orders;
mod tiles;

use axum::{
    Router,
    extract::{Request, State as Extract},
    http::{StatusCode, Uri},
    middleware::{self, Next},
    response::Response,
};

use crate::{dev, envelope::ApiError, faults, state::State};

/// The whole API.
pub(crate) fn router(state: State) -> Router {
    Router::new()
        .merge(tiles::routes())
        .merge(analytics::routes())
        .merge(live::routes())
        .merge(exports::routes())
        .merge(orders::routes())
        .merge(dev::routes())
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(state.clone(), faults::misbehave))
        .layer(middleware::from_fn_with_state(state.clone(), count))
        .with_state(state)
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
