//! The way to the ledgers of all tenants. Requests of one isolate that want counters at the same time share a
//! question: as a JavaScript promise of plain text, for no Rust future may span two requests.

use super::body::text_of;
use super::isolate::together;
use super::js::{failure, get, own};
use super::ledger_do::{COUNTERS, GLOBAL, LEASES, LISTING, ORDERS, RECEIPTS, TENANTS};
use super::ports::{now, sleep};
use crate::epoch::{Counters, Epoch};
use crate::fill::Fetched;
use crate::key::{CacheKey, Tenant};
use crate::ledger::leases::{Lease, LeaseCall, decode_lease, encode_call};
use crate::ledger::order::{Declined, Done, Order, decode_answer};
use crate::names::setting;
use crate::ports::{self, Failure, Told};
use crate::small::Map;
use crate::snapshot::{ASKED_MS, Snapshot};
use crate::time::UnixMillis;
use alloc::rc::Rc;
use alloc::string::{String, ToString as _};
use core::cell::RefCell;
use core::pin::pin;
use futures::future::{Either, select};
use wasm_bindgen::{JsCast as _, JsValue};
use worker::js_sys::{Object, Promise};
use worker::wasm_bindgen_futures::{JsFuture, future_to_promise};
use worker::web_sys::{self, RequestInit};
use worker::worker_sys::DurableObjectNamespace;
use worker::{Context, Env};

/// A question for counters.
#[derive(Clone)]
struct Question {
    asked_at: UnixMillis,
    at_least: Option<Epoch>,
    answer: Promise,
}

thread_local! {
    /// The last question of each tenant.
    static QUESTIONS: RefCell<Map<Tenant, Question>> = const { RefCell::new(Map::new()) };
}

/// The ledgers, from outside.
pub struct Ledgers {
    env: Env,
    context: Rc<Context>,
}

impl Ledgers {
    pub fn bind(env: &Env, context: Rc<Context>) -> Option<Self> {
        get(env, setting::LEDGER).is_object().then(|| Self { env: env.clone(), context })
    }
}

/// Calls the global ledger, and waits so many milliseconds for it.
pub async fn call_global(
    env: &Env,
    path: &str,
    body: Option<String>,
    patience: u64,
) -> Result<Option<String>, Failure> {
    match select(pin!(call(env, GLOBAL, path, body)), pin!(sleep(patience))).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), _)) => Err(Failure("the global ledger took too long".to_string())),
    }
}

/// Calls the ledger of that name: the answer's text, or nothing if what was asked for is not there.
pub async fn call(env: &Env, ledger: &str, path: &str, body: Option<String>) -> Result<Option<String>, Failure> {
    let init = RequestInit::new();
    if let Some(body) = body {
        init.set_method("POST");
        init.set_body(&JsValue::from(body));
    }
    let request = web_sys::Request::new_with_str_and_init(&format!("https://ledger{path}"), &init).map_err(failure)?;
    let namespace: DurableObjectNamespace = get(env, setting::LEDGER).unchecked_into();
    let stub = namespace.get_by_name(ledger).map_err(failure)?;
    let response = JsFuture::from(stub.fetch_with_request(&request).map_err(failure)?).await.map_err(failure)?;
    let response: web_sys::Response = response.unchecked_into();
    let text = text_of(&response).await?;
    match response.status() {
        200 => Ok(Some(text)),
        404 => Ok(None),
        _ => Err(Failure(text)),
    }
}

fn unreadable() -> Failure {
    Failure("the ledger's answer is not of the form that this version writes".to_string())
}

impl ports::Ledger for Ledgers {
    async fn counters(&self, tenant: &Tenant, at_least: Option<Epoch>) -> Result<Told, Failure> {
        let asked = QUESTIONS.with_borrow(|questions| questions.get(tenant).cloned());
        let fits = |question: &Question| {
            now().0.checked_sub(question.asked_at.0).is_some_and(|age| age < ASKED_MS) && question.at_least >= at_least
        };
        let (question, first) = match asked.filter(fits) {
            Some(question) => (question, false),
            None => (self.ask(tenant, at_least), true),
        };
        let text = own(&question.answer).await;
        if first {
            QUESTIONS
                .with_borrow_mut(|questions| questions.retain(|_, other| !Object::is(&other.answer, &question.answer)));
        }
        let text = text.map_err(failure)?.as_string().ok_or_else(unreadable)?;
        let counters = Counters::decode(&text).ok_or_else(unreadable)?;
        Ok(Told { snapshot: Snapshot { counters, asked_at: question.asked_at }, first })
    }

