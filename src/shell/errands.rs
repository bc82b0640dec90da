//! What a ledger does when its alarm rings: the legs that are due. What fails is tried again later; a restart between
//! two steps does the last one twice at worst.

use super::disk::SqlDisk;
use super::js::{KvNamespace, failure, get, object};
use super::ledger_do::{GLOBAL, LEGS, TAGS, TENANTS};
use super::ledgers::call_global;
use super::ports::{now, random_number, sleep};
use crate::config::{Config, Zone};
use crate::entry::Head;
use crate::key::logical;
use crate::ledger::desk::{Desk, Disk as _};
use crate::ledger::erase::{Erasure, PAGE};
use crate::ledger::outbox::{Kind, Leg, State, batch};
use crate::names::setting;
use crate::ports::Failure;
use crate::rules::compiled;
use crate::snapshot::ASKED_MS;
use crate::time::UnixMillis;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::pin::pin;
use futures::future::{Either, select};
use serde_json::{Value, json};
use wasm_bindgen::{JsCast as _, JsValue};
use worker::Env;
use worker::js_sys::{self, Array, JSON};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{Headers, RequestInit, Response, WorkerGlobalScope};

/// How many legs one ring of the alarm looks at: many may be of one tag, which is purged once for all of them.
const LEGS_AT_ONCE: u32 = 1000;
/// After so long a ring begins with no further leg and leaves the others to the next one, in milliseconds.
const RING_MS: u64 = 60_000;
/// For so long Cloudflare's API is waited for, in milliseconds.
const API_MS: u64 = 10_000;
/// For so long the global ledger is, in milliseconds.
const GLOBAL_CALL_MS: u64 = 5_000;
/// For so long a page of values may take, in milliseconds.
const PAGE_MS: u64 = 30_000;

/// Does what is due.
pub async fn run(disk: &SqlDisk, ledger: &RefCell<Desk>, env: &Env, config: &Config) -> Result<(), Failure> {
    let began = now();
    let legs = disk.due_legs(began, LEGS_AT_ONCE)?;
    let (tags, others): (Vec<Leg>, Vec<Leg>) = legs.into_iter().partition(|leg| leg.kind == Kind::Tag);
    purge_tags(disk, config, tags).await?;
    for leg in others {
        if now().0.abs_diff(began.0) > RING_MS {
            break;
        }
        let done = match leg.kind {
            Kind::Erase => erase(env, &leg).await,
            Kind::List => {
                let is_listed = ledger.borrow_mut().is_listed(disk, now())?;
                list(env, &leg, is_listed).await
            }
            Kind::Zone => hand_over(env, &leg).await,
            Kind::Tag => continue,
        };
        disk.move_leg(&done.unwrap_or_else(|(leg, failure)| failed(leg, None, random_number(), &failure)))?;
    }
    ledger.borrow_mut().forget(disk, now())
}

fn failed(leg: Leg, pause: Option<u64>, random: u64, failure: &Failure) -> Leg {
    worker::console_error!("{} of {}: {}", leg.kind.as_str(), leg.receipt, failure.0);
    leg.failed(now(), pause, random)
}

/// Purges tags from the zone's caches, in one call. If the last one failed, all wait until it may be tried again.
async fn purge_tags(disk: &SqlDisk, config: &Config, legs: Vec<Leg>) -> Result<(), Failure> {
    let tags: Vec<String> = batch(&legs).into_iter().map(String::from).collect();
    if tags.is_empty() {
        return Ok(());
    }
    if let Some(until) = disk.tags_wait_until()?.filter(|until| *until > now()) {
        return disk.put_tags_off(until);
    }
    let answer = match &config.zone {
        Some(zone) => purge_zone(zone, &tags).await,
        None => Err((None, Failure("the zone is not configured any more".to_string()))),
    };
    // They come back together, in one call.
    let random = random_number();
    for leg in legs.into_iter().filter(|leg| tags.contains(&leg.what)) {
        disk.move_leg(&match &answer {
            Ok(()) => leg.reached(State::Done),
            Err((pause, failure)) => failed(leg, *pause, random, failure),
        })?;
    }
    Ok(())
}

/// Calls Cloudflare's API. If it asks to be left alone for a while, says for how many milliseconds.
async fn purge_zone(zone: &Zone, tags: &[String]) -> Result<(), (Option<u64>, Failure)> {
    let answer = match select(pin!(fetch_zone(zone, tags)), pin!(sleep(API_MS))).await {
        Either::Left((answer, _)) => answer.map_err(|thrown| (None, failure(thrown)))?,
        Either::Right(((), _)) => return Err((None, Failure("the zone's API took too long".to_string()))),
    };
    match answer {
        (200, _, true) => Ok(()),
        (status, pause, _) => Err((pause, Failure(format!("the zone's API answered {status}")))),
    }
}

