//! Meta commands: what memcached 1.6.18 was seen to make of them.

use super::super::meta::{KeyText, MetaRequest, MetaVerb};
use super::super::{Direction, Exptime, Request, StoreVerb, parse, reply};
use super::{LIMITS, check, refused, too_large};
use crate::protocol::Parsed;

/// A request's flags, in text, and its value.
type Parts<'a> = (MetaVerb, &'a [u8], bool, &'a [(char, &'a [u8])], &'a [u8]);

fn takes(wire: &[u8], (verb, key, is_base64, flags, value): Parts<'_>) {
    let expected = Parsed::Complete {
        request: format!("{:?}", (verb, (key, is_base64), flags, value)),
        consumed: wire.len(),
    };
    check(wire, expected);
}

fn read(wire: &[u8]) -> MetaRequest<'_> {
    match parse(wire, &LIMITS) {
        Parsed::Complete {
            request: Request::Meta(request),
            ..
        } => request,
        other => panic!("{}: {other:?}", wire.escape_ascii()),
    }
}

#[test]
fn requests_are_read() {
    use MetaVerb::{Arithmetic, Debug, Delete, Get, Set};
    takes(b"mg k\r\n", (Get, b"k", false, &[], b""));
    takes(b"mg k v\n", (Get, b"k", false, &[('v', b"")], b""));
    takes(
        b" mg  k  k Oab  q \r\n",
        (
            Get,
            b"k",
            false,
            &[('k', b""), ('O', b"ab"), ('q', b"")],
            b"",
        ),
    );
    takes(b"mg k vx\r\n", (Get, b"k", false, &[('v', b"x")], b""));
    takes(
        b"mg Zm9v v b\r\n",
        (Get, b"Zm9v", true, &[('v', b""), ('b', b"")], b""),
    );
    takes(b"mg a\0b v\r\n", (Get, b"a", false, &[], b""));
    takes(b"mg a v\0b v\r\n", (Get, b"a", false, &[('v', b"")], b""));
    takes(
        b"mg k F5 D1 J2 MX C5 I T30 N-1 R+7 Pp Ll E9 x\r\n",
        (
            Get,
            b"k",
            false,
            &[
                ('F', b"5"),
                ('D', b"1"),
                ('J', b"2"),
                ('M', b"X"),
                ('C', b"5"),
                ('I', b""),
                ('T', b"30"),
                ('N', b"-1"),
                ('R', b"+7"),
                ('P', b"p"),
                ('L', b"l"),
                ('E', b"9"),
                ('x', b""),
            ],
            b"",
        ),
    );
    takes(b"ms k 3\r\nabc\r\n", (Set, b"k", false, &[], b"abc"));
    takes(b"ms k +0\r\n\r\n", (Set, b"k", false, &[], b""));
    takes(
        b"ms Zm9v 3 b MA\r\na\r\n\r\n",
        (Set, b"Zm9v", true, &[('b', b""), ('M', b"A")], b"a\r\n"),
    );
    takes(b"md k q\r\n", (Delete, b"k", false, &[('q', b"")], b""));
    takes(
        b"ma k M-\r\n",
        (Arithmetic, b"k", false, &[('M', b"-")], b""),
    );
    takes(b"me k\r\n", (Debug, b"k", false, &[], b""));
    takes(b"me k v b\r\n", (Debug, b"k", false, &[], b""));
    takes(b"me Zm9v b v v\r\n", (Debug, b"Zm9v", true, &[], b""));
}

#[test]
fn flags_are_found_by_their_letters() {
    let request = read(b"ms k 0 T-5 q C18446744073709551615 F7 MP O\r\n\r\n");
    assert!(request.is_quiet());
    assert_eq!(request.store_verb(), StoreVerb::Prepend);
    assert_eq!(request.flags.exptime(b'T'), Some(Exptime(-5)));
    assert_eq!(request.flags.number(b'C'), Some(u64::MAX));
    assert_eq!(request.flags.number(b'F'), Some(7));
    assert_eq!(request.flags.token(b'O'), Some(&b""[..]));
    assert_eq!(request.flags.token(b'N'), None);
    assert!(request.flags.has_any(b"NTR") && !request.flags.has_any(b"NREx"));
    let modes = [
        (&b"E"[..], StoreVerb::Add),
        (b"A", StoreVerb::Append),
        (b"R", StoreVerb::Replace),
        (b"S", StoreVerb::Set),
    ];
    for (mode, verb) in modes {
        let wire = [b"ms k 0 M", mode, b"\r\n\r\n"].concat();
        assert_eq!(read(&wire).store_verb(), verb);
    }
    for (wire, direction) in [
        (&b"ma k\r\n"[..], Direction::Incr),
        (b"ma k MI\r\n", Direction::Incr),
        (b"ma k M+\r\n", Direction::Incr),
        (b"ma k MD\r\n", Direction::Decr),
        (b"ma k M-\r\n", Direction::Decr),
    ] {
        assert_eq!(read(wire).direction(), direction);
    }
}

