package env

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestExpandFollowsTheAPIsRule(t *testing.T) {
	variables := map[string]string{"A": "1", "B": "$(A)", "EMPTY": ""}
	for text, want := range map[string]string{
		"$(A)":           "1",
		"x$(A)y$(A)":     "x1y1",
		"$(B)":           "$(A)", // what a variable holds is not expanded again
		"$$(A)":          "$(A)",
		"$$$(A)":         "$1",
		"$$$$(A)":        "$$(A)",
		"$(UNKNOWN)":     "$(UNKNOWN)",
		"$(EMPTY)|":      "|",
		"$A":             "$A",
		"$":              "$",
		"$(A":            "$(A",
		"$()":            "$()",
		"a$":             "a$",
		"$(A)$(":         "1$(",
		"no variable 5€": "no variable 5€",
	} {
		if got := ExpandAll([]string{text}, variables)[0]; got != want {
			t.Errorf("%q expands to %q, want %q", text, got, want)
		}
	}
}

type source struct{}

func (source) Secret(_ context.Context, _, name string) (*v1.Secret, error) {
	if name != "s" {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
	}
	return &v1.Secret{Data: map[string][]byte{"key": []byte("from secret")}}, nil
}

func (source) ConfigMap(_ context.Context, _, name string) (*v1.ConfigMap, error) {
	if name != "c" {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, name)
	}
	return &v1.ConfigMap{Data: map[string]string{"ONE": "1", "TWO": "2", "a=b": "not a name"}}, nil
}

func realise(address string) string { return strings.Replace(address, "10.", "127.", 1) }

var pod = &v1.Pod{
	ObjectMeta: metav1.ObjectMeta{
		Name: "blue-1", Namespace: "default", UID: "u", Labels: map[string]string{"app": "blue"}, Annotations: map[string]string{"a/b": "c"},
	},
	Spec:   v1.PodSpec{NodeName: "node", ServiceAccountName: "account"},
	Status: v1.PodStatus{PodIP: "10.77.0.10", HostIP: "10.77.0.1"},
}

func resolve(t *testing.T, container *v1.Container, base map[string]string) (map[string]string, error) {
	t.Helper()
	resolver := Resolver{Source: source{}, Realise: realise, Allocatable: v1.ResourceList{v1.ResourceCPU: resource.MustParse("8")}}
	return resolver.Resolve(context.Background(), pod, container, base)
}

func TestFieldsOfThePodAndRealisedAddresses(t *testing.T) {
	for path, want := range map[string]string{
		"metadata.name": "blue-1", "metadata.namespace": "default", "metadata.uid": "u", "metadata.labels['app']": "blue",
		"metadata.annotations['a/b']": "c", "metadata.labels['absent']": "", "spec.nodeName": "node", "spec.serviceAccountName": "account",
		"status.podIP": "127.77.0.10", "status.podIPs": "127.77.0.10", "status.hostIP": "127.77.0.1", "metadata.labels": `app="blue"`,
	} {
		if got, err := Field(pod, path, realise); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", path, got, err, want)
		}
	}
	if _, err := Field(pod, "status.phase", realise); err == nil || !strings.Contains(err.Error(), "status.phase") {
		t.Errorf("an unknown field gives %v, want an error that names it", err)
	}
}

