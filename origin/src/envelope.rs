//! The two envelopes that answers come in, and errors.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{clock::Clock, store::StoreError};

/// Makes envelopes: no two carry the same id or moment.
#[derive(Debug)]
pub(crate) struct Envelopes {
    clock: std::sync::Arc<Clock>,
    facts: AtomicU64,
}

#[derive(Serialize)]
struct Tile<T> {
    status: &'static str,
    source: &'static str,
    fact: Fact,
    data: Stamped<T>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fact {
    id: u64,
    created_at: String,
}

/// Data with the moment at which it was made, as its last field.
#[derive(Serialize)]
pub(crate) struct Stamped<T> {
    #[serde(flatten)]
    data: T,
    generated_at: String,
}

impl<T> Stamped<T> {
    /// Stamps data.
    pub(crate) fn new(data: T, generated_at: &str) -> Self {
        Self { data, generated_at: generated_at.to_owned() }
    }
}

#[derive(Serialize)]
struct Api<'a, T> {
    success: bool,
    data: Option<T>,
    error: Option<&'a str>,
    timestamp: String,
    meta: Meta<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    shop: Option<&'a str>,
    generated_at: String,
}

impl Envelopes {
    /// Envelopes on a clock.
    pub(crate) fn new(clock: std::sync::Arc<Clock>) -> Self {
        Self { clock, facts: AtomicU64::new(1) }
    }

    /// The envelope of tiles, the KPI summary and trends. `data` is given the moment it is stamped with.
    pub(crate) fn tile<T: Serialize>(&self, data: impl FnOnce(&str) -> T) -> Response {
        self.tile_from("fresh", data)
    }

    /// The same, with data from elsewhere than the tables.
    pub(crate) fn tile_from<T: Serialize>(&self, source: &'static str, data: impl FnOnce(&str) -> T) -> Response {
        let generated_at = self.clock.stamp();
        let tile = Tile {
            status: "ok",
            source,
            fact: Fact { id: self.facts.fetch_add(1, Ordering::Relaxed), created_at: generated_at.clone() },
            data: Stamped::new(data(&generated_at), &generated_at),
        };
        Json(tile).into_response()
    }

    /// The envelope of everything else.
    pub(crate) fn api<T: Serialize>(&self, shop: &str, data: T) -> Response {
        self.api_of(Some(shop), data)
    }

    /// The same, if need be for no shop.
    pub(crate) fn api_of<T: Serialize>(&self, shop: Option<&str>, data: T) -> Response {
        let now = self.clock.stamp();
        Json(Api {
            success: true,
            data: Some(data),
            error: None,
            timestamp: now.clone(),
            meta: Meta { shop, generated_at: now },
        })
        .into_response()
    }
}

/// An answer that says in a sentence why there is no other.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    sentence: String,
}

impl ApiError {
    /// An error with its sentence.
    pub(crate) fn new(status: StatusCode, sentence: impl Into<String>) -> Self {
        Self { status, sentence: sentence.into() }
    }

    /// Something that does not exist.
    pub(crate) fn not_found(sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, sentence)
    }

    /// A request that cannot be understood.
    pub(crate) fn bad_request(sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, sentence)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        eprintln!("reference-origin: the database failed: {error}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "The database failed; the log says how.")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let now = crate::clock::text(crate::clock::system_now());
        let body: Api<'_, ()> = Api {
            success: false,
            data: None,
            error: Some(&self.sentence),
            timestamp: now.clone(),
            meta: Meta { shop: None, generated_at: now },
        };
        (self.status, Json(body)).into_response()
    }
}