#[test]
fn requests_are_passed_on_without_their_silence() {
    let table: &[(&[u8], &[u8])] = &[
        (b"mg  Zm9v q  b O1 k\r\n", b"mg Zm9v b O1 k\r\n"),
        (b"ms k 3 q T5\nabc\r\n", b"ms k 3 T5\r\nabc\r\n"),
        (b"md k q\r\n", b"md k\r\n"),
        (b"ma k D5 q N0\r\n", b"ma k D5 N0\r\n"),
        (b"me Zm9v b\r\n", b"me Zm9v b\r\n"),
        (b"me k q\r\n", b"me k\r\n"),
    ];
    for (wire, passed_on) in table {
        let mut out = Vec::new();
        read(wire).encode_heard(&mut out);
        assert_eq!(
            out.escape_ascii().to_string(),
            passed_on.escape_ascii().to_string()
        );
    }
}

#[test]
fn mistakes_are_answered_as_memcached_answers_them() {
    let table: &[(&[u8], &[u8])] = &[
        (b"mg", b"ERROR"),
        (b"ms", b"ERROR"),
        (b"md", b"ERROR"),
        (b"ma", b"ERROR"),
        (b"me", b"CLIENT_ERROR bad command line format"),
        (b"me ! b", b"CLIENT_ERROR bad command line format"),
        (b"mg k v v", b"CLIENT_ERROR duplicate flag"),
        (b"mg k O1 O2", b"CLIENT_ERROR duplicate flag"),
        (b"mg k \xff", b"CLIENT_ERROR duplicate flag"),
        (b"mg k \x7f", b"CLIENT_ERROR duplicate flag"),
        (b"mg k !", b"CLIENT_ERROR invalid flag"),
        (b"mg k A", b"CLIENT_ERROR invalid flag"),
        (b"mg k S5", b"CLIENT_ERROR invalid flag"),
        (b"mg k \tv", b"CLIENT_ERROR invalid flag"),
        (b"mg ! b b", b"CLIENT_ERROR duplicate flag"),
        (b"mg ! b !", b"CLIENT_ERROR invalid flag"),
        (b"mg k T", b"CLIENT_ERROR bad token in command line format"),
        (
            b"mg k N1x",
            b"CLIENT_ERROR bad token in command line format",
        ),
        (
            b"mg k Rx q",
            b"CLIENT_ERROR bad token in command line format",
        ),
        (
            b"mg k C-1",
            b"CLIENT_ERROR bad token in command line format",
        ),
        (b"mg k E", b"CLIENT_ERROR bad token in command line format"),
        (b"mg k M", b"CLIENT_ERROR incorrect length for M token"),
        (b"mg k MSS", b"CLIENT_ERROR incorrect length for M token"),
        (b"mg k J", b"CLIENT_ERROR invalid numeric initial value"),
        (b"mg k D-1", b"CLIENT_ERROR invalid numeric delta value"),
        (b"mg k Fx", b"CLIENT_ERROR bad command line format"),
        (
            b"mg k Tx Fx",
            b"CLIENT_ERROR bad token in command line format",
        ),
        (
            b"mg k Fx Tx",
            b"CLIENT_ERROR bad token in command line format",
        ),
        (b"mg k Tx Jx", b"CLIENT_ERROR invalid numeric initial value"),
        (b"mg Zm9 b", b"CLIENT_ERROR error decoding key"),
        (
            b"mg ! b Tx",
            b"CLIENT_ERROR bad token in command line format",
        ),
        (b"mg ! Tx b", b"CLIENT_ERROR error decoding key"),
        (b"md k !", b"CLIENT_ERROR invalid or duplicate flag"),
        (b"md k q q", b"CLIENT_ERROR invalid or duplicate flag"),
        (b"md k Tx", b"CLIENT_ERROR invalid or duplicate flag"),
        (b"md ! b", b"CLIENT_ERROR invalid or duplicate flag"),
        (b"ma k Dx", b"CLIENT_ERROR invalid or duplicate flag"),
        (b"ma k MXX", b"CLIENT_ERROR invalid or duplicate flag"),
        (b"ma k MX", b"CLIENT_ERROR invalid mode for ma M token"),
        (b"ma k Mi", b"CLIENT_ERROR invalid mode for ma M token"),
        (b"ms k", b"CLIENT_ERROR bad command line format"),
        (b"ms k x", b"CLIENT_ERROR bad command line format"),
        (b"ms k -1", b"CLIENT_ERROR bad command line format"),
        (b"ms k S1", b"CLIENT_ERROR bad command line format"),
        (b"ms k x !", b"CLIENT_ERROR bad command line format"),
        (b"ms k 2147483646", b"CLIENT_ERROR bad command line format"),
    ];
    for (line, expected) in table {
        let wire = [line, &b"\r\n"[..]].concat();
        let expected = [expected, &b"\r\n"[..]].concat();
        check(&wire, refused(expected.leak(), wire.len(), 0, false, None));
    }
}

