//! Who was doing what when something hung.

use std::fmt::Write as _;
use std::fs;

use tokio::runtime::Handle;

/// The runtime's tasks, and every thread of the process with its state. Threads are told of where the system shows them.
pub(crate) fn dump(runtime: Option<&Handle>) -> String {
    let mut dump = String::new();
    if let Some(runtime) = runtime {
        let metrics = runtime.metrics();
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            dump,
            "runtime: {} tasks alive on {} workers, {} waiting in the common queue",
            metrics.num_alive_tasks(),
            metrics.num_workers(),
            metrics.global_queue_depth(),
        );
    }
    for thread in threads() {
        let _ = writeln!(dump, "thread {thread}");
    }
    dump
}

/// Name, state and, where the kernel says so, what each thread waits in.
fn threads() -> Vec<String> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let mut threads: Vec<String> = tasks
        .flatten()
        .map(|task| {
            let read = |file| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let status = read("status");
            let state = status
                .lines()
                .find_map(|line| line.strip_prefix("State:"))
                .unwrap_or("gone")
                .trim()
                .to_owned();
            let name = read("comm").trim().to_owned();
            let wait = read("wchan").trim().to_owned();
            format!("{name}: {state} {wait}").trim_end().to_owned()
        })
        .collect();
    threads.sort();
    threads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the task is what is looked at")]
    async fn a_task_that_waits_is_counted() {
        let waiting = tokio::spawn(std::future::pending::<()>());
        tokio::task::yield_now().await;
        let dump = dump(Some(&Handle::current()));
        assert!(
            dump.contains("runtime: 1 tasks alive on 1 workers"),
            "{dump}"
        );
        #[cfg(target_os = "linux")]
        assert!(dump.contains("thread "), "{dump}");
        waiting.abort();
    }
}
