//! Where a stream or a durable differs from another description of it, field by field.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

/// A field that is not as it should be.
pub(super) struct Difference {
    pub(super) field: String,
    pub(super) wanted: String,
    pub(super) found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            wanted,
            found,
        } = self;
        write!(f, "{field} is {found}, should be {wanted}")
    }
}

/// Field by field, as they are on the wire, so that none is forgotten.
pub(super) fn differences<C: Serialize>(wanted: &C, found: &C, free: &[&str]) -> Vec<Difference> {
    let (wanted, found) = (fields(wanted), fields(found));
    let mut names: Vec<&String> = wanted.keys().chain(found.keys()).collect();
    names.sort();
    names.dedup();
    names.retain(|name| !free.contains(&name.as_str()));
    let mut all = Vec::new();
    for name in names {
        let (wanted, found) = (shown(name, wanted.get(name)), shown(name, found.get(name)));
        if wanted != found {
            all.push(Difference {
                field: name.clone(),
                wanted,
                found,
            });
        }
    }
    all
}

fn fields(config: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// What is not said, and what says nothing, is the same.
fn shown(name: &str, value: Option<&Value>) -> String {
    const NANOSECONDS: [&str; 2] = ["max_age", "duplicate_window"];
    match value.unwrap_or(&Value::Null) {
        Value::Null | Value::Bool(false) => "unset".to_owned(),
        Value::Number(number) if [Some(0), Some(-1)].contains(&number.as_i64()) => {
            "unset".to_owned()
        }
        Value::String(text) if text.is_empty() || text == "none" => "unset".to_owned(),
        Value::Array(list) if list.is_empty() => "unset".to_owned(),
        Value::Number(number) if NANOSECONDS.contains(&name) => {
            format!("{} s", number.as_u64().unwrap_or_default() / 1_000_000_000)
        }
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let each = list
                .iter()
                .map(|it| it.as_str().map_or(it.to_string(), ToOwned::to_owned));
            each.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}
