"""Quotas of AWS, as its documentation gives them."""

AMAZON_ML_CALLS_PER_S = 200
"""Real-time predictions per second of an endpoint; AWS raises the quota on request."""

AMAZON_ML_ACCOUNT_CALLS_PER_S = 10_000
"""Real-time predictions per second of all endpoints of an account."""

AMAZON_ML_RECORD_BYTES = 100_000
"""Largest record of a prediction."""

SAGEMAKER_REQUEST_BYTES = 6 * 1024 * 1024
"""Largest body of an invocation; newer endpoints accept more."""

SAGEMAKER_ANSWER_BYTES = 25_000_000
"""Largest body of an answer."""
