//! A route that follows its origin: requests and answers pass whole (RFC 9110, section 7.6), less what ends at each hop,
//! and the client's header fields say what it will take from the store.

use crate::cache_control::RequestDirectives;
use crate::forwarding::{connection_options, is_dropped};
use crate::names::field;
use crate::ports::{Field, Request, Response};
use crate::rules::{Stored, Text};
use crate::small::Set;
use crate::validation::digest;
use crate::vary::variance;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

/// What a client's request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// The fields that go on to the origin, in lower case.
    fields: Vec<Field>,
    /// What it asks of a cache.
    pub directives: RequestDirectives,
}

impl Inbound {
    /// Of a request, if its route follows the origin.
    #[must_use]
    pub fn of<R: Request>(request: &R, stored: &Stored) -> Option<Rc<Self>> {
        if stored.shape().is_some() {
            return None;
        }
        let named = connection_options(request.header(field::CONNECTION));
        // The edge answers the client's conditions and ranges itself, from what is stored then. Those that are for the
        // origin alone have gone there, or are of a HEAD, for which the origin is never asked.
        let answered_here = [
            field::IF_NONE_MATCH,
            field::IF_MODIFIED_SINCE,
            field::IF_MATCH,
            field::IF_UNMODIFIED_SINCE,
            field::RANGE,
            field::IF_RANGE,
        ];
        // The edge adds itself to CDN-Loop, and what stood there before goes on.
        let is_passed = |name: &String| name == field::CDN_LOOP || !is_dropped(name, &named);
        let goes_on = |name: &String| is_passed(name) && !answered_here.contains(&name.as_str());
        let passed = request.header_names().into_iter().filter(goes_on);
        let fields = passed.filter_map(|name| Some((request.header(&name)?, name)));
        let fields = fields.map(|(value, name)| (Text::Owned(name), value)).collect();
        let header = |name| request.header(name);
        let (cache_control, pragma) = (header(field::CACHE_CONTROL), header(field::PRAGMA));
        let directives = RequestDirectives::parse(cache_control.as_deref(), pragma.as_deref());
        Some(Rc::new(Self { fields, directives }))
    }

    /// The fields that go on to the origin.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The value of a field that goes on to the origin.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// What its fields amount to of which these are the names (RFC 9111, section 4.1).
    #[must_use]
    pub fn variance(&self, nominated: &str) -> String {
        variance(nominated, |name| self.field(name).map(String::from))
    }

    /// By which requests are known that ask the origin in the same words.
    #[must_use]
    pub fn words(&self) -> String {
        let mut fields = Set::new();
        for (name, value) in &self.fields {
            fields.insert(format!("{name}:{value}\n"));
        }
        let mut text = String::new();
        fields.iter().for_each(|field| text.push_str(field));
        digest(text.as_bytes())
    }
}

/// Whether a request has something that only the origin can judge: a condition on its state (RFC 9110, sections 13.1.1
/// and 13.1.4), or another protocol.
#[must_use]
pub fn is_for_the_origin<R: Request>(request: &R) -> bool {
    let says = |name: &str| request.header(name).is_some();
    let is_conditional = says(field::IF_MATCH) || says(field::IF_UNMODIFIED_SINCE);
    says(field::UPGRADE) || is_conditional && request.method() == "GET"
}

/// The header fields of an answer, whole, less what ends at this hop (RFC 9110, section 7.6.1) and what the edge says
/// itself.
#[must_use]
pub fn passed_fields<R: Response>(response: &R) -> Vec<(String, String)> {
    let named = connection_options(response.header(field::CONNECTION));
    let own = [field::CLOUDFLARE_CDN_CACHE_CONTROL, field::EPOCH_TOKEN];
    let ends_here = |name: &str| {
        field::HOP_BY_HOP.contains(&name) || named.iter().any(|other| other == name) || own.contains(&name)
    };
    response.fields().into_iter().filter(|(name, _)| !ends_here(name)).collect()
}

/// What is kept of them (RFC 9111, section 3.1): not what tells of this one answer alone.
#[must_use]
pub fn stored_fields(mut fields: Vec<(String, String)>) -> Vec<(String, String)> {
    let of_one_answer = [field::AGE, field::CACHE_STATUS, field::SET_COOKIE, field::X_REQUEST_ID];
    fields.retain(|(name, _)| !of_one_answer.contains(&name.as_str()));
    fields
}

#[cfg(test)]
mod tests;
