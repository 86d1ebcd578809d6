//! Connections to the simulated AWS that break.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The header of a response that does not arrive, or of which only a part does.
pub(crate) const RESET: &str = "x-reset";
/// The value of [`RESET`] for a response that does not arrive.
pub(crate) const BEFORE: &str = "before";
/// The value of [`RESET`] for a response of which only a part arrives.
pub(crate) const WITHIN: &str = "within";

/// Starts a proxy to `target` that closes the first `broken` connections, and returns its URL.
pub(crate) async fn breaking_proxy(target: SocketAddr, broken: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for _ in 0..broken {
            drop(listener.accept().await.unwrap());
        }
        while let Ok((inbound, _)) = listener.accept().await {
            tokio::spawn(relay(inbound, target));
        }
    });
    format!("http://{address}")
}

/// Relays requests and responses until a response has the header [`RESET`].
async fn relay(inbound: TcpStream, target: SocketAddr) {
    let (mut requests, mut to_client) = inbound.into_split();
    let (mut responses, mut to_server) = TcpStream::connect(target).await.unwrap().into_split();
    let forward = async {
        let _ = tokio::io::copy(&mut requests, &mut to_server).await;
    };
    let back = async {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = responses.read(&mut buffer).await {
            let chunk = &buffer[..length];
            let head = String::from_utf8_lossy(chunk);
            let arrives = if head.contains(&format!("{RESET}: {BEFORE}")) {
                0
            } else if head.contains(&format!("{RESET}: {WITHIN}")) {
                length - 8
            } else {
                length
            };
            if to_client.write_all(&chunk[..arrives]).await.is_err() || arrives < length {
                return;
            }
        }
    };
    tokio::select! { () = forward => {}, () = back => {} }
}
