"""The conversation endpoints of the simulated service (reference chatgpt-web 3): turns and their trees."""

import base64
from collections.abc import Iterable, Iterator
from functools import partial
from uuid import uuid4

import msgspec
from msgspec import Struct, structs
from starlette.requests import Request
from starlette.responses import Response

from core.loopback import researching, tool_turns
from core.loopback.answers import answer
from core.loopback.computing import compute, mentioned
from core.loopback.directives import (
    Directive,
    PictureSwitches,
    PythonSwitches,
    choose_attempt,
    choose_round,
    parse_directive,
)
from core.loopback.drawing import Drawing, draw, switches_of, task
from core.loopback.messages import TurnRequest, received
from core.loopback.prompts import Prompt, read_prompt
from core.loopback.recordings import recording
from core.loopback.refusals import Json, Refused, json_response
from core.loopback.researching import Researching
from core.loopback.store import ROOT, Conversation, Pending
from core.loopback.streaming import FrameStream
from core.loopback.turn import Turn
from core.loopback.turns import Frame, first_stop, frames
from core.loopback.world import World, body_as, caller_of, world_of

_NO_CONDUIT = "no-token"
_AUTO_MODEL = "gpt-5-6"


class PrepareRequest(Struct, frozen=True):
    action: str


class ResumeRequest(Struct, frozen=True):
    conversation_id: str
    offset: int = 0


class ConversationChange(Struct, frozen=True):
    is_visible: bool | None = None
    is_archived: bool | None = None
    title: str | None = None


async def prepare_turn(request: Request) -> Response:
    """Announce a turn: give out a conduit token."""
    await body_as(request, PrepareRequest)
    return json_response({"status": "ok", "conduit_token": _conduit_token(request)})


async def take_turn(request: Request) -> Response:
    """Answer a turn as its directive says."""
    world, caller = world_of(request), caller_of(request)
    asked = await body_as(request, TurnRequest)
    switches = world.sentinel.admit(caller, dict(request.headers), world.clock())
    conduit_token = _conduit_token(request)
    _check_files(request, asked)
    known = _known_conversation(request, asked)
    prompt = read_prompt(asked.messages) if asked.messages or known is None else known.prompt
    directive = _next_directive(world, prompt)
    if directive.sentinel and directive.sentinel != switches:
        world.sentinel.arm(caller, directive.sentinel)
        raise Refused(403, reason="the directive armed the sentinel for the next turn")
    if directive.status is not None:
        raise Refused(directive.status, directive.body, directive.headers)
    if directive.capture:
        return _stream(world, recording(world, directive))
    conversation = known or world.conversations.open(
        caller.key, temporary=asked.history_and_training_disabled, now=world.clock()
    )
    conversation.prompt = prompt
    turn = _plan(request, asked, conversation, directive, conduit_token)
    return _stream(world, _begin(conversation, turn))


async def resume_turn(request: Request) -> Response:
    """Tell the rest of a handed-off turn, from the block with the given number on."""
    world = world_of(request)
    asked = await body_as(request, ResumeRequest)
    conversation = world.conversations.find(asked.conversation_id, caller_of(request).key)
    pending = conversation.pending
    token = request.headers.get("x-conduit-token", _NO_CONDUIT)
    if pending is None or not pending.resumable or token not in (_NO_CONDUIT, pending.conduit_token):
        raise Refused(404, reason="there is nothing to resume")
    conversation.settle()
    return _stream(world, _from_offset(pending.frames, asked.offset))


async def get_conversation(request: Request) -> Response:
    conversation = _stored_conversation(request)
    conversation.look()
    tree = conversation.tree()
    if conversation.temporary and not conversation.is_streaming:
        conversation.pending = None
    return json_response(tree)


async def get_stream_status(request: Request) -> Response:
    conversation = _stored_conversation(request)
    conversation.look()
    return json_response({"status": "IS_STREAMING" if conversation.is_streaming else "IDLE"})


async def mark_seen(request: Request) -> Response:
    _stored_conversation(request)
    return json_response({"status": "ok"})


async def change_conversation(request: Request) -> Response:
    conversation = _stored_conversation(request)
    change = await body_as(request, ConversationChange)
    for name in ConversationChange.__struct_fields__:
        if getattr(change, name) is not None:
            setattr(conversation, name, getattr(change, name))
    return json_response({"success": True})


