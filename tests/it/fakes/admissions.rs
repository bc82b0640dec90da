//! Whom an isolate admitted, and the issuer that publishes keys.

use super::World;
use hotrod_edge::access::jwks::{Key, Keys};
use hotrod_edge::access::{Fingerprint, KnownListing, Reader};
use hotrod_edge::key::Tenant;
use hotrod_edge::meter::Meter;
use hotrod_edge::ports::{Admissions, Failure};
use hotrod_edge::time::UnixMillis;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Who publishes keys.
#[derive(Debug, Default)]
pub struct Issuer {
    /// What it answers; nothing, if it cannot be reached.
    pub keys: RefCell<Option<String>>,
    /// How often it was asked.
    pub questions: Cell<usize>,
}

/// What an isolate remembers.
pub struct FakeAdmissions {
    pub world: Rc<World>,
    seen: RefCell<BTreeMap<Fingerprint, Rc<Reader>>>,
    listings: RefCell<BTreeMap<Tenant, KnownListing>>,
    keys: RefCell<Keys>,
    meter: RefCell<Meter>,
    /// How many signatures were verified.
    pub verified: Cell<usize>,
}

impl FakeAdmissions {
    pub fn new(world: &Rc<World>) -> Self {
        Self {
            world: world.clone(),
            seen: RefCell::default(),
            listings: RefCell::default(),
            keys: RefCell::default(),
            meter: RefCell::default(),
            verified: Cell::default(),
        }
    }
}

impl Admissions for FakeAdmissions {
    fn seen(&self, fingerprint: &Fingerprint) -> Option<Rc<Reader>> {
        self.seen.borrow().get(fingerprint).cloned()
    }

    fn remember(&self, fingerprint: Fingerprint, reader: Rc<Reader>) {
        self.seen.borrow_mut().insert(fingerprint, reader);
    }

    fn listing(&self, tenant: &Tenant) -> Option<KnownListing> {
        self.listings.borrow().get(tenant).copied()
    }

    fn keep_listing(&self, tenant: &Tenant, listing: KnownListing) {
        self.listings.borrow_mut().insert(tenant.clone(), listing);
    }

    fn keys(&self) -> Keys {
        self.keys.borrow().clone()
    }

    fn keep_keys(&self, keys: Keys) {
        self.keys.replace(keys);
    }

    fn is_asking_for_keys(&self) -> bool {
        false
    }

    async fn ask_for_keys(&self, _url: &str) -> Result<String, Failure> {
        self.world.call();
        let issuer = &self.world.issuer;
        issuer.questions.set(issuer.questions.get() + 1);
        issuer.keys.borrow().clone().ok_or_else(|| Failure("the issuer does not answer".to_string()))
    }

    async fn verify_rs256(&self, key: &Key, signed: &[u8], signature: &[u8]) -> Result<bool, Failure> {
        self.verified.set(self.verified.get() + 1);
        let part = |text: &str| {
            use base64ct::{Base64UrlUnpadded, Encoding as _};
            Base64UrlUnpadded::decode_vec(text).map_err(|error| Failure(error.to_string()))
        };
        let public = RsaPublicKeyComponents { n: part(&key.modulus)?, e: part(&key.exponent)? };
        Ok(public.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature).is_ok())
    }

    fn spend(&self, who: &str, per_minute: u32, now: UnixMillis) -> Result<(), u32> {
        self.meter.borrow_mut().spend(who, per_minute, now)
    }
}
