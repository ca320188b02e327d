//! The server on standard input and output, as clients start it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rmcp::model::{ClientRequest, JsonRpcMessage};
use rmcp::service::{RxJsonRpcMessage, ServerInitializeError, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::{RoleServer, ServiceExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::BatchServer;
use super::stop::stop_signal;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::{App, Ending};

/// How long calls in flight may go on once the client has closed standard input, and how long they have to end after
/// that. Nobody may be left to hear their answers, and clients kill a server that lingers for two seconds.
const GRACE: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_secs(1);
/// How long the last answers may take to be written.
const FAREWELL: Duration = Duration::from_millis(200);

/// Serves one client until it closes standard input, or the process is told to stop. Nothing but the protocol goes to
/// standard output.
pub async fn serve(app: App) -> Result<()> {
    let (input, output) = rmcp::transport::io::stdio_pipes();
    serve_on(app, input, output, stop_signal()?).await
}

/// The same on any pair of pipes, until it is to `stop`.
pub async fn serve_on(
    app: App,
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let (end, ending) = (CancellationToken::new(), app.ending().clone());
    let input = EndTold { input, end: end.clone() };
    let over = async {
        tokio::select! { () = end.cancelled() => {}, () = stop => {} }
        in_good_order(&ending).await;
    };
    let mut served = std::pin::pin!(served(app, input, output));
    tokio::select! {
        served = &mut served => served,
        () = over => {
            // What was stopped is answered, if anybody is left to hear it.
            ending.over().cancel();
            let _ = tokio::time::timeout(FAREWELL, served).await;
            Ok(())
        }
    }
}

async fn served(
    app: App,
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
) -> Result<()> {
    let failed = |cause: String| Error::new(ErrorKind::Io, "serving on standard input and output", cause);
    let ending = app.ending().clone();
    let server = BatchServer::new(app).at_home();
    let service = match server
        .serve_with_ct(
            Beginning { transport: AsyncRwTransport::new_server(input, output), has_begun: false },
            ending.over().clone(),
        )
        .await
    {
        Ok(service) => service,
        // A client that leaves before it says hello did nothing wrong.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(e) => {
            let hint = "this is an MCP server: start it from an MCP client; for commands see gemini-batch-mcp --help";
            return Err(failed(e.to_string()).hint(hint));
        }
    };
    let quit = service.waiting().await;
    in_good_order(&ending).await;
    quit.map(drop).map_err(|e| failed(e.to_string()))
}

async fn in_good_order(ending: &Ending) {
    ending.in_good_order(GRACE, std::future::pending(), LAST).await;
}

/// Standard input that tells when it has ended.
struct EndTold<R> {
    input: R,
    end: CancellationToken,
}

impl<R: AsyncRead + Unpin> AsyncRead for EndTold<R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (before, had_room) = (buf.filled().len(), buf.remaining() > 0);
        let result = ready!(Pin::new(&mut this.input).poll_read(cx, buf));
        if result.is_err() || (had_room && buf.filled().len() == before) {
            this.end.cancel();
        }
        Poll::Ready(result)
    }
}

/// A client that has said nothing yet which a conversation begins with. What it says before that needs no answer is
/// nothing to end the conversation for.
struct Beginning<T> {
    transport: T,
    has_begun: bool,
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Beginning<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), T::Error>> + Send + 'static {
        self.transport.send(message)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let message = self.transport.receive().await?;
            match &message {
                JsonRpcMessage::Request(request) => {
                    let is_probe =
                        matches!(request.request, ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_));
                    self.has_begun |= !is_probe;
                    return Some(message);
                }
                _ if self.has_begun => return Some(message),
                _ => tracing::debug!("said before the beginning: {message:?}"),
            }
        }
    }

    fn close(&mut self) -> impl Future<Output = Result<(), T::Error>> + Send {
        self.transport.close()
    }
}
