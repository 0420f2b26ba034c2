//! The output bag under writers that agree, writers that fight, and readers in between.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use stageflow_context::{OutputBag, OutputConflictKind};

const FIRST: NonZeroU32 = NonZeroU32::MIN;

fn attempt(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

#[test]
fn the_first_value_stays_and_the_second_writer_learns_who_was_first() {
    let bag = OutputBag::new();
    bag.put("score", "rerank", attempt(2), 1_u8).unwrap();
    let conflict = bag.put("score", "write", attempt(3), 2_u8).unwrap_err();
    assert_eq!(bag.get::<u8>("score").unwrap().as_deref(), Some(&1));
    assert_eq!(conflict.kind(), OutputConflictKind::Taken);
    assert_eq!(conflict.code(), "SF0208");
    assert_eq!(
        (conflict.key(), conflict.writer(), conflict.attempt()),
        ("score", "write", attempt(3))
    );
    assert_eq!(
        (conflict.first_writer(), conflict.first_attempt()),
        (Some("rerank"), Some(attempt(2)))
    );
    assert_eq!(
        conflict.to_string(),
        "SF0208: output `score` of `write` (attempt 3) was not taken: `rerank` (attempt 2) wrote it first and that value \
         stays; write each key once, or put the writer's name into it"
    );
}

#[test]
fn the_same_writer_cannot_overwrite_either() {
    let bag = OutputBag::new();
    bag.put("score", "rerank", FIRST, 1_u8).unwrap();
    assert_eq!(
        bag.put("score", "rerank", attempt(2), 1_u8)
            .unwrap_err()
            .kind(),
        OutputConflictKind::Taken
    );
}

#[test]
fn a_value_is_only_given_as_the_type_it_has() {
    let bag = OutputBag::new();
    bag.put("score", "rerank", FIRST, 1_u8).unwrap();
    let error = bag.get::<String>("score").unwrap_err();
    assert_eq!(
        (error.code(), error.actual(), error.asked()),
        ("SF0216", "u8", "alloc::string::String")
    );
    assert!(bag.get::<String>("other").unwrap().is_none());
    assert!(bag.view().get::<String>("score").is_err());
}

#[test]
fn a_full_bag_says_so_and_keeps_what_it_has() {
    let bag = OutputBag::with_capacity(NonZeroUsize::new(2).unwrap());
    bag.put("a", "stage", FIRST, ()).unwrap();
    bag.put("b", "stage", FIRST, ()).unwrap();
    let error = bag.put("c", "stage", FIRST, ()).unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (OutputConflictKind::Full, "SF0209")
    );
    assert!(error.to_string().contains("the run holds 2 already"));
    assert_eq!(
        bag.put("a", "stage", FIRST, ()).unwrap_err().kind(),
        OutputConflictKind::Taken
    );
    assert_eq!(bag.len(), 2);
    assert_eq!(bag.view().len(), 2);
}

