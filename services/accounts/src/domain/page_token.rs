//! Where a page of accounts ended. Callers pass it on as it is; what it is made of may change.

use kit::clock::Timestamp;
use uuid::Uuid;

/// The last account of a page, by what the list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageToken {
    /// When the account was committed.
    pub created_at: Timestamp,
    /// Its id, which decides between accounts of the same moment.
    pub id: Uuid,
}

/// Why something is no page token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the next_page_token of the page before, or empty for the first page")]
pub struct PageTokenError;

impl PageToken {
    /// Reads what `to_text` wrote.
    ///
    /// # Errors
    /// If it is something else.
    pub fn parse(text: &str) -> Result<Self, PageTokenError> {
        let mut octets = [0; 24];
        hex::decode_to_slice(text, &mut octets).map_err(|_| PageTokenError)?;
        let (created_at, id) = octets.split_first_chunk::<8>().ok_or(PageTokenError)?;
        let id = Uuid::from_slice(id).map_err(|_| PageTokenError)?;
        Ok(Self {
            created_at: Timestamp(i64::from_be_bytes(*created_at)),
            id,
        })
    }

    /// The token as a text.
    #[must_use]
    pub fn to_text(self) -> String {
        hex::encode(self.created_at.0.to_be_bytes()) + &hex::encode(self.id.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::{PageToken, Timestamp, Uuid};

    #[test]
    fn a_token_reads_back_and_nothing_else_does() {
        let token = PageToken {
            created_at: Timestamp(1_790_000_000_000_001),
            id: Uuid::max(),
        };
        assert_eq!(PageToken::parse(&token.to_text()), Ok(token));
        for refused in [
            "",
            "next",
            "00",
            &token.to_text()[1..],
            &(token.to_text() + "00"),
        ] {
            assert!(PageToken::parse(refused).is_err(), "{refused}");
        }
    }
}
