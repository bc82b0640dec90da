//! Who may call the admin plane, and what each caller may purge.
//!
//! Only digests of tokens are configured. An operator's token reaches all of the deployment's tenant; a purge token
//! reaches the tenants, classes and modes that are written beside it.

use crate::epoch::{Mode, Scope};
use crate::key::Tenant;
use crate::names::setting;
use crate::problem::{Kind, Problem};
use crate::purge::{Requested, Tenants};
use crate::rules::Rules;
use crate::validation::hex;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How many purges a token may ask for in a minute, if nothing else is said of it.
const PURGES_PER_MINUTE: u32 = 600;
/// The most that can be said of it.
const PURGES_PER_MINUTE_AT_MOST: u64 = 6000;
/// The greatest length of a purge token's name.
const NAME_GREATEST_LENGTH: usize = 64;
/// What stands for all tenants, or for all classes.
const ANY: &str = "*";

/// SHA-256 of a token.
type TokenDigest = [u8; 32];

/// Some names, or every one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Among {
    Any,
    These(Vec<String>),
}

impl Among {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(names) => names.iter().any(|other| other == name),
        }
    }
}

/// Somebody with a token: a name, and what the token reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// By which the ledger counts its purges. It tells nothing of the token.
    pub name: String,
    /// How many purges it may ask for in a minute.
    pub per_minute: u32,
    /// Whether it is one of the deployment's operators, who may ask the origin past the store as well.
    pub is_operator: bool,
    tenants: Among,
    classes: Among,
    modes: Vec<Mode>,
    /// Whether it may purge all tenants at once.
    everything: bool,
}

impl Caller {
    /// An operator has no name but the beginning of its token's digest. The colon keeps it apart from configured names.
    fn operator(digest: &TokenDigest) -> Self {
        Self {
            name: format!("sha256:{}", hex(digest.get(..4).unwrap_or_default())),
            per_minute: PURGES_PER_MINUTE,
            is_operator: true,
            tenants: Among::Any,
            classes: Among::Any,
            modes: vec![Mode::Soft, Mode::Hard, Mode::Erase],
            everything: false,
        }
    }

    /// Whether the token is for this tenant.
    ///
    /// # Errors
    /// It is not, in a sentence.
    pub fn reaches(&self, tenant: &Tenant) -> Result<(), String> {
        if self.tenants.has(tenant.as_str()) {
            return Ok(());
        }
        Err(format!("Tenant `{}` is outside the scope of this token.", tenant.as_str()))
    }

    /// Whether the token is for all tenants at once.
    ///
    /// # Errors
    /// It is not, in a sentence.
    pub fn reaches_all(&self) -> Result<(), String> {
        if self.everything {
            return Ok(());
        }
        Err("A purge of all tenants is outside the scope of this token: it needs `everything`.".into())
    }

    /// Whether a purge lies within the scope of the token.
    ///
    /// # Errors
    /// Which part of it does not, in a sentence.
    pub fn permits(&self, rules: &Rules, requested: &Requested) -> Result<(), String> {
        if !self.modes.contains(&requested.mode) {
            return Err(format!("Mode `{}` is outside the scope of this token.", requested.mode.as_str()));
        }
        match &requested.tenants {
            Tenants::One(tenant) => self.reaches(tenant)?,
            Tenants::All => self.reaches_all()?,
        }
        let Among::These(_) = &self.classes else { return Ok(()) };
        if requested.scopes.iter().any(|scope| class(rules, scope).is_none()) {
            return Err("`all` and `tags` reach every class, and this token does not.".into());
        }
        match requested.scopes.iter().filter_map(|scope| class(rules, scope)).find(|name| !self.classes.has(name)) {
            Some(name) => Err(format!("Class `{name}` is outside the scope of this token.")),
            None => Ok(()),
        }
    }
}

/// The one class that a scope lies in. None, if it may reach all of them.
fn class<'a>(rules: &'a Rules, scope: &'a Scope) -> Option<&'a str> {
    match scope {
        Scope::Tenant | Scope::Tag(_) => None,
        Scope::Class(name) => Some(name),
        Scope::Route(route) | Scope::Key { route, .. } => rules.route(route).map(|route| &*route.class),
    }
}

/// Everybody who has a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operators(Vec<(TokenDigest, Caller)>);

