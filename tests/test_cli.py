"""The command line, wrong in every way: no traceback, no half a file, no silence."""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hcrc.compiler.cli import main
from hcrc.compiler.commands.inputs import takes_color

WORKFLOW = """\
hcrc: 1
name: cli
parameters:
  n: {type: integer, default: 3}
  s: {type: string, default: out}
datasets:
  Data: {samples: [{sample: data, label: data, years: [UL18], files: [data.root]}]}
  Signal: {samples: [{sample: ZZ4b, label: ZZ, years: [UL18], files: [ZZ4b.root]}]}
classifiers:
  SvB: {classes: [data, ZZ]}
tasks:
  cache: {task: cache, datasets: [Data, Signal], output: "{s}"}
  train:
    task: train
    dataset: cache
    classifier: {use: SvB, rocs: [{name: "{x}", positive: [ZZ], negative: [data]}]}
    kfolds: "{n}"
    for: {x: AXIS}
    output: t
"""
NAMES = [
    "it's",
    "$(touch no)",
    "`touch no`",
    "a b",
    "a;b",
    "%s",
    "é漢🙂",
    'q"q',
    "\\",
    "*",
    "!x",
    "#",
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.yml").write_text(WORKFLOW.replace("AXIS", "[1, 2]"))
    return tmp_path


def hcrc(*words, env=None, **options):
    """Run the command line in its own process; the finished process."""
    return subprocess.run(
        [sys.executable, "-m", "hcrc.compiler", *words],
        capture_output=not options,
        env=None if env is None else {**os.environ, **env},
        check=False,
        timeout=60,
        **options,
    )


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "name a command"),
        (["check"], 2, "name a workflow file"),
        (["chek", "w.yml"], 2, 'there is no command "chek": did you mean "check"?'),
        (["--verson"], 2, '"--verson": did you mean "--version"?'),
        (["--format", "json"], 2, '"--format": allowed: --help, --version, -h'),
        (["check", "w.yml", "more.yml"], 1, 'cannot read "more.yml": No such file'),
        (["check", "w.yml", "--template"], 2, "expected at least one argument"),
        (["check", "--template", "{s: a}"], 2, "name a workflow file"),
        (["run", "w.yml", "-j", "0"], 2, "'0' is not a number above 0"),
        (["run", "w.yml", "--device", "tpu"], 2, "'tpu' is none of auto, cpu, cuda, cuda:N"),
        (["check", "w.yml", "--par", "n=5"], 2, "unrecognized arguments: --par"),
        (["check", "w.yml", "--param"], 2, "expected one argument"),
        (["check", "w.yml", "--setting", "IO"], 2, "expected 2 arguments"),
        (["check", "nothing.yml"], 1, 'cannot read "nothing.yml": No such file'),
        (["check", "."], 1, 'cannot read ".": it is a folder'),
        (["run", "."], 1, ".: a folder without plan.json is no bundle, and a workflow is a file"),
        (["check", "x" * 5000], 1, "File name too long"),
        (["compile", "x" * 5000], 1, "File name too long"),
        (["check", "empty.yml"], 1, "there is nothing in this text"),
        (["check", "binary.yml"], 1, "it is not UTF-8 text: byte 0xff in line 1"),
        (["check", "nul.yml"], 1, "the character U+0000 cannot stand in a YAML text"),
        (["check", "w.yml", "--param", "n"], 1, '"n" is not key=value'),
        (["check", "w.yml", "--param", "n=[1"], 1, '"[" is never closed'),
        (["check", "w.yml", "--param", "s=\udcff"], 1, "--param is not UTF-8 text"),
        (["check", "w.yml", "--param", "s=a\nb"], 1, "holds a line break"),
        (["check", "w.yml", "--template", ""], 1, "the text of --template is empty"),
        (["check", "w.yml", "--template", "nothing.yml"], 1, 'cannot read "nothing.yml"'),
        (["check", "w.yml", "--setting", "io", "{}"], 1, 'did you mean "IO"?'),
        (["check", "w.yml", "--setting", "IO", "3"], 1, "--setting IO takes a mapping"),
        (["check", "w.yml", "--setting", "IO", "{outpt: a}"], 1, 'did you mean "output"?'),
        (["compile", "w.yml", "-o", "empty.yml"], 1, "hcrc: error: empty.yml/cli: Not a directory"),
        (["compile", "w.yml", "-o", "/proc/nothing"], 1, "hcrc: error: /proc/nothing"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)  # fmt: skip
