//! Sequences out of families of commands.

use super::dice::Dice;
use super::known;
use super::{Batch, Command, Protocol, Sequence};
use super::{admin, binary, memcache, meta, resp};

/// A kind of command.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    /// How often, beside the others.
    pub(crate) weight: u32,
    /// Whether ringfort answers these: only then are they part of the default run.
    pub(crate) is_served: bool,
    pub(crate) make: fn(&mut Dice) -> Made,
}

/// What a family makes at once.
pub(crate) enum Made {
    /// One command, which may stand anywhere.
    One(Command),
    /// Commands that stay together, with nothing between.
    Bracket(Vec<Command>),
    /// As brackets, each on a connection of the sequence's two.
    Interfering(Vec<(usize, Vec<Command>)>),
}

/// The families to choose from.
pub(crate) struct Generator {
    protocol: Protocol,
    families: Vec<&'static Family>,
}

fn families(protocol: Protocol) -> impl Iterator<Item = &'static Family> {
    let parts: &[&'static [Family]] = match protocol {
        Protocol::Text => &[memcache::FAMILIES, meta::FAMILIES],
        Protocol::Binary => &[binary::FAMILIES],
        Protocol::Resp => &[resp::FAMILIES, admin::FAMILIES],
    };
    parts.iter().copied().flatten()
}

/// The names of the families that ringfort does not serve yet.
pub(crate) fn unserved(protocol: Protocol) -> impl Iterator<Item = &'static str> {
    families(protocol)
        .filter(|family| !family.is_served)
        .map(|family| family.name)
}

impl Generator {
    /// Of the families that `wanted` names (`all` is all of them), or of those that are served.
    pub(crate) fn new(protocol: Protocol, wanted: Option<&str>) -> Self {
        let names: Option<Vec<&str>> = wanted.map(|wanted| wanted.split(',').collect());
        let is_wanted = |family: &&Family| match &names {
            None => family.is_served,
            Some(names) => names.contains(&family.name) || names == &["all"],
        };
        let families = families(protocol).filter(is_wanted).collect();
        Self { protocol, families }
    }

    /// False when nothing is left to choose from.
    pub(crate) fn has_families(&self) -> bool {
        !self.families.is_empty()
    }

    /// The sequence of this seed.
    pub(crate) fn sequence(&self, seed: u64) -> Sequence {
        const BATCH_COUNT_MAX: usize = 60;
        let mut dice = Dice::new(seed);
        let mut batches = Vec::new();
        if self.protocol == Protocol::Resp && dice.chance(500) {
            let words = vec![b"HELLO".to_vec(), b"3".to_vec()];
            batches.push(Batch {
                commands: vec![Command::resp(words)],
                ..Batch::default()
            });
        }
        for _ in 0..dice.between(1, BATCH_COUNT_MAX) {
            self.add_batches(&mut dice, &mut batches);
        }
        Sequence {
            seed: dice.number(),
            batches,
        }
    }

    fn add_batches(&self, dice: &mut Dice, batches: &mut Vec<Batch>) {
        let mut commands = Vec::new();
        // Mostly alone, so that a wrong reply has one cause; or side by side, so that one follows another.
        let wanted = if dice.chance(700) {
            1
        } else {
            dice.between(2, 8)
        };
        while commands.len() < wanted {
            match self.make(dice) {
                Made::One(command) if known::stands_alone(self.protocol, &command) => {
                    batches.push(Batch {
                        commands: vec![command],
                        ..Batch::default()
                    });
                    break;
                }
                Made::One(command) => commands.push(command),
                Made::Bracket(bracket) => {
                    batches.push(Batch {
                        connection: 0,
                        commands: bracket,
                        is_bracket: true,
                    });
                    break;
                }
                Made::Interfering(parts) => {
                    batches.extend(parts.into_iter().map(|(connection, commands)| Batch {
                        connection,
                        commands,
                        is_bracket: true,
                    }));
                    break;
                }
            }
        }
        if !commands.is_empty() {
            batches.push(Batch {
                commands,
                ..Batch::default()
            });
        }
    }

    /// Something that both servers can be asked.
    fn make(&self, dice: &mut Dice) -> Made {
        loop {
            let weights = self.families.iter().map(|family| family.weight);
            let family = self.families[dice.weighted(weights)];
            let made = (family.make)(dice);
            let is_avoided = |command: &Command| known::is_avoided(self.protocol, command);
            let avoids = match &made {
                Made::One(command) => is_avoided(command),
                Made::Bracket(commands) => commands.iter().any(is_avoided),
                Made::Interfering(parts) => {
                    let mut all = parts.iter().flat_map(|(_, commands)| commands);
                    all.any(is_avoided)
                }
            };
            if !avoids {
                return made;
            }
        }
    }
}
