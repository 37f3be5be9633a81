//! Servers that are late, stopped, killed, or talk nonsense.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use glommio::timer::sleep;
use ringfort::client::{Config, Error, Value};

use super::{connect, resp, run};
use crate::support::{DEADLINE, backends::Backend};

#[test]
fn a_deadline_fails_its_request_alone() {
    let server = Backend::redis_with("--enable-debug-command local");
    let config = resp(&server);
    run(|| async move {
        let client = connect(config).await;
        client.set("key", "value").await.expect("a set");
        let hasty = client.within(Duration::from_millis(100));
        let start = Instant::now();
        let sleeps = hasty.command(&["DEBUG", "SLEEP", "3"]);
        let reads: Vec<_> = (0..10).map(|_| client.get("key")).collect();
        assert_eq!(sleeps.await, Err(Error::Timeout));
        let waited = start.elapsed();
        assert!(
            waited < Duration::from_secs(3),
            "it is told when it is late: {waited:?}"
        );
        for read in reads {
            assert_eq!(read.await, Ok(Some(b"value".to_vec())));
        }
        assert!(
            start.elapsed() >= Duration::from_millis(2_900),
            "the server did sleep"
        );
        let id = client.query(&["CLIENT", "ID"]).await;
        assert_eq!(
            hasty.query(&["CLIENT", "ID"]).await,
            id,
            "it is the same connection"
        );
        client.close().await;
    });
}

#[test]
fn a_stopped_server_is_given_up_and_found_again() {
    let server = Backend::redis();
    let config = resp(&server).timeout(Duration::from_secs(1));
    let (paused, pause) = std::sync::mpsc::channel();
    let (resumed, resume) = std::sync::mpsc::channel();
    let executor = std::thread::spawn(move || {
        run(move || async move {
            let client = connect(config).await;
            client.set("key", "value").await.expect("a set");
            paused.send(()).expect("the test is there");
            resume.recv().expect("the test is there");
            let start = Instant::now();
            let answer = client.set("key", "other").await;
            assert!(
                matches!(answer, Err(Error::Timeout | Error::Lost)),
                "{answer:?}"
            );
            let waited = start.elapsed();
            assert!(waited < Duration::from_secs(5), "{waited:?}");
            // While it is stopped nothing is sent to it: what is asked was certainly not done.
            let answer = client.set("key", "another").await;
            assert_eq!(answer, Err(Error::Unsent));
            paused.send(()).expect("the test is there");
            let start = Instant::now();
            while client.get("key").await.is_err() {
                assert!(start.elapsed() < DEADLINE, "it is not found again");
            }
            let value = client.get("key").await.expect("a get").expect("a value");
            assert!(
                value == b"value" || value == b"other",
                "{}",
                value.escape_ascii()
            );
            client.close().await;
        });
    });
    pause.recv().expect("the client is there");
    server.pause();
    resumed.send(()).expect("the client is there");
    pause.recv().expect("the client is there");
    server.resume();
    executor.join().expect("the client ends");
}

#[test]
fn after_a_kill_reads_are_asked_again_and_changes_are_not() {
    let mut server = Backend::redis();
    let config = resp(&server).timeout(Duration::from_secs(20));
    let (asked, ask) = std::sync::mpsc::channel();
    let (stopped, stop) = std::sync::mpsc::channel();
    let executor = std::thread::spawn(move || {
        run(move || async move {
            let client = connect(config).await;
            client.set("key", "value").await.expect("a set");
            asked.send(()).expect("the test is there");
            stop.recv().expect("the test is there");
            let (read, change) = (client.get("key"), client.incr("counter", 1));
            let query = client.query(&["EXISTS", "key"]);
            sleep(Duration::from_millis(200)).await;
            asked.send(()).expect("the test is there");
            assert_eq!(change.await, Err(Error::Lost), "it may have been done");
            let late = client.set("late", "x");
            assert_eq!(read.await, Ok(None), "the new server is empty");
            assert_eq!(query.await, Ok(Value::Integer(0)));
            assert_eq!(
                late.await,
                Ok(()),
                "what was not sent goes to the new server"
            );
            assert_eq!(
                client.get("counter").await,
                Ok(None),
                "it was not done twice"
            );
            client.close().await;
        });
    });
    ask.recv().expect("the client is there");
    server.pause();
    stopped.send(()).expect("the client is there");
    ask.recv().expect("the client is there");
    server.stop();
    server.restart();
    executor.join().expect("the client ends");
}

/// A server that says what `script` makes it say: it gets each connection's number and the connection.
fn scripted(script: impl Fn(usize, &mut TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            stream.set_read_timeout(Some(DEADLINE)).expect("a limit");
            expect(&mut stream, "*1\r\n$4\r\nPING\r\n");
            stream.write_all(b"+PONG\r\n").expect("a client");
            script(number, &mut stream);
        }
    });
    address
}

fn expect(stream: &mut TcpStream, request: &str) {
    let mut got = vec![0; request.len()];
    stream.read_exact(&mut got).expect("a request");
    assert_eq!(String::from_utf8_lossy(&got), request);
}

const GET: &str = "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";

#[test]
fn a_reply_that_breaks_off_or_is_none_is_nobodys() {
    for broken in [
        "$10\r\nabc",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "$3\r\nabcde\r\n",
        "",
    ] {
        let address = scripted(move |number, stream| {
            expect(stream, GET);
            let reply = if number == 0 {
                broken
            } else {
                "$5\r\nright\r\n"
            };
            stream.write_all(reply.as_bytes()).expect("a client");
            if number > 0 {
                // Until the client has gone.
                let _ = stream.read(&mut [0]);
            }
        });
        run(move || async move {
            let client = connect(Config::resp(address.to_string())).await;
            assert_eq!(
                client.get("key").await,
                Ok(Some(b"right".to_vec())),
                "{broken:?}"
            );
            client.close().await;
        });
    }
}

#[test]
fn a_server_that_breaks_every_reply_is_asked_four_times() {
    let address = scripted(|number, stream| {
        expect(stream, GET);
        assert!(number < 4, "once, and three times again");
        stream.write_all(b"$10\r\nabc").expect("a client");
    });
    run(move || async move {
        let client = connect(Config::resp(address.to_string())).await;
        assert_eq!(client.get("key").await, Err(Error::Lost));
        client.close().await;
    });
}

#[test]
fn a_reply_that_comes_late_is_not_taken_for_the_next() {
    let address = scripted(|_, stream| {
        expect(stream, &GET.repeat(2));
        std::thread::sleep(Duration::from_millis(300));
        stream
            .write_all(b"$3\r\none\r\n$3\r\ntwo\r\n")
            .expect("a client");
        expect(stream, GET);
        stream.write_all(b"$5\r\nthree\r\n").expect("a client");
        let _ = stream.read(&mut [0]);
    });
    run(move || async move {
        let client = connect(Config::resp(address.to_string())).await;
        let hasty = client.within(Duration::from_millis(50));
        let (one, two) = (hasty.get("key"), client.get("key"));
        assert_eq!(one.await, Err(Error::Timeout));
        assert_eq!(two.await, Ok(Some(b"two".to_vec())));
        assert_eq!(client.get("key").await, Ok(Some(b"three".to_vec())));
        client.close().await;
    });
}
