//! A message's headers as they lie in a row, of the outbox or of dead letters: a JSON object of
//! first values.

use std::{collections::BTreeMap, str::FromStr as _};

use async_nats::{HeaderMap, HeaderName, HeaderValue};

pub(crate) fn to_json(headers: &HeaderMap) -> String {
    let first_values = headers
        .iter()
        .filter_map(|(name, values)| Some((name.to_string(), values.first()?.as_str())));
    serde_json::to_string(&first_values.collect::<BTreeMap<_, _>>()).unwrap_or_default()
}

pub(crate) fn from_json(json: &str) -> HeaderMap {
    let stored: BTreeMap<String, String> = serde_json::from_str(json).unwrap_or_default();
    let mut headers = HeaderMap::new();
    for (name, value) in stored {
        if let (Ok(name), Ok(value)) = (HeaderName::from_str(&name), HeaderValue::from_str(&value))
        {
            headers.insert(name, value);
        }
    }
    headers
}
