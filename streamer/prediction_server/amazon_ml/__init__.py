"""The server side of Amazon ML: data sources, models, evaluations and predictions."""
