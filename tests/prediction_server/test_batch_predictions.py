"""Batch predictions of the unmodified SDK: objects in S3, results as the service writes them."""

from typing import Any

from streamer.arrays import Floats
from streamer.datasets.feature_table import VARIABLES
from tests.support.amazon_ml import AmazonML, schema, wait
from tests.support.s3_server import BUCKET

OUTPUT = f"s3://{BUCKET}/results"
WINDOWS = schema(
    {"window_id": "CATEGORICAL", **dict.fromkeys(VARIABLES, "NUMERIC")},
    recordAnnotationFieldName="window_id",
)


def lines(features: Floats) -> list[str]:
    return [
        ",".join([f"w{number}", *map(repr, row)]) for number, row in enumerate(features.tolist())
    ]


def predict(client: Any, location: str) -> dict[str, Any]:
    client.create_data_source_from_s3(
        DataSourceId="windows", DataSpec={"DataLocationS3": location, "DataSchema": WINDOWS}
    )
    client.create_batch_prediction(
        BatchPredictionId="b1",
        MLModelId="waist",
        BatchPredictionDataSourceId="windows",
        OutputUri=OUTPUT,
    )
    return wait(client.get_batch_prediction, BatchPredictionId="b1")


async def test_a_batch_has_the_scores_of_the_real_time_endpoint_in_the_order_of_its_input(
    amazon_ml: AmazonML, features: Floats
) -> None:
    source = amazon_ml.put("in/data.csv", lines(features[:20]))

    def work(client: Any) -> tuple[dict[str, Any], list[dict[str, float]]]:
        url = client.get_ml_model(MLModelId="waist")["EndpointInfo"]["EndpointUrl"]
        records = [
            dict(zip(VARIABLES, map(repr, row), strict=True)) for row in features[:3].tolist()
        ]
        scores = [
            client.predict(MLModelId="waist", Record=record, PredictEndpoint=url)["Prediction"]
            for record in records
        ]
        return predict(client, source), [each["predictedScores"] for each in scores]

    batch, scores = await amazon_ml.do(work)
    assert batch["Status"] == "COMPLETED", batch.get("Message")
    assert (batch["TotalRecordCount"], batch["InvalidRecordCount"]) == (20, 0)
    assert batch["InputDataLocationS3"] == source
    [[header, *rows]] = amazon_ml.results(OUTPUT, "b1").values()
    assert header == ["tag", *"123456"]
    assert [row[0] for row in rows] == [f"w{number}" for number in range(20)]
    for row, expected in zip(rows, scores, strict=False):
        assert [float(cell) for cell in row[1:]] == list(expected.values())
    assert "results/batch-prediction/result/b1-data.csv.gz" in amazon_ml.s3.objects()


async def test_invalid_records_are_left_out_and_counted(
    amazon_ml: AmazonML, features: Floats
) -> None:
    written = lines(features[:4])
    written[1] = written[1].replace(",", ",x", 1)
    written[2] = "w2,"
    batch = await amazon_ml.do(lambda client: predict(client, amazon_ml.put("a.csv", written)))
    assert (batch["TotalRecordCount"], batch["InvalidRecordCount"]) == (4, 2)
    [[_, *rows]] = amazon_ml.results(OUTPUT, "b1").values()
    assert [row[0] for row in rows] == ["w0", "w3"]


async def test_each_file_of_a_folder_has_its_results(amazon_ml: AmazonML, features: Floats) -> None:
    for name, part in (("a.csv", features[:5]), ("b.csv", features[5:8])):
        amazon_ml.put(f"in/{name}", lines(part))
    batch = await amazon_ml.do(lambda client: predict(client, f"s3://{BUCKET}/in/"))
    assert batch["TotalRecordCount"] == 8
    counts = {url: len(rows) - 1 for url, rows in amazon_ml.results(OUTPUT, "b1").items()}
    assert counts == {f"s3://{BUCKET}/in/a.csv": 5, f"s3://{BUCKET}/in/b.csv": 3}
