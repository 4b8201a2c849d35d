"""Answers the requests of Amazon ML's clients."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from aiohttp import web

from streamer.errors import SettingsError
from streamer.prediction_server.amazon_ml import protocol
from streamer.prediction_server.amazon_ml.describing import describe
from streamer.prediction_server.amazon_ml.entities import NAMES, Entities
from streamer.prediction_server.amazon_ml.jobs import Jobs
from streamer.prediction_server.amazon_ml.protocol import AmazonMLError, invalid_input
from streamer.prediction_server.amazon_ml.realtime import RealtimePredictions, describe_served
from streamer.prediction_server.amazon_ml.scorers import ModelScorers
from streamer.prediction_server.amazon_ml.store import (
    Entity,
    EntityStore,
    Kind,
    StateError,
    open_store,
)
from streamer.prediction_server.amazon_ml.work import make_work
from streamer.prediction_server.endpoint_faults import (
    EndpointFaults,
    InjectedAnswerError,
    InjectedError,
    QuotaExceededError,
)
from streamer.prediction_server.served_model import BadInputError, ServedModel

log = structlog.get_logger(__name__)

Answer = Callable[[web.Request, dict[str, Any]], Awaitable[dict[str, Any]]]

LOG_PATH: Final = "/amazon-ml/log"
LEFT_OUT: Final = ("CreateDataSourceFromRDS", "CreateDataSourceFromRedshift")


class AmazonMLServer:
    """Answers all operations of the service, except those for databases of AWS."""

    def __init__(self, served: ServedModel, faults: EndpointFaults, store: EntityStore) -> None:
        self._faults = faults
        self._store = store
        scorers = ModelScorers(store, served)
        self.jobs = Jobs(store, make_work(store, scorers))
        self._entities = Entities(store, self.jobs)
        self._realtime = RealtimePredictions(served, scorers, faults, store, self._entities)
        self._operations: dict[str, Answer] = {
            "CreateDataSourceFromS3": self._creator("DataSource"),
            "CreateMLModel": self._creator("MLModel"),
            "CreateEvaluation": self._creator("Evaluation"),
            "CreateBatchPrediction": self._creator("BatchPrediction"),
            "DescribeDataSources": self._describer("DataSource"),
            "DescribeMLModels": self._describer("MLModel"),
            "DescribeEvaluations": self._describer("Evaluation"),
            "DescribeBatchPredictions": self._describer("BatchPrediction"),
            "CreateRealtimeEndpoint": self._create_endpoint,
            "DeleteRealtimeEndpoint": lambda _, asked: self._realtime.delete_endpoint(asked),
            "AddTags": lambda _, asked: self._entities.add_tags(asked),
            "DeleteTags": lambda _, asked: self._entities.delete_tags(asked),
            "DescribeTags": lambda _, asked: self._entities.describe_tags(asked),
        }
        for kind in NAMES:
            self._operations[f"Get{kind}"] = self._getter(kind)
            self._operations[f"Update{kind}"] = self._updater(kind)
            self._operations[f"Delete{kind}"] = self._deleter(kind)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        try:
            answer: Any = await self._answer(request)
            status = 200
        except AmazonMLError as error:
            answer, status = {"__type": error.kind, "message": str(error)}, error.status
        except InjectedAnswerError as injected:
            return injected.answer
        return web.Response(
            body=msgspec.json.encode(answer), status=status, content_type=protocol.CONTENT_TYPE
        )

    async def _answer(self, request: web.Request) -> dict[str, Any]:
        operation = protocol.name_operation(request)
        question = protocol.decode_question(await request.read())
        try:
            if operation == "Predict":
                # Its shape is checked as the record is read; a check by the model takes longer.
                return await self._realtime.predict(request, question)
            protocol.check_question(operation, question)
            if operation in LEFT_OUT:
                raise invalid_input(
                    f"{operation} is not possible here: this server has no access to databases of "
                    "AWS; write the data to S3 and use CreateDataSourceFromS3"
                )
            return await self._operations[operation](request, question)
        except QuotaExceededError:
            raise AmazonMLError(
                "LimitExceededException", "more calls per second than the endpoint allows"
            ) from None
        except InjectedError as error:
            raise AmazonMLError("InternalServerException", str(error), error.status) from None
        except BadInputError as error:
            raise invalid_input(str(error)) from None
        except StateError as error:
            log.error("a request has failed", operation=operation, error=str(error))
            raise AmazonMLError("InternalServerException", str(error), 500) from None

    async def show_log(self, request: web.Request) -> web.Response:
        """Answer the address that `LogUri` names: statistics, invalid records, confusion."""
        entity = await self._store.find(request.match_info["kind"], request.match_info["id"])  # type: ignore[arg-type]
        if entity is None or "Log" not in entity.document:
            raise web.HTTPNotFound
        body = msgspec.json.format(msgspec.json.encode(entity.document["Log"]))
        return web.Response(body=body, content_type="application/json")

    def _creator(self, kind: Kind) -> Answer:
        async def create(request: web.Request, question: dict[str, Any]) -> dict[str, Any]:
            await self._faults.inject(request, None)
            return await self._entities.create(kind, question)

        return create

    def _getter(self, kind: Kind) -> Answer:
        async def get(request: web.Request, question: dict[str, Any]) -> dict[str, Any]:
            if kind != "MLModel":
                await self._faults.inject(request, None)
            entity = await self._entities.find(kind, question[NAMES[kind].id])
            document = _complete(request, entity)
            if not question.get("Verbose"):
                document = {name: document[name] for name in document if name not in VERBOSE}
            return protocol.choose_members(f"Get{kind}", document)

        return get

    def _describer(self, kind: Kind) -> Answer:
        operation = f"Describe{kind}s"

        async def list_page(request: web.Request, question: dict[str, Any]) -> dict[str, Any]:
            entities, token = await describe(self._store, kind, question)
            documents = [_complete(request, entity) for entity in entities]
            results = [protocol.choose_listed_members(operation, each) for each in documents]
            return {"Results": results} | ({"NextToken": token} if token else {})

        return list_page

    def _updater(self, kind: Kind) -> Answer:
        return lambda _, question: self._entities.rename(kind, question)

    def _deleter(self, kind: Kind) -> Answer:
        return lambda _, question: self._entities.delete(kind, question)

    async def _create_endpoint(
        self, request: web.Request, question: dict[str, Any]
    ) -> dict[str, Any]:
        answer = await self._realtime.create_endpoint(question)
        answer["RealtimeEndpointInfo"] |= {"EndpointUrl": _address(request)}
        return answer


VERBOSE: Final = ("DataSourceSchema", "Recipe", "Schema")
"""Members that only the verbose form of an answer has."""


@asynccontextmanager
async def open_amazon_ml(
    served: ServedModel, faults: EndpointFaults, state: Path | None
) -> AsyncIterator[AmazonMLServer]:
    """Open the service, and continue the jobs that have not ended, while the context is open.

    Args:
        served: the model that the server serves.
        faults: the active faults.
        state: the SQLite file that keeps the entities; None keeps them in memory.

    Raises:
        DataError: the state cannot be read.
        SettingsError: the state has a trained model with the id of the served one.
    """
    async with open_store(state) as store:
        await store.remove("MLModel", "Served")
        if await store.find("MLModel", served.id):
            raise SettingsError(
                f"{state} has a model with the id {served.id!r}, which is also the id of the "
                "served model; serve a model with another id"
            )
        await store.add(describe_served(served))
        server = AmazonMLServer(served, faults, store)
        await server.jobs.resume()
        try:
            yield server
        finally:
            await server.jobs.close()


def _complete(request: web.Request, entity: Entity) -> dict[str, Any]:
    """Return the document of an entity with the addresses of this server."""
    document = dict(entity.document)
    endpoint = document.get("EndpointInfo", {})
    if endpoint.get("EndpointStatus") == "READY":
        document["EndpointInfo"] = endpoint | {"EndpointUrl": _address(request)}
    if "Log" in document:
        document["LogUri"] = f"{_address(request)}{LOG_PATH}/{entity.kind}/{entity.id}"
    return document


def _address(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"
