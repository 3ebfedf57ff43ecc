"""Mutations of workflow files: a seed in, a broken workflow and what the compiler says of it out.

``python tests/mutate.py --first 0 --count 1000`` tries so many seeds, and prints as JSON how many
gave a plan, what raised, and what took most; ``--show SEED`` prints the files of one.
"""

import argparse
import json
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from hcrc.compiler.codes import CODES
from hcrc.compiler.compile import Request, compile_workflow
from hcrc.compiler.diagnostics import errors_of, render_github, render_json, render_text

ROOT = Path(__file__).parents[1]
CASES = ROOT / "tests" / "cases"
MAIN = "workflow.yml"
SLOW_S = 2.0
STOP_S = 20
MOST_CELLS = 100
FRAGMENTS = (
    *("null", "~", "[]", "{}", "[null]", "{a: null}", "''", "true", "-1", "1e999", ".nan", "0x10"),
    *("'{x}'", "{x}", "'{'", "'{offset}'", "'{n:>9999d}'", "'{env:HOME}'", "'{timestamp}'", "*a"),
    *("0-3", "5-2", "[0, 0]", "[1, '1']", "{use: SvB}", "{use: {use: a}}", "train", "cache", "yes"),
    *("'a\\0b'", '"a\\nb"', "../..", "/", "root://a//b", "🙂", "!!int 3", "&a [*a]", "- - -", "\t"),
    *("{offset: [1, 2]}", "{offset: 0-9, seed: 0-9}", "list.yml@@a.b", "@@", "x" * 300, "1_000"),
    *("010", "1:30", "2024-01-01", "=", "<<", "{<<: {a: 1}}", "!!python/name:os.system", "on"),
    *("/eos/user/a", "~nobody", "a & b > 1", "sqrt(", "lambda: 0", "{extends: Data}", "9" * 1200),
    *(
        "0-199999",
        "{seed: 0-399, offset: 0-499}",
        "'{a.b[0]!r}'",
        "---",
        "...",
        "%TAG ! x",
        "|",
        ">",
    ),
    *(
        "'{" + "x" * 2000 + "}'",
        "[" * 300,
        "{a: " * 100,
        "'" + "(" * 500 + "'",
        "~" * 500,
        "9" * 300,
    ),
    *(
        "include: [workflow.yml]",
        "[workflow.yml]",
        "{sum: 1, by: label}",
        "'{{x}}'",
        "? a",
        "&b *b",
    ),
)
CHARACTERS = "{}[]:,'\"&*#|>-%@`!?\t ~0aé\u2028\u200b\ufeff\x00\x1b\x85日🙂\ud800"
WORD = re.compile(r"[^\s,\[\]{}:]+")
KEY = re.compile(r"^(\s*(?:- )?)([\w.\"']+)(?=:)", re.MULTILINE)


def corpus():
    """Every workflow of the repository and its cases: a name, and the texts by path."""
    found = {}
    for path in sorted((ROOT / "workflows").glob("*.yml")):
        texts = {MAIN: path.read_bytes()}
        for file in sorted((ROOT / "workflows").rglob("*.yml")):
            texts.setdefault(str(file.relative_to(ROOT / "workflows")), file.read_bytes())
        found[path.name] = texts
    for path in sorted(CASES.glob("*/*/workflow.yml")):
        files = [file for file in sorted(path.parent.rglob("*.y*ml")) if file.is_file()]
        found[f"{path.parent.parent.name}/{path.parent.name}"] = {
            str(file.relative_to(path.parent)): file.read_bytes() for file in files
        }
    return found


