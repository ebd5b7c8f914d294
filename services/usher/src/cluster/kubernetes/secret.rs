//! A Secret as the API writes it: its values in base64, and the version that a change names.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kit::Private;
use serde::Deserialize;

use crate::exit::{Exit, Failure};

/// A value; never printed.
pub(crate) type Value = Private<Vec<u8>>;

/// Keys with their values.
pub(crate) type Values = BTreeMap<String, Value>;

#[derive(Debug, Clone)]
pub(crate) struct Secret {
    name: String,
    version: String,
    values: Values,
}

#[derive(Deserialize)]
struct Wire {
    metadata: Metadata,
    #[serde(default)]
    data: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    resource_version: String,
}

impl Secret {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Failure> {
        // What it could not read it may quote: a secret.
        let nonsense = || {
            let what = "What answers as Kubernetes' API sends no Secret.";
            Failure::new(Exit::Failed, what).hint("Does --api-url name the API of the cluster?")
        };
        let wire: Wire = serde_json::from_slice(body).map_err(|_| nonsense())?;
        let mut values = Values::new();
        for (key, text) in wire.data.unwrap_or_default() {
            let value = STANDARD.decode(text).map_err(|_| nonsense())?;
            values.insert(key, Private::new(value));
        }
        Ok(Self {
            name: wire.metadata.name,
            version: wire.metadata.resource_version,
            values,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }
}

/// The field `data`.
pub(super) fn data(values: &Values) -> BTreeMap<&str, String> {
    let encoded = |value: &Value| STANDARD.encode(value.expose());
    let pairs = values.iter();
    pairs
        .map(|(key, value)| (key.as_str(), encoded(value)))
        .collect()
}
