//! What is settled of a request before anybody asks who sends it: the host, TLS, loops, and pages of other origins.

use crate::answer::Made;
use crate::cors::{Sharing, is_foreign};
use crate::forwarding::is_loop;
use crate::names::field;
use crate::ports::{Ports, Request};
use crate::problem::{Kind, Problem};
use crate::target::Target;

/// The answer, if this is all that there is to say. Otherwise the request goes on.
///
/// # Errors
/// Why it does not.
pub fn guard<P: Ports>(
    ports: &P,
    request: &P::Request,
    target: &Target<'_>,
    sharing: Option<&Sharing>,
) -> Result<Option<Made<P::Body>>, Problem> {
    if !ports.config().serves(target.host) {
        return Err(Problem::new(
            Kind::Host,
            "This host is not one that the deployment serves; the variable HOSTS lists them.",
        ));
    }
    if !target.is_secure && !target.is_local() {
        return Ok(Some(Made::moved(format!("https://{}{}", target.host, target.after_host()))));
    }
    if is_loop(request.header(field::CDN_LOOP).as_deref()) {
        return Err(Problem::new(
            Kind::Loop,
            "The request came back through this edge: its origin must not be the edge itself.",
        ));
    }
    // Its answer would repeat what the edge tells the origin alone (RFC 9110, section 9.3.8).
    if request.method() == "TRACE" {
        return Err(Problem::new(Kind::Method, "TRACE is not passed on, since its answer would tell a secret.")
            .with(field::ALLOW, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
    if let Some(preflight) = sharing.and_then(|sharing| sharing.preflight(request)) {
        return preflight.map(Some);
    }
    // A login's cookie comes along whoever makes the browser send it.
    let is_safe = matches!(request.method(), "GET" | "HEAD" | "OPTIONS") && request.header(field::UPGRADE).is_none();
    if !ports.config().access.is_public() && !is_safe && is_foreign(ports.config(), request) {
        return Err(Problem::new(
            Kind::Forbidden,
            "A page of this origin may not write here: CORS_ORIGINS lists those that may.",
        ));
    }
    Ok(None)
}