#[test]
fn writers_together_never_exceed_the_capacity() {
    let bag = OutputBag::with_capacity(NonZeroUsize::new(100).unwrap());
    let taken = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for thread in 0..8 {
            let (bag, taken) = (&bag, &taken);
            threads.spawn(move || {
                for number in 0..50 {
                    let put = bag.put(&format!("{thread}/{number}"), "stage", FIRST, number);
                    taken.fetch_add(usize::from(put.is_ok()), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(
        (taken.load(Ordering::Relaxed), bag.len(), bag.view().len()),
        (100, 100, 100)
    );
}

#[test]
fn of_five_hundred_writers_exactly_one_wins_each_key_and_nothing_is_lost() {
    const WRITERS: usize = 500;
    const KEYS: usize = 40;
    let bag = OutputBag::new();
    let wins: Vec<AtomicUsize> = (0..KEYS).map(|_| AtomicUsize::new(0)).collect();
    std::thread::scope(|threads| {
        for lane in 0..10 {
            let (bag, wins) = (&bag, &wins);
            threads.spawn(move || {
                for writer in (lane..WRITERS).step_by(10) {
                    for (key, won) in wins.iter().enumerate() {
                        let put = bag.put(
                            &format!("key-{key}"),
                            &format!("writer-{writer}"),
                            FIRST,
                            writer,
                        );
                        match put {
                            Ok(()) => _ = won.fetch_add(1, Ordering::Relaxed),
                            Err(conflict) => {
                                assert_ne!(conflict.first_writer(), Some(conflict.writer()));
                            }
                        }
                    }
                    bag.put(&format!("own-{writer}"), "own", FIRST, writer)
                        .unwrap();
                }
            });
        }
    });
    assert!(wins.iter().all(|wins| wins.load(Ordering::Relaxed) == 1));
    assert_eq!(bag.len(), WRITERS + KEYS);
    for writer in 0..WRITERS {
        assert_eq!(
            bag.get::<usize>(&format!("own-{writer}"))
                .unwrap()
                .as_deref(),
            Some(&writer)
        );
    }
    for key in 0..KEYS {
        let view = bag.view();
        let winner = view.entry(&format!("key-{key}")).unwrap();
        assert_eq!(
            winner.writer(),
            format!("writer-{}", winner.get::<usize>().unwrap())
        );
    }
}

#[test]
fn a_view_that_holds_what_was_written_second_holds_what_was_written_first() {
    let bag = OutputBag::with_capacity(NonZeroUsize::new(1_000_000).unwrap());
    // What is there already makes a view take long enough for writers to get in between, if they can.
    for key in 0..20_000 {
        bag.put(&format!("old-{key}"), "w", FIRST, ()).unwrap();
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for writer in 0..2 {
            let (bag, done) = (&bag, &done);
            threads.spawn(move || {
                let rounds = (0..10_000).take_while(|_| !done.load(Ordering::Relaxed));
                for round in rounds {
                    for first_or_second in ["a", "b"] {
                        bag.put(
                            &format!("{first_or_second}-{writer}-{round}"),
                            "w",
                            FIRST,
                            (),
                        )
                        .unwrap();
                    }
                }
            });
        }
        let broken: Option<String> = (0..15).find_map(|_| {
            let view = bag.view();
            let mut seconds = view.iter().filter(|entry| entry.key().starts_with("b-"));
            let alone =
                seconds.find(|second| view.entry(&second.key().replacen('b', "a", 1)).is_none());
            alone.map(|second| second.key().to_owned())
        });
        done.store(true, Ordering::Relaxed);
        assert_eq!(broken, None);
    });
}

#[test]
fn a_view_is_sorted_and_later_writes_do_not_change_it() {
    let bag = OutputBag::new();
    for key in ["b", "c", "a"] {
        bag.put(key, "stage", FIRST, key.to_owned()).unwrap();
    }
    let view = bag.view();
    bag.put("d", "stage", FIRST, ()).unwrap();
    assert_eq!(
        view.iter().map(|entry| entry.key()).collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
    assert_eq!(
        view.get::<String>("b")
            .unwrap()
            .as_deref()
            .map(String::as_str),
        Some("b")
    );
    assert!(view.get::<()>("d").unwrap().is_none());
    assert!(OutputBag::new().view().is_empty());
}

#[test]
fn the_destructor_of_a_refused_value_may_use_the_bag() {
    struct Meddler(Arc<OutputBag>);
    impl Drop for Meddler {
        fn drop(&mut self) {
            let _ = self.0.put("taken", "meddler", FIRST, ());
            assert!(!self.0.view().is_empty());
        }
    }
    let bag = Arc::new(OutputBag::new());
    bag.put("taken", "stage", FIRST, ()).unwrap();
    assert!(
        bag.put("taken", "late", FIRST, Meddler(Arc::clone(&bag)))
            .is_err()
    );
}
