"""What the gateway answers on each path, up to the point where a request goes to a provider."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import msgspec

from dure.contracts.directory import AwardEntry, DirectoryEntry, Endpoint, ModelEntry
from dure.gateway.app.admission import admit
from dure.gateway.app.charge import Charge
from dure.gateway.app.ended import Ended
from dure.gateway.app.gateway import Gateway
from dure.gateway.app.model_views import ModelList, ModelView
from dure.gateway.app.offers import MOST_CALLERS, NEVER, Caller, Offer
from dure.gateway.app.permit import Permit
from dure.gateway.app.relay import Relay
from dure.gateway.io.clients import ClientConnection
from dure.gateway.protocol import directory, errors, limit_refusals
from dure.gateway.protocol.endpoints import ENDPOINTS, ModelEndpoint
from dure.gateway.protocol.errors import Refusal
from dure.gateway.protocol.http1 import JSON, header_lines, plain_head
from dure.gateway.protocol.http_request import Request
from dure.gateway.protocol.limits import Gate, rate_headers
from dure.gateway.protocol.networks import client_address, is_in

logger = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode
_PROBED = frozenset({"healthz", "metrics", "readyz"})
_READ = frozenset({b"GET", b"HEAD"})
_READ_ALLOWED = "GET, HEAD"
_POST = frozenset({b"POST"})
_METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
MODELS_PREFIX = b"/v1/models/"
#: Where clients understand Anthropic's errors and no others.
_MESSAGES = ENDPOINTS["messages"].path.encode()


Handler = Callable[[Request, ClientConnection], None]


class GatewayService:
    """The handler that `HttpServer` gives requests to."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        # By the key's digest. What was found out from the directory is found out again when that changes.
        self._callers: dict[str | None, Caller] = {}
        gateway.directory.listeners.append(self._forget_callers)
        self._paths: dict[bytes, tuple[str, frozenset[bytes], str, Handler]] = {
            b"/healthz": ("healthz", _READ, _READ_ALLOWED, self._healthz),
            b"/readyz": ("readyz", _READ, _READ_ALLOWED, self._readyz),
            b"/metrics": ("metrics", _READ, _READ_ALLOWED, self._metrics),
            b"/v1/models": ("models", _READ, _READ_ALLOWED, self._models),
            b"/v1/messages/count_tokens": ("unknown", _POST, "POST", self._count_tokens),
        }
        for endpoint in ENDPOINTS.values():
            self._paths[endpoint.path.encode()] = (
                endpoint.name,
                _POST,
                "POST",
                partial(self._call, endpoint),
            )

    def handle(self, request: Request, connection: ClientConnection) -> None:
        head = request.head
        known = self._paths.get(head.path)
        if known is None:
            if request.path.startswith(MODELS_PREFIX) and len(request.path) > len(MODELS_PREFIX):
                known = ("models", _READ, _READ_ALLOWED, self._model)
            else:
                known = ("unknown", frozenset({request.method}), "", self._unknown)
        name, methods, allowed, handler = known
        try:
            if head.method not in methods:
                raise errors.method_not_allowed(_shown(head.method), _shown(head.path), allowed)
            handler(request, connection)
        except Refusal as refusal:
            self._answer_refusal(refusal, request, connection, name)
        except Exception:
            logger.exception("a request to %s failed", name)
            self._answer_refusal(_internal_error(), request, connection, name)

    def refuse(self, refusal: Refusal, connection: ClientConnection) -> bytes:
        """The response to a request that could not be read."""
        self._tell(None, "unread", refusal.status, refusal.code)
        return self._refusal(refusal, refusal.body(), "unread", close=True)

    # Answers of our own

    def _refusal(
        self, refusal: Refusal, body: bytes, endpoint: str, *, close: bool, with_body: bool = True
    ) -> bytes:
        metrics = self._gateway.metrics
        metrics.requests.add(1, endpoint, str(refusal.status))
        metrics.refusals.add(1, refusal.code)
        head = plain_head(
            refusal.status,
            date=self._gateway.date,
            content_type=JSON,
            length=len(body),
            headers=header_lines(refusal.headers) + refusal.lines,
            close=close,
        )
        return head + body if with_body else head

    def _answer_refusal(
        self, refusal: Refusal, request: Request, connection: ClientConnection, endpoint: str
    ) -> None:
        close = refusal.close or connection.must_close
        with_body = request.method != b"HEAD"
        told = ENDPOINTS["messages"] if request.path.startswith(_MESSAGES) else None
        body = told.refusal_body(refusal) if told is not None else refusal.body()
        self._tell(request, endpoint, refusal.status, refusal.code)
        connection.respond(
            self._refusal(refusal, body, endpoint, close=close, with_body=with_body), close=close
        )

    def _answer(
        self,
        request: Request,
        connection: ClientConnection,
        endpoint: str,
        body: bytes,
        *,
        status: int = 200,
        content_type: bytes = JSON,
    ) -> None:
        self._gateway.metrics.requests.add(1, endpoint, str(status))
        self._tell(request, endpoint, status)
        head = plain_head(
            status,
            date=self._gateway.date,
            content_type=content_type,
            length=len(body),
            close=connection.must_close,
        )
        connection.respond(head if request.method == b"HEAD" else head + body)

    def _count_tokens(self, request: Request, connection: ClientConnection) -> None:
        raise errors.tokens_not_counted()

    def _tell(self, request: Request | None, endpoint: str, status: int, code: str = "") -> None:
        """Tell operators of a request that was answered here. What probes ask is not worth a line."""
        observer = self._gateway.observer
        if observer is None or endpoint in _PROBED:
            return
        now = self._gateway.wall_us()
        since = 0.0 if request is None else self._gateway.now() - request.received_at
        observer.ended(
            Ended(
                received_at=now - int(since * 1_000_000),
                ended_at=now,
                endpoint=endpoint,
                http_status=status,
                error_code=code,
                client="" if request is None else request.client_address,
            )
        )

    def _unknown(self, request: Request, connection: ClientConnection) -> None:
        raise errors.not_found(_shown(request.method), _shown(request.path))

    def _healthz(self, request: Request, connection: ClientConnection) -> None:
        self._answer(request, connection, "healthz", b'{"status":"alive"}')

    def _readyz(self, request: Request, connection: ClientConnection) -> None:
        gateway = self._gateway
        reasons = []
        if not gateway.loaded:
            reasons.append("the directory has not been loaded yet")
        if not gateway.journal.healthy:
            reasons.append("the journal cannot be written")
        if connection.must_close:
            reasons.append("this process is shutting down")
        age = gateway.directory_age()
        report = {
            "status": "not ready" if reasons else "ready",
            "reasons": reasons,
            "process": str(gateway.process_id),
            "worker": gateway.config.worker,
            "directory_version": gateway.directory.version,
            "directory_age_seconds": None if age is None else round(age, 3),
            "directory_unreadable": len(gateway.directory.unreadable),
            "database_connected": gateway.database_connected(),
            "open_requests": gateway.open_requests,
        }
        self._answer(request, connection, "readyz", _encode(report), status=503 if reasons else 200)

    def _metrics(self, request: Request, connection: ClientConnection) -> None:
        body = self._gateway.metrics.render()
        self._answer(request, connection, "metrics", body, content_type=_METRICS_TYPE)

    def _models(self, request: Request, connection: ClientConnection) -> None:
        now = self._gateway.wall_us()
        award, models = self._models_for(request, connection, now)
        views = [self._view(model, award, now) for model in models]
        self._answer(request, connection, "models", _encode(ModelList(views)))

    def _models_for(
        self, request: Request, connection: ClientConnection, now: int
    ) -> tuple[AwardEntry, list[ModelEntry]]:
        caller = self._authenticated(request, now)
        gate = self._gate(caller, request, connection) if caller.limited else None
        found = self._gateway.directory.models_for(caller.award, now)
        return caller.award, [model for model in found if _gate_allows(gate, model)]

    def _model(self, request: Request, connection: ClientConnection) -> None:
        name = _shown(request.path[len(MODELS_PREFIX) :])
        now = self._gateway.wall_us()
        award, models = self._models_for(request, connection, now)
        for model in models:
            if model.name == name:
                self._answer(request, connection, "models", _encode(self._view(model, award, now)))
                return
        raise errors.model_not_found(name)

    @staticmethod
    def _view(model: ModelEntry, award: AwardEntry, now: int) -> ModelView:
        price = directory.current_price(model, now)
        return ModelView(
            id=model.name,
            created=model.created_at // 1_000_000,
            owned_by=model.owned_by or "dure",
            context_length=model.context_length,
            max_output_tokens=model.max_output_tokens,
            endpoints=_paths_of(directory.served_for(award, model)),
            price_micro_won_per_million={str(meter): rate for meter, rate in price.meters.items()}
            if price
            else {},
        )

    # Calls of models

    def _call(self, endpoint: ModelEndpoint, request: Request, connection: ClientConnection) -> None:
        """Who calls, what for, and what it may come to; then it is on its way."""
        gateway = self._gateway
        now = gateway.wall_us()
        caller = self._callers.get(request.head.digest)
        if caller is None or not caller.begins <= now < caller.ends:
            caller = self._authenticated(request, now)
        gate = self._gate(caller, request, connection) if caller.limited else None
        try:
            if b"content-encoding" in request.headers:
                _refuse_encoding(request.headers[b"content-encoding"])
            call = endpoint.read(request.body, request.headers)
            offer = caller.offers.get((endpoint.name, call.model))
            if offer is None or now >= offer.until:
                offer = self._offer(caller, gate, endpoint, call.model, now)
            if not gateway.journal.healthy:
                raise errors.journal_unhealthy()
            charge = Charge(gateway, endpoint, call, offer)
            if gate is not None:
                charge.permit = Permit(gateway.limits, gate, charge.counted_tokens)
                charge.permit.check(gateway.now())
            admit(Relay(gateway, connection, request, endpoint, call, charge))
        except Refusal as refusal:
            if gate is not None:
                refusal.lines = rate_headers(gate, gateway.now())
            raise

    def _offer(
        self, caller: Caller, gate: Gate | None, endpoint: ModelEndpoint, name: str, now: int
    ) -> Offer:
        """What this caller may call the model for at this moment."""
        model = self._gateway.directory.model_by_name(name)
        if model is None or not directory.allows(caller.award, model) or not _gate_allows(gate, model):
            raise errors.model_not_found(name)
        award = caller.award
        if award.endpoints and endpoint.name not in award.endpoints:
            raise errors.endpoint_not_allowed(endpoint.path, _paths_of(award.endpoints))
        if endpoint.name not in model.endpoints:
            raise errors.endpoint_not_supported(
                name, endpoint.path, _paths_of(directory.served_for(award, model))
            )
        price = directory.current_price(model, now)
        if price is None:
            raise errors.model_not_found(name)
        until = min((p.effective_from for p in model.prices if p.effective_from > now), default=NEVER)
        offer = Offer(caller.key, caller.award, model, endpoint.name, price, until)
        caller.offers[endpoint.name, name] = offer
        return offer

    def _gate(self, caller: Caller, request: Request, connection: ClientConnection) -> Gate:
        """What limits this key and its award."""
        limits = self._gateway.limits
        gate = limits.gate(caller.key, caller.award)
        if gate.valid_from > self._gateway.wall_us():
            raise limit_refusals.key_not_started(_shown_moment(gate.valid_from))
        if gate.networks:
            peer = connection.transport.get_extra_info("peername")
            forwarded_for = request.headers.get(b"x-forwarded-for")
            address = client_address(str(peer[0]) if peer else "", forwarded_for, limits.trusted)
            for owner, networks in gate.networks:
                if not is_in(address, networks):
                    raise limit_refusals.network_not_allowed(str(address or "an unknown address"), owner)
        return gate

    def _authenticated(self, request: Request, now: int) -> Caller:
        """Whose key this is, and whose award; remembered for the requests that follow."""
        gateway = self._gateway
        if not gateway.loaded:
            raise errors.not_ready()
        secret = _presented_key(request.headers)
        if secret is None:
            raise errors.missing_api_key()
        digest = directory.key_digest(secret)
        key = gateway.directory.key_by_digest(digest)
        if key is None:
            raise errors.key_revoked(_key_prefix(secret))
        if key.expires_at is not None and key.expires_at <= now:
            raise errors.invalid_api_key(
                key.prefix, "It has expired; issue a new key on your award's page in the portal."
            )
        award = gateway.directory.award(key.award)
        if award is None or (award.valid_until is not None and award.valid_until <= now):
            raise errors.award_ended()
        if now < award.valid_from:
            raise errors.award_not_started(_shown_moment(award.valid_from))
        if award.held:
            raise errors.award_held()
        request.head.digest = digest
        caller = self._callers.get(digest)
        if caller is None:
            if len(self._callers) >= MOST_CALLERS:
                self._callers.clear()
            limited = gateway.limits.limited
            caller = self._callers[digest] = Caller(
                key, award, limited=key.id in limited or award.id in limited
            )
        return caller

    def _forget_callers(self, _kind: str, _id: str, _entry: DirectoryEntry | None) -> None:
        self._callers.clear()


