//! Every name that the outside knows, once: header fields, bindings, variables.

/// Header fields, in lower case as every comparison here has them.
pub mod field {
    /// The Fetch standard: whether a page may read what was sent with the browser's own credentials.
    pub const ACCESS_CONTROL_ALLOW_CREDENTIALS: &str = "access-control-allow-credentials";
    /// The Fetch standard: what a page may send.
    pub const ACCESS_CONTROL_ALLOW_HEADERS: &str = "access-control-allow-headers";
    /// The Fetch standard: by which methods.
    pub const ACCESS_CONTROL_ALLOW_METHODS: &str = "access-control-allow-methods";
    /// The Fetch standard: which page may read.
    pub const ACCESS_CONTROL_ALLOW_ORIGIN: &str = "access-control-allow-origin";
    /// The Fetch standard: which fields it may read.
    pub const ACCESS_CONTROL_EXPOSE_HEADERS: &str = "access-control-expose-headers";
    /// The Fetch standard: for how long a browser remembers that.
    pub const ACCESS_CONTROL_MAX_AGE: &str = "access-control-max-age";
    /// The Fetch standard: what a page is about to do.
    pub const ACCESS_CONTROL_REQUEST_METHOD: &str = "access-control-request-method";
    /// RFC 9110, section 12.5.1.
    pub const ACCEPT: &str = "accept";
    /// RFC 9111, section 5.1.
    pub const AGE: &str = "age";
    /// RFC 9110, section 10.2.1.
    pub const ALLOW: &str = "allow";
    /// RFC 9110, section 11.6.2: of a client on its way to the origin, and of an operator on the admin plane.
    pub const AUTHORIZATION: &str = "authorization";
    /// Cloudflare Access: the assertion of who logged in.
    pub const CF_ACCESS_JWT_ASSERTION: &str = "cf-access-jwt-assertion";
    /// RFC 9111, section 5.2.
    pub const CACHE_CONTROL: &str = "cache-control";
    /// RFC 9875, section 3: of an answer to a request that was not safe.
    pub const CACHE_GROUP_INVALIDATION: &str = "cache-group-invalidation";
    /// RFC 9875, section 2.
    pub const CACHE_GROUPS: &str = "cache-groups";
    /// Of an entry in the Cache API: by which a purge of the zone finds it.
    pub const CACHE_TAG: &str = "cache-tag";
    /// The beginning of the tag of a tenant's entries.
    pub const DATA_TAG: &str = "hotrod-edge-data-";
    /// The beginning of the tag of a tenant's copied counters.
    pub const COUNTERS_TAG: &str = "hotrod-edge-counters-";
    /// RFC 9211.
    pub const CACHE_STATUS: &str = "cache-status";
    /// RFC 9213: for any CDN.
    pub const CDN_CACHE_CONTROL: &str = "cdn-cache-control";
    /// RFC 9213: for this cache alone.
    pub const HOTROD_CDN_CACHE_CONTROL: &str = "hotrod-cdn-cache-control";
    /// RFC 8586.
    pub const CDN_LOOP: &str = "cdn-loop";
    /// RFC 9213, in Cloudflare's name: it comes before every other cache directive there.
    pub const CLOUDFLARE_CDN_CACHE_CONTROL: &str = "cloudflare-cdn-cache-control";
    /// RFC 9110, section 7.6.1.
    pub const CONNECTION: &str = "connection";
    /// RFC 9110, section 8.6.
    pub const CONTENT_LENGTH: &str = "content-length";
    /// RFC 9110, section 8.5.
    pub const CONTENT_LANGUAGE: &str = "content-language";
    /// RFC 9110, section 8.7.
    pub const CONTENT_LOCATION: &str = "content-location";
    /// RFC 9110, section 14.4.
    pub const CONTENT_RANGE: &str = "content-range";
    /// Content Security Policy, level 3.
    pub const CONTENT_SECURITY_POLICY: &str = "content-security-policy";
    /// RFC 9110, section 8.3.
    pub const CONTENT_TYPE: &str = "content-type";
    /// RFC 9110, section 6.6.1.
    pub const DATE: &str = "date";
    /// An operator's bearer token on a route of the origin. Never forwarded.
    pub const EDGE_AUTHORIZATION: &str = "edge-authorization";
    /// The shared secret by which the origin knows that the edge is calling. Never taken from a client.
    pub const EDGE_SECRET: &str = "edge-secret";
    /// The position of the ledger after what a request changed, signed.
    pub const EPOCH_TOKEN: &str = "epoch-token";
    /// RFC 6265, section 4.2.
    pub const COOKIE: &str = "cookie";
    /// The role in which a reader asks, for the origin. Never taken from a client.
    pub const EDGE_ROLE: &str = "x-edge-role";
    /// RFC 9111, section 5.3.
    pub const EXPIRES: &str = "expires";
    /// RFC 9111, section 5.4.
    pub const PRAGMA: &str = "pragma";
    /// RFC 9110, section 8.4.
    pub const CONTENT_ENCODING: &str = "content-encoding";
    /// The Fetch standard: no guessing of media types.
    pub const X_CONTENT_TYPE_OPTIONS: &str = "x-content-type-options";
    /// Of an entry in the Cache API: the head.
    pub const STORED_HEAD: &str = "hotrod-head";
    /// RFC 9110, section 8.8.3.
    pub const ETAG: &str = "etag";
    /// RFC 9110, section 13.1.2.
    pub const IF_NONE_MATCH: &str = "if-none-match";
    /// RFC 9110, section 13.1.3.
    pub const IF_MODIFIED_SINCE: &str = "if-modified-since";
    /// RFC 9110, section 13.1.5.
    pub const IF_RANGE: &str = "if-range";
    /// RFC 9110, section 14.2.
    pub const RANGE: &str = "range";
    /// RFC 9110, section 8.8.2.
    pub const LAST_MODIFIED: &str = "last-modified";
    /// RFC 9110, section 13.1.1: for the origin alone (RFC 9111, section 4.3.2).
    pub const IF_MATCH: &str = "if-match";
    /// RFC 9110, section 13.1.4: for the origin alone (RFC 9111, section 4.3.2).
    pub const IF_UNMODIFIED_SINCE: &str = "if-unmodified-since";
    /// RFC 9110, section 10.2.2.
    pub const LOCATION: &str = "location";
    /// The Fetch standard: the page from which a request comes.
    pub const ORIGIN: &str = "origin";
    /// RFC 9110, section 10.2.3.
    pub const RETRY_AFTER: &str = "retry-after";
    /// The Referrer Policy standard.
    pub const REFERRER_POLICY: &str = "referrer-policy";
    /// RFC 6797.
    pub const STRICT_TRANSPORT_SECURITY: &str = "strict-transport-security";
    /// RFC 6265, section 4.1.
    pub const SET_COOKIE: &str = "set-cookie";
    /// A predecessor of CDN-Cache-Control.
    pub const SURROGATE_CONTROL: &str = "surrogate-control";
    /// RFC 9110, section 7.8.
    pub const UPGRADE: &str = "upgrade";
    /// RFC 9110, section 12.5.5.
    pub const VARY: &str = "vary";
    /// Standard Webhooks: the id of an event, the same in each attempt.
    pub const WEBHOOK_ID: &str = "webhook-id";
    /// Standard Webhooks: signatures of id, time and body, separated by spaces.
    pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";
    /// Standard Webhooks: the time of the attempt, in seconds.
    pub const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";
    /// RFC 9110, section 11.6.1.
    pub const WWW_AUTHENTICATE: &str = "www-authenticate";
    /// Chatwoot: the id of a delivery.
    pub const X_CHATWOOT_DELIVERY: &str = "x-chatwoot-delivery";
    /// Chatwoot: the signature of time and body.
    pub const X_CHATWOOT_SIGNATURE: &str = "x-chatwoot-signature";
    /// Chatwoot: the time of the delivery, in seconds.
    pub const X_CHATWOOT_TIMESTAMP: &str = "x-chatwoot-timestamp";
    /// A client's token: nothing older than this will do.
    pub const X_NEWER_THAN: &str = "x-newer-than";
    /// Names a request in the logs of edge and origin.
    pub const X_REQUEST_ID: &str = "x-request-id";
    /// The tenant, for the origin. Never taken from a client.
    pub const X_SHOP_DOMAIN: &str = "x-shop-domain";
    /// Shopify: the signature of the body.
    pub const X_SHOPIFY_HMAC_SHA256: &str = "x-shopify-hmac-sha256";
    /// Shopify: the shop, unsigned.
    pub const X_SHOPIFY_SHOP_DOMAIN: &str = "x-shopify-shop-domain";
    /// Shopify: what happened, unsigned.
    pub const X_SHOPIFY_TOPIC: &str = "x-shopify-topic";
    /// Shopify: the id of a delivery, unsigned.
    pub const X_SHOPIFY_WEBHOOK_ID: &str = "x-shopify-webhook-id";

