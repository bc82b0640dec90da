//! A loopback TCP server with a thread per connection, which can be stopped and started on the same port.

use std::collections::HashMap;
use std::io::{self, BufReader};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::gate::{Stop, lock};

/// One accepted connection.
pub struct Connection {
    /// What the other side sends.
    pub reader: BufReader<TcpStream>,
    /// The way back.
    pub writer: TcpStream,
    /// Set when the server stops.
    pub stop: Stop,
}

type Handler = Arc<dyn Fn(Connection) + Send + Sync>;

/// A listening server; stopped when dropped.
pub struct Server {
    address: SocketAddr,
    handler: Handler,
    running: Mutex<Option<Running>>,
}

struct Running {
    stop: Stop,
    connections: Arc<Mutex<HashMap<u64, TcpStream>>>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Listens on a free port of the loopback interface.
    pub fn start(handler: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let server = Self { address, handler: Arc::new(handler), running: Mutex::new(None) };
        server.run(listener);
        server
    }

    /// Where it listens, or listened.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener and every connection: from now on, connections are refused.
    pub fn stop(&self) {
        let Some(running) = lock(&self.running).take() else {
            return;
        };
        running.stop.store(true, Ordering::SeqCst);
        // A connection wakes the accepting thread, which then sees the flag.
        drop(TcpStream::connect(self.address));
        running.accepting.join().expect("the accepting thread does not panic");
        for connection in lock(&running.connections).values() {
            // It may be closed already.
            let _closed = connection.shutdown(Shutdown::Both);
        }
    }

    /// Listens again, on the same port.
    pub fn resume(&self) {
        let until = Instant::now() + Duration::from_secs(5);
        let listener = loop {
            match TcpListener::bind(self.address) {
                Ok(listener) => break listener,
                Err(error) => assert!(Instant::now() < until, "cannot listen on {} again: {error}", self.address),
            }
            thread::sleep(Duration::from_millis(10));
        };
        self.run(listener);
    }

    fn run(&self, listener: TcpListener) {
        let stop = Stop::new(AtomicBool::new(false));
        let connections = Arc::new(Mutex::new(HashMap::new()));
        let handler = Arc::clone(&self.handler);
        let accepting = thread::spawn({
            let (stop, connections) = (Arc::clone(&stop), Arc::clone(&connections));
            move || accept(&listener, &handler, &stop, &connections)
        });
        *lock(&self.running) = Some(Running { stop, connections, accepting });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn accept(listener: &TcpListener, handler: &Handler, stop: &Stop, connections: &Arc<Mutex<HashMap<u64, TcpStream>>>) {
    let numbers = AtomicU64::new(0);
    for stream in listener.incoming() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let Ok((connection, handle)) = stream.and_then(|stream| open(stream, stop)) else {
            continue;
        };
        lock(connections).insert(number, handle);
        let (handler, connections) = (Arc::clone(handler), Arc::clone(connections));
        thread::spawn(move || {
            let _closed_at_the_end = Closing { connections, number };
            handler(connection);
        });
    }
}

/// Lets go of a connection when its thread ends, by a panic too: else the socket would stay open.
struct Closing {
    connections: Arc<Mutex<HashMap<u64, TcpStream>>>,
    number: u64,
}

impl Drop for Closing {
    fn drop(&mut self) {
        lock(&self.connections).remove(&self.number);
    }
}

fn open(stream: TcpStream, stop: &Stop) -> io::Result<(Connection, TcpStream)> {
    stream.set_nodelay(true)?;
    let (writer, handle) = (stream.try_clone()?, stream.try_clone()?);
    Ok((Connection { reader: BufReader::with_capacity(64 << 10, stream), writer, stop: Arc::clone(stop) }, handle))
}
