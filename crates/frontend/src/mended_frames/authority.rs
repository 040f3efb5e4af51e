//! gRPC's C core, which Python's and C++'s clients are built on, names a server behind a
//! Unix socket by the socket's path: `:authority` is `%2Frun%2Fserver.sock`. The HTTP
//! library takes no percent sign in a host, and would reset each such call. So on Unix
//! sockets these signs become dashes before it sees them: as many bytes as before, so
//! that neither frames nor header tables change their size.

const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// `:authority` in HPACK's static table.
const AUTHORITY_INDEX: usize = 1;
const AUTHORITY: &[u8] = b":authority";

/// Mends the authority in the payload of a HEADERS frame; `None`: the block is broken.
pub(super) fn mend(payload: &mut [u8], flags: u8) -> Option<()> {
    let mut start = 0;
    let mut end = payload.len();
    if flags & PADDED != 0 {
        end = end.checked_sub(usize::from(*payload.first()?))?;
        start += 1;
    }
    if flags & PRIORITY != 0 {
        start += 5;
    }
    let mut block = Block {
        bytes: payload.get_mut(start..end)?,
        at: 0,
    };
    while let Some(first) = block.peek() {
        let prefix = match first {
            0x80.. => 7,
            0x40..0x80 => 6,
            0x20..0x40 => 5,
            0..0x20 => 4,
        };
        let number = block.integer(prefix)?;
        if prefix == 7 || prefix == 5 {
            // A field of a table, and a table's new size.
            continue;
        }
        let is_authority = match number {
            0 => {
                let (plain, name) = block.string()?;
                plain && name == AUTHORITY
            }
            index => index == AUTHORITY_INDEX,
        };
        let (plain, value) = block.string()?;
        // The C core compresses no such value.
        if is_authority && plain {
            for byte in value.iter_mut().filter(|byte| **byte == b'%') {
                *byte = b'-';
            }
        }
    }
    Some(())
}

/// A block of headers in HPACK's representation, RFC 7541.
struct Block<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Block<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// An integer whose first byte has so many bits of it; section 5.1.
    fn integer(&mut self, prefix: u32) -> Option<usize> {
        let most = (1_usize << prefix) - 1;
        let mut value = usize::from(self.next()?) & most;
        if value < most {
            return Some(value);
        }
        for shift in (0..28).step_by(7) {
            let byte = usize::from(self.next()?);
            value += (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A string, and whether it is in the clear; section 5.2.
    fn string(&mut self) -> Option<(bool, &mut [u8])> {
        let plain = self.peek()? & 0x80 == 0;
        let length = self.integer(7)?;
        let start = self.at;
        self.at = start.checked_add(length)?;
        Some((plain, self.bytes.get_mut(start..self.at)?))
    }
}
