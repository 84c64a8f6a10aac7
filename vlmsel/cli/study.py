"""``vlmsel study``: experiments, each with a table and a figure."""

import typer

app = typer.Typer(help="Experiments, each with a table, a figure and an MLflow run.")
