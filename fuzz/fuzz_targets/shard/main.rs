//! Whole shards on the fake I/O, under typed commands of all protocols, against a model cache.
//!
//! Commands are sent on connections of several shards, one after the other or in pipelines, cut
//! anywhere; every reply must be the model's, and who keeps copies must be told what the model
//! says, no less and no more. A connection of its own sends bytes that nobody meant.
#![no_main]

mod answers;
mod binary;
mod cache;
#[path = "../../../tests/support/linearizability.rs"]
#[expect(
    dead_code,
    reason = "the simulation's clients use it, which are not used here"
)]
mod checker;
mod client;
mod flags;
mod meta;
mod model;
mod player;
mod push;
mod reply;
mod resp;
#[path = "../../../tests/support/sim/mod.rs"]
mod sim;
mod text;
mod tracking;
mod words;

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary, Unstructured},
    fuzz_target,
};

use crate::binary::Binary;
use crate::client::Session;
use crate::meta::Meta;
use crate::player::Player;
use crate::resp::Resp;
use crate::text::Text;

/// More say nothing that fewer do not.
const STEPS_MAX: usize = 32;

#[derive(Arbitrary, Debug)]
struct Script {
    seed: u64,
    shards: u8,
    steps: Steps,
}

/// As many as the input has bytes for.
#[derive(Debug)]
struct Steps(Vec<Step>);

impl<'a> Arbitrary<'a> for Steps {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut steps = Vec::new();
        while !input.is_empty() && steps.len() < STEPS_MAX {
            steps.push(input.arbitrary()?);
        }
        Ok(Self(steps))
    }
}

#[derive(Arbitrary, Debug)]
enum Step {
    Send {
        conn: u8,
        command: Command,
        cut: u16,
        /// What is sent next goes with it if it is sent on the same connection.
        waits: bool,
    },
    /// So many hundreds of seconds go by.
    Wait(u8),
    /// Bytes for a connection of its own.
    Garbage { protocol: bool, bytes: Vec<u8> },
}

#[derive(Arbitrary, Debug)]
enum Command {
    Text(Text),
    Meta(Meta),
    Binary(Binary),
    Resp {
        command: Resp,
        /// Says first that it is to be tracked, or not, where that is to be said.
        asks: bool,
    },
    Session(Session),
}

fuzz_target!(|script: Script| Player::new(&script).play(&script.steps.0));
