//! The compiled table: what a rule can say, with everything resolved that can be resolved at build time.
//!
//! Shared with `build.rs`, which writes values of these types as Rust source. Durations are whole seconds,
//! as in every header that they end up in.

use alloc::borrow::Cow;

/// Text that is a constant in the Worker and owned in a tool.
pub type Text = Cow<'static, str>;
/// A list that is a constant in the Worker and owned in a tool.
pub type List<T> = Cow<'static, [T]>;
/// A span of time in whole seconds (RFC 9111, section 1.2.2: delta-seconds).
pub type Seconds = u32;

/// The least life of a value in Workers KV.
pub const KV_LEAST_LIFE: Seconds = 60;

/// The query parameter by which an operator asks past the store.
pub const NOCACHE: &str = "nocache";

/// The greatest length of a tenant's name.
pub const TENANT_GREATEST_LENGTH: usize = 128;

/// The greatest length of a parameter's value in a key.
pub const VALUE_GREATEST_LENGTH: usize = 64;

/// Everything that `rules.toml` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Path prefixes that belong to the origin. A path under none of them is answered 404 by the edge.
    pub origin_prefixes: List<Text>,
    /// Query parameters that are taken off a request for a stored route before anything else sees them.
    pub dropped_parameters: List<Text>,
    /// Data types with their lifetimes.
    pub classes: List<Class>,
    /// Paths, each of one class. A path that no route matches is forwarded and never stored.
    pub routes: List<Route>,
    /// What the origin's events invalidate.
    pub events: List<Event>,
    /// What a reader's claims can make of them.
    pub roles: List<Role>,
}

/// What readers are whose credential says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name in rules and keys.
    pub name: Text,
    /// The claim that says so, as a path through the credential's JSON.
    pub claim: List<Text>,
    /// The values of which it must be one, or hold one if it is a list.
    pub values: List<Text>,
}

/// A data type: what may be kept, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its name in rules, purges, logs and metrics.
    pub name: Text,
    /// Whether its answers are stored at all.
    pub policy: Policy,
    /// What it may take of the origin.
    pub demand: Demand,
}

/// What the questions of a class may take of the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// What it is worth, 1 to 100. When the origin can take few requests, those of a class of greater value go first.
    pub value: u32,
    /// For so long the origin may take until its header fields are there.
    pub first_byte_timeout: Seconds,
    /// For so long it may pause within a body that the edge reads.
    pub between_bytes_timeout: Seconds,
    /// For so long it may take in all until such a body has ended.
    pub total_timeout: Seconds,
}

/// What the edge does with the answers of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// Forwarded, never stored, and answered with `no-store`: it must be live.
    Live,
    /// Forwarded, never stored, answered as the origin says.
    Bypass,
    /// Stored for these lifetimes.
    Store(Lifetimes),
    /// Stored as the origin's own header fields say, within these bounds.
    Origin(Lifetimes),
}

/// How long an answer of a stored class may be used, and in which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// Freshness lifetime at the edge, emitted as `s-maxage` (RFC 9111, section 5.2.2.10).
    pub s_maxage: Seconds,
    /// Freshness lifetime in the browser, emitted as `max-age` (RFC 9111, section 5.2.2.1).
    pub max_age: Seconds,
    /// After `s_maxage`, reuse while a validation runs (RFC 5861, section 3). Never emitted.
    pub stale_while_revalidate: Seconds,
    /// After `s_maxage`, reuse when the origin fails (RFC 5861, section 4). Never emitted.
    pub stale_if_error: Seconds,
    /// After a soft purge, reuse while a validation runs.
    pub soft_window: Seconds,
    /// Which boundaries of the calendar end freshness, in UTC.
    pub calendar: Calendar,
    /// What a reader does when the ledger cannot be asked.
    pub without_ledger: WithoutLedger,
    /// How old a reader's copy of the ledger's counters may be.
    pub snapshot: Bounds,
}

/// How old a copy of the ledger's counters may be that judges a class's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// For so long an isolate uses its own copy without a look at the data centre's.
    pub isolate: Seconds,
    /// The greatest age of any copy.
    pub bound: Seconds,
    /// From this age on, a copy still judges and is renewed behind the answer.
    pub behind: Option<Seconds>,
}

/// Boundaries of the calendar (UTC) that end the freshness of what was fetched before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calendar {
    /// None.
    None,
    /// 00:00 of each day, and so that of the first of each month and year.
    Day,
}

/// What a reader does with a stored answer while nobody can say whether it was purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutLedger {
    /// Ask the origin, and store nothing.
    Forward,
    /// Serve what is stored.
    Serve,
}

/// A path and what is done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its name in rules, purges, logs and metrics.
    pub name: Text,
    /// The path that it matches, segment by segment, without the leading slash.
    pub path: List<Segment>,
    /// The name of its class.
    pub class: Text,
    /// What follows from its class.
    pub disposition: Disposition,
    /// What a successful request for it that was not safe makes out of date.
    pub invalidates: Option<Touches>,
    /// Who may ask.
    pub auth: Auth,
    /// The roles of which a reader must have one, the first that they have counting. Without any, no role is needed.
    pub roles: List<Text>,
}

/// Who decides whether a request may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// The edge, by the deployment's access mode.
    Edge,
    /// The origin: the edge vouches for nobody, and sends neither its secret nor a tenant.
    Origin,
}

/// What something makes out of date.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touches {
    /// Routes, by name.
    pub routes: List<Text>,
    /// Whole classes, by name.
    pub classes: List<Text>,
    /// Whatever carries one of these tags.
    pub tags: List<Text>,
}

