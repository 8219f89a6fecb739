//! How whoever asks opens a connection: handshake, who is there, hello, welcome.
//!
//! Path: [`Opening::open`] → the TLS handshake → the certificate names an engine → the control stream, hello, welcome → [`Greeted`].
//! On any runtime, and without a clock: the caller sets the limit of time, by dropping the future.

use super::{Arrived, CloseCode, Frames, Identity, IdentityError, Part, StreamFault, peer_part};
use crate::frame::{Frame, Hello, Side, VERSION, Welcome};
use crate::{CallError, ShardId};
use quinn::{ClientConfig, Connection, Endpoint, SendStream};
use std::net::SocketAddr;

/// A connection to open.
pub(super) struct Opening<'a> {
    /// From which socket.
    pub(super) endpoint: &'a Endpoint,
    /// Where the shard listens.
    pub(super) address: SocketAddr,
    /// The shard that has to answer there.
    pub(super) shard: ShardId,
    /// Other settings than the socket's own.
    pub(super) config: Option<ClientConfig>,
    /// The engine that has to be there; any without.
    pub(super) wanted: Option<&'a Identity>,
}

/// A connection over which something can be asked.
pub(super) struct Greeted {
    pub(super) connection: Connection,
    /// Of the control stream, as [`Self::hear`]: the connection lasts as long as it is open.
    pub(super) say: SendStream,
    pub(super) hear: Frames,
    pub(super) welcome: Welcome,
}

impl Opening<'_> {
    /// Opens it. Waits without end for somebody who does not answer.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] if nobody is there or does not let us in, [`CallError::Protocol`] if it is not what we look for.
    pub(super) async fn open(self) -> Result<Greeted, CallError> {
        let Self { endpoint, address, shard, config, wanted } = self;
        let unreachable = |error: &dyn std::fmt::Display| CallError::Unreachable(format!("{address}: {error}"));
        let name = Part::Engine.dns_name();
        let connecting = match config {
            Some(config) => endpoint.connect_with(config, address, &name),
            None => endpoint.connect(address, &name),
        };
        let connection = connecting.map_err(|error| unreachable(&error))?.await.map_err(|error| unreachable(&error))?;
        let there = peer_part(&connection, Part::Engine).and_then(|found| match wanted {
            Some(wanted) if *wanted != found => Err(IdentityError::Other { wanted: wanted.clone(), found }),
            Some(_) | None => Ok(()),
        });
        if let Err(error) = there {
            CloseCode::Identity.close(&connection, &error.to_string());
            return Err(unreachable(&error));
        }
        let (mut say, hear) = connection.open_bi().await.map_err(|error| unreachable(&error))?;
        let mut hello = Vec::new();
        Frame::Hello(Hello::OURS).encode(&mut hello).map_err(|error| CallError::Protocol(error.to_string()))?;
        say.write_all(&hello).await.map_err(|error| unreachable(&error))?;
        let mut hear = Frames::new(hear, Side::Client);
        let welcome = match hear.next().await {
            Ok(Some(Arrived { frame: Ok(Frame::Welcome(welcome)), .. })) => welcome,
            Ok(Some(Arrived { frame: Ok(Frame::GoAway), .. })) => return Err(unreachable(&"the engine stops")),
            Ok(Some(Arrived { frame: Err(error), .. })) | Err(StreamFault::Unreadable(error)) => {
                return Err(CallError::Protocol(error.to_string()));
            }
            Ok(Some(Arrived { header, .. })) => return Err(CallError::Protocol(format!("wanted welcome, found {:?}", header.kind))),
            // Here a server says what it has against us: a certificate, or a version.
            Ok(None) | Err(StreamFault::Lost(_) | StreamFault::Cut) => {
                let why = connection.close_reason().map_or_else(|| "it hung up".into(), |error| error.to_string());
                return Err(unreachable(&why));
            }
        };
        if welcome.version != VERSION || welcome.shard != shard.0 {
            let text = format!("wanted shard {} in version {VERSION}, found shard {} in {}", shard.0, welcome.shard, welcome.version);
            CloseCode::Protocol.close(&connection, &text);
            return Err(CallError::Protocol(text));
        }
        Ok(Greeted { connection, say, hear, welcome })
    }
}
