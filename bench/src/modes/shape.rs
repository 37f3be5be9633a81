//! Lengths of requests and replies.

use crate::cli::ShapeArgs;
use crate::wire::Op;

/// Prints the lengths for key 0; with one length for all keys and all values, they are every key's.
pub(crate) fn run(args: &ShapeArgs) {
    let items = args.items();
    for (name, op) in [("get", Op::Read), ("set", Op::Write)] {
        let mut request = Vec::new();
        match op {
            Op::Write => {
                let value_bytes = items.value_bytes(0);
                args.protocol
                    .append_write(&mut request, 0, value_bytes, 0, &items);
            }
            _ => args.protocol.append_read(&mut request, &[0], &items),
        }
        let reply_bytes = args.protocol.reply_bytes(op, &items);
        println!("{name} request {} reply {reply_bytes}", request.len());
    }
}
