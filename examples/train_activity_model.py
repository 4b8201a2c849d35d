"""Trains a model of activities in Amazon ML, with nothing but the AWS SDK.

python train_activity_model.py s3://bucket/data.csv MODEL_ID

The file has the label first and then the features; its schema is beside it, as data.csv.schema.
`streamer dataset convert` writes both. The model learns from the first 70 percent of the records
and is evaluated with the others. Then it gets a real-time endpoint, for you_are_walking.py.
"""

import json
import sys
import time

import boto3

data, model_id = sys.argv[1:]
client = boto3.client("machinelearning")


def split(complement):
    """Return the arguments of a data source of the first 70 percent, or of the others."""
    splitting = {"percentBegin": 0, "percentEnd": 70, "complement": complement}
    return {
        "DataLocationS3": data,
        "DataSchemaLocationS3": f"{data}.schema",
        "DataRearrangement": json.dumps({"splitting": splitting}),
    }


def wait(get, **entity):
    """Return an entity when its job has ended."""
    while (found := get(**entity))["Status"] in {"PENDING", "INPROGRESS"}:
        time.sleep(1)
    if found["Status"] != "COMPLETED":
        sys.exit(f"{entity}: {found['Status']}: {found.get('Message')}")
    return found


training, evaluation = f"{model_id}-training", f"{model_id}-evaluation"
for source, complement in ((training, False), (evaluation, True)):
    client.create_data_source_from_s3(
        DataSourceId=source, DataSpec=split(complement), ComputeStatistics=True
    )
client.create_ml_model(MLModelId=model_id, MLModelType="MULTICLASS", TrainingDataSourceId=training)
client.create_evaluation(
    EvaluationId=evaluation, MLModelId=model_id, EvaluationDataSourceId=evaluation
)
metrics = wait(client.get_evaluation, EvaluationId=evaluation)["PerformanceMetrics"]
print(f"average F1: {float(metrics['Properties']['MulticlassAvgFScore']):.4f}")

client.create_realtime_endpoint(MLModelId=model_id)
while client.get_ml_model(MLModelId=model_id)["EndpointInfo"]["EndpointStatus"] == "UPDATING":
    time.sleep(1)
print(f"{model_id} is ready")
