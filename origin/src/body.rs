//! Bodies of requests: JSON, read strictly, and money.

use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use crate::envelope::ApiError;

/// The most that an order may come to.
const MOST_CENTS: f64 = 100_000_000.0;

/// Money with two decimals as cents.
pub(crate) fn cents(total: f64) -> Result<i64, ApiError> {
    let cents = (total * 100.0).round();
    if !(1.0..=MOST_CENTS).contains(&cents) || (total * 100.0 - cents).abs() > 1e-4 {
        let sentence = "total: give an amount from 0.01 to 1000000 with at most two decimals.";
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, sentence));
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range, as just checked")]
    Ok(cents as i64)
}

/// A body that need not be there.
pub(crate) fn parse_optional<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, ApiError> {
    if body.is_empty() {
        return Ok(T::default());
    }
    parse(body)
}

/// Reads JSON, or says which field is wrong.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
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
