//! Reads Rust source as text and lists the paths that it names; `rules` judges them.

/// A path as the source names it, made absolute (`crate::store::insert`, `tonic::Status`), and its
/// line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) line: usize,
    pub(crate) path: String,
    /// What the rest of the file calls it: the path's last name, or what stands behind `as`.
    pub(crate) name: String,
    pub(crate) form: Form,
}

/// How a path stands in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Use,
    /// `pub use`, `pub(crate) use`: the module shows it to others.
    PubUse,
    /// In the middle of the code.
    Inline,
}

/// A path as it is read: its names and what stands behind `as`.
struct Named<'s> {
    line: usize,
    path: Vec<&'s str>,
    alias: Option<&'s str>,
}

/// Every path of `source`, in `use` trees and inline, outside comments, strings and the trailing
/// `mod tests`. `module` is the file's own module path below the crate, for `super` and `self`.
pub(crate) fn of(source: &str, module: &[&str]) -> Vec<Import> {
    let tokens = tokens(source);
    let mut imports = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let mut found = Vec::new();
        let mut form = Form::Inline;
        if tokens[at].1 == "use" {
            form = match text(&tokens, at.wrapping_sub(1)) {
                "pub" | ")" => Form::PubUse,
                _ => Form::Use,
            };
            at = tree(&tokens, at + 1, &[], &mut found);
        } else if is_name(tokens[at].1) && text(&tokens, at + 1) == "::" {
            at = tree(&tokens, at, &[], &mut found);
        } else {
            // `.method::<T>()` names nothing from outside.
            at += if tokens[at].1 == "." { 2 } else { 1 };
        }
        for named in found {
            let path = absolute(&named.path, module);
            let last = path.trim_end_matches("::self").rsplit("::").next();
            imports.push(Import {
                line: named.line,
                name: named.alias.or(last).unwrap_or_default().to_owned(),
                path,
                form,
            });
        }
    }
    imports
}

/// Every name of `source` outside comments, strings and the trailing `mod tests`.
pub(crate) fn names(source: &str) -> impl Iterator<Item = String> {
    let tokens = tokens(source).into_iter();
    let names = tokens.filter(|(_, token)| is_name(token));
    names.map(|(_, name)| name.to_owned())
}

/// Follows one path or `use` tree that begins at `at`, and returns the index behind it.
fn tree<'s>(
    tokens: &[(usize, &'s str)],
    mut at: usize,
    prefix: &[&'s str],
    found: &mut Vec<Named<'s>>,
) -> usize {
    let line = tokens.get(at).map_or(0, |token| token.0);
    let mut path = prefix.to_vec();
    loop {
        match text(tokens, at) {
            "::" => at += 1,
            "{" if text(tokens, at.wrapping_sub(1)) == "::" || path.is_empty() => {
                at += 1;
                while !["}", ";", ""].contains(&text(tokens, at)) {
                    at = tree(tokens, at, &path, found);
                    while !["}", ",", ";", ""].contains(&text(tokens, at)) {
                        at += 1; // `as Name`
                    }
                    at += usize::from(text(tokens, at) == ",");
                }
                return at + 1;
            }
            name if is_name(name) || name == "*" => {
                path.push(name);
                at += 1;
                if text(tokens, at) != "::" {
                    let mut alias = None;
                    if text(tokens, at) == "as" {
                        alias = Some(text(tokens, at + 1));
                    }
                    found.push(Named { line, path, alias });
                    return at;
                }
            }
            _ => {
                // `Vec::<T>`: what was read so far.
                found.push(Named {
                    line,
                    path,
                    alias: None,
                });
                return at;
            }
        }
    }
}

fn absolute(path: &[&str], module: &[&str]) -> String {
    let ups = path.iter().take_while(|name| **name == "super").count();
    let own = match path.first() {
        Some(&"self") => module,
        Some(&"super") => &module[..module.len().saturating_sub(ups)],
        _ => return path.join("::"),
    };
    let rest = path.iter().skip(ups.max(1));
    ["crate"]
        .iter()
        .chain(own)
        .chain(rest)
        .copied()
        .collect::<Vec<_>>()
        .join("::")
}

fn text<'s>(tokens: &[(usize, &'s str)], at: usize) -> &'s str {
    tokens.get(at).map_or("", |token| token.1)
}

pub(crate) fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::` and single signs with their lines; comments, strings and the trailing tests are
/// gone.
pub(crate) fn tokens(source: &str) -> Vec<(usize, &str)> {
    let source = &source[..source.find("#[cfg(test)]\nmod ").unwrap_or(source.len())];
    let (mut tokens, mut line, mut rest) = (Vec::new(), 1, source);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => string(rest),
            'r' if rest.starts_with("r#\"") => rest.find("\"#").map_or(rest.len(), |end| end + 2),
            '\'' if rest.starts_with("'\"'") => 3,
            ':' if rest.starts_with("::") => 2,
            _ if is_name(rest) => rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        if token == "::" || is_name(token) || (length == 1 && !token.trim().is_empty()) {
            tokens.push((line, token));
        }
        line += token.matches('\n').count();
        rest = behind;
    }
    tokens
}

/// The length of the string literal that `source` opens with.
fn string(source: &str) -> usize {
    let mut escaped = false;
    for (index, c) in source.char_indices().skip(1) {
        match c {
            '"' if !escaped => return index + 1,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    source.len()
}
