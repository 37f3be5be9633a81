//! What HELP says: a line about the command, two for each subcommand, two about HELP itself.

use crate::protocol::resp::reply;

/// The help of one command.
pub(super) struct Help {
    command: &'static str,
    /// A subcommand with its arguments, and what it does.
    subcommands: &'static [(&'static str, &'static str)],
}

/// Appends the reply to HELP.
pub(super) fn write(out: &mut Vec<u8>, help: &Help) {
    reply::array_header(out, 1 + 2 * (help.subcommands.len() + 1));
    let title = " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:";
    reply::simple(out, [help.command, title].concat());
    for (subcommand, text) in help.subcommands {
        reply::simple(out, subcommand);
        reply::simple(out, ["    ", text].concat());
    }
    reply::simple(out, "HELP");
    reply::simple(out, "    Prints this help.");
}

pub(super) static CLIENT: Help = Help {
    command: "CLIENT",
    subcommands: &[
        ("GETNAME", "The name of this connection."),
        ("ID", "The number of this connection."),
        ("INFO", "This connection's line of CLIENT LIST."),
        (
            "KILL <ip:port>",
            "Closes the connection that comes from there.",
        ),
        (
            "KILL [ID <id>] [TYPE <type>] [ADDR <ip:port>] [LADDR <ip:port>] [USER <name>] \
             [SKIPME (YES|NO)]",
            "Closes the connections that meet every condition, this one only with SKIPME NO.",
        ),
        (
            "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)|ID <id> ...]",
            "A line about each connection, of all protocols and shards.",
        ),
        (
            "NO-EVICT (ON|OFF)",
            "Taken note of; no connection is closed for the memory it takes.",
        ),
        (
            "NO-TOUCH (ON|OFF)",
            "Whether what this connection reads is left as unused as it was.",
        ),
        (
            "PAUSE <milliseconds> [WRITE|ALL]",
            "Lets the requests of all connections wait, or those that write.",
        ),
        (
            "REPLY (ON|OFF|SKIP)",
            "Whether requests of this connection are answered; SKIP is for the next one.",
        ),
        ("SETINFO (LIB-NAME|LIB-VER) <value>", "Names the library."),
        ("SETNAME <name>", "Names this connection."),
        (
            "UNBLOCK <id> [TIMEOUT|ERROR]",
            "Ends a connection's waiting; none waits here.",
        ),
        ("UNPAUSE", "Ends a pause."),
    ],
};

pub(super) static CONFIG: Help = Help {
    command: "CONFIG",
    subcommands: &[
        ("GET <pattern> ...", "The settings whose names match."),
        (
            "SET <name> <value> ...",
            "Changes settings, all of them or none.",
        ),
        ("RESETSTAT", "Counts from nothing what INFO tells."),
        ("REWRITE", "Refused: there is no configuration file."),
    ],
};

pub(super) static MEMORY: Help = Help {
    command: "MEMORY",
    subcommands: &[
        ("DOCTOR", "Says whether memory is short."),
        (
            "MALLOC-STATS",
            "Nothing: the allocator keeps no statistics.",
        ),
        ("PURGE", "Does nothing: memory was taken once, at start."),
        ("STATS", "What memory is used for."),
        ("USAGE <key> [SAMPLES <count>]", "The bytes of a key."),
    ],
};

pub(super) static LATENCY: Help = Help {
    command: "LATENCY",
    subcommands: &[
        ("DOCTOR", "What the latency monitor saw, in words."),
        ("GRAPH <event>", "The same of one event, drawn."),
        ("HISTORY <event>", "The same, second by second."),
        ("LATEST", "The latest sample of each event."),
        ("RESET [<event> ...]", "Forgets events, or all of them."),
        (
            "HISTOGRAM [<command> ...]",
            "How long commands took, those that were measured, by powers of two.",
        ),
    ],
};

pub(super) static SLOWLOG: Help = Help {
    command: "SLOWLOG",
    subcommands: &[
        (
            "GET [<count>]",
            "The newest slow requests, ten or so many, -1 for all: number, time, microseconds, \
             arguments, who asked, and that connection's name.",
        ),
        ("LEN", "How many are logged."),
        ("RESET", "Forgets them."),
    ],
};

pub(super) static ACL: Help = Help {
    command: "ACL",
    subcommands: &[
        ("LIST", "The users and what they may do."),
        ("USERS", "The users' names."),
        ("WHOAMI", "The user of this connection."),
    ],
};

pub(super) static MODULE: Help = Help {
    command: "MODULE",
    subcommands: &[
        ("LIST", "The loaded modules: none."),
        ("LOAD <path> [<arg> ...]", "Refused: there are none."),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_as_many_lines_as_it_says() {
        for help in [&CLIENT, &CONFIG, &MEMORY, &LATENCY, &SLOWLOG, &ACL, &MODULE] {
            let mut out = Vec::new();
            write(&mut out, help);
            let text = String::from_utf8(out).unwrap();
            let lines: Vec<_> = text.split_terminator("\r\n").collect();
            assert_eq!(lines[0], format!("*{}", lines.len() - 1));
            assert!(lines[1..].iter().all(|line| line.starts_with('+')));
            assert!(lines[1].starts_with(&format!("+{} <sub", help.command)));
        }
    }
}
