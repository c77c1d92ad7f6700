//! The guest's physical memory: one memfd, its allocator, reference counts, and the Sentry's own
//! mapping of it; fallible copies to and from any memory that the application or the host can take away.
