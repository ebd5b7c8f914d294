//! Settings: what is refused at start, in words an operator can act on, and what is never shown.

use kit::config::from_pairs;
use mailer::config::Config;

fn refused(key: &str, value: &str) -> String {
    from_pairs::<Config>(&[(key, value)])
        .unwrap_err()
        .to_string()
}

#[test]
fn the_defaults_are_enough_for_one_machine() {
    let config = from_pairs::<Config>(&[]).unwrap();
    assert_eq!(config.service.listen.to_string(), "127.0.0.1:50053");
    assert_eq!(config.service.admin_listen.to_string(), "127.0.0.1:50153");
    assert_eq!(config.public_url, None);
}

#[test]
fn a_setting_that_cannot_be_used_is_named_with_what_was_expected() {
    for (key, value, expected) in [
        ("USHER_MAIL_URL", "smtp://", "expected smtp://"),
        (
            "USHER_MAIL_URL",
            "smtp://mail.example?tls=maybe",
            "expected smtp://",
        ),
        ("USHER_MAIL_URL", "http://mail.example", "expected smtp://"),
        ("USHER_MAIL_URL", "file:", "expected smtp://"),
        (
            "USHER_MAIL_FROM",
            "Usher",
            "expected `Name <address@domain>`",
        ),
        (
            "USHER_MAIL_FROM",
            "Us\u{fdd0}her <usher@usher.example>",
            "expected a name without U+FDD0",
        ),
        ("USHER_MAIL_HELO", "vm", "expected a full host name"),
        ("USHER_MAIL_CONNECTIONS", "1", "1 is not in 2.."),
        ("USHER_PUBLIC_URL", "usher.example", "expected http://HOST"),
        (
            "USHER_PUBLIC_URL",
            "https://usher.example/?a=b",
            "expected http://HOST",
        ),
        ("USHER_MAIL_LEASE", "soon", "expected a time"),
        ("USHER_MAIL_LEASE", "2ns", "expected at least 100ms"),
    ] {
        let message = refused(key, value);
        assert!(
            message.contains(key) && message.contains(expected),
            "{message}"
        );
    }
}

#[test]
fn the_mail_servers_password_is_never_shown() {
    let url = "smtp://user:canary@mail.example";
    let config = from_pairs::<Config>(&[("USHER_MAIL_URL", url)]).unwrap();
    assert!(!format!("{config:?}").contains("canary"));
    assert!(
        !refused(
            "USHER_MAIL_URL",
            "smtp://user:canary@mail.example?tls=maybe"
        )
        .contains("canary")
    );
}

#[test]
fn a_password_that_is_not_percent_encoded_is_refused_with_what_to_do_and_not_shown() {
    for url in [
        "smtp://bob:123#4canary@mail.example",
        "smtp://bob:123/4canary@mail.example",
        "smtp://bob:canary#4@mail.example",
        "smtp://bob:canary/4@mail.example",
        "smtp://bob:12?3canary@mail.example",
        "smtp://bob:canary@mail.example/inbox",
        "smtps://bob:canary@mail.example#fragment",
        "smtp://bob:canary@mail.example?ca=",
        "smtp://bob:canary@mail.example?tls=off&verify=no",
    ] {
        let message = refused("USHER_MAIL_URL", url);
        assert!(
            message.contains("percent-encode") && !message.contains("canary"),
            "{url}: {message}"
        );
    }
    for url in [
        "smtp://bob:12%233%2F4@mail.example",
        "smtp://bob:secret@mail.example/",
    ] {
        let taken = from_pairs::<Config>(&[("USHER_MAIL_URL", url)]);
        assert!(taken.is_ok(), "{url}");
    }
}
