"""The shell backend: ``run.sh``, for any machine with bash and the runtime's libraries.

Where a site has a container, the script starts it, and itself in it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..profile import Container, Profile
from .quoting import shell_word
from .templates import render, script_values

BUNDLE = '"$bundle"'
SCRIPT = '"$bundle/run.sh"'


def emit(profile: Profile) -> dict[str, bytes]:
    """The backend's files in the bundle, by name: they are the same for every plan."""
    variables = [(name, shell_word(text)) for name, text in profile.environment.items()]
    values = {
        "environment": variables,
        "container": profile.container and " ".join(start_container(profile.container)),
        **script_values(profile),
    }
    return {"run.sh": render("run.sh.j2", values).encode()}


def start_container(container: Container) -> Iterator[str]:
    """The words that start ``run.sh`` in a container, each quoted for bash."""
    image = shell_word(container.image)
    binds = map(shell_word, container.binds)
    inside = container.working_directory
    if container.kind == "apptainer":
        yield from ("apptainer", "exec", *["--nv"] * container.gpus)
        yield from (word for bind in (*binds, BUNDLE) for word in ("--bind", bind))
        yield from ("--pwd", shell_word(inside)) if inside else ()
        yield from ("--env", "HCRC_IN_CONTAINER=1", image, SCRIPT, '"$@"')
        return
    yield from ("docker", "run", "--rm", *["--gpus", "all"] * container.gpus)
    yield from (word for bind in (*binds, '"$bundle:$bundle"') for word in ("--volume", bind))
    yield from ("--workdir", shell_word(inside)) if inside else ()
    yield from ("--user", '"$(id -u):$(id -g)"', "--env", "HCRC_PYTHON")
    yield from ("--env", "HCRC_IN_CONTAINER=1", "--entrypoint", SCRIPT, image, '"$@"')
