//! How a plan names the value of another key: `SECRET/KEY`, and `${SECRET/KEY}` in a text.

use std::fmt::{self, Display};

use serde::{Deserialize, Deserializer, de::Error};

/// A key of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reference {
    secret: String,
    key: String,
}

impl Reference {
    pub(super) fn new(secret: &str, key: &str) -> Self {
        Self {
            secret: secret.to_owned(),
            key: key.to_owned(),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (secret, key) = text
            .split_once('/')
            .ok_or_else(|| format!("expected SECRET/KEY, and there is `{text}`"))?;
        Ok(Self::new(secret, key))
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

impl Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.secret, self.key)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

/// A text with references in it.
#[derive(Debug)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(String),
    Value(Reference),
}

impl Template {
    fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${") {
            let (reference, behind) = behind
                .split_once('}')
                .ok_or("a `${` has no `}` behind it")?;
            parts.push(Piece::Text(before.to_owned()));
            parts.push(Piece::Value(Reference::parse(reference)?));
            rest = behind;
        }
        parts.push(Piece::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    pub(super) fn references(&self) -> impl Iterator<Item = &Reference> {
        self.0.iter().filter_map(|part| match part {
            Piece::Value(reference) => Some(reference),
            Piece::Text(_) => None,
        })
    }

    /// The text with what `value_of` says in the place of each reference.
    ///
    /// # Errors
    /// The first that it has.
    pub(super) fn filled<E>(
        &self,
        mut value_of: impl FnMut(&Reference) -> Result<String, E>,
    ) -> Result<String, E> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Piece::Text(part) => text.push_str(part),
                Piece::Value(reference) => text.push_str(&value_of(reference)?),
            }
        }
        Ok(text)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}
