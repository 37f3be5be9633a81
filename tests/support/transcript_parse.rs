//! The transcript format, read. Only [`script`] is of interest to others.

use super::{Exchange, Pattern, Piece, Protocol, ReplyLine, Script, Side, binary};

/// Parses the text of the file `name`; an error names the line.
pub(super) fn script(name: &str, text: &str) -> Result<Script, String> {
    let protocol = match name.split('_').next() {
        Some("memcache") => Protocol::Memcache,
        Some("binary") => Protocol::Binary,
        Some("resp") => Protocol::Resp,
        _ => {
            return Err(format!(
                "{name}: a name starts with memcache_, binary_ or resp_"
            ));
        }
    };
    let mut script = Script {
        name: name.to_owned(),
        protocol,
        alone: None,
        turns: None,
        exchanges: Vec::new(),
    };
    let mut deviation = None;
    for (index, line) in text.lines().enumerate() {
        read_line(&mut script, &mut deviation, index + 1, line)
            .map_err(|error| format!("{name}, line {}: {error}: {line:?}", index + 1))?;
    }
    check(&script).map_err(|error| format!("{name}, {error}"))?;
    Ok(script)
}

fn read_line(
    script: &mut Script,
    deviation: &mut Option<String>,
    line_number: usize,
    line: &str,
) -> Result<(), String> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(());
    }
    if let Some(directive) = line.strip_prefix("! ") {
        return match directive.split_once(' ') {
            Some(("alone", reason)) => store_once(&mut script.alone, reason),
            Some(("turns", reason)) => store_once(&mut script.turns, reason),
            Some(("deviation", reason)) => store_once(deviation, reason),
            _ => Err("a directive is `alone`, `turns` or `deviation`, and a reason".to_owned()),
        };
    }
    let (mark, content) = match line.split_at_checked(line.find([':', '|', '>']).unwrap_or(0) + 1) {
        Some((mark, content)) => (mark, content.strip_prefix(' ').unwrap_or(content)),
        None => (line, ""),
    };
    match mark {
        "C:" | "C|" | "C>" => {
            let mut pieces = match (mark, script.protocol) {
                ("C>", Protocol::Binary) => binary::request(content)?,
                ("C>", _) => vec![request(content)?],
                _ => pieces_of(content)?,
            };
            if mark == "C:" {
                pieces.push(Piece::Literal(b"\r\n".to_vec()));
            }
            let exchange = open_exchange(script, deviation, line_number);
            exchange.sends.extend(pieces);
            Ok(())
        }
        "S:" | "S(ringfort):" | "S(real):" | "S>" | "S(ringfort)>" | "S(real)>" => {
            let exchange = script
                .exchanges
                .last_mut()
                .ok_or("a server does not speak first")?;
            if exchange.closes {
                return Err("nothing comes after the close".to_owned());
            }
            if content == "<close>" {
                exchange.closes = true;
                return Ok(());
            }
            let only = match mark.get(..mark.len() - 1) {
                Some("S(ringfort)") => Some(Side::Ringfort),
                Some("S(real)") => Some(Side::Real),
                _ => None,
            };
            let (patterns, repeats) = match mark.ends_with('>') {
                true => binary::reply(content)?,
                false => (patterns(content)?, content.ends_with("<lines>")),
            };
            exchange.replies.push(ReplyLine {
                only,
                line_number,
                patterns,
                repeats,
            });
            Ok(())
        }
        _ => Err("a line starts with C: C| C> S: S> S(ringfort): S(real): # or !".to_owned()),
    }
}

fn store_once(place: &mut Option<String>, reason: &str) -> Result<(), String> {
    match place.replace(reason.to_owned()) {
        None => Ok(()),
        Some(_) => Err("said twice".to_owned()),
    }
}

/// The exchange that a `C` line belongs to: a new one after a reply.
fn open_exchange<'s>(
    script: &'s mut Script,
    deviation: &mut Option<String>,
    line_number: usize,
) -> &'s mut Exchange {
    let is_open = script
        .exchanges
        .last()
        .is_some_and(|last| last.replies.is_empty() && !last.closes && deviation.is_none());
    if !is_open {
        let deviation = deviation.take();
        script.exchanges.push(Exchange {
            line_number,
            deviation,
            ..Exchange::default()
        });
    }
    let last = script.exchanges.len() - 1;
    &mut script.exchanges[last]
}

