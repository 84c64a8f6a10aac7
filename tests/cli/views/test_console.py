import json
import logging

import polars as pl

from vlmsel.cli.views.console import (
    emit_json,
    fail,
    note,
    say,
    show_log_records,
    show_table,
    stdout,
    tell,
    warn,
)


def test_json_has_neither_nan_nor_infinity(capsys):
    emit_json({"rows": pl.DataFrame({"x": [1.5, float("nan"), None]}), 3: (float("inf"),)})
    said = json.loads(capsys.readouterr().out)
    assert said == {"rows": [{"x": 1.5}, {"x": None}, {"x": None}], "3": [None]}


def test_tables_show_text_as_it_is_and_missing_values_as_a_dash(capsys):
    frame = pl.DataFrame({"[bold]": ["[red]x[/red]"], "y": [0.12345], "z": [None]})
    show_table(frame, title="[t]")
    said = capsys.readouterr().out
    for text in ("[t]", "[bold]", "[red]x[/red]", "0.123", "-"):
        assert text in said


def test_a_narrow_terminal_folds_names_and_loses_nothing(capsys, monkeypatch):
    monkeypatch.setattr(stdout, "width", 24)
    show_table(pl.DataFrame({"model": ["a-rather-long-model-name"], "x": [1]}), title="t")
    said = capsys.readouterr().out
    letters = "".join(line.replace("1", "").strip() for line in said.splitlines()[3:])
    assert letters.replace("─", "") == "a-rather-long-model-name"


def test_what_is_said_goes_to_stderr_on_one_line(capsys):
    say("[x] " + "word " * 100)
    warn("careful")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["[x] " + "word " * 100, "warning: careful"]


def test_log_records_are_warnings_once_and_not_what_the_summary_says(capsys):
    show_log_records()
    show_log_records()
    logging.getLogger("vlmsel.execution.plan.known_cells").warning("set aside\n%s", "x")
    logging.getLogger("vlmsel.execution.plan.known_cells").info("measured")
    logging.getLogger("vlmsel.execution.work.worker").warning("failed: y")
    assert capsys.readouterr().err.splitlines() == ["warning: set aside x"]


def test_names_are_shown_without_codes_and_control_characters(capsys):
    name = "set:100:fire: \x1b[31mred\nerror: forged \u202egnp caf\udce9 [bold]"
    plain = r"set:100:fire: \x1b[31mred\nerror: forged \u202egnp caf\xe9 [bold]"
    say(name)
    warn(name)
    fail(name)
    note(name)
    tell(name)
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [plain, f"warning: {plain}", f"error: {plain}"]
    assert captured.out.splitlines() == [plain, plain]
    show_table(pl.DataFrame({":fire:": ["a\x1bb:100:"]}), title=":b:\n")
    said = capsys.readouterr().out
    assert "\x1b" not in said
    for text in (":fire:", r"a\x1bb:100:", r":b:\n"):
        assert text in said


def test_no_sink_shows_a_secret(capsys, monkeypatch):
    monkeypatch.setenv("MY_SERVICE_TOKEN", "tok3n-of-mine")
    text = "no way to https://me:secretword@host with tok3n-of-mine"
    emit_json({"failed": [{"reason": text}], "rows": pl.DataFrame({"reason": [text]})})
    show_table(pl.DataFrame({"reason": [text]}), title=text)
    for sink in (say, warn, fail, note, tell):
        sink(text)
    captured = capsys.readouterr()
    assert captured.out.count("***@host") >= 3
    for secret in ("secretword", "tok3n-of-mine"):
        assert secret not in captured.out + captured.err
