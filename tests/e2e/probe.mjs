// A Worker that does one thing per path, so that the tests of the harness see what workerd does with it.
// It has the bindings of the real one: KV, LEDGER (class Ledger), the Cache API, ORIGIN.

const open = () => caches.open("hotrod-edge");
const fields = (headers) => [...headers];
const tried = async (what) => {
  try {
    return Response.json(await what());
  } catch (error) {
    return Response.json({ error: `${error.name}: ${error.message}` }, { status: 500 });
  }
};

export class Ledger {
  constructor(state) {
    this.sql = state.storage.sql;
    this.sql.exec("CREATE TABLE IF NOT EXISTS counter (n INTEGER)");
  }
  fetch() {
    this.sql.exec("INSERT INTO counter SELECT COUNT(*) FROM counter");
    return new Response(String(this.sql.exec("SELECT COUNT(*) AS n FROM counter").one().n));
  }
}

// Fetches the same target from the origin as a proxy does, with all fields or with those named.
async function pass(request, env, target) {
  const headers = new Headers(request.headers);
  const init = { method: request.method, headers, body: request.body, redirect: "manual", cache: "no-store" };
  const answer = await fetch(env.ORIGIN + target, init);
  const rebuilt = new Headers(answer.headers);
  rebuilt.set("X-Edge", "passed");
  if (answer.webSocket) return new Response(null, { status: 101, webSocket: answer.webSocket, headers: rebuilt });
  const encodeBody = rebuilt.has("Content-Encoding") && request.headers.has("X-Manual") ? "manual" : "automatic";
  return new Response(answer.body, { status: answer.status, headers: rebuilt, encodeBody });
}

const actions = {
  "/url": (request) => new Response(request.url),
  "/method": (request) => new Response(request.method),
  "/fields": (request) => Response.json(fields(request.headers)),
  // Opens a WebSocket to the origin with no other field than those in X-Fields, and passes it on.
  "/ws-bare": async (request, env) => {
    const answer = await fetch(env.ORIGIN + "/ws", { headers: JSON.parse(request.headers.get("X-Fields") ?? "{}") });
    return answer.webSocket ? new Response(null, { status: 101, webSocket: answer.webSocket }) : answer;
  },
  "/vars": async (request, env) => {
    const token = new TextEncoder().encode(request.headers.get("X-Token") ?? "");
    const digest = [...new Uint8Array(await crypto.subtle.digest("SHA-256", token))];
    const hex = digest.map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return Response.json({ hex, vars: env, navigator: typeof navigator });
  },
  "/log": (request) => {
    console.log(request.headers.get("X-Say"));
    return new Response("said");
  },
  "/kv/get": (request, env, query) =>
    tried(async () => {
      const type = query.get("type") ?? "text";
      const { value, metadata } = await env.KV.getWithMetadata(query.get("key"), type);
      const read = type === "stream" && value ? await new Response(value).text() : value;
      const text = read instanceof ArrayBuffer ? new TextDecoder().decode(read) : read;
      return { value: text, metadata };
    }),
  "/kv/serve": async (request, env, query) => new Response(await env.KV.get(query.get("key"), query.get("type"))),
  "/kv/many": (request, env, query) =>
    tried(async () => Object.fromEntries(await env.KV.getWithMetadata(query.getAll("key")))),
  "/kv/list": (request, env, query) =>
    tried(() => env.KV.list({ prefix: query.get("prefix"), limit: 2, cursor: query.get("cursor") })),
  "/kv/put": (request, env, query) =>
    tried(async () => {
      const options = JSON.parse(query.get("options") ?? "{}");
      const value = query.has("stream") ? request.body : await request.arrayBuffer();
      await env.KV.put(query.get("key"), value, options);
      return "put";
    }),
  "/kv/delete": (request, env, query) => tried(async () => (await env.KV.delete(query.get("key"))) ?? "deleted"),
  "/cache/match": (request, env, query) =>
    tried(async () => {
      const found = await (await open()).match(query.get("url"));
      return found ? { status: found.status, fields: fields(found.headers), body: await found.text() } : null;
    }),
  "/cache/serve": async (request, env, query) => {
    const asked = new Request(query.get("url"), { headers: request.headers });
    return (await (await open()).match(asked)) ?? new Response("nothing", { status: 404 });
  },
  "/cache/put": (request, env, query) =>
    tried(async () => {
      const headers = JSON.parse(query.get("headers") ?? "{}");
      const body = query.has("stream") ? request.body : await request.arrayBuffer();
      await (await open()).put(query.get("url"), new Response(body, { headers }));
      return "put";
    }),
  "/cache/delete": (request, env, query) => tried(async () => (await open()).delete(query.get("url"))),
  "/ledger": (request, env) => env.LEDGER.get(env.LEDGER.idFromName("one")).fetch("https://ledger/"),
  // Fetches as the JSON in the body says, reads the whole body, and tells what came.
  "/fetch": (request, env) =>
    tried(async () => {
      const { target, init } = await request.json();
      const answer = await fetch(env.ORIGIN + target, init);
      const { byteLength } = await answer.arrayBuffer();
      return { status: answer.status, fields: fields(answer.headers), byteLength };
    }),
  "/request": (request, env) =>
    tried(async () => {
      const { target, init } = await request.json();
      const made = new Request(env.ORIGIN + target, init);
      return { url: made.url, method: made.method, fields: fields(made.headers) };
    }),
};

export default {
  async fetch(request, env) {
    if (request.headers.has("X-Echo-Url")) return new Response(request.url);
    const url = new URL(request.url);
    const action = actions[url.pathname];
    if (action) return action(request, env, url.searchParams);
    return pass(request, env, request.url.slice(url.origin.length));
  },
};
