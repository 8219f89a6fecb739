//! Frames: how a request and its answer lie in a stream of bytes.
//!
//! Path: [`Frame::encode`] → bytes → [`Buffer::push`] as they arrive → [`Buffer::next`], which finds where a frame ends without
//! looking into it → [`RawFrame::request`] (zero-copy view, checked) or [`RawFrame::read`] (owned). `PROTOCOL.md` has the byte tables.
//! Read first: [`Header`], then [`Buffer`]. Bounds: [`REQUEST_BYTES_MAX`], [`RESPONSE_BYTES_MAX`], [`NODE_BYTES_MAX`]; a length is held against
//! them before a byte is allocated for it, and room grows with what has arrived, not with what a header promises.
//! Deliberately absent: sockets, clocks, and a checksum (frames travel inside TLS).

use crate::{ArchivedRequest, ArchivedResponse, Request, Response};
use rkyv::rancor;

/// The version this crate speaks, in every header.
pub const VERSION: u8 = 1;
/// Bytes of a header; frozen over all versions.
pub const HEADER_BYTES: usize = 36;
/// Bytes of a request's body. A longer one is not sent; one that arrives ends the connection.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Bytes of a response's body. A longer one is not sent: its request is answered with `LimitReached` instead.
pub const RESPONSE_BYTES_MAX: usize = 8 << 20;
/// Bytes of what a node tells another in one frame: several parts of a snapshot, or entries of many partitions. More is not sent; a longer one that
/// arrives ends the connection.
pub const NODE_BYTES_MAX: usize = 8 << 20;
/// Bytes of a frame on the urgent stream: heartbeats of some thousands of partitions. More goes the way of bulk.
pub const NODE_URGENT_BYTES_MAX: usize = 1 << 20;
/// Bytes of the longest frame.
pub const FRAME_BYTES_MAX: usize = HEADER_BYTES + RESPONSE_BYTES_MAX;
const _: () = assert!(NODE_BYTES_MAX <= RESPONSE_BYTES_MAX && NODE_URGENT_BYTES_MAX <= NODE_BYTES_MAX, "no frame is longer");
/// Room a [`Buffer`] keeps once it is empty; more is given back.
const BUFFER_KEPT_BYTES_MAX: usize = 256 * 1024;

const HELLO_BYTES: usize = 4;
const WELCOME_BYTES: usize = 12;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Client to server: do this. Body: an archived [`Request`].
    Request = 1,
    /// Server to client: what came of it. Body: an archived [`Response`].
    Response = 2,
    /// Client to server: nobody waits for this request any more. No body.
    Cancel = 3,
    /// Client to server, the first frame: versions spoken.
    Hello = 4,
    /// Server to client, answers hello: version chosen, and how keys are spread.
    Welcome = 5,
    /// Server to client: send no more requests on this connection; those under way are answered. No body.
    GoAway = 6,
    /// Node to node, what must not wait. Body: of the engine's replication.
    NodeUrgent = 7,
    /// Node to node, what may wait. Body: as above.
    NodeBulk = 8,
}

impl Kind {
    fn read(byte: u8) -> Result<Self, DecodeError> {
        match byte {
            1 => Ok(Self::Request),
            2 => Ok(Self::Response),
            3 => Ok(Self::Cancel),
            4 => Ok(Self::Hello),
            5 => Ok(Self::Welcome),
            6 => Ok(Self::GoAway),
            7 => Ok(Self::NodeUrgent),
            8 => Ok(Self::NodeBulk),
            found => Err(DecodeError::Kind { found }),
        }
    }

    /// Least and most bytes its body may have.
    const fn body_bytes(self) -> (usize, usize) {
        match self {
            Self::Request => (1, REQUEST_BYTES_MAX),
            Self::Response => (1, RESPONSE_BYTES_MAX),
            Self::Cancel | Self::GoAway => (0, 0),
            Self::Hello => (HELLO_BYTES, HELLO_BYTES),
            Self::Welcome => (WELCOME_BYTES, WELCOME_BYTES),
            Self::NodeUrgent => (1, NODE_URGENT_BYTES_MAX),
            Self::NodeBulk => (1, NODE_BYTES_MAX),
        }
    }

