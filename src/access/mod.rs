//! Who is asking: decided before anything is looked up, on a hit as on a miss.
//!
//! How that is decided is a setting of the deployment, never of a request. The tenant comes from a credential that
//! holds, or from the deployment itself, and from nothing else in the request. Whatever is wrong with a credential,
//! its sender is told one and the same.

pub mod assertion;
pub mod jwks;
pub mod jwt;
pub mod session;

use crate::key::Tenant;
use crate::names::field;
use crate::ports::{Admissions as _, Failure, Incident, Ledger as _, Ports, Request, within};
use crate::problem::{Kind, Problem};
use crate::rules::{Role, Route, Rules, Text};
use crate::snapshot::ASKED_MS;
use crate::time::UnixMillis;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use assertion::Assertions;
use jwks::{Key, Need};
use jwt::{Claims, Unverified};
use serde_json::Value;
use session::SessionTokens;
use sha2::{Digest as _, Sha256};

/// For so long an issuer's keys are waited for, in milliseconds.
const KEYS_MS: u64 = 5_000;
/// For so long a credential that was verified is not verified again, in milliseconds.
const SEEN_MS: u64 = 60_000;
/// For so long a tenant is taken to be listed, in milliseconds.
const LISTED_MS: u64 = 60_000;
/// For so long it is taken not to be, or not to be known, in milliseconds.
const UNLISTED_MS: u64 = 5_000;
/// For so long what was last said of it counts while nobody can say, in milliseconds.
const REMEMBERED_MS: u64 = 600_000;

/// Who may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Whoever gets through to the Worker, as this tenant: something in front of it controls access.
    Open {
        /// The one tenant.
        tenant: Tenant,
    },
    /// Whoever has a session token of Shopify's.
    Session(SessionTokens),
    /// Whoever has an assertion of Cloudflare Access.
    Assertion(Assertions),
}

impl Access {
    /// Whether a shared cache behind the edge may keep its answers: only where everybody may read everything.
    #[must_use]
    pub fn is_public(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// The one tenant of the deployment, if there is only one.
    #[must_use]
    pub fn only_tenant(&self) -> Option<&Tenant> {
        match self {
            Self::Open { tenant } => Some(tenant),
            Self::Session(_) | Self::Assertion(_) => None,
        }
    }

    /// The field of a request on which its answers depend, because it says who is asking. A browser that is used by
    /// two readers keeps the answers apart by it.
    #[must_use]
    pub fn varies_by(&self) -> Option<&'static str> {
        match self {
            Self::Open { .. } => None,
            Self::Session(_) => Some(field::AUTHORIZATION),
            // The platform makes the assertion from this.
            Self::Assertion(_) => Some(field::COOKIE),
        }
    }
}

/// Whose a credential is that was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Whose data it opens.
    pub tenant: Tenant,
    /// What its claims make of it, in the order of the rules.
    roles: Vec<Text>,
    /// Until when it holds, exclusive.
    until: UnixMillis,
    /// When it was verified.
    verified: UnixMillis,
}

/// SHA-256 of a credential: what is remembered of one.
pub type Fingerprint = [u8; 32];

/// Whether a tenant is one of the deployment's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// It is.
    Listed,
    /// It is not.
    NotListed,
    /// The ledger of all tenants could not say.
    Unknown,
}

/// A listing, and until when it is not asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownListing {
    /// What was said.
    pub listing: Listing,
    /// When that was asked.
    pub asked_at: UnixMillis,
    /// Exclusive.
    pub until: UnixMillis,
}

/// A request that may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Whose data it may see.
    pub tenant: Tenant,
    /// The role in which it is made, if its route asks for one.
    pub role: Option<Text>,
    /// Whether the tenant is known to be listed. If nobody can say, its reads are passed through, and nothing else.
    pub is_listed: bool,
}

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Anybody, for this tenant.
    Anybody(Tenant),
    /// Somebody with a credential that holds.
    Reader(Rc<Reader>),
}

/// Says who sends a request.
///
/// # Errors
/// The answer to whoever has no credential that holds.
pub async fn identify<P: Ports>(ports: &P, request: &P::Request) -> Result<Identity, Problem> {
    match &ports.config().access {
        Access::Open { tenant } => Ok(Identity::Anybody(tenant.clone())),
        Access::Session(_) | Access::Assertion(_) => reader(ports, request).await.map(Identity::Reader),
    }
}

