"""Work that can be killed anywhere: plan it (pure), place it (pure), and run it here or on Ray.

```
 zoo, tasks, store -> run -> plan -> loop -> worker -> store
                             (pure)   |- local     the reference: one model after the other, in this
                             process
                                      |- ray_pool  the same loop over Ray actors
```

`cells` names the units of work, `costs` guesses what they cost, `plan` decides what is left to do,
`placement` where it fits, `dispatch` who does what next, `loop` hands it out and takes back
outcomes, `worker` loads one
VLM and measures, `decoded` keeps decoded images for the models of one node, `summary` and `status`
say what happened, `refresh` and
`lease` are the nightly run. Only `ray_*` modules import Ray.
"""
