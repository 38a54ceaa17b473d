"""MLflow: what every pipeline execution logs, where it is kept and how it reaches a shared server."""
