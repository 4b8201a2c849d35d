"""Predictors: a model in the process, a model in ONNX format, or an endpoint."""
