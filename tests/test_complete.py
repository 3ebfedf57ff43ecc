"""Tab completion: what follows what, what is kept and when it is read anew, real shells."""

import os
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hcrc.compiler.cli import main
from hcrc.compiler.complete import complete
from hcrc.compiler.completion import candidates, facts
from hcrc.compiler.completion.mappings import Key, complete_mapping
from hcrc.compiler.completion.words import read_line
from terminal import Terminal

ROOT = Path(__file__).parents[1]
BREAKS = " \t\n\"'@><=;|&(:"
WORKFLOW = """\
hcrc: 1
name: mine
parameters:
  tag:  {type: string, default: test, help: "name: of the model", choices: [test, final]}
  fast: {type: boolean, default: false}
  user: {type: string, default: "{env:USER}"}
  out:  {type: path, default: results}
  data: {type: string, default: Data}
include: [data.yml]
tasks:
  cache: {task: cache, datasets: ["{data}"], output: "{out}"}
  train: {task: train, dataset: cache, classifier: SvB, help: all folds}
settings:
  torch.DataLoader: {batch_eval: 7}
"""
DATA = """\
datasets:
  Data: {help: what we took, samples: []}
  Signal: {samples: []}
classifiers:
  SvB: {classes: [data, ZZ]}
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home of one's own, and a folder to work in with a workflow."""
    folder = tmp_path / "work"
    (folder / "sub").mkdir(parents=True)
    (folder / "mine.yml").write_text(WORKFLOW)
    (folder / "sub" / "data.yml").write_text(DATA)
    (folder / "data.yml").write_text(DATA)
    (folder / "notes.txt").write_text("")
    monkeypatch.chdir(folder)
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def words(line):
    return [word for word, _ in complete(line)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hcrc che", ["check"]),
        ("X=1 bin/hcrc che", ["check"]),
        ("cd x; time hcrc che", ["check"]),
        ("hcrc --v", ["--version"]),
        ("hcrc check --par", ["--param"]),
        ("hcrc check --format ", ["text", "json", "github"]),
        ("hcrc check --format=j", ["--format=json"]),
        ("hcrc check m", ["mine.yml"]),
        ("hcrc check dem", ["demo"]),
        ("hcrc check sub/", ["sub/data.yml"]),
        ("hcrc check n", ["notes.txt"]),
        ("hcrc compile mine.yml -o s", ["sub/"]),
        ("hcrc check mine.yml --param ", ["tag=", "fast=", "user=", "out=", "data="]),
        ("hcrc check --template '{}' mine.yml --param t", ["tag="]),
        ("hcrc check mine.yml --param tag=", ["tag=test", "tag=final"]),
        ("hcrc check mine.yml --param=tag=f", ["--param=tag=final"]),
        ("hcrc check mine.yml --param fast=", ["fast=true", "fast=false"]),
        ("hcrc check mine.yml --param user=", []),
        ("hcrc check mine.yml --param out=", ["out=results"]),
        ("hcrc check mine.yml --param out=su", ["out=sub/"]),
        ("hcrc check mine.yml --param data=", ["data=Data", "data=Signal"]),
        ("hcrc check missing.yml --param ", []),
        ('hcrc check mine.yml --template "{ta', ["{tag: test}", "{tag: test, "]),
        ('hcrc check mine.yml --template "{tag: ', ["{tag: test", "{tag: final"]),
        ('hcrc check mine.yml --template "{tag: f', ["{tag: final}", "{tag: final, "]),
        (
            'hcrc check mine.yml --template "{tag: final, f',
            ["{tag: final, fast: false}", "{tag: final, fast: false, "],
        ),
        ("hcrc check mine.yml --setting torch.D", ["torch.DataLoader"]),
        (
            'hcrc check --setting torch.DataLoader "{batch_e',
            ["{batch_eval: 100000}", "{batch_eval: 100000, "],
        ),
        (
            'hcrc check mine.yml --setting torch.DataLoader "{batch_e',
            ["{batch_eval: 7}", "{batch_eval: 7, "],
        ),
        ("hcrc task train --include data.yml --classifier ", ["SvB"]),
        ("hcrc task cache --include data.yml --datasets Data S", ["Signal"]),
        ("hcrc task cache --shuffle ", ["true", "false"]),
        ("hcrc help che", ["check"]),
        ("hcrc run mine.yml --only ", ["cache", "train"]),
        ("hcrc run mine.yml --from tr", ["train"]),
        ("hcrc run mine.yml --device c", ["cpu", "cuda"]),
        ("hcrc check mine.yml --site lx", ["lxplus"]),
        ("hcrc check mine.yml --site m", ["mine.yml"]),
        ("hcrc run mine.yml --jobs ", []),
        ("hcrc check -- --par", []),
        ("hcrc nothing ", []),
        ("hcrc check mine.yml --nothing=", []),
    ],
)
def test_what_follows_a_line(line, expected):
    assert words(line) == expected


