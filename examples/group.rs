//! A group over a slow function: a hundred threads ask for the same keys, and the function runs once a key.
//!
//!     cargo run --example group

use std::{
    error::Error,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use ringfort::{
    group::{LoadError, Loaded, Wanted},
    library::Group,
};

/// How often the slow function was called.
static CALLS: AtomicUsize = AtomicUsize::new(0);

const THREADS: usize = 100;
const KEYS: u64 = 10;

/// What takes a while: here a thread that sleeps, elsewhere a query.
async fn square(wanted: Wanted) -> Result<Loaded, LoadError> {
    CALLS.fetch_add(1, Ordering::Relaxed);
    ringfort::library::sleep(Duration::from_millis(100)).await;
    let text = std::str::from_utf8(&wanted.key).map_err(LoadError::failed)?;
    let number: u64 = text.parse().map_err(LoadError::failed)?;
    let ttl = Duration::from_secs(60);
    Ok(Loaded::for_ttl(number.pow(2).to_string(), ttl))
}

fn main() -> Result<(), Box<dyn Error>> {
    let group = Group::builder("squares").start(|| square)?;
    let start = Instant::now();
    let ask_for_all = || -> Result<(), LoadError> {
        for number in 0..KEYS {
            let value = group.get(number.to_string().as_bytes())?;
            assert_eq!(value, Some(number.pow(2).to_string().into()));
        }
        Ok(())
    };
    thread::scope(|scope| {
        let asking: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask_for_all)).collect();
        asking
            .into_iter()
            .try_for_each(|one| one.join().expect("no panic"))
    })?;
    println!(
        "{} answers in {:.1?}, of {} calls",
        THREADS as u64 * KEYS,
        start.elapsed(),
        CALLS.load(Ordering::Relaxed)
    );
    group.end()?;
    Ok(())
}
