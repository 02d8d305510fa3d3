//! Lays out a tree as TOML text (EXP-047): headers, indents, empty lines, quotes.

use std::fmt::Write as _;

use super::Node;

/// Returns a whole document.
pub(super) fn document(entries: &[(String, Node)]) -> String {
    let mut out = String::new();
    table_body(&mut out, &mut Vec::new(), entries);
    out
}

/// Returns a string in double quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1f}' | '\u{7f}' => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Writes plain values, then everything that has a header. `path` holds the keys of the table.
fn table_body<'n>(out: &mut String, path: &mut Vec<&'n str>, entries: &'n [(String, Node)]) {
    for (key, node) in entries.iter().filter(|(_, node)| !node.has_header()) {
        indent(out, path.len());
        out.push_str(&bare_or_quoted(key));
        out.push_str(" = ");
        inline(out, node);
        out.push('\n');
    }
    for (key, node) in entries {
        path.push(key);
        match node {
            Node::Table(inner) => {
                // Nested plain tables get no empty line.
                if path.len() == 1 {
                    empty_line(out);
                }
                header(out, path, "[", "]");
                table_body(out, path, inner);
            }
            Node::Array(items) if node.is_array_of_tables() => array_of_tables(out, path, items),
            _ => {}
        }
        path.pop();
    }
}

fn array_of_tables<'n>(out: &mut String, path: &mut Vec<&'n str>, items: &'n [Node]) {
    for item in items {
        if let Node::Table(inner) = item {
            empty_line(out);
            header(out, path, "[[", "]]");
            table_body(out, path, inner);
        }
    }
}

fn header(out: &mut String, path: &[&str], open: &str, close: &str) {
    indent(out, path.len() - 1);
    let dotted: Vec<_> = path.iter().map(|key| bare_or_quoted(key)).collect();
    let _infallible = writeln!(out, "{open}{}{close}", dotted.join("."));
}

/// Writes a value in one line, tables in braces.
fn inline(out: &mut String, node: &Node) {
    match node {
        Node::Text(text) => out.push_str(&quoted(text)),
        Node::Plain(text) => out.push_str(text),
        Node::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                separate(out, i);
                inline(out, item);
            }
            out.push(']');
        }
        Node::Table(entries) => {
            out.push('{');
            let (sub, direct): (Vec<_>, Vec<_>) =
                entries.iter().partition(|(_, node)| node.has_header());
            for (i, (key, node)) in direct.into_iter().chain(sub).enumerate() {
                separate(out, i);
                out.push_str(&bare_or_quoted(key));
                out.push_str(" = ");
                inline(out, node);
            }
            out.push('}');
        }
    }
}

fn separate(out: &mut String, position: usize) {
    if position > 0 {
        out.push_str(", ");
    }
}

fn empty_line(out: &mut String) {
    if !out.is_empty() {
        out.push('\n');
    }
}

fn indent(out: &mut String, levels: usize) {
    for _ in 0..levels {
        out.push_str("  ");
    }
}

fn bare_or_quoted(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        quoted(key)
    }
}
