// The built Worker with a way to the ledger and a way to the origin that can be slow, fail, and be counted, and a way
// from the ledgers that run in it to the global one:
//
//   /test/<ledger|origin|global>/<fault>               from now on (`none` heals)
//   /test/<ledger|origin|global>/delay/<ms>            before each call arrives
//   /test/<ledger|origin|global>/delay-answer/<ms>     before each answer comes back
//   /test/<ledger|origin|global>/calls                 how many calls were made so far, by path
//   /test/call/<call>/<name of a ledger>/...           calls that ledger itself, past the Worker
//
// Each Worker has ways of its own. What no fault keeps goes to the real Durable Object and the real origin. The ledgers
// have a way to each other: /test/call/test/<name of a ledger>/<fault, delay or delay-answer>, for all of them.

import Edge, { Ledger as BuiltLedger } from "./index.js";
export * from "./index.js";

const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const faults = {
  none: (call) => call(),
  unreachable: () => Promise.reject(new Error("the other side is out of reach")),
  // What is thrown need not be an error.
  nothing: () => Promise.reject(undefined),
  object: () => Promise.reject({}),
  overloaded: () => Promise.resolve(new Response("overloaded", { status: 503 })),
  garbage: () => Promise.resolve(new Response("<html>")),
  empty: () => Promise.resolve(new Response("{}")),
  slow: (call) => later(300).then(call),
  cut: () => Promise.resolve(new Response(new ReadableStream({ start: (it) => it.error(new Error("cut")) }))),
  // The answer comes, and no response can be made of it: its body has been read.
  used: (call) => call().then((answer) => answer.text().then(() => answer)),
  // What a panic comes to: a trap while wasm is on the stack.
  trap: (call) =>
    call().then((answer) =>
      Object.defineProperty(answer, "status", {
        get() {
          throw new WebAssembly.RuntimeError("unreachable");
        },
      }),
    ),
  "lost-answer": (call) => call().then(() => Promise.reject(new Error("the answer was lost"))),
  // No stub of the object can be had; a call that has one goes through.
  "no-stub": (call) => call(),
};

class Way {
  fault = "none";
  #delays = { delay: 0, "delay-answer": 0 };
  #calls = {};

  async call(url, call) {
    const { pathname } = new URL(url);
    this.#calls[pathname] = (this.#calls[pathname] ?? 0) + 1;
    const { delay, "delay-answer": back } = this.#delays;
    if (delay) await later(delay);
    const answer = await faults[this.fault](call);
    if (back) await later(back);
    return answer;
  }

  told(word, ms) {
    if (word === "calls") return Response.json(this.#calls);
    if (word in this.#delays && Number(ms) >= 0) this.#delays[word] = Number(ms);
    else if (Object.hasOwn(faults, word) && ms === undefined) this.fault = word;
    else return new Response("no such fault", { status: 404 });
    return new Response(word);
  }
}

const ways = { ledger: new Way(), origin: new Way(), global: new Way() };

const watched = (namespace, way) => ({
  getByName(name) {
    if (way.fault === "no-stub") throw new Error("no stub");
    const stub = namespace.getByName(name);
    return { fetch: (request) => way.call(request.url, () => stub.fetch(request)) };
  },
});

export class Ledger {
  #built;
  constructor(state, env) {
    this.#built = new BuiltLedger(state, { ...env, LEDGER: watched(env.LEDGER, ways.global) });
  }
  fetch(request) {
    const [, test, , word, ms] = new URL(request.url).pathname.split("/");
    return test === "test" ? ways.global.told(word, ms) : this.#built.fetch(request);
  }
  alarm() {
    return this.#built.alarm();
  }
}

let origin;
const fetched = globalThis.fetch;
globalThis.fetch = (asked, init) => {
  const url = asked.url ?? asked;
  const call = () => fetched(asked, init);
  return url.startsWith(origin) ? ways.origin.call(url, call) : call();
};

export default class extends Edge {
  constructor(context, env) {
    super(context, { ...env, LEDGER: watched(env.LEDGER, ways.ledger) });
    origin = env.ORIGIN;
    this.ledgers = env.LEDGER;
  }
  fetch(request) {
    const [, test, way, word, ms] = new URL(request.url).pathname.split("/");
    if (test === "test" && way === "call") {
      const call = request.url.slice(request.url.indexOf("/test/call/") + "/test/call".length);
      return this.ledgers.getByName(ms).fetch(new Request(`https://ledger${call}`, request));
    }
    return test === "test" && Object.hasOwn(ways, way) ? ways[way].told(word, ms) : super.fetch(request);
  }
}
