//! Serializability of a list-append history (Kingsbury and Alvaro, "Elle", VLDB 2020), by search for a cycle of dependencies.
//!
//! Every append is of an element that nobody else appends, and every read returns a whole list: the reads show in which order a key's elements
//! were appended, and so who wrote before whom, who read from whom, and who read what somebody then overwrote.

use std::collections::{BTreeMap, HashMap};

pub(crate) type Key = u8;
pub(crate) type Element = u64;

/// A committed transaction, as its author saw it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Committed {
    /// What it read before it appended.
    pub(crate) reads: Vec<(Key, Vec<Element>)>,
    pub(crate) appends: Vec<(Key, Element)>,
    /// Begin and end on one clock: what ended before another began must come first.
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Appended right before the other did.
    WriteWrite,
    /// The other read what it appended.
    WriteRead,
    /// It read a list that the other then extended.
    ReadWrite,
    /// It ended before the other began.
    RealTime,
}

/// What is wrong with a history.
#[derive(Debug)]
#[expect(dead_code, reason = "read by Debug, in the message of the test that fails")]
pub(crate) enum Anomaly {
    /// Two reads of a key that are not prefixes of one another.
    IncompatibleOrders(Key, Vec<Element>, Vec<Element>),
    /// An element that was read but that no committed transaction appended.
    Phantom(Key, Element),
    /// An append that the final read of its key does not have.
    LostAppend(Key, Element),
    /// Transactions, each of which must come before the next, and the last before the first.
    Cycle(Vec<(usize, Why)>),
}

/// The first anomaly found. The history must end with reads of every key, so that each order is known to its end.
pub(crate) fn check(history: &[Committed]) -> Option<Anomaly> {
    let orders = match orders(history) {
        Ok(orders) => orders,
        Err(anomaly) => return Some(anomaly),
    };
    let mut appended_by = HashMap::new();
    for (index, committed) in history.iter().enumerate() {
        for &(key, element) in &committed.appends {
            appended_by.insert((key, element), index);
            if !orders.get(&key).is_some_and(|order| order.contains(&element)) {
                return Some(Anomaly::LostAppend(key, element));
            }
        }
    }
    for (&key, order) in &orders {
        if let Some(&element) = order.iter().find(|&&element| !appended_by.contains_key(&(key, element))) {
            return Some(Anomaly::Phantom(key, element));
        }
    }
    let edges = edges(history, &orders, &appended_by);
    find_cycle(&edges).map(Anomaly::Cycle)
}

/// The order of each key's appends: its longest read, of which every other read must be a prefix.
fn orders(history: &[Committed]) -> Result<BTreeMap<Key, Vec<Element>>, Anomaly> {
    let mut orders = BTreeMap::<Key, Vec<Element>>::new();
    for (key, list) in history.iter().flat_map(|committed| &committed.reads) {
        let longest = orders.entry(*key).or_default();
        let common = longest.len().min(list.len());
        if longest[..common] != list[..common] {
            return Err(Anomaly::IncompatibleOrders(*key, longest.clone(), list.clone()));
        }
        if list.len() > longest.len() {
            longest.clone_from(list);
        }
    }
    Ok(orders)
}

type Edges = Vec<Vec<(usize, Why)>>;

fn edges(
    history: &[Committed],
    orders: &BTreeMap<Key, Vec<Element>>,
    appended_by: &HashMap<(Key, Element), usize>,
) -> Edges {
    let mut edges: Edges = vec![Vec::new(); history.len()];
    let mut add = |from: usize, to: usize, why| {
        if from != to {
            edges[from].push((to, why));
        }
    };
    for (key, order) in orders {
        for pair in order.windows(2) {
            add(appended_by[&(*key, pair[0])], appended_by[&(*key, pair[1])], Why::WriteWrite);
        }
    }
    for (reader, committed) in history.iter().enumerate() {
        for (key, list) in &committed.reads {
            if let Some(last) = list.last() {
                add(appended_by[&(*key, *last)], reader, Why::WriteRead);
            }
            if let Some(next) = orders[key].get(list.len()) {
                add(reader, appended_by[&(*key, *next)], Why::ReadWrite);
            }
        }
    }
    // One edge from each transaction to those that began after it ended, and before the first of those ended: the others follow from them.
    let mut by_begin: Vec<usize> = (0..history.len()).collect();
    by_begin.sort_by_key(|&index| history[index].began);
    for (index, committed) in history.iter().enumerate() {
        let first = by_begin.partition_point(|&other| history[other].began <= committed.ended);
        let first_end = by_begin[first..].iter().map(|&other| history[other].ended).min().unwrap_or(0);
        for &other in by_begin[first..].iter().take_while(|&&other| history[other].began <= first_end) {
            add(index, other, Why::RealTime);
        }
    }
    edges
}

