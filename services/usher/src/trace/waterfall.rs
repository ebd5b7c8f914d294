//! Draws a trace: one line a span with its service, its place in the tree, a bar on the trace's
//! time scale and its duration. A pure function of spans and width, so that a snapshot can hold it.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

use super::{
    labels::{clip, pad, short, short_name},
    tree::{self, Line},
};
use crate::otlp::{Span, SpanStatus};

/// Columns of the service's name.
const SERVICE: usize = 13;
/// Columns of the duration, right-aligned.
const DURATION: usize = 8;

/// The picture, with colours (`anstream` drops them where they do not belong), `width` columns wide
/// at most, 72 at least. Spans of one trace are expected; without any the picture is empty.
pub(crate) fn render(spans: &[Span], width: usize) -> String {
    let lines = tree::lines(spans);
    let (Some(start), Some(end)) = (
        spans.iter().map(|span| span.start).min(),
        spans.iter().map(|span| span.end).max(),
    ) else {
        return String::new();
    };
    let columns = Columns::fit(&lines, width.clamp(72, 160));
    let scale = Scale {
        start,
        length: (end - start).as_nanos().max(1),
        cells: columns.bar,
    };
    let mut picture = header(spans, &columns, end - start);
    for line in &lines {
        draw(line, &columns, &scale, &mut picture);
    }
    picture
}

/// How the width is shared: the names get what they need up to three fifths, the bars the rest.
struct Columns {
    name: usize,
    bar: usize,
}

