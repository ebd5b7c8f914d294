//! Puts flat spans in the order a person reads: causes before effects, siblings by time. `waterfall` draws it.

use std::collections::{HashMap, HashSet};

use crate::otlp::Span;

/// One line of the picture.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    /// The span.
    pub(crate) span: &'a Span,
    /// Branches in front of its name: two columns a level.
    pub(crate) branches: String,
}

/// Every span once. A span whose parent is not among them stands as a root, so that an incomplete trace shows
/// what there is; a repeated id (an exporter's retry) is drawn once.
pub(crate) fn lines(spans: &[Span]) -> Vec<Line<'_>> {
    let mut ids = HashSet::new();
    let mut spans: Vec<&Span> = spans
        .iter()
        .filter(|span| ids.insert(span.span_id.as_str()))
        .collect();
    spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut children: HashMap<Option<&str>, Vec<&Span>> = HashMap::new();
    for span in spans {
        let parent = span.parent_span_id.as_deref();
        let parent = parent.filter(|parent| ids.contains(parent) && *parent != span.span_id);
        children.entry(parent).or_default().push(span);
    }
    let mut lines = Vec::new();
    for root in children.get(&None).into_iter().flatten() {
        lines.push(Line {
            span: root,
            branches: String::new(),
        });
        descend(root, "", &children, &mut lines);
    }
    lines
}

fn descend<'a>(
    parent: &Span,
    indent: &str,
    children: &HashMap<Option<&str>, Vec<&'a Span>>,
    lines: &mut Vec<Line<'a>>,
) {
    let Some(siblings) = children.get(&Some(parent.span_id.as_str())) else {
        return;
    };
    for (place, span) in siblings.iter().enumerate() {
        let last = place + 1 == siblings.len();
        lines.push(Line {
            span,
            branches: format!("{indent}{}", if last { "└╴" } else { "├╴" }),
        });
        descend(
            span,
            &format!("{indent}{}", if last { "  " } else { "│ " }),
            children,
            lines,
        );
    }
}
