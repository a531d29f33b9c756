"""The runtime of background work: claims tasks, runs their bodies, keeps their leases. It knows no capability (ADR 6)."""
