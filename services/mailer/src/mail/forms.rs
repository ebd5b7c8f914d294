//! The layouts as they stand in a mail: filled once with all that the mails of a language have in
//! common, and encoded once. A mail encodes only what is its own in them, some hundreds of fifteen
//! thousand octets.

use minijinja::{HtmlEscape, Value};
use quoted_printable::{InputMode, Options, encode_with_options};

use super::{
    message::{Encoded, Unmailable},
    template::{Content, LANGUAGES, Own, Templates, unbroken},
};
use crate::domain::Language;

/// Stands around the name of what is a mail's own, while a layout is cut. Unicode keeps it for uses
/// like this one (§23.7, noncharacters), and neither a layout nor a sender's title has any.
const MARK: char = '\u{fdd0}';
/// Stands before the name where no line may end within what belongs together.
const UNBROKEN: &str = "unbroken ";

/// A line that goes on in the next one.
const SOFT_BREAK: &[u8] = b"=\r\n";
/// Octets of a line, without the sign that it goes on (RFC 2045 §6.7).
const LINE: usize = 75;

/// Octets of what is a mail's own, encoded, as nearly always.
const ROOM: usize = 1_024;

/// The layouts in each language, with a link and without.
#[derive(Debug)]
pub(crate) struct Forms(Vec<Form>);

#[derive(Debug)]
struct Form {
    language: Language,
    has_link: bool,
    subject: String,
    text: Layout,
    html: Layout,
}

/// What is common to all mails, encoded, and the name of what is a mail's own between two of it.
#[derive(Debug)]
struct Layout {
    first: Vec<u8>,
    rest: Vec<(Gap, Vec<u8>)>,
}

#[derive(Debug)]
struct Gap {
    name: String,
    is_unbroken: bool,
}

impl Forms {
    /// Fills in and encodes what all mails of this sender have in common.
    pub(crate) fn compile(templates: &Templates, sender: &str) -> Result<Self, Unmailable> {
        let mut layouts = templates.layouts().clone();
        layouts.add_filter("unbroken", marking);
        let mut forms = Vec::new();
        for language in LANGUAGES {
            for has_link in [false, true] {
                let marks = Own {
                    preheader: mark("preheader"),
                    greeting: mark("greeting"),
                    expiry: mark("expiry"),
                    code: mark("code"),
                    link: has_link.then(|| mark("link")),
                    href: has_link.then(|| mark("href")),
                };
                let rendered = templates.fill(&layouts, language, sender, &marks)?;
                forms.push(Form {
                    language,
                    has_link,
                    subject: rendered.subject,
                    text: Layout::cut(&rendered.text),
                    html: Layout::cut(&rendered.html),
                });
            }
        }
        Ok(Self(forms))
    }

    /// Fills in what is one mail's own.
    pub(crate) fn fill(
        &self,
        templates: &Templates,
        content: &Content<'_>,
    ) -> Result<Encoded, Unmailable> {
        let own = templates.own(content)?;
        let fits = |form: &&Form| {
            form.language == content.language && form.has_link == content.link.is_some()
        };
        let form = self.0.iter().find(fits).ok_or(Unmailable::Language)?;
        Ok(Encoded {
            subject: form.subject.clone(),
            text: form.text.filled(|gap| own.get(&gap.name).to_owned()),
            html: form.html.filled(|gap| gap.html(&own)),
        })
    }
}

impl Layout {
    fn cut(rendered: &str) -> Self {
        let mut pieces = rendered.split(MARK);
        let mut first = encoded(pieces.next().unwrap_or_default());
        let mut rest: Vec<(Gap, Vec<u8>)> = Vec::new();
        while let Some(name) = pieces.next() {
            let before = rest.last_mut().map_or(&mut first, |(_, common)| common);
            // What is a mail's own begins on a line of its own: however long it is, all that
            // follows has its line ends already.
            if !before.is_empty() && !before.ends_with(b"\r\n") {
                before.extend_from_slice(SOFT_BREAK);
            }
            let mut common = encoded(pieces.next().unwrap_or_default());
            if !common.starts_with(b"\r\n") {
                common.splice(..0, SOFT_BREAK.iter().copied());
            }
            rest.push((Gap::parse(name), common));
        }
        Self { first, rest }
    }

    fn filled(&self, own: impl Fn(&Gap) -> String) -> Vec<u8> {
        let common = self.rest.iter().map(|(_, common)| common.len());
        let common = self.first.len() + common.sum::<usize>();
        let mut filled = Vec::with_capacity(common + ROOM);
        filled.extend_from_slice(&self.first);
        for (gap, common) in &self.rest {
            filled.extend_from_slice(&encoded(&own(gap)));
            filled.extend_from_slice(common);
        }
        filled
    }
}

impl Gap {
    fn parse(name: &str) -> Self {
        let is_unbroken = name.starts_with(UNBROKEN);
        Self {
            name: name.trim_start_matches(UNBROKEN).to_owned(),
            is_unbroken,
        }
    }

    /// As the layout's own filters write it.
    fn html(&self, own: &Own) -> String {
        let text = own.get(&self.name);
        match &*self.name {
            _ if self.is_unbroken => unbroken(text).to_string(),
            // Escaped already, in its own way.
            "href" => text.to_owned(),
            _ => HtmlEscape(text).to_string(),
        }
    }
}

impl Own {
    fn get(&self, name: &str) -> &str {
        match name {
            "preheader" => &self.preheader,
            "greeting" => &self.greeting,
            "expiry" => &self.expiry,
            "code" => &self.code,
            "link" => self.link.as_deref().unwrap_or_default(),
            "href" => self.href.as_deref().unwrap_or_default(),
            _ => unreachable!("only these are marked"),
        }
    }
}

fn mark(name: &str) -> String {
    format!("{MARK}{name}{MARK}")
}

/// The layouts' filter while they are cut: notes where it stands.
fn marking(sentence: &str) -> Value {
    match sentence.strip_prefix(MARK) {
        Some(name) => Value::from_safe_string(format!("{MARK}{UNBROKEN}{name}")),
        None => unbroken(sentence),
    }
}

fn encoded(text: &str) -> Vec<u8> {
    let lines = text.replace("\r\n", "\n").replace('\n', "\r\n");
    let options = Options::default()
        .line_length_limit(LINE)
        .input_mode(InputMode::Text);
    encode_with_options(lines, options).into_bytes()
}
