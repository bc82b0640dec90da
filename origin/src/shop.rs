//! Whose figures a request asks for.

use axum::{extract::FromRequestParts, http::request::Parts};

use crate::{envelope::ApiError, state::State};

/// The header that names the shop.
pub(crate) const SHOP_HEADER: &str = "x-shop-domain";

/// A shop that exists, named by the request.
#[derive(Debug, Clone)]
pub(crate) struct Shop(pub(crate) String);

impl FromRequestParts<State> for Shop {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, ApiError> {
        let mut named = parts.headers.get_all(SHOP_HEADER).iter();
        let (Some(shop), None) = (named.next(), named.next()) else {
            return Err(ApiError::bad_request(format!(
                "Name one shop in the X-Shop-Domain header, for example {}.",
                state.default_shop()
            )));
        };
        let shop = shop.to_str().unwrap_or_default().to_ascii_lowercase();
        if state.has_shop(&shop) { Ok(Self(shop)) } else { Err(unknown(&shop)) }
    }
}

/// The answer to a shop that is not there.
pub(crate) fn unknown(shop: &str) -> ApiError {
    ApiError::not_found(format!("There is no shop {shop:?} here."))
}
