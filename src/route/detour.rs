//! Where keys go while some servers of a pool are ejected: what the originals compute over the
//! servers that are left.
//!
//! libmemcached and twemproxy count the live servers, add up their weights and make all points
//! anew, so that not only the keys of the ejected server may move, but some of others, too; the
//! other modes are treated likewise. That is just what [`Router::build`] makes of a list without
//! the ejected ones.

use std::sync::Arc;

use super::{HashRingError, Placement, Router, ServerIndex, ServerSpec};

/// The servers of a pool, and the way to those that are left of them.
#[derive(Debug, Clone)]
pub struct Detour {
    placement: Placement,
    servers: Arc<[ServerSpec]>,
    /// The way to them, and their places in the whole list; `None` if nothing is left that could
    /// own a key.
    rest: Option<(Router, Box<[ServerIndex]>)>,
}

impl Detour {
    /// All servers are there.
    ///
    /// # Errors
    ///
    /// As [`Router::build`].
    pub fn new(placement: Placement, servers: Arc<[ServerSpec]>) -> Result<Self, HashRingError> {
        let mut detour = Self {
            placement,
            servers,
            rest: None,
        };
        detour.rest = Some(detour.build(|_| true)?);
        Ok(detour)
    }

    /// From here on only the servers that are left own keys. Makes a ring, which takes about 0.1 ms
    /// for ten servers.
    pub fn leave(&mut self, is_left: impl Fn(ServerIndex) -> bool) {
        self.rest = self.build(is_left).ok();
    }

    fn build(
        &self,
        is_left: impl Fn(ServerIndex) -> bool,
    ) -> Result<(Router, Box<[ServerIndex]>), HashRingError> {
        let all = (0..self.servers.len()).map(|index| ServerIndex(index as u16));
        let left: Box<[ServerIndex]> = all.filter(|server| is_left(*server)).collect();
        let specs: Vec<ServerSpec> = left
            .iter()
            .map(|server| self.servers[server.index()].clone())
            .collect();
        Ok((Router::build(self.placement, &specs)?, left))
    }

    /// The server that owns `key` among those that are left. Allocates nothing.
    pub fn owner(&self, key: &[u8]) -> Option<ServerIndex> {
        let (router, left) = self.rest.as_ref()?;
        left.get(router.owner(key).index()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::HashRingMode;

    const LINES: [&str; 4] = [
        "10.0.1.1:11211 600",
        "10.0.1.2:11211 300",
        "10.0.1.3:11211 200",
        "10.0.1.4:11212 350",
    ];

    fn servers(lines: &[&str]) -> Vec<ServerSpec> {
        let parse = |line: &&str| ServerSpec::parse_line(line).expect("a server");
        lines.iter().map(parse).collect()
    }

    fn detour(mode: HashRingMode) -> Detour {
        Detour::new(Placement::of(mode), servers(&LINES).into()).expect("a ring")
    }

    fn keys() -> impl Iterator<Item = Vec<u8>> {
        (0..2_000).map(|number| format!("key:{number}").into_bytes())
    }

    #[test]
    fn those_that_are_left_own_keys_as_if_the_others_had_never_been() {
        for mode in [
            HashRingMode::Libmemcached,
            HashRingMode::Twemproxy,
            HashRingMode::Libketama,
        ] {
            let mut detour = detour(mode);
            detour.leave(|server| server != ServerIndex(1));
            let lines = [LINES[0], LINES[2], LINES[3]];
            let alone = Router::build(Placement::of(mode), &servers(&lines)).expect("a ring");
            for key in keys() {
                let place = alone.owner(&key).index();
                let expected = ServerIndex([0, 2, 3][place]);
                assert_eq!(detour.owner(&key), Some(expected), "{mode}");
            }
        }
    }

    /// The count of a server's points depends on all weights: this is why the ring is made anew
    /// rather than thinned out.
    #[test]
    fn points_of_servers_that_stay_move_too() {
        let whole = detour(HashRingMode::Libmemcached);
        let mut rest = whole.clone();
        rest.leave(|server| server != ServerIndex(0));
        let moved = keys().filter(|key| {
            whole.owner(key) != Some(ServerIndex(0)) && whole.owner(key) != rest.owner(key)
        });
        assert!(moved.count() > 0);
    }

    #[test]
    fn all_come_home_when_all_are_back_and_nobody_owns_what_nobody_can() {
        let whole = detour(HashRingMode::Twemproxy);
        let mut rest = whole.clone();
        rest.leave(|server| server.0 > 2);
        assert!(keys().all(|key| rest.owner(&key) == Some(ServerIndex(3))));
        rest.leave(|_| false);
        assert_eq!(rest.owner(b"key"), None);
        rest.leave(|_| true);
        assert!(keys().all(|key| rest.owner(&key) == whole.owner(&key)));
    }
}