def test_candidates_say_what_they_are():
    assert complete("hcrc check mine.yml --param ta") == [("tag=", "name: of the model")]
    assert complete("hcrc run mine.yml --only ") == [
        ("cache", "cache task"),
        ("train", "all folds"),
    ]
    assert dict(complete("hcrc "))["check"].startswith("say everything")
    assert dict(complete("hcrc check --"))["--param"].startswith("the value of one parameter")


def test_workflows_stand_before_folders_and_bundles_are_found():
    assert words("hcrc check ")[:3] == ["data.yml", "mine.yml", "sub/"]
    bundle = Path("hcrc-out/mine/0123456789ab")
    bundle.mkdir(parents=True)
    (bundle / "plan.json").write_text('{"tasks": [{"name": "a", "task": "cache"}]}')
    (bundle / "jobs.jsonl").write_text('{"cells": [{"id": "a[x=1]"}]}\n')
    assert str(bundle) in words("hcrc run ")
    assert str(bundle) not in words("hcrc check ")
    assert words(f"hcrc run {bundle} --only ") == ["a"]
    assert words(f"hcrc trace {bundle} ") == ["a[x=1]"]


def test_every_command_has_its_options():
    for name, _ in complete("hcrc "):
        assert "--help" in words(f"hcrc {name} --")


@pytest.mark.parametrize("name", ["mine.yml", "data.yml"])
def test_a_changed_file_is_read_anew(name, monkeypatch):
    line = "hcrc check mine.yml --param data="
    assert words(line) == ["data=Data", "data=Signal"]
    reads = []
    monkeypatch.setattr(
        facts, "read_facts", lambda path, read=facts.read_facts: reads.append(path) or read(path)
    )
    assert words(line) == ["data=Data", "data=Signal"]
    assert reads == []
    path = Path(name)
    path.write_text(path.read_text().replace("Data", "Taken"))
    assert words(line) == (
        ["data=Data", "data=Signal"] if name == "mine.yml" else ["data=Taken", "data=Signal"]
    )
    assert len(reads) == 1


def test_a_file_that_appears_is_read():
    line = "hcrc check mine.yml --param data="
    Path("data.yml").unlink()
    assert words(line) == ["data=Data"]
    Path("data.yml").write_text(DATA)
    assert words(line) == ["data=Data", "data=Signal"]


def test_entries_are_the_users_alone(home):
    folder = home / ".cache" / "hcrc"
    assert words("hcrc check mine.yml --param t") == ["tag="]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    entries = list(folder.iterdir())
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in entries} == {0o600}
    folder.chmod(0o755)
    assert words("hcrc check mine.yml --param t") == ["tag="]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "damage", [b"", b"\xff", b"hcrc completion 1 x\n9\n", b"hcrc completion 0"]
)
def test_a_damaged_entry_is_made_anew(home, damage):
    assert words("hcrc check mine.yml --param t") == ["tag="]
    for entry in (home / ".cache" / "hcrc").iterdir():
        entry.write_bytes(damage)
    assert words("hcrc check mine.yml --param t") == ["tag="]


def test_a_folder_that_another_could_have_made_is_not_used(home):
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    (home / ".cache").mkdir()
    (home / ".cache" / "hcrc").symlink_to(elsewhere)
    assert words("hcrc check mine.yml --param t") == ["tag="]
    assert list(elsewhere.iterdir()) == []


def test_without_a_folder_everything_is_read_each_time(home, monkeypatch):
    (home / ".cache").write_text("in the way")
    assert words("hcrc check mine.yml --param t") == ["tag="]
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert words("hcrc check mine.yml --param t") == ["tag="]
    assert not Path("relative").exists()


def test_two_files_with_like_names_do_not_mix():
    Path("a").mkdir()
    Path("a/b.yml").write_text(WORKFLOW)
    Path("a-b.yml").write_text(WORKFLOW.replace("tag", "tug"))
    assert words("hcrc check a/b.yml --param t") == ["tag="]
    assert words("hcrc check a-b.yml --param t") == ["tug="]
    assert words("hcrc check a/b.yml --param t") == ["tag="]


