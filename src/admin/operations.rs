//! Actions under way and those that have ended: what `/operations` tells.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// So many that have ended are remembered.
const REMEMBERED: usize = 32;

/// How far an action is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is done, in the action's own unit.
    pub done: u64,
    /// What there is to do, as far as known; 0: not known yet.
    pub total: u64,
}

/// How an operation stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum OperationState {
    /// It is under way.
    Running,
    /// It is done.
    Done {
        /// What came out, as the verb of the same name prints it.
        result: Value,
    },
    /// It has failed.
    Failed {
        /// Why.
        error: String,
    },
}

/// An action that was begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Its number, counted since the server was started.
    pub id: u64,
    /// What it does.
    pub action: String,
    /// What it was told.
    pub settings: Value,
    /// How far it is.
    pub progress: Progress,
    /// For how long it has run, or ran, in milliseconds.
    pub elapsed_ms: u64,
    /// How it stands.
    #[serde(flatten)]
    pub state: OperationState,
}

/// An operation's progress, told by whoever runs it.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    done: AtomicU64,
    total: AtomicU64,
}

impl Reporter {
    pub(super) fn report(&self, progress: Progress) {
        self.total.store(progress.total, Relaxed);
        self.done.store(progress.done, Relaxed);
    }

    fn progress(&self) -> Progress {
        Progress { done: self.done.load(Relaxed), total: self.total.load(Relaxed) }
    }
}

#[derive(Debug)]
struct Entry {
    id: u64,
    action: &'static str,
    settings: Value,
    reporter: Arc<Reporter>,
    begun: Instant,
    /// How long it took; `None` while it runs.
    took: Option<Duration>,
    state: OperationState,
}

impl Entry {
    fn operation(&self) -> Operation {
        Operation {
            id: self.id,
            action: self.action.to_owned(),
            settings: self.settings.clone(),
            progress: self.reporter.progress(),
            elapsed_ms: self.took.unwrap_or_else(|| self.begun.elapsed()).as_millis() as u64,
            state: self.state.clone(),
        }
    }
}

/// All that were begun, oldest first.
#[derive(Debug, Default)]
pub(super) struct Operations {
    entries: Mutex<(u64, VecDeque<Entry>)>,
}

impl Operations {
    /// Notes that `action` begins. `Err`: one of its kind runs already, and this is it.
    pub(super) fn begin(
        &self,
        action: &'static str,
        settings: Value,
    ) -> Result<(Operation, Arc<Reporter>), Box<Operation>> {
        let mut guard = self.entries.lock();
        let (last, entries) = &mut *guard;
        if let Some(running) = entries.iter().find(|entry| entry.action == action && entry.took.is_none()) {
            return Err(Box::new(running.operation()));
        }
        *last += 1;
        let reporter = Arc::<Reporter>::default();
        let entry = Entry {
            id: *last,
            action,
            settings,
            reporter: Arc::clone(&reporter),
            begun: Instant::now(),
            took: None,
            state: OperationState::Running,
        };
        let operation = entry.operation();
        entries.push_back(entry);
        while entries.len() > REMEMBERED
            && let Some(oldest) = entries.iter().position(|entry| entry.took.is_some())
        {
            entries.remove(oldest);
        }
        Ok((operation, reporter))
    }

    pub(super) fn end(&self, id: u64, outcome: Result<Value, String>) {
        let mut guard = self.entries.lock();
        if let Some(entry) = guard.1.iter_mut().find(|entry| entry.id == id) {
            entry.took = Some(entry.begun.elapsed());
            entry.state = match outcome {
                Ok(result) => OperationState::Done { result },
                Err(error) => OperationState::Failed { error },
            };
        }
    }

    pub(super) fn get(&self, id: u64) -> Option<Operation> {
        self.entries.lock().1.iter().find(|entry| entry.id == id).map(Entry::operation)
    }

    pub(super) fn all(&self) -> Vec<Operation> {
        self.entries.lock().1.iter().map(Entry::operation).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_kind_runs_at_a_time_and_only_ended_ones_are_forgotten() {
        let operations = Operations::default();
        let (slow, _reporter) = operations.begin("slow", Value::Null).expect("nothing runs");
        assert_eq!(operations.begin("slow", Value::Null).expect_err("it runs").id, slow.id);
        for _ in 0..3 * REMEMBERED {
            let (quick, reporter) = operations.begin("quick", Value::Null).expect("the one before has ended");
            reporter.report(Progress { done: 1, total: 2 });
            operations.end(quick.id, Err("no".to_owned()));
        }
        let all = operations.all();
        assert_eq!((all.len(), all[0].id, &all[0].state), (REMEMBERED, slow.id, &OperationState::Running));
        operations.end(slow.id, Ok(Value::from(7)));
        assert_eq!(
            operations.get(slow.id).map(|slow| slow.state),
            Some(OperationState::Done { result: Value::from(7) })
        );
        let text = serde_json::to_value(operations.get(slow.id)).expect("it is plain data");
        assert_eq!((&text["state"], &text["result"]), (&Value::from("done"), &Value::from(7)));
    }
}