class Mutator:
    """Makes the files of a seed; the same seed gives the same files."""

    def __init__(self, texts):
        self.texts = texts
        self.names = sorted(texts)
        self.right = [name for name in self.names if not name.startswith("errors/")]
        everything = [
            text.decode("utf-8", "replace") for files in texts.values() for text in files.values()
        ]
        self.keys = sorted({found[2] for text in everything for found in KEY.finditer(text)})
        self.words = sorted({word for text in everything for word in WORD.findall(text)})
        self.lines = sorted({line for text in everything for line in text.split("\n") if line})

    def files(self, seed):
        """The name of the workflow that is mutated, and its files."""
        self.random = random.Random(seed)
        name = self.random.choice(self.random.choice((self.names, self.right)))
        files = dict(self.texts[name])
        for _ in range(self.random.choice((1, 1, 1, 2, 3, 6))):
            path = MAIN if self.random.random() < 0.8 else self.random.choice(sorted(files))
            files[path] = self.mutate(files[path])
        return name, files

    def given(self, seed):
        """What the command line gives to one in four: templates, parameters, settings."""
        choose = random.Random(f"given {seed}")
        if choose.random() < 0.75:
            return (), (), ()
        value = choose.choice(FRAGMENTS)
        name = choose.choice(("offset", "tag", "n", "store", choose.choice(self.words)))
        setting = choose.choice(("IO", "torch.DataLoader", "torch.Training", name))
        template = choose.choice((f"{{{name}: {value}}}", value, "more.yml"))
        return choose.choice(
            (
                ((template,), (), ()),
                ((), (f"{name}={value}",), ()),
                ((), (), ((setting, f"{{{choose.choice(self.keys)}: {value}}}"),)),
            )
        )

    def mutate(self, data):
        """A file with one thing changed."""
        kind = self.random.choice((self.bytes, *[self.text] * 12))
        return kind(data)

    def text(self, data):
        """A change of the text."""
        often = (self.line, self.word, self.key, self.value)
        seldom = (self.value, self.character, self.nest, self.cut, self.splice, self.indent)
        change = self.random.choice((*often, *often, *seldom))
        changed = change(data.decode("utf-8", "surrogateescape"))
        return changed.encode(
            "utf-8", "surrogatepass" if "\ud800" in changed else "surrogateescape"
        )

    def bytes(self, data):
        """Bytes deleted, replaced, inserted; a byte order mark, another encoding."""
        at = self.random.randrange(len(data) + 1)
        match self.random.randrange(6):
            case 0:
                return data[:at]
            case 1:
                return data[:at] + self.random.randbytes(self.random.randrange(1, 9)) + data[at:]
            case 2:
                return data[:at] + data[at + self.random.randrange(1, 40) :]
            case 3:
                return b"\xef\xbb\xbf" + data
            case 4:
                return data.replace(b"\n", self.random.choice((b"\r\n", b"\r", b"\x85", b"\n\n")))
        return data.decode("utf-8", "replace").encode("utf-16")

    def line(self, text):
        """A line deleted, repeated, moved, or taken from elsewhere."""
        lines = text.split("\n")
        at, other = self.random.randrange(len(lines)), self.random.randrange(len(lines))
        match self.random.randrange(5):
            case 0:
                del lines[at]
            case 1:
                lines.insert(other, lines[at])
            case 2:
                lines[at], lines[other] = lines[other], lines[at]
            case 3:
                lines[at] = self.random.choice(self.lines)
            case 4:
                lines[at : at + 2] = [" ".join(line.strip() for line in lines[at : at + 2])]
        return "\n".join(lines)

    def pick(self, pattern, text):
        """One match of a pattern, if there is any."""
        found = list(pattern.finditer(text))
        return self.random.choice(found) if found else None

    def word(self, text):
        """A word replaced, deleted, repeated, or changed in a letter."""
        found = self.pick(WORD, text)
        if found is None:
            return text
        word = found.group()
        at = self.random.randrange(len(word))
        near = ["", word * 2, word[:at] + word[at + 1 :], word[:at] + word[at:][::-1], word.upper()]
        far = [self.random.choice(self.words), self.random.choice(FRAGMENTS), f"'{word}'"]
        new = self.random.choice(near + far)
        return text[: found.start()] + new + text[found.end() :]

    def key(self, text):
        """A key renamed, or two of them swapped."""
        one, two = self.pick(KEY, text), self.pick(KEY, text)
        if one is None or two is None:
            return text
        if self.random.random() < 0.5:
            return text[: one.start(2)] + self.random.choice(self.keys) + text[one.end(2) :]
        if one.start() == two.start():
            return text
        first, last = sorted((one, two), key=lambda found: found.start())
        between = text[first.end(2) : last.start(2)]
        return text[: first.start(2)] + last[2] + between + first[2] + text[last.end(2) :]

    def value(self, text):
        """A value replaced."""
        found = self.pick(re.compile(r"(?<=: )[^\n,{}\[\]]+|(?<=: )[\[{][^\n]*"), text)
        if found is None:
            return text
        return text[: found.start()] + self.random.choice(FRAGMENTS) + text[found.end() :]

    def character(self, text):
        """A character inserted or replaced."""
        at = self.random.randrange(len(text) + 1)
        new = self.random.choice((*CHARACTERS, chr(self.random.randrange(0x20, 0xD7FF))))
        return text[:at] + new + text[at + self.random.randrange(2) :]

    def nest(self, text):
        """A value put into lists and mappings."""
        found = self.pick(re.compile(r"(?<=: )[^\n]+"), text)
        if found is None:
            return text
        depth = self.random.choice((1, 2, 3, 70, 500))
        begin, end = self.random.choice((("[", "]"), ("{a: ", "}"), ("&a [", ", *a]")))
        nested = begin * depth + found.group() + end * depth
        return text[: found.start()] + nested + text[found.end() :]

    def cut(self, text):
        """A stretch of lines deleted."""
        lines = text.split("\n")
        at = self.random.randrange(len(lines))
        del lines[at : at + self.random.randrange(1, 8)]
        return "\n".join(lines)

    def splice(self, text):
        """The beginning of one workflow, the end of another."""
        other = self.texts[self.random.choice(self.names)][MAIN].decode("utf-8", "replace")
        lines, others = text.split("\n"), other.split("\n")
        at, there = self.random.randrange(len(lines)), self.random.randrange(len(others))
        return "\n".join(lines[:at] + others[there:])

    def indent(self, text):
        """A line with more or fewer blanks before it."""
        lines = text.split("\n")
        at = self.random.randrange(len(lines))
        blanks = self.random.choice(("", " ", "  ", "   ", "\t", "      "))
        lines[at] = blanks + lines[at].lstrip(self.random.choice((" ", "")))
        return "\n".join(lines)


