package pods

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestRestartsWaitAsAKubeletDoes(t *testing.T) {
	var b Backoff
	at := time.Unix(0, 0)
	for i, want := range []time.Duration{0, 10, 20, 40, 80, 160, 300, 300} {
		if got := b.Next(at); got != want*time.Second {
			t.Fatalf("restart %d waits %v, want %v s", i, got, want)
		}
		at = at.Add(want*time.Second + time.Second) // each run lasts a second
	}
	if got := b.Next(at.Add(11 * time.Minute)); got != 0 {
		t.Errorf("after a run of more than 10 min the wait is %v, want none", got)
	}
}

func TestRepositoryStripsWhatDoesNotMatter(t *testing.T) {
	for reference, want := range map[string]string{
		"envoyproxy/envoy:v1.40": "envoyproxy/envoy", "docker.io/envoyproxy/envoy": "envoyproxy/envoy", "docker.io/library/busybox:1": "busybox",
		"hashicorp/http-echo@sha256:abc": "hashicorp/http-echo", "hashicorp/http-echo:1.0@sha256:abc": "hashicorp/http-echo",
		"localhost:5000/x/y": "localhost:5000/x/y", "localhost:5000/x/y:2": "localhost:5000/x/y", "quay.io/a/b:c": "quay.io/a/b",
	} {
		if got := Repository(reference); got != want {
			t.Errorf("%s is %s, want %s", reference, got, want)
		}
	}
}

func TestAnUnknownImageNamesTheKnownOnes(t *testing.T) {
	_, err := Images{"b/b": {}, "a/a": {}}.Find("quay.io/x:1")
	if err == nil || !strings.Contains(err.Error(), `"quay.io/x:1"`) || !strings.Contains(err.Error(), "a/a, b/b") {
		t.Errorf("got %v", err)
	}
}

func TestTheCommandComesFromSpecAndImage(t *testing.T) {
	image := Image{Entrypoint: []string{"/cache/bin/envoy", "--image-flag"}}
	plain := func(texts []string) []string { return texts }
	for _, c := range []struct{ command, args, want []string }{
		{nil, []string{"-c", "x"}, []string{"/cache/bin/envoy", "--image-flag", "-c", "x"}},
		{[]string{"sh", "-c"}, []string{"true"}, []string{"sh", "-c", "true"}},
		{[]string{"/no/such/dir/envoy", "-l"}, []string{"x"}, []string{"/cache/bin/envoy", "--image-flag", "-l", "x"}},
		{[]string{"/no/such/dir/other"}, nil, []string{"/no/such/dir/other"}},
	} {
		if got := image.Command(&v1.Container{Command: c.command, Args: c.args}, plain); !slices.Equal(got, c.want) {
			t.Errorf("command %v args %v run %v, want %v", c.command, c.args, got, c.want)
		}
	}
}

func TestWhatAProcessCannotBeGivenIsRefusedWithItsField(t *testing.T) {
	yes := true
	root := int64(0)
	refused := map[string]func(*v1.Pod){
		"volumeMounts data: /data": func(p *v1.Pod) {
			p.Spec.Containers[0].VolumeMounts = []v1.VolumeMount{{Name: "data", MountPath: "/data"}}
		},
		"init: volumeDevices": func(p *v1.Pod) {
			p.Spec.InitContainers = []v1.Container{{Name: "init", VolumeDevices: []v1.VolumeDevice{{}}}}
		},
		"privileged": func(p *v1.Pod) { p.Spec.Containers[0].SecurityContext = &v1.SecurityContext{Privileged: &yes} },
		"SYS_ADMIN": func(p *v1.Pod) {
			p.Spec.Containers[0].SecurityContext = &v1.SecurityContext{Capabilities: &v1.Capabilities{Add: []v1.Capability{"NET_BIND_SERVICE", "SYS_ADMIN"}}}
		},
		"hostAliases": func(p *v1.Pod) { p.Spec.HostAliases = []v1.HostAlias{{IP: "1.2.3.4"}} },
		"sysctls":     func(p *v1.Pod) { p.Spec.SecurityContext = &v1.PodSecurityContext{Sysctls: []v1.Sysctl{{Name: "a"}}} },
		"livenessProbe.grpc": func(p *v1.Pod) {
			p.Spec.Containers[0].LivenessProbe = &v1.Probe{ProbeHandler: v1.ProbeHandler{GRPC: &v1.GRPCAction{}}}
		},
		"workingDir /no/such/dir": func(p *v1.Pod) { p.Spec.Containers[0].WorkingDir = "/no/such/dir" },
	}
	if os.Geteuid() != 0 {
		refused["runAsUser: 0"] = func(p *v1.Pod) { p.Spec.Containers[0].SecurityContext = &v1.SecurityContext{RunAsUser: &root} }
	}
	for want, change := range refused {
		pod := &v1.Pod{Spec: v1.PodSpec{Containers: []v1.Container{{Name: "main"}}}}
		change(pod)
		if got := Unsupported(pod); !strings.Contains(got, want) {
			t.Errorf("got %q, want a refusal with %q", got, want)
		}
	}
}

func TestWhatOnlyRestrictsAProcessIsLetPass(t *testing.T) {
	yes, no, user := true, false, int64(10101)
	pod := &v1.Pod{Spec: v1.PodSpec{
		SecurityContext: &v1.PodSecurityContext{RunAsNonRoot: &yes, FSGroup: &user, SeccompProfile: &v1.SeccompProfile{Type: v1.SeccompProfileTypeRuntimeDefault}},
		Containers: []v1.Container{{
			Name:         "main",
			VolumeMounts: []v1.VolumeMount{{Name: "kube-api-access", MountPath: serviceAccountPath}},
			SecurityContext: &v1.SecurityContext{
				RunAsUser: &user, RunAsNonRoot: &yes, ReadOnlyRootFilesystem: &yes, AllowPrivilegeEscalation: &no,
				Capabilities: &v1.Capabilities{Drop: []v1.Capability{"ALL"}, Add: []v1.Capability{"NET_BIND_SERVICE"}}},
			Resources: v1.ResourceRequirements{Limits: v1.ResourceList{v1.ResourceMemory: resource.MustParse("1Gi")}},
		}},
	}}
	if got := Unsupported(pod); got != "" {
		t.Errorf("refused: %s", got)
	}
}

