"""Report: figures, and one self-contained HTML page.

```
frames -> heatmaps | curves | intervals -> figure_style (SVG, PNG) --\
       -> tables ------------------------------------------------> sections -> html (template)
```

`inputs` says what a report can hold, `sections` turns it into plain values for the template, `html`
writes the file. Nothing here computes a result: every number comes in a frame.
"""