    /// Whose frames it is among.
    const fn sender(self) -> Sender {
        match self {
            Self::Request | Self::Cancel | Self::Hello => Sender::Client,
            Self::Response | Self::Welcome | Self::GoAway => Sender::Server,
            Self::NodeUrgent | Self::NodeBulk => Sender::Node,
        }
    }
}

/// Whose frames a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Client,
    Server,
    /// A client too, on streams that carry nothing else.
    Node,
}

/// Which of the two ways from node to node a frame goes; each is a stream of its own, so that one never waits for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Votes, heartbeats, acknowledgements, small entries: sent before what waits in the other lane.
    Urgent,
    /// Everything else.
    Bulk,
}

impl Lane {
    /// The kind of its frames.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Urgent => Kind::NodeUrgent,
            Self::Bulk => Kind::NodeBulk,
        }
    }

    /// Bytes its frames may have.
    #[must_use]
    pub const fn bytes_max(self) -> usize {
        self.kind().body_bytes().1
    }
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Asks.
    Client,
    /// Answers.
    Server,
}

/// Joins an answer to its request: chosen by the client, unique among those under way on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// The fixed front of every frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes that follow the header.
    pub body_bytes: u32,
    /// What the frame is for.
    pub kind: Kind,
    /// Which request it is about; 0 where it is about none.
    pub id: RequestId,
    /// Of a request: how long its sender waits, in milliseconds. 0 elsewhere.
    pub timeout_ms: u32,
    /// Of a request and its response: the trace they belong to. 0 elsewhere.
    pub trace: u128,
}

impl Header {
    /// Reads the header at the front of `bytes` and holds the length it states against the bound of its kind.
    ///
    /// # Errors
    /// [`DecodeError::Incomplete`] asks for more bytes; after any other the stream cannot be followed further.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some(head) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(DecodeError::Incomplete { need: HEADER_BYTES, have: bytes.len() });
        };
        let (body_bytes, version) = (u32::from_le_bytes(at(head, 0)), head[4]);
        if version != VERSION {
            return Err(DecodeError::Version { found: version });
        }
        let kind = Kind::read(head[5])?;
        let (min, max) = kind.body_bytes();
        if !(min..=max).contains(&(body_bytes as usize)) {
            return Err(DecodeError::Length { kind, found: body_bytes, min, max });
        }
        let header = Self {
            body_bytes,
            kind,
            id: RequestId(u64::from_le_bytes(at(head, 8))),
            timeout_ms: u32::from_le_bytes(at(head, 16)),
            trace: u128::from_le_bytes(at(head, 20)),
        };
        let zero = head[6] == 0
            && head[7] == 0
            && match kind {
                Kind::Request => true,
                Kind::Response => header.timeout_ms == 0,
                Kind::Cancel => header.timeout_ms == 0 && header.trace == 0,
                Kind::Hello | Kind::Welcome | Kind::GoAway | Kind::NodeUrgent | Kind::NodeBulk => {
                    header.timeout_ms == 0 && header.trace == 0 && header.id.0 == 0
                }
            };
        if zero { Ok(header) } else { Err(DecodeError::NotZero { kind }) }
    }

    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut head = [0; HEADER_BYTES];
        head[..4].copy_from_slice(&self.body_bytes.to_le_bytes());
        head[4] = VERSION;
        head[5] = self.kind as u8;
        head[8..16].copy_from_slice(&self.id.0.to_le_bytes());
        head[16..20].copy_from_slice(&self.timeout_ms.to_le_bytes());
        head[20..].copy_from_slice(&self.trace.to_le_bytes());
        head
    }
}

fn at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[offset..offset + N]);
    field
}

