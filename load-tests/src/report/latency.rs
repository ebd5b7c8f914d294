//! Latencies in words and pictures.

use std::collections::BTreeMap;

use comfy_table::{Table, TableStyle};
use hdrhistogram::Histogram;

const QUANTILES: [f64; 7] = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0];

/// Percentiles by name, in microseconds.
pub(crate) fn quantiles(histogram: &Histogram<u64>) -> BTreeMap<String, u64> {
    let each = QUANTILES.iter().map(|quantile| {
        let value = histogram.value_at_quantile(*quantile);
        (named(*quantile), value)
    });
    each.collect()
}

fn named(quantile: f64) -> String {
    match quantile {
        1.0 => "max".to_owned(),
        _ => format!("p{}", (quantile * 1_000.0).round() / 10.0),
    }
}

/// Percentiles of both.
pub(super) fn percentiles(answers: &Histogram<u64>, mails: &Histogram<u64>) -> Table {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_header(["FROM DUE TO", "ANSWER", "MAIL"]);
    for quantile in QUANTILES {
        let value = |histogram: &Histogram<u64>| spoken(histogram.value_at_quantile(quantile));
        table.add_row([named(quantile), value(answers), value(mails)]);
    }
    table
}

/// How many there are in each power of two, with a bar beside each number.
pub(super) fn spread(answers: &Histogram<u64>, mails: &Histogram<u64>) -> Table {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_header(["UP TO", "ANSWERS", "", "MAILS", ""]);
    let slowest = answers.max().max(mails.max());
    let mut from = 0;
    let mut to = 1_000;
    loop {
        let counted = [answers, mails].map(|histogram| histogram.count_between(from, to - 1));
        let [answered, mailed] = counted;
        table.add_row([
            spoken(to),
            answered.to_string(),
            bar(answered, answers.len()),
            mailed.to_string(),
            bar(mailed, mails.len()),
        ]);
        if to > slowest {
            return table;
        }
        (from, to) = (to, to * 2);
    }
}

/// A part of all, as a bar.
fn bar(count: u64, all: u64) -> String {
    const WIDTH: u64 = 24;
    let length = (count * WIDTH).div_ceil(all.max(1));
    "█".repeat(usize::try_from(length).unwrap_or_default())
}

/// A duration with three digits that count.
#[expect(
    clippy::cast_precision_loss,
    reason = "latencies are far below 2^53 µs"
)]
pub(crate) fn spoken(micros: u64) -> String {
    let micros = micros as f64;
    match micros {
        0.0..1_000.0 => format!("{micros} µs"),
        1_000.0..10_000.0 => format!("{:.2} ms", micros / 1e3),
        10_000.0..1_000_000.0 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_with_the_digits_that_count() {
        let told = [999, 1_234, 45_678, 2_345_678].map(spoken);
        assert_eq!(told, ["999 µs", "1.23 ms", "46 ms", "2.35 s"]);
    }

    #[test]
    fn every_value_is_in_one_power_of_two() {
        let mut histogram = Histogram::new(3).unwrap();
        for micros in [1, 999, 1_000, 1_999, 2_000, 700_000] {
            histogram.record(micros).unwrap();
        }
        let none = Histogram::new(3).unwrap();
        let told = spread(&histogram, &none).to_string();
        let counts = told
            .lines()
            .skip(1)
            .filter_map(|line| line.split_whitespace().nth(2));
        let counts: Vec<u64> = counts.filter_map(|count| count.parse().ok()).collect();
        assert_eq!(counts.iter().sum::<u64>(), 6, "{told}");
        assert_eq!(counts[..3], [2, 2, 1], "{told}");
    }
}
