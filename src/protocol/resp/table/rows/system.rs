//! Rows of commands about what a cache does not have: users, modules, files, a cluster. They are
//! there to be answered or refused as Redis does.

use super::super::{Command as C, CommandSpec, bits::*};
use super::server::server;
use super::shapes::*;

const FILE: u16 = ADMIN | NOSCRIPT | NO_ASYNC_LOADING;

#[rustfmt::skip]
pub(super) const ROWS: &[CommandSpec] = &[
    server(C::Acl, "acl", -2, NONE).subcommands(ACL),
    server(C::Module, "module", -2, NONE).subcommands(MODULE),
    server(C::Cluster, "cluster", -2, NONE),
    server(C::LastSave, "lastsave", 1, LOADING | STALE | FAST).categories(ADMIN_CATEGORY | DANGEROUS).tips(VARIES),
    server(C::Lolwut, "lolwut", -1, READONLY | FAST),
    server(C::Shutdown, "shutdown", -1, ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY),
    server(C::Save, "save", 1, FILE | NO_MULTI),
    server(C::BgSave, "bgsave", -1, FILE),
    server(C::BgRewriteAof, "bgrewriteaof", 1, FILE),
    server(C::Debug, "debug", -2, ADMIN | NOSCRIPT | LOADING | STALE),
];

#[rustfmt::skip]
const ACL: &[CommandSpec] = &[
    server(C::AclWhoAmI, "acl|whoami", 2, NOSCRIPT | LOADING | STALE),
    server(C::AclList, "acl|list", 2, ADMIN | NOSCRIPT | LOADING | STALE),
    server(C::AclUsers, "acl|users", 2, ADMIN | NOSCRIPT | LOADING | STALE),
    server(C::AclHelp, "acl|help", 2, LOADING | STALE),
];

#[rustfmt::skip]
const MODULE: &[CommandSpec] = &[
    server(C::ModuleList, "module|list", 2, ADMIN | NOSCRIPT).tips(VARIES_IN_ORDER),
    server(C::ModuleLoad, "module|load", -3, FILE),
    server(C::ModuleLoadEx, "module|loadex", -3, FILE),
    server(C::ModuleUnload, "module|unload", 3, FILE),
    server(C::ModuleHelp, "module|help", 2, LOADING | STALE),
];