/// Opens a connection. Its layout is frozen over all versions, so that any two sides can find out that they do not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Oldest version the client speaks.
    pub oldest: u8,
    /// Newest version the client speaks.
    pub newest: u8,
}

impl Hello {
    /// What this crate says.
    pub const OURS: Self = Self { oldest: VERSION, newest: VERSION };

    /// The newest version that both sides speak.
    #[must_use]
    pub const fn agreed(self) -> Option<u8> {
        if self.oldest <= VERSION && VERSION <= self.newest { Some(VERSION) } else { None }
    }
}

/// Answers [`Hello`]. Its layout is frozen over all versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Version of all frames from here on.
    pub version: u8,
    /// Partitions of the cluster.
    pub partitions: u16,
    /// Shards of this node; shard `n` listens on the base port plus `n`.
    pub shards: u16,
    /// The shard that answers here.
    pub shard: u16,
    /// Requests a client may have under way on this connection; one more is answered `Overloaded`.
    pub in_flight_max: u32,
}

/// A frame, its body made into owned values.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// Do this.
    Request {
        /// Names it in the answer.
        id: RequestId,
        /// What.
        request: Box<Request>,
    },
    /// What came of it.
    Response {
        /// Of which request.
        id: RequestId,
        /// The request's trace.
        trace: u128,
        /// The answer.
        response: Box<Response>,
    },
    /// Nobody waits any more.
    Cancel {
        /// For which request.
        id: RequestId,
    },
    /// Versions spoken.
    Hello(Hello),
    /// Version chosen.
    Welcome(Welcome),
    /// Send no more requests.
    GoAway,
    /// What another node says.
    Node {
        /// Which way it goes.
        lane: Lane,
        /// Opaque here.
        body: Vec<u8>,
    },
}

impl Frame {
    /// Appends the frame's bytes to `out`; on an error `out` is as it was. O(body); a large body is copied once.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] if the body passes the bound of its kind, [`EncodeError::Empty`] if it must have one and has none.
    ///
    /// ```
    /// use wire::frame::{Buffer, Frame, RequestId, Side};
    /// use wire::{Op, Request};
    ///
    /// let sent = Frame::Request { id: RequestId(7), request: Box::new(Request::system(Op::ListCategories)) };
    /// let mut bytes = Vec::new();
    /// sent.encode(&mut bytes)?;
    ///
    /// // The other end gets them in pieces.
    /// let mut buffer = Buffer::new(Side::Server);
    /// let (front, back) = bytes.split_at(20);
    /// buffer.push(front);
    /// assert!(buffer.next()?.is_none());
    /// buffer.push(back);
    /// let raw = buffer.next()?.expect("all of its bytes are there");
    /// assert_eq!(raw.request()?.timeout_ms, 10_000); // read in place
    /// assert_eq!(raw.read()?, sent); // or as an owned value
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Request { id, request } => encode_request(*id, request, out),
            Self::Response { id, trace, response } => encode_response(*id, *trace, response, out),
            Self::Cancel { id } => {
                plain(Kind::Cancel, *id, &[], out);
                Ok(())
            }
            Self::Hello(hello) => {
                plain(Kind::Hello, RequestId(0), &[hello.oldest, hello.newest, 0, 0], out);
                Ok(())
            }
            Self::Welcome(welcome) => {
                let mut body = [0; WELCOME_BYTES];
                body[0] = welcome.version;
                body[2..4].copy_from_slice(&welcome.partitions.to_le_bytes());
                body[4..6].copy_from_slice(&welcome.shards.to_le_bytes());
                body[6..8].copy_from_slice(&welcome.shard.to_le_bytes());
                body[8..].copy_from_slice(&welcome.in_flight_max.to_le_bytes());
                plain(Kind::Welcome, RequestId(0), &body, out);
                Ok(())
            }
            Self::GoAway => {
                plain(Kind::GoAway, RequestId(0), &[], out);
                Ok(())
            }
            Self::Node { lane, body } => {
                out.extend_from_slice(&node_header(*lane, body.len())?);
                out.extend_from_slice(body);
                Ok(())
            }
        }
    }

    /// Reads one frame from the front of `bytes`; returns it and the bytes it took.
    ///
    /// # Errors
    /// [`DecodeError::Incomplete`] asks for more bytes and is no fault. After [`DecodeError::Body`] the next frame can still be found
    /// (see [`Buffer`]); after any other the stream must be given up.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), DecodeError> {
        let raw = RawFrame::split(bytes)?;
        Ok((raw.read()?, HEADER_BYTES + raw.body.len()))
    }
}

