//! Until when a caller waits for its answer: what it says, and never longer than the listener lets
//! it.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Request;

/// The longest that a call may take. Beyond it the caller is told CANCELLED, whatever becomes of
/// its work.
pub(super) const LONGEST_CALL: Duration = Duration::from_secs(10);

/// When the caller of this request, which has just arrived, stops waiting.
pub fn deadline<T>(request: &Request<T>) -> Instant {
    let said = request.metadata().get("grpc-timeout");
    let said = said.and_then(|text| timeout(text.to_str().ok()?));
    Instant::now() + said.map_or(LONGEST_CALL, |said| said.min(LONGEST_CALL))
}

/// At most eight digits and a unit:
/// <https://grpc.github.io/grpc/core/md_doc__p_r_o_t_o_c_o_l-_h_t_t_p2.html>.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    // A text that breaks the rules is as none: the listener's own limit holds in any case.
    let number: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 60 * 60),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}
