//! Does to an answer what was armed for it.

use std::{collections::BTreeMap, io::Write, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody, to_bytes},
    extract::{ConnectInfo, Request, State as Extract},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, response::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt, stream};
use serde_json::{Value, json};

use super::{BodyFault, Fault, HeaderFault};
use crate::{echo::Received, envelope::ApiError, routes::is_tile, shop::SHOP_HEADER, state::State, wire::Takeover};

/// The most that is held of a body that is to be changed.
const MOST_BODY: usize = 128 * 1024 * 1024;

const PAGE: &str = "<!doctype html>\n<html><head><title>502 Bad Gateway</title></head>\
                    <body><h1>502 Bad Gateway</h1></body></html>\n";

/// Answers as the routes do, unless a fault is armed for the path.
pub(crate) async fn misbehave(
    Extract(state): Extract<State>,
    ConnectInfo(takeover): ConnectInfo<Takeover>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let fault = if path.starts_with("/dev/") { None } else { state.faults.strike(path) };
    let Some(fault) = fault else {
        return next.run(request).await;
    };
    if let Some(delay) = fault.delay_ms {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    if fault.hang_up == Some(true) {
        takeover.send(Vec::new());
        return StatusCode::OK.into_response();
    }
    let answer = if fault.echo == Some(true) { echo(&state, request).await } else { next.run(request).await };
    match change(answer, &fault).await {
        Ok(answer) => send(answer, &fault, &takeover).await,
        Err(error) => error.into_response(),
    }
}

/// The request, in the envelope that answers of its path have.
async fn echo(state: &State, request: Request) -> Response {
    let is_tile = is_tile(request.uri().path());
    let shop = request.headers().get(SHOP_HEADER).and_then(|shop| shop.to_str().ok()).map(str::to_owned);
    match Received::of(request).await {
        Ok(received) if is_tile => state.envelopes.tile_from("echo", |_| received),
        Ok(received) => state.envelopes.api_of(shop.as_deref(), received),
        Err(error) => error.into_response(),
    }
}

/// Status, headers and body. A body that stays as it is, is not held.
async fn change(answer: Response, fault: &Fault) -> Result<Response, ApiError> {
    let (mut parts, mut body) = answer.into_parts();
    if let Some(status) = fault.status {
        parts.status = StatusCode::from_u16(status).map_err(|_| unchangeable("status"))?;
    }
    if let Some(other) = fault.body {
        let whole = whole(body).await?;
        body = Body::from(other_body(other, &whole, &mut parts));
    }
    if let Some(spaces) = fault.pad_bytes {
        let mut whole = whole(body).await?.to_vec();
        whole.resize(whole.len() + spaces, b' ');
        body = Body::from(whole);
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    change_headers(&mut parts.headers, &fault.headers).map_err(|_| unchangeable("headers"))?;
    Ok(Response::from_parts(parts, body))
}

fn unchangeable(what: &str) -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("The armed fault could not be applied: {what}."))
}

async fn whole(body: Body) -> Result<Bytes, ApiError> {
    to_bytes(body, MOST_BODY).await.map_err(|_| unchangeable("the body is too long to be changed"))
}

fn other_body(fault: BodyFault, whole: &Bytes, parts: &mut Parts) -> Bytes {
    parts.headers.remove(header::CONTENT_LENGTH);
    match fault {
        BodyFault::InvalidJson => whole.slice(..whole.len().saturating_sub(1)),
        BodyFault::StatusError => failed(whole).to_string().into(),
        BodyFault::Html => {
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            parts.headers.insert(header::CONTENT_TYPE, html);
            Bytes::from_static(PAGE.as_bytes())
        }
        BodyFault::Empty => Bytes::new(),
    }
}

/// The same envelope, saying that it failed.
fn failed(whole: &[u8]) -> Value {
    const SENTENCE: &str = "The view could not be read.";
    let mut envelope: Value = serde_json::from_slice(whole).unwrap_or_default();
    match envelope.as_object_mut() {
        Some(fields) if fields.contains_key("success") => {
            fields.insert("success".into(), false.into());
            fields.insert("data".into(), Value::Null);
            fields.insert("error".into(), SENTENCE.into());
            envelope
        }
        Some(fields) => {
            fields.insert("status".into(), "error".into());
            fields.insert("data".into(), Value::Null);
            fields.insert("error".into(), SENTENCE.into());
            envelope
        }
        None => json!({ "status": "error", "data": null, "error": SENTENCE }),
    }
}

/// Says in a sentence which header cannot be sent.
pub(super) fn check_headers(faults: &BTreeMap<String, HeaderFault>) -> Result<(), String> {
    change_headers(&mut HeaderMap::new(), faults)
        .map_err(|name| format!("fault.headers.{name}: no such header can be sent."))
}

