//! Requests, responses and bodies, from the runtime to the core and back.

use super::js::{failure, get, object};
use super::ports::sleep;
use crate::answer::Made;
use crate::names::field;
use crate::ports::{Body, Edits, Failure, Field, Read, Request};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::pin::pin;
use futures::future::{Either, select};
use wasm_bindgen::{JsCast as _, JsValue};
use worker::js_sys::{ArrayBuffer, Uint8Array};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{Headers, ReadableStream, ReadableStreamDefaultReader, Response, ResponseInit};

/// A body that has not entered wasm.
pub enum Unread {
    /// That of a response, still to come.
    Response(Response),
    /// In memory on the JavaScript side.
    Buffer(ArrayBuffer),
    /// Held by this isolate's memory tier.
    Bytes(Rc<[u8]>),
    /// What is left of one that turned out too long to be read.
    Stream(ReadableStream),
}

/// The client's request.
pub struct Incoming {
    inner: worker::web_sys::Request,
    method: String,
    url: String,
}

impl Incoming {
    pub fn new(inner: worker::web_sys::Request) -> Self {
        Self { method: inner.method(), url: inner.url(), inner }
    }

    pub fn inner(&self) -> &worker::web_sys::Request {
        &self.inner
    }
}

impl Request for Incoming {
    fn method(&self) -> &str {
        &self.method
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn header(&self, name: &str) -> Option<String> {
        self.inner.headers().get(name).ok().flatten()
    }

    fn header_names(&self) -> Vec<String> {
        let names = self.inner.headers().keys();
        names.into_iter().filter_map(|name| name.ok()?.as_string()).collect()
    }

    async fn read(self, at_most: usize) -> Result<Option<Vec<u8>>, Failure> {
        match self.inner.body() {
            None => Ok(Some(Vec::new())),
            Some(stream) => read_stream(&stream, at_most).await,
        }
    }
}

/// Reads a stream to its end, unless it is longer than `at_most` bytes.
async fn read_stream(stream: &ReadableStream, at_most: usize) -> Result<Option<Vec<u8>>, Failure> {
    let reader = ReadableStreamDefaultReader::new(stream).map_err(failure)?;
    let mut bytes = Vec::new();
    loop {
        let chunk = JsFuture::from(reader.read()).await.map_err(failure)?;
        if !append(&mut bytes, &chunk, at_most)? {
            return Ok(Some(bytes));
        }
        if bytes.len() > at_most {
            // Nobody reads on, so whether the source hears of it does not matter.
            drop(reader.cancel());
            return Ok(None);
        }
    }
}

/// Takes a chunk, or as much of it as shows that it is too long. Whether the stream goes on.
fn append(bytes: &mut Vec<u8>, chunk: &JsValue, at_most: usize) -> Result<bool, Failure> {
    if get(chunk, "done").is_truthy() {
        return Ok(false);
    }
    let value = get(chunk, "value").dyn_into::<Uint8Array>().map_err(failure)?;
    let room = u32::try_from(at_most.saturating_sub(bytes.len())).unwrap_or(u32::MAX).saturating_add(1);
    let value = if value.length() > room { value.subarray(0, room) } else { value };
    bytes.extend(value.to_vec());
    Ok(true)
}

/// Reads a body whole, or hands it back.
pub async fn read(body: Unread, at_most: usize) -> Result<Read<Unread>, Failure> {
    match body {
        Unread::Buffer(buffer) => Ok(whole(&buffer)),
        Unread::Bytes(bytes) => Ok(Read::Whole(bytes.to_vec())),
        Unread::Response(response) if declared(&response.headers()).is_some_and(|length| length <= at_most) => {
            let buffer = JsFuture::from(response.array_buffer().map_err(failure)?).await.map_err(failure)?;
            Ok(whole(&buffer))
        }
        body => receive(body, at_most, NO_PAUSE).await?.ok_or_else(|| Failure(String::from("no end"))),
    }
}

/// As long as a timer can be: nobody waits for so long.
const NO_PAUSE: u64 = i32::MAX as u64;

fn whole(buffer: &JsValue) -> Read<Unread> {
    Read::Whole(Uint8Array::new(buffer).to_vec())
}

/// Reads a body that is still on its way whole, or hands it back. Nothing, if it pauses for more than `pause`
/// milliseconds.
pub async fn receive(body: Unread, at_most: usize, pause: u64) -> Result<Option<Read<Unread>>, Failure> {
    let stream = match body {
        Unread::Buffer(buffer) => return Ok(Some(whole(&buffer))),
        Unread::Bytes(bytes) => return Ok(Some(Read::Whole(bytes.to_vec()))),
        Unread::Stream(stream) => stream,
        Unread::Response(response) => match response.body() {
            None => return Ok(Some(Read::Whole(Vec::new()))),
            Some(stream) => stream,
        },
    };
    let branches = stream.tee();
    let (ours, whole) =
        (branches.get(0).unchecked_into::<ReadableStream>(), branches.get(1).unchecked_into::<ReadableStream>());
    let reader = ReadableStreamDefaultReader::new(&ours).map_err(failure)?;
    let mut receiving = Receiving { reader, whole: Some(whole) };
    let mut bytes = Vec::new();
    loop {
        let chunk = JsFuture::from(receiving.reader.read());
        let chunk = match select(chunk, pin!(sleep(pause))).await {
            Either::Left((chunk, _)) => chunk.map_err(failure)?,
            Either::Right(((), _)) => return Ok(None),
        };
        if !append(&mut bytes, &chunk, at_most)? {
            return Ok(Some(Read::Whole(bytes)));
        }
        if bytes.len() > at_most {
            return Ok(receiving.whole.take().map(|whole| Read::Longer(Unread::Stream(whole))));
        }
    }
}

/// A stream that is being read, and the same whole. What nobody reads is cancelled: if that is both, so is the source.
struct Receiving {
    reader: ReadableStreamDefaultReader,
    whole: Option<ReadableStream>,
}

impl Drop for Receiving {
    fn drop(&mut self) {
        drop(self.reader.cancel());
        drop(self.whole.take().map(|whole| whole.cancel()));
    }
}

/// The text of a response.
pub async fn text_of(response: &Response) -> Result<String, Failure> {
    let text = JsFuture::from(response.text().map_err(failure)?).await.map_err(failure)?;
    text.as_string().ok_or_else(|| Failure(String::from("not a text")))
}

/// The length that a message declares of its body as it will be read: that of an encoded one says nothing.
pub fn declared(headers: &Headers) -> Option<usize> {
    let encoded = headers.has(field::CONTENT_ENCODING).unwrap_or(true);
    let length = headers.get(field::CONTENT_LENGTH).ok().flatten()?;
    (!encoded).then(|| length.parse().ok()).flatten()
}

/// Header fields of the core as the runtime's.
pub fn headers(fields: &[Field]) -> Result<Headers, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in fields {
        headers.append(name, value)?;
    }
    Ok(headers)
}

