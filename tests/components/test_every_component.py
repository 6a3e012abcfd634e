"""What holds for every component of the library, in an update and in a preview: what it makes and where, its options, its labels, its outputs.

What is in the objects of each is in the tests of that component. The table is component_samples.py.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections import Counter
from functools import cache
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest
from component_samples import SAMPLES, SECRET, Sample
from program_recorder import Recorder, Resource
from program_runs import run_in_cluster

import service_failover

pytestmark = pytest.mark.unit

OF_THIS_MACHINE = {"EmbeddedCluster", "ExistingCluster", "KindCluster", "ControlPlaneImage"}
"""They make clusters, and an image for them, and nothing in them; each has tests of its own."""
BY_HELM = {"EnterpriseGloo", "EnterpriseGlooFed"}
"""What they make is their charts'; test_enterprise.py tests what is handed to Helm."""
OWN_LABELS = {"app.kubernetes.io/name", "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by"}
GIVEN = {"team": "payments", "app.kubernetes.io/part-of": "mine", "app": "mine", "gloo": "mine", "gloo-fed": "mine", "text": "mine"}
"""A user's labels, some of which are the project's, or such as a selector relies on."""


of_objects = pytest.mark.parametrize("sample", [each for each in SAMPLES if each.makes], indirect=True, ids=lambda sample: sample.noun)


@pytest.fixture(params=SAMPLES, ids=lambda sample: sample.noun)
def sample(request: pytest.FixtureRequest) -> Sample:
    assert isinstance(request.param, Sample)
    return request.param


@pytest.fixture(params=[False, True], ids=["update", "preview"])
def as_preview(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@cache
def _run(index: int, preview: bool) -> Recorder:
    def build(options: pulumi.ResourceOptions) -> None:
        first = kubernetes.core.v1.Namespace("first", metadata={"name": "first"}, opts=options)
        SAMPLES[index].build(pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(deleted_with=first, depends_on=[first])))

    return run_in_cluster(build, preview=preview, schemas=True)


@cache
def _run_adapted(index: int, preview: bool) -> Recorder:
    sample = SAMPLES[index]
    wrap = pulumi.Output.from_input if preview else dict
    return run_in_cluster(
        lambda options: sample.build(options, {"labels": wrap(GIVEN), **dict.fromkeys(sample.namespaces, "elsewhere"), **sample.elsewhere}),
        preview=preview,
    )


@pytest.fixture
def made(sample: Sample, as_preview: bool) -> Recorder:
    """The component with what it needs and no more, in a cluster, after the Namespace `first`, with which it is to go."""
    return _run(SAMPLES.index(sample), as_preview)


@pytest.fixture
def adapted(sample: Sample, as_preview: bool) -> Recorder:
    """The component with labels (which are an output in the preview) and in other namespaces than those of the guide."""
    return _run_adapted(SAMPLES.index(sample), as_preview)


def inside(program: Recorder) -> list[Resource]:
    """The Kubernetes objects of the component."""
    return [resource for resource in program.kubernetes() if resource.name != "first"]


def selectors(program: Recorder) -> dict[str, object]:
    kinds = ("Deployment", "Service", "PodDisruptionBudget")
    return {resource.name: resource.inputs["spec"].get("selector") for kind in kinds for resource in program.of_kind(kind)}


def test_every_component_of_the_library_is_in_the_table() -> None:
    modules = [importlib.import_module(found.name) for found in pkgutil.walk_packages(service_failover.__path__, "service_failover.")]
    nouns = {
        name
        for module in modules
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, pulumi.ComponentResource) and value.__module__.startswith("service_failover.")
    }
    assert nouns == {sample.noun for sample in SAMPLES} | OF_THIS_MACHINE | BY_HELM, "what is here is tested, and what is tested is here"


def test_a_component_makes_what_it_says_and_nothing_else(sample: Sample, made: Recorder) -> None:
    assert sorted(" ".join(resource.key) for resource in inside(made)) == sorted(sample.makes)
    others = Counter(resource.kind for resource in made.resources.values() if resource.custom and resource not in made.kubernetes())
    assert others == Counter(sample.others) + Counter({"kubernetes": 1}), "and the provider of the cluster"


def test_all_of_it_is_inside_the_component(sample: Sample, made: Recorder) -> None:
    whole = made.component(sample.noun)
    for resource in made.resources.values():
        if resource.urn != whole.urn and resource.name not in {"cluster", "first"}:
            assert list(made.ancestors(resource))[-1].urn == whole.urn, f"{resource.name} lies outside of it"
            assert resource.name.startswith("it-"), f"{resource.name} would collide with that of a second {sample.noun}"


def test_every_object_goes_to_the_cluster_of_the_options(made: Recorder) -> None:
    for resource in inside(made):
        assert resource.provider.endswith("::cluster"), f"{resource.name} would land in whatever cluster the user's kubeconfig names"