    /// Shopify's App Bridge: ask again, with a new session token.
    pub const X_SHOPIFY_RETRY: &str = "x-shopify-retry-invalid-session-request";

    /// What lets a page of another origin read an answer.
    pub const READABLE_BY: [&str; 3] =
        [ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS];
    /// What an answer says about pages of other origins.
    pub const OF_CORS: [&str; 6] = [
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE,
    ];

    /// All that a webhook is judged by, besides its body.
    pub const OF_WEBHOOKS: [&str; 10] = [
        WEBHOOK_ID,
        WEBHOOK_SIGNATURE,
        WEBHOOK_TIMESTAMP,
        X_CHATWOOT_DELIVERY,
        X_CHATWOOT_SIGNATURE,
        X_CHATWOOT_TIMESTAMP,
        X_SHOPIFY_HMAC_SHA256,
        X_SHOPIFY_SHOP_DOMAIN,
        X_SHOPIFY_TOPIC,
        X_SHOPIFY_WEBHOOK_ID,
    ];

    /// Fields that end at each hop (RFC 9110, section 7.6.1), besides those that Connection names.
    pub const HOP_BY_HOP: [&str; 10] = [
        CONNECTION,
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        UPGRADE,
    ];
    /// Fields that the origin trusts, that the platform sets, or that a server or framework lets override what was
    /// asked, by whom and of whom: a client's own copies are dropped.
    pub const TRUSTED: [&str; 22] = [
        CDN_LOOP,
        EDGE_AUTHORIZATION,
        EDGE_SECRET,
        "host",
        X_REQUEST_ID,
        X_SHOP_DOMAIN,
        "base-url",
        "cache-tag",
        "forwarded",
        "front-end-https",
        "request-uri",
        "true-client-ip",
        "via",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-data-as-of",
        "x-host",
        "x-method-override",
        "x-real-ip",
        "x-rewrite-url",
        "x-tenant",
        "x-wap-profile",
    ];
    /// Fields that ask something of the next hop which the edge has already done, or cannot pass on: it has no
    /// extension of WebSocket frames of its own, and answers `Expect` by reading the body.
    pub const NEXT_HOP: [&str; 2] = ["expect", "sec-websocket-extensions"];
    /// Beginnings of such names.
    pub const TRUSTED_PREFIXES: [&str; 8] =
        ["cf-", "x-edge-", "x-forwarded", "x-http-", "x-invoke-", "x-middleware-", "x-original-", "x-proxy-"];
    /// What is kept of the origin's header fields with every stored answer. A class may add others.
    pub const STORED: [&str; 2] = [CONTENT_TYPE, CONTENT_LANGUAGE];
    /// What no class may add: the edge's own to say, of one answer, of one client, or binding for the whole host.
    pub const NEVER_STORED: [&str; 26] = [
        AGE,
        "alt-svc",
        AUTHORIZATION,
        CACHE_CONTROL,
        CACHE_STATUS,
        CACHE_TAG,
        CDN_CACHE_CONTROL,
        "clear-site-data",
        CLOUDFLARE_CDN_CACHE_CONTROL,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_SECURITY_POLICY,
        DATE,
        EDGE_SECRET,
        EPOCH_TOKEN,
        ETAG,
        EXPIRES,
        LAST_MODIFIED,
        LOCATION,
        PRAGMA,
        SET_COOKIE,
        STRICT_TRANSPORT_SECURITY,
        SURROGATE_CONTROL,
        VARY,
        WWW_AUTHENTICATE,
        X_REQUEST_ID,
    ];
    /// Beginnings of such names.
    pub const NEVER_STORED_PREFIXES: [&str; 4] = ["access-control-", "cf-", "hotrod-", "x-edge-"];
    /// What is passed on of the origin's header fields with an answer of a stored route that is not stored.
    pub const UNSTORED: [&str; 5] = [CONTENT_TYPE, CONTENT_LANGUAGE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE];
}

