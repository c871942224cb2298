//! The reordering timeout (RFC 8985 §6.2 step 5): what may have been overtaken on its way has had its time.

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::Context;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::recovery::reaction;

/// It counts as lost now.
pub(crate) fn expire<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    reaction::on_reordering_timer(conn, cx);
}