async def list_conversations(request: Request) -> Response:
    offset, limit = _number(request, "offset", 0), _number(request, "limit", 28)
    found = world_of(request).conversations.listed(caller_of(request).key)
    items = [conversation.summary() for conversation in found[offset : offset + limit]]
    page: Json = {"items": items, "total": len(found), "limit": limit, "offset": offset}
    return json_response({**page, "has_missing_conversations": False})


async def list_tasks(request: Request) -> Response:
    """List the pictures that are being made, those that will not come with the reason."""
    found = world_of(request).conversations.waiting(caller_of(request).key)
    tasks = [
        task(conversation.id, "running" if pending.failure is None else "failed", pending.failure)
        for conversation in found
        if (pending := conversation.pending)
    ]
    return json_response({"tasks": tasks})


def _plan(
    request: Request, asked: TurnRequest, conversation: Conversation, directive: Directive, conduit_token: str
) -> Turn:
    now = world_of(request).clock()
    parent = _parent(asked, conversation)
    sent = tuple(received(message, now) for message in asked.messages)
    first_turn = conversation.current == ROOT
    answered_id = conversation.add(sent, parent)
    switches = switches_of(directive, asked.system_hints)
    turn = Turn(
        conversation_id=conversation.id,
        directive=directive,
        text=_text(directive, switches, conversation.prompt),
        sent=sent,
        answered_id=answered_id,
        message_id=str(uuid4()),
        trace_id=request.headers.get("x-oai-turn-trace-id") or str(uuid4()),
        conduit_token=conduit_token,
        model=_AUTO_MODEL if asked.model == "auto" else asked.model,
        message_type=asked.action,
        encoding=directive.encoding or asked.wanted_encoding(),
        temporary=conversation.temporary,
        first_turn=first_turn,
        now=now,
    )
    if wanted := researching.switches_of(directive, asked.system_hints):
        return structs.replace(turn, researching=researching.start(wanted, turn.text, turn.identity(), now))
    if directive.tool_message == "python":
        return _computing(request, turn)
    if switches is None or switches.refuse is not None:
        return turn
    keep = partial(_keep_picture, request, turn)
    drawing = draw(switches, conversation.prompt.text, turn.identity(), now, keep)
    return structs.replace(turn, drawing=drawing)


def _text(directive: Directive, switches: PictureSwitches | None, prompt: Prompt) -> str:
    """Return what is said: a turn that draws says something only if it is told to, or if it refuses."""
    if switches is None or directive.tool_message == "image":
        text = tool_turns.cited(directive.tool_message, answer(directive, prompt))
        return mentioned(directive.python, text) if directive.python else text
    return switches.refuse if switches.refuse is not None else directive.text or ""


def _computing(request: Request, turn: Turn) -> Turn:
    def keep(path: str, data: bytes) -> str:
        name = path.rpartition("/")[2]
        kind = "image/png" if name.endswith(".png") else "application/octet-stream"
        owner = caller_of(request).key
        return world_of(request).blobs.make(owner, data, name, kind, turn.conversation_id, path).id

    switches = turn.directive.python or PythonSwitches()
    return structs.replace(turn, computing=compute(switches, turn.identity(), turn.now, keep))


def _keep_picture(request: Request, turn: Turn, data: bytes) -> str:
    owner = caller_of(request).key
    blob = world_of(request).blobs.make(owner, data, "picture.png", "image/png", turn.conversation_id)
    blob.cuts_left = turn.directive.image.cut_downloads if turn.directive.image else 0
    return blob.id


def _begin(conversation: Conversation, turn: Turn) -> Iterable[Frame]:
    """Store what the turn will have said, and return what it says."""
    conversation.pending = None
    if turn.drawing is not None:
        return _begin_drawing(conversation, turn, turn.drawing)
    if turn.researching is not None:
        return _begin_researching(conversation, turn, turn.researching)
    stop = first_stop(turn.directive, len(turn.text))
    if stop is None or stop[1] == "moderation":
        conversation.add([turn.answer()], turn.answered_id)
        return frames(turn)
    if turn.directive.handoff is None or stop[1] not in ("cut", "handoff"):
        return frames(turn)
    told = list(frames(turn))
    conversation.add([turn.partial_answer(stop[0])], turn.answered_id)
    resumable = turn.directive.handoff == "resume"
    conversation.pending = Pending(told, turn.messages(), turn.answered_id, turn.conduit_token, resumable)
    return told


