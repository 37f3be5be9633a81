//! Rows of commands about what a cache does not have: users, modules, files, a cluster. They are
//! there to be answered or refused as Redis does.

use super::super::{Command as C, CommandSpec, bits::*};
use super::server::server;
use super::shapes::*;

const FILE: u16 = ADMIN | NOSCRIPT | NO_ASYNC_LOADING;

#[rustfmt::skip]
pub(super) const ROWS: &[CommandSpec] = &[
    server(C::Acl, "acl", -2, NONE,
        "6.0.0", "", "Tells about users").subcommands(ACL),
    server(C::Module, "module", -2, NONE,
        "4.0.0", "", "Tells about modules").subcommands(MODULE),
    server(C::Cluster, "cluster", -2, NONE,
        "3.0.0", "", "Tells about the cluster"),
    server(C::LastSave, "lastsave", 1, LOADING | STALE | FAST,
        "1.0.0", "O(1)", "Gives the time of the last save").categories(ADMIN_CATEGORY | DANGEROUS).tips(VARIES),
    server(C::Lolwut, "lolwut", -1, READONLY | FAST,
        "5.0.0", "", "Gives the version"),
    server(C::Shutdown, "shutdown", -1, ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY,
        "1.0.0", "", "Ends the server"),
    server(C::Save, "save", 1, FILE | NO_MULTI,
        "1.0.0", "O(N)", "Writes all keys to a file"),
    server(C::BgSave, "bgsave", -1, FILE,
        "1.0.0", "O(1)", "Writes all keys to a file in the background"),
    server(C::BgRewriteAof, "bgrewriteaof", 1, FILE,
        "1.0.0", "O(1)", "Writes the log of changes anew"),
    server(C::Debug, "debug", -2, ADMIN | NOSCRIPT | LOADING | STALE,
        "1.0.0", "", "For those who work on the server"),
];

#[rustfmt::skip]
const ACL: &[CommandSpec] = &[
    server(C::AclWhoAmI, "acl|whoami", 2, NOSCRIPT | LOADING | STALE,
        "6.0.0", "O(1)", "Gives the user of the connection"),
    server(C::AclList, "acl|list", 2, ADMIN | NOSCRIPT | LOADING | STALE,
        "6.0.0", "O(N)", "Lists the users and what they may do"),
    server(C::AclUsers, "acl|users", 2, ADMIN | NOSCRIPT | LOADING | STALE,
        "6.0.0", "O(N)", "Lists the users"),
    server(C::AclHelp, "acl|help", 2, LOADING | STALE,
        "6.0.0", "O(1)", "Explains the subcommands"),
];

#[rustfmt::skip]
const MODULE: &[CommandSpec] = &[
    server(C::ModuleList, "module|list", 2, ADMIN | NOSCRIPT,
        "4.0.0", "O(N)", "Lists the modules").tips(VARIES_IN_ORDER),
    server(C::ModuleLoad, "module|load", -3, FILE,
        "4.0.0", "O(1)", "Loads a module"),
    server(C::ModuleLoadEx, "module|loadex", -3, FILE,
        "7.0.0", "O(1)", "Loads a module with settings"),
    server(C::ModuleUnload, "module|unload", 3, FILE,
        "4.0.0", "O(1)", "Unloads a module"),
    server(C::ModuleHelp, "module|help", 2, LOADING | STALE,
        "5.0.0", "O(1)", "Explains the subcommands"),
];
