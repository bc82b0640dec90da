//! Where an answer is kept, and for how long.

use crate::entry::Head;
use crate::fill::Fetched;
use crate::key::CacheKey;
use crate::lookup::holds;
use crate::ports::{Body, Ports, Tier as _, TierName};
use crate::rules::{KV_LEAST_LIFE, Seconds, Stored};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

/// A response to be kept, and where.
#[derive(Debug)]
pub struct Keep<B> {
    /// By which reuse is judged.
    pub head: Rc<Head>,
    /// The same, encoded.
    pub encoded: String,
    /// For how long.
    pub seconds: Seconds,
    /// The tiers, each with a name and a body of its own.
    pub places: Vec<Place<B>>,
}

/// Where a response is kept.
#[derive(Debug)]
pub struct Place<B> {
    /// In which tier.
    pub tier: TierName,
    /// Under which name.
    pub key: CacheKey,
    /// The body.
    pub body: Body<B>,
}

impl<B> Keep<B> {
    /// In every tier in which its route lives. One of several variants is kept under its own name, too.
    pub fn everywhere<P: Ports<Body = B>>(ports: &P, key: &CacheKey, stored: &Stored, fetched: Fetched) -> Self {
        let Fetched { head, encoded, bytes } = fetched;
        let variant = head.followed.as_ref().filter(|followed| !followed.nominated.is_empty());
        let names: Vec<_> = [Some(key.clone()), variant.map(|variant| key.variant(&variant.variance))].into();
        let holding = ports.tiers().iter().map(P::Tier::name).filter(|tier| holds(*tier, stored));
        let place = |tier, key| Place { tier, key, body: Body::Bytes(bytes.clone()) };
        let places = holding.flat_map(|tier| names.iter().flatten().map(move |key| (tier, key.clone())));
        let places = places.map(|(tier, key)| place(tier, key)).collect();
        Self { seconds: left(stored, &head, head.initial_age), head: head.into(), encoded, places }
    }

    /// In every tier of this data centre in which its route lives: another one has put it where all find it.
    pub fn nearby<P: Ports<Body = B>>(ports: &P, key: &CacheKey, stored: &Stored, fetched: Fetched) -> Self {
        let mut keep = Self::everywhere(ports, key, stored, fetched);
        keep.places.retain(|place| place.tier != TierName::Kv);
        keep
    }

    /// In one tier.
    #[must_use]
    pub fn in_tier(tier: TierName, key: CacheKey, head: Rc<Head>, body: Body<B>, seconds: Seconds) -> Option<Self> {
        Some(Self { encoded: head.encode()?, head, seconds, places: vec![Place { tier, key, body }] })
    }
}

/// The longest that any tier keeps anything.
const KEPT_AT_MOST: Seconds = 31 * 86_400;
/// For so long a tier keeps what is past every use but can be validated.
const KEPT_FOR_VALIDATION: Seconds = 86_400;

/// How long a tier keeps what is `age` seconds old already. A store may refuse a shorter life; reuse is judged by the
/// head, so a longer one does no harm.
#[must_use]
pub fn left(stored: &Stored, head: &Head, age: Seconds) -> Seconds {
    let life = match &head.followed {
        None => stored.lifetimes.keep(),
        Some(followed) => {
            let usable = head.lifetime.saturating_add(followed.while_revalidate.max(followed.if_error));
            usable.saturating_add(if head.validators.are_none() { 0 } else { KEPT_FOR_VALIDATION })
        }
    };
    life.saturating_sub(age).clamp(KV_LEAST_LIFE, KEPT_AT_MOST)
}
