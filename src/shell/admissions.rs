//! What an isolate remembers of whom it admitted, and the issuer's keys. Signatures of RS256 are verified by the
//! runtime's own cryptography.

use super::isolate::{Together, together};
use super::js::{failure, import_key, object, verify};
use super::origin::fetch_uncached;
use crate::access::jwks::{Key, Keys};
use crate::access::{Fingerprint, KnownListing, Reader};
use crate::key::Tenant;
use crate::meter::Meter;
use crate::ports::{Admissions, Failure};
use crate::small::Map;
use crate::time::UnixMillis;
use alloc::rc::Rc;
use alloc::string::String;
use core::cell::RefCell;
use wasm_bindgen::JsValue;
use worker::Context;
use worker::js_sys::{Array, Uint8Array};
use worker::wasm_bindgen_futures::JsFuture;

/// So many credentials are remembered; then all are forgotten, and verified when they come again.
const SEEN_AT_MOST: usize = 1000;
/// So many tenants' listings are.
const LISTINGS_AT_MOST: usize = 1000;
/// The name of the question for keys.
const KEYS: &str = "keys";

thread_local! {
    static SEEN: RefCell<Map<Fingerprint, Rc<Reader>>> = const { RefCell::new(Map::new()) };
    static LISTINGS: RefCell<Map<Tenant, KnownListing>> = const { RefCell::new(Map::new()) };
    static ISSUER: RefCell<Keys> = RefCell::new(Keys::default());
    static IMPORTED: RefCell<Map<String, JsValue>> = const { RefCell::new(Map::new()) };
    static METER: RefCell<Meter> = const { RefCell::new(Meter::new()) };
}

/// This isolate's.
pub struct Doors {
    context: Rc<Context>,
}

impl Doors {
    pub fn new(context: Rc<Context>) -> Self {
        Self { context }
    }
}

impl Admissions for Doors {
    fn seen(&self, fingerprint: &Fingerprint) -> Option<Rc<Reader>> {
        SEEN.with_borrow(|seen| seen.get(fingerprint).cloned())
    }

    fn remember(&self, fingerprint: Fingerprint, reader: Rc<Reader>) {
        SEEN.with_borrow_mut(|seen| {
            if seen.len() >= SEEN_AT_MOST && seen.get(&fingerprint).is_none() {
                seen.clear();
            }
            seen.insert(fingerprint, reader);
        });
    }

    fn listing(&self, tenant: &Tenant) -> Option<KnownListing> {
        LISTINGS.with_borrow(|listings| listings.get(tenant).copied())
    }

    fn keep_listing(&self, tenant: &Tenant, listing: KnownListing) {
        LISTINGS.with_borrow_mut(|listings| {
            if listings.len() >= LISTINGS_AT_MOST && listings.get(tenant).is_none() {
                listings.clear();
            }
            listings.insert(tenant.clone(), listing);
        });
    }

    fn keys(&self) -> Keys {
        ISSUER.with_borrow(Clone::clone)
    }

    fn keep_keys(&self, keys: Keys) {
        ISSUER.set(keys);
    }

    fn is_asking_for_keys(&self) -> bool {
        Together::is_under_way(KEYS)
    }

    async fn ask_for_keys(&self, url: &str) -> Result<String, Failure> {
        let url = String::from(url);
        together(&self.context, KEYS, async move { fetch_uncached(&url).await }).await
    }

    async fn verify_rs256(&self, key: &Key, signed: &[u8], signature: &[u8]) -> Result<bool, Failure> {
        verify_rs256(key, signed, signature).await.map_err(failure)
    }

    fn spend(&self, who: &str, per_minute: u32, now: UnixMillis) -> Result<(), u32> {
        METER.with_borrow_mut(|meter| meter.spend(who, per_minute, now))
    }
}

async fn verify_rs256(key: &Key, signed: &[u8], signature: &[u8]) -> Result<bool, JsValue> {
    let imported = imported(key).await?;
    let holds = verify("RSASSA-PKCS1-v1_5", &imported, &Uint8Array::from(signature), &Uint8Array::from(signed))?;
    Ok(JsFuture::from(holds).await?.is_truthy())
}

/// The key as the runtime wants it: made once, and known by its modulus.
async fn imported(key: &Key) -> Result<JsValue, JsValue> {
    if let Some(imported) = IMPORTED.with_borrow(|keys| keys.get(&key.modulus).cloned()) {
        return Ok(imported);
    }
    let algorithm = object(&[("name", "RSASSA-PKCS1-v1_5".into()), ("hash", "SHA-256".into())]);
    let jwk = object(&[("kty", "RSA".into()), ("n", key.modulus.as_str().into()), ("e", key.exponent.as_str().into())]);
    let imported = JsFuture::from(import_key("jwk", &jwk, &algorithm, false, &Array::of1(&"verify".into()))?).await?;
    IMPORTED.with_borrow_mut(|keys| {
        if keys.len() >= 16 {
            keys.clear();
        }
        keys.insert(key.modulus.clone(), imported.clone());
    });
    Ok(imported)
}