/// What can only be judged with the whole in view.
fn check(script: &Script) -> Result<(), String> {
    for (index, exchange) in script.exchanges.iter().enumerate() {
        let at = |error: &str| Err(format!("line {}: {error}", exchange.line_number));
        if exchange.closes && index + 1 < script.exchanges.len() {
            return at("nothing comes after the close");
        }
        let has = |side| exchange.replies.iter().any(|line| line.only == side);
        let differs = has(Some(Side::Ringfort)) || has(Some(Side::Real));
        match (&exchange.deviation, differs) {
            (None, true) => return at("a difference needs a `! deviation` and its reason"),
            (Some(_), false) => return at("a deviation needs a line that differs"),
            _ => {}
        }
    }
    match script.exchanges.is_empty() {
        true => Err("tells nothing".to_owned()),
        false => Ok(()),
    }
}

/// `C>`: words apart by blanks, in quotes where they hold blanks or nothing.
fn request(content: &str) -> Result<Piece, String> {
    let mut words = Vec::new();
    let mut rest = content.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or("a quote stays open")?,
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        let pieces = pieces_of(word)?;
        if pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Captured(_)))
        {
            return Err("a word of a RESP request cannot quote a reply".to_owned());
        }
        words.push(pieces);
        rest = after.trim_start();
    }
    Ok(Piece::Request(words))
}

pub(super) fn pieces_of(content: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = content;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '~' => {
                pieces.push(Piece::Namespace);
                &rest[1..]
            }
            '\\' => escape(&rest[1..], &mut pieces)?,
            _ => {
                let end = rest.find(['~', '\\']).unwrap_or(rest.len());
                push_literal(&mut pieces, &rest.as_bytes()[..end]);
                &rest[end..]
            }
        };
    }
    Ok(pieces)
}

/// What stands after a backslash; gives back what follows it.
fn escape<'t>(rest: &'t str, pieces: &mut Vec<Piece>) -> Result<&'t str, String> {
    let simple = match rest.as_bytes().first() {
        Some(b'r') => b'\r',
        Some(b'n') => b'\n',
        Some(b't') => b'\t',
        Some(b'\\') => b'\\',
        Some(b'x') => {
            let digits = rest.get(1..3).ok_or("\\x wants two digits")?;
            let byte = u8::from_str_radix(digits, 16).map_err(|_| "\\x wants two hex digits")?;
            push_literal(pieces, &[byte]);
            return Ok(&rest[3..]);
        }
        Some(b'{') => {
            let (inside, after) = rest[1..].split_once('}').ok_or("a brace stays open")?;
            pieces.push(match inside.split_once('*') {
                None => Piece::Captured(inside.to_owned()),
                Some((count, byte)) => {
                    let count = count.parse().map_err(|_| "\\{N*c} wants a number")?;
                    let &[byte] = byte.as_bytes() else {
                        return Err("\\{N*c} repeats one byte".to_owned());
                    };
                    Piece::Run { byte, count }
                }
            });
            return Ok(after);
        }
        _ => return Err("unknown escape".to_owned()),
    };
    push_literal(pieces, &[simple]);
    Ok(&rest[1..])
}

fn push_literal(pieces: &mut Vec<Piece>, bytes: &[u8]) {
    match pieces.last_mut() {
        Some(Piece::Literal(last)) => last.extend_from_slice(bytes),
        _ => pieces.push(Piece::Literal(bytes.to_vec())),
    }
}

/// A reply line with its wildcards, and the CRLF that it ends with.
fn patterns(content: &str) -> Result<Vec<Pattern>, String> {
    let mut patterns = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let Some(inside) = rest.strip_prefix('<') else {
            let end = rest.find('<').unwrap_or(rest.len());
            patterns.extend(pieces_of(&rest[..end])?.into_iter().map(Pattern::Exactly));
            rest = &rest[end..];
            continue;
        };
        let (wildcard, after) = inside.split_once('>').ok_or("a wildcard stays open")?;
        patterns.push(self::wildcard(wildcard)?);
        rest = after;
    }
    patterns.push(Pattern::Exactly(Piece::Literal(b"\r\n".to_vec())));
    Ok(patterns)
}

fn wildcard(inside: &str) -> Result<Pattern, String> {
    if inside == "text" || inside == "lines" {
        return Ok(Pattern::Text);
    }
    let int = inside
        .strip_prefix("int")
        .ok_or("a wildcard is int, int:name, int A..B, text or lines")?;
    let (bounds, name) = match int.split_once(':') {
        Some((bounds, name)) => (bounds, Some(name.to_owned())),
        None => (int, None),
    };
    let (min, max) = match bounds.trim().split_once("..") {
        Some((min, max)) => {
            let number = |text: &str| text.parse().map_err(|_| "bounds are numbers".to_owned());
            (number(min)?, number(max)?)
        }
        None => (i64::MIN, i64::MAX),
    };
    Ok(Pattern::Int { min, max, name })
}
