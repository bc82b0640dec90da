//! Every path.

mod analytics;
mod exports;
mod live;
mod tiles;

use axum::{
    Router,
    http::{StatusCode, Uri},
};

use crate::{envelope::ApiError, state::State};

/// The whole API.
pub(crate) fn router(state: State) -> Router {
    Router::new()
        .merge(tiles::routes())
        .merge(analytics::routes())
        .merge(live::routes())
        .merge(exports::routes())
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(state)
}

async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::not_found(format!("There is nothing at {:?}.", uri.path()))
}

async fn no_such_method() -> ApiError {
    let sentence = "This path is not for that method; the Allow header lists those that it is for.";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, sentence)
}
