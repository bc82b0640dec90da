//! What a ledger does when its alarm rings: the legs that are due. What fails is tried again later; a restart between
//! two steps does the last one twice at worst.

use super::disk::SqlDisk;
use super::js::{KvNamespace, failure, get, object};
use super::ledger_do::{GLOBAL, LEGS, TAGS, TENANTS};
use super::ledgers::call;
use super::ports::{now, random_number, sleep};
use crate::config::{Config, Zone};
use crate::entry::Head;
use crate::epoch::{Covered, Epoch, Scope};
use crate::ledger::desk::Disk as _;
use crate::ledger::outbox::{ERASED_AGAIN_MS, Kind, Leg, State, batch};
use crate::names::setting;
use crate::ports::Failure;
use crate::rules::compiled;
use crate::time::UnixMillis;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::pin::pin;
use futures::future::{Either, select};
use serde_json::{Value, json};
use wasm_bindgen::{JsCast as _, JsValue};
use worker::Env;
use worker::js_sys::{self, Array, JSON};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{Headers, RequestInit, Response, WorkerGlobalScope};

/// How many legs one ring of the alarm looks at.
const LEGS_AT_ONCE: u32 = 150;
/// How many values one ring of the alarm deletes; every call counts against the limit of one invocation.
const DELETED_AT_ONCE: usize = 30;
/// For so long Cloudflare's API is waited for, in milliseconds.
const API_MS: u64 = 10_000;

/// Does what is due.
pub async fn run(disk: &SqlDisk, env: &Env, config: &Config) -> Result<(), Failure> {
    let legs = disk.due_legs(now(), LEGS_AT_ONCE)?;
    let (tags, others): (Vec<Leg>, Vec<Leg>) = legs.into_iter().partition(|leg| leg.kind == Kind::Tag);
    purge_tags(disk, config, tags).await?;
    for leg in others {
        let done = match leg.kind {
            Kind::Zone => hand_over(env, &leg).await,
            Kind::Erase => erase(env, &leg).await,
            Kind::List => list(env, &leg).await,
            Kind::Tag => Ok(leg.clone()),
        };
        disk.move_leg(&done.unwrap_or_else(|failure| failed(leg, None, &failure)))?;
    }
    Ok(())
}

fn failed(leg: Leg, pause: Option<u64>, failure: &Failure) -> Leg {
    worker::console_error!("{} of {}: {}", leg.kind.as_str(), leg.receipt, failure.0);
    leg.failed(now(), pause, random_number())
}

