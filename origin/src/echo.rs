//! Everything that a request brought, so that a test sees what reached the origin.

use axum::{
    Json,
    body::to_bytes,
    extract::{Query, Request, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use crate::envelope::ApiError;

/// The most that is held of a request's body.
const MOST_BODY: usize = 2 * 1024 * 1024;

/// A request, as it came.
#[derive(Debug, Serialize)]
pub(crate) struct Received {
    method: String,
    target: String,
    /// Names and values. The names stand in the order in which each came first, and what is of one name
    /// stands together, in its order.
    headers: Vec<[String; 2]>,
    body: String,
}

impl Received {
    /// Reads a request to its end. What is not UTF-8 is replaced.
    pub(crate) async fn of(request: Request) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, MOST_BODY).await.map_err(|_| {
            let sentence = format!("The body broke off, or is longer than the {MOST_BODY} bytes that an echo holds.");
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, sentence)
        })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Self {
            method: parts.method.to_string(),
            target: parts.uri.to_string(),
            headers: parts
                .headers
                .iter()
                .map(|(name, value)| [name.as_str().to_owned(), text(value.as_bytes())])
                .collect(),
            body: text(&body),
        })
    }
}

/// What may be asked of an echo; the rest of the query is only sent back.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Wanted {
    cache_control: Option<String>,
}

/// Answers with the request, as storable as it asks for.
pub(crate) async fn echo(
    wanted: Result<Query<Wanted>, QueryRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let cache_control = match wanted {
        Ok(Query(Wanted { cache_control: None })) => Some(HeaderValue::from_static("no-store")),
        Ok(Query(Wanted { cache_control: Some(value) })) => HeaderValue::try_from(value).ok(),
        Err(_) => None,
    };
    let cache_control = cache_control.ok_or_else(|| {
        ApiError::bad_request("cache-control: give one value of a header, percent-encoded, or leave it out.")
    })?;
    Ok(([(header::CACHE_CONTROL, cache_control)], Json(Received::of(request).await?)).into_response())
}