def test_nothing_of_a_file_is_executed():
    Path("mine.yml").write_text(
        "parameters: !!python/object/apply:os.system ['touch done']\n"
        'name: "$(touch done)`touch done`"\n'
    )
    assert words("hcrc check mine.yml --param ") == []
    Path("mine.yml").write_text(WORKFLOW.replace("tag:", '"$(touch done)":'))
    found = ask('hcrc check mine.yml --param "')
    assert "\\$(touch done)=" in found
    assert not Path("done").exists()


@pytest.mark.parametrize(
    "text", ["a: [", "\x00", "- 1", "", "parameters: 3", "include: [mine.yml]"]
)
def test_a_wrong_file_has_no_names(text):
    Path("mine.yml").write_text(text)
    assert words("hcrc check mine.yml --param ") == []


def ask(line, shell="bash", **variables):
    """Ask as argcomplete's function of a shell does."""
    answer = Path("answer")
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_SHELL": shell,
        "_ARGCOMPLETE_COMP_WORDBREAKS": BREAKS if shell == "bash" else "",
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        **variables,
    }
    command = [sys.executable, "-m", "hcrc.compiler"]
    run = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert run.stdout + run.stderr == b""
    return answer.read_text().split("\n")


def test_bash_gets_what_it_replaces_and_others_get_descriptions():
    Path("a b$.yml").write_text("")
    assert ask("hcrc check a") == ["a\\ b\\$.yml"]
    assert ask("hcrc check 'a") == ["a b$.yml"]
    assert ask('hcrc check "a') == ["a b\\$.yml"]
    assert ask("hcrc check mine.yml --param tag=f") == ["final"]
    assert ask("hcrc check --param tag=f mine.yml", COMP_POINT="14") == ["--param"]
    assert ask("hcrc check mine.yml --param ta", "zsh") == ["tag=:name: of the model"]
    assert ask("hcrc check mine.yml --template {ta", "zsh")[0] == "{tag\\: test}:name: of the model"
    assert ask('hcrc check mine.yml --param "ta', "fish") == ["tag=\tname: of the model"]


def test_the_answer_goes_to_descriptor_8():
    environment = {**os.environ, "_ARGCOMPLETE": "1", "COMP_LINE": "hcrc che", "COMP_POINT": "8"}
    script = f"{shlex.quote(sys.executable)} -m hcrc.compiler 8>&1 1>/dev/null"
    run = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, check=True)
    assert run.stdout == b"check"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ([], "", "", 0)),
        ("a ", (["a"], "", "", 0)),
        ("a b", (["a"], "b", "", 0)),
        ("a  'b c'", (["a"], "b c", "", 0)),
        ("a 'b c", (["a"], "b c", "'", 0)),
        ('a x"b c', (["a"], "xb c", '"', 1)),
        ('a "b\\"\\c', (["a"], 'b"\\c', '"', 0)),
        ("a b\\ c", (["a"], "b c", "", 0)),
        ("a b=c:d", (["a"], "b=c:d", "", 4)),
        ("a; b c", (["b"], "c", "", 0)),
        ("a | b && c d", (["c"], "d", "", 0)),
        ("a ''", (["a"], "", "", 0)),
        ("a '' ", (["a", ""], "", "", 0)),
        ("a > b c", (["a"], "c", "", 0)),
        ("a\\", ([], "a", "", 0)),
    ],
)
def test_a_line_is_split_as_a_shell_does(text, expected):
    line = read_line(text, BREAKS)
    assert (line.words, line.current, line.quote, line.start) == expected


def test_a_redirection_is_the_shells_own():
    assert ask("hcrc check mine.yml > m") == [""]


def test_keys_without_a_value_stay_open():
    keys = [Key("a", "", [], ""), Key("list", "[1, 2]", [], "")]
    assert complete_mapping("{a", keys) == [("{a: }", ""), ("{a: , ", "")]
    assert complete_mapping("{list: [3, 4], ", keys) == [("{list: [3, 4], a: }", "")]
    assert complete_mapping("{x: 1", keys) == []


def test_rows_of_commands_are_kept(monkeypatch):
    assert words("hcrc che") == ["check"]
    monkeypatch.setattr(candidates, "remember", None)
    assert words("hcrc check --par") == ["--param"]


RC = {"bash": ".bashrc", "zsh": ".zshrc"}
SHELLS = ("bash", "zsh", "fish")


