//! A batch of writes, as its author builds it.

#[cfg(test)]
use shingle_shard::Ops;
use shingle_shard::{Op, OpsBuf, check_key, check_value};

/// How durable a commit is when it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// On disk: survives a power cut.
    #[default]
    Sync,
    /// In the system's page cache, synced every few milliseconds: survives a killed process, may lose the last moments in a power cut.
    Buffered,
}

/// Writes that become visible together or not at all.
///
/// Where a key is written more than once, the last write wins. Bounds of keys and values are checked when the batch is committed.
///
/// ```
/// # use shingle_router::Batch;
/// let mut batch = Batch::new();
/// batch.put("alice", "10").put("bob", "5").delete("carol");
/// assert_eq!(batch.len(), 3);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Batch {
    ops: OpsBuf,
    count: usize,
    durability: Option<Durability>,
    /// The first write that was out of bounds; the commit reports it.
    refused: Option<shingle_shard::Error>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Batch::default()
    }

    /// An empty batch with room for `bytes` of keys and values.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Batch { ops: OpsBuf::with_capacity(bytes), ..Batch::default() }
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> &mut Self {
        self.push(Op { key: key.as_ref(), value: Some(value.as_ref()) })
    }

    /// Deletes `key`; deleting what is not there is no error.
    pub fn delete(&mut self, key: impl AsRef<[u8]>) -> &mut Self {
        self.push(Op { key: key.as_ref(), value: None })
    }

    fn push(&mut self, op: Op<'_>) -> &mut Self {
        match check_key(op.key).and_then(|()| check_value(op.value.unwrap_or_default())) {
            Ok(()) => {
                self.ops.push(op);
                self.count += 1;
            }
            Err(error) => {
                self.refused.get_or_insert(error);
            }
        }
        self
    }

    /// Asks for another durability than the store's.
    pub fn set_durability(&mut self, durability: Durability) -> &mut Self {
        self.durability = Some(durability);
        self
    }

    /// The durability that was asked for, if any.
    #[must_use]
    pub fn durability(&self) -> Option<Durability> {
        self.durability
    }

    /// How many writes the batch has, repeated keys counted each time.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the batch has no write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes the batch takes in the commit log.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.ops.as_bytes().len()
    }

    /// Refuses the batch if one of its writes was out of bounds.
    pub(crate) fn check(&self) -> crate::Result<()> {
        self.refused.clone().map_or(Ok(()), |error| Err(error.into()))
    }

    /// The packed writes, in the order in which they came.
    pub(crate) fn packed(&self) -> &[u8] {
        self.ops.as_bytes()
    }

    #[cfg(test)]
    pub(crate) fn ops(&self) -> Ops<'_> {
        Ops::new(self.ops.as_bytes())
    }
}
