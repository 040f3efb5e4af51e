//! A connection that ends between two calls: in a process of its own, where no other test
//! drives the runtime meanwhile.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod support;

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use support::{EchoServer, Manner, echo_and_wait};

#[test]
fn it_is_made_again_and_costs_no_call() {
    let server = EchoServer::start(Manner::HangUp(1));
    let channel = server.channel(0);
    for calls in 1..=20 {
        echo_and_wait(&channel, "hello").unwrap();
        let started = Instant::now();
        while server.hung_up.load(Ordering::SeqCst) < calls {
            assert!(started.elapsed() < Duration::from_secs(10));
            thread::yield_now();
        }
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 20);
}