def test_a_wrong_command_line_says_so_in_one_message(place, capsys, words, code, message):
    (place / "empty.yml").write_text("")
    (place / "binary.yml").write_bytes(b"\xff\xfe\x00")
    (place / "nul.yml").write_bytes(b"a: \x00")
    before = sorted(place.rglob("*"))
    try:
        found = main(words)
    except SystemExit as end:
        found = end.code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert len(re.findall(r"error[\[:]", captured.err)) == 1
    assert found == code
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("content", [None, "a file", "a folder"])
def test_what_is_in_the_way_of_a_bundle_stays(place, capsys, content):
    assert main(["compile", "w.yml", "-o", "first"]) == 0
    bundle = Path(capsys.readouterr().out.strip())
    way = place / "second" / "cli" / bundle.name
    way.parent.mkdir(parents=True)
    if content == "a file":
        way.write_text("mine")
    elif content == "a folder":
        way.mkdir()
    code = main(["compile", "w.yml", "-o", "second"])
    captured = capsys.readouterr()
    if content is None:
        assert code == 0
        assert (way / "plan.json").is_file()
    else:
        assert code == 1
        assert captured.err == (
            f"hcrc: error: second/cli/{bundle.name}: something that is no bundle is in the way\n"
        )
        assert [path.name for path in way.parent.iterdir()] == [bundle.name]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder(place, capsys):
    place.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert main(["compile", "w.yml"]) == 1
    finally:
        place.chmod(stat.S_IRWXU)
    assert capsys.readouterr().err == "hcrc: error: hcrc-out: Permission denied\n"


def test_a_full_disk_and_a_closed_pipe_are_no_traceback(place):
    with open("/dev/full", "w") as full:
        run = hcrc("expand", "w.yml", stdout=full, stderr=subprocess.PIPE)
    assert run.returncode == 1
    assert run.stderr == b"hcrc: error: No space left on device\n"
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken:
        run = hcrc("expand", "w.yml", stdout=broken, stderr=subprocess.PIPE)
    assert run.returncode == 141
    assert run.stderr == b""


def test_a_folder_that_is_gone(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'cd "$1"; rmdir "$1"; exec "$2" -P -m hcrc.compiler check w.yml'
    words = ["bash", "-c", script, "bash", str(gone), sys.executable]
    run = subprocess.run(words, capture_output=True, check=False)
    assert run.returncode == 1
    assert b"Traceback" not in run.stderr
    assert run.stderr.count(b"error") == 1


@pytest.mark.parametrize("env", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"NO_COLOR": "1"}])
def test_every_locale_can_show_errors(place, env):
    (place / "w.yml").write_text("hcrc: 1\nname: plän\ntasks: 漢\n")
    run = hcrc("check", "w.yml", env={"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", **env})
    assert run.returncode == 1
    assert run.stderr.count(b"error[") == 2
    assert b"\x1b" not in run.stderr
    assert b"Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("command", "format"),
    [
        ("check", "json"),
        ("check", "github"),
        ("compile", "json"),
        ("compile", "github"),
        ("expand", "json"),
    ],
)
def test_formats_are_for_programs(place, capsys, command, format):
    assert main([command, "w.yml", "--format", format]) == 0
    out = capsys.readouterr().out
    if command == "check":
        assert out == {"json": "[]\n", "github": ""}[format]
    else:
        assert not out.startswith("[")
    assert main([command, "w.yml", "--format", format, "--param", "n=x"]) == 1
    captured = capsys.readouterr()
    assert captured.err == ""
    if format == "json":
        assert [item["code"] for item in json.loads(captured.out)] == ["wrong-type"]
    else:
        assert captured.out.startswith("::error file=--param,line=1,col=3,title=wrong-type::")


@pytest.mark.parametrize("command", ["diff", "expand", "inspect", "trace", "why"])
def test_what_has_no_form_for_github_is_refused(place, capsys, command):
    with pytest.raises(SystemExit) as stop:
        main([command, "w.yml", "w.yml", "--format", "github"])
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    message = captured.err.splitlines()[-1].replace("'", "")
    assert message.startswith(f"hcrc {command}: error: argument --format: invalid choice: github")
    assert message.endswith("(choose from text, json)")


def test_check_imports_jsonschema_only_to_explain(place):
    code = (
        "import sys\nfrom hcrc.compiler.cli import main\n"
        "main(sys.argv[1:])\nprint('jsonschema' in sys.modules, 'yaml' in sys.modules)\n"
    )
    words = [sys.executable, "-c", code, "check", "w.yml"]
    assert subprocess.check_output(words).split()[-2:] == [b"False", b"True"]
    words = [sys.executable, "-c", code, "check", "w.yml", "--setting", "IO", "{a: 1}"]
    run = subprocess.run(words, capture_output=True, check=True)
    assert run.stdout.split()[-2:] == [b"True", b"True"]


