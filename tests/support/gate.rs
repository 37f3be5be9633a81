//! A door in front of a server: shut, the server cannot be reached, and keeps what it has.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes bytes on while it is open. Its threads end with the test process.
pub(crate) struct Gate {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    is_open: AtomicBool,
    /// Both ends of all connections that were let through.
    passed: Mutex<Vec<TcpStream>>,
}

impl Gate {
    /// A gate in front of a server, shut.
    pub(crate) fn shut_before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(State {
            is_open: AtomicBool::new(false),
            passed: Mutex::new(Vec::new()),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // Errors end one connection.
                let _ = shared.pass(near, server);
            }
        });
        Self { address, state }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn open(&self) {
        self.state.is_open.store(true, Ordering::SeqCst);
    }

    /// Ends all connections and lets none through.
    pub(crate) fn shut(&self) {
        let mut passed = self.state.passed.lock().expect("no panic");
        self.state.is_open.store(false, Ordering::SeqCst);
        for stream in passed.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl State {
    fn pass(&self, near: TcpStream, server: SocketAddr) -> io::Result<()> {
        let mut passed = self.passed.lock().expect("no panic");
        if !self.is_open.load(Ordering::SeqCst) {
            return Ok(());
        }
        let far = TcpStream::connect(server)?;
        for (from, to) in [(&near, &far), (&far, &near)] {
            let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
            to.set_nodelay(true)?;
            thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
        passed.extend([near, far]);
        Ok(())
    }
}
