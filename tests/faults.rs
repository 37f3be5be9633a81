//! The promise: whatever a server or the way to it does, a client is told in time, in these words, and goes on with
//! the connection that it has; and no later request gets the reply of an earlier one.

mod support;

#[path = "faults/client.rs"]
mod client;
#[path = "faults/ejected.rs"]
mod ejected;
#[path = "faults/one_request.rs"]
mod one_request;
