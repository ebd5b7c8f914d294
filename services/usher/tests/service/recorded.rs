//! Makes two runs of the demo comparable: what differs from run to run becomes `#`, what two
//! processes may do in either order is sorted.

/// The demo's output without times, ids, ports and codes. The recorded output in README is compared
/// this way.
pub(crate) fn normalised(output: &str) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut unordered: Vec<String> = Vec::new();
    for line in output.lines() {
        let line_told = words(&line.replace(BRANCHES, " "));
        if is_of_a_process(line) {
            unordered.push(line_told);
        } else {
            unordered.sort();
            told.append(&mut unordered);
            told.push(line_told);
        }
    }
    told.join("\n")
}

/// What a waterfall draws.
const BRANCHES: [char; 7] = ['━', '╸', '╺', '├', '└', '│', '╴'];

/// A line of the timeline or of the waterfall: processes run side by side, so that their order may
/// differ.
fn is_of_a_process(line: &str) -> bool {
    let is_time = line
        .get(2..10)
        .is_some_and(|at| at.bytes().filter(|byte| *byte == b':').count() == 2);
    is_time || line.contains(['━', '╸', '╺'])
}

/// The line's words, each number and id as `#`, without the unit behind it.
fn words(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        let is_unit = ["µs", "ms", "s", "min"].contains(&word.trim_end_matches([';', ',', '.']));
        let follows_a_number = words.last().is_some_and(|last| last.ends_with('#'));
        match is_unit && follows_a_number {
            true => {}
            false => words.push(value(word)),
        }
    }
    let line = words.join(" ");
    let line = match line.split_once(", until ") {
        Some((before, _)) => format!("{before}, until #"),
        None => line,
    };
    // Whether the mail was out before the kill is a race that either may win.
    line.replace("the mail was already out", "no mail yet")
        .replace("; no mail yet", " no mail yet")
}

fn value(word: &str) -> String {
    let is_id = word.len() >= 16
        && word
            .chars()
            .all(|c| c.is_ascii_hexdigit() || "-:".contains(c));
    if is_id {
        return "#".to_owned();
    }
    let mut told = String::new();
    for c in word.trim_start_matches('+').chars() {
        match c {
            '0'..='9' if told.ends_with('#') => {}
            '0'..='9' => told.push('#'),
            '.' | ':' if told.ends_with('#') => {}
            c => told.push(c),
        }
    }
    told
}