def test_help_reads_no_yaml():
    code = (
        "import sys\nfrom hcrc.compiler.cli import main\n"
        "try:\n    main(['check', '--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('yaml', 'jinja2', 'jsonschema') if name in sys.modules])\n"
    )
    assert subprocess.check_output([sys.executable, "-c", code]).split(b"\n")[-2] == b"[]"


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_value_stays_inside_of_its_folder_and_its_line(place, capsys, name):
    text = WORKFLOW.replace("AXIS", json.dumps([name, f"../{name}", "..", "."], ensure_ascii=False))
    (place / "w.yml").write_text(text)
    assert main(["compile", "w.yml", "-o", name]) == 0
    bundle = place / capsys.readouterr().out.strip("\n")
    jobs = [json.loads(line) for line in (bundle / "jobs.jsonl").read_text().split("\n")[:-1]]
    cells = [cell for job in jobs[1:] for cell in job["cells"]]
    assert [cell["axes"]["x"] for cell in cells] == [name, f"../{name}", "..", "."]
    assert len({cell["output"] for cell in cells}) == len({cell["id"] for cell in cells}) == 4
    for cell in cells:
        assert Path(cell["output"]).parent == place / "t"
        assert cell["id"].isascii()
        assert cell["id"].isprintable()


@pytest.mark.parametrize("name", [*NAMES, "a\nb", "-n", "~", "$HOME"])
def test_run_sh_works_wherever_the_bundle_lies(place, capsys, name):
    folder = place / "here" / name
    folder.mkdir(parents=True)
    (folder / "w.yml").write_text((place / "w.yml").read_text())
    assert main(["compile", "w.yml", "-o", str(folder)]) == 0
    (bundle,) = (folder / "cli").iterdir()
    stub = folder / "python stub"
    stub.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    stub.chmod(0o755)
    words = ["--only", name, "$(touch no)"]
    env = {**os.environ, "HCRC_PYTHON": str(stub)}
    for command, cwd in (([str(bundle / "run.sh")], "/"), (["./run.sh"], bundle)):
        out = subprocess.check_output([*command, *words], env=env, cwd=cwd)
        assert json.loads(out) == [str(bundle / "hcrc.pyz"), "run", str(bundle), *words]
    shell = f"cd {shlex.quote(str(bundle))} && bash run.sh"
    out = subprocess.check_output(["bash", "-c", shell], env={**env, "CDPATH": "/"})
    assert json.loads(out) == [str(bundle / "hcrc.pyz"), "run", str(bundle)]
    assert not list(place.rglob("no"))


def test_each_template_is_for_the_files_after_it(place, capsys):
    shutil.copy(place / "w.yml", place / "v.yml")
    words = ["--template", "{s: one}", "w.yml", "--template", "{s: two}", "v.yml"]
    assert main(["expand", *words]) == 0
    out = capsys.readouterr().out
    assert out.index(f"cache: {place}/one\n") < out.index(f"cache: {place}/two\n")


def test_a_template_without_files_is_for_all(place, capsys):
    shutil.copy(place / "w.yml", place / "v.yml")
    words = ["--template", "{s: one, n: 5}", "--template", "{s: two}", "v.yml", "--param", "n=4"]
    assert main(["expand", "w.yml", *words]) == 0
    out = capsys.readouterr().out
    assert out.index(f"cache: {place}/one\n") < out.index(f"cache: {place}/two\n")


