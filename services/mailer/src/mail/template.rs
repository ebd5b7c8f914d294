//! Fills the compiled layout and the texts with one mail's values; `message` frames the result.

use std::time::Duration;

use minijinja::{AutoEscape, Environment, HtmlEscape, UndefinedBehavior, Value, context};
use time::OffsetDateTime;

use super::texts::Texts;
use crate::domain::{Digits, DisplayName, Language, Lifetime};

const HTML: &str = "verification.html";
const TEXT: &str = "verification.txt";

/// What the texts have for a hyphen and for a space at which no line may end.
const HYPHEN: char = '\u{2011}';
const SPACE: char = '\u{a0}';

/// The layouts and every language's texts, compiled once.
#[derive(Debug)]
pub(crate) struct Templates {
    layouts: Environment<'static>,
    texts: [(Language, Texts); 3],
}

/// What one verification mail says.
#[derive(Debug)]
pub(crate) struct Content<'a> {
    /// Language to write in.
    pub(crate) language: Language,
    /// How the texts call the sender.
    pub(crate) sender: &'a str,
    pub(crate) name: &'a DisplayName,
    pub(crate) digits: &'a Digits,
    /// Where a press of the button leads, a URL without quotes and angle brackets; no button
    /// without it.
    pub(crate) link: Option<&'a str>,
    /// How long the code still works.
    pub(crate) left: Duration,
    /// When it stops working.
    pub(crate) expires_at: OffsetDateTime,
}

/// A mail's three parts. They hold the code: without `Debug` nothing can print them.
pub(crate) struct Rendered {
    /// One line; the code is not in it, so that a locked screen does not show it.
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl Templates {
    /// Compiles them.
    pub(crate) fn compile() -> Result<Self, minijinja::Error> {
        let mut layouts = Environment::new();
        layouts.set_undefined_behavior(UndefinedBehavior::Strict);
        // By name: `.html` is escaped, `.txt` and the texts are not.
        layouts.set_auto_escape_callback(|name| match name.ends_with(".html") {
            true => AutoEscape::Html,
            false => AutoEscape::None,
        });
        layouts.add_filter("unbroken", unbroken);
        layouts.add_template(
            HTML,
            include_str!(concat!(env!("OUT_DIR"), "/verification.html")),
        )?;
        layouts.add_template(TEXT, include_str!("../../templates/verification.txt"))?;
        let languages = [Language::English, Language::French, Language::German];
        Ok(Self {
            layouts,
            texts: languages.map(|language| (language, Texts::of(language))),
        })
    }

    /// Renders one mail.
    pub(crate) fn render(&self, content: &Content<'_>) -> Result<Rendered, minijinja::Error> {
        let texts = self.texts(content.language);
        // Sentences are filled as plain text first and escaped as a whole in the HTML part, so that
        // a value can neither be markup nor a template.
        let sentences = self.sentences(texts, content)?;
        let values = context! {
            locale => content.language.tag(),
            sender => content.sender,
            code => content.digits.grouped(),
            link => content.link,
            // The engine would write each slash as `&#x2f;`, which careless mail programs do not
            // undo.
            href => content.link.map(|link| Value::from_safe_string(link.replace('&', "&amp;"))),
            texts => sentences,
        };
        Ok(Rendered {
            // No line of ours: some mail programs have no sign for the hyphen of the texts there.
            subject: texts.subject.replace(HYPHEN, "-"),
            text: self.layouts.get_template(TEXT)?.render(&values)?,
            html: self.layouts.get_template(HTML)?.render(&values)?,
        })
    }

    fn sentences(&self, texts: &Texts, content: &Content<'_>) -> Result<Value, minijinja::Error> {
        let (phrase, n) = texts.lifetime(Lifetime::of(content.left));
        let expires_at = content.expires_at;
        let time = format!("{:02}:{:02}", expires_at.hour(), expires_at.minute());
        let month = texts.month(expires_at.month());
        let until = context! { day => expires_at.day(), month, year => expires_at.year(), time };
        let values = context! {
            name => content.name.as_str(),
            sender => content.sender,
            lifetime => self.fill(phrase, &context! { n })?,
            until => self.fill(&texts.until, &until)?,
        };
        let greeting = match content.name.as_str() {
            "" => &texts.greeting_without_name,
            _ => &texts.greeting,
        };
        Ok(context! {
            subject => &texts.subject,
            preheader => self.fill(&texts.preheader, &values)?,
            greeting => self.fill(greeting, &values)?,
            introduction => self.fill(&texts.introduction, &values)?,
            link_introduction => &texts.link_introduction,
            button => &texts.button,
            expiry => self.fill(&texts.expiry, &values)?,
            ignore => self.fill(&texts.ignore, &values)?,
            automatic => &texts.automatic,
        })
    }

    fn fill(&self, text: &str, values: &Value) -> Result<String, minijinja::Error> {
        self.layouts.render_str(text, values)
    }

    fn texts(&self, language: Language) -> &Texts {
        let found = self.texts.iter().find(|(of, _)| *of == language);
        &found.unwrap_or(&self.texts[0]).1
    }
}

/// A sentence as HTML, in which no line ends within what belongs together.
fn unbroken(sentence: &str) -> Value {
    let mut html = Vec::new();
    for word in sentence.split(' ') {
        let escaped = HtmlEscape(word).to_string();
        html.push(match word.contains([HYPHEN, SPACE]) {
            // Not by its signs alone: fonts without such a hyphen borrow that of another one.
            true => format!(
                r#"<span style="white-space:nowrap">{}</span>"#,
                escaped.replace(HYPHEN, "-")
            ),
            false => escaped,
        });
    }
    Value::from_safe_string(html.join(" "))
}
