"""The durable queue of work, its schedules, and where its steps are executed."""
