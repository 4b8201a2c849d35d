"""From labelled windows to a model: learning, cross-validation, and judging the result."""
