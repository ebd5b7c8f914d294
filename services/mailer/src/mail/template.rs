//! Fills the compiled layout and the texts with one mail's values; `forms` does it for a mail that is
//! sent, `message` frames the result.

use std::time::Duration;

use minijinja::{AutoEscape, Environment, HtmlEscape, UndefinedBehavior, Value, context};
use time::OffsetDateTime;

use super::texts::{self, Texts};
use crate::domain::{Digits, DisplayName, Language, Lifetime};

pub(super) const LANGUAGES: [Language; 3] = [Language::English, Language::French, Language::German];

const HTML: &str = "verification.html";
const TEXT: &str = "verification.txt";

/// What the texts have for a hyphen and for a space at which no line may end.
const HYPHEN: char = '\u{2011}';
const SPACE: char = '\u{a0}';

/// The layouts and every language's texts, compiled once.
#[derive(Debug)]
pub(crate) struct Templates {
    layouts: Environment<'static>,
    texts: [(Language, Texts); LANGUAGES.len()],
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

/// What is one mail's own in its layouts. It holds the code: without `Debug` nothing can print it.
pub(super) struct Own {
    pub(super) preheader: String,
    pub(super) greeting: String,
    pub(super) expiry: String,
    pub(super) code: String,
    pub(super) link: Option<String>,
    /// The same between quotes in HTML.
    pub(super) href: Option<String>,
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
        let texts = LANGUAGES.map(|language| (language, Texts::of(language)));
        for (language, texts) in &texts {
            for (name, text) in texts.own() {
                layouts.add_template_owned(sentence(*language, name), text.to_owned())?;
            }
        }
        Ok(Self { layouts, texts })
    }

    /// Renders one mail.
    pub(crate) fn render(&self, content: &Content<'_>) -> Result<Rendered, minijinja::Error> {
        let own = self.own(content)?;
        self.fill(&self.layouts, content.language, content.sender, &own)
    }

    /// The layouts themselves, for who fills them in another way.
    pub(super) fn layouts(&self) -> &Environment<'static> {
        &self.layouts
    }

    /// Fills the layouts.
    pub(super) fn fill(
        &self,
        layouts: &Environment<'_>,
        language: Language,
        sender: &str,
        own: &Own,
    ) -> Result<Rendered, minijinja::Error> {
        let texts = self.texts(language);
        // Sentences are filled as plain text first and escaped as a whole in the HTML part, so that
        // a value can neither be markup nor a template.
        let common = context! { sender };
        let sentences = context! {
            subject => &texts.subject,
            preheader => &own.preheader,
            greeting => &own.greeting,
            introduction => layouts.render_str(&texts.introduction, &common)?,
            link_introduction => &texts.link_introduction,
            button => &texts.button,
            expiry => &own.expiry,
            ignore => layouts.render_str(&texts.ignore, &common)?,
            automatic => &texts.automatic,
        };
        let values = context! {
            locale => language.tag(),
            sender,
            code => &own.code,
            link => &own.link,
            href => own.href.clone().map(Value::from_safe_string),
            texts => sentences,
        };
        Ok(Rendered {
            subject: self.subject(language),
            text: layouts.get_template(TEXT)?.render(&values)?,
            html: layouts.get_template(HTML)?.render(&values)?,
        })
    }

    pub(super) fn subject(&self, language: Language) -> String {
        // No line of ours: some mail programs have no sign for the hyphen of the texts there.
        self.texts(language).subject.replace(HYPHEN, "-")
    }

    /// What one mail says that others do not.
    pub(super) fn own(&self, content: &Content<'_>) -> Result<Own, minijinja::Error> {
        let (language, expires_at) = (content.language, content.expires_at);
        let fill = |name, values: &Value| {
            let sentence = self.layouts.get_template(&sentence(language, name))?;
            sentence.render(values)
        };
        let time = format!("{:02}:{:02}", expires_at.hour(), expires_at.minute());
        let month = self.texts(language).month(expires_at.month());
        let until = context! { day => expires_at.day(), month, year => expires_at.year(), time };
        let (phrase, n) = texts::phrase(Lifetime::of(content.left));
        let values = context! {
            name => content.name.as_str(),
            sender => content.sender,
            lifetime => fill(phrase, &context! { n })?,
            until => fill("until", &until)?,
        };
        let greeting = match content.name.as_str() {
            "" => "greeting_without_name",
            _ => "greeting",
        };
        Ok(Own {
            preheader: fill("preheader", &values)?,
            greeting: fill(greeting, &values)?,
            expiry: fill("expiry", &values)?,
            code: content.digits.grouped(),
            link: content.link.map(str::to_owned),
            // The engine would write each slash as `&#x2f;`, which careless mail programs do not
            // undo.
            href: content.link.map(|link| link.replace('&', "&amp;")),
        })
    }

    fn texts(&self, language: Language) -> &Texts {
        let found = self.texts.iter().find(|(of, _)| *of == language);
        &found.unwrap_or(&self.texts[0]).1
    }
}

/// The name of a sentence's template.
fn sentence(language: Language, name: &str) -> String {
    format!("{}/{name}", language.tag())
}

/// A sentence as HTML, in which no line ends within what belongs together.
pub(super) fn unbroken(sentence: &str) -> Value {
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
