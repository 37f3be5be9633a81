//! Receiving from a client, as `intake` says.

use super::super::{
    intake::{Act, Receiving},
    turn::Shard,
};
use crate::io::{Io, Room, Token};

impl<I: Io> Shard<I> {
    /// Does what is to be done so that what a client needs is received.
    pub(super) fn receive(&mut self, token: Token, act: Act) {
        let Self {
            io, core, peers, ..
        } = self;
        let Some(conn) = peers.downstream(token) else {
            return;
        };
        conn.intake.receiving = match act {
            Act::Wait => return,
            Act::Stop => {
                io.recv_pause(token);
                Receiving::Stopping
            }
            Act::Stream => {
                io.recv(token);
                Receiving::Stream
            }
            Act::Once => {
                io.recv_once(token);
                Receiving::Once
            }
            Act::Fill => {
                if let Some((room, count)) = conn.start_claimed(core) {
                    io.recv_into(token, room, count);
                    conn.intake.receiving = Receiving::Rest;
                    return;
                }
                if let Some(bytes) = conn.large_bytes() {
                    let is_first = !core.admission.has_waiting();
                    let enter = || core.admission.enter(core.now, bytes);
                    conn.intake.pass = is_first.then(enter).flatten();
                    if conn.intake.pass.is_none() {
                        core.admission.wait(token);
                        conn.intake.receiving = Receiving::Waiting;
                        return;
                    }
                }
                let (input, count) = conn.start_filling(&mut core.buffers);
                io.recv_into(token, input.into(), count);
                Receiving::Rest
            }
        };
    }

    /// Lets those go on that wait for their turn to have a large request received, as far as it is that.
    pub(in crate::shard) fn admit(&mut self) {
        let Self {
            io, core, peers, ..
        } = self;
        core.admission.tick(core.now);
        while let Some(token) = core.admission.first() {
            let conn = peers.downstream(token);
            let conn = conn.filter(|conn| conn.is_waiting());
            if let Some(conn) = conn {
                let bytes = conn.large_bytes().unwrap_or(0);
                let Some(pass) = core.admission.enter(core.now, bytes) else {
                    return;
                };
                conn.intake.pass = Some(pass);
                conn.intake.receiving = Receiving::Rest;
                let (input, count) = conn.start_filling(&mut core.buffers);
                io.recv_into(token, input.into(), count);
            }
            core.admission.pop_first();
        }
    }

    /// What was missing of a request has come, or some of it.
    pub(in crate::shard) fn filled(&mut self, token: Token, room: Room, count: usize) {
        let Self { core, peers, .. } = self;
        match peers.downstream(token) {
            Some(conn) => conn.filled(core, room, count),
            None => {
                if let Room::Input(input) = room {
                    core.buffers.put_input(input);
                }
            }
        }
        self.settle(token);
    }

    /// Nothing is received from a client any more, as was wanted.
    pub(in crate::shard) fn receive_stopped(&mut self, token: Token) {
        if let Some(conn) = self.peers.downstream(token) {
            conn.intake.stopped();
            self.settle(token);
        }
    }

    /// Looks whether something has come from a client that seems to say nothing: of the rest of a request
    /// nothing is told before all of it is there. False if there is nothing to look at any more.
    pub(super) fn probe(&mut self, token: Token) -> bool {
        let Self { io, peers, .. } = self;
        match peers.downstream(token) {
            Some(conn) if !conn.is_sending() && conn.intake.wants_probe() => {
                conn.intake.probing();
                io.recv_pause(token);
                true
            }
            _ => false,
        }
    }
}
