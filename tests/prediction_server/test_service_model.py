"""Every operation of the SDK's service model is answered, in its shapes and with its errors."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from streamer.prediction_server.amazon_ml.protocol import load_service_model
from tests.support.amazon_ml import AmazonML, schema, wait
from tests.support.s3_server import BUCKET

LINES = [f"{'ab'[i % 2]},{i % 2}.{i}" for i in range(30)]
SCHEMA = schema({"kind": "CATEGORICAL", "x": "NUMERIC"}, targetFieldName="kind")
LEFT_OUT = {"CreateDataSourceFromRDS", "CreateDataSourceFromRedshift"}


def ask(client: Any, operation: str, **parameters: Any) -> dict[str, Any]:
    """Call an operation, and check its answer against the shape that the model gives it."""
    name = client.meta.method_to_api_mapping
    method = next(method for method, api in name.items() if api == operation)
    answer: dict[str, Any] = getattr(client, method)(**parameters)
    answer.pop("ResponseMetadata")
    shape = load_service_model().operation_model(operation).output_shape
    report = ParamValidator().validate(answer, shape)
    assert not report.has_errors(), report.generate_report()
    return answer


def calls(location: str, endpoint: str) -> list[tuple[str, dict[str, Any]]]:
    """All operations in the order of a life."""
    spec = {"DataLocationS3": location, "DataSchema": SCHEMA}
    tagged = {"ResourceId": "model", "ResourceType": "MLModel"}
    ids = {"DataSource": "source", "MLModel": "model", "Evaluation": "e", "BatchPrediction": "b"}
    of = {f"{kind}Id": name for kind, name in ids.items()}
    source, model, evaluation, batch = ({key: of[key]} for key in of)
    return [
        ("CreateDataSourceFromS3", {**source, "DataSpec": spec, "ComputeStatistics": True}),
        ("CreateMLModel", {**model, "MLModelType": "MULTICLASS", "TrainingDataSourceId": "source"}),
        ("CreateEvaluation", {**evaluation, **model, "EvaluationDataSourceId": "source"}),
        (
            "CreateBatchPrediction",
            {
                **batch,
                **model,
                "BatchPredictionDataSourceId": "source",
                "OutputUri": f"s3://{BUCKET}/out/",
            },
        ),
        ("GetBatchPrediction", batch),
        ("GetEvaluation", evaluation),
        ("GetMLModel", {**model, "Verbose": True}),
        ("GetDataSource", {**source, "Verbose": True}),
        ("CreateRealtimeEndpoint", model),
        ("Predict", {**model, "Record": {"x": "1.5"}, "PredictEndpoint": endpoint}),
        ("DeleteRealtimeEndpoint", model),
        *[(f"Update{kind}", {f"{kind}Id": ids[kind], f"{kind}Name": "new"}) for kind in ids],
        *[(f"Describe{kind}s", {"FilterVariable": "Name", "EQ": "new"}) for kind in ids],
        ("AddTags", {**tagged, "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b"}]}),
        ("DeleteTags", {**tagged, "TagKeys": ["b", "c"]}),
        ("DescribeTags", tagged),
        *[(f"Delete{kind}", {f"{kind}Id": ids[kind]}) for kind in ids],
    ]


async def test_every_operation_answers_in_the_shape_of_the_service_model(
    amazon_ml: AmazonML,
) -> None:
    location = amazon_ml.put("data.csv", LINES)

    def work(client: Any) -> dict[str, dict[str, Any]]:
        answers = {}
        for operation, parameters in calls(location, client.meta.endpoint_url):
            answers[operation] = ask(client, operation, **parameters)
            if operation == "CreateBatchPrediction":
                wait(client.get_batch_prediction, BatchPredictionId="b")
                wait(client.get_evaluation, EvaluationId="e")
        return answers

    answers = await amazon_ml.do(work)
    assert answers.keys() | LEFT_OUT == set(load_service_model().operation_names)
    assert answers["GetBatchPrediction"]["Status"] == "COMPLETED"
    assert answers["GetMLModel"]["Schema"] == SCHEMA
    assert answers["GetDataSource"]["DataSourceSchema"] == SCHEMA
    assert answers["DescribeTags"]["Tags"] == [{"Key": "a", "Value": "1"}]
    for kind in ("DataSource", "MLModel", "Evaluation", "BatchPrediction"):
        [listed] = answers[f"Describe{kind}s"]["Results"]
        assert listed["Name"] == "new"


async def test_every_operation_refuses_bad_input_with_an_error_of_the_service_model(
    amazon_ml: AmazonML,
) -> None:
    def work(client: Any) -> None:
        for operation in load_service_model().operation_names:
            model = load_service_model().operation_model(operation)
            modelled = {shape.name for shape in model.error_shapes}
            parameters = make_example(model.input_shape)
            if operation == "Predict":
                parameters["PredictEndpoint"] = client.meta.endpoint_url
            if operation.startswith("Describe") and operation != "DescribeTags":
                parameters = {"FilterVariable": "Name", "NextToken": "?"}
            with pytest.raises(ClientError) as refused:
                ask(client, operation, **parameters)
            assert refused.value.response["Error"]["Code"] in modelled, operation

    await amazon_ml.do(work)


def make_example(shape: Any) -> Any:
    """Make the smallest value of a shape that the SDK sends."""
    match shape.type_name:
        case "structure":
            return {name: make_example(shape.members[name]) for name in shape.required_members}
        case "list":
            return [make_example(shape.member)]
        case "map":
            return {}
        case "boolean":
            return False
        case _:
            if shape.enum:
                return shape.enum[0]
            return "s3://some-bucket/x" if shape.name == "S3Url" else "x" * 8


async def test_lists_are_filtered_sorted_and_given_in_pages(amazon_ml: AmazonML) -> None:
    location = amazon_ml.put("data.csv", LINES)

    def work(client: Any) -> None:
        spec = {"DataLocationS3": location, "DataSchema": SCHEMA}
        for name in ("d", "b", "c", "a", "other"):
            client.create_data_source_from_s3(
                DataSourceId=f"id-{name}", DataSourceName=name, DataSpec=spec
            )
        client.delete_data_source(DataSourceId="id-other")

        def listed(**asked: Any) -> str:
            pages = client.get_paginator("describe_data_sources").paginate(**asked)
            return "".join(each["Name"] for page in pages for each in page["Results"])

        assert listed() == "dbca"
        assert listed(FilterVariable="Name") == "abcd"
        assert listed(FilterVariable="Name", SortOrder="dsc", Limit=3) == "dcba"
        assert listed(FilterVariable="Name", GE="b", Limit=1) == "bcd"
        for operator, expected in {
            "EQ": "b", "GT": "cd", "LT": "a", "LE": "ab", "NE": "acd", "Prefix": "b"
        }.items():  # fmt: skip
            assert listed(FilterVariable="Name", **{operator: "b"}) == expected
        assert listed(FilterVariable="Status", EQ="DELETED") == "other"
        assert listed(FilterVariable="CreatedAt", GT="2020-01-01") == "dbca"
        assert listed(FilterVariable="CreatedAt", LT="1600000000.5") == ""
        assert listed(FilterVariable="DataLocationS3", EQ=location, SortOrder="dsc") == "acbd"
        assert listed(FilterVariable="IAMUser", Prefix="arn:") == "dbca"

    await amazon_ml.do(work)