/// Appends a request frame, as [`Frame::encode`] does, from a request that is not owned.
///
/// # Errors
/// [`EncodeError::TooLong`]: nothing was appended.
pub fn encode_request(id: RequestId, request: &Request, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let header = Header { body_bytes: 0, kind: Kind::Request, id, timeout_ms: request.timeout_ms, trace: request.trace };
    archive(header, out, |out| rkyv::api::high::to_bytes_in::<_, rancor::Error>(request, out))
}

/// Appends a response frame, as [`Frame::encode`] does, from a response that is not owned.
///
/// # Errors
/// [`EncodeError::TooLong`]: nothing was appended.
pub fn encode_response(id: RequestId, trace: u128, response: &Response, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let header = Header { body_bytes: 0, kind: Kind::Response, id, timeout_ms: 0, trace };
    archive(header, out, |out| rkyv::api::high::to_bytes_in::<_, rancor::Error>(response, out))
}

/// The header of what a node says, for whoever sends the body from where it is.
///
/// # Errors
/// As of [`Frame::encode`].
pub fn node_header(lane: Lane, body_bytes: usize) -> Result<[u8; HEADER_BYTES], EncodeError> {
    let (kind, max) = (lane.kind(), lane.bytes_max());
    match u32::try_from(body_bytes) {
        Ok(0) => Err(EncodeError::Empty { kind }),
        Ok(bytes) if body_bytes <= max => Ok(Header { body_bytes: bytes, kind, id: RequestId(0), timeout_ms: 0, trace: 0 }.encode()),
        Ok(_) | Err(_) => Err(EncodeError::TooLong { kind, found: body_bytes, max }),
    }
}

fn archive<'a>(
    mut header: Header,
    out: &'a mut Vec<u8>,
    write: impl FnOnce(&'a mut Vec<u8>) -> Result<&'a mut Vec<u8>, rancor::Error>,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend_from_slice(&header.encode());
    // Pointers in an archive are relative and nothing is aligned, so it may begin behind other bytes.
    let out = write(out).map_err(|error| EncodeError::Archive { why: error.to_string() })?;
    let found = out.len() - start - HEADER_BYTES;
    let max = header.kind.body_bytes().1;
    if found > max {
        out.truncate(start);
        return Err(EncodeError::TooLong { kind: header.kind, found, max });
    }
    header.body_bytes = u32::try_from(found).unwrap_or(u32::MAX); // `max` is far below
    out[start..start + HEADER_BYTES].copy_from_slice(&header.encode());
    Ok(())
}

fn plain(kind: Kind, id: RequestId, body: &[u8], out: &mut Vec<u8>) {
    let body_bytes = u32::try_from(body.len()).unwrap_or(u32::MAX); // at most `WELCOME_BYTES`
    out.extend_from_slice(&Header { body_bytes, kind, id, timeout_ms: 0, trace: 0 }.encode());
    out.extend_from_slice(body);
}

/// A whole frame in place, its body not looked into yet.
#[derive(Clone, Copy, Debug)]
pub struct RawFrame<'a> {
    /// Read and checked.
    pub header: Header,
    /// As long as the header says.
    pub body: &'a [u8],
}

impl<'a> RawFrame<'a> {
    /// Finds the frame at the front of `bytes`. O(1), no allocation.
    ///
    /// # Errors
    /// As [`Header::decode`]; [`DecodeError::Incomplete`] too if part of the body is missing.
    pub fn split(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let header = Header::decode(bytes)?;
        let need = HEADER_BYTES + header.body_bytes as usize;
        match bytes.get(HEADER_BYTES..need) {
            Some(body) => Ok(Self { header, body }),
            None => Err(DecodeError::Incomplete { need, have: bytes.len() }),
        }
    }

