//! A service's settings as a test writes them: variables, of which the later win.

use clap::{Args, FromArgMatches};

/// Names and values; each name once.
#[derive(Debug, Clone, Default)]
pub struct Environment(Vec<(String, String)>);

impl Environment {
    /// These and more; where a name comes again, its new value holds.
    #[must_use]
    pub fn with(mut self, more: &[(&str, &str)]) -> Self {
        for (name, value) in more {
            self.0.retain(|(earlier, _)| earlier != name);
            self.0.push(((*name).to_owned(), (*value).to_owned()));
        }
        self
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("{name} is not set")).1
    }

    /// What the service makes of them.
    pub fn config<C: Args + FromArgMatches>(&self) -> C {
        let pairs: Vec<_> = self.pairs().collect();
        crate::config::from_pairs(&pairs).expect("the service takes these settings")
    }

    /// For the environment of a process.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}
