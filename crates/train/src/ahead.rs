//! Work done ahead on a second thread, delivered in order.
//!
//! Preparing a step (drawing data, pairing it) needs nothing of the step before, so it can run while the network is
//! busy. Order is kept and every item depends on its index alone, so the result is the same as without the thread.

use std::ops::{ControlFlow, Range};
use std::sync::mpsc::sync_channel;
use std::thread;

/// How many items wait ready at most.
const AHEAD: usize = 4;

/// Calls `consume` with `prepare(i)` for each `i` of `range` in order, preparing some ahead, until `consume` breaks.
///
/// # Errors
/// The first error of `prepare` or `consume`, once the items before it are consumed.
pub fn for_each_ahead<T: Send, E: Send>(
    range: Range<u64>,
    prepare: impl Fn(u64) -> Result<T, E> + Sync,
    mut consume: impl FnMut(u64, T) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(AHEAD);
        let prepare = &prepare;
        let indices = range.clone();
        scope.spawn(move || {
            for index in indices {
                let item = prepare(index);
                let failed = item.is_err();
                // A closed channel means that nobody wants more.
                if sender.send(item).is_err() || failed {
                    return;
                }
            }
        });
        for (index, item) in range.zip(&receiver) {
            if consume(index, item?)?.is_break() {
                break;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_in_order_and_once() {
        let mut seen = Vec::new();
        for_each_ahead(
            5..105,
            |i| Ok::<_, ()>(i * i),
            |i, square| {
                seen.push((i, square));
                Ok(ControlFlow::Continue(()))
            },
        )
        .unwrap();
        assert_eq!(seen, (5..105).map(|i| (i, i * i)).collect::<Vec<_>>());
    }

    #[test]
    fn a_break_ends_the_work() {
        let mut count = 0;
        for_each_ahead(0..u64::MAX, Ok::<u64, ()>, |i, _| {
            count += 1;
            Ok(if i == 9 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .unwrap();
        assert_eq!(count, 10);
    }

    #[test]
    fn an_error_of_either_side_comes_after_the_items_before_it() {
        let mut last = 0;
        let failed = for_each_ahead(
            0..100,
            |i| if i == 7 { Err("no data") } else { Ok(i) },
            |i, _| {
                last = i;
                Ok(ControlFlow::Continue(()))
            },
        );
        assert_eq!((failed, last), (Err("no data"), 6));
        let failed =
            for_each_ahead(
                0..100,
                Ok,
                |i, _| if i == 3 { Err("diverged") } else { Ok(ControlFlow::Continue(())) },
            );
        assert_eq!(failed, Err("diverged"));
    }
}
