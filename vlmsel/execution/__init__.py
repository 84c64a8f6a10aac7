"""Execution of measurements that can be killed anywhere: plan them, hand them out, measure.

```
zoo, tasks, store -> run -> plan/ -> work/loop -> work/worker -> store
                            (pure)      |
                                        |- executors/local   this process, the reference
                                        |- executors/ray/    the same loop over Ray actors
```

`plan/` decides what is left to measure, in which order and at what cost, without reading an image.
`work/` holds the loop that hands units out and takes outcomes back, the worker that loads one model
and measures, the decoded images that models of one node share, and the record of a run.
`executors/` runs workers: threads, child processes, Ray actors. `run` puts them together and
`run_summary` says what came of it; `nightly` and `lease` are the nightly refresh, `store_status`
counts what a store holds. Only `executors/ray/` imports Ray.
"""