async fn fetch_zone(zone: &Zone, tags: &[String]) -> Result<(u16, Option<u64>, bool), JsValue> {
    let headers = Headers::new()?;
    headers.set("authorization", &format!("Bearer {}", zone.token))?;
    headers.set("content-type", "application/json")?;
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers_headers(&headers);
    init.set_body(&JsValue::from(json!({ "tags": tags }).to_string()));
    let global: WorkerGlobalScope = js_sys::global().unchecked_into();
    let response: Response = JsFuture::from(global.fetch_with_str_and_init(&zone.url, &init)).await?.dyn_into()?;
    let seconds = response.headers().get("retry-after")?.and_then(|text| text.trim().parse::<u64>().ok());
    let text = JsFuture::from(response.text()?).await?.as_string().unwrap_or_default();
    let read: Value = serde_json::from_str(&text).unwrap_or_default();
    let success = read.get("success").and_then(Value::as_bool) == Some(true);
    Ok((response.status(), seconds.map(|seconds| seconds.saturating_mul(1000)), success))
}

/// A leg after its step, or as it is to be tried again and why.
type Step = Result<Leg, (Leg, Failure)>;

/// Has the global ledger collect the tags.
async fn hand_over(env: &Env, leg: &Leg) -> Step {
    let path = format!("/{TAGS}/{GLOBAL}/{}", leg.receipt);
    let answer = call_global(env, &path, Some(leg.what.clone()), GLOBAL_CALL_MS).await;
    answer.map(|_| leg.clone().reached(State::HandedOver)).map_err(|failure| (leg.clone(), failure))
}

/// Looks how far the global ledger is with what it has of a receipt.
pub async fn settle_handed_over(disk: &SqlDisk, env: &Env, receipt: &str) -> Result<(), Failure> {
    for leg in disk.legs(receipt)?.into_iter().filter(|leg| leg.state == State::HandedOver) {
        // A receipt says what is known; if the global ledger does not answer, that is what was known before.
        let path = format!("/{LEGS}/{GLOBAL}/{receipt}");
        let answer = call_global(env, &path, None, ASKED_MS).await.ok().flatten();
        if let Some(state @ (State::Done | State::GivenUp)) = answer.and_then(|word| State::parse(&word)) {
            disk.move_leg(&Leg { state, ..leg })?;
        }
    }
    Ok(())
}

/// Tells the global ledger whether the tenant is listed.
async fn list(env: &Env, leg: &Leg, is_listed: bool) -> Step {
    let path = format!("/{TENANTS}/{GLOBAL}/{}", leg.what);
    let answer = call_global(env, &path, Some(is_listed.to_string()), GLOBAL_CALL_MS).await;
    answer.map(|_| leg.clone().reached(State::Done)).map_err(|failure| (leg.clone(), failure))
}

/// Deletes what of one page is to be deleted.
async fn erase(env: &Env, leg: &Leg) -> Step {
    let Some(erasure) = Erasure::decode(&leg.what) else {
        return Err((leg.clone(), Failure("a leg that this version does not know".to_string())));
    };
    let tenant = leg.receipt.split('~').next().unwrap_or_default();
    let page = match select(pin!(erase_page(env, tenant, &erasure)), pin!(sleep(PAGE_MS))).await {
        Either::Left((cursor, _)) => cursor.map_err(failure),
        Either::Right(((), _)) => Err(Failure("Workers KV took too long".to_string())),
    };
    match page {
        Ok(cursor) => Ok(match erasure.next(cursor) {
            None => leg.clone().reached(State::Done),
            Some((next, wait)) => {
                let due = UnixMillis(now().0.saturating_add(wait));
                Leg { what: next.encode(), due, ..leg.clone().reached(State::Waiting) }
            }
        }),
        Err(failure) => Err((Leg { what: erasure.again().encode(), ..leg.clone() }, failure)),
    }
}

/// Deletes what of one page of a tenant's values is doomed, and answers the cursor of the next page, if there is one.
async fn erase_page(env: &Env, tenant: &str, erasure: &Erasure) -> Result<Option<String>, JsValue> {
    let namespace: KvNamespace = get(env, setting::KV).unchecked_into();
    let prefix = format!("{tenant}/");
    let cursor = erasure.cursor().map_or(JsValue::UNDEFINED, JsValue::from);
    let options = object(&[("prefix", prefix.as_str().into()), ("limit", PAGE.into()), ("cursor", cursor)]);
    let page = JsFuture::from(namespace.list(&options)?).await?;
    for key in Array::from(&get(&page, "keys")) {
        let Some(name) = get(&key, "name").as_string() else { continue };
        let metadata = JSON::stringify(&get(&key, "metadata")).ok().and_then(|text| text.as_string());
        let head = metadata.and_then(|text| Head::decode(&text));
        let logical = logical(name.strip_prefix(&prefix).unwrap_or_default());
        if erasure.dooms(compiled(), logical, head.as_ref()) {
            JsFuture::from(namespace.delete(&name)?).await?;
        }
    }
    let complete = get(&page, "list_complete").is_truthy();
    Ok(get(&page, "cursor").as_string().filter(|_| !complete))
}