/// Purges tags from the zone's caches, in one call.
async fn purge_tags(disk: &SqlDisk, config: &Config, legs: Vec<Leg>) -> Result<(), Failure> {
    let tags: Vec<String> = batch(&legs).into_iter().map(String::from).collect();
    if tags.is_empty() {
        return Ok(());
    }
    let answer = match &config.zone {
        Some(zone) => purge_zone(zone, &tags).await,
        None => Err((None, Failure("the zone is not configured any more".to_string()))),
    };
    for leg in legs.into_iter().filter(|leg| tags.contains(&leg.what)) {
        disk.move_leg(&match &answer {
            Ok(()) => leg.reached(State::Done),
            Err((pause, failure)) => failed(leg, *pause, failure),
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

/// Has the global ledger collect the tags.
async fn hand_over(env: &Env, leg: &Leg) -> Result<Leg, Failure> {
    let path = format!("/{TAGS}/{GLOBAL}/{}", leg.receipt);
    call(env, GLOBAL, &path, Some(leg.what.clone())).await.map(|_| leg.clone().reached(State::HandedOver))
}

/// Looks how far the global ledger is with what it has of a receipt.
pub async fn settle_handed_over(disk: &SqlDisk, env: &Env, receipt: &str) -> Result<(), Failure> {
    for leg in disk.legs(receipt)?.into_iter().filter(|leg| leg.state == State::HandedOver) {
        // A receipt says what is known; if the global ledger does not answer, that is what was known before.
        let answer = call(env, GLOBAL, &format!("/{LEGS}/{GLOBAL}/{receipt}"), None).await.ok().flatten();
        if let Some(state @ (State::Done | State::GivenUp)) = answer.and_then(|word| State::parse(&word)) {
            disk.move_leg(&Leg { state, ..leg })?;
        }
    }
    Ok(())
}

/// Tells the global ledger whether a tenant is listed.
async fn list(env: &Env, leg: &Leg) -> Result<Leg, Failure> {
    let (tenant, is_listed) = leg.what.split_once(' ').unwrap_or_default();
    let path = format!("/{TENANTS}/{GLOBAL}/{tenant}");
    call(env, GLOBAL, &path, Some(is_listed.to_string())).await.map(|_| leg.clone().reached(State::Done))
}

/// Deletes the values in Workers KV that were stored before the position: once at once, and once more when what was
/// being written has landed. A value that was filled since is left alone.
async fn erase(env: &Env, leg: &Leg) -> Result<Leg, Failure> {
    let unreadable = || Failure("a leg that this version does not know".to_string());
    let (head, scopes) = leg.what.split_once('\n').ok_or_else(unreadable)?;
    let (pass, epoch) = head.split_once(' ').ok_or_else(unreadable)?;
    let epoch = Epoch(epoch.parse().map_err(|_| unreadable())?);
    let covering: Vec<Scope> = scopes.split('\n').filter_map(Scope::parse).collect();
    let tenant = leg.receipt.split('~').next().unwrap_or_default();
    let namespace: KvNamespace = get(env, setting::KV).unchecked_into();
    let doomed = doomed(&namespace, tenant, epoch, &covering).await.map_err(failure)?;
    for name in doomed.iter().take(DELETED_AT_ONCE) {
        JsFuture::from(namespace.delete(name).map_err(failure)?).await.map_err(failure)?;
    }
    if doomed.len() > DELETED_AT_ONCE {
        return Ok(leg.clone());
    }
    if pass == "1" {
        let again = UnixMillis(now().0.saturating_add(ERASED_AGAIN_MS));
        return Ok(Leg { what: format!("2 {epoch}\n{scopes}"), due: again, ..leg.clone().reached(State::Waiting) });
    }
    Ok(leg.clone().reached(State::Done))
}

/// The names of a tenant's values that are covered and older than the position.
async fn doomed(
    namespace: &KvNamespace,
    tenant: &str,
    epoch: Epoch,
    covering: &[Scope],
) -> Result<Vec<String>, JsValue> {
    let (prefix, mut cursor, mut doomed) = (format!("{tenant}/"), JsValue::UNDEFINED, Vec::new());
    loop {
        let options = object(&[("prefix", prefix.as_str().into()), ("cursor", cursor)]);
        let page = JsFuture::from(namespace.list(&options)?).await?;
        for key in Array::from(&get(&page, "keys")) {
            let Some(name) = get(&key, "name").as_string() else { continue };
            let metadata = JSON::stringify(&get(&key, "metadata")).ok().and_then(|text| text.as_string());
            let head = metadata.and_then(|text| Head::decode(&text));
            // What is no entry of ours, or not to be read any more, has no use either.
            let older = head.as_ref().is_none_or(|head| head.epoch < epoch);
            let logical = name.strip_prefix(&prefix).unwrap_or_default();
            let marks = head.as_ref().map_or("", |head| &head.marks);
            if older && is_covered(logical, marks, covering) {
                doomed.push(name);
            }
        }
        if get(&page, "list_complete").is_truthy() || doomed.len() > DELETED_AT_ONCE {
            return Ok(doomed);
        }
        cursor = get(&page, "cursor");
    }
}

fn is_covered(logical: &str, marks: &str, covering: &[Scope]) -> bool {
    let base = logical.split('?').next().unwrap_or_default();
    let route = compiled().stored().find(|(_, stored)| stored.key == base).map(|(route, _)| route);
    let (class, name) = route.map_or(("", ""), |route| (&*route.class, &*route.name));
    let entry = Covered { class, route: name, key: logical, marks };
    covering.iter().any(|scope| scope.covers(&entry))
}
