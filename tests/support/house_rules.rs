//! The rules of `tests/tidy.rs`: each takes files and a table, and gives complaints that say what to do instead.

use std::collections::BTreeSet;

use crate::rust_source::{Named, RustSource, has_word};

/// Longer files hold more than one noun.
const FILE_LINES_MAX: usize = 500;

/// Longer functions do not fit a screen.
const FUNCTION_LINES_MAX: usize = 75;

/// Paths of other crates that only some files may name.
pub(crate) struct Fence {
    pub(crate) path: &'static str,
    /// File or folder, and what it may name.
    pub(crate) allowed: &'static [(&'static str, &'static str)],
    pub(crate) instead: &'static str,
}

/// A word that the program's own code does without.
pub(crate) struct Ban {
    pub(crate) word: &'static str,
    /// Files that may.
    pub(crate) allowed: &'static [&'static str],
    pub(crate) instead: &'static str,
}

pub(crate) fn unsafe_complaints(
    source: &RustSource,
    fences: &[&str],
    test_fences: &[&str],
) -> Vec<String> {
    let is_within = |fences: &[&str]| fences.iter().any(|fence| source.path.starts_with(fence));
    let code = if is_within(test_fences) {
        &source.product
    } else {
        &source.code
    };
    if is_within(fences) {
        return Vec::new();
    }
    lines_with(code, "unsafe")
        .map(|line| {
            format!(
                "{}:{line}: `unsafe` outside its fences: use a safe interface of src/store or src/io, or add the \
                 file to UNSAFE_FENCES with a proof that fits its size",
                source.path
            )
        })
        .collect()
}

pub(crate) fn fence_complaints(source: &RustSource, fences: &[Fence]) -> Vec<String> {
    let product = RustSource::new(&source.path, &source.product);
    let mut found = Vec::new();
    for named in product.paths() {
        let path = named.path.replacen("core::", "std::", 1);
        let is_within = |outer: &str| path == outer || path.starts_with(&format!("{outer}::"));
        for fence in fences.iter().filter(|fence| is_within(fence.path)) {
            let is_allowed = fence
                .allowed
                .iter()
                .any(|(place, what)| source.path.starts_with(place) && is_within(what));
            if !is_allowed {
                let Named { line, path } = &named;
                found.push(format!(
                    "{}:{line}: `{path}`: {}",
                    source.path, fence.instead
                ));
            }
        }
    }
    found
}

pub(crate) fn ban_complaints(source: &RustSource, bans: &[Ban]) -> Vec<String> {
    let mut found = Vec::new();
    for ban in bans
        .iter()
        .filter(|ban| !ban.allowed.contains(&source.path.as_str()))
    {
        for line in lines_with(&source.product, ban.word) {
            found.push(format!(
                "{}:{line}: `{}`: {}",
                source.path, ban.word, ban.instead
            ));
        }
    }
    found
}

pub(crate) fn mark_complaints(source: &RustSource, marks: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for mark in marks {
        for line in lines_with(&source.text, mark) {
            found.push(format!(
                "{}:{line}: {mark}: do it, or tell it as a known gap in README.md",
                source.path
            ));
        }
    }
    found
}

pub(crate) fn size_complaints(
    source: &RustSource,
    long_files: &[(&str, usize)],
    long_functions: &[(&str, &str, usize)],
) -> Vec<String> {
    let path = source.path.as_str();
    let mut found = Vec::new();
    let lines = source.text.lines().count();
    let allowed = long_files
        .iter()
        .find(|file| file.0 == path)
        .map_or(FILE_LINES_MAX, |file| file.1);
    if lines > allowed {
        found.push(format!(
            "{path}: {lines} lines, at most {allowed}: move a noun of it into a file of its own"
        ));
    }
    for function in source.functions() {
        let listed = long_functions
            .iter()
            .find(|(file, name, _)| *file == path && *name == function.name);
        let allowed = listed.map_or(FUNCTION_LINES_MAX, |listed| listed.2);
        if function.line_count > allowed {
            found.push(format!(
                "{path}:{}: `{}` has {} lines, at most {allowed}: give a part of it a name",
                function.line, function.name, function.line_count
            ));
        }
    }
    found
}

