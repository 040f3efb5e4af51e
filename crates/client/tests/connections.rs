//! Connections that serve many callers, end, and are made again.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod support;

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use client::{CallOptions, Code, Request, block_on, spawn};
use h2::Reason;
use support::{EchoServer, Manner, echo, echo_and_wait};

#[test]
fn one_connection_serves_one_call_after_the_other() {
    let server = EchoServer::start(Manner::Patient);
    let channel = server.channel(0);
    for index in 0..200 {
        let text = format!("text {index}");
        assert_eq!(echo_and_wait(&channel, &text).unwrap(), text);
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn megabytes_go_and_come() {
    let server = EchoServer::start(Manner::Patient);
    let channel = server.channel(0);
    for length in [0, 1, 16_384, 16_385, 100_000, 5_000_000] {
        let text = "ab".repeat(length / 2);
        assert!(echo_and_wait(&channel, &text).unwrap() == text, "{length}");
    }
}

#[test]
fn everybody_gets_his_own_answer() {
    let server = EchoServer::start(Manner::Patient);
    let channel = Arc::new(server.channel(0));
    let start = Barrier::new(9);
    thread::scope(|scope| {
        for number in 0..8 {
            let (channel, start) = (&channel, &start);
            scope.spawn(move || {
                start.wait();
                for index in 0..100 {
                    let text = format!("thread {number}, call {index}");
                    assert_eq!(echo_and_wait(channel, &text).unwrap(), text);
                }
            });
        }
        // Calls that nobody waits for go on beside them.
        start.wait();
        let (sender, answers) = mpsc::channel();
        for index in 0..200 {
            let (channel, sender) = (Arc::clone(&channel), sender.clone());
            spawn(async move {
                let text = format!("spawned {index}");
                let answer = echo(&channel, &text).await;
                sender.send(answer.unwrap() == text).unwrap();
            })
            .unwrap();
        }
        drop(sender);
        assert_eq!(answers.iter().filter(|right| *right).count(), 200);
    });
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn spawned_calls_need_nobody_who_waits() {
    let server = EchoServer::start(Manner::Patient);
    let channel = Arc::new(server.channel(0));
    for _ in 0..20 {
        // One that waits hands over to one that nobody waits for, and back.
        assert_eq!(echo_and_wait(&channel, "waited for").unwrap(), "waited for");
        let (sender, answer) = mpsc::channel();
        let spawned = Arc::clone(&channel);
        spawn(async move { sender.send(echo(&spawned, "spawned").await).unwrap() }).unwrap();
        let answer = answer.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(answer.unwrap(), "spawned");
    }
}

#[test]
fn a_farewell_costs_no_call() {
    let server = EchoServer::start(Manner::Farewell(3));
    let channel = server.channel(0);
    for _ in 0..12 {
        // Some come after the farewell was sent and before it is read.
        echo_and_wait(&channel, "hello").unwrap();
    }
    assert!(server.connections.load(Ordering::SeqCst) >= 4);
}

#[test]
fn resets_are_told_by_their_reason() {
    for (reason, code) in [
        (Reason::REFUSED_STREAM, Code::Unavailable),
        (Reason::CANCEL, Code::Cancelled),
        (Reason::ENHANCE_YOUR_CALM, Code::ResourceExhausted),
        (Reason::INTERNAL_ERROR, Code::Internal),
    ] {
        let server = EchoServer::start(Manner::Reset(reason));
        let error = echo_and_wait(&server.channel(0), "hello").unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains("ended the call"), "{error}");
    }
}

#[test]
fn close_ends_all_calls_under_way() {
    let server = EchoServer::start(Manner::Silent);
    let channel = Arc::new(server.channel(3));
    let (sender, ended) = mpsc::channel();
    for number in 0..40 {
        let (channel, sender) = (Arc::clone(&channel), sender.clone());
        if number % 2 == 0 {
            thread::spawn(move || {
                let error = echo_and_wait(&channel, "hello").unwrap_err();
                sender.send(error.code()).unwrap();
            });
        } else {
            spawn(async move {
                let error = echo(&channel, "hello").await.unwrap_err();
                sender.send(error.code()).unwrap();
            })
            .unwrap();
        }
    }
    drop(sender);
    // Some of them may not have begun yet: those find it closed.
    channel.close();
    for _ in 0..40 {
        let code = ended.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(matches!(code, Code::Cancelled | Code::FailedPrecondition));
    }
}

#[test]
fn a_deadline_passes_while_others_wait_longer() {
    let server = EchoServer::start(Manner::Silent);
    let channel = Arc::new(server.channel(0));
    let patient = Arc::clone(&channel);
    let waiter = thread::spawn(move || echo_and_wait(&patient, "hello").unwrap_err());
    let started = Instant::now();
    for _ in 0..3 {
        let options = CallOptions {
            timeout: Some(Duration::from_millis(50)),
            ..CallOptions::default()
        };
        let request = Request::text("hello", None).unwrap();
        let error = block_on(channel.call(&request, &options))
            .unwrap()
            .unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    channel.close();
    assert!(matches!(
        waiter.join().unwrap().code(),
        Code::Cancelled | Code::FailedPrecondition
    ));
}

#[test]
fn calls_that_are_dropped_leave_the_others_right() {
    let server = EchoServer::start(Manner::Patient);
    let channel = Arc::new(server.channel(0));
    let (sender, answers) = mpsc::channel();
    for index in 0..500 {
        let (channel, sender) = (Arc::clone(&channel), sender.clone());
        let task = spawn(async move {
            let text = format!("call {index}");
            let answer = echo(&channel, &text).await.unwrap();
            sender.send(answer == text).unwrap();
        })
        .unwrap();
        if index % 3 == 0 {
            task.abort();
        }
    }
    drop(sender);
    let answers: Vec<bool> = answers.iter().collect();
    assert!(answers.len() >= 333 && answers.iter().all(|right| *right));
    assert_eq!(echo_and_wait(&channel, "after").unwrap(), "after");
}
