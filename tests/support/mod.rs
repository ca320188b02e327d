//! What the tests of the real binary share.
#![allow(dead_code, unreachable_pub)]

pub mod address;
pub mod certificate;
pub mod http_server;
pub mod journey;
pub mod ledger;
pub mod parquet;
pub mod process;
pub mod program;
pub mod remembered;
pub mod requests;
pub mod scripted;
pub mod session;
pub mod side_by_side;
pub mod signed;
pub mod tasks;
pub mod world;
