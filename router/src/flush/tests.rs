//! What calls the flush thread.

use super::*;
use std::sync::mpsc::channel;
use std::thread;

/// Long enough for any machine; a thread that sleeps longer has missed its call.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether `flusher` finds `state` calling, rather than sleep for an hour.
fn wakes(flusher: Flusher) -> bool {
    let (done, slept) = channel();
    // Not joined: if the call is missed, it sleeps on.
    thread::spawn(move || {
        let mut state = flusher.state.lock();
        flusher.sleep(&mut state, Duration::from_secs(3600));
        drop(state);
        done.send(())
    });
    slept.recv_timeout(PATIENCE).is_ok()
}

/// The thread looks around, sees nothing to do, and is called before it lies down.
#[test]
fn a_call_while_the_thread_looks_around_is_not_missed() {
    let flusher = Flusher::new();
    flusher.set_automatic(true);
    assert!(wakes(flusher), "the interval was started");

    let flusher = Flusher::new();
    let mut asked = 0;
    let room = flusher.wait_for_room(|| {
        asked += 1;
        (asked > 1).then_some(())
    });
    assert!(room.is_ok());
    assert!(wakes(flusher), "a commit needs room");

    let flusher = Flusher::new();
    flusher.stop();
    assert!(wakes(flusher), "the store closes");
}
