"""Bricks that take milliseconds: what they do follows from their names."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from legacypipe_lite.campaign import Patch, Plan
from legacypipe_lite.campaign.prices import Price
from legacypipe_lite.errors import InputError, NothingToDo
from legacypipe_lite.survey import OutputTree


def plan_of(names, memory=1e6):
    """A plan of stub bricks, the later ones with the higher prices."""
    prices = [Price(seconds=1.0 + i, memory=memory) for i in range(len(names))]
    patches = [Patch(name, i % 360 / 1.0, i // 360 / 10.0) for i, name in enumerate(names)]
    return Plan(patches, prices, [frozenset()] * len(names))


def write_catalog(options, cards=()):
    """A catalogue of one source with its checksum."""
    tree = OutputTree(options.outdir, options.brick)
    tree.write_table("tractor", np.zeros(1, [("ra", float)]), primary_cards=cards)
    tree.write_checksums()


def quick(options):
    """Takes 1 to 10 ms; every 20th brick fails; writes no products."""
    number = int(options.brick[3:])
    time.sleep(0.001 + 0.001 * (number % 10))
    if number % 20 == 7:
        raise InputError("images/bad.fits: cannot be read")
    return {"products": False, "sources": 2}


def by_name(options):
    """What the name of the brick says."""
    kind = options.brick[3:-1]
    first = Path(options.outdir, "seen-" + options.brick)
    seen = first.exists()
    with open(first, "a") as stream:
        stream.write("x")
    if kind == "fails":
        raise InputError("images/bad.fits: cannot be read")
    if kind == "breaks":
        raise ZeroDivisionError("of all things")
    if kind == "nothing":
        raise NothingToDo("No CCDs touching brick")
    if kind == "dies" or (kind == "diesonce" and not seen):
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hungry" or (kind == "hungryonce" and not seen):
        raise MemoryError
    if kind == "allocates":
        np.ones(1 << 33, np.uint8)
    if kind == "slow":
        time.sleep(60)
    if kind != "lies":
        write_catalog(options, [("NUNFIT", 2, "")] if kind == "faulty" else ())
    return {"sources": 1, "dropped": [["a.fits N1", "is damaged"]] if kind == "loses" else []}


def slowly(options):
    """Takes 0.2 s."""
    time.sleep(0.2)
    write_catalog(options)
    return {"sources": 1}