/// Sets, repeats and leaves out headers. The error is the name of one that cannot be sent.
fn change_headers(headers: &mut HeaderMap, faults: &BTreeMap<String, HeaderFault>) -> Result<(), String> {
    for (name, fault) in faults {
        let header: HeaderName = name.parse().map_err(|_| name.clone())?;
        headers.remove(&header);
        let values = match fault {
            HeaderFault::Value(value) => std::slice::from_ref(value),
            HeaderFault::Values(values) => values,
            HeaderFault::Absent(()) => &[],
        };
        for value in values {
            let value = HeaderValue::from_str(value).map_err(|_| name.clone())?;
            headers.append(header.clone(), value);
        }
    }
    Ok(())
}

/// Sends an answer in the way that was armed.
async fn send(answer: Response, fault: &Fault, takeover: &Takeover) -> Response {
    if let Some(delay) = fault.chunk_delay_ms {
        return drip(answer, Duration::from_millis(delay), fault.chunk_bytes.unwrap_or(1024));
    }
    let bytes = match (fault.cut_after_bytes, fault.length_delta) {
        (Some(cut), _) => cut_short(answer, cut, fault.chunked.unwrap_or_default()).await,
        (None, Some(delta)) => wrong_length(answer, delta).await,
        (None, None) => return answer,
    };
    match bytes {
        Ok(bytes) => {
            takeover.send(bytes);
            StatusCode::OK.into_response()
        }
        Err(error) => error.into_response(),
    }
}

/// The body in small chunks, each after a delay, with the length that it had.
fn drip(answer: Response, delay: Duration, chunk: usize) -> Response {
    let (mut parts, body) = answer.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    let pieces = body.into_data_stream().flat_map(move |data| stream::iter(split(data, chunk)));
    let slow = pieces.then(move |piece| async move {
        tokio::time::sleep(delay).await;
        piece
    });
    Response::from_parts(parts, Body::from_stream(slow))
}

fn split<E>(data: Result<Bytes, E>, chunk: usize) -> Vec<Result<Bytes, E>> {
    match data {
        Ok(mut data) => {
            let mut pieces = Vec::with_capacity(data.len() / chunk + 1);
            while !data.is_empty() {
                pieces.push(Ok(data.split_to(chunk.min(data.len()))));
            }
            pieces
        }
        Err(error) => vec![Err(error)],
    }
}

/// An answer as bytes, of which the end is missing.
async fn cut_short(answer: Response, cut: usize, chunked: bool) -> Result<Vec<u8>, ApiError> {
    let (mut parts, body) = answer.into_parts();
    let exact = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let start = start_of(body.into_data_stream(), cut.saturating_add(1)).await?;
    let length = exact.unwrap_or(start.len()).max(1);
    let sent = start.get(..cut.min(length - 1)).unwrap_or_default();
    let mut bytes = if chunked {
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        let mut bytes = head(&parts);
        // The chunk that is announced is longer than what follows.
        bytes.extend_from_slice(format!("{length:x}\r\n").as_bytes());
        bytes
    } else {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
        head(&parts)
    };
    bytes.extend_from_slice(sent);
    Ok(bytes)
}

/// An answer as bytes, whose declared length is not that of its body.
async fn wrong_length(answer: Response, delta: i64) -> Result<Vec<u8>, ApiError> {
    let (mut parts, body) = answer.into_parts();
    let body = whole(body).await?;
    let declared = i64::try_from(body.len()).unwrap_or(i64::MAX).saturating_add(delta).max(0);
    parts.headers.insert(header::CONTENT_LENGTH, declared.into());
    let mut bytes = head(&parts);
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// At least so many bytes of a body, or all of it: an endless one is not waited for.
async fn start_of<E>(
    mut data: impl Stream<Item = Result<Bytes, E>> + Unpin,
    bytes: usize,
) -> Result<Vec<u8>, ApiError> {
    let mut start = Vec::new();
    while start.len() < bytes {
        let Some(data) = data.next().await else { break };
        start.extend_from_slice(&data.map_err(|_| unchangeable("the body ended early"))?);
    }
    Ok(start)
}

/// The status line and the headers, as HTTP/1.1 has them.
fn head(parts: &Parts) -> Vec<u8> {
    let status = parts.status;
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in &parts.headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    let date = crate::clock::system_now().format("%a, %d %b %Y %H:%M:%S GMT");
    // Writing to a vector does not fail.
    let _ = write!(head, "date: {date}\r\nconnection: close\r\n\r\n");
    head
}
