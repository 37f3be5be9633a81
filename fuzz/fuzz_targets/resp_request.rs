//! What a RESP client may send: the frame, its meaning, and the error if it has none.
#![no_main]

mod walk;

use libfuzzer_sys::fuzz_target;
use ringfort::protocol::{
    Parsed,
    resp::{Limits, ParseProgress, Request, parse, parse_resumed},
};

const LIMITS: Limits = Limits {
    bulk_bytes_max: 4096,
    args_max: 1024,
    inline_bytes_max: 8192,
};

fuzz_target!(|input: &[u8]| {
    walk::walk(input, |bytes| parse(bytes, &LIMITS));
    let mut rest = input;
    while let Parsed::Complete {
        request: args,
        consumed,
    } = parse(rest, &LIMITS)
    {
        assert_eq!(args.iter().count(), args.count());
        resume(rest, consumed);
        if args.is_escaped() {
            let wire = args.unescape();
            assert!(matches!(parse(&wire, &LIMITS), Parsed::Complete { .. }));
        } else if let Err(error) = Request::from_args(args) {
            let mut line = Vec::new();
            error.encode(&mut line);
            assert!(error.closes() || line.ends_with(b"\r\n"), "{line:?}");
            assert_eq!(
                line.iter().filter(|byte| **byte == b'\n').count(),
                usize::from(!line.is_empty())
            );
        }
        rest = &rest[consumed..];
        if rest.is_empty() {
            return;
        }
    }
});

/// The same request byte by byte, going on where the parse before it stopped.
fn resume(rest: &[u8], consumed: usize) {
    let mut progress = ParseProgress::default();
    let step = (consumed / 16).max(1);
    for end in (1..consumed).step_by(step) {
        let part = parse_resumed(&rest[..end], &LIMITS, &mut progress);
        assert!(matches!(part, Parsed::Incomplete { .. }), "{part:?}");
    }
    match parse_resumed(rest, &LIMITS, &mut progress) {
        Parsed::Complete { consumed: same, .. } => assert_eq!(same, consumed),
        other => panic!("whole before, now {other:?}"),
    }
}
