"""Events in Avro, with the schemas of a real registry and on a real broker."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.contracts.event_schema import avro_schema, from_avro, to_avro
from streamer.contracts.events import ActivityEvent, encode_event
from streamer.errors import DataError, RegistryError, SettingsError
from streamer.kafka import topics
from streamer.kafka.event_formats import make_event_decoder, open_event_encoder
from streamer.publishing.people import Person
from streamer.settings import Settings
from streamer.testing import readings, run_script
from tests.conftest import MakeSettings
from tests.support.events import WALK, events
from tests.support.member import publish, read_events, read_topic, run_to_end

pytest.importorskip("fastavro")
pytest.importorskip("grpc_tools")
pytest.importorskip("confluent_kafka.schema_registry")

from streamer.profiles.avro_values import AvroReader, make_avro_writer
from streamer.profiles.framed import register_avro

WRITE = make_avro_writer(258, avro_schema())
READ = AvroReader({"event": json.dumps(avro_schema())})
NOBODY = "http://127.0.0.1:9"


@settings(deadline=None)
@given(events())
def test_an_event_reads_back_and_is_written_with_the_same_bytes(event: ActivityEvent) -> None:
    written = WRITE(to_avro(event))
    assert written[:5] == bytes([0, 0, 0, 1, 2])
    found = from_avro(READ(written[5:]))
    assert found == event
    # The order of the labels too.
    assert encode_event(found) == encode_event(event)
    assert WRITE(to_avro(found)) == written


def test_the_schema_has_the_fields_of_an_event_in_their_order() -> None:
    names = [field["name"] for field in avro_schema()["fields"]]
    assert names == [field.name for field in msgspec.structs.fields(ActivityEvent)]


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_bytes_that_are_not_an_event_are_named(noise: bytes) -> None:
    with pytest.raises(DataError, match=r"activity event|schema_registry"):
        make_event_decoder(Settings())(noise)


def test_events_in_avro_need_a_registry_that_answers() -> None:
    with pytest.raises(SettingsError, match="avro needs schema_registry"):
        Settings.load({"events_format": "avro"}, None)
    wanted = Settings(events_format="avro", schema_registry=NOBODY)
    with pytest.raises(RegistryError, match="does not answer"):
        open_event_encoder(wanted)


# records    |------ 1 ------|------ 2 ------|------ 3 ------|------ 4 ------|
# workers    |     JSON      |     Avro      |     Avro      |     JSON      |
async def test_labels_continue_from_events_of_either_format(
    make_settings: MakeSettings, registry: str
) -> None:
    settings = make_settings(partitions=1, schema_registry=registry)
    in_avro = make_settings(partitions=1, schema_registry=registry, events_format="avro")
    await topics.ensure(settings)
    log = readings("person", Person(3).take(50 * 60)[0], batch=50)
    quarter = len(log) // 4
    for i, chosen in enumerate((settings, in_avro, in_avro, settings)):
        await publish(settings, log[i * quarter : (i + 1) * quarter])
        if i == 3:
            # Without the registry the last events cannot be read, and nothing is done.
            away = make_settings(partitions=1, schema_registry=NOBODY)
            with pytest.raises(RegistryError, match="does not answer"):
                await run_to_end(away)
        await run_to_end(chosen)

    values = [r.value or b"" for r in await read_topic(settings, settings.events_topic)]
    assert {value[:1] for value in values} == {b"{", b"\0"}
    assert len({value[:5] for value in values if value[:1] == b"\0"}) == 1
    wanted = (await run_script(log)).events
    assert await read_events(settings) == wanted
    # The registry gives the same schema the same id, so the same events are the same bytes.
    encode = open_event_encoder(in_avro)
    again = [encode(event) for event in wanted]
    assert [value for value in values if value[:1] == b"\0"] == [
        framed for value, framed in zip(values, again, strict=True) if value[:1] == b"\0"
    ]


async def test_events_of_an_older_schema_are_read(registry: str) -> None:
    older = avro_schema() | {
        "fields": [*avro_schema()["fields"], {"name": "mood", "type": "string"}]
    }
    number = register_avro(registry, None, "older-value", json.dumps(older))
    value = make_avro_writer(number, older)(to_avro(WALK) | {"mood": "good"})
    assert make_event_decoder(Settings(schema_registry=registry))(value) == WALK


@pytest.mark.parametrize("has_another", [False, True])
def test_events_are_read_though_the_registry_has_lost_their_schema(
    registry: str, has_another: bool
) -> None:
    number = 987_654
    if has_another:
        number = register_avro(registry, None, "another-value", '"double"')
    value = make_avro_writer(number, avro_schema())(to_avro(WALK))
    decode = make_event_decoder(Settings(schema_registry=registry))
    assert decode(value) == WALK
    with pytest.raises(DataError, match="not an activity event"):
        decode(value[:-3])


def test_a_registry_that_does_not_answer_is_not_a_fault_of_an_event() -> None:
    with pytest.raises(RegistryError, match="does not answer"):
        make_event_decoder(Settings(schema_registry=NOBODY))(WRITE(to_avro(WALK)))