/// One segment of a route's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Matches itself.
    Literal(Text),
    /// Matches one whole segment of unreserved characters that ends in `suffix`; what stands before it is the value.
    Parameter {
        /// The parameter's name.
        name: Text,
        /// What the segment must end with, often empty.
        suffix: Text,
    },
    /// Matches all that is left, of one segment or more, as it stands.
    Rest,
}

/// What becomes of a request for a route.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly all routes are stored, and the table is constant")]
pub enum Disposition {
    /// Goes to the origin, both ways as it stands; the answer says `no-store`.
    Live,
    /// Goes to the origin, both ways as it stands.
    Bypass,
    /// Answered from store when it can be.
    Store(Stored),
}

/// How a stored route is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The logical key, with its version, without tenant and parameters: `dashboard:tile:ops:v1`. Of a route that follows
    /// its origin, the route's name.
    pub key: Text,
    /// Kept in Workers KV too.
    pub hot: bool,
    /// The lifetimes of its class, or the shorter ones of the route.
    pub lifetimes: Lifetimes,
    /// Tags that all its answers carry, beside those that the origin gives them.
    pub tags: List<Text>,
    /// What the tiers may take of it.
    pub limits: Limits,
    /// Who decides what is kept.
    pub decided_by: DecidedBy,
}

/// What is kept at most, and how it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The greatest body that is stored, in bytes. A larger one is streamed through.
    pub largest_body: u32,
    /// So much of an isolate's memory tier its class may fill, 1 to 100 percent.
    pub memory_percent: u32,
    /// Whether locations agree by the ledger who asks the origin.
    pub lease: bool,
}

/// Who decides which answers of a route are kept, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecidedBy {
    /// Its class; the origin can only tighten. The edge asks in its own words.
    Class(Shape),
    /// The origin's header fields (RFC 9111). Requests and answers pass whole.
    Origin,
}

/// What is known beforehand of the answers of a route whose class decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Holds personal data: never emitted as `public`.
    pub personal: bool,
    /// Query parameters that select the answer; together with the path's parameters they complete the key.
    pub query: List<Parameter>,
    /// The media type that an answer must have to be stored.
    pub content_type: Text,
    /// A body is stored only if this member of it has this value.
    pub require: Option<Requirement>,
    /// Members of the body that change without meaning and are left out of the ETag: dotted, `[]` for each of its items.
    pub volatile: List<Text>,
    /// The origin's header fields that are kept with an answer, in lower case. No other one comes through.
    pub response_fields: List<Text>,
}

/// A nominated query parameter. Values are compared as they stand: none needs encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: Text,
    /// What it may be.
    pub accepts: Accepts,
    /// The value of a request that does not carry it. Without one, such a request is refused.
    pub default: Option<Text>,
}

/// The values that a parameter may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepts {
    /// One of these.
    OneOf(List<Text>),
    /// A decimal number without sign or leading zero, in this range, both ends included.
    Integer {
        /// The least value.
        min: u32,
        /// The greatest value.
        max: u32,
    },
    /// 1 to `max_length` unreserved characters (RFC 3986, section 2.3).
    Word {
        /// The greatest length.
        max_length: u32,
    },
}

/// A member of the body that says whether the answer is one: an error inside a 200 is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The top-level member.
    pub member: Text,
    /// The value that it must have.
    pub equals: Scalar,
}

/// A JSON value that needs no comparison beyond equality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A string.
    Text(Text),
}

/// Something that happened at the origin, and what it makes out of date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name: `order.created`.
    pub name: Text,
    /// What it makes out of date.
    pub effect: Effect,
    /// Shopify's topics that mean it.
    pub shopify: List<Text>,
    /// Chatwoot's events that mean it.
    pub chatwoot: List<Text>,
}

/// What an event does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// It makes this out of date.
    Invalidates(Touches),
    /// The tenant is gone: everything of it is erased, and it is no tenant any more.
    Uninstalls,
}

impl Lifetimes {
    /// How long a tier keeps an entry: as long as it may be reused in any way.
    #[must_use]
    pub fn keep(&self) -> Seconds {
        self.s_maxage.saturating_add(self.stale_while_revalidate.max(self.stale_if_error))
    }
}

impl Accepts {
    /// The greatest length of a value, in bytes.
    #[must_use]
    pub fn greatest_length(&self) -> usize {
        match self {
            Self::OneOf(values) => values.iter().map(|value| value.len()).max().unwrap_or(0),
            Self::Integer { .. } => 10,
            Self::Word { max_length } => usize::try_from(*max_length).unwrap_or(usize::MAX),
        }
    }

    /// Whether `value`, as it stands in the request, is allowed.
    #[must_use]
    pub fn allows(&self, value: &str) -> bool {
        match self {
            Self::OneOf(values) => values.iter().any(|allowed| allowed == value),
            Self::Integer { min, max } => {
                let canonical = value == "0" || !value.starts_with('0');
                canonical
                    && !value.is_empty()
                    && value.bytes().all(|byte| byte.is_ascii_digit())
                    && value.parse::<u32>().is_ok_and(|number| (*min..=*max).contains(&number))
            }
            Self::Word { max_length } => {
                is_word(value) && u32::try_from(value.len()).is_ok_and(|len| len <= *max_length)
            }
        }
    }
}

/// Whether a text is one or more unreserved characters (RFC 3986, section 2.3), and not a dot segment.
#[must_use]
pub fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text != "."
        && text != ".."
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
}

/// Whether a media type is JSON (RFC 6839, section 3.1).
#[must_use]
pub fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}
