//! Rust source as `tests/tidy.rs` looks at it: without comments, literals and test code, as paths and functions.
//!
//! It is a reader of well-formed, rustfmt-formatted files, not a parser: what it does not understand it passes
//! over, so a rule can miss what is written to evade it, but does not accuse wrongly.

/// A file of Rust.
#[derive(Debug)]
pub(crate) struct RustSource {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    /// As it stands.
    pub(crate) text: String,
    /// Comments and literals are blanks; lines and columns are kept.
    pub(crate) code: String,
    /// So are the items that only tests are built with.
    pub(crate) product: String,
}

/// A path that a file names, groups of `use` taken apart: `use a::{b, c::*}` names `a::b` and `a::c::*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) path: String,
}

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) line_count: usize,
}

impl RustSource {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = without_literals(text);
        let product = without_test_items(&code);
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            product,
        }
    }

    /// The modules from the crate's root down to this file: `src/a/b.rs` is `a`, `b`.
    pub(crate) fn module(&self) -> Vec<&str> {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let path = path.strip_suffix(".rs").unwrap_or(path);
        path.strip_suffix("/mod")
            .unwrap_or(path)
            .split('/')
            .collect()
    }

    /// The names of files' modules that are only built with tests, as `mod tests;` declares them.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        let declared = |code: &str| -> Vec<String> {
            tokens(code)
                .windows(3)
                .filter_map(|window| match window {
                    [(_, "mod"), (_, name), (_, ";")] => Some((*name).to_owned()),
                    _ => None,
                })
                .collect()
        };
        let shipped = declared(&self.product);
        let mut modules = declared(&self.code);
        modules.retain(|name| !shipped.contains(name));
        modules
    }

    pub(crate) fn paths(&self) -> Vec<Named> {
        paths(&self.code)
    }

    pub(crate) fn functions(&self) -> Vec<Function> {
        functions(&self.code)
    }
}

/// Whether `word` stands in `text`, and not as a part of a longer word.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let starts_as_word = word.bytes().next().is_some_and(is_word_byte);
    let ends_as_word = word.bytes().next_back().is_some_and(is_word_byte);
    let bytes = text.as_bytes();
    text.match_indices(word).any(|(at, _)| {
        let goes_on_before = starts_as_word && at > 0 && is_word_byte(bytes[at - 1]);
        let after = bytes.get(at + word.len());
        let goes_on_after = ends_as_word && after.is_some_and(|byte| is_word_byte(*byte));
        !goes_on_before && !goes_on_after
    })
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn without_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let word_bytes = bytes[at..]
            .iter()
            .take_while(|byte| is_word_byte(**byte))
            .count();
        let word = &bytes[at..at + word_bytes];
        let start = at + word_bytes;
        let end = match literal_end(bytes, start, matches!(word, b"r" | b"br" | b"cr")) {
            Some(end) => end,
            None => {
                at = start.max(at + 1);
                continue;
            }
        };
        blank(&mut code[start..end]);
        at = end;
    }
    String::from_utf8(code).expect("whole characters are blanked")
}

/// Where the comment or literal that starts at `at` ends, if one does.
fn literal_end(bytes: &[u8], at: usize, is_raw: bool) -> Option<usize> {
    let rest = &bytes[at..];
    let length = match rest {
        [b'/', b'/', ..] => position(rest, b"\n").unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment_bytes(rest),
        [b'"' | b'#', ..] if is_raw => {
            let hashes = rest.iter().take_while(|byte| **byte == b'#').count();
            if rest.get(hashes) != Some(&b'"') {
                return None;
            }
            let close: Vec<u8> = [&b"\""[..], &rest[..hashes]].concat();
            let body = hashes + 1;
            position(&rest[body..], &close).map_or(rest.len(), |found| body + found + close.len())
        }
        [b'"', ..] => quoted_bytes(rest, b'"'),
        [b'\'', b'\\', ..] => quoted_bytes(rest, b'\''),
        [b'\'', first, ..] => {
            let character = 1
                + usize::from(*first >= 0xC0)
                + usize::from(*first >= 0xE0)
                + usize::from(*first >= 0xF0);
            // No closing quote behind one character: a lifetime.
            (rest.get(1 + character) == Some(&b'\'')).then_some(character + 2)?
        }
        _ => return None,
    };
    Some(at + length)
}