/// A copy of header fields with the edits.
pub fn edited(original: &Headers, edits: &Edits) -> Result<Headers, JsValue> {
    let headers = Headers::new_with_headers(original)?;
    for name in &edits.remove {
        headers.delete(name)?;
    }
    for (name, value) in &edits.set {
        headers.set(name, value)?;
    }
    Ok(headers)
}

/// A response that the edge made.
pub fn made(made: Made<Unread>) -> Result<Response, JsValue> {
    // What is encoded is so already.
    let init: ResponseInit = object(&[("encodeBody", "manual".into())]).unchecked_into();
    init.set_status(made.status);
    init.set_headers_headers(&headers(&made.fields)?);
    match made.body {
        Body::Empty => Response::new_with_opt_readable_stream_and_init(None, &init),
        Body::Bytes(bytes) | Body::Stream(Unread::Bytes(bytes)) => {
            Response::new_with_opt_js_u8_array_and_init(Some(&Uint8Array::from(&*bytes)), &init)
        }
        Body::Stream(Unread::Buffer(buffer)) => Response::new_with_opt_buffer_source_and_init(Some(&buffer), &init),
        Body::Stream(Unread::Stream(stream)) => Response::new_with_opt_readable_stream_and_init(Some(&stream), &init),
        Body::Stream(Unread::Response(response)) => {
            Response::new_with_opt_readable_stream_and_init(response.body().as_ref(), &init)
        }
    }
}

/// The origin's response with other header fields. Its body and its WebSocket are the same objects.
pub fn passed(response: &Response, edits: &Edits) -> Result<Response, JsValue> {
    let init = object(&[
        ("status", JsValue::from(response.status())),
        ("statusText", JsValue::from(response.status_text())),
        ("headers", edited(&response.headers(), edits)?.into()),
        ("webSocket", get(response, "webSocket")),
    ]);
    Response::new_with_opt_readable_stream_and_init(response.body().as_ref(), init.unchecked_ref())
}
