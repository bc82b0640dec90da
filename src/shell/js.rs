//! What of JavaScript the worker crate does not hand through as it stands.

use crate::ports::Failure;
use alloc::string::String;
use wasm_bindgen::prelude::*;
use worker::js_sys::{Array, Promise, Reflect, Uint8Array};
use worker::wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    /// A binding to Workers KV. The worker crate's own copies each value through wasm.
    #[derive(Clone)]
    pub type KvNamespace;
    /// `{ value: ArrayBuffer | null, metadata: any }` for `type: "arrayBuffer"`.
    #[wasm_bindgen(method, catch, js_name = getWithMetadata)]
    pub fn get_with_metadata(this: &KvNamespace, key: &str, options: &JsValue) -> Result<Promise, JsValue>;
    /// `options`: `{ expirationTtl, metadata }`.
    #[wasm_bindgen(method, catch)]
    pub fn put(this: &KvNamespace, key: &str, value: &JsValue, options: &JsValue) -> Result<Promise, JsValue>;
    /// `options`: `{ prefix, limit, cursor }`. Answers `{ keys: [{ name, metadata }], list_complete, cursor }`.
    #[wasm_bindgen(method, catch)]
    pub fn list(this: &KvNamespace, options: &JsValue) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub fn delete(this: &KvNamespace, key: &str) -> Result<Promise, JsValue>;
}

#[wasm_bindgen]
extern "C" {
    /// `crypto.subtle.importKey`.
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = importKey)]
    pub fn import_key(
        format: &str,
        key: &JsValue,
        algorithm: &JsValue,
        extractable: bool,
        usages: &Array,
    ) -> Result<Promise, JsValue>;
    /// `crypto.subtle.verify`.
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"])]
    pub fn verify(
        algorithm: &str,
        key: &JsValue,
        signature: &Uint8Array,
        data: &Uint8Array,
    ) -> Result<Promise, JsValue>;
}

/// Another request's promise, waited for by one of this request's own: the runtime then goes on in this request, also
/// where the other one settles it.
pub fn own(shared: &Promise) -> JsFuture {
    JsFuture::from(Promise::race(&Array::of1(shared)))
}

/// A member of an object. What cannot be read is undefined.
pub fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &JsValue::from(name)).unwrap_or_default()
}

/// An object of these members.
pub fn object(members: &[(&str, JsValue)]) -> JsValue {
    let object = worker::js_sys::Object::new();
    for (name, value) in members {
        // Setting a member of a plain new object cannot fail.
        _ = Reflect::set(&object, &JsValue::from(*name), value);
    }
    object.into()
}

/// What was thrown, for the log.
#[expect(clippy::needless_pass_by_value, reason = "it stands behind map_err")]
pub fn failure(thrown: JsValue) -> Failure {
    let message = get(&thrown, "message").as_string().or_else(|| thrown.as_string());
    Failure(message.unwrap_or_else(|| String::from("something that is no error was thrown")))
}
