"""The simulated sentinel: requirements tokens against a verified proof of work (reference chatgpt-web 2).

Both forms are served: one step, and prepare then finalize. What it asks for comes, in this order, from a rule
of the control endpoint, from a directive that armed it for the account, from the access token's own claim
`loopback_sentinel`, else an easy proof of work is all it wants.

A directive travels in the conversation call, which comes after the sentinel's. So its `sentinel` key answers
that call 403 "Unusual activity", as the service does when it wants another check, and arms the account: its
next prepare call meets the switches (and its next one-step call, if that follows at once as a fallback). A
conversation call with the same directive and a token won under those very switches is then answered.
"""

import secrets
from collections import OrderedDict

from msgspec import Struct

from core.loopback.directives import SentinelSwitches
from core.loopback.identity import Caller
from core.loopback.refusals import CHALLENGE_HEADERS, CHALLENGE_PAGE, Json, Refused
from core.upstreams.chatgpt_web.proof import REQUIREMENTS_MARK, USER_AGENT, Scheme, read_config, verify

LIFETIME_S = 540
_TICKETS_HELD = 10_000
_DEFAULT = SentinelSwitches()

_EXTRA_TOKENS = {
    "turnstile": "openai-sentinel-turnstile-token",
    "arkose": "openai-sentinel-arkose-token",
    "so": "openai-sentinel-so-token",
}


class Ticket(Struct):
    """What one run through the sentinel has come to. `answered` names the extra checks already met."""

    owner: str
    switches: SentinelSwitches
    seed: str
    expires_at: int
    proven: bool
    schemes: tuple[Scheme, ...]
    answered: frozenset[str] = frozenset()


class Armed(Struct):
    switches: SentinelSwitches
    met: bool = False


class FinalizeRequest(Struct, frozen=True):
    prepare_token: str
    proofofwork: str | None = None
    turnstile: str | None = None


class Sentinel:
    def __init__(self) -> None:
        self._prepared: OrderedDict[str, Ticket] = OrderedDict()
        self._issued: OrderedDict[str, Ticket] = OrderedDict()
        self._armed: dict[str, Armed] = {}

    def arm(self, caller: Caller, switches: SentinelSwitches) -> None:
        self._armed[caller.key] = Armed(switches)

    def clear(self) -> None:
        self._prepared.clear()
        self._issued.clear()
        self._armed.clear()

    def prepare(self, caller: Caller, token: str, rule: SentinelSwitches | None, now: float) -> Json:
        """Answer the first of two steps; raise `Refused` when the switches or a bad token say so."""
        switches = rule or self._armed_for_prepare(caller) or caller.sentinel or _DEFAULT
        if not switches.two_step:
            raise Refused(404, {"detail": "Not Found"})
        ticket = _begin(caller, token, switches, now, ("fnv",))
        name = _keep(self._prepared, ticket)
        return {**_requirements(ticket), "prepare_token": name}

    def finalize(self, caller: Caller, body: FinalizeRequest) -> Json:
        """Answer the second step: the token to use, if the proof holds."""
        ticket = self._prepared.get(body.prepare_token)
        if ticket is None or ticket.owner != caller.key:
            raise Refused(403, reason="unknown prepare token")
        _refuse_status(ticket.switches.finalize_status)
        if ticket.switches.proof:
            _check_proof(ticket, body.proofofwork, caller)
        ticket.proven = True
        if body.turnstile:
            ticket.answered |= {"turnstile"}
        return self._issue(ticket)

    def one_step(self, caller: Caller, token: str, rule: SentinelSwitches | None, now: float) -> Json:
        """Answer the older form, whose proof comes with the conversation call."""
        armed = self._armed.pop(caller.key, None)
        switches = rule or (armed.switches if armed else None) or caller.sentinel or _DEFAULT
        ticket = _begin(caller, token, switches, now, ("fnv", "sha3"))
        return {**_requirements(ticket), **self._issue(ticket)}

    def admit(self, caller: Caller, headers: dict[str, str], now: float) -> SentinelSwitches:
        """Return the switches under which a conversation call's token was won; raise `Refused` 403 without."""
        ticket = self._issued.get(headers.get("openai-sentinel-chat-requirements-token", ""))
        if ticket is None or ticket.owner != caller.key:
            raise Refused(403, reason="no requirements token issued to this account")
        if ticket.expires_at <= now:
            raise Refused(403, reason="the requirements token has expired")
        if ticket.switches.force_login and caller.is_anonymous:
            raise Refused(403, reason="anonymous use is refused here")
        proof = headers.get("openai-sentinel-proof-token")
        if proof or not ticket.proven:
            _check_proof(ticket, proof, caller)
        for check, header in _EXTRA_TOKENS.items():
            if getattr(ticket.switches, check) and check not in ticket.answered and not headers.get(header):
                raise Refused(403, reason=f"{header} is missing")
        return ticket.switches

    def _armed_for_prepare(self, caller: Caller) -> SentinelSwitches | None:
        armed = self._armed.get(caller.key)
        if armed is None or armed.met:
            self._armed.pop(caller.key, None)
            return None
        armed.met = True
        return armed.switches

    def _issue(self, ticket: Ticket) -> Json:
        name = _keep(self._issued, ticket)
        token: Json = {} if ticket.switches.no_token else {"token": name}
        return {
            "persona": _persona(ticket),
            **token,
            "expire_after": LIFETIME_S,
            "expire_at": ticket.expires_at,
        }


