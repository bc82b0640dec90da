//! Cache groups (RFC 9875): which answers a write makes out of date.

use axum::{
    http::{HeaderName, HeaderValue},
    response::Response,
};

/// On an answer: the groups that it belongs to.
pub(super) const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
/// On the answer to a write: the groups that it makes out of date.
pub(super) const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

/// What orders touch.
pub(super) const ORDERS: HeaderValue = HeaderValue::from_static(r#""orders""#);
/// What stock touches.
pub(super) const INVENTORY: HeaderValue = HeaderValue::from_static(r#""inventory""#);
/// What both touch.
pub(super) const ORDERS_AND_INVENTORY: HeaderValue = HeaderValue::from_static(r#""orders", "inventory""#);

/// The answer as a member of these groups.
pub(super) fn grouped(groups: HeaderValue, mut answer: Response) -> Response {
    answer.headers_mut().insert(CACHE_GROUPS, groups);
    answer
}
