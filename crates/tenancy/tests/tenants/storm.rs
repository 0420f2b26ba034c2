//! Many tasks on many threads: no limit is passed, nobody is forgotten, and the books agree.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use stageflow_interceptors::{Admission as _, Arrival};
use stageflow_tenancy::{Quota, QuotaDimension, Tenants, Tier};
use tokio::runtime::{Builder, Handle};
use tokio::task::yield_now;

use crate::support::{identity, org, size};

const ORGS: usize = 5;
const TASKS: usize = 100;
const RUNS: usize = 50;

/// What a test counts of one org, by itself.
#[derive(Default)]
struct Book {
    inside: AtomicUsize,
    peak: AtomicUsize,
    started: AtomicU64,
    full: AtomicU64,
    gone: AtomicU64,
}

#[test]
fn a_hundred_tasks_never_pass_a_limit_and_the_books_agree() {
    let quota = Quota::new().runs(size(3)).queue(size(8));
    let mut builder = Tenants::builder()
        .runs_at_a_time(size(7))
        .tier(Tier::new("all").quota(quota));
    for n in 0..ORGS {
        builder = builder.tenant(org(n), "all");
    }
    let tenants = builder.build().unwrap();
    let books: Arc<Vec<Book>> = Arc::new((0..ORGS).map(|_| Book::default()).collect());
    let all = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let runtime = Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let (tenants, books, all) = (tenants.clone(), Arc::clone(&books), Arc::clone(&all));
                Handle::current().spawn(async move {
                    for run in 0..RUNS {
                        once(&tenants, &books, &all, task * 31 + run * 7).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert!(
        all.1.load(Ordering::SeqCst) <= 7,
        "more than seven at a time"
    );
    let mut asked = 0;
    for (n, book) in books.iter().enumerate() {
        let usage = tenants.usage(org(n)).unwrap();
        let count = |it: &AtomicU64| it.load(Ordering::SeqCst);
        assert!(
            book.peak.load(Ordering::SeqCst) <= 3,
            "more than three of an org"
        );
        assert!(usage.runs.peak_running <= 3 && usage.runs.peak_waiting <= 8);
        assert_eq!((usage.runs.running, usage.runs.waiting), (0, 0));
        assert_eq!(usage.runs.started, usage.runs.finished);
        assert_eq!(usage.refused(QuotaDimension::Queue), count(&book.full));
        // One that goes in the moment of its turn has gone, or was inside for no time.
        assert_eq!(
            usage.runs.started + usage.runs.abandoned,
            count(&book.started) + count(&book.gone)
        );
        asked += usage.asked();
    }
    assert_eq!(asked, (TASKS * RUNS) as u64);
}

/// One run; each seventh goes away while it waits.
async fn once(tenants: &Tenants, books: &[Book], all: &(AtomicUsize, AtomicUsize), number: usize) {
    let book = &books[number % ORGS];
    let admission = tenants.admission();
    let mut arrival = Arrival::new("answer", identity(org(number % ORGS)));
    let asked = admission.admit(&mut arrival);
    let answer = if number.is_multiple_of(7) {
        let patience = async {
            for _ in 0..number % 5 {
                yield_now().await;
            }
        };
        tokio::select! {
            biased;
            answer = asked => Some(answer),
            () = patience => None,
        }
    } else {
        Some(asked.await)
    };
    match answer {
        None => {
            book.gone.fetch_add(1, Ordering::SeqCst);
        }
        Some(Err(_)) => {
            book.full.fetch_add(1, Ordering::SeqCst);
        }
        Some(Ok(pass)) => {
            book.started.fetch_add(1, Ordering::SeqCst);
            let inside = book.inside.fetch_add(1, Ordering::SeqCst) + 1;
            book.peak.fetch_max(inside, Ordering::SeqCst);
            all.1
                .fetch_max(all.0.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..number % 3 {
                yield_now().await;
            }
            all.0.fetch_sub(1, Ordering::SeqCst);
            book.inside.fetch_sub(1, Ordering::SeqCst);
            drop(pass);
        }
    }
}
