//! Whether an answer, and the world after it, are what a step says.

use super::schema::{Got, Step};
use crate::client::Seen;
use crate::fakes::{Content, Location};
use std::collections::BTreeMap;
use std::fmt::Debug;

fn same<T: PartialEq + Debug + ?Sized>(what: &str, actual: &T, expected: &T) -> Result<(), String> {
    if actual == expected { Ok(()) } else { Err(format!("{what}: {actual:?}, and not {expected:?}")) }
}

/// Compares what the step says about the answer.
pub fn answer(step: &Step, seen: &Seen, tags: &mut BTreeMap<String, String>) -> Result<(), String> {
    if let Some(status) = step.status {
        same("status", &seen.status, &status).map_err(|wrong| format!("{wrong}; {} {:?}", seen.text(), seen.lines))?;
    }
    if let Some(cs) = &step.cs {
        same("Cache-Status", seen.cache_status(), cs.as_str())?;
    }
    if let Some(cache_control) = &step.cache_control {
        same("Cache-Control", &seen.field("cache-control"), &Some(cache_control.as_str()))?;
    }
    if let Some(age) = step.age {
        same("Age", &seen.field("age"), &Some(age.to_string().as_str()))?;
    }
    if let Some(serial) = step.serial {
        same("serial", &seen.serial(), &Some(serial))?;
    }
    if let Some(body) = &step.body {
        same("body", seen.text().as_str(), body.as_str())?;
    }
    if let Some(length) = step.length {
        same("length of the body", &seen.body.len(), &length)?;
    }
    if let Some(part) = step.says.as_ref().filter(|part| !seen.text().contains(part.as_str())) {
        return Err(format!("the body does not say {part:?}: {}", seen.text()));
    }
    if let Some(name) = &step.tag {
        let tag = seen.field("etag").ok_or("there is no ETag")?;
        same("ETag", tag, tags.entry(name.clone()).or_insert_with(|| tag.to_string()))?;
    }
    if let Some(name) = &step.other_tag {
        let tag = seen.field("etag").ok_or("there is no ETag")?;
        if tags.get(name).is_none_or(|other| other == tag) {
            return Err(format!("ETag: {tag:?} is that of `{name}`"));
        }
    }
    if let Some(name) = &step.token {
        let receipt = seen.json();
        let token = seen.field("epoch-token").or_else(|| receipt["token"].as_str()).ok_or("there is no token")?;
        tags.insert(name.clone(), token.to_string());
    }
    for (name, value) in &step.has {
        same(name, &seen.field(name), &Some(value.as_str()))?;
    }
    for name in &step.lacks {
        same(name, &seen.field(name), &None)?;
    }
    Ok(())
}

/// Compares what the step says about incidents, stores and the origin.
pub fn world(step: &Step, location: &Location) -> Result<(), String> {
    if let Some(expected) = &step.incidents {
        let expected = expected.iter().map(|(word, count)| (word.as_str(), *count)).collect();
        same("incidents", &location.world.incidents(), &expected)?;
    }
    if let Some(keys) = &step.in_edge {
        same("keys in the Cache API", &location.edge.keys(), keys)?;
    }
    if let Some(keys) = &step.in_kv {
        same("keys in Workers KV", &location.world.kv.keys(), keys)?;
    }
    match &step.origin_got {
        Some(got) => origin_got(got, location),
        None => Ok(()),
    }
}

fn origin_got(got: &Got, location: &Location) -> Result<(), String> {
    let Got { method, url, content, has, lacks, fields } = got;
    let asked = location.world.origin.last().ok_or("the origin was asked nothing")?;
    let there = |name: &String| asked.lines.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    if let Some(method) = method {
        same("method at the origin", &asked.method, method)?;
    }
    if let Some(url) = url {
        same("URL at the origin", &asked.url, url)?;
    }
    if let Some(content) = content {
        same("content at the origin", &asked.content, &Content::Whole(content.as_bytes().to_vec()))?;
    }
    for (name, value) in has {
        same(&format!("{name} at the origin"), &there(name), &Some(value.as_str()))?;
    }
    for name in lacks {
        same(&format!("{name} at the origin"), &there(name), &None)?;
    }
    if let Some(fields) = fields {
        let all = asked.lines.iter().filter(|(name, _)| name != "x-request-id").cloned().collect();
        same("fields at the origin", &all, fields)?;
    }
    Ok(())
}
