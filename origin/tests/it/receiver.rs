//! An edge that takes webhooks: it checks every signature, and answers as the test wants it to.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use reference_origin::DEFAULT_WEBHOOK_SECRET;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What becomes of a delivery.
#[derive(Clone, Copy)]
pub enum Reply {
    /// A status and a body.
    Answer(u16, &'static str),
    /// The connection stays open, and nothing comes.
    Hang,
    /// The connection is closed without an answer.
    Close,
}

/// A delivery whose signature held.
#[derive(Clone)]
pub struct Delivery {
    pub id: String,
    pub timestamp: u64,
    pub signature: String,
    pub body: Value,
}

/// The shop's edge, in so far as it takes events.
pub struct Receiver {
    pub url: String,
    deliveries: Arc<Mutex<Vec<Delivery>>>,
}

impl Receiver {
    /// Answers with these replies in their order, and then on with the last.
    pub fn start(replies: &'static [Reply]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let deliveries = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&deliveries);
        // It ends with the tests: nothing waits for it.
        thread::spawn(move || {
            let mut hanging = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let delivery = read(&mut stream);
                let number = {
                    let mut received = received.lock().expect("no panic");
                    received.push(delivery);
                    received.len()
                };
                match replies[(number - 1).min(replies.len() - 1)] {
                    Reply::Answer(status, body) => {
                        let length = body.len();
                        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}");
                        stream.write_all(answer.as_bytes()).expect("the answer is sent");
                    }
                    Reply::Hang => hanging.push(stream),
                    Reply::Close => drop(stream),
                }
            }
        });
        Self { url, deliveries }
    }

    /// What came up to now. One that was wrong ended the thread: it is missing here, and so are those after it.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.deliveries.lock().expect("no panic").clone()
    }

    /// Waits until so many came.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Delivery> {
        eventually(|| Some(self.deliveries()).filter(|deliveries| deliveries.len() >= count))
    }
}

/// Waits until there is something.
#[track_caller]
pub fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(15) {
        if let Some(found) = look() {
            return found;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("it did not come within 15 s");
}

/// Reads a request, which must be a Standard Webhook with the secret of development.
fn read(stream: &mut TcpStream) -> Delivery {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    };
    assert_eq!(line(), "POST /cache/events/standard HTTP/1.1");
    let mut headers = BTreeMap::new();
    loop {
        let line = line();
        let Some((name, value)) = line.split_once(": ") else { break };
        assert_eq!(headers.insert(name.to_ascii_lowercase(), value.to_owned()), None, "{name} comes once");
    }
    assert_eq!(headers["content-type"], "application/json");
    assert!(headers["host"].starts_with("127.0.0.1:"));
    let mut body = vec![0; headers["content-length"].parse().expect("a length")];
    reader.read_exact(&mut body).expect("the body");

    let (id, timestamp) = (&headers["webhook-id"], &headers["webhook-timestamp"]);
    let key = STANDARD.decode(&DEFAULT_WEBHOOK_SECRET["whsec_".len()..]).expect("base64");
    let signed = [format!("{id}.{timestamp}.").as_bytes(), &body].concat();
    assert_eq!(headers["webhook-signature"], format!("v1,{}", STANDARD.encode(hmac(&key, &signed))));
    let timestamp: u64 = timestamp.parse().expect("seconds");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    assert!(now.abs_diff(timestamp) <= 5, "{timestamp} is not of now, {now}");
    Delivery {
        id: id.clone(),
        timestamp,
        signature: headers["webhook-signature"].clone(),
        body: serde_json::from_slice(&body).expect("JSON"),
    }
}

/// RFC 2104 with SHA-256, for keys of one block at the most.
pub fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().to_vec()
}
