package pods

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/node/api"
	authenticationv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	utilexec "k8s.io/utils/exec"

	"servicefailover.dev/embedded/node/network"
	"servicefailover.dev/embedded/node/process"
)

// cluster is a node's provider with the few paths of an API server that it uses.
type cluster struct {
	*Provider
	t       *testing.T
	indexer cache.Indexer

	mu      sync.Mutex
	pod     *v1.Pod // as the API has it
	deleted bool
	secrets map[string]map[string][]byte
}

func newIndexer() cache.Indexer {
	return cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, indexer: newIndexer(), secrets: map[string]map[string][]byte{}}
	server := httptest.NewServer(http.HandlerFunc(c.serve))
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	mapping, _ := network.ParseMapping("10.64.0.0/10=127.64.0.0/10")
	state := t.TempDir()
	starter, err := process.NewStarter(filepath.Join(state, "processes"))
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := network.OpenAddresses(filepath.Join(state, "addresses.json"), netip.MustParsePrefix("10.125.252.0/24"), 10)
	if err != nil {
		t.Fatal(err)
	}
	c.Provider = &Provider{
		Client: client, Pods: corev1listers.NewPodLister(c.indexer), Services: corev1listers.NewServiceLister(newIndexer()),
		Recorder: &record.FakeRecorder{}, Dialer: network.NewDialer(mapping), Starter: starter, Addresses: addresses,
		Images: Images{"shell": {Entrypoint: []string{"sh"}, Env: map[string]string{"FROM_IMAGE": "yes"}}}, NodeAddress: "10.125.252.1",
		APIServer: "https://127.125.252.1:6443", CA: []byte("ca"), StateDir: state,
	}
	t.Cleanup(func() { c.Shutdown(0); server.Close() })
	return c
}

func (c *cluster) serve(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	answer := func(object any) { _ = json.NewEncoder(w).Encode(object) }
	refuse := func(code int32, reason metav1.StatusReason) {
		w.WriteHeader(int(code))
		answer(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: code, Reason: reason})
	}
	switch {
	case r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/status"):
		patch, _ := io.ReadAll(r.Body)
		before, _ := json.Marshal(c.pod)
		after, err := strategicpatch.StrategicMergePatch(before, patch, v1.Pod{})
		if err != nil || c.deleted {
			refuse(http.StatusNotFound, metav1.StatusReasonNotFound)
			return
		}
		c.pod = &v1.Pod{}
		_ = json.Unmarshal(after, c.pod)
		answer(c.pod)
	case r.Method == http.MethodDelete:
		c.deleted = true
		answer(metav1.Status{Status: "Success"})
	case strings.HasSuffix(r.URL.Path, "/token"):
		answer(authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{
			Token: "the-token", ExpirationTimestamp: metav1.NewTime(time.Now().Add(time.Hour))}})
	case strings.Contains(r.URL.Path, "/secrets/"):
		data, found := c.secrets[filepath.Base(r.URL.Path)]
		if !found {
			refuse(http.StatusNotFound, metav1.StatusReasonNotFound)
			return
		}
		answer(v1.Secret{Data: data})
	default:
		refuse(http.StatusInternalServerError, "unexpected")
	}
}

// run creates a pod with one container that runs a shell script.
func (c *cluster) run(script string, change func(*v1.Pod)) *v1.Pod {
	c.t.Helper()
	grace := int64(5)
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns", UID: types.UID("uid-" + strings.ReplaceAll(c.t.Name(), "/", "-"))},
		Spec: v1.PodSpec{
			RestartPolicy: v1.RestartPolicyAlways, TerminationGracePeriodSeconds: &grace, ServiceAccountName: "account",
			Containers: []v1.Container{{Name: "main", Image: "shell:1", Args: []string{"-c", script}}},
		},
	}
	if change != nil {
		change(pod)
	}
	c.mu.Lock()
	c.pod, c.deleted = pod.DeepCopy(), false
	c.mu.Unlock()
	_ = c.indexer.Add(pod)
	if err := c.CreatePod(context.Background(), pod.DeepCopy()); err != nil {
		c.t.Fatal(err)
	}
	return pod
}

// stored is the pod as the API has it.
func (c *cluster) stored() *v1.Pod {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pod.DeepCopy()
}

// deleteWithin deletes a pod as the API server has it deleted: with so many seconds to end in.
func (c *cluster) deleteWithin(pod *v1.Pod, grace int64) {
	now := metav1.Now()
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &now, &grace
	_ = c.DeletePod(context.Background(), pod)
}

// gone says whether the object was deleted.
func (c *cluster) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deleted
}