    /// The request in place: every length, tag and text in it is checked, nothing is copied.
    ///
    /// # Errors
    /// [`DecodeError::Body`] if it is no request.
    pub fn request(&self) -> Result<&'a ArchivedRequest, DecodeError> {
        rkyv::access::<ArchivedRequest, rancor::Error>(self.body).map_err(|error| self.fault(&error))
    }

    /// The response in place, checked like [`Self::request`].
    ///
    /// # Errors
    /// [`DecodeError::Body`] if it is no response.
    pub fn response(&self) -> Result<&'a ArchivedResponse, DecodeError> {
        rkyv::access::<ArchivedResponse, rancor::Error>(self.body).map_err(|error| self.fault(&error))
    }

    /// The frame as an owned value. O(body).
    ///
    /// # Errors
    /// [`DecodeError::Body`] if the body is not what the header says. Where the next frame begins is known all the same.
    pub fn read(&self) -> Result<Frame, DecodeError> {
        let Header { kind, id, trace, timeout_ms, .. } = self.header;
        Ok(match kind {
            Kind::Request => {
                let request = rkyv::deserialize::<Request, rancor::Error>(self.request()?).map_err(|error| self.fault(&error))?;
                if request.timeout_ms != timeout_ms || request.trace != trace {
                    return Err(DecodeError::Body { kind, why: "its timeout or trace is not the header's".into() });
                }
                Frame::Request { id, request: Box::new(request) }
            }
            Kind::Response => {
                let response = rkyv::deserialize::<Response, rancor::Error>(self.response()?).map_err(|error| self.fault(&error))?;
                Frame::Response { id, trace, response: Box::new(response) }
            }
            Kind::Cancel => Frame::Cancel { id },
            Kind::Hello => match *self.body {
                [oldest, newest, 0, 0] if oldest <= newest => Frame::Hello(Hello { oldest, newest }),
                _ => return Err(DecodeError::Body { kind, why: "versions out of order, or spare bytes not zero".into() }),
            },
            Kind::Welcome => {
                let word = |offset| u16::from_le_bytes(at(self.body, offset));
                let welcome = Welcome {
                    version: self.body[0],
                    partitions: word(2),
                    shards: word(4),
                    shard: word(6),
                    in_flight_max: u32::from_le_bytes(at(self.body, 8)),
                };
                // Zero partitions or shards would have clients divide by them.
                if self.body[1] != 0 || welcome.partitions == 0 || welcome.shards == 0 || welcome.shard >= welcome.shards {
                    return Err(DecodeError::Body { kind, why: format!("no such topology: {welcome:?}") });
                }
                Frame::Welcome(welcome)
            }
            Kind::GoAway => Frame::GoAway,
            Kind::NodeUrgent => Frame::Node { lane: Lane::Urgent, body: self.body.to_vec() },
            Kind::NodeBulk => Frame::Node { lane: Lane::Bulk, body: self.body.to_vec() },
        })
    }

    fn fault(&self, error: &rancor::Error) -> DecodeError {
        DecodeError::Body { kind: self.header.kind, why: error.to_string() }
    }
}

/// Bytes of one stream as they arrive, cut into frames. Holds at most one incomplete frame once [`Self::next`] has said `None`.
#[derive(Debug)]
pub struct Buffer {
    /// Frames of this sender are taken; others end the stream, so that nobody makes a server hold a response's megabytes, or a node's.
    from: Sender,
    bytes: Vec<u8>,
    /// Bytes at the front already given out.
    taken: usize,
}

impl Buffer {
    /// An empty one, at the `receiver`'s end of a control or request stream.
    #[must_use]
    pub const fn new(receiver: Side) -> Self {
        let from = match receiver {
            Side::Client => Sender::Server,
            Side::Server => Sender::Client,
        };
        Self { from, bytes: Vec::new(), taken: 0 }
    }

