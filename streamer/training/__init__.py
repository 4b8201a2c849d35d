"""From labelled windows to a model: fitting, cross-validation, and judging the result."""