def _begin_drawing(conversation: Conversation, turn: Turn, drawing: Drawing) -> Iterable[Frame]:
    called = conversation.add([drawing.call], turn.answered_id)
    if drawing.switches.form == "stream":
        conversation.add(turn.messages(), called)
        return frames(turn)
    told, noticed = list(frames(turn)), conversation.add([drawing.notice], called)
    conversation.pending = Pending(
        frames=told,
        messages=turn.messages(),
        after=noticed,
        conduit_token=turn.conduit_token,
        resumable=drawing.switches.form == "handoff",
        polls_left=drawing.switches.polls,
        failure=drawing.switches.fail,
    )
    return told


def _begin_researching(conversation: Conversation, turn: Turn, research: Researching) -> Iterable[Frame]:
    """Store the widget; what came of it takes its place after a while. There is nothing to resume."""
    called = conversation.add([research.call], turn.answered_id)
    conversation.add([research.widget], called)
    conversation.pending = Pending(
        frames=[],
        messages=(research.came,),
        after=called,
        conduit_token=turn.conduit_token,
        resumable=False,
        polls_left=research.switches.polls,
    )
    return frames(turn)


def _from_offset(told: Iterable[Frame], offset: int) -> Iterator[Frame]:
    number = 0
    for frame in told:
        if frame.replayed and (number >= offset or not frame.counted):
            yield frame
        number += frame.counted


def _next_directive(world: World, prompt: Prompt) -> Directive:
    chosen = choose_round(parse_directive(prompt.script), prompt.round)
    if not chosen.attempts:
        return chosen
    return choose_attempt(chosen, world.next_attempt(prompt.script, prompt.round))


def _known_conversation(request: Request, asked: TurnRequest) -> Conversation | None:
    """Return the conversation that the turn goes on with, `None` when it opens one."""
    if asked.conversation_id is None:
        if not asked.messages:
            raise Refused(422)
        return None
    conversation = world_of(request).conversations.find(asked.conversation_id, caller_of(request).key)
    if asked.parent_message_id and asked.parent_message_id not in conversation.nodes:
        raise Refused(404, {"detail": {"message": "Parent message not found", "code": "message_not_found"}})
    return conversation


def _check_files(request: Request, asked: TurnRequest) -> None:
    """Raise `Refused` when a message shows or attaches what was not uploaded to this account."""
    blobs, owner = world_of(request).blobs, caller_of(request).key
    for message in asked.messages:
        for identity in (*message.pointers(), *(file.id for file in message.files())):
            if not blobs.find(identity, owner).confirmed:
                raise Refused(400, {"detail": "The upload of a file is not complete"})


def _parent(asked: TurnRequest, conversation: Conversation) -> str:
    # In a new conversation the parent is a fixed word or, with older clients, any fresh UUID.
    if asked.parent_message_id in conversation.nodes:
        return asked.parent_message_id
    return conversation.current


def _stream(world: World, told: Iterable[Frame]) -> FrameStream:
    return FrameStream(told, world.calls, world.sleep)


def _stored_conversation(request: Request) -> Conversation:
    conversation_id = request.path_params["conversation_id"]
    return world_of(request).conversations.stored(conversation_id, caller_of(request).key)


def _conduit_token(request: Request) -> str:
    """Return the conduit token that the call carries, or a new one; raise `Refused` 403 for a foreign one."""
    world, caller = world_of(request), caller_of(request)
    token = request.headers.get("x-conduit-token", _NO_CONDUIT)
    if token != _NO_CONDUIT:
        if world.conduit_tokens.get(token) != caller.key:
            raise Refused(403, reason="the conduit token was not given to this account")
        return token
    token = _new_conduit_token(world.clock())
    world.keep_conduit(token, caller.key)
    return token


def _new_conduit_token(now: float) -> str:
    payload = {"conduit_uuid": uuid4().hex, "cluster": "loopback", "iat": int(now), "exp": int(now) + 7200}
    parts = (msgspec.json.encode(part) for part in ({"alg": "ES256", "typ": "JWT"}, payload))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "loopback"])


def _number(request: Request, name: str, default: int) -> int:
    value = request.query_params.get(name, "")
    return int(value) if value.isdecimal() else default