/// Entries of the lists that are within the limit by now.
pub(crate) fn stale_entries(
    sources: &[RustSource],
    long_files: &[(&str, usize)],
    long_functions: &[(&str, &str, usize)],
) -> Vec<String> {
    let is_long = |source: &RustSource| source.text.lines().count() > FILE_LINES_MAX;
    let has_long = |source: &RustSource, name: &str| {
        let functions = source.functions();
        let mut same = functions.iter().filter(|function| function.name == name);
        same.any(|function| function.line_count > FUNCTION_LINES_MAX)
    };
    let files = long_files
        .iter()
        .filter(|(path, _)| {
            !sources
                .iter()
                .any(|source| source.path == *path && is_long(source))
        })
        .map(|(path, _)| format!("LONG_FILES: {path} is within the limit: take it off the list"));
    let functions = long_functions
        .iter()
        .filter(|(path, name, _)| {
            !sources
                .iter()
                .any(|source| source.path == *path && has_long(source, name))
        })
        .map(|(path, name, _)| {
            format!("LONG_FUNCTIONS: {path} `{name}` is within the limit: take it off the list")
        });
    files.chain(functions).collect()
}

pub(crate) fn machine_complaints(path: &str, text: &str, folders: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for folder in folders {
        for line in lines_with(text, folder) {
            found.push(format!(
                "{path}:{line}: {folder} exists on one machine: name it from the repository's root, or by $HOME"
            ));
        }
    }
    found
}

/// The flags in the first column of a document's tables.
pub(crate) fn flags_of_table(document: &str) -> BTreeSet<String> {
    document
        .lines()
        .filter_map(|line| line.strip_prefix("| `--"))
        .filter_map(|row| row.split(['`', ' ']).next())
        .map(|flag| format!("--{flag}"))
        .collect()
}

/// The flags that the command line declares: fields under `#[arg(long`, or what stands there in their stead.
pub(crate) fn declared_flags(cli: &str) -> BTreeSet<String> {
    let lines: Vec<_> = cli.lines().map(str::trim).collect();
    let mut flags = BTreeSet::new();
    for (at, line) in lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.starts_with("#[arg(long"))
    {
        if let Some(named) = line.strip_prefix("#[arg(long = \"") {
            flags.extend(named.split('"').next().map(|name| format!("--{name}")));
            continue;
        }
        let field = lines[at..].iter().find(|line| !line.starts_with('#'));
        if let Some((name, _)) = field.and_then(|field| field.split_once(':')) {
            flags.insert(format!("--{}", name.replace('_', "-")));
        }
    }
    flags
}

fn lines_with<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    (1..)
        .zip(text.lines())
        .filter_map(move |(line, text)| has_word(text, word).then_some(line))
}