fn block_comment_bytes(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted_bytes(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += 1 + usize::from(rest[at] == b'\\');
    }
    (at + 1).min(rest.len())
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

fn without_test_items(code: &str) -> String {
    const CFG: &str = "#[cfg(";
    let mut product = code.as_bytes().to_vec();
    for (start, _) in code.match_indices(CFG) {
        let Some(length) = code[start..].find(']') else {
            continue;
        };
        let attribute = &code[start..start + length];
        if has_word(attribute, "test") && !attribute.contains("not(test") {
            let end = start + length + item_bytes(&code[start + length..]);
            blank(&mut product[start..end]);
        }
    }
    String::from_utf8(product).expect("whole characters are blanked")
}

/// Bytes up to the end of the first item: a `;`, or the brace that closes what it opened.
fn item_bytes(code: &str) -> usize {
    let (mut round, mut curly) = (0_i32, 0_i32);
    for (at, byte) in code.bytes().enumerate().skip(1) {
        match byte {
            b'(' | b'[' => round += 1,
            b')' | b']' => round -= 1,
            b'{' => curly += 1,
            b'}' => curly -= 1,
            _ => {}
        }
        let is_over = (byte == b'}' && curly == 0) || (byte == b';' && round == 0 && curly == 0);
        if is_over {
            return at + 1;
        }
    }
    code.len()
}

/// Words, `::`, and every other byte that is not a blank, each with its line.
fn tokens(code: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    for (line, text) in (1..).zip(code.lines()) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let length = match &bytes[at..] {
                [b':', b':', ..] => 2,
                rest => rest
                    .iter()
                    .take_while(|byte| is_word_byte(**byte))
                    .count()
                    .max(1),
            };
            if !bytes[at].is_ascii_whitespace() {
                tokens.push((line, &text[at..at + length]));
            }
            at += length;
        }
    }
    tokens
}

fn paths(code: &str) -> Vec<Named> {
    let tokens = tokens(code);
    let text = |at: usize| tokens.get(at).map_or("", |token| token.1);
    let mut named = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if text(at) == "use" {
            at = use_tree(&tokens, at + 1, "", &mut named);
            continue;
        }
        let (line, mut path) = (tokens[at].0, text(at).to_owned());
        let start = at;
        while is_word(text(at)) && text(at + 1) == "::" && is_word(text(at + 2)) {
            path = path + "::" + text(at + 2);
            at += 2;
        }
        if at > start {
            named.push(Named { line, path });
        }
        at += 1;
    }
    named
}

/// Takes the tree of a `use` apart; returns where it ends.
fn use_tree(
    tokens: &[(usize, &str)],
    mut at: usize,
    prefix: &str,
    named: &mut Vec<Named>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.1);
    if text(at) == "{" {
        at += 1;
        while !matches!(text(at), "}" | ";" | "") {
            at = use_tree(tokens, at, prefix, named);
        }
        return at + 1;
    }
    if is_word(text(at)) && text(at + 1) == "::" {
        return use_tree(tokens, at + 2, &format!("{prefix}{}::", text(at)), named);
    }
    if is_word(text(at)) || text(at) == "*" {
        let path = match text(at) {
            "self" => prefix.trim_end_matches(':').to_owned(),
            word => format!("{prefix}{word}"),
        };
        named.push(Named {
            line: tokens[at].0,
            path,
        });
        if text(at + 1) == "as" {
            at += 2;
        }
    }
    at + 1
}

fn is_word(token: &str) -> bool {
    token.bytes().next().is_some_and(is_word_byte)
}

fn functions(code: &str) -> Vec<Function> {
    let tokens = tokens(code);
    let mut functions = Vec::new();
    for (at, window) in tokens.windows(2).enumerate() {
        let [(line, "fn"), (_, name)] = *window else {
            continue;
        };
        if !is_word(name) {
            continue;
        }
        if let Some(last_line) = body_end(&tokens[at..]) {
            functions.push(Function {
                name: name.to_owned(),
                line,
                line_count: last_line - line + 1,
            });
        }
    }
    functions
}

