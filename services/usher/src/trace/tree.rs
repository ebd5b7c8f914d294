//! Puts flat spans in the order a person reads: causes before effects, siblings by time.
//! `waterfall` draws it.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use crate::otlp::Span;

/// One line of the picture.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) span: &'a Span,
    /// In front of its name: two columns a level.
    pub(crate) branches: String,
}

/// Every span once.
pub(crate) fn lines(spans: &[Span]) -> Vec<Line<'_>> {
    let mut ids = HashSet::new();
    let mut once: Vec<&Span> = Vec::new();
    for span in spans {
        // An exporter that did not hear the answer sends the same spans again.
        if ids.insert(span.span_id.as_str()) {
            once.push(span);
        }
    }
    // Of two that begin at the same moment, the longer one is more likely the cause.
    once.sort_by_key(|span| (span.start, Reverse(span.end)));
    let mut children: Children<'_> = HashMap::new();
    for span in once {
        let mut parent = span.parent_span_id.as_deref();
        // Whose parent is not here stands as a root, so that an incomplete trace shows what there
        // is; one that names itself would never be drawn.
        parent.take_if(|parent| !ids.contains(*parent) || *parent == span.span_id);
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

/// The spans under each span's id, and under none those that are shown as roots.
type Children<'a> = HashMap<Option<&'a str>, Vec<&'a Span>>;

fn descend<'a>(parent: &Span, indent: &str, children: &Children<'a>, lines: &mut Vec<Line<'a>>) {
    let Some(siblings) = children.get(&Some(parent.span_id.as_str())) else {
        return;
    };
    for (place, span) in siblings.iter().enumerate() {
        let is_last = place + 1 == siblings.len();
        let (branch, below) = if is_last {
            ("└╴", "  ")
        } else {
            ("├╴", "│ ")
        };
        lines.push(Line {
            span,
            branches: format!("{indent}{branch}"),
        });
        descend(span, &format!("{indent}{below}"), children, lines);
    }
}
