//! Finds circles of imports between the modules of one crate; `main` runs it over the workspace.
//!
//! A module imports another one when its file names something that lives there, by `use` or by
//! path. Two things are no import: `mod child;`, and a `pub use` of what lives in a child, by which
//! a module is the lobby of its rooms. Whoever takes something in the lobby imports the room where
//! it lives.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::imports::{self, Form, Import};

/// Which circles count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Those between rooms of one floor: what `local::child` imports of `target` is imported by
    /// `local`, and what it imports of `local::system`, by itself. A parent and its children are
    /// one house.
    Rooms,
    /// Those between files, parents too: a child may name what its parent's file holds only if that
    /// file does not use the child, else one cannot be read without the other.
    Files,
}

/// A crate's modules by path: `local::child`; the crate's root is the empty one.
type Modules<'s> = BTreeMap<String, Module<'s>>;

struct Module<'s> {
    file: &'s str,
    imports: Vec<Import>,
}

/// Who imports whom, and where.
type Imported = BTreeMap<String, BTreeMap<String, String>>;

/// The circles in one crate, whose `files` are given as path from the workspace's root and source.
pub(crate) fn complaints(files: &[(&str, &str)], rule: Rule) -> Vec<String> {
    let imported = imported(&modules(files), rule);
    let mut seen = BTreeSet::new();
    let mut complaints = Vec::new();
    for module in imported.keys() {
        let Some(circle) = shortest_circle(module, &imported) else {
            continue;
        };
        // The same circle is met from each of its modules.
        if seen.insert(BTreeSet::from_iter(circle.clone())) {
            complaints.push(told(&circle, &imported));
        }
    }
    complaints
}

fn imported(modules: &Modules<'_>, rule: Rule) -> Imported {
    let mut imported = Imported::new();
    for (name, module) in modules {
        for import in &module.imports {
            let Some(other) = home(modules, name, &import.path) else {
                continue;
            };
            let is_lobby = import.form == Form::PubUse && is_below(other, name);
            if other == name || is_lobby {
                continue;
            }
            let (from, to) = match rule {
                Rule::Files => (name.clone(), other.to_owned()),
                Rule::Rooms if is_below(other, name) || is_below(name, other) => continue,
                Rule::Rooms => rooms(name, other),
            };
            let place = format!("{}:{}: names `{}`", module.file, import.line, spoken(other));
            imported.entry(from).or_default().entry(to).or_insert(place);
        }
    }
    imported
}

/// The outermost modules around both that are not the same.
fn rooms(from: &str, to: &str) -> (String, String) {
    let from: Vec<&str> = from.split("::").collect();
    let to: Vec<&str> = to.split("::").collect();
    let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    (from[..=same].join("::"), to[..=same].join("::"))
}

fn modules<'s>(files: &[(&'s str, &str)]) -> Modules<'s> {
    let mut modules = Modules::new();
    for (file, source) in files {
        let Some((_, inside)) = file.split_once("/src/") else {
            continue;
        };
        // The binary is a crate of its own, which only calls the library.
        if inside == "main.rs" {
            continue;
        }
        let names = inside.trim_end_matches(".rs").split('/');
        let path: Vec<&str> = names
            .filter(|name| !["lib", "mod"].contains(name))
            .collect();
        let imports = imports::of(source, &path);
        modules.insert(path.join("::"), Module { file, imports });
    }
    modules
}

/// The module in which lives what `module` calls `path`; `None` if that is another crate's.
fn home<'m>(modules: &'m Modules<'_>, module: &str, path: &str) -> Option<&'m str> {
    let mut names = VecDeque::from_iter(path.split("::"));
    names.retain(|name| !["self", "*"].contains(name));
    let mut at = module.to_owned();
    if names.front() == Some(&"crate") {
        names.pop_front();
        at.clear();
    } else if !is_known(modules, module, names.front()?) {
        return None;
    }
    // Each step follows one name: into a child, or to where a `use` says that it lives. Uses cannot
    // lead in a circle, but what is read here need not compile.
    for _ in 0..32 {
        let Some(name) = names.pop_front() else {
            break;
        };
        let child = joined(&at, name);
        if modules.contains_key(&child) {
            at = child;
            continue;
        }
        let Some(import) = brought_in(modules, &at, name) else {
            break; // an item of `at`
        };
        let mut brought = VecDeque::from_iter(import.path.split("::"));
        brought.retain(|name| *name != "self");
        if brought.front() == Some(&"crate") {
            brought.pop_front();
            at.clear();
        } else if !is_known(modules, &at, brought.front()?) || brought.front() == Some(&name) {
            return None;
        }
        brought.append(&mut names);
        names = brought;
    }
    let (home, _) = modules.get_key_value(&at)?;
    Some(home)
}

/// Whether `name` begins a path of this crate there: it is a child, or a `use` has brought it in.
fn is_known(modules: &Modules<'_>, module: &str, name: &str) -> bool {
    modules.contains_key(&joined(module, name)) || brought_in(modules, module, name).is_some()
}

fn brought_in<'m>(modules: &'m Modules<'_>, module: &str, name: &str) -> Option<&'m Import> {
    let imports = &modules.get(module)?.imports;
    let mut uses = imports.iter().filter(|import| import.form != Form::Inline);
    uses.find(|import| import.name == name)
}

fn joined(module: &str, name: &str) -> String {
    match module {
        "" => name.to_owned(),
        _ => format!("{module}::{name}"),
    }
}

fn is_below(module: &str, other: &str) -> bool {
    let rest = module.strip_prefix(other);
    other.is_empty() || rest.is_some_and(|rest| rest.starts_with("::"))
}

/// From `start` over as few modules as possible back to it, `start` at the beginning only.
fn shortest_circle(start: &str, imported: &Imported) -> Option<Vec<String>> {
    let mut came_from: HashMap<&str, &str> = HashMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(module) = waiting.pop_front() {
        let Some(others) = imported.get(module) else {
            continue;
        };
        for other in others.keys() {
            if other == start {
                let mut circle = vec![module.to_owned()];
                while let Some(before) = came_from.get(circle[circle.len() - 1].as_str()) {
                    circle.push((*before).to_owned());
                }
                circle.reverse();
                return Some(circle);
            }
            if !came_from.contains_key(other.as_str()) {
                came_from.insert(other, module);
                waiting.push_back(other);
            }
        }
    }
    None
}

fn told(circle: &[String], imported: &Imported) -> String {
    let modules: Vec<&str> = circle.iter().map(|module| spoken(module)).collect();
    let mut told = format!("a circle of imports: {}\n", modules.join(", "));
    for (place, module) in circle.iter().enumerate() {
        let next = &circle[(place + 1) % circle.len()];
        told.push_str(&format!("    {}\n", imported[module][next]));
    }
    told.push_str(
        "    Move what they share into a module of its own, or give the one what it needs of the other.",
    );
    told
}

fn spoken(module: &str) -> &str {
    match module {
        "" => "lib",
        _ => module,
    }
}
