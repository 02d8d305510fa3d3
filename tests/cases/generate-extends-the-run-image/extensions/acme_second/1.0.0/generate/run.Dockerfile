FROM run
