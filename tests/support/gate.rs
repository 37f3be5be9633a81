//! A door in front of a server: shut, the server cannot be reached, and keeps what it has. Open, it may still do to
//! the bytes that pass what networks and broken servers do.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What befalls the bytes that pass.
///
/// A *reply* is what came from the server with one read; what a connection begins with, the answer to a greeting, is
/// spared by all but the first two.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Nothing passes, either way; connections stand, and new ones are taken. Who has lost bytes so stays deaf and
    /// dumb when the others are well again, as TCP has no gaps.
    Swallow,
    /// Each reply comes so much later.
    Late(Duration),
    /// A reply ends after so many bytes, and its connection with it.
    Cut(usize),
    /// Something else is said in a reply's place.
    Instead(&'static str),
    /// Something more is said behind a reply.
    Behind(&'static str),
}

/// Passes bytes on while it is open. Its threads end with the test process.
pub(crate) struct Gate {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    is_open: AtomicBool,
    /// What befalls replies, and how many of them: all, if that is not said.
    fault: Mutex<Option<(Fault, Option<usize>)>>,
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
            fault: Mutex::new(None),
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

    /// A gate in front of a server, open.
    pub(crate) fn open_before(server: SocketAddr) -> Self {
        let gate = Self::shut_before(server);
        gate.open();
        gate
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

    /// Has this befall all that passes, until [`Self::heal`].
    pub(crate) fn strike(&self, fault: Fault) {
        self.set_fault(Some((fault, None)));
    }

    /// Has this befall the next replies, so many of them.
    pub(crate) fn strike_times(&self, fault: Fault, count: usize) {
        self.set_fault(Some((fault, Some(count))));
    }

    /// From here on bytes pass as they are.
    pub(crate) fn heal(&self) {
        self.set_fault(None);
    }

    /// Whether what was to befall some replies has befallen them.
    pub(crate) fn is_spent(&self) -> bool {
        self.state.fault.lock().expect("no panic").is_none()
    }

    fn set_fault(&self, fault: Option<(Fault, Option<usize>)>) {
        *self.state.fault.lock().expect("no panic") = fault;
    }
}

impl State {
    fn pass(self: &Arc<Self>, near: TcpStream, server: SocketAddr) -> io::Result<()> {
        let mut passed = self.passed.lock().expect("no panic");
        if !self.is_open.load(Ordering::SeqCst) {
            return Ok(());
        }
        let far = TcpStream::connect(server)?;
        let is_deaf = Arc::new(AtomicBool::new(false));
        for (from, to, is_answering) in [(&near, &far, false), (&far, &near, true)] {
            let mut way = Way {
                from: from.try_clone()?,
                to: to.try_clone()?,
                is_answering,
                has_greeted: false,
                is_deaf: Arc::clone(&is_deaf),
            };
            way.to.set_nodelay(true)?;
            let state = Arc::clone(self);
            thread::spawn(move || {
                while way.pass_on(&state).unwrap_or(false) {}
                let _ = way.to.shutdown(Shutdown::Both);
            });
        }
        passed.extend([near, far]);
        Ok(())
    }

    /// What befalls bytes that come from there.
    fn next_fault(&self, is_answering: bool, has_greeted: bool) -> Option<Fault> {
        let mut fault = self.fault.lock().expect("no panic");
        let (next, left) = fault.as_mut()?;
        let is_struck = match next {
            Fault::Swallow => true,
            Fault::Late(_) => is_answering,
            _ => is_answering && has_greeted,
        };
        if !is_struck {
            return None;
        }
        let next = *next;
        if let Some(count) = left {
            *count -= 1;
            if *count == 0 {
                *fault = None;
            }
        }
        Some(next)
    }
}

/// One way of a connection.
struct Way {
    from: TcpStream,
    to: TcpStream,
    /// It is the server's.
    is_answering: bool,
    has_greeted: bool,
    /// Bytes of the connection were swallowed.
    is_deaf: Arc<AtomicBool>,
}

impl Way {
    /// Passes on what there is; false at the end.
    fn pass_on(&mut self, state: &State) -> io::Result<bool> {
        let mut buffer = [0; 64 * 1024];
        let count = self.from.read(&mut buffer)?;
        let bytes = &buffer[..count];
        if count == 0 {
            return Ok(false);
        }
        let fault = state.next_fault(self.is_answering, self.has_greeted);
        self.has_greeted = true;
        if matches!(fault, Some(Fault::Swallow)) {
            self.is_deaf.store(true, Ordering::SeqCst);
        }
        if self.is_deaf.load(Ordering::SeqCst) {
            return Ok(true);
        }
        match fault {
            None | Some(Fault::Swallow) => self.to.write_all(bytes)?,
            Some(Fault::Late(pause)) => {
                thread::sleep(pause);
                self.to.write_all(bytes)?;
            }
            Some(Fault::Cut(at)) => {
                self.to.write_all(&bytes[..at.min(count)])?;
                let _ = self.from.shutdown(Shutdown::Both);
                return Ok(false);
            }
            Some(Fault::Instead(other)) => self.to.write_all(other.as_bytes())?,
            Some(Fault::Behind(more)) => {
                self.to.write_all(&[bytes, more.as_bytes()].concat())?;
            }
        }
        Ok(true)
    }
}
