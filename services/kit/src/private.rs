//! What is not to be printed: secrets, and whatever names a person. Rule I16 by type: a struct that
//! holds a `Private` may derive `Debug`, and neither a log line nor a panic shows what is in it.

use std::fmt;

/// A value whose `Debug` is `<redacted>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Private<T>(T);

impl<T> Private<T> {
    /// Hides `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for whoever has a use for it. Not for messages.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> From<T> for Private<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

#[cfg(test)]
mod tests {
    use super::Private;

    #[test]
    fn a_private_value_is_not_printed_wherever_it_is_held() {
        #[derive(Debug)]
        #[expect(dead_code, reason = "read by `Debug` only")]
        struct Person {
            id: u8,
            name: Private<&'static str>,
        }
        let person = Person {
            id: 7,
            name: Private::new("Ada"),
        };
        assert_eq!(format!("{person:?}"), "Person { id: 7, name: <redacted> }");
        assert_eq!(*person.name.expose(), "Ada");
    }
}
