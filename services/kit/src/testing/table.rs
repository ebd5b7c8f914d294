//! A paper's table as rows of cells, so that a test reads what people read.

/// The rows between `<!-- name:begin -->` and `<!-- name:end -->`, without the heading. A cell is
/// freed of its backticks, and `\\u{200b}` in it is that character.
///
/// # Panics
/// When there is no such table, or a row has fewer than `N` cells.
pub fn table<const N: usize>(paper: &str, name: &str) -> Vec<[String; N]> {
    let between = |begin: &str, end: &str| {
        let (_, rest) = paper.split_once(begin)?;
        Some(rest.split_once(end)?.0.to_owned())
    };
    let (begin, end) = (
        format!("<!-- {name}:begin -->"),
        format!("<!-- {name}:end -->"),
    );
    let table = between(&begin, &end).expect("the paper has the table");
    let rows = table.lines().filter(|line| line.starts_with("| "));
    let mut found = Vec::new();
    for row in rows.skip(1) {
        let cells = row.trim_matches('|').split('|');
        let cells: Vec<String> = cells.map(cell).take(N).collect();
        found.push(cells.try_into().unwrap_or_else(|_| panic!("{row}")));
    }
    found
}

fn cell(text: &str) -> String {
    let mut rest = text.trim().trim_matches('`');
    let mut cell = String::new();
    while let Some((before, escaped)) = rest.split_once("\\u{") {
        let (number, after) = escaped.split_once('}').expect("an escape ends");
        let number = u32::from_str_radix(number, 16).expect("an escape is a number");
        cell.push_str(before);
        cell.push(char::from_u32(number).expect("an escape is a character"));
        rest = after;
    }
    cell + rest
}
