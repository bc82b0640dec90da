//! The deployment's settings, read once and judged whole: what is missing or malformed is said in one sentence.

use crate::access::Access;
use crate::access::assertion::Assertions;
use crate::access::session::SessionTokens;
use crate::key::Tenant;
use crate::names::setting;
use crate::operators::Operators;
use crate::rules::Rules;
use crate::token::TokenSecret;
use crate::webhook::Webhooks;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Everything that a deployment sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who may read.
    pub access: Access,
    /// The origin's scheme and authority, without a slash at the end.
    pub origin: String,
    /// The host names that are served, the first of them the deployment's own.
    pub hosts: Vec<String>,
    /// Who may purge.
    pub operators: Operators,
    /// By which the origin knows the edge.
    pub origin_secret: String,
    /// With which epoch tokens are signed.
    pub tokens: TokenSecret,
    /// The greatest age of counters that judge, in milliseconds, if the classes' are longer.
    pub snapshot_at_most: Option<u64>,
    /// So much an isolate's memory tier holds, in bytes.
    pub memory: usize,
    /// How many questions to the origin an isolate has under way at once.
    pub origin_concurrency: u32,
    /// The zone whose caches are purged, if there is one.
    pub zone: Option<Zone>,
    /// Who may say that something happened.
    pub webhooks: Webhooks,
    /// Origins whose pages may read what is answered, and write.
    pub cors_origins: Vec<String>,
}

/// The zone whose caches are purged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Where.
    pub url: String,
    /// With which token: one that may purge the zone's caches, and nothing else.
    pub token: String,
}

/// What is wrong with the settings, for whoever deploys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misconfigured(pub String);

/// What an isolate's memory tier holds if nothing else is set, in bytes.
const MEMORY_BYTES: usize = 16 * 1024 * 1024;
/// The most that can be set: an isolate has 128 MiB for everything.
const MEMORY_BYTES_AT_MOST: usize = 64 * 1024 * 1024;

/// Where Cloudflare's API is.
const ZONE_API: &str = "https://api.cloudflare.com";

impl Config {
    /// Whether the deployment serves this host, in whatever case it is written.
    #[must_use]
    pub fn serves(&self, host: &str) -> bool {
        self.hosts.iter().any(|served| served.eq_ignore_ascii_case(host))
    }

