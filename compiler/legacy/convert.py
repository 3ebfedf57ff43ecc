"""Modules with their words in, the tasks and settings of a workflow out.

What has no counterpart is listed with its place, and left out; nothing else is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from ..diagnostics import suggest
from .datasets import use_dataset
from .draft import Draft, Entry, Task
from .modules import CATEGORIES, FLAG, MAIN, Expansion, Module
from .old_settings import convert_settings
from .options import MAINS, OTHER_MAINS, Given, options_of, parse_words
from .text import stop
from .training import STAGE, train_model

CACHE: Final = "cache"
STATES: Final[Mapping[str, str]] = MappingProxyType({"label.MultiClass.labels": "labels"})
COMPRESSIONS: Final = ("zstd", "lz4", "gzip")
STAGES: Final[Mapping[str, str]] = MappingProxyType({"Final": "final", "Training": "training"})
CACHE_HELP: Final = "result.json of the cache task"
WORKERS: Final[Mapping[str, str]] = MappingProxyType(
    {"--max-loaders": "max_loaders", "--max-trainers": "max_trainers"}
)


def label_modules(modules: tuple[Module, ...]) -> list[tuple[str, Module]]:
    """Modules, each with a label of its own, section by section."""
    found: list[tuple[str, Module]] = []
    seen: dict[str, int] = {}
    for category in CATEGORIES:
        for module in modules:
            if module.category == category:
                label = f"{category} {module.name}"
                seen[label] = seen.get(label, 0) + 1
                found.append((f"{label} ({seen[label]})" if seen[label] > 1 else label, module))
    return found


class Converter:
    """Converts one expansion; the draft gathers what comes of it."""

    def __init__(self, draft: Draft, expansion: Expansion) -> None:
        self.draft = draft
        self.expansion = expansion
        self.main = expansion.main
        self.modules = label_modules(expansion.modules)
        self.options: dict[str, Given] = {}
        self.results: list[str] = []
        self.chunks: Given | None = None

    def run(self) -> None:
        """Convert everything."""
        main = self.main
        if main is None:
            raise stop("legacy-workflow", "no file says which task is meant: a main:", None)
        if main.name not in MAINS:
            help = OTHER_MAINS.get(str(main.name)) or suggest(main.name, MAINS)
            message = f'"{main.name}" makes no results: there is nothing to import'
            if main.name not in OTHER_MAINS:
                message = f'the older tool has no task "{main.name}"'
            raise stop("legacy-workflow", message, main.name.span, help)
        parsed = parse_words(MAINS[str(main.name)], main.words, main.name)
        self.draft.diagnostics += parsed.diagnostics
        self.options = dict(parsed.options)
        self.results = [self.draft.text(word) for word in parsed.words]
        TASKS[str(main.name)](self)
        self.analyses()
        if not self.draft.tasks:
            message = "nothing that is done here has a counterpart"
            raise stop("legacy-workflow", message, main.name.span)
        convert_settings(self.draft, main, self.of("setting"))
        self.unused()
        self.outputs()

    def of(self, category: str) -> list[tuple[str, Module]]:
        """The modules of a section, with their labels."""
        return [(label, module) for label, module in self.modules if module.category == category]

    def whole(self, task: Task, option: str, key: str) -> None:
        """Add an option of the task that is a whole number."""
        given = self.options.pop(option, None)
        if given:
            task.add(key, self.draft.whole(given.words[0]), given.span)

    def cache(self) -> None:
        """Make a cache task."""
        self.cache_task(self.of("dataset"))

    def cache_task(self, datasets: list[tuple[str, Module]]) -> None:
        """Make a cache task of datasets."""
        if not datasets:
            message = "the older tool stops here: no dataset is named"
            raise stop("legacy-workflow", message, self.main.name.span if self.main else None)
        task = self.draft.task(CACHE)
        uses = [use_dataset(self.draft, module, label).use for label, module in datasets]
        task.add("datasets", uses, datasets[0][1].name.span)
        shuffle = self.options.pop("--shuffle", None)
        task.add("shuffle", bool(shuffle), shuffle.span if shuffle else None)
        size = self.options.get("--chunksize")
        if "--nchunks" in self.options and size:
            message = "--chunksize counts only without --nchunks"
            self.draft.skip((MAIN, "--chunksize"), size.span, message)
            del self.options["--chunksize"]
        self.whole(task, "--nchunks", "chunks")
        self.whole(task, "--chunksize", "chunk_size")
        self.compression(task)
        self.states(task)
        self.whole(task, "--max-loaders", "max_loaders")
        self.whole(task, "--max-writers", "max_writers")

    def compression(self, task: Task) -> None:
        """Add how the cache is compressed."""
        given = self.options.pop("--compression", None)
        if given and given.words[0] in COMPRESSIONS:
            task.add("compression", self.draft.text(given.words[0]), given.span)
        elif given:
            message = f'the compression "{given.words[0]}" has no counterpart'
            help = f"there are {', '.join(COMPRESSIONS)}"
            self.draft.none((MAIN, "--compression"), given.span, message, help)

    def states(self, task: Task) -> None:
        """Add what the cache records of the events."""
        given = self.options.pop("--states", None)
        known = [STATES[str(word)] for word in given.words if word in STATES] if given else []
        for word in given.words if given else ():
            if word not in STATES:
                message = f'the state "{word}" has no counterpart'
                self.draft.none((MAIN, f"--states {word}"), word.span, message)
        if given and known:
            task.add("states", list(dict.fromkeys(known)), given.span)

    def train(self) -> None:
        """Make a train task of each model, and a cache task of datasets that are read directly."""
        models = []
        for label, module in self.of("model"):
            if module.name.endswith(STAGE):
                models.append((label, module))
            else:
                message = f"{module.name} is no model to train, whose names end with {STAGE}"
                self.draft.none((label, ""), module.name.span, message)
        if not models:
            message = "the older tool trains nothing: no model is named"
            raise stop("legacy-workflow", message, self.main.name.span if self.main else None)
        dataset, span = self.dataset()
        for label, module in models:
            task = self.draft.task("train")
            task.add("dataset", dataset, span)
            train_model(self.draft, task, module, label)
            self.chosen_chunks(task)
            for option, key in WORKERS.items():
                given = self.options.get(option)
                if given:
                    task.add(key, self.draft.whole(given.words[0]), given.span)
            self.device(task, self.options.get("--device"))
        for option in (*WORKERS, "--device"):
            self.options.pop(option, None)

    def chosen_chunks(self, task: Task) -> None:
        """Add the chunks of the cached dataset that are read, if not all are."""
        if self.chunks is None:
            return
        text = self.draft.range(self.chunks.words, "--chunk")
        if text is None:
            message = "the older tool trains on nothing: --chunk leaves no chunk"
            raise stop("legacy-options", message, self.chunks.span)
        task.add("only_chunks", text, self.chunks.span)

    def dataset(self) -> tuple[str, Any]:
        """The cached dataset that is trained on."""
        datasets = self.of("dataset")
        cached = [item for item in datasets if item[1].name == CACHE]
        direct = [item for item in datasets if item[1].name != CACHE]
        paths = [self.cached(label, module) for label, module in cached]
        if direct:
            self.cache_task(direct)
        if not paths and not direct:
            parameter = self.draft.symbols.declare(CACHE, None, None)
            parameter.used, parameter.help = True, CACHE_HELP
            self.draft.added |= {("dataset cache", "module"), ("dataset cache", "--input")}
            span = self.main.name.span if self.main else None
            message = "no dataset is named, which the older tool does not train without"
            help = f'it is the parameter "{parameter.name}"; or import the file with it too'
            self.draft.ignored(message, span, help) if span else None
            return f"{{{parameter.name}}}", None
        for (label, module), _ in list(zip(cached, paths, strict=True))[0 if direct else 1 :]:
            message = "a training reads one dataset: this one is left out"
            help = "cache all datasets in one task"
            self.draft.none((label, ""), module.name.span, message, help)
        return (CACHE, None) if direct else (paths[0], cached[0][1].name.span)

    def cached(self, label: str, module: Module) -> str:
        """The path of a cached dataset."""
        parsed = parse_words(options_of(module) or (), module.words, module.name)
        self.draft.diagnostics += parsed.diagnostics
        chunk, path = parsed.options.get("--chunk"), parsed.options.get("--input")
        if chunk:
            self.chunks = chunk
        if not path:
            message = "the older tool stops here: a cached dataset needs --input"
            raise stop("legacy-options", message, module.name.span)
        return self.draft.text(path.words[0])

    def device(self, task: Task, given: Given | None) -> None:
        """Add where a task computes."""
        kinds = {str(word) for word in given.words} if given else set()
        if given and kinds - {"cpu", "cuda"}:
            message = "the older tool stops here: --device takes cpu and cuda"
            raise stop("legacy-options", message, given.span)
        if given:
            name = self.draft.text(given.words[0]) if len(kinds) == 1 else "auto"
            task.add("device", name, given.span)

    def evaluate(self) -> None:
        """Make an evaluate task of each model that is named."""
        datasets, models = self.of("dataset"), self.of("model")
        if not datasets or not models:
            message = "the older tool stops here: evaluate needs a dataset and a model"
            raise stop("legacy-workflow", message, self.main.name.span if self.main else None)
        used = [use_dataset(self.draft, module, label) for label, module in datasets]
        naming = next((each.naming for each in used if each.naming), None)
        evaluators = self.options.pop("--max-evaluators", None)
        device = self.options.pop("--device", None)
        for label, module in models:
            for stage, path in self.models(label, module):
                task = self.draft.task("evaluate")
                task.add("models", path, module.name.span)
                task.add("stage", stage)
                task.add("datasets", [each.use for each in used], datasets[0][1].name.span)
                task.add("naming", naming)
                if evaluators:
                    value = self.draft.whole(evaluators.words[0])
                    task.add("max_evaluators", value, evaluators.span)
                self.device(task, device)

    def models(self, label: str, module: Module) -> list[tuple[str, str]]:
        """The models that are evaluated: stage and path of the result that has them."""
        parsed = parse_words(options_of(module) or (), module.words, module.name)
        self.draft.diagnostics += parsed.diagnostics
        message = f"{module.name}: models know their classifier and its outputs themselves"
        self.draft.none((label, "module"), module.name.span, message)
        if "--no-kfold" in parsed.options:
            message = "scoring events with models that saw them, --no-kfold, has no counterpart"
            span = parsed.options["--no-kfold"].span
            self.draft.none((label, "--no-kfold"), span, message)
        found = []
        given = parsed.options.get("--models")
        for words in given.values if given else ():
            if words[0] not in STAGES:
                message = f'the stage "{words[0]}" has no counterpart: "final" is taken'
                help = f"there are {', '.join(STAGES)}"
                self.draft.none(("model", f"--models {words[0]}"), words[0].span, message, help)
            stage = STAGES.get(str(words[0]), "final")
            found += [(stage, self.draft.text(word)) for word in words[1:]]
        if not found:
            message = "the older tool scores nothing: --models NAME PATH names no result"
            raise stop("legacy-workflow", message, module.name.span)
        return found

    def analyze(self) -> None:
        """Leave it to the analyses, which read the results that are named."""
        if not self.results or not self.of("analysis"):
            message = "the older tool does nothing here: analyze needs results and an analysis"
            raise stop("legacy-workflow", message, self.main.name.span if self.main else None)

    def analyses(self) -> None:
        """Make merge and plot tasks."""
        for label, module in self.of("analysis"):
            kind, reads = ANALYSES.get(str(module.name), (None, ""))
            results: list[str] = self.results or [
                task.name for task in self.draft.tasks if task.entries[0].value == reads
            ]
            if kind is None or not results:
                message = f"{module.name} has no counterpart"
                if kind:
                    message = f"{module.name} finds nothing to read in what this task makes"
                self.draft.none((label, ""), module.name.span, message)
                continue
            task = self.draft.task(kind)
            key = "predictions" if kind == "merge" else "models"
            span = module.name.span
            task.add(key, results if len(results) > 1 else results[0], span)
            if kind == "merge":
                self.merge(task, label, module)

    def merge(self, task: Task, label: str, module: Module) -> None:
        """Add what a merge says."""
        draft = self.draft
        parsed = parse_words(options_of(module) or (), module.words, module.name)
        draft.diagnostics += parsed.diagnostics
        given = dict(parsed.options)
        for option, key in (("--name", "name"), ("--naming", "naming"), ("--stage", "stage")):
            found = given.pop(option, None)
            if found and (option != "--stage" or found.words[0] in STAGES):
                text = draft.text(found.words[0])
                task.add(key, STAGES.get(text, text), found.span)
            elif found:
                given[option] = found
        for option, key in (("--step", "step"), ("--workers", "workers")):
            found = given.pop(option, None)
            if found:
                task.add(key, draft.whole(found.words[0]), found.span)
        clean, spread = given.pop("--clean", None), given.get("--std")
        task.add("clean", True if clean else None, clean.span if clean else None)
        task.add("std", True if spread else None, spread.span if spread else None)
        for option, found in given.items():
            message = f"{option} {' '.join(found.words)} has no counterpart"
            if option == "--std":
                message = "the spread is written for all outputs, not for some"
            if (option, *found.words) != ("--base", "chunks"):
                draft.none((label, option), found.span, message)

    def unused(self) -> None:
        """List what is left: options of the task, flags, and modules that it does not take."""
        draft = self.draft
        for option, given in self.options.items():
            message = f"{option} of {self.main.name if self.main else ''} has no counterpart"
            draft.none((MAIN, option), given.span, message)
        for module in self.expansion.modules:
            if module.category == FLAG:
                words = " ".join([module.name, *module.words])
                message = f"-flag {words} has no counterpart"
                help = "in versions without -flag the module before it swallowed it in silence"
                draft.none((FLAG, words), module.name.span, message, help)
        main = str(self.main.name) if self.main else ""
        for label, module in self.modules:
            if module.category not in (*TAKEN[main], "analysis", "setting"):
                message = f"{main} does nothing with a {module.category}"
                draft.skip((label, ""), module.name.span, message)

    def outputs(self) -> None:
        """Put the results of tasks into IO.output: one into the folder itself, several below it."""
        entries = {entry.key: entry for entry in self.draft.settings.get("IO", [])}
        output: Entry | None = entries.get("output")
        if output is None or output.value is None:
            return
        tasks = self.draft.tasks
        for task in tasks:
            task.add("output", "./" if len(tasks) == 1 else task.name, None)


TASKS: Final[Mapping[str, Callable[[Converter], None]]] = MappingProxyType(
    {
        "cache": Converter.cache,
        "train": Converter.train,
        "evaluate": Converter.evaluate,
        "analyze": Converter.analyze,
    }
)
TAKEN: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "cache": ("dataset",),
        "train": ("dataset", "model"),
        "evaluate": ("dataset", "model"),
        "analyze": (),
    }
)
ANALYSES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {"kfold.Merge": ("merge", "evaluate"), "HCR.LossROC": ("plot", "train")}
)
