//! The origin, by the runtime's `fetch`.

use super::body::{Incoming, Unread, edited, headers, read, receive, text_of};
use super::js::{failure, get};
use crate::ports::{self, Edits, Failure, Field, Origin, Read};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::Context;
use worker::js_sys::{self, Function, Promise, Reflect};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{
    AbortController, Headers, RequestCache, RequestInit, RequestRedirect, Response, WorkerGlobalScope,
};

/// Where `fetch` goes.
pub struct FetchOrigin {
    context: Rc<Context>,
    /// Ends what keeps this request's work going.
    kept: RefCell<Option<Function>>,
}

impl FetchOrigin {
    pub fn new(context: Rc<Context>) -> Self {
        Self { context, kept: RefCell::new(None) }
    }

    /// From the first question on, a request goes on to its end though its client leaves: others may be waiting for the
    /// answer, and what it holds must be given back.
    fn keep_going(&self) {
        let mut kept = self.kept.borrow_mut();
        if kept.is_none() {
            let ended = JsFuture::from(Promise::new(&mut |resolve, _| *kept = Some(resolve)));
            self.context.wait_until(async move { drop(ended.await) });
        }
    }

    /// It has come to its end.
    pub fn end(&self) {
        if let Some(end) = self.kept.borrow_mut().take() {
            // Resolving a promise throws nothing.
            _ = end.call0(&JsValue::UNDEFINED);
        }
    }
}

/// What the origin answered.
pub struct Fetched(Response);

impl Fetched {
    pub fn into_inner(self) -> Response {
        self.0
    }
}

impl ports::Response for Fetched {
    type Body = Unread;

    fn status(&self) -> u16 {
        self.0.status()
    }

    fn is_upgraded(&self) -> bool {
        get(&self.0, "webSocket").is_object()
    }

    fn header(&self, name: &str) -> Option<String> {
        self.0.headers().get(name).ok().flatten()
    }

    fn fields(&self) -> Vec<(String, String)> {
        let entries = self.0.headers().entries();
        let text = |entry: &JsValue, index| js_sys::Array::from(entry).get(index).as_string();
        entries
            .into_iter()
            .filter_map(|entry| entry.ok().and_then(|entry| text(&entry, 0).zip(text(&entry, 1))))
            .collect()
    }

    fn into_body(self) -> Unread {
        Unread::Response(self.0)
    }
}

/// Asks no cache of the platform, and follows no redirect.
fn init(method: &str, headers: &Headers) -> RequestInit {
    let init = RequestInit::new();
    init.set_method(method);
    init.set_headers_headers(headers);
    init.set_redirect(RequestRedirect::Manual);
    init.set_cache(RequestCache::NoStore);
    init
}

async fn fetch(url: &str, init: &RequestInit) -> Result<Fetched, JsValue> {
    let global: WorkerGlobalScope = js_sys::global().unchecked_into();
    let mut abandoned = Abandoned(Some(AbortController::new()?));
    if let Some(controller) = &abandoned.0 {
        init.set_signal(Some(&controller.signal()));
    }
    let response = JsFuture::from(global.fetch_with_str_and_init(url, init)).await;
    abandoned.0 = None;
    response?.dyn_into().map(Fetched)
}

/// A question whose answer nobody waits for any more ends, and with it its connection.
struct Abandoned(Option<AbortController>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        if let Some(controller) = &self.0 {
            controller.abort();
        }
    }
}

/// The body at a URL, no cache between. A redirect is no answer, nor is any status but 200.
pub async fn fetch_uncached(url: &str) -> Result<String, Failure> {
    let headers = Headers::new().map_err(failure)?;
    let Fetched(response) = fetch(url, &init("GET", &headers)).await.map_err(failure)?;
    if response.status() != 200 {
        return Err(Failure(format!("status {}", response.status())));
    }
    text_of(&response).await
}

impl Origin for FetchOrigin {
    type Body = Unread;
    type Request = Incoming;
    type Response = Fetched;

    async fn fetch(&self, url: &str, fields: &[Field], as_encoded: bool) -> Result<Fetched, Failure> {
        let headers = headers(fields).map_err(failure)?;
        let init = init("GET", &headers);
        if as_encoded {
            // Setting a member of a plain object throws nothing.
            _ = Reflect::set(&init, &"encodeResponseBody".into(), &"manual".into());
        }
        self.keep_going();
        fetch(url, &init).await.map_err(failure)
    }

    async fn forward(&self, request: Incoming, url: &str, edits: &Edits) -> Result<Fetched, Failure> {
        let request = request.inner();
        let headers = edited(&request.headers(), edits).map_err(failure)?;
        let init = init(&request.method(), &headers);
        // The runtime refuses to send a GET or HEAD with a body, and nothing has a meaning there (RFC 9110, section 9.3.1).
        if !matches!(request.method().as_str(), "GET" | "HEAD") {
            init.set_body_opt_readable_stream(request.body().as_ref());
        }
        self.keep_going();
        fetch(url, &init).await.map_err(failure)
    }

    async fn read(&self, body: Unread, at_most: usize) -> Result<Read<Unread>, Failure> {
        read(body, at_most).await
    }

    async fn receive(&self, body: Unread, at_most: usize, pause: u64) -> Result<Option<Read<Unread>>, Failure> {
        receive(body, at_most, pause).await
    }
}
