//! Where events go: one POST over plain HTTP, on a connection of its own.

use std::{error::Error, str::FromStr, time::Duration};

use axum::{
    body::Bytes,
    http::{Request, StatusCode, Uri, header, uri::Authority},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use super::Secret;

/// The edge's path for Standard Webhooks.
const PATH: &str = "/cache/events/standard";
/// The longest receipt that is read.
const MOST_RECEIPT: usize = 64 * 1024;

/// The edge, by its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeUrl(Authority);

impl FromStr for EdgeUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is no address such as http://127.0.0.1:8787.");
        let url: Uri = text.parse().map_err(|_| refused())?;
        if url.scheme_str() == Some("https") {
            return Err("https needs TLS, which this origin does not speak: give an http address.".to_owned());
        }
        let authority = url.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(refused)?;
        if url.scheme_str() != Some("http") || url.path() != "/" || url.query().is_some() {
            return Err(refused());
        }
        Ok(Self(authority.clone()))
    }
}

/// What the edge answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The body, if it is JSON.
    pub(super) receipt: Option<Value>,
}

/// The edge, and what it knows this origin by.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) edge: EdgeUrl,
    pub(super) secret: Secret,
    /// How long an attempt may take.
    pub(super) limit: Duration,
}

impl Endpoint {
    /// Sends a message, signed as of this moment in Unix seconds. Without an answer, a sentence says why.
    pub(super) async fn post(&self, id: &str, timestamp: i64, body: Bytes) -> Result<Answer, String> {
        let request = Request::post(PATH)
            .header(header::HOST, self.edge.0.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", self.secret.sign(id, timestamp, &body))
            .body(Full::new(body))
            .map_err(|error| sentence(&error))?;
        match timeout(self.limit, self.exchange(request)).await {
            Ok(answered) => answered.map_err(|error| sentence(error.as_ref())),
            Err(_) => Err(format!("The edge did not answer within {} ms.", self.limit.as_millis())),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Box<dyn Error + Send + Sync>> {
        let address = (self.edge.0.host().trim_matches(['[', ']']), self.edge.0.port_u16().unwrap_or(80));
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It owns the sender, whose end is that of the connection.
        let answer = async move {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, MOST_RECEIPT).collect().await?.to_bytes();
            Ok(Answer { status: head.status, receipt: serde_json::from_slice(&body).ok() })
        };
        // What fails the connection fails the answer, unless that was there already.
        tokio::join!(answer, connection).0
    }
}

fn sentence(error: &(dyn Error + 'static)) -> String {
    let cause = error.source().map_or_else(String::new, |cause| format!(" ({cause})"));
    format!("The edge did not answer: {error}{cause}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_a_plain_http_address() {
        for text in ["http://127.0.0.1:8787", "http://127.0.0.1:8787/", "http://[::1]:80", "http://localhost"] {
            assert!(text.parse::<EdgeUrl>().is_ok(), "{text}");
        }
        for text in
            ["", "127.0.0.1:8787", "ftp://host", "http://", "http://host/path", "http://host?x", "http://me:pw@host"]
        {
            assert!(text.parse::<EdgeUrl>().unwrap_err().contains("no address"), "{text}");
        }
        assert!("https://edge.example".parse::<EdgeUrl>().unwrap_err().contains("TLS"));
    }
}