impl Operators {
    /// Reads the operators' digests, of 64 hexadecimal digits each, separated by white space or commas, and the purge
    /// tokens, a list in JSON or nothing.
    ///
    /// # Errors
    /// The first thing that is wrong. As a token in clear may stand anywhere by mistake, the sentence repeats nothing
    /// of what was configured.
    pub fn read(rules: &Rules, digests: &str, purge_tokens: &str) -> Result<Self, String> {
        let words = digests.split(|character: char| character == ',' || character.is_whitespace());
        let digests: Option<Vec<_>> = words.filter(|word| !word.is_empty()).map(digest).collect();
        let digests = digests.filter(|digests| !digests.is_empty()).ok_or_else(|| {
            format!(
                "{} must be one or more SHA-256 digests, each 64 hexadecimal digits, separated by spaces or commas.",
                setting::OPERATOR_TOKENS_SHA256
            )
        })?;
        let mut known: Vec<_> = digests.into_iter().map(|digest| (digest, Caller::operator(&digest))).collect();
        if purge_tokens.trim().is_empty() {
            return Ok(Self(known));
        }
        let Ok(Value::Array(tokens)) = serde_json::from_str(purge_tokens) else {
            return Err(format!("{} must be a list of tokens in JSON.", setting::PURGE_TOKENS));
        };
        for (index, token) in tokens.iter().enumerate() {
            let at = |what: String| format!("{}, token {}: {what}", setting::PURGE_TOKENS, index + 1);
            let (digest, caller) = purge_token(rules, token).map_err(at)?;
            if known.iter().any(|(_, other)| other.name == caller.name) {
                return Err(at("another token before it has its `name`.".into()));
            }
            if known.iter().any(|(other, _)| *other == digest) {
                return Err(at("another token, or an operator, has its `sha256`.".into()));
            }
            known.push((digest, caller));
        }
        Ok(Self(known))
    }

    /// The caller whose token an Authorization field holds, as `Bearer <token>` (RFC 6750, section 2.1).
    ///
    /// Every digest is compared whole, whichever matches, so the time taken tells nothing.
    #[must_use]
    pub fn admit(&self, authorization: Option<&str>) -> Option<&Caller> {
        let (scheme, token) = authorization.and_then(|field| field.split_once(' '))?;
        if !scheme.eq_ignore_ascii_case("Bearer") || token.is_empty() {
            return None;
        }
        let given = Sha256::digest(token.as_bytes());
        self.0.iter().fold(None, |found, (digest, caller)| {
            if bool::from(digest.as_slice().ct_eq(given.as_slice())) { Some(caller) } else { found }
        })
    }

    /// The answer to whoever is none of them. One and the same, whatever was wrong.
    #[must_use]
    pub fn refusal() -> Problem {
        Problem::new(Kind::Unauthorized, "This needs an operator's token, as `Authorization: Bearer <token>`.")
    }
}

fn digest(hex: &str) -> Option<TokenDigest> {
    let nibbles: Option<Vec<u8>> = hex.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    let bytes: Vec<u8> =
        nibbles?.chunks(2).map(|pair| pair.iter().fold(0, |byte, nibble| byte << 4 | nibble)).collect();
    (hex.len() == 64).then_some(bytes)?.try_into().ok()
}

/// Reads one purge token.
fn purge_token(rules: &Rules, token: &Value) -> Result<(TokenDigest, Caller), String> {
    const MEMBERS: [&str; 7] = ["name", "sha256", "tenants", "classes", "modes", "everything", "per_minute"];
    let members = token.as_object().ok_or("it is not a JSON object.")?;
    if members.keys().any(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(format!("it has a member that is none of `{}`.", MEMBERS.join("`, `")));
    }
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-');
    let name = text("name")
        .filter(|name| (1..=NAME_GREATEST_LENGTH).contains(&name.len()) && name.bytes().all(plain))
        .ok_or_else(|| format!("`name` must be 1 to {NAME_GREATEST_LENGTH} of `a-z0-9._-`."))?;
    let digest = text("sha256").and_then(digest).ok_or("`sha256` must be 64 hexadecimal digits.")?;
    let tenants = among(members, "tenants", |name| Tenant::new(name).is_some())
        .ok_or("`tenants` must be host names of at most 128 of `a-z0-9.-`, or [\"*\"].")?;
    let classes = among(members, "classes", |name| rules.class(name).is_some())
        .ok_or("`classes` must be classes of rules.toml, or [\"*\"].")?;
    let modes = names(members, "modes").and_then(|modes| modes.into_iter().map(Mode::parse).collect());
    let modes = modes.ok_or("`modes` must be one or more of `soft`, `hard` and `erase`.")?;
    let everything = members.get("everything").map_or(Some(false), Value::as_bool);
    let everything = everything.ok_or("`everything` must be true or false.")?;
    let per_minute = members.get("per_minute").map_or(Some(PURGES_PER_MINUTE), |number| {
        let number = number.as_u64().filter(|number| (1..=PURGES_PER_MINUTE_AT_MOST).contains(number))?;
        u32::try_from(number).ok()
    });
    let per_minute = per_minute
        .ok_or_else(|| format!("`per_minute` must be a whole number from 1 to {PURGES_PER_MINUTE_AT_MOST}."))?;
    Ok((digest, Caller { name: name.to_string(), per_minute, is_operator: false, tenants, classes, modes, everything }))
}