// until waits for a status in the API.
func (c *cluster) until(what string, condition func(status *v1.PodStatus, main *v1.ContainerStatus) bool) {
	c.t.Helper()
	var last []byte
	for range 500 {
		status := &c.stored().Status
		if len(status.ContainerStatuses) > 0 && condition(status, &status.ContainerStatuses[0]) {
			return
		}
		last, _ = json.Marshal(status)
		time.Sleep(10 * time.Millisecond)
	}
	c.t.Fatalf("not within 5 s: %s; status %s", what, last)
}

func (c *cluster) log(container string, opts api.ContainerLogOpts) string {
	c.t.Helper()
	reader, err := c.GetContainerLogs(context.Background(), "ns", "p", container, opts)
	if err != nil {
		c.t.Fatal(err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(text)
}

func isReady(status *v1.PodStatus, _ *v1.ContainerStatus) bool {
	return find(*status, v1.PodReady).Status == v1.ConditionTrue
}

func TestAPodLivesAndIsDeletedWhenItsProcessesHaveEnded(t *testing.T) {
	c := newCluster(t)
	pod := c.run(`trap 'echo bye; exit 0' TERM; echo $FROM_IMAGE $(POD_IP); while :; do sleep 0.02; done`, func(p *v1.Pod) {
		p.Spec.Containers[0].Env = []v1.EnvVar{{Name: "POD_IP", ValueFrom: &v1.EnvVarSource{FieldRef: &v1.ObjectFieldSelector{FieldPath: "status.podIP"}}}}
		p.Spec.Containers[0].VolumeMounts = []v1.VolumeMount{{Name: "t", MountPath: serviceAccountPath}}
		p.Spec.InitContainers = []v1.Container{{Name: "first", Image: "shell", Args: []string{"-c", "echo init"}}}
	})
	c.until("the pod is ready", isReady)
	if c.stored().Status.PodIP != "10.125.252.10" {
		t.Errorf("podIP %s, want the API's address", c.stored().Status.PodIP)
	}
	if got := c.log("main", api.ContainerLogOpts{}); got != "yes 127.125.252.10\n" {
		t.Errorf("the process saw %q, want the image's environment and the realised address", got)
	}
	if got := c.log("first", api.ContainerLogOpts{}); got != "init\n" {
		t.Errorf("the init container's log is %q", got)
	}
	kubeconfig := filepath.Join(c.podDir(pod.UID), "kubeconfig")
	content, err := os.ReadFile(kubeconfig)
	info, _ := os.Stat(kubeconfig)
	if err != nil || !bytes.Contains(content, []byte("the-token")) || info.Mode().Perm() != 0o600 {
		t.Errorf("kubeconfig: %v %v", err, info)
	}
	now, grace := metav1.Now(), int64(5)
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &now, &grace
	began := time.Now()
	if err := c.DeletePod(context.Background(), pod); err != nil {
		t.Fatal(err)
	}
	c.until("the object is deleted", func(*v1.PodStatus, *v1.ContainerStatus) bool { return c.gone() })
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("deleting took %v: the grace period was waited out", took)
	}
	main := c.stored().Status.ContainerStatuses[0].State.Terminated
	if main == nil || main.ExitCode != 0 || c.stored().Status.Phase != v1.PodSucceeded {
		t.Errorf("last status %s %+v, want the ended container", c.stored().Status.Phase, main)
	}
	if _, err := os.Stat(c.podDir(pod.UID)); !os.IsNotExist(err) {
		t.Errorf("the pod's directory is left: %v", err)
	}
}

func TestAStubbornProcessIsKilledWhenTheGracePeriodIsOver(t *testing.T) {
	c := newCluster(t)
	pod := c.run(`trap '' TERM; while :; do sleep 0.02; done`, nil)
	c.until("it runs", isReady)
	c.deleteWithin(pod, 1)
	c.until("the object is deleted", func(*v1.PodStatus, *v1.ContainerStatus) bool { return c.gone() })
	if main := c.stored().Status.ContainerStatuses[0].State.Terminated; main == nil || main.ExitCode != 137 {
		t.Errorf("ended as %+v, want 137", main)
	}
}

// hooked gives a container a preStop hook, and a readiness probe that says no when the hook has begun.
func hooked(begun string, hook v1.LifecycleHandler) func(*v1.Pod) {
	return func(p *v1.Pod) {
		main := &p.Spec.Containers[0]
		main.Lifecycle = &v1.Lifecycle{PreStop: &hook}
		main.ReadinessProbe = &v1.Probe{PeriodSeconds: 1, FailureThreshold: 1, ProbeHandler: v1.ProbeHandler{
			Exec: &v1.ExecAction{Command: []string{"sh", "-c", "! test -e " + begun}}}}
	}
}

func TestThePreStopHookEndsBeforeTheProcessIsToldToAndReadinessIsAskedForMeanwhile(t *testing.T) {
	c := newCluster(t)
	folder := t.TempDir()
	begun, release, order := filepath.Join(folder, "begun"), filepath.Join(folder, "release"), filepath.Join(folder, "order")
	hook := v1.LifecycleHandler{Exec: &v1.ExecAction{Command: []string{
		"sh", "-c", ": > " + begun + "; until test -e " + release + "; do sleep 0.02; done; echo hook $FROM_IMAGE >> " + order}}}
	pod := c.run(`trap 'echo TERM >> `+order+`; exit 0' TERM; while :; do sleep 0.02; done`, hooked(begun, hook))
	c.until("it is ready", isReady)
	c.deleteWithin(pod, 30)
	c.until("it says that it is not ready any more", func(status *v1.PodStatus, main *v1.ContainerStatus) bool {
		return !isReady(status, main) && main.State.Running != nil
	})
	if err := os.WriteFile(release, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.until("the object is deleted", func(*v1.PodStatus, *v1.ContainerStatus) bool { return c.gone() })
	if got, _ := os.ReadFile(order); string(got) != "hook yes\nTERM\n" {
		t.Errorf("the process and its hook ended in this order: %q", got)
	}
}

func TestAPreStopHookGetsNoMoreThanTheGracePeriod(t *testing.T) {
	c := newCluster(t)
	pod := c.run(`while :; do sleep 0.02; done`, hooked("/nowhere", v1.LifecycleHandler{Sleep: &v1.SleepAction{Seconds: 600}}))
	c.until("it is ready", isReady)
	c.deleteWithin(pod, 1)
	c.until("the object is deleted", func(*v1.PodStatus, *v1.ContainerStatus) bool { return c.gone() })
}

func TestAFailedPreStopHookKeepsNothingAlive(t *testing.T) {
	c := newCluster(t)
	hook := v1.LifecycleHandler{Exec: &v1.ExecAction{Command: []string{"no-such-program"}}}
	pod := c.run(`trap 'exit 0' TERM; while :; do sleep 0.02; done`, hooked("/nowhere", hook))
	c.until("it is ready", isReady)
	c.deleteWithin(pod, 600)
	c.until("the object is deleted", func(*v1.PodStatus, *v1.ContainerStatus) bool { return c.gone() })
}

func TestTheAgentsOwnEndWaitsForNoHook(t *testing.T) {
	c := newCluster(t)
	begun := filepath.Join(t.TempDir(), "begun")
	hook := v1.LifecycleHandler{Exec: &v1.ExecAction{Command: []string{"sh", "-c", ": > " + begun}}}
	c.run(`trap 'exit 0' TERM; while :; do sleep 0.02; done`, hooked(begun, hook))
	c.until("it is ready", isReady)
	c.Shutdown(time.Minute)
	if _, err := os.Stat(begun); !os.IsNotExist(err) {
		t.Errorf("the hook ran: %v", err)
	}
}

func TestVirtualKubeletDeletesNoObjectOfALivingPod(t *testing.T) {
	c := newCluster(t)
	pod := c.run(`trap 'sleep 0.3; exit 0' TERM; while :; do sleep 0.02; done`, nil)
	c.until("it runs", isReady)
	options := metav1.NewDeleteOptions(0)
	options.Preconditions = metav1.NewUIDPreconditions(string(pod.UID))
	if err := c.PodClient().Pods("ns").Delete(context.Background(), "p", *options); err != nil {
		t.Fatal(err)
	}
	if c.gone() {
		t.Error("the object went before the process")
	}
	c.until("it stops and the object follows", func(*v1.PodStatus, *v1.ContainerStatus) bool { return c.gone() })
}

func TestACrashIsRestartedAtOnceThenBacksOffAndKeepsItsLog(t *testing.T) {
	c := newCluster(t)
	c.run(`echo run; exit 3`, func(p *v1.Pod) {
		p.Spec.Containers[0].TerminationMessagePolicy = v1.TerminationMessageFallbackToLogsOnError
	})
	c.until("it backs off after its second run", func(_ *v1.PodStatus, main *v1.ContainerStatus) bool {
		return main.State.Waiting != nil && main.State.Waiting.Reason == "CrashLoopBackOff"
	})
	main := c.stored().Status.ContainerStatuses[0]
	last := main.LastTerminationState.Terminated
	if main.RestartCount != 1 || last == nil || last.ExitCode != 3 || last.Reason != "Error" || last.Message != "run\n" {
		t.Errorf("restarts %d, last end %+v", main.RestartCount, last)
	}
	if got := c.log("main", api.ContainerLogOpts{Previous: true}); got != "run\n" {
		t.Errorf("the previous log is %q", got)
	}
}

func TestAFailedLivenessProbeRestartsTheContainer(t *testing.T) {
	c := newCluster(t)
	marker := filepath.Join(t.TempDir(), "second")
	c.run(`while :; do sleep 0.02; done`, func(p *v1.Pod) {
		p.Spec.Containers[0].LivenessProbe = &v1.Probe{PeriodSeconds: 1, FailureThreshold: 1, ProbeHandler: v1.ProbeHandler{
			Exec: &v1.ExecAction{Command: []string{"sh", "-c", "test -e " + marker + " || { : > " + marker + "; exit 1; }"}}}}
	})
	c.until("it was restarted and runs", func(_ *v1.PodStatus, main *v1.ContainerStatus) bool {
		return main.RestartCount == 1 && main.State.Running != nil
	})
}

func TestAMissingSecretIsWaitedFor(t *testing.T) {
	c := newCluster(t)
	c.run(`echo $(X); sleep 600`, func(p *v1.Pod) {
		p.Spec.Containers[0].Env = []v1.EnvVar{{Name: "X", ValueFrom: &v1.EnvVarSource{SecretKeyRef: &v1.SecretKeySelector{
			LocalObjectReference: v1.LocalObjectReference{Name: "later"}, Key: "x"}}}}
	})
	c.until("it waits", func(_ *v1.PodStatus, main *v1.ContainerStatus) bool {
		return main.State.Waiting != nil && main.State.Waiting.Reason == "CreateContainerConfigError"
	})
	c.mu.Lock()
	c.secrets["later"] = map[string][]byte{"x": []byte("42")}
	c.mu.Unlock()
	c.until("it runs", isReady)
}

func TestAnImageThatTheNodeDoesNotHaveIsErrImagePull(t *testing.T) {
	c := newCluster(t)
	c.run("", func(p *v1.Pod) { p.Spec.Containers[0].Image = "nginx:1" })
	c.until("it says so", func(_ *v1.PodStatus, main *v1.ContainerStatus) bool {
		return main.State.Waiting != nil && main.State.Waiting.Reason == "ErrImagePull" && strings.Contains(main.State.Waiting.Message, "shell")
	})
}

func TestARestartOfTheAgentStartsThePodAgainWithItsAddressAndCountsIt(t *testing.T) {
	c := newCluster(t)
	pod := c.run(`echo first; sleep 600`, nil)
	c.until("it runs", isReady)
	c.Shutdown(0)
	if c.stored().Status.Phase != v1.PodRunning {
		t.Errorf("the agent's end made the pod %s: its controller would replace it", c.stored().Status.Phase)
	}
	next := &Provider{
		Client: c.Client, Pods: c.Pods, Services: c.Services, Recorder: c.Recorder, Dialer: c.Dialer, Starter: c.Starter, Addresses: c.Addresses,
		Images: c.Images, NodeAddress: c.NodeAddress, APIServer: c.APIServer, CA: c.CA, StateDir: c.StateDir,
	}
	if err := next.CleanUp(func(uid types.UID) bool { return uid == pod.UID }); err != nil {
		t.Fatal(err)
	}
	_ = next.CreatePod(context.Background(), c.stored())
	defer next.Shutdown(0)
	c.until("it runs again", func(status *v1.PodStatus, main *v1.ContainerStatus) bool {
		last := main.LastTerminationState.Terminated
		return main.RestartCount == 1 && main.State.Running != nil && last != nil && last.Reason == "ContainerStatusUnknown" && status.PodIP == "10.125.252.10"
	})
	c.Provider = next
	if got := c.log("main", api.ContainerLogOpts{Previous: true}); got != "first\n" {
		t.Errorf("the log of the run before is %q", got)
	}
}

type attached struct{ in, out, errors *bytes.Buffer }

func (a attached) Stdin() io.Reader {
	if a.in == nil {
		return nil
	}
	return a.in
}
func (a attached) Stdout() io.WriteCloser      { return nopCloser{a.out} }
func (a attached) Stderr() io.WriteCloser      { return nopCloser{a.errors} }
func (a attached) TTY() bool                   { return false }
func (a attached) Resize() <-chan api.TermSize { return nil }

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func TestExecHasTheContainersEnvironmentStreamsAndCode(t *testing.T) {
	c := newCluster(t)
	c.run("sleep 600", nil)
	c.until("it runs", isReady)
	streams := attached{bytes.NewBufferString("in"), &bytes.Buffer{}, &bytes.Buffer{}}
	err := c.RunInContainer(context.Background(), "ns", "p", "main", []string{"sh", "-c", "cat; echo -$FROM_IMAGE; echo problem >&2; exit 9"}, streams)
	var exit utilexec.CodeExitError
	if !errors.As(err, &exit) || exit.Code != 9 || streams.out.String() != "in-yes\n" || streams.errors.String() != "problem\n" {
		t.Errorf("got %v, %q, %q", err, streams.out, streams.errors)
	}
	if err := c.RunInContainer(context.Background(), "ns", "p", "other", []string{"true"}, streams); err == nil || !strings.Contains(err.Error(), `"other"`) {
		t.Errorf("a container that does not exist gives %v", err)
	}
}
