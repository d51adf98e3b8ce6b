"""``deskmesh route``: which model answers what, and why."""

import typer

from mesh.cli import route_evaluating, route_explaining, route_replaying, route_training

app = typer.Typer(help="Which model answers what, and why.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    route_explaining.register(app)
    route_training.register(app)
    route_evaluating.register(app)
    route_replaying.register(app)
    parent.add_typer(app, name="route")


@app.callback()
def route() -> None:
    """Which model answers what, and why."""
