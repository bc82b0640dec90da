//! Streams, sockets and exports.

use std::{
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, TcpStream},
};

use chrono::Utc;
use tungstenite::{Message, client::IntoClientRequest};

use crate::{
    client,
    server::{DEFAULT_SHOP, Server},
};

const SHOP: [(&str, &str); 1] = [("x-shop-domain", DEFAULT_SHOP)];

/// Lines that are data, as they come, with the milliseconds since they were asked for.
fn events(path: &str, count: usize) -> Vec<(i64, String)> {
    let port = Server::shared().port;
    let started = Utc::now();
    let stream = client::send(port, "GET", path, &SHOP, "");
    let lines = BufReader::new(stream).lines().map(|line| line.expect("a line"));
    let data = lines.filter(|line| line.starts_with("data: "));
    data.take(count).map(|line| ((Utc::now() - started).num_milliseconds(), line)).collect()
}

#[test]
fn events_come_one_by_one_and_the_first_at_once() {
    let second = events("/api/realtime/stream", 2);
    assert!(second[0].0 < 800, "the first came after {} ms", second[0].0);
    assert!((900..2_500).contains(&second[1].0), "the second came after {} ms", second[1].0);
    let fast = events("/api/realtime/stream?interval_ms=50", 5);
    assert!((190..2_000).contains(&fast[4].0), "the fifth came after {} ms", fast[4].0);
    assert!(fast[0].1.contains("\"open_breaches\":"), "{}", fast[0].1);
    let answer = Server::shared().get("/api/realtime/stream?interval_ms=0", DEFAULT_SHOP);
    assert_eq!(answer.status, 400);
}

#[test]
fn the_echo_sends_back_text_and_bytes_and_the_subprotocol() {
    let port = Server::shared().port;
    let connect = |protocols: Option<&str>| {
        let mut request = format!("ws://127.0.0.1:{port}/api/realtime/echo").into_client_request().expect("a request");
        if let Some(protocols) = protocols {
            request.headers_mut().insert("sec-websocket-protocol", protocols.parse().expect("a header"));
        }
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the origin listens");
        tungstenite::client(request, stream).expect("a WebSocket")
    };
    let (mut socket, answer) = connect(Some("dash.v2, dash.v1"));
    assert_eq!(
        answer.headers().get("sec-websocket-protocol").map(tungstenite::http::HeaderValue::as_bytes),
        Some(&b"dash.v2"[..])
    );
    for message in [Message::text("Ölwechsel"), Message::binary(vec![0, 255, 7]), Message::binary(vec![9; 200_000])] {
        socket.send(message.clone()).expect("it is sent");
        assert_eq!(socket.read().expect("it comes back"), message);
    }
    socket.close(None).expect("it closes");
    assert!(socket.read().expect("closing is agreed to").is_close());

    let (mut plain, answer) = connect(None);
    assert_eq!(answer.headers().get("sec-websocket-protocol"), None);
    plain.send(Message::text("hello")).expect("it is sent");
    assert_eq!(plain.read().expect("it comes back"), Message::text("hello"));

    let refused = Server::shared().get("/api/realtime/echo", DEFAULT_SHOP);
    assert_eq!(refused.status, 400);
    assert!(refused.json()["error"].as_str().is_some_and(|error| error.contains("WebSocket")));
}

#[test]
fn exports_hold_the_rows_of_the_tables() {
    let server = Server::shared();
    for (name, first, rows) in
        [("orders", "order_id,", 5_000), ("products", "variant_id,", 599), ("customers", "customer_id,", 2_000)]
    {
        let answer = server.get(&format!("/api/exports/{name}.csv"), DEFAULT_SHOP);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/csv; charset=utf-8")));
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
        let lines: Vec<&str> = answer.text().lines().collect();
        assert!(answer.complete && lines[0].starts_with(first) && lines.len() > rows, "{name}: {}", lines.len());
        let fields = lines[0].split(',').count();
        assert!(lines.iter().all(|line| line.split(',').count() == fields), "{name}");
    }
    // What is exported is what the tile counts.
    let orders = server.get("/api/exports/orders.csv", DEFAULT_SHOP);
    let today =
        orders.text().lines().filter(|line| line.split(',').nth(2).is_some_and(|at| at.starts_with("2026-11-20")));
    let pulse = server.data("/api/dashboard/tiles/sales-pulse", DEFAULT_SHOP);
    assert_eq!(pulse["order_count"], today.count());
}

#[test]
fn an_export_is_as_long_as_asked_and_no_id_comes_twice() {
    let answer = Server::shared().get("/api/exports/orders.csv?megabytes=3", DEFAULT_SHOP);
    assert!((3_000_000..3_200_000).contains(&answer.body.len()), "{}", answer.body.len());
    let mut ids: Vec<&str> = answer.text().lines().filter_map(|line| line.split(',').next()).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    for query in ["megabytes=many", "bytes_per_second=0", "megabytes=100001"] {
        let path = format!("/api/exports/orders.csv?{query}");
        assert_eq!(Server::shared().get(&path, DEFAULT_SHOP).status, 400, "{query}");
    }
}

#[test]
fn a_slow_export_starts_at_once_and_keeps_its_speed() {
    let port = Server::shared().port;
    let started = Utc::now();
    let elapsed = || (Utc::now() - started).num_milliseconds();
    let path = "/api/exports/orders.csv?megabytes=100&bytes_per_second=400000";
    let mut stream = client::send(port, "GET", path, &SHOP, "");
    let mut buffer = [0; 16_384];
    let first = stream.read(&mut buffer).expect("bytes");
    assert!(first > 0 && elapsed() < 800, "the first byte came after {} ms", elapsed());
    let mut read = 0;
    while elapsed() < 1_000 {
        read += stream.read(&mut buffer).expect("bytes");
    }
    assert!((150_000..450_000).contains(&read), "{read} bytes in a second");
}
