"""Asks Amazon ML what somebody is doing, with nothing but the AWS SDK.

python you_are_walking.py MODEL_ID < one_line_of_561_values.csv
"""

import sys

import boto3

ACTIVITIES = {
    "1": "walking",
    "2": "walking upstairs",
    "3": "walking downstairs",
    "4": "sitting",
    "5": "standing",
    "6": "laying",
}

model_id = sys.argv[1]
values = sys.stdin.readline().strip().split(",")

client = boto3.client("machinelearning")
endpoint = client.get_ml_model(MLModelId=model_id)["EndpointInfo"]["EndpointUrl"]
record = {f"Var{number:03d}": value for number, value in enumerate(values, start=1)}
answer = client.predict(MLModelId=model_id, Record=record, PredictEndpoint=endpoint)
label = answer["Prediction"]["predictedLabel"]
print(f"You are currently {ACTIVITIES[label]}.")