/// The line on which a function's body ends; `None` for a mere signature.
fn body_end(tokens: &[(usize, &str)]) -> Option<usize> {
    let (mut round, mut curly) = (0, 0);
    for (line, token) in tokens {
        match *token {
            "(" | "[" => round += 1,
            ")" | "]" => round -= 1,
            "{" => curly += 1,
            "}" => curly -= 1,
            _ => {}
        }
        if *token == "}" && curly == 0 {
            return Some(*line);
        }
        if *token == ";" && round == 0 && curly == 0 {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<String> {
        let paths = RustSource::new("src/a.rs", text).paths();
        paths.into_iter().map(|named| named.path).collect()
    }

    #[test]
    fn comments_and_literals_are_blanks() {
        let hostile = [
            "// unsafe\n",
            "/* unsafe /* unsafe */ unsafe */",
            r#""unsafe \" unsafe""#,
            r##"r#"unsafe " unsafe"#"##,
            r#"br"unsafe\""#,
            r"b'\'' ",
            "'\u{e4}'",
        ];
        for literal in hostile {
            let text = format!("let before = {literal}\n; after");
            let source = RustSource::new("a.rs", &text);
            assert!(
                !source.code.contains("unsafe"),
                "{literal}: {}",
                source.code
            );
            assert!(
                source.code.contains("; after"),
                "{literal}: {}",
                source.code
            );
            assert_eq!(source.code.len(), text.len(), "{literal}");
            assert_eq!(
                source.code.lines().count(),
                text.lines().count(),
                "{literal}"
            );
        }
        let lifetimes = "fn f<'a>(x: &'a str, r#type: r#try) -> &'a str { unsafe }";
        assert_eq!(RustSource::new("a.rs", lifetimes).code, lifetimes);
    }

    #[test]
    fn test_items_are_not_shipped() {
        let text = "#[cfg(test)]\nmod tests;\n#[cfg(all(test, x))]\n#[path = \"t.rs\"]\nmod more { fn f() { g() } }\n\
                    #[cfg(not(test))]\nmod shipped;\n#[cfg(test)]\nuse a::{b, c};\nfn stays() {}";
        let source = RustSource::new("src/a.rs", text);
        for gone in ["tests", "more", "use"] {
            assert!(
                !has_word(&source.product, gone),
                "{gone}: {}",
                source.product
            );
        }
        for kept in ["shipped", "stays"] {
            assert!(
                has_word(&source.product, kept),
                "{kept}: {}",
                source.product
            );
        }
        assert_eq!(source.test_modules(), ["tests"]);
    }

    #[test]
    fn uses_are_taken_apart() {
        let text = "use crate::{a, b::{self, C as D}, e::*};\npub(crate) use std::{io, net::SocketAddr};\n\
                    fn f() -> crate::g::H { x::<crate::i::J>(); super::super::k::l() }";
        assert_eq!(
            named(text),
            [
                "crate::a",
                "crate::b",
                "crate::b::C",
                "crate::e::*",
                "std::io",
                "std::net::SocketAddr",
                "crate::g::H",
                "crate::i::J",
                "super::super::k::l",
            ]
        );
    }

    #[test]
    fn functions_are_counted_from_fn_to_brace() {
        let text = "trait T { fn signature(&self, a: [u8; 2]); }\nfn one() {}\n\nfn four(\n    a: fn(u8),\n) where {\n}\n";
        let functions = RustSource::new("a.rs", text).functions();
        let sizes: Vec<_> = functions
            .iter()
            .map(|function| (function.name.as_str(), function.line, function.line_count))
            .collect();
        assert_eq!(sizes, [("one", 2, 1), ("four", 4, 4)]);
    }

    #[test]
    fn a_file_knows_its_module() {
        for (path, module) in [
            ("src/a.rs", &["a"][..]),
            ("src/a/mod.rs", &["a"]),
            ("src/a/b/c.rs", &["a", "b", "c"]),
        ] {
            assert_eq!(RustSource::new(path, "").module(), module);
        }
    }

    #[test]
    fn words_have_edges() {
        assert!(has_word("(unsafe)", "unsafe"));
        assert!(has_word("x.unwrap()", ".unwrap()"));
        assert!(has_word("/folder/file", "/folder/"));
        assert!(!has_word("unsafe_code", "unsafe"));
        assert!(!has_word("eprintln!()", "println"));
    }
}
