"""Asking a model for predictions: in the process, ONNX, or an endpoint, however it behaves."""