/// Paths of the edge itself.
pub mod path {
    /// Whether the Worker runs.
    pub const HEALTH: &str = "/healthz";
    /// The admin plane, with everything below it.
    pub const ADMIN: &str = "/cache";
    /// Purges.
    pub const PURGE: &str = "/cache/purge";
    /// Events, each of its source.
    pub const EVENTS: &str = "/cache/events/";
    /// Whether a tenant is listed.
    pub const LISTING: &str = "/cache/listing";
    /// Refreshes, by readers.
    pub const REFRESH: &str = "/cache/refresh";
    /// Receipts, each by its id.
    pub const RECEIPTS: &str = "/cache/receipts/";
    /// Copies of counters in the Cache API.
    pub const COUNTERS: &str = "/cache/counters/";
    /// Entries in the Cache API. The admin plane answers there, so no client can reach one.
    pub const STORED: &str = "/cache/stored/";
}

/// Bindings and variables of wrangler.toml, and secrets.
pub mod setting {
    /// Variable: who may read.
    pub const ACCESS_MODE: &str = "ACCESS_MODE";
    /// Secret of mode `session`: the app's client secret, or two while one is rotated.
    pub const SESSION_SECRETS: &str = "SESSION_SECRETS";
    /// Variable of mode `session`: the app's API key.
    pub const SESSION_AUDIENCE: &str = "SESSION_AUDIENCE";
    /// Variable of mode `access`: the team's address.
    pub const ACCESS_TEAM: &str = "ACCESS_TEAM";
    /// Variable of mode `access`: the tags of the applications.
    pub const ACCESS_AUDIENCE: &str = "ACCESS_AUDIENCE";
    /// Variable of mode `access`: by which claim a tenant is known, as JSON.
    pub const ACCESS_TENANTS: &str = "ACCESS_TENANTS";
    /// Variable, may be missing: origins whose pages may read.
    pub const CORS_ORIGINS: &str = "CORS_ORIGINS";
    /// Variable: the one tenant of mode `open`.
    pub const TENANT: &str = "TENANT";
    /// Variable: the origin's scheme and authority.
    pub const ORIGIN: &str = "ORIGIN";
    /// Variable: the host names that are served, the first of them the deployment's own.
    pub const HOSTS: &str = "HOSTS";
    /// Secret: SHA-256 of each operator's token.
    pub const OPERATOR_TOKENS_SHA256: &str = "OPERATOR_TOKENS_SHA256";
    /// Secret, may be missing: tokens that may purge within a scope.
    pub const PURGE_TOKENS: &str = "PURGE_TOKENS";
    /// Secret: sent to the origin as Edge-Secret.
    pub const ORIGIN_SECRET: &str = "ORIGIN_SECRET";
    /// Secret: signs epoch tokens.
    pub const EPOCH_SECRET: &str = "EPOCH_SECRET";
    /// Secret, may be missing: who may send webhooks, and for which tenants, as JSON.
    pub const WEBHOOKS: &str = "WEBHOOKS";
    /// Variable, may be missing: the zone whose caches are purged.
    pub const ZONE_ID: &str = "ZONE_ID";
    /// Secret, may be missing: a token that may purge that zone's caches.
    pub const ZONE_TOKEN: &str = "ZONE_TOKEN";
    /// Variable, may be missing: where Cloudflare's API is, if not at Cloudflare.
    pub const ZONE_API: &str = "ZONE_API";
    /// Variable, may be missing: the greatest age of counters that judge, in milliseconds, if the classes' are longer.
    pub const SNAPSHOT_AT_MOST_MS: &str = "SNAPSHOT_AT_MOST_MS";
    /// Variable, may be missing: so much an isolate's memory tier holds, in bytes; 0 for none.
    pub const MEMORY_BYTES: &str = "MEMORY_BYTES";
    /// How many questions to the origin an isolate has under way at once; 256 if it is not set.
    pub const ORIGIN_CONCURRENCY: &str = "ORIGIN_CONCURRENCY";
    /// Binding: Workers KV.
    pub const KV: &str = "KV";
    /// Binding: the Durable Object namespace of the ledgers.
    pub const LEDGER: &str = "LEDGER";
}