    /// Reads the settings, as far as they name classes for these rules. `get` answers a variable or secret by its name.
    ///
    /// # Errors
    /// The first setting that is missing or malformed, with what would be right.
    pub fn read(rules: &Rules, get: impl Fn(&str) -> Option<String>) -> Result<Self, Misconfigured> {
        let variable = |name: &str, wants: &str| {
            get(name)
                .filter(|value| !value.trim().is_empty())
                .ok_or_else(|| Misconfigured(format!("{name} is not set: put {wants} under [vars] in wrangler.toml.")))
        };
        let secret = |name: &str, wants: &str| {
            get(name).filter(|value| !value.trim().is_empty()).ok_or_else(|| {
                Misconfigured(format!(
                    "{name} is not set: give it {wants} with `npx wrangler secret put {name}`, or in .dev.vars for `wrangler dev`."
                ))
            })
        };
        let access = match variable(setting::ACCESS_MODE, "the access mode, such as ACCESS_MODE = \"open\",")?.as_str()
        {
            "open" => {
                let name = variable(setting::TENANT, "the tenant of access mode `open`")?;
                let tenant = Tenant::new(&name).ok_or_else(|| {
                    Misconfigured(format!("{} is not a host name of at most 128 of `a-z0-9.-`.", setting::TENANT))
                })?;
                Access::Open { tenant }
            }
            "session" => Access::Session(
                SessionTokens::read(
                    &secret(setting::SESSION_SECRETS, "the app's client secret")?,
                    &variable(setting::SESSION_AUDIENCE, "the app's API key")?,
                )
                .map_err(Misconfigured)?,
            ),
            "access" => Access::Assertion(
                Assertions::read(
                    team(&variable(
                        setting::ACCESS_TEAM,
                        "the team's address, such as \"https://team.cloudflareaccess.com\",",
                    )?)?,
                    &variable(setting::ACCESS_AUDIENCE, "the tag of the application")?,
                    &variable(setting::ACCESS_TENANTS, "by which claim a tenant is known, as JSON,")?,
                )
                .map_err(Misconfigured)?,
            ),
            _ => {
                return Err(Misconfigured(format!(
                    "{} is not known: say `open`, `session` or `access`.",
                    setting::ACCESS_MODE
                )));
            }
        };
        // Requests pass whole there, and answers are whatever the origin makes of them: no key could keep readers apart.
        let follows = rules.stored().find(|(_, stored)| stored.shape().is_none());
        if let Some((route, _)) = follows.filter(|_| !access.is_public()) {
            return Err(Misconfigured(format!(
                "{} must be `open` with these rules: route `{}` follows its origin.",
                setting::ACCESS_MODE,
                route.name
            )));
        }
        Ok(Self {
            access,
            origin: origin(
                &variable(setting::ORIGIN, "the origin's address, such as \"https://api.example.com\",")?,
                setting::ORIGIN,
            )?,
            hosts: hosts(&variable(
                setting::HOSTS,
                "the host names to serve, separated by spaces, the deployment's own first,",
            )?)?,
            operators: Operators::read(
                rules,
                &secret(setting::OPERATOR_TOKENS_SHA256, "the SHA-256 of each operator's token")?,
                get(setting::PURGE_TOKENS).as_deref().unwrap_or_default(),
            )
            .map_err(Misconfigured)?,
            tokens: TokenSecret::new(&secret(setting::EPOCH_SECRET, "a secret of 16 characters or more,")?)
                .ok_or_else(|| Misconfigured(format!("{} must have 16 characters or more.", setting::EPOCH_SECRET)))?,
            snapshot_at_most: get(setting::SNAPSHOT_AT_MOST_MS).map(|text| millis(&text)).transpose()?,
            memory: get(setting::MEMORY_BYTES).map_or(Ok(MEMORY_BYTES), |text| bytes(&text))?,
            origin_concurrency: get(setting::ORIGIN_CONCURRENCY)
                .map_or(Ok(ORIGIN_CONCURRENCY), |text| concurrency(&text))?,
            zone: zone(&get)?,
            cors_origins: get(setting::CORS_ORIGINS).map_or_else(|| Ok(Vec::new()), |text| cors_origins(&text))?,
            webhooks: get(setting::WEBHOOKS)
                .map_or_else(|| Ok(Webhooks::default()), |text| Webhooks::parse(&text).map_err(Misconfigured))?,
            origin_secret: header_value(secret(
                setting::ORIGIN_SECRET,
                "the secret that the origin expects in Edge-Secret",
            )?)?,
        })
    }
}

/// `http://` or `https://` with an authority and nothing else.
fn origin(text: &str, name: &str) -> Result<String, Misconfigured> {
    let base = text.trim().strip_suffix('/').unwrap_or(text.trim());
    let authority = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"));
    match authority {
        Some(authority) if is_authority(authority) => Ok(base.to_string()),
        _ => Err(Misconfigured(format!(
            "{name} must be a scheme and a host, such as https://api.example.com, without path or credentials."
        ))),
    }
}

/// A host name or address, and perhaps a port.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, "0"),
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let host = match address {
        Some(address) => address.contains(':') && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':'),
        None => !host.is_empty() && host.bytes().all(plain),
    };
    host && port.parse::<u16>().is_ok()
}

fn hosts(text: &str) -> Result<Vec<String>, Misconfigured> {
    let hosts: Vec<String> =
        text.split([' ', ',']).filter(|host| !host.is_empty()).map(str::to_ascii_lowercase).collect();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    if hosts.is_empty() || !hosts.iter().all(|host| host.bytes().all(plain)) {
        return Err(Misconfigured(format!(
            "{} must be host names without scheme, port or wildcard, separated by spaces.",
            setting::HOSTS
        )));
    }
    Ok(hosts)
}

