"""Where the pipeline runs, as the flags of Beam say."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.runner import PipelineRunner, create_runner

from tfrec_vis.errors import InputError

_HERE = ("", "direct", "directrunner")


def read_beam_flags(flags: Sequence[str]) -> tuple[PipelineRunner, PipelineOptions]:
    """The runner and the options that Beam's flags stand for.

    Without ``--runner``, and for DirectRunner, the runner is FnApiRunner: Beam's own DirectRunner
    tries Prism first, which downloads a program. It runs in this process, or in others with
    ``--direct_running_mode=multi_processing --direct_num_workers=N``.

    Args:
        flags: such as ``["--runner=FlinkRunner", "--flink_master=host:8081"]``. Flags that Beam
            does not know are left to the runner, unless they look like one that it knows.

    Raises:
        InputError: no flag, a wrong value, an unknown runner, or an unknown flag that is a slip or
            that no runner would read.
    """
    if flags and not flags[0].startswith("--"):
        raise InputError(
            f"{flags[0]}: expected flags of Beam after the recipe, such as -- --runner=FlinkRunner"
        )
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            options = PipelineOptions(list(flags))
            options.get_all_options()  # reads all of them; the line above, only some
    except SystemExit:
        reason = said.getvalue().strip().splitlines()[-1].partition("error: ")[2]
        raise InputError(f"flags of Beam: {reason}; see Beam's documentation of them") from None
    unknown, known = _unknown(options)
    name = options.view_as(StandardOptions).runner or ""
    for flag in unknown:
        if near := difflib.get_close_matches(flag, known, n=1, cutoff=0.85):
            raise InputError(f"{flag}: Beam has no such flag; did you mean {near[0]}?")
        if name.lower() in _HERE:
            raise InputError(f"{flag}: Beam has no such flag; leave it out, or correct its name")
    if name.lower() in _HERE:
        return FnApiRunner(), options
    try:
        return create_runner(name), options
    except (ValueError, ImportError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"--runner={name}: {reason}") from error


def _unknown(options: PipelineOptions) -> tuple[list[str], list[str]]:
    """The flags given that are of none of Beam's and its runners' options, and all known ones."""
    parsers: list[argparse.ArgumentParser] = []
    options.get_all_options(add_extra_args_fn=parsers.append)
    _, rest = parsers[0].parse_known_args(options._flags)
    unknown = [word.partition("=")[0] for word in rest if word.startswith("--")]
    return unknown, sorted(parsers[0]._option_string_actions)
