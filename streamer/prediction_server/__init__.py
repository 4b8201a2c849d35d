"""A prediction server that speaks as Amazon ML and SageMaker do, and fails on demand."""
