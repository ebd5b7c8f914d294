//! Compiles the mail's MJML to HTML once, here, so that a service start parses nothing and a broken
//! layout fails the build; minijinja's placeholders pass through untouched and are filled by
//! `mail::template`.

use std::{collections::HashMap, env, fs, path::Path};

use mrml::prelude::render::RenderOptions;

fn main() {
    println!("cargo::rerun-if-changed=templates");
    let mjml =
        fs::read_to_string("templates/verification.mjml").expect("the layout is in the package");
    let layout = mrml::parse(mjml).expect("templates/verification.mjml is valid MJML");
    // mrml knows web fonts by name and would load them from afar: a mail loads nothing.
    let options = RenderOptions {
        fonts: HashMap::new(),
        ..RenderOptions::default()
    };
    let html = layout.element.render(&options);
    let html = html.expect("templates/verification.mjml can be rendered");
    let target =
        Path::new(&env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("verification.html");
    fs::write(target, html).expect("OUT_DIR is writable");
}