/// A list of one string or more, and of nothing else.
fn names<'a>(members: &'a Map<String, Value>, member: &str) -> Option<Vec<&'a str>> {
    let names: Vec<&str> = members.get(member)?.as_array()?.iter().map(Value::as_str).collect::<Option<_>>()?;
    (!names.is_empty()).then_some(names)
}

/// Names that exist, or the one that stands for all of them.
fn among(members: &Map<String, Value>, member: &str, exists: impl Fn(&str) -> bool) -> Option<Among> {
    let names = names(members, member)?;
    if names == [ANY] {
        return Some(Among::Any);
    }
    names.iter().all(|name| exists(name)).then(|| Among::These(names.iter().map(ToString::to_string).collect()))
}

#[cfg(test)]
mod tests {
    use super::Operators;
    use crate::rules::compiled;
    use crate::validation::digest;
    use alloc::string::{String, ToString as _};
    use serde_json::{Value, json};

    /// SHA-256 of `one` and of `two`.
    const ONE: &str = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
    const TWO: &str = "3FC4CCFE745870E2C0D99F71F30FF0656C8DEDD41CC1D7D3D376B0DBE685E2F3";

    fn read(digests: &str, purge_tokens: &str) -> Result<Operators, String> {
        Operators::read(compiled(), digests, purge_tokens)
    }

    /// The name of whoever this field admits, of two operators and `ci`.
    fn admitted(field: Option<&str>) -> Option<String> {
        let operators = read(&format!("{ONE},\n {TWO}"), &json!([good()]).to_string()).unwrap();
        operators.admit(field).map(|caller| caller.name.clone())
    }

    /// A purge token `three` that is read.
    fn good() -> Value {
        json!({
            "name": "ci", "sha256": digest(b"three"), "tenants": ["a.test"], "classes": ["historical"],
            "modes": ["soft"],
        })
    }

    #[test]
    fn each_token_is_admitted_under_its_name() {
        assert_eq!(admitted(Some("Bearer one")).as_deref(), Some("sha256:7692c3ad"));
        assert_eq!(admitted(Some("bearer two")).as_deref(), Some("sha256:3fc4ccfe"));
        assert_eq!(admitted(Some("BEARER three")).as_deref(), Some("ci"));
    }

