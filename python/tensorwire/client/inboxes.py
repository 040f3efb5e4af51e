"""The inbox of each event loop, where the answers to its calls come in."""

from __future__ import annotations

import asyncio
import weakref

from tensorwire._core import Inbox

_INBOXES: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[Inbox]] = (
    weakref.WeakKeyDictionary()
)
"""Weak on both sides: it is the loop that holds its inbox, until it is closed. An inbox can
hold futures of its loop, so that whoever held it here would hold the loop for ever."""


def inbox_of(loop: asyncio.AbstractEventLoop) -> Inbox:
    """The inbox of the running loop: made when it is first asked for, gone with the loop.

    All clients share it, so that a loop wakes once for the answers to all of them.
    """
    known = _INBOXES.get(loop)
    inbox = known() if known else None
    if inbox is None:
        inbox = Inbox()
        loop.add_reader(inbox.fileno(), inbox.deliver)
        _INBOXES[loop] = weakref.ref(inbox)
    return inbox
