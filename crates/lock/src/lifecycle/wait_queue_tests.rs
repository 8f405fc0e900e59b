//! Tests of the queue of one process.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;

use super::wait_queue::{MOST_UNCLAIMED, RECENT, Waiting};
use crate::error::Error;
use crate::protocol::keys::Keys;

#[tokio::test]
async fn turns_come_in_the_order_of_asking() {
    let waiting = Arc::new(Waiting::default());
    let mut first = waiting.enter(&"x".into());
    first.head().await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut others = Vec::new();
    for number in 0..5 {
        let mut place = waiting.enter(&"x".into());
        let order = order.clone();
        others.push(tokio::spawn(async move {
            place.head().await;
            order.lock().expect("the order").push(number);
        }));
        tokio::task::yield_now().await;
    }
    drop(first);
    for other in others {
        other.await.expect("a waiter");
    }
    assert_eq!(*order.lock().expect("the order"), [0, 1, 2, 3, 4]);
    assert!(waiting.is_empty());
}

#[tokio::test]
async fn a_cancelled_waiter_lets_the_next_move_up() {
    let waiting = Arc::new(Waiting::default());
    let mut first = waiting.enter(&"x".into());
    first.head().await;
    let mut second = waiting.enter(&"x".into());
    let mut third = waiting.enter(&"x".into());
    {
        let (mut waits, mut behind) = (Box::pin(second.head()), Box::pin(third.head()));
        let at_once = std::time::Duration::ZERO;
        assert!(tokio::time::timeout(at_once, &mut waits).await.is_err());
        assert!(tokio::time::timeout(at_once, &mut behind).await.is_err());
    }
    drop(second);
    drop(first);
    third.head().await;
    drop(third);
    assert!(waiting.is_empty());
}

#[test]
fn two_that_leave_at_once_leave_no_queue_behind() {
    const ROUNDS: usize = 20_000;
    let waiting = Arc::new(Waiting::default());
    let together = std::sync::Barrier::new(2);
    let leave_often = || {
        let mut left_behind = 0;
        for _ in 0..ROUNDS {
            let place = waiting.enter(&"x".into());
            together.wait();
            drop(place);
            together.wait();
            left_behind += usize::from(!waiting.is_empty());
            together.wait();
        }
        left_behind
    };
    let left_behind = std::thread::scope(|scope| {
        let other = scope.spawn(leave_often);
        leave_often() + other.join().expect("the other thread")
    });
    assert_eq!(left_behind, 0);
}

#[tokio::test(start_paused = true)]
async fn what_stood_in_the_way_of_one_head_is_told_of_the_next_for_a_moment() {
    let waiting = Arc::new(Waiting::default());
    let mut first = waiting.enter(&"x".into());
    let mut second = waiting.enter(&"x".into());
    first.head().await;
    first.set_obstacle(Error::Closed);
    assert!(second.obstacle().is_some(), "it waits behind the first");
    let succession = async { tokio::join!(second.head(), async { drop(first) }) };
    succession.await;
    assert!(second.obstacle().is_some(), "it has hardly asked");
    tokio::time::advance(RECENT).await;
    assert!(second.obstacle().is_none(), "it is left without a reply");
    second.set_obstacle(Error::Forked);
    assert!(matches!(second.obstacle(), Some(Error::Forked)));
}

#[tokio::test]
async fn hints_reach_those_who_wait_for_the_lock() {
    let waiting = Arc::new(Waiting::default());
    let plain = waiting.enter(&"- x".into());
    let slots = waiting.enter(&"2 x".into());
    let is_told = |place: &super::wait_queue::Place| place.freed().now_or_never().is_some();
    waiting.freed("- x");
    assert!(is_told(&plain) && !is_told(&slots));
    waiting.called("- x");
    assert!(is_told(&plain) && waiting.take_unclaimed().is_empty());
    waiting.changed("x");
    assert!(is_told(&plain) && !is_told(&slots));
    waiting.changed("x:1");
    assert!(!is_told(&plain) && is_told(&slots));
    for (wait_key, told, other) in [("- x", &plain, &slots), ("2 x", &slots, &plain)] {
        waiting.released(&Keys::of_waiters(wait_key).expect("keys"));
        assert!(is_told(told) && !is_told(other));
    }
    waiting.soon("2 x");
    assert!(slots.soon().now_or_never().is_some() && plain.soon().now_or_never().is_none());
}

#[tokio::test]
async fn a_place_knows_whether_others_are_before_or_behind_it() {
    let waiting = Arc::new(Waiting::default());
    let mut first = waiting.enter(&"x".into());
    assert!(first.is_next() && !first.is_followed());
    first.head().await;
    let second = waiting.enter(&"x".into());
    assert!(first.is_followed() && !second.is_next());
    drop(second);
    assert!(!first.is_followed());
}

#[test]
fn so_many_places_are_given_up_and_no_more() {
    let waiting = Arc::new(Waiting::default());
    for number in 0..2 * MOST_UNCLAIMED {
        waiting.called(&number.to_string());
    }
    assert_eq!(waiting.take_unclaimed().len(), MOST_UNCLAIMED);
}
