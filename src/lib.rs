//! hotrod-edge: an edge cache for a dashboard API.

#[cfg(target_arch = "wasm32")]
mod shell {
    use worker::{Context, Env, Request, Response, Result, event};

    #[event(fetch)]
    async fn fetch(_request: Request, _env: Env, _context: Context) -> Result<Response> {
        Response::ok("ok")
    }
}
