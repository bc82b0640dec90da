//! Pages of other origins: which may read what the edge answers (the Fetch standard's CORS protocol), and which may
//! write at all.
//!
//! Where the deployment lists any, the edge answers for them itself: what the origin says about it is taken out. What is
//! stored says nothing about it.

use crate::answer::{Answer, Made};
use crate::config::Config;
use crate::names::{field, path};
use crate::ports::{Body, Edits, Field, Ports, Request, Response as _};
use crate::problem::{Kind, Problem};
use crate::rules::Text;
use crate::target::Target;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

/// What a page may send. Everything else needs no listing, or is nobody's to send.
const ALLOWED_FIELDS: &str = "Authorization, Content-Type, If-None-Match, X-Newer-Than";
const ALLOWED_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// What a page may read of an answer besides what it always may.
const EXPOSED_FIELDS: &str = "Age, Cache-Status, Epoch-Token, ETag, Retry-After, WWW-Authenticate, X-Request-Id, X-Shopify-Retry-Invalid-Session-Request";
/// For so long a browser need not ask again, in seconds.
const MAX_AGE: &str = "600";

/// For which page an answer is, if the deployment lists any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharing {
    /// The page's origin, if it is listed.
    origin: Option<String>,
    /// Whether the browser may send what it has of its own accord: the login's cookie.
    with_credentials: bool,
}

impl Sharing {
    /// Of a request. The admin plane is for no page, but for what readers may ask of it.
    #[must_use]
    pub fn of<R: Request>(config: &Config, request: &R) -> Option<Self> {
        if config.cors_origins.is_empty() {
            return None;
        }
        let target = Target::parse(request.url()).ok()?;
        let is_admin = target.path.strip_prefix(path::ADMIN).is_some_and(|rest| rest.starts_with('/'));
        if is_admin && target.path != path::REFRESH || target.path == path::HEALTH {
            return None;
        }
        let origin = request.header(field::ORIGIN).filter(|origin| config.cors_origins.contains(origin));
        Some(Self { origin, with_credentials: config.access.varies_by() == Some(field::COOKIE) })
    }

    /// The answer to a browser that asks what a page may send (a preflight), before it sends any credential.
    pub fn preflight<B, R: Request>(&self, request: &R) -> Option<Result<Made<B>, Problem>> {
        if request.method() != "OPTIONS" {
            return None;
        }
        request.header(field::ACCESS_CONTROL_REQUEST_METHOD)?;
        if self.origin.is_none() {
            request.header(field::ORIGIN)?;
            return Some(Err(Problem::new(Kind::Forbidden, "Pages of this origin may not read here.")));
        }
        let fields = [
            (field::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS),
            (field::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_FIELDS),
            (field::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
            (field::CACHE_CONTROL, "no-store"),
            (field::CLOUDFLARE_CDN_CACHE_CONTROL, "no-store"),
        ];
        let fields = fields.into_iter().map(|(name, value)| (Text::Borrowed(name), value.to_string())).collect();
        Some(Ok(Made { status: 204, fields, body: Body::Empty }))
    }

    /// Says on an answer who may read it.
    pub fn say<P: Ports>(&self, answer: &mut Answer<P>) {
        match answer {
            Answer::Made(made) => {
                // What an origin says on a route that follows it is not for it to say.
                made.fields.retain(|(name, _)| !field::READABLE_BY.contains(&name.as_ref()));
                vary(&mut made.fields, None);
                made.fields.extend(self.fields());
            }
            Answer::Passed { response, edits } => {
                edits.remove.extend(field::OF_CORS.map(Text::Borrowed));
                vary(&mut edits.set, response.header(field::VARY));
                edits.set.extend(self.fields());
            }
        }
    }

    fn fields(&self) -> Vec<Field> {
        let Some(origin) = &self.origin else { return Vec::new() };
        let mut fields = vec![
            (Text::Borrowed(field::ACCESS_CONTROL_ALLOW_ORIGIN), origin.clone()),
            (Text::Borrowed(field::ACCESS_CONTROL_EXPOSE_HEADERS), EXPOSED_FIELDS.to_string()),
        ];
        if self.with_credentials {
            fields.push((Text::Borrowed(field::ACCESS_CONTROL_ALLOW_CREDENTIALS), "true".to_string()));
        }
        fields
    }
}

/// Adds that an answer depends on the page's origin: to what is said already, or else to what was said before.
fn vary(fields: &mut Vec<Field>, before: Option<String>) {
    match fields.iter_mut().find(|(name, _)| name == field::VARY) {
        Some((_, value)) => value.push_str(", Origin"),
        None => fields.push((Text::Borrowed(field::VARY), also_varies(before, "Origin"))),
    }
}

/// A Vary field with one name more (RFC 9110, section 12.5.5).
#[must_use]
pub fn also_varies(before: Option<String>, name: &str) -> String {
    match before.filter(|before| !before.trim().is_empty()) {
        Some(mut before) => {
            before.push_str(", ");
            before.push_str(name);
            before
        }
        None => name.to_string(),
    }
}

impl Edits {
    /// Adds that the answer that is passed on depends on this field of the request.
    pub fn vary_by(&mut self, name: &str, before: Option<String>) {
        self.set.push((Text::Borrowed(field::VARY), also_varies(before, name)));
    }
}

/// Whether a request comes from a page of another origin that is not listed. A browser says so itself, and sends the
/// login's cookie all the same: such a page may not write, nor open a WebSocket.
#[must_use]
pub fn is_foreign<R: Request>(config: &Config, request: &R) -> bool {
    let Some(origin) = request.header(field::ORIGIN) else { return false };
    let own = request.url().strip_prefix(&origin).is_some_and(|rest| rest.starts_with('/'));
    !own && !config.cors_origins.contains(&origin)
}
