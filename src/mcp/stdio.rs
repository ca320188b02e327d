//! The server on standard input and output, as clients start it.

use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;

use super::BatchServer;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::App;

/// Serves one client until it closes standard input. Nothing but the protocol goes to standard output.
pub async fn serve(app: App) -> Result<()> {
    let act = "serving on standard input and output";
    let failed = |cause: String| Error::new(ErrorKind::Io, act, cause);
    match BatchServer::new(app).serve(rmcp::transport::io::stdio_pipes()).await {
        Ok(service) => {
            let quit = service.waiting().await.map_err(|e| failed(e.to_string()))?;
            tracing::debug!(?quit, "client left");
            Ok(())
        }
        // A client that leaves before it says hello did nothing wrong.
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(e) => Err(failed(e.to_string())
            .hint("this is an MCP server: start it from an MCP client, or use a command; see gemini-batch-mcp --help")),
    }
}
