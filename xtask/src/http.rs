//! Questions to the servers that a task started, over HTTP/1.1 on 127.0.0.1.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long each step of a question may take.
const LIMIT: Duration = Duration::from_secs(2);

/// The most that is read of an answer.
const MOST_BYTES: u64 = 16 << 10;

/// A port of this machine.
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Sends a request with these header fields, each a line that ends; the status and the body as it came.
pub fn ask(port: u16, method: &str, path: &str, fields: &str, body: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&local(port), LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(MOST_BYTES).read_to_string(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "what came is no HTTP"))
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.split(' ').next()?;
    Some((status.parse().ok()?, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn an_answer_is_a_status_and_a_body() {
        assert_eq!(parse("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{}\r\n\r\n"), Some((200, "{}\r\n\r\n".to_owned())));
        assert_eq!(parse("HTTP/1.1 204\r\n\r\n"), Some((204, String::new())));
        for text in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 many\r\n\r\n", "SSH-2.0\r\n\r\n"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_question_is_sent_whole() {
        let listener = TcpListener::bind(local(0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = vec![0; 105];
            stream.read_exact(&mut asked).unwrap();
            stream.write_all(b"HTTP/1.1 202 Accepted\r\n\r\nyes").unwrap();
            String::from_utf8(asked).unwrap()
        });
        assert_eq!(ask(port, "PUT", "/a", "B: c\r\n", "[1]").unwrap(), (202, "yes".to_owned()));
        let asked = server.join().unwrap();
        assert!(asked.starts_with("PUT /a HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("Content-Length: 3\r\nB: c\r\n\r\n[1]"), "{asked}");
    }
}