    async fn lease(&self, tenant: &Tenant, name: &CacheKey, call: LeaseCall) -> Result<(Lease, Snapshot), Failure> {
        say_of_lease(&self.env, tenant, name, &call).await
    }

    fn hand_back(&self, tenant: &Tenant, name: &CacheKey, id: u64, fetched: Option<&Fetched>) {
        let (env, tenant, name) = (self.env.clone(), tenant.clone(), name.clone());
        let answer = fetched.and_then(Fetched::written);
        self.context.wait_until(async move {
            let end = LeaseCall::End { id, is_stored: answer.is_some() };
            // One that is not given back runs out.
            let ended = say_of_lease(&env, &tenant, &name, &end).await;
            if let (Ok((Lease::Held { .. }, _)), Some(answer)) = (ended, answer) {
                drop(say_of_lease(&env, &tenant, &name, &LeaseCall::HandOn { id, answer }).await);
            }
        });
    }

    async fn order(&self, tenant: &Tenant, order: &Order) -> Result<Result<Done, Declined>, Failure> {
        self.order_at(tenant.as_str(), order).await
    }

    async fn order_everywhere(&self, order: &Order) -> Result<Result<Done, Declined>, Failure> {
        self.order_at(GLOBAL, order).await
    }

    async fn list(&self, tenant: &Tenant, is_listed: bool) -> Result<(), Failure> {
        let path = format!("/{LISTING}/{}", tenant.as_str());
        call(&self.env, tenant.as_str(), &path, Some(is_listed.to_string())).await.map(drop)
    }

    async fn is_listed(&self, tenant: &Tenant) -> Result<bool, Failure> {
        let (env, path) = (self.env.clone(), format!("/{TENANTS}/{GLOBAL}/{}", tenant.as_str()));
        let name = path.clone();
        let question = async move { call(&env, GLOBAL, &path, None).await?.ok_or_else(unreadable) };
        together(&self.context, &name, question).await.map(|answer| answer == "true")
    }

    async fn receipt(&self, tenant: Option<&Tenant>, id: &str) -> Result<Option<String>, Failure> {
        let ledger = tenant.map_or(GLOBAL, Tenant::as_str);
        call(&self.env, ledger, &format!("/{RECEIPTS}/{ledger}/{id}"), None).await
    }
}

async fn say_of_lease(
    env: &Env,
    tenant: &Tenant,
    name: &CacheKey,
    call: &LeaseCall,
) -> Result<(Lease, Snapshot), Failure> {
    let (asked_at, ledger) = (now(), tenant.as_str());
    let answer =
        self::call(env, ledger, &format!("/{LEASES}/{ledger}"), Some(encode_call(name.as_str(), call))).await?;
    let (lease, counters) = answer.as_deref().and_then(decode_lease).ok_or_else(unreadable)?;
    let counters = Counters::decode(&counters).ok_or_else(unreadable)?;
    Ok((lease, Snapshot { counters, asked_at }))
}

impl Ledgers {
    async fn order_at(&self, ledger: &str, order: &Order) -> Result<Result<Done, Declined>, Failure> {
        let answer = call(&self.env, ledger, &format!("/{ORDERS}/{ledger}"), Some(order.encode())).await?;
        answer.and_then(|answer| decode_answer(&answer)).ok_or_else(unreadable)
    }

    /// Asks for counters, also if the request that does so goes away.
    fn ask(&self, tenant: &Tenant, at_least: Option<Epoch>) -> Question {
        let asked_at = now();
        let (env, ledger) = (self.env.clone(), String::from(tenant.as_str()));
        let answer = future_to_promise(async move {
            let position = at_least.map_or_else(String::new, |position| position.to_string());
            match call(&env, &ledger, &format!("/{COUNTERS}/{ledger}/{position}"), None).await {
                Ok(text) => Ok(text.map_or(JsValue::NULL, JsValue::from)),
                Err(failure) => Err(JsValue::from(failure.0)),
            }
        });
        let kept = JsFuture::from(answer.clone());
        self.context.wait_until(async move { drop(kept.await) });
        let question = Question { asked_at, at_least, answer };
        QUESTIONS.with_borrow_mut(|questions| questions.insert(tenant.clone(), question.clone()));
        question
    }
}