impl Identity {
    /// Decides whether it may ask for a route, or for what no route lists.
    ///
    /// # Errors
    /// The answer if it may not.
    pub async fn enter<P: Ports>(self, ports: &P, route: Option<&Route>) -> Result<Admitted, Problem> {
        let required = route.map(|route| &*route.roles).unwrap_or_default();
        match self {
            Self::Anybody(tenant) => Ok(Admitted { tenant, role: role(required, &[])?, is_listed: true }),
            Self::Reader(reader) => {
                let role = role(required, &reader.roles)?;
                let is_listed = match listing(ports, &reader.tenant).await {
                    Listing::Listed => true,
                    Listing::Unknown => false,
                    Listing::NotListed => return Err(not_listed()),
                };
                Ok(Admitted { tenant: reader.tenant.clone(), role, is_listed })
            }
        }
    }
}

/// What a tenant is told that is not one of the deployment's.
#[must_use]
pub fn not_listed() -> Problem {
    Problem::new(Kind::Forbidden, "The credential holds, but its shop is not listed here; an operator can list it.")
}

/// The first of the roles that the route asks for which the reader has.
fn role(required: &[Text], has: &[Text]) -> Result<Option<Text>, Problem> {
    let found = required.iter().find(|role| has.contains(role)).cloned();
    if found.is_none() && !required.is_empty() {
        return Err(Problem::new(
            Kind::Forbidden,
            format!("This route is for the role `{}`.", required.join("` or `")),
        ));
    }
    Ok(found)
}

/// Whoever a request's credential is of.
async fn reader<P: Ports>(ports: &P, request: &P::Request) -> Result<Rc<Reader>, Problem> {
    let access = &ports.config().access;
    let credential = match access {
        Access::Assertion(_) => request.header(field::CF_ACCESS_JWT_ASSERTION),
        Access::Session(_) | Access::Open { .. } => request.header(field::AUTHORIZATION).as_deref().and_then(bearer),
    };
    let credential = credential.ok_or_else(|| refusal(access))?;
    let fingerprint: Fingerprint = Sha256::digest(credential.as_bytes()).into();
    let now = ports.now();
    if let Some(reader) = ports.admissions().seen(&fingerprint).filter(|reader| reader.still_holds(now)) {
        return Ok(reader);
    }
    let claims = match access {
        Access::Session(tokens) => tokens.verify(&credential),
        Access::Assertion(assertions) => assert(ports, assertions, &credential).await?,
        Access::Open { .. } => None,
    };
    let reader = claims.and_then(|claims| Reader::new(access, ports.rules(), &claims, ports.now()));
    let reader = Rc::new(reader.ok_or_else(|| refusal(access))?);
    ports.admissions().remember(fingerprint, reader.clone());
    Ok(reader)
}

/// The token of an Authorization field, as `Bearer <token>` (RFC 6750, section 2.1).
fn bearer(field: &str) -> Option<String> {
    let (scheme, token) = field.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim().into())
}

/// The answer to whoever has no credential that holds. One and the same, whatever is wrong with it.
fn refusal(access: &Access) -> Problem {
    match access {
        Access::Assertion(_) => Problem::new(Kind::Unauthorized, "This needs a login by Cloudflare Access that holds."),
        Access::Session(_) | Access::Open { .. } => {
            Problem::new(
                Kind::Unauthorized,
                "This needs a session token that holds, as `Authorization: Bearer <token>`.",
            )
            // By this, Shopify's App Bridge asks again with a new token.
            .with(field::X_SHOPIFY_RETRY, "1")
        }
    }
}

impl Reader {
    fn new(access: &Access, rules: &Rules, claims: &Claims, now: UnixMillis) -> Option<Self> {
        let until = claims.holds_until(now)?;
        let tenant = match access {
            Access::Session(_) => session::shop(claims),
            Access::Assertion(assertions) => assertions.tenant(claims),
            Access::Open { .. } => None,
        }?;
        let held = rules.roles.iter().filter(|role| has(role, claims)).map(|role| role.name.clone());
        Some(Self { tenant, roles: held.collect(), until, verified: now })
    }

    /// Whether it holds now, and was verified a moment ago: a key that was taken back ends it too.
    fn still_holds(&self, now: UnixMillis) -> bool {
        now < self.until && now.0.abs_diff(self.verified.0) < SEEN_MS
    }
}

/// Whether claims give a role.
fn has(role: &Role, claims: &Claims) -> bool {
    let names = |value: &Value| value.as_str().is_some_and(|value| role.values.iter().any(|other| other == value));
    match claims.at(role.claim.iter().map(AsRef::as_ref)) {
        Some(Value::Array(values)) => values.iter().any(names),
        Some(value) => names(value),
        None => false,
    }
}

