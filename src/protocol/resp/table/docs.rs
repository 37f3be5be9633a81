//! COMMAND DOCS: what people are told of commands.
//!
//! The texts stand in `docs/`, in a file for each family of rows, as redis-server 7.0.15 gives
//! them. `= NAME` begins what there is to say of a command; each line after it is a field's name
//! and its text, in the order in which Redis has the fields. Fields of which there can be several
//! follow each other: `history VERSION TEXT` and `argument NAME TYPE MARKS`. An argument that is
//! made of others has them in the lines below it, two blanks further in.

use super::CommandSpec;
use crate::protocol::resp::{Version, reply};

const TEXTS: &str = concat!(
    "\n",
    include_str!("docs/strings.txt"),
    "\n",
    include_str!("docs/keys.txt"),
    "\n",
    include_str!("docs/connection.txt"),
    "\n",
    include_str!("docs/transaction.txt"),
    "\n",
    include_str!("docs/server.txt"),
    "\n",
    include_str!("docs/system.txt"),
);

/// Appends a command's entry of COMMAND DOCS: its name, and what there is to say.
pub fn encode_docs(spec: &CommandSpec, version: Version, out: &mut Vec<u8>) {
    let is_argument = |line: &&str| line.trim_start().starts_with("argument ");
    let is_history = |line: &&str| line.starts_with("history ");
    let lines = paragraph(spec.name).lines();
    let (arguments, lines): (Vec<&str>, Vec<&str>) = lines.partition(is_argument);
    let (history, lines): (Vec<&str>, Vec<&str>) = lines.into_iter().partition(is_history);

    let lists = [
        !history.is_empty(),
        !arguments.is_empty(),
        !spec.subcommands.is_empty(),
    ];
    let list_count = lists.iter().filter(|is_there| **is_there).count();
    reply::bulk(out, spec.name.as_bytes());
    reply::map_header(out, lines.len() + list_count, version);
    lines
        .iter()
        .for_each(|line| encode_field(line, version, out));
    if !history.is_empty() {
        encode_history(&history, version, out);
    }
    if !arguments.is_empty() {
        encode_arguments(&arguments, version, out);
    }
    if !spec.subcommands.is_empty() {
        reply::bulk(out, b"subcommands");
        reply::map_header(out, spec.subcommands.len(), version);
        spec.subcommands
            .iter()
            .for_each(|sub| encode_docs(sub, version, out));
    }
}

/// The lines about a command; none if nothing is known of it.
fn paragraph(name: &str) -> &'static str {
    let head = ["\n= ", name, "\n"].concat();
    let Some(start) = memchr::memmem::find(TEXTS.as_bytes(), head.as_bytes()) else {
        return "";
    };
    let rest = &TEXTS[start + head.len()..];
    rest.split_once("\n\n").map_or(rest, |(lines, _)| lines)
}

fn encode_field(line: &str, version: Version, out: &mut Vec<u8>) {
    let (name, text) = line.split_once(' ').unwrap_or((line, ""));
    reply::bulk(out, name.as_bytes());
    if name == "doc_flags" {
        encode_flags(&text.split(' ').collect::<Vec<_>>(), version, out);
    } else {
        reply::bulk(out, text.as_bytes());
    }
}

fn encode_flags(flags: &[&str], version: Version, out: &mut Vec<u8>) {
    reply::set_header(out, flags.len(), version);
    flags.iter().for_each(|flag| reply::simple(out, flag));
}

/// Versions, and what they changed.
fn encode_history(lines: &[&str], version: Version, out: &mut Vec<u8>) {
    reply::bulk(out, b"history");
    reply::set_header(out, lines.len(), version);
    for line in lines {
        reply::array_header(out, 2);
        line.splitn(3, ' ')
            .skip(1)
            .for_each(|part| reply::bulk(out, part.as_bytes()));
    }
}

/// Arguments, each with those that it is made of.
fn encode_arguments(lines: &[&str], version: Version, out: &mut Vec<u8>) {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let outermost = lines.first().map_or(0, |line| depth(line));
    reply::bulk(out, b"arguments");
    let starts = || (0..lines.len()).filter(|index| depth(lines[*index]) == outermost);
    reply::array_header(out, starts().count());
    for start in starts() {
        let after = lines[start + 1..]
            .iter()
            .position(|line| depth(line) <= outermost);
        let end = after.map_or(lines.len(), |count| start + 1 + count);
        encode_argument(lines[start], &lines[start + 1..end], version, out);
    }
}

/// An argument: its line, and those of its parts.
fn encode_argument(line: &str, parts: &[&str], version: Version, out: &mut Vec<u8>) {
    let mut words = line.trim_start().split(' ').skip(1);
    let (name, kind) = (words.next(), words.next());
    let (pairs, flags): (Vec<&str>, Vec<&str>) = words.partition(|word| word.contains('='));
    let list_count = usize::from(!flags.is_empty()) + usize::from(!parts.is_empty());
    reply::map_header(out, 2 + pairs.len() + list_count, version);
    for (field, text) in [("name", name), ("type", kind)] {
        reply::bulk(out, field.as_bytes());
        reply::bulk(out, text.unwrap_or_default().as_bytes());
    }
    for (field, text) in pairs.iter().filter_map(|pair| pair.split_once('=')) {
        reply::bulk(out, field.as_bytes());
        match (field, text.parse()) {
            ("key_spec_index", Ok(index)) => reply::integer(out, index),
            _ => reply::bulk(out, text.as_bytes()),
        }
    }
    if !flags.is_empty() {
        reply::bulk(out, b"flags");
        encode_flags(&flags, version, out);
    }
    if !parts.is_empty() {
        encode_arguments(parts, version, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::all;
    use super::*;

    #[test]
    fn there_is_something_to_say_of_every_command_and_of_no_other() {
        for spec in all() {
            let lines = paragraph(spec.name);
            for field in ["summary ", "\nsince ", "\ngroup "] {
                assert!(lines.contains(field), "{field:?} of {}", spec.name);
            }
        }
        assert_eq!(TEXTS.matches("\n= ").count(), all().count());
        assert_eq!(paragraph("nosuch"), "");
    }

    #[test]
    fn arguments_are_nested_as_they_are_indented() {
        let mut out = Vec::new();
        let lines = [
            "argument when oneof optional",
            "  argument seconds integer token=EX since=2.6.12",
            "argument key key key_spec_index=0 multiple",
        ];
        encode_arguments(&lines, Version::Resp3, &mut out);
        let text = String::from_utf8(out).unwrap().replace("\r\n", " ");
        assert_eq!(
            text,
            "$9 arguments *2 \
             %4 $4 name $4 when $4 type $5 oneof $5 flags ~1 +optional $9 arguments *1 \
             %4 $4 name $7 seconds $4 type $7 integer $5 token $2 EX $5 since $6 2.6.12 \
             %4 $4 name $3 key $4 type $3 key $14 key_spec_index :0 $5 flags ~1 +multiple "
        );
    }
}
