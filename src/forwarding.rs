//! What is changed in a message that is passed on as it stands: hop-by-hop fields, the names that the origin
//! trusts, and the few that the edge adds. Nothing else is touched, and the body never.

use crate::access::Admitted;
use crate::cache_status::{CACHE_NAME, CacheStatus};
use crate::classify::Lane;
use crate::config::Config;
use crate::fill::Question;
use crate::key::Tenant;
use crate::names::field;
use crate::ports::{Edits, Field, Request, Response};
use crate::rules::{Shape, Text};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Whether a request has passed through this edge before (RFC 8586, section 2).
#[must_use]
pub fn is_loop(cdn_loop: Option<&str>) -> bool {
    let id = |member: &str| member.split(';').next().unwrap_or_default().trim() == CACHE_NAME;
    cdn_loop.is_some_and(|field| field.split(',').any(id))
}

/// What tells the origin who asks, for whom, in which role, and through what. Without a tenant, the edge vouches for
/// nobody.
fn edge_fields(
    config: &Config,
    on_behalf: Option<(&Tenant, Option<&Text>)>,
    request_id: String,
    cdn_loop: Option<String>,
) -> Vec<Field> {
    let cdn_loop = match cdn_loop.filter(|before| !before.trim().is_empty()) {
        Some(before) => format!("{before}, {CACHE_NAME}"),
        None => CACHE_NAME.to_string(),
    };
    let mut fields =
        vec![(Text::Borrowed(field::CDN_LOOP), cdn_loop), (Text::Borrowed(field::X_REQUEST_ID), request_id)];
    if let Some((tenant, role)) = on_behalf {
        fields.push((Text::Borrowed(field::EDGE_SECRET), config.origin_secret.clone()));
        fields.push((Text::Borrowed(field::X_SHOP_DOMAIN), tenant.as_str().to_string()));
        fields.extend(role.map(|role| (Text::Borrowed(field::EDGE_ROLE), role.to_string())));
    }
    fields
}

