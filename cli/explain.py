"""`vitscope explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitscope.cli import explanation_options as options
from vitscope.cli.console import result, result_json
from vitscope.cli.explained import Asked, Model, Place, method_names, run_explanation
from vitscope.cli.figure_options import for_a_paper
from vitscope.cli.mistakes import Errors, explain_errors
from vitscope.cli.options import Device, Json, Out, Overwrite, Quiet
from vitscope.cli.subjects import check_out
from vitscope.cli.wanted import Wanted
from vitscope.errors import UsageError

__all__ = ["explain"]

_MISTAKES = 8
_ERRORS = "Errors of an evaluation"


@for_a_paper
def explain(
    images: options.Images = None,
    method: options.MethodName = None,
    methods: options.MethodNames = None,
    target: options.TargetNames = None,
    evaluate: options.Evaluate = False,
    listed: Annotated[
        bool, typer.Option("--list", help="Show the methods: what each needs, applies to, costs.")
    ] = False,
    errors: Annotated[
        Path | None,
        typer.Option(
            "--errors",
            metavar="EVALUATION",
            help="A folder of `vitscope evaluate`: images of one class taken for another, and why.",
            show_default=False,
            rich_help_panel=_ERRORS,
        ),
    ] = None,
    pair: Annotated[
        str | None,
        typer.Option(
            "--pair",
            metavar="A,B",
            help="The two classes.",
            show_default="the most confused",
            rich_help_panel=_ERRORS,
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="How many images at most.", rich_help_panel=_ERRORS)
    ] = _MISTAKES,
    difference: Annotated[
        bool, typer.Option("--difference", help="Also one map less the other.", rich_help_panel=_ERRORS)
    ] = False,
    index: options.Index = None,
    checkpoint: options.Checkpoint = None,
    out: Out = None,
    device: Device = "auto",
    split: options.SplitOfIndex = "test",
    data: options.Data = None,
    weights: options.Weights = None,
    classes: options.Classes = None,
    pool: options.PoolName = None,
    overlays: options.Overlays = False,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Explain a classifier's answers: what in an image speaks for a class.

    Without a method: relevance where the model has attention, else Grad-CAM.

    Example: vitscope explain img.png --methods relevance,integrated-gradients --target cat
    """
    if listed:
        _list(json=json)
        return
    place = Place(out, overwrite, json, quiet)
    if errors is not None:
        given = {
            "images": images,
            "--index": index,
            "--methods": methods,
            "--target": target,
            "--evaluate": evaluate,
            "--overlays": overlays,
            "--split": split != "test",
        }
        for name, value in given.items():
            if value:
                raise UsageError(
                    f"--errors chooses images and classes itself: leave out {name}",
                    hint="--pair A,B names the classes, --limit how many images, --method the method",
                )
        check_out(out, overwrite=overwrite)
        asked_errors = Errors(errors, pair, limit, difference, method, data, pool)
        maker = Model(checkpoint or "", weights, classes, device)
        explain_errors(asked_errors, maker, place)
        return
    if pair is not None or difference or limit != _MISTAKES:
        raise UsageError(
            "--pair, --limit and --difference go with --errors",
            hint="name an evaluation: --errors evaluation-test",
        )
    asked = Asked(method_names(method, methods), tuple(target or ("predicted",)), evaluate, overlays, pool)
    wanted = Wanted.found(images, index, split, data)
    asked.check_labels(wanted)
    check_out(out, overwrite=overwrite)
    model = Model.found(checkpoint, weights, classes, device, quiet=quiet)
    run_explanation(model, wanted, asked, place, called="explanation")


def _list(*, json: bool) -> None:
    """Print the table of methods."""
    from dataclasses import asdict

    from vitscope.explain.methods import METHODS

    if json:
        result_json({"methods": [asdict(method) for method in METHODS.values()]})
        return
    for method in METHODS.values():
        kind = "explains one class" if method.per_class else "explains no class"
        result(f"{method.name}: {method.title}, {kind}{', signed' if method.signed else ''}")
        result(f"    needs {method.needs}; applies to {method.applies}; cost {method.cost}")
        result(f"    {method.source}")
