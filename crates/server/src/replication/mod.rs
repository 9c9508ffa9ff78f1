//! Replication (placeholder).