/// What an assertion claims, if one of the team's keys signed it for us.
async fn assert<P: Ports>(ports: &P, assertions: &Assertions, text: &str) -> Result<Option<Claims>, Problem> {
    let Some(token) = Unverified::parse(text, "RS256") else { return Ok(None) };
    // What is not meant for us, or is over, costs no question for keys. What a stranger makes up may cost one a minute.
    let claims = token.claims().filter(|claims| assertions.accepts(claims) && assertions.tenant(claims).is_some());
    let Some(claims) = claims.filter(|claims| claims.holds_until(ports.now()).is_some()) else { return Ok(None) };
    let Some(id) = &token.key_id else { return Ok(None) };
    let Some(key) = key(ports, assertions, id).await? else { return Ok(None) };
    let holds = ports.admissions().verify_rs256(&key, token.signed.as_bytes(), &token.signature).await;
    let holds = holds.map_err(|failure| unverifiable(ports, &failure))?;
    Ok(holds.then_some(claims))
}

/// The issuer's key of this name, if it has one.
async fn key<P: Ports>(ports: &P, assertions: &Assertions, id: &str) -> Result<Option<Rc<Key>>, Problem> {
    let keys = ports.admissions().keys();
    let (asked_at, still_good) = match keys.need(id, ports.now()) {
        Need::Nothing(key) => return Ok(Some(key)),
        // Somebody may be asking at this moment.
        Need::Hopeless if !ports.admissions().is_asking_for_keys() => {
            let failure = || Failure("the issuer's keys could not be had a moment ago".into());
            return if keys.is_good(ports.now()) { Ok(None) } else { Err(unverifiable(ports, &failure())) };
        }
        Need::Hopeless => (ports.now(), None),
        Need::Ask(still_good) => {
            ports.admissions().keep_keys(keys.asking(ports.now()));
            (ports.now(), still_good)
        }
    };
    let answer = within(ports, KEYS_MS, ports.admissions().ask_for_keys(&assertions.keys_url())).await;
    let answer = answer.unwrap_or_else(|| Err(Failure("the issuer's keys took too long".into())));
    match answer.map(|body| ports.admissions().keys().answered(&body, asked_at)) {
        Ok(Some(keys)) => {
            ports.admissions().keep_keys(keys.clone());
            match keys.need(id, ports.now()) {
                Need::Nothing(key) | Need::Ask(Some(key)) => Ok(Some(key)),
                Need::Ask(None) | Need::Hopeless => Ok(None),
            }
        }
        Ok(None) => otherwise(ports, still_good, &Failure("the issuer's answer holds no key".into())),
        Err(failure) => otherwise(ports, still_good, &failure),
    }
}

fn otherwise<P: Ports>(ports: &P, still_good: Option<Rc<Key>>, failure: &Failure) -> Result<Option<Rc<Key>>, Problem> {
    if still_good.is_some() {
        ports.record(Incident::Keys, failure);
        return Ok(still_good);
    }
    Err(unverifiable(ports, failure))
}

/// What a client is told while nobody can say whether its credential holds.
fn unverifiable<P: Ports>(ports: &P, failure: &Failure) -> Problem {
    ports.record(Incident::Keys, failure);
    Problem::new(
        Kind::Unverifiable,
        "The keys by which logins are verified cannot be had at the moment. Ask again later.",
    )
}

/// Whether a tenant is one of the deployment's. A ledger is an object for each tenant, and nobody makes one of a name
/// of their own.
pub async fn listing<P: Ports>(ports: &P, tenant: &Tenant) -> Listing {
    let known = ports.admissions().listing(tenant);
    if let Some(known) = known.filter(|known| ports.now() < known.until) {
        return known.listing;
    }
    let asked_at = ports.now();
    let answer = within(ports, ASKED_MS, ports.ledger().is_listed(tenant)).await;
    // Somebody may have changed it meanwhile.
    if let Some(later) = ports.admissions().listing(tenant).filter(|known| known.asked_at > asked_at) {
        return later.listing;
    }
    let answer = answer.unwrap_or_else(|| Err(Failure("the ledger of all tenants took too long".into())));
    let said =
        |listing, millis| KnownListing { listing, asked_at, until: UnixMillis(ports.now().0.saturating_add(millis)) };
    let kept = match answer {
        Ok(true) => said(Listing::Listed, LISTED_MS),
        Ok(false) => said(Listing::NotListed, UNLISTED_MS),
        Err(failure) => {
            ports.record(Incident::Ledger, &failure);
            // What was known before is the best that anybody has. The tenant's own ledger knows if it has left.
            let recent = known.filter(|known| asked_at.0.abs_diff(known.asked_at.0) < REMEMBERED_MS);
            let again = said(Listing::Unknown, UNLISTED_MS);
            recent.map_or(again, |known| KnownListing { until: again.until, ..known })
        }
    };
    ports.admissions().keep_listing(tenant, kept);
    kept.listing
}
