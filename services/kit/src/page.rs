//! Lists page by page, newest first: which page a caller wants, and the token that leads to the
//! next one.

use sea_orm::{
    ColumnTrait, ExprTrait as _,
    sea_query::{Expr, SimpleExpr},
};
use uuid::Uuid;

use crate::{Violation, clock::Timestamp};

const DEFAULT_SIZE: u32 = 50;
const LARGEST_SIZE: u32 = 500;

/// Which page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    size: u32,
    after: Option<PageToken>,
}

impl Page {
    /// Takes what a caller asked for: a size of 0 means 50, an empty token the first page.
    ///
    /// # Errors
    /// All that is wrong, by field.
    pub fn parse(page_size: u32, page_token: &str) -> Result<Self, Vec<Violation>> {
        let mut violations = Vec::new();
        if page_size > LARGEST_SIZE {
            violations.push(("page_size", format!("must be at most {LARGEST_SIZE}")));
        }
        let mut after = None;
        if !page_token.is_empty() {
            match PageToken::parse(page_token) {
                Ok(token) => after = Some(token),
                Err(why) => violations.push(("page_token", why.to_string())),
            }
        }
        if !violations.is_empty() {
            return Err(violations);
        }
        let size = if page_size == 0 {
            DEFAULT_SIZE
        } else {
            page_size
        };
        Ok(Self { size, after })
    }

    /// Where the page before ended; nothing for the first page.
    pub fn after(&self) -> Option<PageToken> {
        self.after
    }

    /// How many rows to read.
    pub fn limit(&self) -> u64 {
        // One more than the page has tells whether there is another page, and saves a count.
        u64::from(self.size) + 1
    }

    /// Takes the row too many off again and answers with the token of the next page; nothing on the
    /// last.
    pub fn cut<T>(&self, rows: &mut Vec<T>, token: impl Fn(&T) -> PageToken) -> Option<PageToken> {
        let is_last = rows.len() <= self.size as usize;
        rows.truncate(self.size as usize);
        if is_last {
            None
        } else {
            rows.last().map(token)
        }
    }
}

/// The last row of a page, by what the list is sorted by. Callers pass it on as it is; what it is
/// made of may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageToken {
    /// The row's moment.
    pub at: Timestamp,
    /// The row's id, which decides between rows of the same moment.
    pub id: Uuid,
}

/// What a page token looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the next_page_token of the page before, or empty for the first page")]
pub struct InvalidPageToken;

impl PageToken {
    /// Reads what `to_text` wrote.
    ///
    /// # Errors
    /// If it is something else.
    pub fn parse(text: &str) -> Result<Self, InvalidPageToken> {
        let mut octets = [0; 24];
        hex::decode_to_slice(text, &mut octets).map_err(|_| InvalidPageToken)?;
        let (at, id) = octets.split_first_chunk::<8>().ok_or(InvalidPageToken)?;
        let id = Uuid::from_slice(id).map_err(|_| InvalidPageToken)?;
        Ok(Self {
            at: Timestamp(i64::from_be_bytes(*at)),
            id,
        })
    }

    /// Whether a row comes after this one in a list that is sorted by these two columns, newest
    /// first.
    pub fn precedes<C: ColumnTrait>(self, at: C, id: C) -> SimpleExpr {
        let (columns, row) = self.rows(at, id);
        columns.lt(row)
    }

    /// Whether a row comes before this one in such a list, or is it.
    pub fn reaches<C: ColumnTrait>(self, at: C, id: C) -> SimpleExpr {
        let (columns, row) = self.rows(at, id);
        columns.gte(row)
    }

    /// What is compared as one row, which both databases look up in the index of the two. Written
    /// out with `OR`, the last page would read all the pages before it.
    fn rows<C: ColumnTrait>(self, at: C, id: C) -> (SimpleExpr, SimpleExpr) {
        let columns = [
            Expr::col((at.entity_name(), at)),
            Expr::col((id.entity_name(), id)),
        ];
        let row = [Expr::val(self.at), Expr::val(self.id)];
        (Expr::tuple(columns), Expr::tuple(row))
    }

    /// The token as a text.
    pub fn to_text(self) -> String {
        hex::encode(self.at.0.to_be_bytes()) + &hex::encode(self.id.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, PageToken, Timestamp, Uuid};

    const TOKEN: PageToken = PageToken {
        at: Timestamp(1_790_000_000_000_001),
        id: Uuid::max(),
    };

    #[test]
    fn a_token_reads_back_and_nothing_else_does() {
        let text = TOKEN.to_text();
        assert_eq!(PageToken::parse(&text), Ok(TOKEN));
        for refused in ["", "next", "00", &text[1..], &format!("{text}00")] {
            assert!(PageToken::parse(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_page_says_all_that_is_wrong_with_it_and_has_fifty_rows_by_itself() {
        assert_eq!(Page::parse(0, "").unwrap().limit(), 51);
        assert_eq!(
            Page::parse(500, &TOKEN.to_text()).unwrap().after(),
            Some(TOKEN)
        );
        let refused = Page::parse(501, "next").unwrap_err();
        assert_eq!([refused[0].0, refused[1].0], ["page_size", "page_token"]);
    }

    #[test]
    fn the_row_too_many_leads_to_the_next_page() {
        let page = Page::parse(2, "").unwrap();
        let token = |id: &u128| PageToken {
            id: Uuid::from_u128(*id),
            ..TOKEN
        };
        let mut rows = vec![3, 2, 1];
        assert_eq!(page.cut(&mut rows, token), Some(token(&2)));
        assert_eq!(rows, [3, 2]);
        assert_eq!(page.cut(&mut rows, token), None);
    }
}