def test_its_objects_go_with_the_cluster_and_wait_for_what_the_component_was_told(made: Recorder) -> None:
    for resource in inside(made):
        around = [resource, *made.ancestors(resource)]
        goes_with = [each.deleted_with.rsplit("::", 1)[1] for each in around if each.deleted_with]
        assert goes_with == ["first"], f"{resource.name} would be deleted by itself, or with something else"
        assert any(urn.endswith("::first") for each in around for urn in each.depends_on), f"{resource.name} could be made too early"


@of_objects
def test_components_keys_and_certificates_are_made_while_the_clusters_start(made: Recorder) -> None:
    for each in made.resources.values():
        if not each.custom or each.type.startswith("tls:"):
            assert not each.provider.endswith("::cluster"), f"{each.name} would wait for the provider of the cluster"
            assert not each.deleted_with, f"{each.name} would wait for the cluster that it goes with"
            assert not {urn for urn in each.depends_on if urn.endswith(("::first", "::cluster"))}, f"{each.name} would wait for the cluster"


def test_it_registers_its_outputs_once_and_last(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    register, create = pulumi.ComponentResource.register_outputs, pulumi.Resource.__init__

    def registered(self: pulumi.ComponentResource, outputs: pulumi.Inputs) -> None:
        calls.append(f"outputs of {self._type}")
        register(self, outputs)

    def created(self: pulumi.Resource, t: str, name: str, *rest: Any, **more: Any) -> None:
        calls.append(name)
        create(self, t, name, *rest, **more)

    monkeypatch.setattr(pulumi.ComponentResource, "register_outputs", registered)
    monkeypatch.setattr(pulumi.Resource, "__init__", created)
    run_in_cluster(sample.build)
    last = f"outputs of service-failover:index:{sample.noun}"
    assert (calls.count(last), calls[-1]) == (1, last), "what is registered after it would not be there when the component is done"


def test_its_outputs_are_those_that_it_documents(sample: Sample, made: Recorder) -> None:
    declared = {name for name in inspect.get_annotations(sample.component) if not name.startswith("_")}
    assert declared, "a component without outputs leaves its user nothing to go on with"
    assert made.outputs[made.component(sample.noun).urn].keys() == declared


def test_what_is_secret_is_marked_wherever_it_is(made: Recorder) -> None:
    for resource in made.resources.values():
        for key, value in resource.inputs.items():
            if any(mark in json.dumps(value) for mark in (SECRET, "KEY it", "VE9LRU4", "TOKEN")):
                assert key in resource.secret_inputs, f"{resource.name}.{key} would be stored as plain text"
    for urn, outputs in made.outputs.items():
        for key, value in outputs.items():
            if any(mark in json.dumps(value) for mark in (SECRET, "KEY it", "VE9LRU4", "TOKEN")):
                assert key in made.secret_outputs[urn], f"the output {key} would be stored as plain text"


def test_a_preview_shows_what_an_update_makes(sample: Sample) -> None:
    index = SAMPLES.index(sample)
    assert _run(index, True).resources.keys() == _run(index, False).resources.keys(), "no resource depends on what only an update knows"


def test_no_input_is_the_text_of_an_output(made: Recorder) -> None:
    for resource in made.resources.values():
        assert "Calling __str__" not in json.dumps(resource.inputs), f"{resource.name} formats an output as a string"


def labelled(resource: Resource) -> dict[str, str]:
    return dict(resource.metadata["labels"])


@of_objects
def test_the_users_labels_are_on_every_object_and_every_pod(made: Recorder, adapted: Recorder) -> None:
    before = {resource.urn: labelled(resource) for resource in inside(made)}
    for resource in inside(adapted):
        assert labelled(resource)["team"] == "payments", resource.name
        if own := before.get(resource.urn):  # a namespace can be part of a name
            assert own.keys() >= OWN_LABELS, f"{resource.name} does not say whose it is"
            kept = {name: value for name, value in own.items() if resource.kind != "Namespace" or name != "app.kubernetes.io/name"}
            assert labelled(resource).items() >= kept.items(), f"{resource.name} is found by its own labels, whatever the user's are"
    for deployment in adapted.of_kind("Deployment"):
        assert deployment.inputs["spec"]["template"]["metadata"]["labels"]["team"] == "payments"


@of_objects
def test_selectors_are_not_the_users_to_change(made: Recorder, adapted: Recorder) -> None:
    assert selectors(adapted) == selectors(made), "a Deployment's selector cannot be changed once it is made"
    for deployment in adapted.of_kind("Deployment"):
        spec = deployment.inputs["spec"]
        assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items(), "it would not find its own pods"


@of_objects
def test_with_its_namespaces_set_nothing_is_left_in_those_of_the_guide(sample: Sample, adapted: Recorder) -> None:
    places = {resource.metadata["namespace"] for resource in inside(adapted) if "namespace" in resource.metadata}
    assert places == {"elsewhere", *sample.elsewhere.get("watch_namespaces", [])}
    for resource in adapted.resources.values():
        if resource.kind != "CustomResourceDefinition":  # whose descriptions tell of the guide's
            left = re.findall(r'"namespace": "gloo-(?:system|fed)"|=gloo-(?:system|fed)"|[.~_]gloo-system|"gloo-system"', json.dumps(resource.inputs))
            assert not left, f"{resource.name} still knows a namespace of the guide"
