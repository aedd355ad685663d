"""Who asks, as the guard found: for histories, and for what only a route knows to refuse."""

from typing import Any

from fastapi import Request

from timonel.access.callers import LOCAL, Caller, Scope
from timonel.access.gate import require_model
from timonel.serving.routes.exchange import CALLER


def caller_of(request: Request) -> Caller:
    """Give who asks; where nobody had to be asked, the local caller."""
    found: Caller = request.scope.get(CALLER) or LOCAL
    return found


def who_of(request: Request, said: str) -> str:
    """Give whom the history names: the key; of a local request, whom its body names."""
    caller = caller_of(request)
    return said if caller == LOCAL else caller.name


def require_seen(request: Request, model: str) -> None:
    """Refuse what belongs to a model that the caller may not ask about."""
    require_model(caller_of(request), model)


def caller_document(caller: Caller) -> dict[str, Any]:
    """Describe a caller for JSON; ``models`` null: all."""
    return {
        "name": caller.name,
        "role": str(caller.role),
        "scopes": [str(scope) for scope in Scope if scope in caller.scopes],
        "models": None if caller.models is None else sorted(caller.models),
    }
