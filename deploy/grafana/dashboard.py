"""Makes the dashboard: python deploy/grafana/dashboard.py > FILE; `make docs` runs it.

Rows go from one look (is it well?) to single workers. Every panel of workers keeps to those that
the variables choose: group and topic choose instances, and a supervisor's workers have numbers. A
gateway belongs to no group, so the row of gateways shows all of them.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CHOSEN = 'instance=~"$instance",worker=~"$worker"'
SOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDTH = 24


@dataclass
class Panel:
    """A panel: its queries by their legend.

    Attributes:
        queries: legend and expression; `$F` stands for the chosen workers.
        unit: of Grafana.
        limits: values at which a number turns yellow and red, for a panel with one number.
        is_good_above: whether it turns green above the limits, not below.
    """

    title: str
    text: str
    queries: Mapping[str, str]
    unit: str = "short"
    width: int = 8
    is_stacked: bool = False
    limits: tuple[float, float] | None = None
    is_good_above: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


def rate(metric: str, by: str = "", **labels: str) -> str:
    """Return the increase a second of a counter."""
    chosen = ",".join(["$F", *(f'{name}="{value}"' for name, value in labels.items())])
    grouping = f" by ({by})" if by else ""
    return f"sum{grouping} (rate({metric}{{{chosen}}}[$__rate_interval]))"


def quantile(share: float, metric: str, **labels: str) -> str:
    """Return a quantile of a histogram."""
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', 'le', **labels)})"


def quantiles(metric: str, *shares: float, **labels: str) -> dict[str, str]:
    """Return quantiles of a histogram by their legend."""
    return {f"p{share * 100:g}": quantile(share, metric, **labels) for share in shares}


def mean(metric: str, **labels: str) -> str:
    """Return the mean of a histogram."""
    return f"{rate(f'{metric}_sum', **labels)} / {rate(f'{metric}_count', **labels)}"


def gauge(function: str, metric: str, by: str = "") -> str:
    """Return a gauge of the chosen workers."""
    return f"{function}{f' by ({by})' if by else ''} ({metric}{{$F}})"


def of_gateways(metric: str, by: str) -> str:
    """Return the increase a second of a counter of all gateways."""
    return rate(metric, by).replace("{$F}", "")


LATE = (
    f"{rate('streamer_samples_total', outcome='late')} / {rate('streamer_samples_received_total')}"
)
REJECTED = f"{rate('streamer_rejects_total')} / {rate('streamer_records_total')}"
COST = f"{rate('process_cpu_seconds_total')} / {rate('streamer_samples_received_total')}"
FIRING = 'count(ALERTS{alertname=~"Streamer.+",alertstate="firing"}) or vector(0)'
SHARE = {"max": 1}
STAGES = ("window", "sensor_to_broker", "broker_to_worker", "features", "predict", "commit")
"""Of a label, in their order."""

ROWS: dict[str, list[Panel]] = {
    "Is it well?": [
        Panel("Alerts that fire", "Each has a runbook.", {"": FIRING}, width=3, limits=(1, 2)),
        Panel(
            "Workers ready",
            "Share of the workers that are ready.",
            {"": gauge("avg", "streamer_ready")},
            "percentunit",
            3,
            limits=(0.5, 1),
            is_good_above=True,
        ),
        Panel(
            "Worst lag",
            "Smallest possible age of the labels, of the partition that is behind most.",
            {"": gauge("max", "streamer_worst_lag_seconds")},
            "s",
            3,
            limits=(10, 30),
        ),
        Panel(
            "Age of labels",
            "Nine labels in ten are younger, counted from the end of their window.",
            {"": quantile(0.9, "streamer_label_age_seconds", clock="right")},
            "s",
            3,
            limits=(5, 30),
        ),
        Panel("Labels", "Labels a second.", {"": rate("streamer_events_total")}, "cps", 3),
        Panel("Devices", "Devices that send.", {"": gauge("sum", "streamer_devices")}, width=3),
        Panel(
            "Rejected",
            "Share of the records.",
            {"": REJECTED},
            "percentunit",
            3,
            limits=(0.001, 0.01),
        ),
        Panel("Late", "Share of the samples.", {"": LATE}, "percentunit", 3, limits=(0.01, 0.05)),
    ],
    "Where latency comes from": [
        Panel(
            "Delay of a label by stage",
            "Mean time of a label in each stage, from the first at the bottom: until the device has"
            " sent what comes after the window, to the broker, to the worker, features,"
            " prediction, commit.",
            {stage: mean("streamer_label_delay_seconds", stage=stage) for stage in STAGES},
            "s",
            12,
            is_stacked=True,
        ),
        Panel(
            "Age of labels",
            "From the end of a window, by the clock of its device, to the commit of its label.",
            quantiles("streamer_label_age_seconds", 0.5, 0.9, 0.99, clock="right"),
            "s",
            12,
        ),
        Panel(
            "Sensor to broker",
            "From the newest sample of a record to its Kafka timestamp, with a right clock.",
            quantiles("streamer_sensor_delay_seconds", 0.5, 0.9, 0.99, clock="right"),
            "s",
        ),
        Panel(
            "Devices with a wrong clock",
            "Ahead: Kafka has the sample before its own time. Behind: more than a minute later,"
            " also if the device only sends late.",
            {"{{clock}}": gauge("sum", "streamer_skewed_devices", "clock")},
        ),
        Panel(
            "How far clocks are off",
            "Median of the records of these devices.",
            {
                "ahead": quantile(0.5, "streamer_sensor_delay_seconds", clock="ahead"),
                "behind": quantile(0.5, "streamer_sensor_delay_seconds", clock="behind"),
            },
            "s",
        ),
        Panel(
            "Broker to commit",
            "From the Kafka timestamp of the oldest record of a fetch to the commit of its events.",
            quantiles("streamer_event_latency_seconds", 0.5, 0.99),
            "s",
        ),
        Panel(
            "Time of a fetch in a stage, p99",
            "The time of the stage itself, without waiting.",
            {
                "{{stage}}": "histogram_quantile(0.99, "
                + rate("streamer_stage_seconds_bucket", "le, stage")
                + ")"
            },
            "s",
        ),
        Panel("Cost of a sample", "CPU time of all threads a sample.", {"": COST}, "s"),
    ],
    "What comes in": [
        Panel(
            "Samples by outcome",
            "All that is not `used` has no part in a label.",
            {"{{outcome}}": rate("streamer_samples_total", "outcome")},
            "cps",
        ),
        Panel(
            "Share of late samples",
            "The alert fires at 5%.",
            {"late": LATE},
            "percentunit",
            extra=SHARE,
        ),
        Panel(
            "Rejects by reason",
            "Records that became dead letters.",
            {"{{reason}}": rate("streamer_rejects_total", "reason")},
            "cps",
        ),
        Panel(
            "Dead letters",
            "Written in the last hour; `streamer dlq list` shows them.",
            {"": "sum (increase(streamer_dead_letters_total{$F}[1h]))"},
        ),
        Panel(
            "Age of the newest record",
            "It grows when no device publishes.",
            {"": gauge("min", "streamer_newest_record_age_seconds")},
            "s",
        ),
        Panel(
            "Records in a fetch",
            "Many: the worker catches up, or devices send single samples.",
            quantiles("streamer_fetch_records", 0.5, 0.99),
        ),
    ],
    "Gateways": [
        Panel(
            "Readings by outcome",
            "What is not `accepted` was answered with an error that says why.",
            {
                "{{protocol}} {{outcome}}": of_gateways(
                    "streamer_gateway_readings_total", "protocol, outcome"
                )
            },
            "cps",
        ),
        Panel(
            "Samples by protocol",
            "That Kafka has acknowledged.",
            {"{{protocol}}": of_gateways("streamer_gateway_samples_total", "protocol")},
            "cps",
            is_stacked=True,
        ),
        Panel(
            "Readings that cannot be read",
            "By the reason of the contract; each answer says what is wrong.",
            {"{{reason}}": of_gateways("streamer_gateway_unreadable_total", "reason")},
            "cps",
        ),
        Panel(
            "From arrival to acknowledgement",
            "By Kafka. When it grows, look at the brokers, or add gateways.",
            {
                f"p{share * 100:g}": f"histogram_quantile({share}, "
                + of_gateways("streamer_gateway_acknowledge_seconds_bucket", "le")
                + ")"
                for share in (0.5, 0.99)
            },
            "s",
        ),
        Panel(
            "Bytes that wait for Kafka",
            "Clients are told to wait when they reach `gateway_buffer_bytes`.",
            {"{{instance}}": "max by (instance) (streamer_gateway_buffered_bytes)"},
            "bytes",
        ),
        Panel(
            "Wait of the oldest reading",
            "It grows while Kafka does not answer.",
            {"{{instance}}": "max by (instance) (streamer_gateway_waiting_seconds)"},
            "s",
        ),
        Panel(
            "Connections",
            "Open ones, and WebSockets of devices among them.",
            {
                "connections": "sum (streamer_gateway_connections)",
                "WebSockets": "sum (streamer_gateway_websockets)",
            },
        ),
        Panel(
            "Refused connections",
            "There were too many: add gateways, or raise `gateway_max_connections`.",
            {"": of_gateways("streamer_gateway_refused_connections_total", "")},
            "cps",
        ),
        Panel(
            "MQTT",
            "1 while a gateway is subscribed at the MQTT broker; 0 without one.",
            {"{{instance}}": "min by (instance) (streamer_gateway_mqtt_connected)"},
            extra=SHARE,
        ),
    ],
    "Windows and labels": [
        Panel(
            "Windows by outcome",
            "Predicted, handed over (`moved`, `unanswered`), or skipped and why.",
            {"{{outcome}}": rate("streamer_windows_total", "outcome")},
            "cps",
        ),
        Panel(
            "Labels by activity",
            "Committed events.",
            {"{{activity}}": rate("streamer_events_total", "activity")},
            "cps",
            is_stacked=True,
        ),
        Panel(
            "Confidence of the model",
            "Largest probability of a window: the median and the lowest tenth.",
            {
                "median": quantile(0.5, "streamer_confidence"),
                "lowest tenth": quantile(0.1, "streamer_confidence"),
            },
            "percentunit",
            extra=SHARE,
        ),
        Panel(
            "Drift",
            "How much the last windows differ from what the model has learned from; 0.25 is much.",
            {"{{of}}": f"topk(6, {gauge('max', 'streamer_drift_psi', 'of')})"},
            "none",
        ),
        Panel(
            "Windows in other units",
            "They cannot be in g and rad/s; the log names the devices.",
            {"{{looks_like}}": rate("streamer_implausible_windows_total", "looks_like")},
            "cps",
        ),
        Panel(
            "Unsettled windows",
            "Share of the windows closed while filters were settling: devices stop and start.",
            {"": f"{rate('streamer_windows_unsettled_total')} / {rate('streamer_windows_total')}"},
            "percentunit",
            extra=SHARE,
        ),
    ],
    "Devices": [
        Panel(
            "Devices",
            "Whose state the workers keep, and those that move in a way the model has not learned.",
            {
                "all": gauge("sum", "streamer_devices"),
                "unfamiliar": gauge("sum", "streamer_unfamiliar_devices"),
            },
        ),
        Panel(
            "Second models",
            "Share of the windows about which the shadow disagrees, and rollbacks of the canary.",
            {
                "shadow disagrees": rate("streamer_shadow_agreement_total", agrees="no")
                + " / "
                + rate("streamer_shadow_agreement_total"),
                "canary rolled back": "sum(increase(streamer_canary_rollbacks_total{$F}[1h]))",
            },
        ),
        Panel(
            "Devices without a label",
            "By the reason of their last window.",
            {"{{reason}}": gauge("sum", "streamer_unlabelled_devices", "reason")},
        ),
        Panel(
            "Devices in trouble, in the last hour",
            "Started anew because their clock went back; forgotten because there are too many;"
            " ahead of all others; in two partitions. The log names them.",
            {
                "restarts": "sum (increase(streamer_device_restarts_total{$F}[1h]))",
                "pushed out": "sum (increase(streamer_devices_pushed_out_total{$F}[1h]))",
                "ahead": "sum (increase(streamer_devices_ahead_total{$F}[1h]))",
                "in two partitions": "sum (increase(streamer_split_devices_total{$F}[1h]))",
            },
        ),
    ],
    "Endpoint": [
        Panel(
            "Calls by outcome",
            "All zero with a predictor in the process.",
            {"{{outcome}}": rate("streamer_endpoint_calls_total", "outcome")},
            "cps",
        ),
        Panel(
            "Time of a call",
            "With any outcome.",
            quantiles("streamer_endpoint_call_seconds", 0.5, 0.99),
            "s",
        ),
        Panel(
            "Windows by answer",
            "`fallback`, `refused` and `unavailable` mean trouble with the endpoint.",
            {"{{outcome}}": rate("streamer_answers_total", "outcome")},
            "cps",
        ),
        Panel(
            "Calls that run, and may run",
            "The limit falls when the endpoint throttles; below 1 there are pauses.",
            {
                "limit": gauge("sum", "streamer_endpoint_concurrency_limit"),
                "running": gauge("sum", "streamer_endpoint_calls_running"),
            },
        ),
        Panel(
            "Circuit breaker",
            "1 while it is open: the endpoint fails and is not called.",
            {"open": gauge("max", "streamer_endpoint_breaker_open")},
        ),
        Panel(
            "Retries and second calls",
            "Retries follow a failure, second calls a slow call (`hedge`).",
            {
                "retries": rate("streamer_endpoint_retries_total"),
                "second calls": rate("streamer_endpoint_hedges_total"),
            },
            "cps",
        ),
    ],
    "Readiness, restarts and positions": [
        Panel(
            "Not ready, by reason",
            "Workers that are not ready; docs/operations.md says what to do.",
            {"{{reason}}": gauge("sum", "streamer_not_ready", "reason")},
            is_stacked=True,
        ),
        Panel(
            "Restarts in 15 minutes",
            "Of the Kafka clients, and of the processes.",
            {
                "Kafka clients": "sum (increase(streamer_restarts_total{$F}[15m]))",
                "processes": "sum (changes(process_start_time_seconds{$F}[15m]))",
            },
        ),
        Panel(
            "Partitions held",
            "They stand still; `/readyz` and the log say why.",
            {"held": gauge("sum", "streamer_held_partitions")},
        ),
        Panel(
            "Recoveries",
            "Partitions built again from the log, and the records that are left to read.",
            {
                "recoveries": "sum (increase(streamer_recoveries_total{$F}[$__rate_interval]))",
                "records left": gauge("sum", "streamer_recovery_remaining_records"),
            },
        ),
        Panel(
            "Positions reset and records lost",
            "Since the workers have started.",
            {
                "resets: {{reason}}": gauge("sum", "streamer_position_resets_total", "reason"),
                "records lost: {{reason}}": gauge("sum", "streamer_records_lost_total", "reason"),
            },
        ),
        Panel(
            "Certificates",
            "Time until they expire. The alert fires a week before.",
            {
                "{{instance}} {{file}}": gauge(
                    "min", "streamer_certificate_expiry_seconds", "instance, file"
                )
            },
            "s",
        ),
    ],
    "Single workers": [
        Panel(
            "Lag in seconds",
            "By partition.",
            {"{{partition}}": gauge("max", "streamer_lag_seconds", "partition")},
            "s",
        ),
        Panel(
            "Lag in records",
            "Records whose output is not committed yet, by partition.",
            {"{{partition}}": gauge("sum", "streamer_lag_records", "partition")},
        ),
        Panel(
            "Time since the last commit",
            "With lag, the worker is stalled.",
            {
                "{{instance}} {{worker}}": gauge(
                    "max", "streamer_last_commit_age_seconds", "instance, worker"
                )
            },
            "s",
        ),
        Panel(
            "Samples",
            "Read a second by each worker.",
            {
                "{{instance}} {{worker}}": rate(
                    "streamer_samples_received_total", "instance, worker"
                )
            },
            "cps",
        ),
        Panel(
            "CPU",
            "Cores that each worker uses.",
            {"{{instance}} {{worker}}": rate("process_cpu_seconds_total", "instance, worker")},
            "none",
        ),
        Panel(
            "Memory",
            "Resident memory of each worker.",
            {
                "{{instance}} {{worker}}": gauge(
                    "max", "process_resident_memory_bytes", "instance, worker"
                )
            },
            "bytes",
        ),
        Panel(
            "Partitions",
            "That each worker has.",
            {
                "{{instance}} {{worker}}": gauge(
                    "max", "streamer_assigned_partitions", "instance, worker"
                )
            },
        ),
        Panel(
            "Ready",
            "1 while the worker is ready.",
            {"{{instance}} {{worker}}": gauge("min", "streamer_ready", "instance, worker")},
            extra=SHARE,
        ),
    ],
}

VARIABLES = {
    "group": "label_values(streamer_worker_info, group)",
    "topic": 'label_values(streamer_worker_info{group=~"$group"}, topic)',
    "instance": 'label_values(streamer_worker_info{group=~"$group",topic=~"$topic"}, instance)',
    "worker": 'label_values(streamer_worker_info{instance=~"$instance"}, worker)',
}


def draw(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    """Return a panel as Grafana takes it."""
    is_number = panel.width < 6
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0, **panel.extra}
    if panel.limits:
        colours = ["red", "yellow", "green"] if panel.is_good_above else ["green", "yellow", "red"]
        values = [None, *panel.limits]
        defaults["thresholds"] = {
            "mode": "absolute",
            "steps": [
                {"color": colour, "value": value}
                for colour, value in zip(colours, values, strict=True)
            ],
        }
    if panel.is_stacked:
        defaults["custom"] = {"stacking": {"mode": "normal", "group": "A"}, "fillOpacity": 60}
    drawn: dict[str, Any] = {
        "id": number,
        "type": "stat" if is_number else "timeseries",
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": 4 if is_number else 8},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "expr": expression.replace("$F", CHOSEN),
                "legendFormat": legend or panel.title,
            }
            for index, (legend, expression) in enumerate(panel.queries.items())
        ],
    }
    if is_number:
        drawn["options"] = {
            "colorMode": "background" if panel.limits else "none",
            "reduceOptions": {"calcs": ["lastNotNull"]},
        }
    return drawn


def lay_out(rows: Mapping[str, Sequence[Panel]]) -> list[dict[str, Any]]:
    """Return all panels under the titles of their rows, from left to right and top to bottom."""
    drawn: list[dict[str, Any]] = []
    y = 0
    for title, panels in rows.items():
        place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        drawn.append(
            {
                "id": len(drawn) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": place,
                "panels": [],
            }
        )
        x, y, height = 0, y + 1, 0
        for panel in panels:
            if x + panel.width > WIDTH:
                x, y = 0, y + height
            drawn.append(draw(panel, len(drawn) + 1, x, y))
            x, height = x + panel.width, drawn[-1]["gridPos"]["h"]
        y += height
    return drawn


def make_dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana takes it."""
    return {
        "uid": "streamer",
        "title": "streamer",
        "tags": ["streamer"],
        "schemaVersion": 41,
        "version": 1,
        "editable": True,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": name,
                    "label": name,
                    "type": "query",
                    "datasource": SOURCE,
                    "query": {"query": query, "refId": name},
                    "definition": query,
                    "refresh": 2,
                    "sort": 1,
                    "multi": True,
                    "includeAll": True,
                    "current": {"text": ["All"], "value": ["$__all"]},
                    # A worker without a supervisor has no number, and is one of all.
                    **({"allValue": ".*"} if name == "worker" else {}),
                }
                for name, query in VARIABLES.items()
            ]
        },
        "annotations": {"list": []},
        "panels": lay_out(ROWS),
    }


if __name__ == "__main__":
    json.dump(make_dashboard(), sys.stdout, indent=2)
    print()