#[test]
fn words_and_tokens_may_be_so_long() {
    let refusal = |wire: String, line: &'static [u8], swallow| {
        let expected = refused(line, wire.len(), swallow, false, None);
        check(wire.as_bytes(), expected);
    };
    let long = "k".repeat(251);
    for verb in ["mg", "md", "ma", "me"] {
        refusal(format!("{verb} {long} q\r\n"), reply::BAD_FORMAT, 0);
    }
    refusal(format!("ms {long}\r\n"), reply::BAD_FORMAT, 0);
    refusal(format!("ms {long} 3 q\r\n"), reply::BAD_FORMAT, 5);
    let many = " k".repeat(18);
    refusal(format!("mg {long}{many}\r\n"), reply::BAD_FORMAT, 0);
    refusal(
        format!("mg k{many}\r\n"),
        b"CLIENT_ERROR options flags are too long\r\n",
        0,
    );
    let too_long = b"CLIENT_ERROR options flags too long\r\n";
    refusal(format!("md k{many}\r\n"), too_long, 0);
    refusal(format!("ma k{many}\r\n"), too_long, 0);
    refusal(format!("ms k 3{}\r\n", &many[2..]), too_long, 5);
    refusal(format!("ms k x{}\r\n", &many[2..]), too_long, 0);
    // One less is only what it is.
    let duplicate = b"CLIENT_ERROR duplicate flag\r\n";
    refusal(format!("mg k{}\r\n", &many[2..]), duplicate, 0);
    refusal(format!("ms k 3{}\r\n", &many[4..]), duplicate, 5);

    let opaque = "O".to_owned() + &"1".repeat(31);
    let token = &opaque.as_bytes()[1..];
    takes(
        format!("mg k {opaque}\r\n").as_bytes(),
        (MetaVerb::Get, b"k", false, &[('O', token)], b""),
    );
    let line = b"CLIENT_ERROR opaque token too long\r\n";
    refusal(format!("mg k q {opaque}1\r\n"), line, 0);
    refusal(format!("md k {opaque}1\r\n"), line, 0);
    refusal(format!("ma k {opaque}1\r\n"), line, 0);
    refusal(format!("ms k 1 {opaque}1\r\n"), line, 3);
    let mode = b"CLIENT_ERROR invalid mode for ms M token\r\n";
    refusal(format!("ms k 1 MX {opaque}1\r\n"), mode, 3);
    let key = "A".repeat(248);
    takes(
        format!("mg {key} b\r\n").as_bytes(),
        (MetaVerb::Get, key.as_bytes(), true, &[('b', b"")], b""),
    );
}

#[test]
fn unwanted_data_blocks_are_swallowed() {
    let swallows = |wire: &[u8], line, bytes, unlink| {
        check(wire, refused(line, wire.len(), bytes, false, unlink));
    };
    let mode = b"CLIENT_ERROR invalid mode for ms M token\r\n";
    swallows(b"ms k 3 MX q\r\n", mode, 5, None);
    let undecodable = b"CLIENT_ERROR error decoding key\r\n";
    swallows(b"ms ! 3 b\r\n", undecodable, 5, None);
    let refuses = |wire: &[u8], unlink| check(wire, too_large(false, wire.len(), 11, unlink));
    let unlinks = Some(KeyText::plain(b"k"));
    refuses(b"ms k 9 q\r\n", unlinks);
    refuses(b"ms k 9 MA\r\n", unlinks);
    refuses(b"ms Zm9v 9 b\r\n", KeyText::base64(b"Zm9v"));
}

#[test]
fn a_bad_data_chunk_is_told_even_to_the_quiet() {
    let command = b"ms k 3 q\r\n".len();
    for block in [&b"abcdef\r\n"[..], b"ab\r\nget"] {
        let wire = [&b"ms k 3 q\r\n"[..], block].concat();
        let expected = refused(reply::BAD_DATA_CHUNK, command + 5, 0, false, None);
        check(&wire, expected);
    }
}

#[test]
fn keys_are_written_as_they_came() {
    use super::super::meta::reply;
    let mut out = Vec::new();
    reply::key(&mut out, KeyText::plain(b"foo"));
    reply::key(&mut out, KeyText::base64(b"Zh!==").unwrap());
    reply::opaque(&mut out, b"x");
    reply::flag(&mut out, b's', 5);
    reply::time_to_live(&mut out, None);
    reply::time_to_live(&mut out, Some(7));
    assert_eq!(out, b" kfoo kZg== b Ox s5 t-1 t7");
    let mut out = Vec::new();
    let request = read(b"md foo O1 q k\r\n");
    reply::line(&mut out, reply::NOT_FOUND, request.key, request.flags);
    assert_eq!(out, b"NF O1 kfoo\r\n");
}
