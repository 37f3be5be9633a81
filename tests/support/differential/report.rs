//! A disagreement as a person reads it, and can paste it into `tests/transcripts`.

use super::compare::{End, Outcome};
use super::driver::Delivery;
use super::minimize::Minimal;
use super::replies::line_end;
use super::{Command, Piece, Protocol};

/// The sequence with what was said to it, in the format of the transcripts.
pub(crate) fn transcript(protocol: Protocol, minimal: &Minimal) -> String {
    let mut text = match minimal.delivery {
        Delivery::Plain => String::new(),
        Delivery::Rough => "# Only when it is pipelined and cut.\n".to_owned(),
    };
    text.push_str("! alone FILL IN\n");
    let heard = &minimal.disagreement.heard;
    let last = heard.len() - 1;
    let mut connection = 0;
    // What shows only once cannot be made shorter, but the end tells most.
    const SHOWN_BATCH_COUNT_MAX: usize = 12;
    let skipped = heard.len().saturating_sub(SHOWN_BATCH_COUNT_MAX);
    if skipped > 0 {
        text.push_str(&format!("# After {skipped} batches that are not shown.\n"));
    }
    let told = minimal.sequence.batches.iter().zip(heard).enumerate();
    for (index, (batch, (real, ringfort))) in told.skip(skipped) {
        text.push('\n');
        if batch.connection != connection {
            connection = batch.connection;
            text.push_str(&format!("# On connection {connection}.\n"));
        }
        if index == last {
            text.push_str("! deviation FILL IN\n");
        }
        batch
            .commands
            .iter()
            .for_each(|command| show_command(protocol, command, &mut text));
        if index < last {
            show_outcome("S", protocol, real, &mut text);
        } else {
            show_outcome("S(real)", protocol, real, &mut text);
            show_outcome("S(ringfort)", protocol, ringfort, &mut text);
        }
    }
    text
}

/// What was said to the last batch, byte by byte.
pub(crate) fn replies(minimal: &Minimal) -> String {
    let Some((real, ringfort)) = minimal.disagreement.heard.last() else {
        return String::new();
    };
    let show = |outcome: &Outcome| {
        let bytes = outcome.replies.concat();
        let end = match outcome.end {
            End::InStep => "",
            End::Closed => ", then closes",
            End::Silent => ", and then nothing, though more is due",
        };
        format!("\"{}\"{end}", crate::support::wire::show(&bytes))
    };
    format!("real     {}\nringfort {}\n", show(real), show(ringfort))
}

fn show_command(protocol: Protocol, command: &Command, text: &mut String) {
    if !command.words.is_empty() {
        let words: Vec<_> = command.words.iter().map(|word| show_word(word)).collect();
        text.push_str(&format!("C> {}\n", words.join(" ")));
        return;
    }
    let mut line = String::new();
    for piece in &command.pieces {
        match piece {
            Piece::Cas { .. } => line.push_str("\\{cas}"),
            Piece::Bytes(bytes) if protocol == Protocol::Binary => escape(bytes, &mut line),
            Piece::Bytes(bytes) => {
                let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
                while let Some(part) = lines.next() {
                    match (part.strip_suffix(b"\r"), lines.peek()) {
                        (Some(part), Some(_)) => {
                            escape(part, &mut line);
                            text.push_str(&format!("C: {line}\n"));
                            line.clear();
                        }
                        (_, Some(_)) => {
                            escape(part, &mut line);
                            line.push_str("\\n");
                        }
                        (_, None) => escape(part, &mut line),
                    }
                }
            }
        }
    }
    if !line.is_empty() {
        text.push_str(&format!("C| {line}\n"));
    }
}

fn show_word(word: &[u8]) -> String {
    let mut text = String::new();
    escape(word, &mut text);
    let text = text.replace('"', "\\x22");
    if text.is_empty() || text.contains(' ') {
        return format!("\"{text}\"");
    }
    text
}

fn show_outcome(mark: &str, protocol: Protocol, outcome: &Outcome, text: &mut String) {
    // Statistics come by the hundred.
    const SHOWN_LINE_COUNT_MAX: usize = 25;
    let mut lines = Vec::new();
    for reply in &outcome.replies {
        let mut rest = &reply[..];
        while let Some(end) = line_end(rest).filter(|_| protocol != Protocol::Binary) {
            let mut line = String::new();
            escape(&rest[..end], &mut line);
            lines.push(format!("{mark}: {}", line.replace('<', "\\x3c")));
            rest = &rest[end + 2..];
        }
        if !rest.is_empty() {
            let mut line = String::new();
            escape(rest, &mut line);
            lines.push(format!("# {mark}: {line}"));
        }
    }
    let hidden = lines.len().saturating_sub(SHOWN_LINE_COUNT_MAX);
    lines.truncate(SHOWN_LINE_COUNT_MAX);
    if hidden > 0 {
        lines.push(format!("# And {hidden} lines more."));
    }
    match outcome.end {
        End::InStep => {}
        End::Closed => lines.push(format!("# {mark}: <close>")),
        End::Silent => lines.push(format!("# {mark}: nothing more")),
    }
    text.extend(lines.iter().flat_map(|line| [line, "\n"]));
}

/// As the transcripts write bytes; long runs of one byte by their length.
fn escape(bytes: &[u8], text: &mut String) {
    const RUN_BYTES_MIN: usize = 20;
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        let run = rest.iter().take_while(|byte| **byte == first).count();
        if run >= RUN_BYTES_MIN && first.is_ascii_alphanumeric() {
            text.push_str(&format!("\\{{{run}*{}}}", char::from(first)));
            rest = &rest[run..];
            continue;
        }
        match first {
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'}' => text.push(char::from(first)),
            _ => text.push_str(&format!("\\x{first:02x}")),
        }
        rest = &rest[1..];
    }
}
