//! `ringfort spool replay`: telling the servers what waits for them, without a ringfort that runs.
//!
//! The spool itself is only read. What has been sent may be sent again: the last word on each key is
//! the same.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
};

use super::{Failure, NO_LIMITS, Source, Verdict, nodes::Nodes, sender::Sender, wish};
use crate::{
    route::ServerSpec,
    spool::{Folder, Write as Wish, mcrouter, port::CLUSTER},
};

pub(super) fn run(
    source: Source,
    to: Option<&ServerSpec>,
    out: &mut impl Write,
) -> Result<Verdict, Failure> {
    let mut senders = Senders {
        to: to.cloned(),
        nodes: None,
        nowhere_count: 0,
        by_server: BTreeMap::new(),
    };
    let flaw_count = match source {
        Source::Own(folder) => own(folder, &mut senders, out)?,
        Source::Mcrouter(files) => of_mcrouter(&files, &mut senders, out)?,
    };
    let mut is_good = flaw_count == 0 && senders.nowhere_count == 0;
    if senders.nowhere_count > 0 {
        let reason = senders.why_nowhere();
        writeln!(
            out,
            "{CLUSTER}: 0 taken, {} not ({reason})",
            senders.nowhere_count
        )?;
    }
    for (server, mut sender) in senders.by_server {
        sender.finish();
        let server = server.escape_debug();
        let counts = sender.counts();
        is_good &= counts.failed == 0;
        write!(
            out,
            "{server}: {} taken, {} not",
            counts.taken, counts.failed
        )?;
        match sender.error() {
            Some(error) => writeln!(out, " ({})", error.escape_debug())?,
            None => writeln!(out)?,
        }
    }
    Ok(match is_good {
        true => Verdict::Good,
        false => Verdict::Bad,
    })
}

/// Who is told what.
struct Senders {
    /// Everything goes here.
    to: Option<ServerSpec>,
    /// Who has which slot of the cluster that `to` is in, or why that is not known; asked when
    /// something waits for a cluster.
    nodes: Option<io::Result<Nodes>>,
    /// How much waits for a cluster and is nobody's.
    nowhere_count: u64,
    by_server: BTreeMap<String, Sender>,
}

impl Senders {
    fn send(&mut self, wish: &Wish<'_>) {
        let server = match &self.to {
            _ if wish.server == CLUSTER.as_bytes() => match self.node_of(wish.key) {
                Some(node) => node,
                None => {
                    self.nowhere_count += 1;
                    return;
                }
            },
            Some(to) => to.address(),
            None => String::from_utf8_lossy(wish.server).into_owned(),
        };
        let sender = self.by_server.entry(server);
        let sender = sender.or_insert_with_key(|server| Sender::new(server));
        sender.send(wish);
    }

    fn node_of(&mut self, key: &[u8]) -> Option<String> {
        let to = self.to.as_ref()?;
        let nodes = self.nodes.get_or_insert_with(|| Nodes::ask(to));
        nodes.as_ref().ok()?.of(key)
    }

    /// Why something that waits for a cluster was sent to nobody.
    fn why_nowhere(&self) -> String {
        match &self.nodes {
            None => "name one of its nodes: --to HOST:PORT".to_owned(),
            Some(Ok(_)) => "nobody has their slots".to_owned(),
            Some(Err(error)) => error.to_string(),
        }
    }
}

fn own(mut folder: Folder, senders: &mut Senders, out: &mut impl Write) -> Result<usize, Failure> {
    // Who holds it sends by itself.
    folder.try_lock().map_err(Failure::source)?;
    let (log, flaws) = folder.load(NO_LIMITS, 0).map_err(Failure::source)?;
    for flaw in &flaws {
        writeln!(out, "{flaw}")?;
    }
    let sent = folder.live(&log, |_, write| senders.send(write));
    sent.map_err(Failure::source)?;
    Ok(flaws
        .iter()
        .filter(|flaw| flaw.kind.is_corruption())
        .count())
}

fn of_mcrouter(
    files: &[PathBuf],
    senders: &mut Senders,
    out: &mut impl Write,
) -> Result<usize, Failure> {
    let mut flaws = Vec::new();
    for file in files {
        let read = mcrouter::read_file(file, |line, read| match read {
            Ok(delete) => senders.send(&wish(&delete)),
            Err(error) => flaws.push((file, line, error)),
        });
        read.map_err(|error| Failure::source(format_args!("{}: {error}", file.display())))?;
    }
    for (file, line, error) in &flaws {
        writeln!(out, "{}:{line}: {error}", file.display())?;
    }
    Ok(flaws.len())
}
