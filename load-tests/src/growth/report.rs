//! What growth showed, in one table and one ratio.

use std::fmt;

use comfy_table::{Table, TableStyle};
use serde_json::{Value, json};

/// What was found.
#[derive(Debug)]
pub struct Grown {
    /// By size: microseconds for an account, of each service, in the median of its rounds.
    pub sizes: Vec<(u64, [f64; 3])>,
    /// What may not be exceeded.
    pub bound: f64,
}

/// Of all three services.
pub(super) fn sum(services: [f64; 3]) -> f64 {
    services.iter().sum()
}

impl Grown {
    /// How many times as much as with the first size an account takes, at worst.
    pub fn ratio(&self) -> f64 {
        let Some((_, first)) = self.sizes.first() else {
            return f64::INFINITY;
        };
        let ratios = self.sizes.iter().map(|(_, each)| sum(*each) / sum(*first));
        ratios.fold(0.0, f64::max)
    }

    /// Whether that is within its bound.
    pub fn is_passed(&self) -> bool {
        // Nothing at all was measured where nothing was taken.
        self.ratio() <= self.bound && self.sizes.iter().all(|(_, each)| sum(*each) > 0.0)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let sizes = self.sizes.iter().map(|(size, [accounts, verification, mailer])| {
            json!({
                "accounts_before": size,
                "cpu_us_per_account": { "accounts": accounts, "verification": verification, "mailer": mailer },
            })
        });
        json!({
            "passed": self.is_passed(),
            "ratio": self.ratio(),
            "bound": self.bound,
            "sizes": sizes.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Grown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(TableStyle::new()).set_header([
            "ACCOUNTS BEFORE",
            "ACCOUNTS",
            "VERIFICATION",
            "MAILER",
            "CPU AN ACCOUNT",
            "RATIO",
        ]);
        let first = self.sizes.first().map(|(_, each)| sum(*each));
        for (size, each) in &self.sizes {
            let mut row = vec![size.to_string()];
            row.extend(each.map(|micros| format!("{micros:.0} µs")));
            row.push(format!("{:.0} µs", sum(*each)));
            row.push(format!("{:.2}", sum(*each) / first.unwrap_or_default()));
            table.add_row(row);
        }
        writeln!(f, "{}\n", table.trim_fmt())?;
        let (ratio, bound) = (self.ratio(), self.bound);
        match self.is_passed() {
            true => write!(
                f,
                "PASS: an account takes {ratio:.2} times what it takes first; {bound} may be"
            ),
            false => write!(
                f,
                "FAIL: an account takes {ratio:.2} times what it takes first; {bound} may be"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(micros: &[f64]) -> Grown {
        let sizes = micros.iter().map(|one| (1_000, [*one, *one, *one]));
        Grown {
            sizes: sizes.collect(),
            bound: 1.4,
        }
    }

    #[test]
    fn the_dearest_size_decides_and_nothing_measured_is_no_pass() {
        assert!(grown(&[100.0, 139.0, 120.0]).is_passed());
        assert!(!grown(&[100.0, 141.0, 100.0]).is_passed());
        assert!(!grown(&[0.0, 0.0]).is_passed());
        assert!(!grown(&[]).is_passed());
    }
}
