//! The page: what mails say is shown and never run, and no page of somebody else changes anything.

use super::ground::{Answer, Mailbox};

const HOSTILE: &str = "From: \"<script>alert(1)</script>\" <ada@example.com>\r\n\
    Subject: <script>alert(2)</script>\"'&{{ 7*7 }}\r\n\
    X-Hostile: </td><img src=x onerror=alert(3)>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/alternative; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain\r\n\r\n</pre><script>alert(4)</script>\r\n\
    --b\r\nContent-Type: text/html\r\n\r\n<script>alert(5)</script><h1>Hello</h1>\r\n--b--\r\n";

/// The directives of its policy.
fn policy(answer: &Answer) -> Vec<&str> {
    let policy = answer.header("content-security-policy").split(';');
    policy.map(str::trim).collect()
}

#[tokio::test]
async fn what_a_hostile_mail_says_is_shown_and_never_run() {
    let folder = kit::testing::folder();
    let mailbox = Mailbox::start(folder.path(), &[]).await;
    mailbox.send("eve+%3Cb%3E@example.com", HOSTILE);
    let mail = mailbox.only();
    let id = mail["id"].as_str().unwrap();
    let list = mailbox.get("/?text=%3Cscript%3E&to=");
    let shown = mailbox.get(&format!("/mails/{id}"));
    for page in [&list, &shown] {
        assert_eq!(page.status, 200);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let text = page.text();
        assert!(!text.contains("<script"), "{text}");
        assert!(!text.contains("<img"), "{text}");
        assert!(
            text.contains("&lt;script&gt;alert(2)&lt;&#x2f;script&gt;&quot;"),
            "{text}"
        );
        assert!(text.contains("{{ 7*7 }}"), "no template of ours: {text}");
        let policy = policy(page);
        for directive in [
            "default-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(&directive), "{policy:?}");
        }
        assert!(
            !policy.iter().any(|one| one.starts_with("script-src")),
            "{policy:?}"
        );
    }
    let frame = format!("<iframe sandbox=\"\" src=\"/mails/{id}/html\"");
    assert!(shown.text().contains(&frame), "{}", shown.text());

    let html = mailbox.get(&format!("/mails/{id}/html"));
    assert!(
        html.text().contains("<script>alert(5)</script>"),
        "as it came"
    );
    let inside = policy(&html);
    // Without `allow-…`: no script, no form, no window, no origin of ours, in the frame or out of it.
    for directive in [
        "sandbox",
        "default-src 'none'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
        "img-src data:",
    ] {
        assert!(inside.contains(&directive), "{inside:?}");
    }
    let api = mailbox.get(&format!("/api/v1/mails/{id}"));
    assert!(api.json()["html"].as_str().unwrap().contains("<h1>"));
    assert!(api.json()["text"].as_str().unwrap().contains("alert(4)"));
    let raw = mailbox.get(&format!("/api/v1/mails/{id}/raw"));
    assert_eq!(
        raw.header("content-disposition"),
        format!("attachment; filename=\"{id}.eml\"")
    );
    for data in [
        &api,
        &raw,
        &mailbox.get("/nothing"),
        &mailbox.get("/readyz"),
    ] {
        let policy = policy(data);
        assert!(
            policy.contains(&"sandbox") && policy.contains(&"default-src 'none'"),
            "{policy:?}"
        );
    }
    for answer in [&list, &shown, &html, &api, &raw] {
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn the_list_is_newest_first_and_leads_to_older_ones() {
    let folder = kit::testing::folder();
    let mailbox = Mailbox::start(folder.path(), &[]).await;
    assert!(mailbox.get("/").text().contains("No mails yet."));
    let mut client = mailbox.client();
    for number in 0..51 {
        let message = format!("Subject: number {number}.\r\n\r\n");
        client.send(&["eve@example.com"], message.as_bytes());
    }
    let page = mailbox.get("/?to=eve@example.com").text();
    let at = |what: &str| {
        page.find(what)
            .unwrap_or_else(|| panic!("{what} is not in {page}"))
    };
    assert!(at("number 50.") < at("number 1."));
    assert!(!page.contains("number 0."), "{page}");
    let older = page[at("/?to=eve%40example.com")..]
        .split('"')
        .next()
        .unwrap();
    let older = mailbox.get(&older.replace("&amp;", "&")).text();
    assert!(
        older.contains("number 0.") && !older.contains("number 1."),
        "{older}"
    );
    assert!(
        mailbox
            .get("/?text=nowhere")
            .text()
            .contains("No such mails.")
    );
    let style = mailbox.get("/style.css");
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
}

#[tokio::test]
async fn a_page_of_somebody_else_deletes_nothing() {
    let folder = kit::testing::folder();
    let mailbox = Mailbox::start(folder.path(), &[]).await;
    mailbox.send("eve@example.com", "Subject: stays\r\n\r\n");
    let mail = mailbox.only();
    let path = format!("/mails/{}/delete", mail["id"].as_str().unwrap());
    let post = |headers: &[(&str, &str)]| mailbox.ask("POST", &path, headers).status;
    let own = format!("http://{}", mailbox.http);
    for strange in [
        &[("origin", "http://evil.example")][..],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", &own)],
    ] {
        assert_eq!(post(strange), 403, "{strange:?}");
    }
    // A browser asks before it lets a page of somebody else delete by the API.
    let asks = [
        ("origin", "http://evil.example"),
        ("access-control-request-method", "DELETE"),
    ];
    let asked = mailbox.ask("OPTIONS", "/api/v1/mails", &asks);
    assert_eq!(
        (asked.status, asked.header("access-control-allow-methods")),
        (405, "")
    );
    assert_eq!(mailbox.only()["subject"], "stays");
    let deleted = mailbox.ask("POST", &path, &[("origin", &own)]);
    assert_eq!((deleted.status, deleted.header("location")), (303, "/"));
    assert_eq!(mailbox.list("")["mails"], serde_json::json!([]));
}