/// The team's address. Whoever stands between could sign anything, so it is https, but on this machine.
fn team(text: &str) -> Result<String, Misconfigured> {
    let team = origin(text, setting::ACCESS_TEAM)?;
    let local = ["http://127.0.0.1:", "http://localhost:"].iter().any(|local| team.starts_with(local));
    if team.starts_with("https://") || local {
        return Ok(team);
    }
    Err(Misconfigured(format!("{} must begin with https://: its keys decide who gets in.", setting::ACCESS_TEAM)))
}

/// Origins as browsers write them: scheme, host in lower case, and a port that is not the scheme's own.
fn cors_origins(text: &str) -> Result<Vec<String>, Misconfigured> {
    let origins: Vec<String> = text.split([' ', ',']).filter(|origin| !origin.is_empty()).map(String::from).collect();
    let plain = |text: &String| {
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        let needless = text.starts_with("https://") && text.ends_with(":443")
            || text.starts_with("http://") && text.ends_with(":80");
        lower && !needless && origin(text, setting::CORS_ORIGINS).is_ok_and(|origin| origin == *text)
    };
    if !origins.iter().all(plain) {
        return Err(Misconfigured(format!(
            "{} must be origins as browsers write them, such as https://admin.example.com, separated by spaces.",
            setting::CORS_ORIGINS
        )));
    }
    Ok(origins)
}

/// Both of its settings, or none.
fn zone(get: impl Fn(&str) -> Option<String>) -> Result<Option<Zone>, Misconfigured> {
    let set = |name: &str| get(name).map(|value| value.trim().to_string()).filter(|value| !value.is_empty());
    match (set(setting::ZONE_ID), set(setting::ZONE_TOKEN)) {
        (None, None) => Ok(None),
        (Some(id), Some(token)) => {
            let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !plain || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                let (id, token) = (setting::ZONE_ID, setting::ZONE_TOKEN);
                return Err(Misconfigured(format!(
                    "{id} must be letters and digits, as the dashboard shows it, and {token} printable ASCII without spaces."
                )));
            }
            let api = set(setting::ZONE_API).unwrap_or_else(|| ZONE_API.to_string());
            Ok(Some(Zone {
                url: format!("{}/client/v4/zones/{id}/purge_cache", origin(&api, setting::ZONE_API)?),
                token,
            }))
        }
        _ => Err(Misconfigured(format!(
            "{} and {} belong together: set both, or none.",
            setting::ZONE_ID,
            setting::ZONE_TOKEN
        ))),
    }
}

fn millis(text: &str) -> Result<u64, Misconfigured> {
    text.trim().parse().ok().filter(|millis| (100..=60_000).contains(millis)).ok_or_else(|| {
        Misconfigured(format!("{} must be whole milliseconds from 100 to 60000.", setting::SNAPSHOT_AT_MOST_MS))
    })
}

fn bytes(text: &str) -> Result<usize, Misconfigured> {
    text.trim().parse().ok().filter(|bytes| *bytes <= MEMORY_BYTES_AT_MOST).ok_or_else(|| {
        Misconfigured(format!("{} must be whole bytes from 0 to {MEMORY_BYTES_AT_MOST}.", setting::MEMORY_BYTES))
    })
}

/// Without a setting: more than an isolate ever has under way, unless the origin is slow.
const ORIGIN_CONCURRENCY: u32 = 256;

/// How many questions an isolate may have under way.
fn concurrency(text: &str) -> Result<u32, Misconfigured> {
    text.trim()
        .parse()
        .ok()
        .filter(|count| (1..=1000).contains(count))
        .ok_or_else(|| Misconfigured(format!("{} must be a whole number from 1 to 1000.", setting::ORIGIN_CONCURRENCY)))
}