/// All header fields of a request that fills the store. Nothing of the client's is in it, so that equal keys
/// send equal bytes, unless the route follows its origin; the request id is the edge's own. `conditions` ask whether a
/// stored response is still right.
#[must_use]
pub fn fill_fields(
    config: &Config,
    question: &Question,
    shape: Option<&Shape>,
    conditions: &[(&'static str, &str)],
    request_id: String,
) -> Vec<Field> {
    let on_behalf = Some((&question.tenant, question.role.as_ref()));
    let cdn_loop = question.inbound.as_ref().and_then(|inbound| inbound.field(field::CDN_LOOP));
    let mut fields = edge_fields(config, on_behalf, request_id, cdn_loop.map(String::from));
    fields.extend(shape.map(|shape| (Text::Borrowed(field::ACCEPT), shape.content_type.to_string())));
    if let Some(inbound) = &question.inbound {
        fields.extend(inbound.fields().iter().filter(|(name, _)| name != field::CDN_LOOP).cloned());
    }
    fields.extend(conditions.iter().map(|(name, value)| (Text::Borrowed(*name), (*value).to_string())));
    fields
}

/// The greatest length of the header fields of a request that is passed on, names and values, in bytes: less than what
/// the servers behind the edge take, so that nobody makes one of them fail for a whole connection.
pub const FIELDS_GREATEST_LENGTH: usize = 16_000;

/// Whether a request's header fields are too long to be passed on.
#[must_use]
pub fn is_too_long<R: Request>(request: &R) -> bool {
    let lengths = request
        .header_names()
        .into_iter()
        .map(|name| name.len() + request.header(&name).map_or(0, |value| value.len()));
    lengths.sum::<usize>() > FIELDS_GREATEST_LENGTH
}

/// Whether a field of a client's request ends here: hop-by-hop, named by Connection, or one that only the edge may send.
#[must_use]
pub fn is_dropped(name: &str, named_by_connection: &[String]) -> bool {
    // Many servers read an underscore in a field's name as a hyphen.
    let read_as = name.replace('_', "-");
    field::HOP_BY_HOP.contains(&name)
        || field::NEXT_HOP.contains(&name)
        || named_by_connection.iter().any(|named| named == name)
        || field::TRUSTED.contains(&read_as.as_str())
        || field::TRUSTED_PREFIXES.iter().any(|prefix| read_as.starts_with(prefix))
}

/// What is changed in a client's request on its way to the origin.
#[must_use]
pub fn request_edits<R: Request>(
    request: &R,
    config: &Config,
    admitted: Option<&Admitted>,
    request_id: String,
) -> Edits {
    let named = connection_options(request.header(field::CONNECTION));
    // An upgrade (RFC 9110, section 7.8) is made hop by hop: the runtime asks for it again on its own connection.
    let upgrades = request.header(field::UPGRADE).is_some();
    let dropped = |name: &String| is_dropped(name, &named) && !(upgrades && name == field::UPGRADE);
    Edits {
        remove: request.header_names().into_iter().filter(dropped).map(Text::Owned).collect(),
        set: edge_fields(
            config,
            admitted.map(|admitted| (&admitted.tenant, admitted.role.as_ref())),
            request_id,
            request.header(field::CDN_LOOP),
        ),
    }
}

/// What is changed in the origin's answer on its way to the client.
#[must_use]
pub fn response_edits<R: Response>(response: &R, lane: Lane<'_>, status: &CacheStatus, request_id: String) -> Edits {
    let mut remove: Vec<Text> =
        connection_options(response.header(field::CONNECTION)).into_iter().map(Text::Owned).collect();
    // A 101 says to what the connection is upgraded; on any other answer the field is of the next hop.
    let kept = |name: &&str| *name == field::UPGRADE && response.status() == 101;
    remove.extend(field::HOP_BY_HOP.into_iter().filter(|name| !kept(name)).map(Text::Borrowed));
    // Only the edge says where its ledger stands; and what is for this cache alone ends here (RFC 9213, section 2.2).
    remove.extend([field::EPOCH_TOKEN, field::HOTROD_CDN_CACHE_CONTROL].map(Text::Borrowed));
    let mut set = vec![
        (field::CACHE_STATUS, status.field_value(response.header(field::CACHE_STATUS).as_deref())),
        (field::CLOUDFLARE_CDN_CACHE_CONTROL, "no-store".to_string()),
        (field::X_REQUEST_ID, request_id),
    ];
    match lane {
        Lane::Live(_) => {
            set.push((field::CACHE_CONTROL, "no-store".to_string()));
            remove.extend(
                [field::CDN_CACHE_CONTROL, field::SURROGATE_CONTROL, field::EXPIRES, field::PRAGMA].map(Text::Borrowed),
            );
        }
        Lane::Bypass(_) | Lane::Unlisted | Lane::Method(_) | Lane::Past(..) => {
            // Every answer says whether it may be kept, so that no cache in front has to guess.
            if response.header(field::CACHE_CONTROL).is_none() && response.header(field::EXPIRES).is_none() {
                set.push((field::CACHE_CONTROL, "no-store".to_string()));
            }
        }
    }
    Edits { remove, set: set.into_iter().map(|(name, value)| (Text::Borrowed(name), value)).collect() }
}

/// The fields that a Connection field names (RFC 9110, section 7.6.1), in lower case.
#[must_use]
pub fn connection_options(connection: Option<String>) -> Vec<String> {
    let connection = connection.unwrap_or_default();
    let token = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    // Cache-Control, among others, is end-to-end: no Connection field can take it out. Upgrade is hop-by-hop by
    // itself, and stays where the connection is upgraded.
    let kept = |name: &String| {
        ![
            field::CACHE_CONTROL,
            field::AUTHORIZATION,
            field::CONTENT_TYPE,
            field::COOKIE,
            field::SET_COOKIE,
            field::UPGRADE,
        ]
        .contains(&name.as_str())
    };
    let names = connection.split(',').map(|name| name.trim().to_ascii_lowercase());
    names.filter(|name| !name.is_empty() && token(name)).filter(kept).collect()
}
