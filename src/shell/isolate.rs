//! What an isolate keeps for its requests: copies of counters, and questions to the origin under way. Between requests
//! there is only plain data, and promises of it.

use super::js::{failure, get, object, own};
use super::ports::now;
use super::tiers::cache;
use crate::entry::Head;
use crate::epoch::Epoch;
use crate::fill::Fetched;
use crate::key::{CacheKey, Tenant};
use crate::names::{field, path};
use crate::ports::{Failure, Flights, InFlight, Landing, Snapshots};
use crate::small::Map;
use crate::snapshot::{Held, KEPT, Snapshot};
use crate::time::UnixMillis;
use alloc::rc::Rc;
use alloc::string::String;
use core::cell::RefCell;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::Context;
use worker::js_sys::{Function, Object, Promise, Uint8Array};
use worker::wasm_bindgen_futures::{JsFuture, future_to_promise};
use worker::web_sys::{Headers, Response, ResponseInit};

/// So many tenants' counters are kept; those of further ones are looked up in the data centre each time.
const TENANTS_AT_MOST: usize = 1000;

/// So many keys are remembered with what was last written under them.
const WRITTEN_AT_MOST: usize = 256;

/// A shared question counts as under way for so long, in milliseconds.
const TOGETHER_MS: u64 = 5_000;

thread_local! {
    static OWN: RefCell<Map<Tenant, Held>> = const { RefCell::new(Map::new()) };
    static TOGETHER: RefCell<Map<String, Together>> = const { RefCell::new(Map::new()) };
    static WRITTEN: RefCell<Map<CacheKey, Head>> = const { RefCell::new(Map::new()) };
    static FLIGHTS: RefCell<Map<CacheKey, Flight>> = const { RefCell::new(Map::new()) };
}

/// The copies of counters: one in this isolate, one in the Cache API.
pub struct Copies {
    context: Rc<Context>,
    /// The beginning of every copy's URL.
    base: String,
}

impl Copies {
    pub fn new(context: Rc<Context>, host: &str) -> Self {
        Self { context, base: format!("https://{host}{}", path::COUNTERS) }
    }

    async fn write(&self, tenant: &Tenant, snapshot: &Snapshot) -> Result<(), JsValue> {
        let headers = Headers::new()?;
        headers.set(field::CACHE_CONTROL, &format!("s-maxage={KEPT}"))?;
        headers.set(field::CACHE_TAG, &format!("{}{}", field::COUNTERS_TAG, tenant.as_str()))?;
        let init = ResponseInit::new();
        init.set_headers_headers(&headers);
        let response = Response::new_with_opt_str_and_init(Some(&snapshot.encode()), &init)?;
        let url = format!("{}{}", self.base, tenant.as_str());
        JsFuture::from(cache().await?.put_with_str(&url, &response)).await?;
        Ok(())
    }
}

/// What is stored there; an empty text, if nothing is.
async fn stored_text(url: &str) -> Result<String, JsValue> {
    let found = JsFuture::from(cache().await?.match_with_str(url)).await?;
    let Ok(response) = found.dyn_into::<Response>() else { return Ok(String::new()) };
    let text = JsFuture::from(response.text()?).await?;
    Ok(text.as_string().unwrap_or_default())
}

impl Snapshots for Copies {
    fn own(&self, tenant: &Tenant) -> Option<Held> {
        OWN.with_borrow(|own| own.get(tenant).cloned())
    }

    fn keep(&self, tenant: &Tenant, held: Held) {
        OWN.with_borrow_mut(|own| {
            if own.len() >= TENANTS_AT_MOST && own.get(tenant).is_none() {
                own.clear();
            }
            own.insert(tenant.clone(), held);
        });
    }

    async fn shared(&self, tenant: &Tenant) -> Result<Option<Snapshot>, Failure> {
        let url = format!("{}{}", self.base, tenant.as_str());
        let name = url.clone();
        // Requests that look at the same time share the look: each would find the same.
        let text = together(&self.context, &name, async move { stored_text(&url).await.map_err(failure) }).await?;
        Ok(Snapshot::decode(&text))
    }

    async fn share(&self, tenant: &Tenant, snapshot: &Snapshot) -> Result<(), Failure> {
        self.write(tenant, snapshot).await.map_err(failure)
    }
}

/// A question that several requests share: a promise of its answer's text, for no Rust future may span two requests.
#[derive(Clone)]
pub struct Together {
    since: UnixMillis,
    answer: Promise,
}

impl Together {
    /// Whether the question of this name is under way.
    pub fn is_under_way(name: &str) -> bool {
        Self::of(name).is_some()
    }

    fn of(name: &str) -> Option<Self> {
        let asked = TOGETHER.with_borrow(|questions| questions.get(name).cloned());
        // One whose request is gone may never be answered.
        asked.filter(|asked| now().0.checked_sub(asked.since.0).is_some_and(|age| age < TOGETHER_MS))
    }
}

