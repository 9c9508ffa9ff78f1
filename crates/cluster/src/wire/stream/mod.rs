//! Connections (next).
