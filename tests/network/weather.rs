//! A network that loses, delays and reorders packets: TCP makes streams of them again, late, and ringfort what was
//! asked.

use std::time::Duration;

use crate::checker::{Operation, Outcome};
use crate::client::{Client, Heard};
use crate::far::FarPool;
use crate::namespaces::{Network, Weather};
use crate::register;
use crate::speaker::{KEY_COUNT, Speaker, Stage};
use crate::spread;
use crate::support::gated::Speech;
use crate::support::over_when_dropped;

const SPEAKER_COUNT: u64 = 6;

/// Bad enough that some requests are answered in time and some are not.
const BAD: Weather = Weather {
    delay: Duration::from_millis(5),
    jitter: Duration::from_millis(30),
    loss_percent: 6,
};

/// One of the worst days, with a while of silence.
fn bad_day(network: &Network) {
    for _ in 0..2 {
        network.set_weather(BAD);
        std::thread::sleep(Duration::from_secs(4));
        network.cut();
        std::thread::sleep(Duration::from_millis(1_300));
        network.heal();
        std::thread::sleep(Duration::from_millis(700));
    }
}

#[test]
fn no_read_goes_back_and_no_request_gets_anothers_reply() {
    let setups: [(Speech, &[&str]); 3] = [
        (Speech::MEMCACHE, &["--l1", "60s"]),
        (Speech::RESP, &["--on-eject", "rehash"]),
        (Speech::RESP, &["--l1", "tracked"]),
    ];
    std::thread::scope(|scope| {
        for (speech, more) in setups {
            scope.spawn(move || {
                let common = ["--shards", "2", "--backend-timeout", "400ms"];
                let flags = [&common[..], more].concat();
                Network::run(|network| {
                    let pool = FarPool::start(network, speech, 1, &flags);
                    check(network, &pool);
                });
            });
        }
    });
}

fn check(network: &Network, pool: &FarPool<'_>) {
    let stage = Stage::new();
    let seen: Vec<_> = std::thread::scope(|scope| {
        let speakers: Vec<_> = (1..=SPEAKER_COUNT)
            .map(|number| Speaker::new(&stage, pool.connect(), pool.speech.clients, number))
            .map(|speaker| scope.spawn(|| speaker.speak()))
            .collect();
        let over = over_when_dropped(&stage.is_over);
        bad_day(network);
        drop(over);
        let speakers = speakers.into_iter();
        speakers
            .map(|speaker| speaker.join().expect("a speaker"))
            .collect()
    });
    let error_count: usize = seen.iter().map(|(_, errors)| errors).sum();
    assert!(error_count > 0, "the weather was felt");
    let (lost, overtaken) = network.casualties();
    assert!(
        lost > 10 && overtaken > 10,
        "{lost} lost, {overtaken} overtaken"
    );
    for key in 0..KEY_COUNT {
        let all = seen.iter().flat_map(|(heard, _)| heard);
        let of_key = all.filter(|(other, _)| *other == key);
        let history: Vec<Operation> = of_key.map(|(_, operation)| *operation).collect();
        let is_hit = |operation: &&Operation| matches!(operation.outcome, Outcome::Value(_));
        let hit_count = history.iter().filter(is_hit).count();
        assert!(hit_count > 20, "k{key} was found {hit_count} times only");
        assert!(
            register::is_linearizable(&history),
            "{:?}: no order explains k{key}:\n{}",
            pool.speech,
            crate::checker::told(&history)
        );
    }
}

/// A server to which it is so far that every request takes two seconds is none that others wait for.
#[test]
fn a_slow_way_to_one_server_is_not_felt_by_who_asks_others() {
    const FAR_AWAY: Weather = Weather {
        delay: Duration::from_secs(1),
        jitter: Duration::from_millis(100),
        loss_percent: 0,
    };
    Network::run(|network| {
        for speech in [Speech::MEMCACHE, Speech::RESP] {
            let pool = FarPool::start(network, speech, 2, &["--shards", "1"]);
            let keys = spread(&pool);
            network.set_weather(FAR_AWAY);
            std::thread::scope(|scope| {
                let askers: Vec<_> = keys.far[..4]
                    .iter()
                    .map(|key| {
                        let client = Client::new(pool.connect(), speech.clients);
                        scope.spawn(|| is_answered_late(client, key))
                    })
                    .collect();
                let mut client = Client::new(pool.connect(), speech.clients);
                let mut took = Vec::new();
                while !askers.iter().all(|asker| asker.is_finished()) {
                    for key in &keys.near {
                        let (heard, time) = client.get(key);
                        assert_eq!(heard, Heard::value(key));
                        took.push(time);
                    }
                }
                took.sort_unstable();
                let p99 = took[took.len() * 99 / 100];
                // Far below what the far ones take, and far above what a busy machine adds.
                assert!(p99 < Duration::from_millis(500), "{p99:?}");
            });
            network.heal();
        }
    });
}

fn is_answered_late(mut client: Client, key: &str) {
    let (heard, took) = client.get(key);
    assert_eq!(heard, Heard::value(key));
    assert!(took > Duration::from_secs(2), "{took:?}");
}
