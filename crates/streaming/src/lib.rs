//! Queues of chunks between Stageflow stages, which say when they drop, throttle and run dry.
