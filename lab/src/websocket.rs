//! A WebSocket from the client's side: the handshake by the raw client, the frames by tungstenite.

use std::io;
use std::net::{SocketAddr, TcpStream};

use tungstenite::Message;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::CloseFrame;
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

    /// Sends bytes.
    pub fn say_bytes(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(bytes.to_vec())).expect("the WebSocket is open");
    }

    /// The next message, which must be text; `None` when the other side closed.
    pub fn hear(&mut self) -> Option<String> {
        let message = self.next()?;
        assert!(message.is_text(), "{message:?} is no text");
        Some(message.to_text().expect("UTF-8").to_owned())
    }

    /// The next message, which must be binary; `None` when the other side closed.
    pub fn hear_bytes(&mut self) -> Option<Vec<u8>> {
        let message = self.next()?;
        assert!(message.is_binary(), "{message:?} is not binary");
        Some(message.into_data().to_vec())
    }

    fn next(&mut self) -> Option<Message> {
        loop {
            match self.socket.read() {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => return Some(message),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// Closes with this code and reason, and waits for the other side's: `None` if it left without one.
    pub fn close(mut self, code: u16, reason: &str) -> Option<(u16, String)> {
        // It may be closed already.
        let _closed = self.socket.close(Some(CloseFrame { code: code.into(), reason: reason.to_owned().into() }));
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => return frame.map(|frame| (frame.code.into(), frame.reason.to_string())),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}