fn header_value(text: String) -> Result<String, Misconfigured> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err(Misconfigured(format!(
            "{} must be printable ASCII without spaces, as it is sent in a header field.",
            setting::ORIGIN_SECRET
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::Config;
    use crate::rules::compiled;
    use alloc::string::{String, ToString};

    const DIGEST: &str = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
    const GOOD: [(&str, &str); 7] = [
        ("ACCESS_MODE", "open"),
        ("TENANT", "a.test"),
        ("ORIGIN", "http://127.0.0.1:8788/"),
        ("HOSTS", "Dash.example.com localhost"),
        ("OPERATOR_TOKENS_SHA256", DIGEST),
        ("ORIGIN_SECRET", "s3cret"),
        ("EPOCH_SECRET", "sixteen characters"),
    ];

    fn read(changed: &str, value: Option<&str>) -> Result<Config, String> {
        let get = |name: &str| {
            let good = GOOD.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
            if name == changed { value } else { good }.map(str::to_string)
        };
        Config::read(compiled(), get).map_err(|wrong| wrong.0)
    }

    #[test]
    fn good_settings_are_read() {
        let config = read("", None).unwrap();
        assert_eq!(config.origin, "http://127.0.0.1:8788");
        for origin in ["https://a", "http://[::1]:80", "https://a-b.example:8443"] {
            assert_eq!(read("ORIGIN", Some(origin)).unwrap().origin, origin);
        }
        assert_eq!(config.hosts, ["dash.example.com", "localhost"]);
    }

    #[test]
    fn a_missing_setting_is_named_with_the_way_to_set_it() {
        for (name, _) in GOOD {
            for value in [None, Some(""), Some("  ")] {
                let sentence = read(name, value).unwrap_err();
                assert!(sentence.starts_with(&format!("{name} is not set: ")), "{sentence}");
                assert!(sentence.contains("wrangler"), "{sentence}");
            }
        }
    }

    #[test]
    fn a_malformed_setting_is_named_and_a_secret_not_repeated() {
        for (name, value) in [
            ("ACCESS_MODE", "Open"),
            ("ACCESS_MODE", "Session"),
            ("TENANT", "a/b"),
            ("ORIGIN", "api.example.com"),
            ("ORIGIN", "https://a/path"),
            ("ORIGIN", "https://user@a"),
            ("ORIGIN", "ftp://a"),
            ("ORIGIN", "https://a:b"),
            ("ORIGIN", "https://:8080"),
            ("ORIGIN", "https://[::1"),
            ("ORIGIN", "https://a b"),
            ("HOSTS", "localhost:8787"),
            ("HOSTS", "::1"),
            ("HOSTS", "https://a"),
            ("HOSTS", "*.a"),
            ("OPERATOR_TOKENS_SHA256", "a-token-in-clear"),
            ("OPERATOR_TOKENS_SHA256", DIGEST.trim_start_matches('E')),
            ("PURGE_TOKENS", "a-token-in-clear"),
            ("ORIGIN_SECRET", "two words"),
            ("EPOCH_SECRET", "fifteen chars.."),
            ("SNAPSHOT_AT_MOST_MS", "99"),
            ("SNAPSHOT_AT_MOST_MS", "1s"),
            ("MEMORY_BYTES", "16 MiB"),
            ("MEMORY_BYTES", "67108865"),
            ("ZONE_ID", "abc"),
            ("ZONE_TOKEN", "abc"),
            ("WEBHOOKS", "[]"),
            ("CORS_ORIGINS", "*"),
            ("CORS_ORIGINS", "null"),
            ("CORS_ORIGINS", "https://a.test https://B.test"),
            ("CORS_ORIGINS", "https://a.test/"),
            ("CORS_ORIGINS", "https://a.test:443"),
            ("CORS_ORIGINS", "a.test"),
        ] {
            let sentence = read(name, Some(value)).unwrap_err();
            assert!(sentence.contains(name), "{sentence}");
            let secret = ["OPERATOR_TOKENS_SHA256", "PURGE_TOKENS", "ORIGIN_SECRET", "EPOCH_SECRET"].contains(&name);
            assert!(!(secret && sentence.contains(value)), "{sentence}");
        }
    }
}
