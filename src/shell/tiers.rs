//! The stores: the Cache API of this data centre, and Workers KV.

use super::body::{Unread, declared};
use super::js::{KvNamespace, failure, get, object};
use super::ports::{now, sleep};
use crate::cache_status::CACHE_NAME;
use crate::entry::{Head, StoredResponse};
use crate::key::CacheKey;
use crate::names::{field, path};
use crate::ports::{Body, Failure, Tier, TierName};
use crate::rules::Seconds;
use crate::small::Map;
use alloc::string::String;
use core::cell::RefCell;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::js_sys::{self, ArrayBuffer, JSON, Uint8Array};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{Cache, Headers, Response, ResponseInit, WorkerGlobalScope};

/// One of the two.
pub enum Store {
    Edge(EdgeTier),
    Kv(KvTier),
}

impl Tier for Store {
    type Body = Unread;

    fn name(&self) -> TierName {
        match self {
            Self::Edge(_) => TierName::Edge,
            Self::Kv(_) => TierName::Kv,
        }
    }

    async fn get(&self, key: &CacheKey) -> Result<Option<StoredResponse<Unread>>, Failure> {
        match self {
            Self::Edge(tier) => tier.get(key).await.map_err(failure),
            Self::Kv(tier) => tier.get(key).await.map_err(failure),
        }
    }

    async fn put(
        &self,
        key: &CacheKey,
        head: &Head,
        encoded: &str,
        body: Body<Unread>,
        keep: Seconds,
    ) -> Result<(), Failure> {
        match self {
            Self::Edge(tier) => tier.put(key, head, encoded, body, keep).await.map_err(failure),
            Self::Kv(tier) => tier.put(key, encoded, body, keep).await.map_err(failure),
        }
    }
}

/// The Cache API, in a cache of our own name.
pub struct EdgeTier {
    /// The beginning of every entry's URL.
    base: String,
}

impl EdgeTier {
    pub fn new(host: &str) -> Self {
        Self { base: format!("https://{host}{}", path::STORED) }
    }

    async fn get(&self, key: &CacheKey) -> Result<Option<StoredResponse<Unread>>, JsValue> {
        let url = format!("{}{}", self.base, key.as_str());
        let found = JsFuture::from(cache().await?.match_with_str(&url)).await?;
        let Ok(response) = found.dyn_into::<Response>() else { return Ok(None) };
        let head = response.headers().get(field::STORED_HEAD)?.and_then(|text| Head::decode(&text));
        // A body that is not as long as its head says is not the one that the head was written for.
        let length = declared(&response.headers());
        let whole = head.filter(|head| length.is_none_or(|length| length == head.length));
        Ok(whole.map(|head| StoredResponse { head: head.into(), body: Unread::Response(response) }))
    }

    async fn put(
        &self,
        key: &CacheKey,
        head: &Head,
        encoded: &str,
        body: Body<Unread>,
        keep: Seconds,
    ) -> Result<(), JsValue> {
        let headers = Headers::new()?;
        headers.set(field::STORED_HEAD, encoded)?;
        headers.set(field::CACHE_CONTROL, &format!("s-maxage={keep}"))?;
        headers.set(field::CACHE_TAG, &format!("{}{}", field::DATA_TAG, key.tenant()))?;
        headers.set(field::CONTENT_LENGTH, &format!("{}", head.length))?;
        let init = ResponseInit::new();
        init.set_headers_headers(&headers);
        let response = Response::new_with_opt_buffer_source_and_init(Some(buffer(body)?.unchecked_ref()), &init)?;
        let url = format!("{}{}", self.base, key.as_str());
        JsFuture::from(cache().await?.put_with_str(&url, &response)).await?;
        Ok(())
    }
}

/// The cache of our own name.
pub async fn cache() -> Result<Cache, JsValue> {
    let global: WorkerGlobalScope = js_sys::global().unchecked_into();
    Ok(JsFuture::from(global.caches()?.open(CACHE_NAME)).await?.unchecked_into())
}

thread_local! {
    /// Of each key, when it can be written again, and whose turn it is.
    static TURNS: RefCell<Map<String, (u64, u64)>> = const { RefCell::new(Map::new()) };
}

/// Workers KV takes one write of a key in so long, in milliseconds.
const BETWEEN_WRITES_MS: u64 = 1000;

/// Waits for a key's turn. Whether it came: a later write takes the place of one that still waits.
async fn turn(key: &str) -> bool {
    let (wait, mine) = TURNS.with_borrow_mut(|turns| {
        let now = now().0;
        let (free_at, last) = turns.get(key).copied().unwrap_or_default();
        // Kept until those who wait have looked at it.
        turns.retain(|_, (free_at, _)| *free_at + BETWEEN_WRITES_MS > now);
        turns.insert(String::from(key), (free_at.max(now), last + 1));
        (free_at.saturating_sub(now), last + 1)
    });
    if wait > 0 {
        sleep(wait).await;
    }
    TURNS.with_borrow_mut(|turns| {
        let is_mine = turns.get(key).is_none_or(|(_, last)| *last == mine);
        if is_mine {
            turns.insert(String::from(key), (now().0 + BETWEEN_WRITES_MS, mine));
        }
        is_mine
    })
}

/// Workers KV: the head is the metadata, the body the value.
pub struct KvTier {
    namespace: KvNamespace,
}

impl KvTier {
    pub fn new(namespace: KvNamespace) -> Self {
        Self { namespace }
    }

    async fn get(&self, key: &CacheKey) -> Result<Option<StoredResponse<Unread>>, JsValue> {
        let options = object(&[("type", JsValue::from("arrayBuffer"))]);
        let found = JsFuture::from(self.namespace.get_with_metadata(key.as_str(), &options)?).await?;
        let Ok(buffer) = get(&found, "value").dyn_into::<ArrayBuffer>() else { return Ok(None) };
        let metadata = JSON::stringify(&get(&found, "metadata")).ok().and_then(|text| text.as_string());
        let head = metadata.and_then(|text| Head::decode(&text));
        // A value that is not as long as its head says is not the one that the head was written for.
        let whole = head.filter(|head| usize::try_from(buffer.byte_length()).is_ok_and(|length| length == head.length));
        Ok(whole.map(|head| StoredResponse { head: head.into(), body: Unread::Buffer(buffer) }))
    }

    async fn put(&self, key: &CacheKey, encoded: &str, body: Body<Unread>, keep: Seconds) -> Result<(), JsValue> {
        if !turn(key.as_str()).await {
            return Ok(());
        }
        let options = object(&[("expirationTtl", JsValue::from(keep)), ("metadata", JSON::parse(encoded)?)]);
        JsFuture::from(self.namespace.put(key.as_str(), &buffer(body)?, &options)?).await?;
        Ok(())
    }
}

/// A body as one piece of memory. Only such bodies are put: a stream of unknown length would be sent in pieces.
fn buffer(body: Body<Unread>) -> Result<JsValue, JsValue> {
    match body {
        Body::Empty => Ok(Uint8Array::new_with_length(0).into()),
        Body::Bytes(bytes) | Body::Stream(Unread::Bytes(bytes)) => Ok(Uint8Array::from(&*bytes).into()),
        Body::Stream(Unread::Buffer(buffer)) => Ok(buffer.into()),
        Body::Stream(Unread::Response(_) | Unread::Stream(_)) => {
            Err(JsValue::from("a body that is not in memory is not put"))
        }
    }
}
