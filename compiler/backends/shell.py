"""The shell backend: ``run.sh``, for any machine with bash and the runtime's libraries."""

from __future__ import annotations

from ..plan import Plan


def emit(plan: Plan) -> dict[str, bytes]:
    """The backend's files in the bundle, by name."""
    from importlib import resources

    import jinja2

    text = resources.files("hcrc.templates").joinpath("run.sh.j2").read_text("utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)  # noqa: S701 - a shell script
    script = environment.from_string(text).render(name=plan.name, jobs=len(plan.jobs))
    return {"run.sh": script.encode()}
