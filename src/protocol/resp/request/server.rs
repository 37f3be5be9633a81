//! Commands about the server as a whole.

use super::super::{
    args::{Args, Rest},
    error::RequestError,
    table::{Command, CommandSpec},
};
use super::{
    client::timeout_ms, cluster, config::ConfigRequest, integer, latency::LatencyRequest,
    memory::MemoryRequest, slow_log::SlowLogRequest,
};

/// One request about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub enum ServerRequest<'b> {
    Info {
        sections: Rest<'b>,
    },
    Time,
    Role,
    LastSave,
    /// There are no replicas to wait for, so how many and how long means nothing.
    Wait,
    Lolwut,
    ModuleList,
    /// ACL.
    Acl(AclRequest),
    /// CONFIG.
    Config(ConfigRequest<'b>),
    /// LATENCY.
    Latency(LatencyRequest<'b>),
    /// MEMORY.
    Memory(MemoryRequest),
    /// SLOWLOG.
    SlowLog(SlowLogRequest),
}

/// One ACL request. There is one user, who may do everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the subcommands'")]
pub enum AclRequest {
    WhoAmI,
    List,
    Users,
}

impl<'b> ServerRequest<'b> {
    /// Gives a frame that has the command's arity its meaning.
    pub(super) fn read(
        spec: &'static CommandSpec,
        args: Args<'b>,
    ) -> Result<Self, RequestError<'b>> {
        let request = match spec.command {
            Command::Info => Self::Info {
                sections: args.rest(1),
            },
            Command::Time => Self::Time,
            Command::Role => Self::Role,
            Command::LastSave => Self::LastSave,
            Command::Wait => {
                integer(args.at(1))?;
                timeout_ms(args.at(2))?;
                Self::Wait
            }
            Command::Lolwut => read_lolwut(args)?,
            Command::ModuleList => Self::ModuleList,
            Command::AclWhoAmI => Self::Acl(AclRequest::WhoAmI),
            Command::AclList => Self::Acl(AclRequest::List),
            Command::AclUsers => Self::Acl(AclRequest::Users),
            _ => return read_nested(spec, args),
        };
        Ok(request)
    }
}

/// The commands that are families of their own, then those that are refused.
fn read_nested<'b>(
    spec: &'static CommandSpec,
    args: Args<'b>,
) -> Result<ServerRequest<'b>, RequestError<'b>> {
    if let Some(request) = ConfigRequest::read(spec, args) {
        return request.map(ServerRequest::Config);
    }
    if let Some(request) = LatencyRequest::read(spec, args) {
        return Ok(ServerRequest::Latency(request));
    }
    if let Some(request) = MemoryRequest::read(spec) {
        return Ok(ServerRequest::Memory(request));
    }
    if let Some(request) = SlowLogRequest::read(spec, args) {
        return request.map(ServerRequest::SlowLog);
    }
    Err(refusal(spec, args))
}

/// `LOLWUT VERSION n` looks at its number; what else is said to it, nobody minds.
fn read_lolwut(args: Args<'_>) -> Result<ServerRequest<'_>, RequestError<'_>> {
    let has_version = args.count() >= 3 && args.at(1).eq_ignore_ascii_case(b"version");
    if has_version {
        integer(args.at(2))?;
    }
    Ok(ServerRequest::Lolwut)
}

/// What is said to commands that tools try and that mean nothing here.
fn refusal<'b>(spec: &'static CommandSpec, args: Args<'b>) -> RequestError<'b> {
    match spec.command {
        Command::Cluster => cluster::refusal(&args),
        Command::ReadOnly | Command::ReadWrite | Command::Asking => cluster::NO_CLUSTER,
        Command::Save | Command::BgSave | Command::BgRewriteAof => {
            let is_known = args
                .get(1)
                .is_none_or(|word| word.eq_ignore_ascii_case(b"schedule") && args.count() == 2);
            if is_known {
                RequestError::Said("ERR This instance has persistence support disabled")
            } else {
                RequestError::Syntax
            }
        }
        Command::Shutdown => refused_shutdown(args),
        Command::Debug => RequestError::Said(DEBUG_REFUSED),
        Command::ModuleLoad | Command::ModuleLoadEx | Command::ModuleUnload => {
            RequestError::Said(MODULE_REFUSED)
        }
        _ => RequestError::UnknownCommand(args),
    }
}

/// A client cannot end the process; a signal can.
fn refused_shutdown(args: Args<'_>) -> RequestError<'_> {
    let (mut saves, mut skips, mut aborts, mut others) = (false, false, false, false);
    for word in args.iter_from(1) {
        let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
        match () {
            () if is(b"save") => saves = true,
            () if is(b"nosave") => skips = true,
            () if is(b"abort") => aborts = true,
            () if is(b"now") || is(b"force") => others = true,
            () => return RequestError::Syntax,
        }
    }
    if (aborts && (saves || skips || others)) || (saves && skips) {
        return RequestError::Syntax;
    }
    RequestError::Said(if aborts {
        "ERR No shutdown in progress."
    } else {
        "ERR SHUTDOWN is not enabled, send the process a SIGTERM"
    })
}

const DEBUG_REFUSED: &str = "ERR DEBUG command not allowed. If the enable-debug-command option \
    is set to \"local\", you can run it from a local connection, otherwise you need to set this \
    option in the configuration file, and then restart the server.";

const MODULE_REFUSED: &str = "ERR MODULE command not allowed. If the enable-module-command option \
    is set to \"local\", you can run it from a local connection, otherwise you need to set this \
    option in the configuration file, and then restart the server.";
