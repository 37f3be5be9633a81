//! Streams, time and tasks for who runs on a glommio executor.

use std::{
    future::{Future, pending},
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    os::fd::AsRawFd,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_io::{AsyncRead, AsyncWrite};
use glommio::{
    net::{TcpListener, TcpStream, UnixStream},
    timer,
};

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A name or a number, and a port.
    Tcp(String, u16),
    /// A path.
    Unix(PathBuf),
}

/// A connection.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects. A name is resolved on another thread; its addresses are tried in turn.
    pub(crate) async fn connect(target: Target) -> io::Result<Self> {
        let (host, port) = match target {
            Target::Unix(path) => return Ok(Self::Unix(UnixStream::connect(path).await?)),
            Target::Tcp(host, port) => (host, port),
        };
        let mut last = io::ErrorKind::NotFound.into();
        for address in resolve(host, port).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Self::Tcp(stream));
                }
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    /// What owns the socket, if it is a TCP one.
    pub(crate) fn tcp(&self) -> Option<&impl AsRawFd> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Unix(_) => None,
        }
    }

    /// Reads what there is; 0 bytes are the end.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    /// Writes as much as goes.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    /// Tells the other side that nothing more will be written.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_close(cx),
            Self::Unix(stream) => Pin::new(stream).poll_close(cx),
        }
    }
}

/// Where others connect to.
pub(crate) struct Listener(TcpListener);

impl Listener {
    /// Listens on an address. Whether somebody else does is to be looked after before: this shares
    /// the port with who allows it.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self(TcpListener::bind(address)?))
    }

    /// The address; the kernel has chosen its port if 0 was asked for.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        Ok(self.0.local_addr()?)
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        let stream = self.0.accept().await?;
        stream.set_nodelay(true)?;
        Ok(Stream::Tcp(stream))
    }
}

/// Has another thread do what blocks, and waits for it. Who stops waiting does not stop it, but what is
/// not begun by then is left out, so that nobody waits behind what nobody wants.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let waiter = Arc::new(());
    let waits = Arc::downgrade(&waiter);
    let work = move || (waits.strong_count() > 0).then(work);
    let done = glommio::executor().spawn_blocking(work).await;
    drop(waiter);
    match done {
        Some(result) => result,
        // It is begun while this waits.
        None => pending().await,
    }
}

async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    // The resolver of the C library blocks.
    blocking(move || {
        let found = (host.as_str(), port).to_socket_addrs()?;
        Ok(found.collect())
    })
    .await
}

/// Has a future run beside what called, until it ends.
///
/// # Panics
/// Outside of a glommio executor.
pub(crate) fn spawn_local(future: impl Future<Output = ()> + 'static) {
    drop(glommio::spawn_local(future).detach());
}

/// Starts a task that runs to its end, whether or not anybody waits for what it gives; nothing if it
/// could not.
pub(crate) fn finish<T: 'static>(
    future: impl Future<Output = T> + 'static,
) -> impl Future<Output = Option<T>> {
    glommio::spawn_local(future).detach()
}

/// A time that comes.
pub(crate) struct Timer(timer::Timer);

impl Timer {
    /// In so many milliseconds.
    pub(crate) fn after_ms(ms: u64) -> Self {
        Self(timer::Timer::new(Duration::from_millis(ms)))
    }

    /// Whether it has come; else who polls is woken then.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

/// Unix time that never goes back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
    origin_unix_ms: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            origin: Instant::now(),
            origin_unix_ms: since_epoch.map_or(0, |elapsed| elapsed.as_millis() as u64),
        }
    }

    /// Milliseconds since the unix epoch.
    pub(crate) fn unix_ms(&self) -> u64 {
        self.origin_unix_ms + self.origin.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::{ControlWidth, spawn_control, within};
    use super::*;

    #[test]
    fn what_nobody_waits_for_any_more_is_not_begun() {
        let width = ControlWidth {
            ring_depth: 16,
            blocking_thread_count: 1,
        };
        let (done, began) = mpsc::channel();
        let executor = spawn_control("test", width, move || async move {
            let (release, held) = mpsc::channel::<()>();
            let first = glommio::spawn_local(blocking(move || held.recv().is_ok()));
            let told = done.clone();
            let late = within(
                Duration::from_millis(10),
                blocking(move || told.send("late")),
            )
            .await;
            assert!(late.is_none(), "the only thread is held");
            release.send(()).expect("it waits");
            assert!(first.await);
            blocking(move || done.send("last")).await.expect("heard");
        });
        executor.expect("an executor").join().expect("it ends");
        assert_eq!(began.iter().collect::<Vec<_>>(), ["last"]);
    }
}
