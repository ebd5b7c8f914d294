//! Links in the papers: each relative one leads to a file or folder of the repository, and its
//! fragment to a heading.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What is wrong with the links of every paper below `root`.
pub(crate) fn complaints(root: &Path) -> Vec<String> {
    let mut papers = Vec::new();
    collect(root, &mut papers);
    assert!(
        papers.len() > 5,
        "found only {papers:?}: has the layout changed?"
    );
    let mut complaints = Vec::new();
    for paper in papers {
        let text = fs::read_to_string(&paper).expect("a paper can be read");
        let name = paper.strip_prefix(root).unwrap_or(&paper).display();
        for (line, link) in links(&text) {
            if let Some(why) = broken(&paper, &link) {
                complaints.push(format!("{name}:{line}: links to `{link}`\n    {why}"));
            }
        }
    }
    complaints
}

/// Every link of a text with its line, but for those to other sites; blocks of code have none.
pub(crate) fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for rest in line.split("](").skip(1) {
            let link = rest.split([')', ' ']).next().unwrap_or(rest);
            if !link.contains("://") && !link.starts_with("mailto:") {
                found.push((number + 1, link.to_owned()));
            }
        }
    }
    found
}

fn broken(paper: &Path, link: &str) -> Option<String> {
    let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
    let target = match file {
        "" => paper.to_owned(),
        _ => paper.parent().unwrap_or(paper).join(file),
    };
    if !target.exists() {
        return Some("There is no such file. Name where it went, or drop the link.".to_owned());
    }
    if fragment.is_empty() || target.extension().is_none_or(|kind| kind != "md") {
        return None;
    }
    let text = fs::read_to_string(&target).expect("a paper can be read");
    let has_it = text
        .lines()
        .any(|line| anchor(line).as_deref() == Some(fragment));
    (!has_it).then(|| format!("{file} has no heading `#{fragment}`."))
}

/// The fragment by which GitHub links to a heading.
fn anchor(line: &str) -> Option<String> {
    let heading = line.trim_start_matches('#');
    if heading.len() == line.len() || !heading.starts_with(' ') {
        return None;
    }
    let mut anchor = String::new();
    for c in heading.trim().to_lowercase().chars() {
        match c {
            ' ' => anchor.push('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => anchor.push(c),
            _ => {}
        }
    }
    Some(anchor)
}

/// Every `.md` file below a folder. What builds and tools leave behind is no paper.
fn collect(folder: &Path, papers: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let left_behind = ["target", "data", ".git", ".tools"].contains(&name.as_str());
        if path.is_dir() && !left_behind {
            collect(&path, papers);
        } else if path.extension().is_some_and(|kind| kind == "md") {
            papers.push(path);
        }
    }
}
