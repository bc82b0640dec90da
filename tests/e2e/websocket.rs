//! A WebSocket from the client's side: the handshake by the raw client, the frames by tungstenite.

use std::io;
use std::net::{SocketAddr, TcpStream};

use tungstenite::Message;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocket};

use crate::client::Call;
use crate::wire::Fields;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// An open WebSocket.
pub struct Socket {
    /// The fields of the 101.
    pub fields: Fields,
    socket: WebSocket<TcpStream>,
}

impl Socket {
    /// Opens one. The error tells the status if it is not 101.
    pub fn open(address: SocketAddr, target: &str) -> io::Result<Self> {
        let call = Call::get(target)
            .field("Upgrade", "websocket")
            .field("Connection", "Upgrade")
            .field("Sec-WebSocket-Version", "13")
            .field("Sec-WebSocket-Key", KEY);
        let opened = call.open(address)?;
        let accepted = opened.fields.get("Sec-WebSocket-Accept") == Some(&derive_accept_key(KEY.as_bytes()));
        if opened.status != 101 || !accepted {
            return Err(io::Error::other(format!("no WebSocket: {} {:?}", opened.status, opened.fields)));
        }
        let fields = opened.fields.clone();
        let (stream, read_already) = opened.into_upgraded();
        Ok(Self { fields, socket: WebSocket::from_partially_read(stream, read_already, Role::Client, None) })
    }

    /// Sends a text.
    pub fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).expect("the WebSocket is open");
    }

    /// The next text or bytes; `None` when the other side closed.
    pub fn hear(&mut self) -> Option<String> {
        loop {
            match self.socket.read() {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                    return Some(message.to_text().expect("UTF-8").to_owned());
                }
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// Closes, and waits for the other side to agree.
    pub fn close(mut self) {
        // It may be closed already.
        let _closed = self.socket.close(None);
        while self.hear().is_some() {}
    }
}
