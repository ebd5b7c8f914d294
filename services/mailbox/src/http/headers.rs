//! What every answer says to browsers: that nothing in it is to be run or asked for.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};

/// Whatever has no policy of its own is data: nothing is fetched, nothing framed.
const DATA: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";
/// Our page: our style, our frames, forms that lead to us; no script.
pub(super) const PAGE: &str = "default-src 'none'; style-src 'self'; frame-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// What a stranger wrote: as DATA, but with the looks that it brings along, in a frame of ours.
pub(super) const FRAME: &str = "default-src 'none'; img-src data:; font-src data:; \
    style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox";

pub(super) async fn guard(mut response: Response) -> Response {
    let headers = response.headers_mut();
    set(headers, header::CONTENT_SECURITY_POLICY, DATA);
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, header::REFERRER_POLICY, "no-referrer");
    set(headers, header::CACHE_CONTROL, "no-store");
    let isolation = HeaderName::from_static("cross-origin-resource-policy");
    set(headers, isolation, "same-origin");
    response
}

/// Whether a page of ours asks, or no page: a browser says where a form stood.
pub(super) fn is_from_here(headers: &HeaderMap) -> bool {
    let said = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    match (said("sec-fetch-site"), said("origin")) {
        (Some(site), _) => site == b"same-origin",
        (None, Some(origin)) => {
            let host = said("host").unwrap_or_default();
            let of_host = origin.strip_prefix(b"http://");
            of_host.or_else(|| origin.strip_prefix(b"https://")) == Some(host)
        }
        (None, None) => true,
    }
}

/// Unless it is set.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers
        .entry(name)
        .or_insert(HeaderValue::from_static(value));
}
