//! Lists attempts for operators, newest first, a page at a time.

use kit::{clock::Timestamp, db::Db};
use sea_orm::DbErr;
use uuid::Uuid;

/// An attempt as its row says.
pub(crate) use crate::store::attempts::Model as Attempt;
use crate::store::attempts::{self, Position};

const DEFAULT_SIZE: u32 = 50;
const LARGEST_SIZE: u32 = 500;

/// Which page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListMails {
    size: u32,
    after: Option<Position>,
    code_id: Option<Uuid>,
}

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    /// Newest first.
    pub(crate) attempts: Vec<Attempt>,
    /// Leads to the next page; empty on the last.
    pub(crate) next: String,
}

/// Why a page cannot be listed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListMailsError {
    /// A field of the request is none; it and the reason.
    #[error("{0}: {1}")]
    Invalid(&'static str, &'static str),
    /// The database's.
    #[error("the attempts cannot be read")]
    Unexpected(#[from] DbErr),
}

impl ListMails {
    /// Reads a request.
    ///
    /// # Errors
    /// `Invalid`, with the field.
    pub(crate) fn parse(size: u32, token: &str, code_id: &str) -> Result<Self, ListMailsError> {
        let size = match size {
            0 => DEFAULT_SIZE,
            1..=LARGEST_SIZE => size,
            _ => {
                return Err(ListMailsError::Invalid(
                    "page_size",
                    "must be 1 to 500, or 0 for 50",
                ));
            }
        };
        let after = match token {
            "" => None,
            token => Some(read(token).ok_or(ListMailsError::Invalid(
                "page_token",
                "is no token of a page before",
            ))?),
        };
        let code_id = match code_id {
            "" => None,
            id => Some(
                id.parse()
                    .map_err(|_| ListMailsError::Invalid("code_id", "must be a UUID"))?,
            ),
        };
        Ok(Self {
            size,
            after,
            code_id,
        })
    }

    /// Reads the page.
    pub(crate) async fn run(&self, db: &Db) -> Result<Page, ListMailsError> {
        // One more than asked for tells whether there is a next page.
        let most = u64::from(self.size) + 1;
        let mut attempts = attempts::page(db.reader(), self.code_id, self.after, most).await?;
        let more = attempts.len() as u64 == most;
        attempts.truncate(self.size as usize);
        let last = attempts.last().filter(|_| more);
        let next = last
            .map(|last| {
                write(Position {
                    ended_at: last.ended_at,
                    id: last.id,
                })
            })
            .unwrap_or_default();
        Ok(Page { attempts, next })
    }
}

/// A position as a token. Callers pass it on and read nothing into it.
fn write(position: Position) -> String {
    format!("{:x}-{}", position.ended_at.0, position.id.simple())
}

fn read(token: &str) -> Option<Position> {
    let (at, id) = token.split_once('-')?;
    Some(Position {
        ended_at: Timestamp(i64::from_str_radix(at, 16).ok()?),
        id: Uuid::try_parse(id).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_position() {
        let position = Position {
            ended_at: Timestamp(1_795_615_500_000_001),
            id: Uuid::from_u128(7),
        };
        assert_eq!(read(&write(position)), Some(position));
        assert_eq!(
            ListMails::parse(0, &write(position), "").unwrap().after,
            Some(position)
        );
    }

    #[test]
    fn refuses_what_is_no_page() {
        assert!(ListMails::parse(501, "", "").is_err());
        assert!(ListMails::parse(1, "next", "").is_err());
        assert!(ListMails::parse(1, "", "ada").is_err());
    }
}
