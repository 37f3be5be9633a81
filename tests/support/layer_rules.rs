//! The order of the layers, for `tests/tidy.rs`: who uses whom, held against a table.

use std::collections::BTreeSet;

use crate::rust_source::RustSource;

/// A top-level module, and those that it may use.
pub(crate) type Layer = (&'static str, &'static [&'static str]);

/// An edge that points up and is put up with: who uses whom, and what would mend it.
pub(crate) type Upward = (&'static str, &'static str, &'static str);

/// Complaints about edges that the table does not have, and about a table that does not fit the source.
pub(crate) fn layer_complaints(
    layers: &[Layer],
    upward: &[Upward],
    sources: &[RustSource],
) -> Vec<String> {
    let mut found = Vec::new();
    let mut used = BTreeSet::new();
    for (row, (module, uses)) in layers.iter().enumerate() {
        let below: Vec<_> = layers[..row].iter().map(|layer| layer.0).collect();
        for unknown in uses.iter().filter(|used| !below.contains(used)) {
            found.push(format!(
                "LAYERS: {module} uses {unknown}, which does not stand above its row"
            ));
        }
    }
    for source in sources {
        let Some(user) = top_module(source) else {
            continue;
        };
        let Some((_, allowed)) = layers.iter().find(|layer| layer.0 == user) else {
            found.push(format!(
                "{}: LAYERS has no row for `{user}`; give it its floor",
                source.path
            ));
            continue;
        };
        for (line, target) in edges(source, layers) {
            if target == user {
                continue;
            }
            let is_known = upward.iter().any(|edge| edge.0 == user && edge.1 == target);
            if !allowed.contains(&target.as_str()) && !is_known {
                found.push(format!(
                    "{}:{line}: `{user}` may not use `{target}`: dependencies point down, as LAYERS has them; pass \
                     in what is needed, or move it to the floor that both stand on",
                    source.path
                ));
            }
            used.insert((user.clone(), target));
        }
    }
    let is_used = |user: &str, target: &str| used.contains(&(user.to_owned(), target.to_owned()));
    for (module, uses) in layers {
        for unused in uses.iter().filter(|target| !is_used(module, target)) {
            found.push(format!(
                "LAYERS: {module} does not use {unused} any more: take it out of the row"
            ));
        }
    }
    for (user, target, _) in upward.iter().filter(|edge| !is_used(edge.0, edge.1)) {
        found.push(format!(
            "UPWARD: {user} does not use {target} any more: take it off the list"
        ));
    }
    found
}

/// The top-level module that a file belongs to; `lib.rs` only lists them.
fn top_module(source: &RustSource) -> Option<String> {
    let module = source.module()[0];
    (module != "lib").then(|| module.to_owned())
}

/// The top-level modules that a file names.
fn edges(source: &RustSource, layers: &[Layer]) -> Vec<(usize, String)> {
    let depth = source.module().len();
    let mut edges = Vec::new();
    for named in source.paths() {
        let segments: Vec<_> = named.path.split("::").collect();
        let supers = segments
            .iter()
            .take_while(|segment| **segment == "super")
            .count();
        let target = match segments[0] {
            "crate" | "ringfort" => segments.get(1),
            // As many steps up as the file is deep: the crate's root, unless it is from within a `mod tests`.
            "super" if supers == depth => segments
                .get(supers)
                .filter(|target| layers.iter().any(|layer| layer.0 == **target)),
            _ => None,
        };
        if let Some(target) = target {
            edges.push((named.line, (*target).to_owned()));
        }
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house_rules::assert_one;

    const LAYERS: &[Layer] = &[("low", &[]), ("high", &["low"])];

    fn rust(path: &str, text: &str) -> RustSource {
        RustSource::new(path, text)
    }

    #[test]
    fn an_edge_that_points_up_is_found_however_it_is_written() {
        let good = rust("src/high.rs", "use crate::low::A;");
        let ways = [
            ("src/low/a.rs", "use crate::high::B;"),
            ("src/low/a.rs", "use crate::{low::A, high};"),
            ("src/low/a.rs", "fn f() { crate::high::g() }"),
            ("src/low/a.rs", "use super::super::high::B;"),
            ("src/low/mod.rs", "use super::high;"),
        ];
        for (path, text) in ways {
            let sources = [rust("src/high.rs", &good.text), rust(path, text)];
            assert_one(
                &layer_complaints(LAYERS, &[], &sources),
                &format!("{path}:1"),
                "`high`",
            );
        }
        assert_eq!(layer_complaints(LAYERS, &[], &[good]), [""; 0]);
    }

    #[test]
    fn a_table_of_layers_that_lies_is_found() {
        let uses = [rust("src/high.rs", "use crate::low::A;")];
        let cycle: &[Layer] = &[("low", &["high"]), ("high", &["low"])];
        assert!(layer_complaints(cycle, &[], &uses)[0].contains("does not stand above"));
        assert_one(
            &layer_complaints(LAYERS, &[], &[rust("src/high.rs", "")]),
            "LAYERS",
            "any more",
        );
        let stranger = [
            rust("src/high.rs", "use crate::low;"),
            rust("src/new.rs", ""),
        ];
        assert_one(
            &layer_complaints(LAYERS, &[], &stranger),
            "src/new.rs",
            "no row",
        );
    }

    #[test]
    fn an_edge_that_is_put_up_with_must_be_there() {
        let upward: &[Upward] = &[("low", "high", "for a while")];
        let high = || rust("src/high.rs", "use crate::low::A;");
        let there = [high(), rust("src/low.rs", "use crate::high::B;")];
        assert_eq!(layer_complaints(LAYERS, upward, &there), [""; 0]);
        let gone = layer_complaints(LAYERS, upward, &[high()]);
        assert_one(&gone, "UPWARD: low", "any more");
    }
}
