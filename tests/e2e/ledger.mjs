// The built Worker with a ledger that can fail: `/test/ledger/<fault>` says how from then on.
// The ledger's own calls go to the real Durable Object where no fault keeps them.

import Edge, { Ledger } from "./index.js";
export { Ledger };

let fault = "none";

const faults = {
  none: (call) => call(),
  unreachable: () => Promise.reject(new Error("the object is out of reach")),
  // What is thrown need not be an error.
  nothing: () => Promise.reject(undefined),
  object: () => Promise.reject({}),
  overloaded: () => Promise.resolve(new Response("overloaded", { status: 503 })),
  garbage: () => Promise.resolve(new Response("<html>")),
  empty: () => Promise.resolve(new Response("{}")),
  slow: (call) => new Promise((resolve) => setTimeout(resolve, 300)).then(call),
  cut: () => Promise.resolve(new Response(new ReadableStream({ start: (it) => it.error(new Error("cut")) }))),
  "lost-answer": (call) => call().then(() => Promise.reject(new Error("the answer was lost"))),
};

const failing = (namespace) => ({
  getByName(name) {
    if (fault === "no-stub") throw new Error("no stub");
    const stub = namespace.getByName(name);
    return { fetch: (request) => faults[fault](() => stub.fetch(request)) };
  },
});

export default class extends Edge {
  constructor(context, env) {
    super(context, { ...env, LEDGER: failing(env.LEDGER) });
  }
  fetch(request) {
    const asked = new URL(request.url).pathname.split("/test/ledger/")[1];
    if (!asked) return super.fetch(request);
    fault = asked;
    return new Response(fault);
  }
}
