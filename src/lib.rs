//! A sharded, versioned state store for high-TPS nodes.
