"""Each benchmark runs, at its smallest size. What it measures is not judged here: speed is judged on an idle machine, by `make bench`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import up
from bench.__main__ import main
from bench.objects import SECRET_MARK, Step, objects, step
from bench.probe import note
from bench.report import Figure, Goal, Report
from drill.load import Load, Request
from drill.results import Kind, Result

CHECKOUT = Path(__file__).resolve().parents[1]


def measured(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """The report of a run."""
    path = tmp_path / "report.json"
    command = [sys.executable, "-m", "bench", *arguments, "--repeats", "1", "--json", str(path)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 1), f"a goal may be missed on a busy machine, but it runs to its end: {done.stderr[-3000:]}"
    assert path.exists(), f"and writes its report: {done.stderr[-3000:]}"
    return json.loads(path.read_text())


def values(report: dict[str, Any], metric: str) -> dict[tuple[str, str], list[float]]:
    return {(figure["case"], figure["subject"]): figure["values"] for figure in report["figures"] if figure["metric"] == metric}


@pytest.mark.cluster
def test_failover_is_measured_on_both_chains(tmp_path: Path) -> None:
    report = measured(tmp_path, "failover")
    switches = values(report, "failure to first green answer")
    assert {subject for _, subject in switches} == {"ours", "static Envoy"}, "ours has its named alternative in the same run"
    assert {case for case, _ in switches} == {"signalled", "kill -9", "SIGSTOP"}, "each failure is measured"
    assert values(report, "requests lost")["signalled", "ours"] == [0], "the load saw no failed request"


@pytest.mark.cluster
def test_scale_is_measured_with_every_client(tmp_path: Path) -> None:
    report = measured(tmp_path, "scale", "--sizes", "10", "--changes", "10")
    changes = values(report, "any change accepted to ACK")
    assert {subject for _, subject in changes} == {"delta", "state of the world", "Envoy"}, "every client takes a turn"
    assert all(len(each) == 10 for each in changes.values()), "and acknowledges every change"


@pytest.mark.cluster
def test_failover_is_measured_during_a_push(tmp_path: Path) -> None:
    report = measured(tmp_path, "push", "--clusters", "20")
    assert {subject for _, subject in values(report, "failure to first green answer")} == {"idle", "during the push"}, "both are measured"
    assert values(report, "sent to acknowledged"), "the push is one, and Envoy takes it"


@pytest.mark.envoy
def test_the_probe_is_measured_on_a_core_of_its_own(tmp_path: Path) -> None:
    report = measured(tmp_path, "probe", "--rate", "100", "--seconds", "2")
    case = ("100 requests a second", "probe")
    assert values(report, "requests that failed or were not sent")[case] == [0], "the server answers each"
    assert 0 < values(report, "own delay p50")[case][0] <= values(report, "own delay p99")[case][0], "and each has its delay"


@pytest.mark.unit
def test_a_probe_that_is_late_or_loses_requests_misses_its_goals() -> None:
    load = Load(requests=(Request(url="http://127.0.0.1:1/"),), rate=100, seconds=1)
    prompt = [Result(index, index / 100, index / 100 + 0.001, 0.002, Kind.OK, 200, "", "") for index in range(100)]
    late = [result._replace(sent=result.sent + 0.006) if result.number > 97 else result for result in prompt]
    delayed, unsent = ["own delay p99 (worst)"], ["requests that failed or were not sent"]
    for results, missed in ((prompt, []), (late, delayed), (prompt[:99], unsent)):
        report = Report(bench="probe", machine={}, settings={})
        note(report, load, [prompt, results, prompt], [0.3, 0.3, 0.3])
        assert [goal.name for goal in report.goals if not goal.met] == missed, "of three loads one is like that"


@pytest.mark.unit
def test_a_missed_goal_is_seen_in_the_table() -> None:
    report = Report(bench="x", machine={}, settings={})
    report.add(case="a", subject="b", metric="c", unit="ms", values=[3, 1, 2])
    report.goals += [Goal(name="good", value=1, limit=1, unit="s"), Goal(name="bad", value=2, limit=1, unit="s")]
    good, bad = report.to_text().splitlines()[-2:]
    assert good.split("|")[-2].strip() == "yes", "at the limit is within it"
    assert bad.split("|")[-2].strip() == "NO", "a miss stands out"


@pytest.mark.unit
def test_quantiles_are_values_that_were_measured() -> None:
    figure = Figure(case="a", subject="b", metric="c", unit="ms", values=tuple(range(1, 201)))
    assert (figure.quantile(0.99), figure.quantile(0.5), figure.quantile(1)) == (198, 100, 200), "nearest rank, nothing is interpolated"


@pytest.mark.e2e
def test_an_up_is_measured_against_a_script(tmp_path: Path) -> None:
    report = measured(tmp_path, "up")
    taken = {subject for _, subject in values(report, "nothing to first answer")}
    assert taken == {"pulumi up", "kubectl apply"}, "each gets to the first answer"


@pytest.mark.unit
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_up_reports_what_it_has_measured(
    number: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended: list[str] = []

    def with_pulumi(root: Path) -> tuple[float, dict[str, list[dict[str, Any]]]]:
        if ended:
            return 21.0, {}
        ended.append("warm")
        return 22.0, {"local": [{}, {}], "remote": [{}]}

    def with_kubectl(root: Path, wanted: object) -> float:
        if len(ended) < 2:
            ended.append("once")
            return 14.0
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(number)
            ended.append("removed")
        return 0.0

    monkeypatch.setattr(up, "with_pulumi", with_pulumi)
    monkeypatch.setattr(up, "with_kubectl", with_kubectl)
    before = signal.getsignal(number)
    assert main(["up", "--repeats", "3"]) == code
    out = capsys.readouterr().out
    assert ended[-1] == "removed", "a second signal does not interrupt the cleaning up"
    assert "interrupted after 2 of pulumi up, 1 of kubectl apply" in out, "the figures are of fewer repeats than were asked for"
    assert "two clusters, 3 objects" in out, "and they are there"
    assert signal.getsignal(number) is before, "the handlers are put back"


@pytest.mark.unit
def test_the_objects_of_a_state_are_what_somebody_would_apply() -> None:
    secret = {SECRET_MARK: "1b47061264138c4ac30d75fd1eb44270", "plaintext": '{"tls.key": "k"}'}
    annotations = {"pulumi.com/waitFor": "x", "a": "b"}
    inputs = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "annotations": annotations},
        "stringData": secret,
        "__initialApiVersion": "v1",
    }
    resources = [
        {"type": "service-failover:index:Gloo"},
        {"type": "kubernetes:core/v1:Secret", "inputs": inputs, "provider": "urn:pulumi:x::p::a$pulumi:providers:kubernetes::far-provider::id"},
    ]
    assert objects({"deployment": {"resources": resources}}) == {
        "far": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "annotations": {"a": "b"}}, "stringData": {"tls.key": "k"}}]
    }, "without what is Pulumi's own, and in the clear"


@pytest.mark.unit
@pytest.mark.parametrize(
    ("manifest", "when"),
    [
        ({"kind": "Namespace"}, Step.FOUNDATION),
        ({"kind": "Service"}, Step.BASICS),
        ({"kind": "Secret", "type": "kubernetes.io/tls"}, Step.BASICS),
        ({"kind": "Secret", "type": "solo.io/kubeconfig"}, Step.REGISTRATION),
        ({"kind": "Deployment"}, Step.WORKLOADS),
        ({"kind": "FailoverScheme"}, Step.SCHEME),
    ],
)
def test_what_others_need_is_applied_before_them(manifest: dict[str, Any], when: Step) -> None:
    assert step(manifest) is when