func ended(code int32) v1.ContainerStatus {
	return v1.ContainerStatus{State: v1.ContainerState{Terminated: &v1.ContainerStateTerminated{ExitCode: code}}}
}

var (
	runs    = v1.ContainerStatus{State: v1.ContainerState{Running: &v1.ContainerStateRunning{}}, Ready: true}
	created = v1.ContainerStatus{State: v1.ContainerState{Waiting: &v1.ContainerStateWaiting{}}}
	backOff = v1.ContainerStatus{State: created.State, LastTerminationState: ended(1).State}
)

func TestThePhaseFollowsTheContainers(t *testing.T) {
	for _, c := range []struct {
		policy v1.RestartPolicy
		facts  Facts
		want   v1.PodPhase
	}{
		{v1.RestartPolicyAlways, Facts{Init: []v1.ContainerStatus{runs}, Main: []v1.ContainerStatus{created}}, v1.PodPending},
		{v1.RestartPolicyAlways, Facts{Init: []v1.ContainerStatus{ended(1)}, Main: []v1.ContainerStatus{created}}, v1.PodPending},
		{v1.RestartPolicyNever, Facts{Init: []v1.ContainerStatus{ended(1)}, Main: []v1.ContainerStatus{created}}, v1.PodFailed},
		{v1.RestartPolicyAlways, Facts{Initialized: true, Main: []v1.ContainerStatus{runs, created}}, v1.PodPending},
		{v1.RestartPolicyAlways, Facts{Initialized: true, Main: []v1.ContainerStatus{runs, backOff}}, v1.PodRunning},
		{v1.RestartPolicyAlways, Facts{Initialized: true, Main: []v1.ContainerStatus{ended(0)}}, v1.PodRunning},
		{v1.RestartPolicyOnFailure, Facts{Initialized: true, Main: []v1.ContainerStatus{ended(0), ended(1)}}, v1.PodRunning},
		{v1.RestartPolicyOnFailure, Facts{Initialized: true, Main: []v1.ContainerStatus{ended(0)}}, v1.PodSucceeded},
		{v1.RestartPolicyNever, Facts{Initialized: true, Main: []v1.ContainerStatus{ended(0), runs}}, v1.PodRunning},
		{v1.RestartPolicyNever, Facts{Initialized: true, Main: []v1.ContainerStatus{ended(0), ended(2)}}, v1.PodFailed},
		{v1.RestartPolicyAlways, Facts{Initialized: true, Stopped: true, Main: []v1.ContainerStatus{ended(0)}}, v1.PodSucceeded},
		{v1.RestartPolicyAlways, Facts{Initialized: true, Stopped: true, Main: []v1.ContainerStatus{ended(137)}}, v1.PodFailed},
		{v1.RestartPolicyAlways, Facts{Initialized: true, Reason: "DeadlineExceeded", Main: []v1.ContainerStatus{runs}}, v1.PodFailed},
	} {
		if got := phase(&v1.Pod{Spec: v1.PodSpec{RestartPolicy: c.policy}}, c.facts); got != c.want {
			t.Errorf("%s %+v is %s, want %s", c.policy, c.facts, got, c.want)
		}
	}
}

func find(status v1.PodStatus, kind v1.PodConditionType) v1.PodCondition {
	for _, condition := range status.Conditions {
		if condition.Type == kind {
			return condition
		}
	}
	return v1.PodCondition{}
}

func TestConditionsKeepTheirTimesAndThoseOfOthers(t *testing.T) {
	early, late := metav1.Unix(100, 0), metav1.Unix(200, 0)
	pod := &v1.Pod{Spec: v1.PodSpec{RestartPolicy: v1.RestartPolicyAlways}}
	pod.Status.Conditions = []v1.PodCondition{{Type: "other/gate", Status: v1.ConditionTrue}}
	notReady := runs
	notReady.Name, notReady.Ready = "slow", false
	facts := Facts{Address: "10.77.0.10", NodeAddress: "10.77.0.1", Initialized: true, Main: []v1.ContainerStatus{notReady}}
	pod.Status = Status(pod, facts, early)
	if ready := find(pod.Status, v1.PodReady); ready.Status != v1.ConditionFalse || ready.Reason != "ContainersNotReady" || !strings.Contains(ready.Message, "slow") {
		t.Errorf("not ready is told as %+v", ready)
	}
	facts.Main = []v1.ContainerStatus{runs}
	status := Status(pod, facts, late)
	if ready := find(status, v1.PodReady); ready.Status != v1.ConditionTrue || ready.LastTransitionTime != late || ready.Message != "" {
		t.Errorf("ready is told as %+v", ready)
	}
	if initialized := find(status, v1.PodInitialized); initialized.LastTransitionTime != early {
		t.Errorf("a condition that did not change has the time %v", initialized.LastTransitionTime)
	}
	if find(status, "other/gate").Status != v1.ConditionTrue {
		t.Error("somebody else's condition is lost")
	}
	if status.PodIP != "10.77.0.10" || status.HostIP != "10.77.0.1" {
		t.Errorf("addresses %s %s, want the API's, not the realised ones", status.PodIP, status.HostIP)
	}
}