func TestLaterVariablesWinAndSeeEarlierOnes(t *testing.T) {
	got, err := resolve(t, &v1.Container{
		EnvFrom: []v1.EnvFromSource{{Prefix: "P_", ConfigMapRef: &v1.ConfigMapEnvSource{LocalObjectReference: v1.LocalObjectReference{Name: "c"}}}},
		Env: []v1.EnvVar{
			{Name: "IP", ValueFrom: &v1.EnvVarSource{FieldRef: &v1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
			{Name: "URL", Value: "http://$(IP):$(SERVICE_PORT)/$(P_ONE)/$(LATER)"},
			{Name: "LATER", Value: "x"},
			{Name: "SERVICE_HOST", Value: "own"},
			{Name: "S", ValueFrom: &v1.EnvVarSource{SecretKeyRef: &v1.SecretKeySelector{LocalObjectReference: v1.LocalObjectReference{Name: "s"}, Key: "key"}}},
		},
	}, map[string]string{"SERVICE_HOST": "127.77.128.9", "SERVICE_PORT": "80"})
	want := map[string]string{
		"SERVICE_HOST": "own", "SERVICE_PORT": "80", "P_ONE": "1", "P_TWO": "2", "IP": "127.77.0.10",
		"URL": "http://127.77.0.10:80/1/$(LATER)", "LATER": "x", "S": "from secret",
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v\nwant %v", got, err, want)
	}
}

func TestAMissingReferenceIsAnErrorUnlessItIsOptional(t *testing.T) {
	yes := true
	reference := func(name, key string, optional *bool) *v1.Container {
		return &v1.Container{Env: []v1.EnvVar{{Name: "X", ValueFrom: &v1.EnvVarSource{SecretKeyRef: &v1.SecretKeySelector{
			LocalObjectReference: v1.LocalObjectReference{Name: name}, Key: key, Optional: optional}}}}}
	}
	for _, c := range []struct{ name, key string }{{"absent", "key"}, {"s", "absent"}} {
		if _, err := resolve(t, reference(c.name, c.key, nil), nil); err == nil || !strings.Contains(err.Error(), "absent") {
			t.Errorf("%v: got %v, want an error that names what is absent", c, err)
		}
		got, err := resolve(t, reference(c.name, c.key, &yes), map[string]string{})
		if _, set := got["X"]; err != nil || set {
			t.Errorf("%v optional: got %v, %v; want the variable left out", c, got, err)
		}
	}
}

func TestResourcesAreRoundedUpToDivisors(t *testing.T) {
	container := &v1.Container{Name: "c", Resources: v1.ResourceRequirements{
		Limits: v1.ResourceList{v1.ResourceMemory: resource.MustParse("100Mi")}, Requests: v1.ResourceList{v1.ResourceCPU: resource.MustParse("1500m")}}}
	for _, c := range []struct{ resource, divisor, want string }{
		{"limits.memory", "1Mi", "100"}, {"limits.memory", "", "104857600"}, {"requests.cpu", "", "2"}, {"requests.cpu", "1m", "1500"}, {"limits.cpu", "", "8"},
	} {
		ref := &v1.ResourceFieldSelector{Resource: c.resource}
		if c.divisor != "" {
			ref.Divisor = resource.MustParse(c.divisor)
		}
		got, err := Resource(pod, container, ref, v1.ResourceList{v1.ResourceCPU: resource.MustParse("8")})
		if err != nil || got != c.want {
			t.Errorf("%s by %q is %q, %v; want %q", c.resource, c.divisor, got, err, c.want)
		}
	}
}

func TestServicesBecomeVariables(t *testing.T) {
	services := []*v1.Service{
		{ObjectMeta: metav1.ObjectMeta{Name: "gloo-x.y"}, Spec: v1.ServiceSpec{ClusterIP: "10.77.128.5", Ports: []v1.ServicePort{
			{Name: "grpc-xds", Port: 9977}, {Name: "udp", Port: 53, Protocol: v1.ProtocolUDP}}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "headless"}, Spec: v1.ServiceSpec{ClusterIP: v1.ClusterIPNone, Ports: []v1.ServicePort{{Port: 1}}}},
	}
	got := Services(services, realise)
	for name, want := range map[string]string{
		"GLOO_X_Y_SERVICE_HOST": "127.77.128.5", "GLOO_X_Y_SERVICE_PORT": "9977", "GLOO_X_Y_SERVICE_PORT_GRPC_XDS": "9977",
		"GLOO_X_Y_PORT": "tcp://127.77.128.5:9977", "GLOO_X_Y_PORT_9977_TCP_ADDR": "127.77.128.5", "GLOO_X_Y_PORT_53_UDP_PROTO": "udp",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if slices.ContainsFunc(slices.Collect(maps.Keys(got)), func(name string) bool { return strings.HasPrefix(name, "HEADLESS") }) {
		t.Error("a Service without an address has variables")
	}
}
