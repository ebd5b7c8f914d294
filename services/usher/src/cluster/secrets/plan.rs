//! The plan: which Secrets there are to be, which keys in each, and what each key is made of. Read
//! and checked as a whole before anything is done; `values` makes what it says.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use kit::words;
use serde::Deserialize;

use super::reference::{Reference, Template};
use crate::exit::{Exit, Failure};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// Put on each Secret when it is made.
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    pub(super) secrets: Vec<PlannedSecret>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlannedSecret {
    pub(super) name: String,
    pub(super) keys: BTreeMap<String, Kind>,
}

/// What a key is made of. Variants without fields are written with braces: serde then refuses fields
/// that they do not have.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Kind {
    /// 64 random hexadecimal digits, for a user of a database, say.
    Password {},
    /// The same: the token of operators.
    Token {},
    /// The same: the key of fingerprints.
    Key {},
    /// A key ring of one key, for codes.
    CodeKeys {},
    /// A key ring of one key, for addresses.
    AddressKeys {},
    /// The seed of a user of NATS.
    Nkey {},
    /// What NATS knows the user of a seed by.
    NkeyPublic { of: Reference },
    /// A text with the values of other keys in it.
    Text { text: Template },
    /// The same, the values percent-encoded.
    Url { text: Template },
}

impl Kind {
    /// Whose values it is derived from; of nobody's where it is made of randomness.
    pub(super) fn sources(&self) -> Vec<&Reference> {
        match self {
            Self::NkeyPublic { of } => vec![of],
            Self::Text { text } | Self::Url { text } => text.references().collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn is_derived(&self) -> bool {
        matches!(
            self,
            Self::NkeyPublic { .. } | Self::Text { .. } | Self::Url { .. }
        )
    }
}

impl Plan {
    /// Reads and checks it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        let shown = file.display();
        let text = std::fs::read_to_string(file).map_err(|error| {
            let why = words::of_io(&error);
            let what = format!("The plan {shown} cannot be read: {why}.");
            Failure::new(Exit::Usage, what).hint("Name the file with --plan.")
        })?;
        let refused = |what: String| {
            Failure::new(Exit::Usage, format!("The plan {shown} is refused: {what}."))
                .hint("docs/cluster-secrets.md describes it. Nothing was made.")
        };
        let plan: Self = serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
        let complaints = plan.complaints();
        match complaints.is_empty() {
            true => Ok(plan),
            false => Err(refused(complaints.join("; "))),
        }
    }

    fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut names = BTreeSet::new();
        for PlannedSecret { name, keys } in &self.secrets {
            if !is_name(name) {
                complaints.push(format!("`{name}` is no name of a Secret"));
            }
            if !names.insert(name) {
                complaints.push(format!("{name} stands in it twice"));
            }
            if keys.is_empty() {
                complaints.push(format!("{name} has no keys"));
            }
            for (key, kind) in keys {
                let own = Reference::new(name, key);
                if !is_key(key) {
                    complaints.push(format!("`{own}` is no key of a Secret"));
                }
                for source in kind.sources() {
                    complaints.extend(self.complaint_about(&own, source));
                }
            }
        }
        complaints
    }

    fn complaint_about(&self, own: &Reference, source: &Reference) -> Option<String> {
        let (secret, key) = (source.secret(), source.key());
        if !is_name(secret) || !is_key(key) {
            return Some(format!(
                "{own} names `{source}`, which is no key of a Secret"
            ));
        }
        // One that others make need not be there yet; of ours all keys stand here.
        let is_ours = self.secrets.iter().any(|ours| ours.name == secret);
        if is_ours && self.kind(source).is_none() {
            return Some(format!(
                "{own} names {source}, which the plan does not have"
            ));
        }
        self.leads_back(source, own, &mut BTreeSet::new())
            .then(|| format!("{own} is made of {source}, which is made of {own}"))
    }

    /// Whether `reference` is `own`, or is made of it.
    fn leads_back<'a>(
        &'a self,
        reference: &'a Reference,
        own: &Reference,
        seen: &mut BTreeSet<&'a Reference>,
    ) -> bool {
        if reference == own {
            return true;
        }
        if !seen.insert(reference) {
            return false;
        }
        let sources = self.kind(reference).map(Kind::sources).unwrap_or_default();
        let mut sources = sources.into_iter();
        sources.any(|source| self.leads_back(source, own, seen))
    }

    fn kind(&self, reference: &Reference) -> Option<&Kind> {
        let mut secrets = self.secrets.iter();
        let secret = secrets.find(|secret| secret.name == reference.secret())?;
        secret.keys.get(reference.key())
    }

    /// The names of all Secrets that it speaks of, its own first.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        let own = self.secrets.iter().map(|secret| secret.name.as_str());
        let kinds = self.secrets.iter().flat_map(|secret| secret.keys.values());
        let others = kinds.flat_map(Kind::sources).map(Reference::secret);
        for name in own.chain(others) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// A DNS subdomain, RFC 1123.
fn is_name(text: &str) -> bool {
    let may_stand = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    let is_edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 253
        && text.chars().all(may_stand)
        && is_edge(text.chars().next())
        && is_edge(text.chars().last())
}

fn is_key(text: &str) -> bool {
    let may_stand = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=253).contains(&text.len()) && text.chars().all(may_stand) && !text.starts_with("..")
}