def _begin(
    caller: Caller, token: str, switches: SentinelSwitches, now: float, usual_schemes: tuple[Scheme, ...]
) -> Ticket:
    _refuse_status(switches.status)
    try:
        config = read_config(token, REQUIREMENTS_MARK)
    except ValueError as error:
        raise Refused(403, reason=f"requirements token: {error}") from error
    if config[USER_AGENT] != caller.user_agent:
        raise Refused(403, reason="the requirements token names another User-Agent")
    seed = f"0.{secrets.randbelow(10**16):016d}"
    schemes = (switches.scheme,) if switches.scheme else usual_schemes
    return Ticket(caller.key, switches, seed, int(now) + LIFETIME_S, not switches.proof, schemes)


def _check_proof(ticket: Ticket, proof: str | None, caller: Caller) -> None:
    complaint = "none"
    for scheme in ticket.schemes:
        try:
            config = verify(proof or "", ticket.seed, ticket.switches.difficulty, scheme)
        except ValueError as error:
            complaint = str(error)
        else:
            if config[USER_AGENT] == caller.user_agent:
                return
            complaint = "it names another User-Agent"
    raise Refused(403, reason=f"proof token: {complaint}")


def _refuse_status(status: int | None) -> None:
    if status == 403:
        raise Refused(403, CHALLENGE_PAGE, CHALLENGE_HEADERS)
    if status is not None:
        raise Refused(status)


def _requirements(ticket: Ticket) -> Json:
    switches = ticket.switches
    return {
        "persona": _persona(ticket),
        "proofofwork": {"required": switches.proof, "seed": ticket.seed, "difficulty": switches.difficulty},
        "turnstile": {"required": switches.turnstile, "dx": "bG9vcGJhY2s=" if switches.turnstile else None},
        "arkose": {"required": switches.arkose, "dx": None},
        "so": {"required": switches.so},
        "force_login": switches.force_login,
    }


def _persona(ticket: Ticket) -> str:
    return "chatgpt-noauth" if ticket.owner.startswith("device:") else "chatgpt-paid"


def _keep(held: OrderedDict[str, Ticket], ticket: Ticket) -> str:
    name = f"gAAAAAB{secrets.token_urlsafe(48)}"
    held[name] = ticket
    while len(held) > _TICKETS_HELD:
        held.popitem(last=False)
    return name
