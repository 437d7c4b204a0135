"""The options of `musenet sample` that say what the music should be like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

POSITIVE = click.FloatRange(0, min_open=True)
PITCH, VELOCITY = click.IntRange(0, 127), click.IntRange(1, 127)
NATS = click.FloatRange(0)

OPTIONS = (
    click.option(
        "--blend", metavar="TEXT", help="Styles with weights, `chopin=0.7, pop=0.3`; at seconds, `0 chopin; 30 pop`."
    ),
    click.option(
        "--require",
        is_flag=True,
        default=None,
        help="Let all of --instruments sound and no others; by default others are less likely.",
    ),
    click.option("--bars", type=POSITIVE, help="Length of a piece in bars of four beats."),
    click.option("--prompt-notes", type=click.IntRange(1), help="Take so many notes of the prompt, not all."),
    click.option("--prompt-seconds", type=POSITIVE, help="Take so many seconds of the prompt."),
    click.option("--prompt-bars", type=POSITIVE, help="Take so many bars of four beats of the prompt."),
    click.option("--infill", metavar="SPAN", help="Compose this part of the prompt anew: 12s-20s, 4bars-8bars, 30s-."),
    click.option("--replace", metavar="NAMES", help="Compose these instruments anew, in --infill or all the prompt."),
    click.option("--add", metavar="NAMES", help="Let these instruments play, too, in --infill or throughout."),
    click.option("--key", help="Major or minor key to stay in: C, Am, `Bb major`."),
    click.option("--key-strength", type=NATS, help="Penalty in nats of a note outside the key.  [default: 3.0]"),
    click.option("--strict-key", is_flag=True, default=None, help="Let no note outside the key start."),
    click.option("--lowest", type=PITCH, help="Lowest MIDI pitch, drums aside.  [default: 0]"),
    click.option("--highest", type=PITCH, help="Highest MIDI pitch, drums aside.  [default: 127]"),
    click.option("--softest", type=VELOCITY, help="Least velocity.  [default: 1]"),
    click.option("--loudest", type=VELOCITY, help="Greatest velocity.  [default: 127]"),
    click.option("--most-voices", type=click.IntRange(1), help="Most notes that sound at a time, drums aside."),
    click.option("--density", type=POSITIVE, help="Notes a second to aim at."),
    click.option(
        "--time-temperature", type=POSITIVE, help="Factor of the temperature among waits.  [default: the model's]"
    ),
    click.option(
        "--pitch-temperature",
        type=POSITIVE,
        help="Factor of the temperature among an instrument's notes.  [default: the model's]",
    ),
    click.option(
        "--instrument-temperature", type=POSITIVE, help="Factor of the temperature among instruments.  [default: 1.0]"
    ),
    click.option(
        "--repetition",
        type=NATS,
        help="Penalty in nats for each time that a phrase was heard lately, beyond --repeats.  [default: the model's]",
    ),
    click.option(
        "--repeats",
        type=click.IntRange(0),
        help="Times that a phrase may be heard freely.  [default: the model's]",
    ),
    click.option(
        "--stay",
        type=NATS,
        help="Penalty in nats of the last three pitch classes while music stays on them.  [default: the model's]",
    ),
    click.option(
        "--stay-seconds",
        type=POSITIVE,
        help="Seconds that music may stay on them without one.  [default: the model's]",
    ),
    click.option(
        "--tonality",
        type=NATS,
        help="How closely notes keep to the pitch classes heard lately.  [default: the model's]",
    ),
    click.option("--form", help="Sections by letter, such as AABA; those of one letter are alike."),
    click.option(
        "--recall",
        type=NATS,
        help="Bonus in nats of what a section recalls of the one that it is like.  [default: the model's]",
    ),
    click.option(
        "--returns",
        type=click.FloatRange(0, 1),
        help="Mean share of sections that come back, where no form is given.  [default: the model's]",
    ),
    click.option(
        "--section-bars",
        type=click.IntRange(1, 64),
        help="Bars of a section; without a form half as many, or half as many again, in some pieces.  "
        "[default: the model's]",
    ),
    click.option(
        "--missing",
        type=NATS,
        help="Bonus in nats of an instrument that was asked for and is silent for long.  [default: 0.0]",
    ),
    click.option(
        "--outside", type=NATS, help="Penalty in nats of an instrument that was not asked for.  [default: 1.0]"
    ),
)


def control_options(command: Command) -> Command:
    """Add the options to a command."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