    /// An empty one, at the end of a node stream.
    #[must_use]
    pub const fn of_node() -> Self {
        Self { from: Sender::Node, bytes: Vec::new(), taken: 0 }
    }

    /// Takes what arrived. Call [`Self::next`] until it has no more before the next push, or bytes pile up.
    pub fn push(&mut self, bytes: &[u8]) {
        // What is left over is less than a frame and moves once, since then `taken` stays 0 until that frame is whole.
        self.bytes.drain(..self.taken);
        self.taken = 0;
        if self.bytes.is_empty() && self.bytes.capacity() > BUFFER_KEPT_BYTES_MAX {
            self.bytes = Vec::new();
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame, or `None` until more bytes are pushed.
    ///
    /// # Errors
    /// Never [`DecodeError::Incomplete`]. After an error the stream cannot be followed: give it up.
    #[expect(clippy::should_implement_trait, reason = "frames borrow the buffer, which an iterator's items cannot")]
    pub fn next(&mut self) -> Result<Option<RawFrame<'_>>, DecodeError> {
        let bytes = &self.bytes[self.taken..];
        let header = match Header::decode(bytes) {
            Ok(header) => header,
            Err(DecodeError::Incomplete { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if header.kind.sender() != self.from {
            return Err(DecodeError::Direction { kind: header.kind });
        }
        let need = HEADER_BYTES + header.body_bytes as usize;
        let Some(body) = bytes.get(HEADER_BYTES..need) else {
            return Ok(None);
        };
        self.taken += need;
        Ok(Some(RawFrame { header, body }))
    }

    /// Nothing is left that [`Self::next`] has not given out.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }
}

/// Why bytes are no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not a fault: keep the bytes and come again with more.
    #[error("the frame needs {need} bytes, {have} are there")]
    Incomplete {
        /// In all, as far as is known.
        need: usize,
        /// Bytes seen.
        have: usize,
    },
    /// The peer speaks another version than was agreed.
    #[error("a frame of protocol version {found}; {VERSION} was agreed")]
    Version {
        /// In the header.
        found: u8,
    },
    /// No such kind.
    #[error("no kind of frame has the number {found}")]
    Kind {
        /// In the header.
        found: u8,
    },
    /// The body would be shorter or longer than its kind can be.
    #[error("a {kind:?} frame of {found} bytes; it has {min} to {max}")]
    Length {
        /// What the header says it is.
        kind: Kind,
        /// What the header says it has.
        found: u32,
        /// At least.
        min: usize,
        /// At most.
        max: usize,
    },
    /// A field that this kind does not use is set.
    #[error("a {kind:?} frame with a header field set that it does not use")]
    NotZero {
        /// What the header says it is.
        kind: Kind,
    },
    /// The peer sent what only we send, or what belongs on other streams.
    #[error("a {kind:?} frame from the wrong side or on the wrong stream")]
    Direction {
        /// What the header says it is.
        kind: Kind,
    },
    /// The frame is whole, but its body is not what it should be. The next frame can be read.
    #[error("the body of a {kind:?} frame cannot be read: {why}")]
    Body {
        /// What the header says it is.
        kind: Kind,
        /// What is wrong with it.
        why: String,
    },
}

/// Why a frame cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The body passes the bound of its kind.
    #[error("a {kind:?} frame of {found} bytes; it has at most {max}")]
    TooLong {
        /// What it is.
        kind: Kind,
        /// Bytes of the body.
        found: usize,
        /// At most.
        max: usize,
    },
    /// Nothing to say.
    #[error("a {kind:?} frame without a body")]
    Empty {
        /// What it is.
        kind: Kind,
    },
    /// The value cannot be archived: a text or a list of more than 2^30 bytes.
    #[error("the value cannot be archived: {why}")]
    Archive {
        /// rkyv's words.
        why: String,
    },
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