def test_what_is_wrong_with_several_files_is_said_at_once(place, capsys):
    (place / "v.yml").write_text("hcrc: 1\n")
    assert main(["check", "v.yml", "w.yml", "--param", "k=4", "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {item["code"] for item in found} == {"missing-key", "unknown-parameter"}


def test_a_workflow_of_the_package_is_found_by_its_name(place, capsys):
    assert main(["check", "demo"]) == 0
    assert capsys.readouterr().out == "demo: no errors; 5 cells in 5 jobs\n"
    (place / "demo").mkdir()
    assert main(["check", "demo"]) == 0
    (place / "demo").rmdir()
    (place / "demo").write_text("mine: 1\n")
    assert main(["check", "demo"]) == 1
    assert 'unknown key "mine"' in capsys.readouterr().err


@pytest.mark.parametrize("format", ["text", "json", "github"])
def test_warnings_stop_nothing_and_stay_out_of_the_output(place, capsys, format):
    workflow = place / "w.yml"
    text = workflow.read_text().replace("parameters:", "parameters:\n  spare: {type: list}", 1)
    workflow.write_text(text.replace("list", "list, default: []", 1))
    assert main(["compile", "w.yml", "--format", format]) == 0
    captured = capsys.readouterr()
    assert Path(captured.out.strip()).is_dir()
    assert "unused-parameter" in captured.err
    assert main(["compile", "w.yml", "--strict"]) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("word", "help"),
    [
        ("workflw.yml", 'did you mean "workflow.yml"?'),
        ("workflow", 'did you mean "workflow.yml"?'),
        ("sub/mor.yaml", 'did you mean "sub/more.yml"?'),
        ("dmeo", 'did you mean "demo"?'),
        ("qqqq", "a workflow is a file, or one that comes with hcrc: demo, fvt, "),
        ("sub", "name a file in it: sub/more.yml"),
        ("empty", "a workflow is a file, or one that comes with hcrc: demo, fvt, "),
        ("bundle", "it is a bundle, which run, clean, diff, why and trace take: name its workflow"),
    ],
)
def test_what_was_probably_meant_is_said_of_a_file_that_is_not_there(place, capsys, word, help):
    for name in ("sub", "bundle", "empty"):
        (place / name).mkdir()
    for name in ("workflow.yml", "sub/more.yml", "sub/notes.txt", "bundle/plan.json"):
        (place / name).touch()
    assert main(["check", word]) == 1
    assert f"  = help: {help}" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["qqqq.yml", "none/w.yml"])
def test_nothing_is_said_where_nothing_is_near(place, capsys, word):
    assert main(["check", word]) == 1
    assert "help" not in capsys.readouterr().err


def test_a_missing_include_names_the_nearest_file_beside_it_or_shipped(place, capsys):
    (place / "definitions.yml").touch()
    text = (place / "w.yml").read_text()
    (place / "w.yml").write_text(f"{text}include: [definition.yml, hcr/datasets.yaml, qqqq.yml]\n")
    assert main(["check", "w.yml"]) == 1
    err = capsys.readouterr().err
    assert err.count("to include") == 3
    assert err.count("did you mean") == 2
    assert 'did you mean "definitions.yml"?' in err
    assert 'did you mean "hcr/datasets.yml"?' in err


@pytest.mark.parametrize("command", ["why", "trace"])
@pytest.mark.parametrize("name", ["w.yml", ".", "none"])
def test_what_is_no_bundle_is_said_in_one_line(place, capsys, command, name):
    assert main([command, name, "0"]) == 1
    message = f"hcrc: error: {name}: not a bundle, which is a folder that hcrc compile prints\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize("command", ["expand", "run"])
def test_closed_streams_are_no_error(place, closed, command):
    """And nothing that a file holds takes their place."""
    (place / "w.yml").write_text(
        "hcrc: 1\nname: c\ntasks: {a: {task: command, command: [echo, said]}}\n"
    )
    line = f'exec "$@" {closed}'
    words = [sys.executable, "-m", "hcrc.compiler", command, "w.yml"]
    done = subprocess.run(["sh", "-c", line, "sh", *words], check=False, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    if command == "run":
        (jobs,) = place.glob("hcrc-out/c/*/jobs.jsonl")
        assert json.loads(jobs.read_text())["id"] == "a"
        assert (place / "c/a/result.json").exists()


@pytest.mark.parametrize("words", [["help"], ["init", "-"], ["help", "--all", "--format", "html"]])
def test_output_is_utf_8_whatever_the_locale(place, words):
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    run = hcrc(*words, env=env)
    assert (run.returncode, run.stderr) == (0, b"")
    assert run.stdout == hcrc(*words, env={"PYTHONUTF8": "1"}).stdout


def test_a_folder_that_is_gone_is_one_line(place):
    gone = place / "gone"
    gone.mkdir()
    line = 'rmdir "$PWD" && exec "$@"'
    words = [sys.executable, "-P", "-m", "hcrc.compiler", "check", "w.yml"]
    run = subprocess.run(
        ["sh", "-c", line, "sh", *words], cwd=gone, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert run.stderr == "hcrc: error: the current folder is not there any more\n"


@pytest.mark.parametrize(
    ("environment", "colored"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_show_them(place, monkeypatch, environment, colored):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert takes_color() is colored