def tree(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("rc", [None, b"", b"export A=1", b"export A='\xff'\n\n"])
def test_uninstalling_leaves_no_trace(home, shell, rc):
    if rc is not None and shell in RC:
        (home / RC[shell]).write_bytes(rc)
    before = tree(home)
    assert main(["completion", "install", "--shell", shell]) == 0
    installed = tree(home)
    assert installed != before
    assert main(["completion", "install", "--shell", shell]) == 0
    assert tree(home) == installed
    assert main(["completion", "uninstall"]) == 0
    assert tree(home) == before


def test_all_shells_are_uninstalled_at_once(home):
    before = tree(home)
    for shell in SHELLS:
        assert main(["completion", "install", "--shell", shell]) == 0
    words("hcrc check mine.yml --param t")
    assert main(["completion", "uninstall"]) == 0
    assert tree(home) == {**before, home / ".cache": False}


def test_a_file_of_the_users_stays(home, capsys):
    file = home / ".config" / "fish" / "completions" / "hcrc.fish"
    file.parent.mkdir(parents=True)
    file.write_text("complete -c hcrc -a mine\n")
    assert main(["completion", "install", "--shell", "fish"]) == 1
    assert "left alone" in capsys.readouterr().err
    assert main(["completion", "uninstall"]) == 0
    assert file.read_text() == "complete -c hcrc -a mine\n"


def test_a_linked_rc_file_stays_a_link(home):
    (home / "dotfiles").mkdir()
    (home / "dotfiles" / "zshrc").write_text("A=1\n")
    (home / "dotfiles" / "zshrc").chmod(0o640)
    (home / ".zshrc").symlink_to("dotfiles/zshrc")
    assert main(["completion", "install", "--shell", "zsh"]) == 0
    assert (home / ".zshrc").is_symlink()
    assert "compdef" in (home / "dotfiles" / "zshrc").read_text()
    assert stat.S_IMODE((home / "dotfiles" / "zshrc").stat().st_mode) == 0o640


def test_the_shell_is_that_of_the_user_or_named(home, monkeypatch, capsys):
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert main(["completion", "install", "--print"]) == 0
    assert "complete --command hcrc" in capsys.readouterr().out
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    with pytest.raises(SystemExit) as end:
        main(["completion", "install"])
    assert end.value.code == 2
    with pytest.raises(SystemExit):
        main(["completion", "uninstall", "--print"])
    assert not (home / ".bashrc").exists()


PROMPT = "READY>"
TO_THE_BEGINNING = "\x01"
START = {
    "bash": (
        ["bash", "--noprofile", "-i"],
        ".bashrc",
        f"PS1='{PROMPT} '\nbind 'set bell-style none'\n",
    ),
    "zsh": (["zsh", "-i"], ".zshrc", f"PROMPT='{PROMPT} '\nbindkey -e\nunsetopt beep\n"),
    "fish": (
        ["fish", "-i"],
        ".config/fish/config.fish",
        f"function fish_prompt; echo -n '{PROMPT} '; end\nfunction fish_greeting; end\n",
    ),
}
TYPED = [
    ("hcrc che\t", "", "<hcrc><check>"),
    ("bin/hcrc check min\t", "", "<bin/hcrc><check><mine.yml>"),
    ("hcrc check mine.yml --param tag=fi\t", "", "<hcrc><check><mine.yml><--param><tag=final>"),
    ("hcrc run mine.yml --only tr\t", "", "<hcrc><run><mine.yml><--only><train>"),
    ('hcrc check --setting torch.DataLoader "{batch_e\t', '}"', "<{batch_eval: 100000}>"),
    ('hcrc check mine.yml --template "{tag: final, fa\t', '}"', "<{tag: final, fast: false}>"),
]


@pytest.fixture
def programs(home):
    """Folders of a program called hcrc: one on the path, one where we are."""
    script = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m hcrc.compiler "$@"\n'
    for folder in (home / "programs", Path("bin")):
        folder.mkdir()
        (folder / "hcrc").write_text(script)
        (folder / "hcrc").chmod(0o755)
    path = f"{home / 'programs'}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "TERM": "xterm", "LANG": "C.UTF-8", "COLUMNS": "200"}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_real_shell_completes_when_tab_is_pressed(home, programs, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    command, rc, text = START[shell]
    (home / rc).parent.mkdir(parents=True, exist_ok=True)
    (home / rc).write_text(text)
    words("hcrc check mine.yml --param t")
    assert main(["completion", "install", "--shell", shell]) == 0
    with Terminal(command, programs, str(Path.cwd())) as terminal:
        terminal.wait_for(PROMPT)
        for keys, rest, expected in TYPED:
            terminal.press(f"{keys}{rest}{TO_THE_BEGINNING}printf '<%s>' \r")
            found = terminal.wait_for(r"(?:<[^>%]*>)+(?=[^<]*" + PROMPT + ")")
            assert expected in found[0]
