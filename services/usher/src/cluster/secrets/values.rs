//! Makes the value of a key: of randomness, as `usher up` makes it on one machine, or of the values
//! that are stored already.

use kit::{Private, bus::BrokerUser, keyring::KeyRing, random};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{plan::Kind, reference::Reference};
use crate::cluster::kubernetes::Value;

/// Why a derived value cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lack {
    /// Its source is not there yet.
    Missing(Reference),
    /// Its source is there and of no use.
    Useless(Reference, &'static str),
}

impl Lack {
    /// What it is about.
    pub(super) fn source(&self) -> &Reference {
        match self {
            Self::Missing(source) | Self::Useless(source, _) => source,
        }
    }
}

/// A value of this kind; `stored` are those that it may be derived from.
pub(super) fn make<'a>(
    kind: &Kind,
    stored: impl Fn(&Reference) -> Option<&'a Value>,
) -> Result<Value, Lack> {
    let read = |reference: &Reference| {
        let value = stored(reference).ok_or_else(|| Lack::Missing(reference.clone()))?;
        let useless = |why| Lack::Useless(reference.clone(), why);
        let text = std::str::from_utf8(value.expose()).map_err(|_| useless("it is no text"))?;
        // `kubectl create secret --from-file` takes a file's last line end along.
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(useless("it is empty")),
            text => Ok(text),
        }
    };
    let text = match kind {
        Kind::Password {} | Kind::Token {} | Kind::Key {} => random::secret(),
        Kind::CodeKeys {} | Kind::AddressKeys {} => KeyRing::fresh_text(),
        Kind::Nkey {} => BrokerUser::fresh_seed(),
        Kind::NkeyPublic { of } => {
            let user = BrokerUser::of_seed(read(of)?);
            let no_seed = || Lack::Useless(of.clone(), "it is no nkey's seed");
            user.ok_or_else(no_seed)?.public_key().to_owned()
        }
        Kind::Text { text } => text.filled(|one| Ok(read(one)?.to_owned()))?,
        Kind::Url { text } => text.filled(|one| {
            let encoded = utf8_percent_encode(read(one)?, NON_ALPHANUMERIC);
            Ok(encoded.to_string())
        })?,
    };
    Ok(Private::new(text.into_bytes()))
}

/// Whether two values mean the same: a line end behind one of them does not count.
pub(super) fn are_same(one: &Value, other: &Value) -> bool {
    one.expose().trim_ascii_end() == other.expose().trim_ascii_end()
}
