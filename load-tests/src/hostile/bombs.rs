//! What is small on the wire and large in memory: a gzip message of zeros, and a header block that
//! names one long header again and again.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use h2::client::Builder;
use http::HeaderValue;

use super::{
    fill::{Manner, fill},
    frames::{block, headers, pour},
    front::Front,
    listener::{Ask, framed},
};

/// Inflated. Deflated it is just within the limit of a message.
const ZEROS: usize = 15 * 1024 * 1024;
/// Of the one header, just within the table that RFC 7541 begins with.
const HEADER: usize = 4_000;
/// How often it is named: 64 MB in all.
const TIMES: usize = 16_000;
/// The newest entry of the dynamic table.
const NEWEST: u8 = 0x80 | 62;

pub(super) async fn run(front: &Front) {
    let body = deflated();
    let ask = |_| {
        let mut request = front.listener.post(front.listener.call());
        let gzip = HeaderValue::from_static("gzip");
        request.headers_mut().insert("grpc-encoding", gzip);
        Ask {
            request,
            body: body.clone(),
            is_whole: true,
        }
    };
    let (block, builder) = (block(&front.listener), Builder::new());
    tokio::join!(
        fill(front, &builder, 0.5, Manner::Reads, ask),
        pour(front, 0.5, 1, |id| headers(id, &inflating(&block, id == 1)))
    );
}

fn deflated() -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1024 * 1024];
    for _ in 0..ZEROS / zeros.len() {
        encoder.write_all(&zeros).expect("memory takes it");
    }
    let message = encoder.finish().expect("memory takes it");
    framed(1, message.len(), &message)
}

/// Sets the long header where it is not known yet, and names it.
fn inflating(block: &[u8], is_first: bool) -> Vec<u8> {
    let mut block = block.to_vec();
    if is_first {
        // Literal with incremental indexing; a length of 7 bits and more is in two or three octets.
        block.extend([0x40, 1, b'x', 127]);
        let rest = HEADER - 127;
        block.extend([(rest % 128) as u8 | 128, (rest / 128) as u8]);
        block.extend([b'x'; HEADER]);
    }
    block.extend([NEWEST; TIMES]);
    block
}
