//! What the reader makes of honest, sloppy and hostile servers.

use proptest::prelude::*;

use super::*;

/// One reply out of octets that come in pieces of these sizes, and how many octets it took.
fn read_in(octets: &[u8], sizes: &[usize]) -> (usize, Option<Result<Reply, NoReply>>) {
    let (mut reader, mut used, mut sizes) = (ReplyReader::default(), 0, sizes.iter().cycle());
    while used < octets.len() {
        let size = (*sizes.next().unwrap_or(&1)).min(octets.len() - used);
        let (took, decided) = reader.read(&octets[used..used + size]);
        used += took;
        if decided.is_some() {
            return (used, decided);
        }
        assert_eq!(took, size, "what decides nothing is used up");
    }
    (used, None)
}

fn read(octets: &[u8]) -> Option<Result<Reply, NoReply>> {
    ReplyReader::default().read(octets).1
}

fn reply(octets: &[u8]) -> Reply {
    read(octets).unwrap().unwrap()
}

#[test]
fn every_kind_of_line_that_servers_end_a_reply_with_is_read() {
    for (octets, code, text) in [
        (&b"250\r\n"[..], 250, ""),
        (b"250 \r\n", 250, ""),
        (b"250\n", 250, ""),
        (b"250 ok\n", 250, "ok"),
        (b"250 ok\r\r\n", 250, "ok"),
        (b"250\tok\r\n", 250, "ok"),
        (b"250-\n250\n", 250, " "),
        (b"250-a\r\n250-b\r\n250 c\r\n", 250, "a b c"),
        (b"550 bo\xeete\r\n", 550, "bo\u{fffd}te"),
        (b"550 a\0b\rc\r\n", 550, "a\0b\rc"),
    ] {
        let reply = reply(octets);
        assert_eq!((reply.code, reply.text().as_str()), (code, text));
        assert!(!reply.is_endless);
    }
}

#[test]
fn what_is_no_reply_is_none() {
    for octets in [
        &b"\r\n"[..],
        b"hello\r\n",
        b"25\r\n",
        b"2500 ok\r\n",
        b"150 ok\r\n",
        b"650 ok\r\n",
        b" 250 ok\r\n",
        b"250-ok\r\n550 no\r\n",
        b"250-ok\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"\x16\x03\x01\x00\n",
    ] {
        assert!(read(octets).unwrap().is_err(), "{octets:?}");
    }
    assert!(read(b"250 ok").is_none());
    assert!(read(b"250-ok\r\n").is_none());
}

#[test]
fn a_line_that_is_too_long_counts_by_its_code_and_the_next_reply_is_found_behind_it() {
    let long = [b"550 5.1.1 ".as_slice(), &[b'x'; 5_000], b"\r\n250 ok\r\n"].concat();
    let (used, decided) = ReplyReader::default().read(&long);
    let refused = decided.unwrap().unwrap();
    assert_eq!((refused.code, refused.lines[0].len()), (550, 508));
    assert!(!refused.is_endless);
    assert_eq!(reply(&long[used..]).code, 250);
}

#[test]
fn a_reply_without_end_is_decided_at_the_bound_by_its_code() {
    let line = [b"250 ".as_slice(), &[b'x'; 1 << 20]].concat();
    let lines = b"250-\r\n".repeat(200_000);
    for (octets, bound) in [(line, LONGEST_REPLY), (lines, MOST_LINES * 6)] {
        let (used, decided) = ReplyReader::default().read(&octets);
        let endless = decided.unwrap().unwrap();
        assert_eq!((used, endless.code), (bound, 250));
        assert!(endless.is_endless);
    }
    assert!(read(&[b'x'; 1 << 20]).unwrap().is_err());
}

#[test]
fn the_enhanced_status_is_found_where_servers_put_it() {
    for (octets, status) in [
        (
            &b"550 5.1.1 no such user\r\n"[..],
            Some(EnhancedStatus(5, 1, 1)),
        ),
        (b"553 sorry (#5.7.1)\r\n", Some(EnhancedStatus(5, 7, 1))),
        (
            b"550-Sorry\r\n550 5.1.10 RecipientNotFound\r\n",
            Some(EnhancedStatus(5, 1, 10)),
        ),
        (
            b"550 #5.1.0 Address rejected.\r\n",
            Some(EnhancedStatus(5, 1, 0)),
        ),
        (b"550 no (#5.1.1).\r\n", Some(EnhancedStatus(5, 1, 1))),
        (b"550 Exim 4.94.2 says no\r\n", None),
        (b"550 4.94.2\r\n", None),
        (b"550 10.5.1.1 is blocked\r\n", None),
        (b"550 <5.1.1@example.com> no\r\n", None),
        (b"550 4.1.1 no\r\n", Some(EnhancedStatus(4, 1, 1))),
        (b"550 no\r\n", None),
        (b"550\r\n", None),
    ] {
        let shown = String::from_utf8_lossy(octets);
        assert_eq!(reply(octets).status(), status, "{shown}");
    }
}

/// Octets as a hostile server would choose them: mostly those that the reader looks at.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"250".to_vec()),
        Just(b"250-".to_vec()),
        Just(b"550 ".to_vec()),
        Just(b"5.1.1".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(vec![b'x'; 600]),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_split_of_the_octets_gives_the_same_reply(
        octets in hostile(),
        sizes in prop::collection::vec(1_usize..700, 1..20),
    ) {
        prop_assert_eq!(read_in(&octets, &sizes), read_in(&octets, &[octets.len().max(1)]));
        prop_assert_eq!(read_in(&octets, &[1]), read_in(&octets, &[octets.len().max(1)]));
    }

    #[test]
    fn octets_behind_a_reply_are_left_over(text in "[ -~]{0,80}", early in hostile()) {
        let answer = format!("250-{text}\r\n250 {text}\r\n").into_bytes();
        let (used, decided) = ReplyReader::default().read(&[answer.clone(), early].concat());
        prop_assert_eq!(used, answer.len());
        prop_assert!(decided.unwrap().is_ok());
    }

    #[test]
    fn whatever_comes_is_decided_within_the_bounds(seed in hostile(), more in hostile()) {
        let mut endless = seed;
        while endless.len() <= LONGEST_REPLY {
            endless.extend_from_slice(&more);
            endless.push(b'x');
        }
        let (used, decided) = ReplyReader::default().read(&endless);
        prop_assert!(decided.is_some() && used <= LONGEST_REPLY);
        if let Some(Ok(reply)) = decided {
            let _ = (reply.status(), reply.line());
            prop_assert!(reply.lines.len() <= MOST_LINES);
            prop_assert!((200..600).contains(&reply.code));
        }
    }
}
