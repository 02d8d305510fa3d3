FROM other/run
