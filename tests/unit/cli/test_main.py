"""The command line itself: cheap to start, every complaint one line, every verb helped."""

import importlib
import subprocess
import sys

import pytest

from sedkit.cli._options import Parser, add_flag, number, words
from sedkit.cli.main import VERBS, main
from sedkit.core.errors import UsageError


def test_help_lists_every_verb(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {verb} " in out for verb in VERBS)


def test_no_words_is_bad_use():
    assert main([]) == 2


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_of_its_own(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert f"usage: sedkit {verb}" in capsys.readouterr().out
    assert importlib.import_module(f"sedkit.cli.{verb}").run


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["scroe"], "unknown verb 'scroe' (did you mean \"score\"?)"),
        (["extract", "--bogus", "x"], "unknown option --bogus"),
        (["prepare"], "the following arguments are required"),
        (["extract", "/nonexistent/dir", "--config", "/nonexistent.yaml"], "/nonexistent"),
    ],
)
def test_bad_use_is_one_line_on_stderr(argv, message, capsys):
    status = main(argv)
    captured = capsys.readouterr()
    assert status in (1, 2)
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err


def test_status_of_bad_use():
    assert main(["scroe"]) == 2
    assert main(["extract", "--bogus"]) == 2


def test_starting_loads_nothing_heavy():
    code = (
        "import sys, sedkit.cli.main as m; m.main(['--help'])\n"
        "heavy = ('torch', 'librosa', 'pandas', 'matplotlib', 'numba', 'scipy', 'numpy')\n"
        "print([x for x in heavy if x in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_goes_away_is_no_traceback():
    done = subprocess.run(
        f"{sys.executable} -m sedkit --help | true", shell=True, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr


def test_argument_types():
    assert number(0, 5, whole=True)("3") == 3
    assert words("a, b") == ["a", "b"]
    parser = Parser()
    parser.add_argument("--n", type=number(0, 5, whole=True))
    add_flag(parser, "--f", "a flag", default=True)
    assert [parser.parse_args(argv).f for argv in ([], ["--f", "True"], ["--f", "false"])] == [True, True, False]
    with pytest.raises(UsageError, match="'no', expected true or false"):
        parser.parse_args(["--f", "no"])
    for bad in ("abc", "6", "1.5", "nan"):
        with pytest.raises(UsageError, match="--n"):
            parser.parse_args(["--n", bad])
    with pytest.raises(UsageError, match='did you mean "--n"'):
        parser.refuse_unknown(["--nn", "3"])
    parser.refuse_unknown(["--n=3", "--", "--nn"])


def test_an_output_that_cannot_be_written_is_one_line(tmp_path, capsys):
    table = tmp_path / "ref.tsv"
    table.write_text("filename\tonset\toffset\tevent_label\na.wav\t0.0\t1.0\tDog\n")
    (tmp_path / "folder").mkdir()
    words = ["score", "--reference", str(table), "--estimate", str(table), "--metrics", "event"]
    assert main([*words, "--json", str(tmp_path / "folder")]) == 1
    found = capsys.readouterr().err
    assert found.startswith("sedkit score: error: ") and found.count("\n") == 1
    assert "folder: is a folder, expected a place for a file" in found
