//! Where a server is that speaks HTTP: scheme, host, port and perhaps a path in front of all others.

use std::{
    fmt::{self, Display},
    str::FromStr,
};

use hyper::{
    Uri,
    http::uri::{Authority, PathAndQuery},
};
use kit::config::refused_url;

/// `http://HOST[:PORT][/PATH]`, or `https://`; without a user, a query or a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebUrl {
    is_https: bool,
    authority: Authority,
    /// Without a slash at its end.
    base: String,
}

impl FromStr for WebUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "http://HOST[:PORT][/PATH] or https://…, without a user";
        let refused = || refused_url(text, EXPECTED);
        let uri: Uri = text.parse().map_err(|_| refused())?;
        let authority = uri.authority().ok_or_else(refused)?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refused()),
        };
        let is_bare = !authority.as_str().contains('@') && uri.query().is_none();
        if !is_bare || text.contains('#') || authority.host().is_empty() {
            return Err(refused());
        }
        Ok(Self {
            is_https,
            authority: authority.clone(),
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl WebUrl {
    pub(crate) fn is_https(&self) -> bool {
        self.is_https
    }

    pub(super) fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// A name, or an address without brackets.
    pub(super) fn host(&self) -> &str {
        let host = self.authority.host();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn port(&self) -> u16 {
        let usual = if self.is_https { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(usual)
    }

    /// A path of the server behind its own; nothing where it is none.
    pub(super) fn under(&self, path: &Uri) -> Option<Uri> {
        let path: PathAndQuery = format!("{}{path}", self.base).parse().ok()?;
        Some(Uri::from(path))
    }
}

impl Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::WebUrl;

    #[test]
    fn a_server_is_a_host_perhaps_with_a_port_and_a_path() {
        for (text, host, port, path) in [
            ("http://jaeger:16686", "jaeger", 16686, "/api"),
            (
                "https://jaeger.example/ui/",
                "jaeger.example",
                443,
                "/ui/api",
            ),
            ("http://[::1]:80", "::1", 80, "/api"),
        ] {
            let url: WebUrl = text.parse().unwrap();
            assert_eq!((url.host(), url.port()), (host, port));
            assert_eq!(url.under(&"/api".parse().unwrap()).unwrap(), path);
            assert_eq!(url.to_string(), text.trim_end_matches('/'));
        }
        for wrong in [
            "jaeger:16686",
            "ftp://jaeger",
            "http://",
            "http://a:b@jaeger",
            "http://jaeger/?a=b",
            "http://jaeger/#a",
            "dns:///jaeger:16686",
            "",
        ] {
            assert!(wrong.parse::<WebUrl>().is_err(), "{wrong}");
        }
    }
}