def write(files, folder):
    """Put the files into an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def judge(folder, given=((), (), ())):
    """Compile; a bundle, or diagnostics that can be shown in every format. Returns which."""
    current = folder.resolve()
    compilation = compile_workflow(Request(Path(MAIN), *given, {"USER": "someone"}, current))
    found = compilation.diagnostics
    assert (compilation.plan is None) == bool(errors_of(found))
    for diagnostic in found:
        assert diagnostic.code in CODES
        assert diagnostic.message
        for span in (diagnostic.span, *(span for _, span in diagnostic.notes)):
            if span is not None:
                assert (1, 1) <= (span.line, span.column) <= (span.end_line, span.end_column)
                assert span.end_line <= len(span.source.lines)
    text = render_text(found)
    assert len(re.split(r"^\S[^\n]*: (?:error|warning)\[", text, flags=re.M)) == len(found) + 1
    text.encode()
    assert len(json.loads(render_json(found))) == len(found)
    assert render_github(found).count("::") >= 2 * len(found)
    if compilation.plan and sum(task.cells for task in compilation.plan.tasks) <= MOST_CELLS:
        compilation.write(folder / "bundles")
    return compilation.plan is not None


class TooLongError(BaseException):
    """A mutation takes far too long; no handler of the compiler takes it for one of its own."""


def stop(*_):
    """What the timer does."""
    raise TooLongError(f"more than {STOP_S} s of processor time")


def try_seeds(first, count):
    """What became of the seeds, as plain data."""
    mutator = Mutator(corpus())
    plans, failures, slow, worst = 0, [], [], (0.0, first)
    signal.signal(signal.SIGPROF, stop)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "case"
        write(mutator.texts["demo.yml"], folder)
        judge(folder)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for seed in range(first, first + count):
            source, files = mutator.files(seed)
            write(files, folder)
            began = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, STOP_S)
            try:
                plans += judge(folder, mutator.given(seed))
            except (Exception, TooLongError):
                failures.append({"seed": seed, "from": source, "error": traceback.format_exc()})
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            took = time.process_time() - began
            worst = max(worst, (took, seed))
            slow += [seed] if took > SLOW_S else []
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    return {
        "tried": count,
        "plans": plans,
        "failures": failures,
        "slow": slow,
        "worst_s": round(worst[0], 2),
        "worst_seed": worst[1],
        "grown_mb": grown,
    }


def main():
    """Try seeds, or show the files of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--show", type=int, metavar="SEED")
    parser.add_argument("--into", type=Path, help="a folder for the files that --show shows")
    options = parser.parse_args()
    if options.show is None:
        print(json.dumps(try_seeds(options.first, options.count), indent=1))
        return
    name, files = Mutator(corpus()).files(options.show)
    if options.into:
        write(files, options.into)
    for path, data in files.items():
        sys.stdout.buffer.write(f"--- {path} of {name}\n".encode() + data + b"\n")


if __name__ == "__main__":
    main()
