//! URLs that are settings: why one is refused, without a word of it, because whatever stands in it
//! may be a part of a password.

use http::uri::Authority;
use percent_encoding::percent_decode_str;
use url::{ParseError, Url};

/// What ends a part of a URL too early where it stands in a user or a password as it is.
const SPECIAL: [(char, &str); 3] = [('#', "%23"), ('/', "%2F"), ('?', "%3F")];

/// Why `text` is no URL as `expected`, which says what one looks like: the character that is to be
/// percent-encoded, if that is why.
pub fn refused_url(text: &str, expected: &str) -> String {
    let (_, rest) = text.split_once("://").unwrap_or_default();
    // Everything in front of the last `@` was meant as a login.
    let login = rest.rsplit_once('@').map_or("", |(login, _)| login);
    let first = login
        .chars()
        .find_map(|c| SPECIAL.iter().find(|one| one.0 == c));
    if let Some((character, code)) = first {
        return format!(
            "percent-encode `{character}` as {code} in its user or password; expected {expected}"
        );
    }
    if has_bare_percent(text) {
        return format!("percent-encode `%` as %25 in its user or password; expected {expected}");
    }
    match Url::parse(text) {
        Err(ParseError::InvalidPort) => {
            format!("its port is no number from 1 to 65535; expected {expected}")
        }
        _ => format!("expected {expected}"),
    }
}

/// A part of a URL, decoded; nothing where it cannot be, or where a `%` in it begins no code.
pub fn decoded(part: &str) -> Option<String> {
    let text = percent_decode_str(part).decode_utf8().ok()?;
    (!has_bare_percent(part)).then(|| text.into_owned())
}

/// Whether a `%` begins no code: it stands for itself, and a decoder may take it for a part of one.
fn has_bare_percent(text: &str) -> bool {
    let is_code = |part: &str| {
        let code = part.as_bytes().get(..2);
        code.is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit))
    };
    text.split('%').skip(1).any(|part| !is_code(part))
}

/// How the URL of a service begins that is found by its name: gRPC's way to write one, of which the
/// part for the DNS server stays empty.
const BY_NAME: &str = "dns:///";

/// Reads a setting that is where a service listens: `http://HOST:PORT`, or `dns:///HOST:PORT` for
/// every address behind the name. Never with a login: there is nobody who would take it.
///
/// # Errors
/// What it looks like, without the URL.
pub fn service_url(text: &str) -> Result<String, String> {
    const EXPECTED: &str =
        "http://HOST:PORT or dns:///HOST:PORT without a user, a path or anything else";
    let refused = || refused_url(text, EXPECTED);
    if text.trim_start().starts_with("dns:") {
        return named_host(text)
            .map(|_| text.to_owned())
            .ok_or_else(refused);
    }
    let url = Url::parse(text).map_err(|_| refused())?;
    let is_bare = url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    let has_host = url.host_str().is_some_and(|host| !host.is_empty());
    match is_bare && has_host && matches!(url.scheme(), "http" | "https") {
        true => Ok(text.to_owned()),
        false => Err(refused()),
    }
}

/// Host and port of `dns:///HOST:PORT`; nothing of any other text.
pub fn named_host(url: &str) -> Option<(String, u16)> {
    let place = url.trim().strip_prefix(BY_NAME)?;
    let place: Authority = place.parse().ok().filter(|_| !place.contains('@'))?;
    // As it is looked up: the brackets of an address of IPv6 belong to the URL.
    let host = place.host().trim_matches(['[', ']']);
    let port = place.port_u16().filter(|port| *port > 0)?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::{named_host, refused_url, service_url};

    #[test]
    fn a_refusal_says_what_to_encode_and_nothing_of_the_url() {
        let told = [
            ("a://u:p#x@h", "percent-encode `#` as %23"),
            ("a://u:p/x@h", "percent-encode `/` as %2F"),
            ("a://u:p?#@h", "percent-encode `?` as %3F"),
            ("a://u:1%2@h", "percent-encode `%` as %25"),
            ("a://u:p@h:x", "its port is no number"),
            ("a:u:p@h", "expected the right one"),
            ("", "expected the right one"),
        ];
        for (url, start) in told {
            let refusal = refused_url(url, "the right one");
            assert!(refusal.starts_with(start), "{url}: {refusal}");
        }
    }

    #[test]
    fn a_services_url_is_host_and_port() {
        for right in [
            "http://127.0.0.1:50053",
            "http://mailer:1/",
            "https://[::1]:1",
            "dns:///mailer-headless:50053",
            "dns:///[::1]:1",
        ] {
            assert_eq!(service_url(right), Ok(right.to_owned()));
        }
        for wrong in [
            "mailer:1",
            "http://",
            "http://a@b:1",
            "http://a:b@c",
            "http://a/b",
            "x://a",
            "dns://mailer:1",
            "dns:mailer:1",
            "dns:///mailer",
            "dns:///mailer:0",
            "dns:///a@mailer:1",
            "dns:///mailer:1/path",
            "dns:///:1",
        ] {
            assert!(service_url(wrong).is_err(), "{wrong}");
        }
        let named = named_host("dns:///[::1]:7");
        assert_eq!(named, Some(("::1".to_owned(), 7)));
    }
}