/// Insists on one complaint, about this line and in these words.
#[cfg(test)]
pub(crate) fn assert_one(complaints: &[String], line: &str, words: &str) {
    let [complaint] = complaints else {
        panic!("one complaint: {complaints:?}");
    };
    assert!(
        complaint.starts_with(line) && complaint.contains(words),
        "{complaint}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rust(path: &str, text: &str) -> RustSource {
        RustSource::new(path, text)
    }

    #[test]
    fn unsafe_is_found_outside_its_fences_and_in_their_products() {
        let text = "#![allow(unsafe_code)] // unsafe\nfn f() { unsafe {} }\n#[cfg(test)]\nmod t { unsafe {} }";
        let find = |path, tests: &[&str]| unsafe_complaints(&rust(path, text), &["src/io/"], tests);
        assert_eq!(find("src/io/uring.rs", &[]), [""; 0]);
        assert_eq!(find("src/io.rs", &[]).len(), 2);
        assert_one(&find("src/a.rs", &["src/a.rs"]), "src/a.rs:2", "fences");
    }

    #[test]
    fn crates_are_found_outside_their_fences() {
        let fences = &[Fence {
            path: "std::net",
            allowed: &[
                ("src/io/", "std::net"),
                ("src/a.rs", "std::net::SocketAddr"),
            ],
            instead: "do otherwise",
        }];
        let find = |path, text| fence_complaints(&rust(path, text), fences);
        assert_one(
            &find("src/a.rs", "use std::{\nio, net::TcpStream};"),
            "src/a.rs:2",
            "otherwise",
        );
        assert_one(
            &find("src/a.rs", "use core::net;"),
            "src/a.rs:1",
            "core::net",
        );
        assert_eq!(
            find("src/a.rs", "use std::{network, net::SocketAddr};"),
            [""; 0]
        );
        assert_eq!(find("src/io/b.rs", "use std::net::TcpStream;"), [""; 0]);
        assert_eq!(
            find("src/b.rs", "#[cfg(test)]\nuse std::net::TcpStream;"),
            [""; 0]
        );
    }

    #[test]
    fn banned_words_are_found_in_the_product_only() {
        let bans = &[Ban {
            word: ".unwrap()",
            allowed: &["src/b.rs"],
            instead: "do otherwise",
        }];
        let text = "fn f() { a\n.unwrap(); b.unwrap_or(1) } // .unwrap()\n#[cfg(test)]\nmod t { a.unwrap() }";
        assert_one(
            &ban_complaints(&rust("src/a.rs", text), bans),
            "src/a.rs:2",
            "otherwise",
        );
        assert_eq!(ban_complaints(&rust("src/b.rs", text), bans), [""; 0]);
    }

    #[test]
    fn marks_and_machines_are_found_in_comments_too() {
        let marked = rust("src/a.rs", "// x\n// LATER: y");
        assert_one(&mark_complaints(&marked, &["LATER"]), "src/a.rs:2", "LATER");
        let found = machine_complaints("a.md", "see\n/mine/notes", &["/mine/"]);
        assert_one(&found, "a.md:2", "/mine/");
    }

    #[test]
    fn long_things_may_shrink_and_must_leave_the_list() {
        let long = |lines| {
            rust(
                "src/a.rs",
                &format!("fn f() {{{}}}", "\n".repeat(lines - 1)),
            )
        };
        let over = FUNCTION_LINES_MAX + 1;
        assert_eq!(
            size_complaints(&long(FUNCTION_LINES_MAX), &[], &[]),
            [""; 0]
        );
        assert_one(
            &size_complaints(&long(over), &[], &[]),
            "src/a.rs:1",
            "`f` has 76 lines",
        );
        let listed = &[("src/a.rs", "f", over)];
        assert_eq!(size_complaints(&long(over), &[], listed), [""; 0]);
        assert_one(
            &size_complaints(&long(over + 1), &[], listed),
            "src/a.rs:1",
            "at most 76",
        );
        assert_eq!(stale_entries(&[long(over)], &[], listed), [""; 0]);
        assert_one(
            &stale_entries(&[long(3)], &[], listed),
            "LONG_FUNCTIONS",
            "take it off",
        );

        let file = |lines| rust("src/a.rs", &"\n".repeat(lines));
        let listed = &[("src/a.rs", FILE_LINES_MAX + 9)];
        assert_one(
            &size_complaints(&file(FILE_LINES_MAX + 1), &[], &[]),
            "src/a.rs: 501",
            "at most 500",
        );
        assert_one(
            &size_complaints(&file(FILE_LINES_MAX + 10), listed, &[]),
            "src/a.rs: 510",
            "at most 509",
        );
        assert_one(
            &stale_entries(&[file(FILE_LINES_MAX)], listed, &[]),
            "LONG_FILES",
            "take it off",
        );
    }

    #[test]
    fn flags_are_read_from_both_sides() {
        let document = "| `--one N` | x |\n| --two | y |\n`--three`\n| `--four` | z |";
        assert_eq!(
            flags_of_table(document).into_iter().collect::<Vec<_>>(),
            ["--four", "--one"]
        );
        let cli = "#[arg(long, value_name = \"N\")]\n#[arg(help_heading = \"H\")]\none_two: Option<usize>,\nplain: u8,";
        assert_eq!(
            declared_flags(cli).into_iter().collect::<Vec<_>>(),
            ["--one-two"]
        );
    }
}