impl Columns {
    fn fit(lines: &[Line<'_>], width: usize) -> Self {
        let free = width - SERVICE - DURATION - 3;
        let widths = lines.iter().map(|line| name(line).width());
        let widest = widths.max().unwrap_or(0);
        let name = widest.clamp(16, free * 3 / 5);
        Self {
            name,
            bar: free - name,
        }
    }
}

struct Scale {
    start: Duration,
    length: u128,
    cells: usize,
}

impl Scale {
    /// A bar of half cells, at least one half wide, where the span lies on the trace's time.
    fn bar(&self, span: &Span) -> String {
        let halves = self.cells * 2;
        let place = |time: Duration| {
            let offset = time.saturating_sub(self.start).as_nanos() * halves as u128 / self.length;
            usize::try_from(offset).unwrap_or(halves)
        };
        let from = place(span.start).min(halves - 1);
        let to = place(span.end).clamp(from + 1, halves);
        let mut bar = String::new();
        for cell in 0..self.cells {
            let is_filled = [cell * 2, cell * 2 + 1].map(|half| (from..to).contains(&half));
            bar.push(match is_filled {
                [true, true] => '━',
                [true, false] => '╸',
                [false, true] => '╺',
                [false, false] => ' ',
            });
        }
        bar
    }
}

fn header(spans: &[Span], columns: &Columns, total: Duration) -> String {
    let services: BTreeSet<&str> = spans.iter().map(|span| span.service.as_str()).collect();
    let trace = &spans[0].trace_id;
    let (many, parts) = (spans.len(), services.len());
    let s = if many == 1 { "" } else { "s" };
    let es = if parts == 1 { "" } else { "es" };
    let spoken = format!("trace {trace}: {many} span{s} from {parts} process{es}");
    let indent = " ".repeat(SERVICE + columns.name + 2);
    let total = short(total);
    let between = " ".repeat(columns.bar.saturating_sub(1 + total.len()));
    let dim = Style::new().dimmed();
    format!("{dim}{spoken}{dim:#}\n{dim}{indent}0{between}{total}{dim:#}\n")
}

fn draw(line: &Line<'_>, columns: &Columns, scale: &Scale, picture: &mut String) {
    let span = line.span;
    let colour = colour(&span.service);
    let dim = Style::new().dimmed();
    let mark = if failed(span) { red() } else { Style::new() };
    let name = clip(&name(line), columns.name);
    // Branches are dim as long as they are whole; a name that is clipped in the middle of them is
    // all text.
    let (branches, text) = match name.strip_prefix(&line.branches) {
        Some(text) => (line.branches.as_str(), text),
        None => ("", name.as_str()),
    };
    let fill = " ".repeat(columns.name - name.width());
    let service = pad(&clip(&span.service, SERVICE - 1), SERVICE);
    let bar = scale.bar(span);
    let duration = short(span.duration());
    // Writing to a String cannot fail.
    let _ = writeln!(
        picture,
        "{colour}{service}{colour:#}{dim}{branches}{dim:#}{mark}{text}{mark:#}{fill}  {colour}{bar}{colour:#} {duration:>DURATION$}"
    );
}

fn red() -> Style {
    Style::new().fg_color(Some(AnsiColor::Red.into()))
}

fn name(line: &Line<'_>) -> String {
    let mark = if failed(line.span) { "✗ " } else { "" };
    format!("{}{mark}{}", line.branches, short_name(&line.span.name))
}

fn failed(span: &Span) -> bool {
    matches!(span.status, SpanStatus::Error(_))
}

/// A service keeps its colour in every picture.
fn colour(service: &str) -> Style {
    let colour = match service {
        "accounts" => AnsiColor::Blue,
        "verification" => AnsiColor::Magenta,
        "mailer" => AnsiColor::Green,
        "usher" => AnsiColor::Cyan,
        _ => AnsiColor::Yellow,
    };
    Style::new().fg_color(Some(colour.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(
        id: &str,
        parent: Option<&str>,
        service: &str,
        name: &str,
        start: u64,
        end: u64,
    ) -> Span {
        Span {
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
            span_id: id.to_owned(),
            parent_span_id: parent.map(str::to_owned),
            service: service.to_owned(),
            instance: String::new(),
            name: name.to_owned(),
            kind: opentelemetry::trace::SpanKind::Internal,
            start: Duration::from_millis(start),
            end: Duration::from_millis(end),
            attributes: std::collections::BTreeMap::new(),
            links: Vec::new(),
            status: SpanStatus::Unset,
        }
    }

    fn journey() -> Vec<Span> {
        vec![
            span(
                "d",
                Some("c"),
                "mailer",
                "send usher.mailer.v1.Mail",
                40,
                48,
            ),
            span("a", None, "usher", "sign up", 0, 100),
            span(
                "b",
                Some("a"),
                "accounts",
                "usher.accounts.v1.AccountsService/CreateAccount",
                2,
                12,
            ),
            span(
                "c",
                Some("b"),
                "verification",
                "process accounts.v1.account_created",
                20,
                30,
            ),
            span(
                "e",
                Some("a"),
                "verification",
                "usher.verification.v1.VerificationService/ConfirmCode",
                60,
                75,
            ),
        ]
    }

    fn plain(spans: &[Span], width: usize) -> String {
        anstream::adapter::strip_str(&render(spans, width)).to_string()
    }

    #[test]
    fn spans_stand_under_their_cause_in_the_order_of_time() {
        insta::assert_snapshot!(plain(&journey(), 80), @r"
        trace 4bf92f3577b34da6a3ce929d0e0e4736: 5 spans from 4 processes
                                                  0                      100 ms
        usher        sign up                      ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━   100 ms
        accounts     ├╴CreateAccount              ╺━━                              10 ms
        verification │ └╴process account_created       ╺━━╸                        10 ms
        mailer       │   └╴send Mail                         ╺━╸                  8.0 ms
        verification └╴ConfirmCode                                 ━━━━╸           15 ms
        ");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [72, 80, 100, 160] {
            let mut spans = journey();
            spans[0].name = "deliver ".repeat(30);
            spans[0].service = "a-service-with-a-long-name".to_owned();
            for line in plain(&spans, width).lines() {
                assert!(
                    line.width() <= width,
                    "{} columns of {width}: {line}",
                    line.width()
                );
            }
        }
    }

    #[test]
    fn a_span_without_its_parent_is_shown_as_a_root() {
        let lonely = vec![span("x", Some("lost"), "mailer", "send", 0, 1)];
        assert!(
            plain(&lonely, 80)
                .lines()
                .last()
                .is_some_and(|line| line.starts_with("mailer       send "))
        );
    }

    #[test]
    fn a_failed_span_is_marked_and_a_repeated_one_drawn_once() {
        let mut spans = journey();
        spans[0].status = SpanStatus::Error("UNAVAILABLE".to_owned());
        spans.push(spans[0].clone());
        let picture = plain(&spans, 100);
        assert_eq!(picture.matches("✗ send").count(), 1, "{picture}");
    }

    #[test]
    fn nothing_makes_an_empty_picture() {
        assert_eq!(render(&[], 80), "");
    }
}
