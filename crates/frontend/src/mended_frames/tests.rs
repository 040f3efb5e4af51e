use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::{
    ACK, HEADERS, LAST_PING, MendedFrames, PING, PREFACE_BYTES, TYPE_AT, UNKNOWN, WINDOW_UPDATE,
};
use crate::read_through::ReadThrough;

const PREFACE: &[u8; PREFACE_BYTES] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    frame_on(1, kind, flags, payload)
}

fn frame_on(stream: u8, kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![
        length[1], length[2], length[3], kind, flags, 0, 0, 0, stream,
    ];
    frame.extend_from_slice(payload);
    frame
}

fn string(text: &[u8]) -> Vec<u8> {
    assert!(text.len() < 127);
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

/// What comes of these bytes, sent a few at a time.
async fn passed(is_unix: bool, bytes: Vec<u8>, chunk: usize) -> Vec<u8> {
    let (mut client, server) = duplex(chunk);
    let send = async move {
        client.write_all(&bytes).await.unwrap();
        drop(client);
    };
    let receive = async move {
        let mut all = Vec::new();
        ReadThrough::new(server, MendedFrames::new(is_unix))
            .read_to_end(&mut all)
            .await
            .unwrap();
        all
    };
    tokio::join!(send, receive).1
}

#[tokio::test]
async fn percent_signs_of_the_authority_become_dashes_and_nothing_else_changes() {
    let other = [&[0x40][..], &string(b"x-other"), &string(b"50%2F")].concat();
    let by_name = |value: &[u8]| [&[0x40][..], &string(b":authority"), &string(value)].concat();
    let by_index = |value: &[u8]| [&[0x01][..], &string(value)].concat();
    let whole = |one: &[u8], two: &[u8]| {
        let block = [&[0x83, 0x3f, 0xe1, 0x1f, 0x86][..], &other, one, &other].concat();
        let padded = [&[2][..], &[0; 5], two, &other, &b"%%"[..]].concat();
        [
            PREFACE.to_vec(),
            frame(4, 0, &[]),
            frame(1, 4, &block),
            frame(0, 0, &b"100% data".repeat(9000)),
            frame(1, 0x28, &padded),
            frame(0, 1, b""),
        ]
        .concat()
    };
    let sent = whole(&by_name(b"%2Frun%2Fx"), &by_index(b"%2Frun%2Fy"));
    let wanted = whole(&by_name(b"-2Frun-2Fx"), &by_index(b"-2Frun-2Fy"));
    for chunk in [1, 7, 1000, 1 << 20] {
        assert!(passed(true, sent.clone(), chunk).await == wanted, "{chunk}");
    }
}

#[tokio::test]
async fn what_is_broken_passes_as_it_is() {
    for broken in [
        frame(1, 0x08, &[200, 1]),
        frame(1, 0x20, &[1]),
        frame(1, 0, &[0x41, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        frame(1, 0, &[0x41, 100, b'%']),
        frame(1, 0, b"")[..5].to_vec(),
        [&[0, 1, 0, 1, 4, 0, 0, 0, 1][..], &[0x41, 2, b'%', b'%']].concat(),
    ] {
        let sent = [PREFACE.to_vec(), broken].concat();
        assert_eq!(passed(true, sent.clone(), 64).await, sent);
    }
}

#[tokio::test]
async fn room_for_a_reply_that_will_not_come_becomes_what_is_ignored() {
    let block = [0x41, 2, b'%', b'%'];
    let room = |stream| frame_on(stream, WINDOW_UPDATE, 0, &[0, 0, 0xff, 0xff]);
    let before = [
        PREFACE.to_vec(),
        frame_on(1, HEADERS, 4, &block),
        // Room that is made too early is for the library to complain about.
        room(7),
        frame_on(0, PING, ACK, b"a client"),
        frame_on(0, PING, 0, LAST_PING),
        room(3),
        frame_on(3, HEADERS, 4, &block),
        frame_on(0, PING, ACK, LAST_PING),
        room(0),
        room(1),
        room(3),
        frame_on(5, HEADERS, 4, &block),
        frame_on(5, 0, 1, &[WINDOW_UPDATE; 1000]),
    ]
    .concat();
    let mut ignored = room(5);
    ignored[TYPE_AT] = UNKNOWN;
    let sent = [&before[..], &room(5), &room(3), &room(5)].concat();
    let wanted = [&before[..], &ignored, &room(3), &ignored].concat();
    for chunk in (1..40).chain([1 << 20]) {
        assert!(
            passed(false, sent.clone(), chunk).await == wanted,
            "{chunk}"
        );
    }
}

#[tokio::test]
async fn however_small_the_pieces_it_is_read_in() {
    let sent = [
        PREFACE.to_vec(),
        frame(0, 1, b"data"),
        frame(PING, ACK, LAST_PING),
    ]
    .concat();
    let mut stream = ReadThrough::new(&sent[..], MendedFrames::new(false));
    let mut read = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        read.push(byte);
    }
    assert_eq!(read, sent);
}
