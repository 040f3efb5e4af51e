//! What a call that reached nobody in the end says of all of its attempts.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::io::Read;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use client::{CallOptions, Channel, ChannelOptions, ClientError, Code, Request, block_on};

fn options(retries: u32) -> ChannelOptions {
    ChannelOptions {
        connect_timeout: Duration::from_secs(5),
        keepalive_time: None,
        keepalive_timeout: Duration::from_secs(1),
        retries,
        retry_initial_backoff: Duration::from_millis(200),
        retry_max_backoff: Duration::from_millis(200),
        max_message_bytes: 1000,
        tls: None,
        user_agent: "test".to_owned(),
    }
}

fn failure(addresses: &[String], retries: u32) -> ClientError {
    let channel = Channel::new(addresses, options(retries)).unwrap();
    let request = Request::health("");
    let call = async move { channel.call(&request, &CallOptions::default()).await };
    block_on(call).unwrap().map(|_| ()).unwrap_err()
}

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

#[test]
fn every_address_that_is_down_is_named() {
    let (listeners, addresses): (Vec<_>, Vec<_>) = (0..3).map(|_| listener()).unzip();
    drop(listeners);
    let error = failure(&addresses, 0);
    assert_eq!(error.code(), Code::Unavailable);
    for address in &addresses {
        let told = format!("cannot connect to {address}: Connection refused");
        assert_eq!(error.message().matches(&told).count(), 1, "{error}");
    }
}

#[test]
fn a_call_that_was_cut_off_says_so() {
    let (listener, address) = listener();
    let server = thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        drop(listener);
        connection.read_exact(&mut [0; 24]).unwrap();
    });
    let error = failure(std::slice::from_ref(&address), 1);
    server.join().unwrap();
    assert_eq!(error.code(), Code::Unavailable);
    let end = format!("; then cannot connect to {address}: Connection refused");
    assert!(error.message().ends_with(&end), "{error}");
    assert!(error.message().contains("was lost"), "{error}");
}