/// Depth-first search without recursion; the path that closes on itself is the cycle.
fn find_cycle(edges: &Edges) -> Option<Vec<(usize, Why)>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    for root in 0..edges.len() {
        if marks[root] != Mark::New {
            continue;
        }
        marks[root] = Mark::OnPath;
        let mut path = vec![(root, 0)];
        while let Some((node, next)) = path.last_mut() {
            let Some(&(to, _)) = edges[*node].get(*next) else {
                marks[*node] = Mark::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match marks[to] {
                Mark::New => {
                    marks[to] = Mark::OnPath;
                    path.push((to, 0));
                }
                Mark::OnPath => {
                    let start = path.iter().position(|(node, _)| *node == to).expect("it is on the path");
                    return Some(path[start..].iter().map(|(node, next)| (*node, edges[*node][next - 1].1)).collect());
                }
                Mark::Done => {}
            }
        }
    }
    None
}

/// A checker counts once it has found what it is for.
mod controls {
    use super::{Anomaly, Committed, check};

    fn committed(reads: &[(u8, &[u64])], appends: &[(u8, u64)], began: u64, ended: u64) -> Committed {
        Committed {
            reads: reads.iter().map(|(key, list)| (*key, list.to_vec())).collect(),
            appends: appends.to_vec(),
            began,
            ended,
        }
    }

    #[test]
    fn a_serial_history_passes() {
        let history = [
            committed(&[(1, &[])], &[(1, 10)], 0, 1),
            committed(&[(1, &[10])], &[(1, 11), (2, 20)], 2, 3),
            committed(&[(1, &[10, 11]), (2, &[20])], &[], 4, 5),
        ];
        assert!(check(&history).is_none());
    }

    #[test]
    fn write_skew_is_found() {
        let history = [
            committed(&[(1, &[])], &[(2, 20)], 0, 10),
            committed(&[(2, &[])], &[(1, 10)], 1, 11),
            committed(&[(1, &[10]), (2, &[20])], &[], 12, 13),
        ];
        assert!(matches!(check(&history), Some(Anomaly::Cycle(_))));
    }

    #[test]
    fn a_lost_update_is_found() {
        let history = [
            committed(&[(1, &[])], &[(1, 10)], 0, 10),
            committed(&[(1, &[])], &[(1, 11)], 1, 11),
            committed(&[(1, &[11])], &[], 12, 13),
        ];
        assert!(matches!(check(&history), Some(Anomaly::LostAppend(1, 10))));
    }

    #[test]
    fn a_fork_is_found() {
        let history = [
            committed(&[(1, &[])], &[(1, 10)], 0, 10),
            committed(&[(1, &[])], &[(1, 11)], 1, 11),
            committed(&[(1, &[11, 10])], &[], 12, 13),
            committed(&[(1, &[10])], &[], 12, 13),
        ];
        assert!(matches!(check(&history), Some(Anomaly::IncompatibleOrders(..))));
    }

    #[test]
    fn a_stale_read_is_found_by_real_time_alone() {
        let history = [
            committed(&[(1, &[])], &[(1, 10)], 0, 1),
            committed(&[(1, &[])], &[], 2, 3),
            committed(&[(1, &[10])], &[], 4, 5),
        ];
        assert!(matches!(check(&history), Some(Anomaly::Cycle(_))));
    }

    #[test]
    fn a_dirty_read_is_found() {
        let history = [committed(&[(1, &[99])], &[], 0, 1)];
        assert!(matches!(check(&history), Some(Anomaly::Phantom(1, 99))));
    }
}
