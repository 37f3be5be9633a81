//! Asks a Redis server a thousand things at once, over one connection.
//!
//!     cargo run --example pipelined_client [HOST:PORT]

use std::{process::ExitCode, time::Instant};

use glommio::LocalExecutorBuilder;
use ringfort::client::{Client, Config, Error};

const KEY_COUNT: usize = 1_000;

fn main() -> ExitCode {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:6379".to_owned());
    // No memory for files is needed, so little of it has to be lockable.
    let executor = LocalExecutorBuilder::default().io_memory(0).ring_depth(64);
    let task = executor.spawn(move || async move { (talk(&address).await, address) });
    let (result, address) = match task.and_then(|task| task.join()) {
        Ok(ended) => ended,
        Err(error) => {
            eprintln!("pipelined_client: no executor: {error}; is `ulimit -l` 512 or more?");
            return ExitCode::FAILURE;
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pipelined_client: {address}: {error}; name a Redis server as HOST:PORT");
            ExitCode::FAILURE
        }
    }
}

async fn talk(address: &str) -> Result<(), Error> {
    let client = Client::connect(Config::resp(address).name("pipelined_client")).await?;
    let start = Instant::now();
    let key = |number| format!("pipelined_client:{number}");
    // Everything is sent before the first reply is looked at.
    let sets: Vec<_> = (0..KEY_COUNT)
        .map(|number| client.set(key(number), number.to_string()))
        .collect();
    let gets: Vec<_> = (0..KEY_COUNT)
        .map(|number| client.get(key(number)))
        .collect();
    for set in sets {
        set.await?;
    }
    let mut right = 0;
    for (number, get) in gets.into_iter().enumerate() {
        right += usize::from(get.await? == Some(number.to_string().into_bytes()));
    }
    println!(
        "{right} of {KEY_COUNT} values came back as they were set, in {:.1?}",
        start.elapsed()
    );
    let deletes: Vec<_> = (0..KEY_COUNT)
        .map(|number| client.delete(key(number)))
        .collect();
    for delete in deletes {
        delete.await?;
    }
    client.close().await;
    Ok(())
}
