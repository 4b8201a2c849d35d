"""The metrics of the models that decide: changes, canary and shadow. A part of `Metrics`."""

from streamer.metric_definitions import MetricDefinitions


class ModelMetrics:
    """Which models decide, and how the second ones compare with them."""

    def define_model_metrics(self, define: MetricDefinitions) -> None:
        """Define these metrics, with their known labels."""
        counter, gauge = define.counter, define.gauge
        self._models: dict[int, str] = {}
        self.partition_models = gauge(
            "partition_models",
            "1 for the models that decide in the partition: id and version of each. When workers"
            " show different ones for longer than `model_check_s`, look at `/healthz` of those that"
            " lag behind.",
            "partition",
            "models",
        )
        self.model_changes = counter(
            "model_changes",
            "Other models found while the worker runs: `taken`, or `refused` because their files"
            " cannot be used. When refused ones grow, `/healthz` and the log say why.",
            "outcome",
        )
        self.canary_windows = counter(
            "canary_windows",
            "Windows labelled while there is a canary: those of its devices (`canary`) and of the"
            " others, known or unknown. When the canary's share of unknown ones is larger by more"
            " than `canary_unknown_margin`, it is rolled back.",
            "devices",
            "outcome",
        )
        self.canary_comparisons = counter(
            "canary_comparisons",
            "Windows of the canary to which the first predictor gives the same activity, or another"
            " one. When the share of the same ones is below `canary_min_agreement`, the canary is"
            " rolled back.",
            "outcome",
        )
        self.canary_rollbacks = counter(
            "canary_rollbacks",
            "Canaries that were rolled back: they have failed, or were worse than the first"
            " predictor. When it grows, the log and `/healthz` say why.",
        )

        self.shadow_windows = counter(
            "shadow_windows",
            "Windows offered to the shadow by outcome: compared, refused or unanswered by it,"
            " failed, or dropped because it is too slow. When failed ones grow, the log says why;"
            " when dropped ones grow, lower `shadow_share`.",
            "outcome",
        )
        self.shadow_agreement = counter(
            "shadow_agreement",
            "Windows that the shadow was compared about, by the activity of the first predictor and"
            " whether the shadow agrees. Disagreements are in `disagreements_topic`.",
            "activity",
            "agrees",
        )
        self.shadow_seconds = define.histogram(
            "shadow_seconds", "Time in which the shadow answers about the windows of a fetch."
        )
        for outcome in ("compared", "refused", "unanswered", "failed", "dropped"):
            self.shadow_windows.labels(outcome)
        for change in ("taken", "refused"):
            self.model_changes.labels(change)

    def show_models(self, partition: int, models: str) -> None:
        """Show which models decide in a partition now."""
        self.forget_models(partition)
        self._models[partition] = models
        self.partition_models.labels(str(partition), models).set(1)

    def forget_models(self, partition: int) -> None:
        """Stop showing the models of a partition."""
        if partition in self._models:
            self.partition_models.remove(str(partition), self._models.pop(partition))
