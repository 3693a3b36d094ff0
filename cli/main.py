"""The `vitscope` command."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from itertools import pairwise, takewhile
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vitscope import __version__
from vitscope.cli.attention import attention
from vitscope.cli.compare import compare
from vitscope.cli.console import complain, talk
from vitscope.cli.datasets import datasets
from vitscope.cli.embed import embed
from vitscope.cli.evaluate import evaluate
from vitscope.cli.explain import explain
from vitscope.cli.export import export
from vitscope.cli.faithfulness import faithfulness
from vitscope.cli.figures import figures
from vitscope.cli.inspect import inspect
from vitscope.cli.models import models
from vitscope.cli.presets import presets
from vitscope.cli.report import report
from vitscope.cli.train import train
from vitscope.errors import UsageError, VitscopeError

__all__ = ["app", "main"]


class _Group(TyperGroup):
    """Turns every error into one line, a hint and an exit code; a traceback comes with `--debug` alone."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,  # noqa: ANN401 - Typer's own signature
    ) -> Any:  # noqa: ANN401
        given = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in given
        # It is known to the whole program, so it is taken wherever it stands.
        words = [word for word in given if word != "--debug"]
        call = super().main

        def run() -> Any:  # noqa: ANN401
            self._check_values(words)
            return call(words, prog_name, complete_var, False, windows_expand_args, **extra)

        code = _exit_code(run, debug=debug)
        if standalone_mode:
            sys.exit(code)
        return code

    def _check_values(self, words: Sequence[str]) -> None:
        """Refuse an option whose value is left out: the next option would be taken for it.

        Raises:
            UsageError: There is one.
        """
        command = self.commands.get(words[0]) if words else None
        options = [each for each in command.params if each.param_type_name == "option"] if command else []
        names = {name for each in options for name in (*each.opts, *each.secondary_opts)}
        valued = {name for each in options if not getattr(each, "is_flag", False) for name in each.opts}
        for word, following in pairwise(takewhile(lambda each: each != "--", words)):
            if word in valued and following in names:
                raise UsageError(
                    f"{word} has no value: {following} follows it", hint=f"see vitscope {words[0]} --help"
                )


def _exit_code(run: Callable[[], Any], *, debug: bool) -> int:
    try:
        answer = run()
    except VitscopeError as error:
        if debug:
            traceback.print_exc()
        complain(error)
        return error.exit_code
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            return _usage(error)
        if debug:
            traceback.print_exc()
        complain(
            VitscopeError(
                f"{type(error).__name__}: {error}",
                hint="this is a bug: run again with --debug and report the traceback",
            )
        )
        return 1
    if answer == 130:
        talk("error: interrupted")
    return answer if isinstance(answer, int) else 0


def _usage(error: Any) -> int:  # noqa: ANN401 - a class private to Typer
    """Print what the parser of the command line found, in our form."""
    context = getattr(error, "ctx", None)
    hint = f"see {context.command_path} --help" if context is not None else ""
    # What a choice of words is checked by says that it is an error, twice.
    message = error.format_message().replace("Value error, ", "", 1)
    complain(UsageError(message[:1].lower() + message[1:], hint=hint))
    return int(error.exit_code)


app = typer.Typer(
    cls=_Group,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From an image classifier's checkpoint to the figures of a paper.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vitscope {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback acts
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
    debug: Annotated[  # noqa: ARG001 - taken out of the arguments before this
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command()(train)
app.command()(evaluate)
app.command()(attention)
app.command()(explain)
app.command()(compare)
app.command()(faithfulness)
app.command()(inspect)
app.command()(embed)
app.command()(figures)
app.command()(report)
app.command()(export)
app.command()(presets)
app.command()(models)
app.command()(datasets)


def _terminated(number: int, _: object) -> None:
    # An exception, so that what is half written is cleaned up on the way out.
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command line in this process."""
    signal.signal(signal.SIGTERM, _terminated)
    app(prog_name="vitscope")