    #[test]
    fn nothing_else_is() {
        for field in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer four",
            "Bearer ci",
            "Bearer on",
            "Bearer one ",
            "Bearer  one",
            "Basic one",
            "one",
            ONE,
        ] {
            assert_eq!(admitted(Some(field)), None, "{field}");
        }
        assert_eq!(admitted(Some(&format!("Bearer {ONE}"))), None);
        assert_eq!(admitted(None), None);
    }

    #[test]
    fn digests_are_read_whole_or_not_at_all() {
        for text in [
            "",
            " , ",
            "abc",
            ONE.trim_start_matches('7'),
            &format!("{ONE}0"),
            &ONE.replace('7', "g"),
            &format!("{ONE} x"),
        ] {
            let sentence = read(text, "").unwrap_err();
            assert!(sentence.starts_with("OPERATOR_TOKENS_SHA256 must be"), "{sentence}");
        }
    }

    #[test]
    fn purge_tokens_may_be_missing_or_none() {
        for text in ["", " \n", "[]"] {
            assert_eq!(read(ONE, text).unwrap().0.len(), 1, "{text:?}");
        }
    }

    /// The good token with one member changed, or taken out.
    fn changed(member: &str, value: Option<Value>) -> Value {
        with(good(), member, value)
    }

    fn with(mut token: Value, member: &str, value: Option<Value>) -> Value {
        let members = token.as_object_mut().unwrap();
        match value {
            Some(value) => _ = members.insert(member.into(), value),
            None => _ = members.remove(member),
        }
        token
    }

    #[test]
    fn every_value_at_its_limit_is_read() {
        for (member, value) in [
            ("name", json!("a")),
            ("name", json!("a-z_0.9".repeat(10).get(..64))),
            ("sha256", json!(digest(b"four").to_ascii_uppercase())),
            ("tenants", json!(["*"])),
            ("tenants", json!(["a.test", "b.test"])),
            ("classes", json!(["*"])),
            ("classes", json!(["near_real_time", "comparison"])),
            ("modes", json!(["soft", "hard", "erase"])),
            ("everything", json!(true)),
            ("everything", json!(false)),
            ("per_minute", json!(1)),
            ("per_minute", json!(6000)),
        ] {
            let token = changed(member, Some(value));
            assert!(read(ONE, &json!([token]).to_string()).is_ok(), "{token}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_token_is_named_and_no_value_repeated() {
        let secret = "a-Token-in-clear";
        let rows = [
            ("name", vec![json!(""), json!("a".repeat(65)), json!("CI"), json!("a b"), json!(7), json!(secret)]),
            ("sha256", vec![json!(""), json!("abc"), json!(format!("{TWO}0")), json!(secret), json!([TWO])]),
            (
                "tenants",
                vec![json!([]), json!("*"), json!(["*", "a.test"]), json!(["a/b"]), json!([secret]), json!([null])],
            ),
            (
                "classes",
                vec![json!([]), json!("*"), json!(["*", "historical"]), json!(["hist*"]), json!([secret]), json!([1])],
            ),
            ("modes", vec![json!([]), json!(["*"]), json!(["HARD"]), json!("hard"), json!(["hard", secret])]),
            ("everything", vec![json!("true"), json!(1), json!(null), json!(secret)]),
            ("per_minute", vec![json!(0), json!(6001), json!(-1), json!(1.5), json!("60"), json!(null)]),
        ];
        for (member, values) in rows {
            let optional = ["everything", "per_minute"].contains(&member);
            for value in values.into_iter().map(Some).chain((!optional).then_some(None)) {
                let first = with(changed("name", Some(json!("first"))), "sha256", Some(json!(TWO)));
                let sentence = read(ONE, &json!([first, changed(member, value)]).to_string()).unwrap_err();
                assert!(sentence.starts_with(&format!("PURGE_TOKENS, token 2: `{member}` must be ")), "{sentence}");
                assert!(!sentence.contains(secret) && sentence.ends_with('.'), "{sentence}");
            }
        }
    }

    #[test]
    fn what_is_no_list_of_tokens_is_refused() {
        for text in ["a-token", "{}", "null", "[", "[]x", "\"[]\""] {
            assert_eq!(read(ONE, text).unwrap_err(), "PURGE_TOKENS must be a list of tokens in JSON.", "{text}");
        }
        assert_eq!(read(ONE, "[[]]").unwrap_err(), "PURGE_TOKENS, token 1: it is not a JSON object.");
        let sentence = read(ONE, &json!([changed("a-Token-in-clear", Some(json!("ci")))]).to_string()).unwrap_err();
        assert!(sentence.starts_with("PURGE_TOKENS, token 1: it has a member that is none of `name`, "), "{sentence}");
        assert!(!sentence.contains("in-clear"), "{sentence}");
    }

    #[test]
    fn names_and_digests_are_unique() {
        let again = changed("sha256", Some(json!(TWO)));
        let sentence = read(ONE, &json!([good(), again]).to_string()).unwrap_err();
        assert_eq!(sentence, "PURGE_TOKENS, token 2: another token before it has its `name`.");
        let same = "PURGE_TOKENS, token 2: another token, or an operator, has its `sha256`.";
        let again = changed("name", Some(json!("other")));
        assert_eq!(read(ONE, &json!([good(), again]).to_string()).unwrap_err(), same);
        let operators = json!([good(), with(again, "sha256", Some(json!(ONE.to_ascii_uppercase())))]).to_string();
        assert_eq!(read(ONE, &operators).unwrap_err(), same);
    }
}