/// Asks, also if the request that does so goes away; or waits for the answer to the same question.
pub async fn together(
    context: &Context,
    name: &str,
    question: impl Future<Output = Result<String, Failure>> + 'static,
) -> Result<String, Failure> {
    let asked = Together::of(name).unwrap_or_else(|| {
        let (asked, since) = (String::from(name), now());
        let answer = future_to_promise(async move {
            let answer = question.await;
            // Another one may have taken its place.
            TOGETHER
                .with_borrow_mut(|questions| questions.retain(|name, other| *name != asked || other.since != since));
            answer.map(JsValue::from).map_err(|failure| JsValue::from(failure.0))
        });
        let kept = JsFuture::from(answer.clone());
        context.wait_until(async move { drop(kept.await) });
        let asked = Together { since, answer };
        TOGETHER.with_borrow_mut(|questions| questions.insert(name.into(), asked.clone()));
        asked
    });
    let text = own(&asked.answer).await.map_err(failure)?;
    text.as_string().ok_or_else(|| Failure("not a text".into()))
}

/// A question under way.
#[derive(Clone)]
pub struct Flight {
    epoch: Epoch,
    since: UnixMillis,
    lasts: u64,
    /// Of `{ head, body }`, of undefined if each asks for itself, or of null if there is none.
    landed: Promise,
    land: Option<Function>,
}

fn fetched(data: &JsValue) -> Option<Fetched> {
    let encoded = get(data, "head").as_string()?;
    let body = get(data, "body").dyn_into::<Uint8Array>().ok()?;
    Some(Fetched { head: Head::decode(&encoded)?, encoded, bytes: body.to_vec().into() })
}

/// The questions under way in this isolate.
pub struct Asking {
    context: Rc<Context>,
}

impl Asking {
    pub fn new(context: Rc<Context>) -> Self {
        Self { context }
    }
}

impl Flights for Asking {
    type Handle = Flight;

    fn under_way(&self, key: &CacheKey) -> Option<InFlight<Flight>> {
        let flight = FLIGHTS.with_borrow(|flights| flights.get(key).cloned())?;
        Some(InFlight { epoch: flight.epoch, since: flight.since, lasts: flight.lasts, handle: flight })
    }

    fn take_off(&self, key: &CacheKey, epoch: Epoch, now: UnixMillis, lasts: u64) -> Flight {
        let mut land = None;
        let landed = Promise::new(&mut |resolve, _| land = Some(resolve));
        // The runtime ends a request whose client is gone, unless it waits for something.
        let kept = JsFuture::from(landed.clone());
        self.context.wait_until(async move { drop(kept.await) });
        let flight = Flight { epoch, since: now, lasts, landed, land };
        FLIGHTS.with_borrow_mut(|flights| {
            // Those whose requests are gone never land.
            flights.retain(|_, flight| now.0.saturating_sub(flight.since.0) < flight.lasts);
            flights.insert(key.clone(), flight.clone());
        });
        flight
    }

    fn land(&self, key: &CacheKey, handle: Flight, landing: Landing) {
        let answers = if let Landing::Answer(fetched) = &landing { Some(fetched.head.epoch) } else { None };
        let last = FLIGHTS.with_borrow_mut(|flights| {
            let last = flights.get(key)?;
            let is_own = Object::is(&last.landed, &handle.landed);
            (is_own || answers.is_some_and(|epoch| epoch >= last.epoch)).then_some(())?;
            flights.remove(key).filter(|_| !is_own)
        });
        let data = match landing {
            Landing::Answer(fetched) => {
                let body = Uint8Array::from(&*fetched.bytes);
                object(&[("head", JsValue::from(fetched.encoded)), ("body", body.into())])
            }
            Landing::Released => JsValue::UNDEFINED,
            Landing::Failed => JsValue::NULL,
        };
        for land in [Some(handle), last].into_iter().flatten().filter_map(|flight| flight.land) {
            // Resolving a promise throws nothing.
            _ = land.call1(&JsValue::UNDEFINED, &data);
        }
    }

    async fn landed(&self, handle: Flight) -> Landing {
        match own(&handle.landed).await {
            Ok(data) if data.is_undefined() => Landing::Released,
            Ok(data) => fetched(&data).map_or(Landing::Failed, Landing::Answer),
            Err(_) => Landing::Failed,
        }
    }

    fn written(&self, key: &CacheKey) -> Option<Head> {
        WRITTEN.with_borrow(|all| all.get(key).cloned())
    }

    fn write_down(&self, key: &CacheKey, written: Option<Head>) {
        WRITTEN.with_borrow_mut(|all| {
            if all.len() >= WRITTEN_AT_MOST {
                all.clear();
            }
            match written {
                Some(head) => all.insert(key.clone(), head),
                None => _ = all.remove(key),
            }
        });
    }
}