def _paths_of(endpoints: tuple[Endpoint, ...]) -> tuple[str, ...]:
    """The paths of endpoints; the directory may name one that this release does not know."""
    return tuple(ENDPOINTS[name].path for name in endpoints if name in ENDPOINTS)


def _refuse_encoding(encoding: bytes) -> None:
    if encoding.lower() != b"identity":
        raise errors.unsupported_encoding(_shown(encoding))


def _presented_key(headers: dict[bytes, bytes]) -> bytes | None:
    authorization = headers.get(b"authorization")
    if authorization is not None:
        scheme, _, secret = authorization.partition(b" ")
        if scheme.lower() == b"bearer" and secret.strip():
            return secret.strip()
    return headers.get(b"api-key") or headers.get(b"x-api-key") or None


def _key_prefix(secret: bytes) -> str:
    """The public part of a key of ours; of anything else, nothing that could be a secret."""
    text = secret.decode("latin-1")
    if text.startswith("dure-") and len(text) > 14:
        return text[:13] + "…"
    return "it does not look like a key of this service"


def _gate_allows(gate: Gate | None, model: ModelEntry) -> bool:
    return gate is None or not gate.models or model.id in gate.models or model.name in gate.models


def _shown_moment(moment_us: int) -> str:
    return f"{datetime.fromtimestamp(moment_us / 1_000_000, UTC):%Y-%m-%d %H:%M}"


def _shown(raw: bytes) -> str:
    """Bytes of a caller, safe to show in a message."""
    text = raw[: errors.MOST_SHOWN].decode("utf-8", "replace")
    return "".join(sign if sign.isprintable() else "�" for sign in text)


def _internal_error() -> Refusal:
    return Refusal(
        500,
        "internal_error",
        "The gateway failed on this request; the failure has been logged. "
        "Try again, and report it if it persists.",
        kind=errors.SERVER,
    )
