package probe

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestAResultNeedsItsThresholdOfEqualAnswers(t *testing.T) {
	c := NewCounter(&v1.Probe{SuccessThreshold: 2, FailureThreshold: 3})
	for i, step := range []struct {
		ok   bool
		want Result
	}{
		{true, Unknown}, {false, Unknown}, {true, Unknown}, {true, Success}, {false, Success}, {false, Success}, {true, Success},
		{false, Success}, {false, Success}, {false, Failure}, {true, Failure}, {true, Success},
	} {
		if got := c.Observe(step.ok); got != step.want {
			t.Fatalf("after answer %d (%v) the result is %v, want %v", i, step.ok, got, step.want)
		}
	}
}

func TestUnsetTimingIsTheAPIsDefault(t *testing.T) {
	if got := TimingOf(Readiness, &v1.Probe{}); got != (Timing{0, 10 * time.Second, time.Second}) {
		t.Errorf("got %v", got)
	}
	if got := TimingOf(Liveness, &v1.Probe{InitialDelaySeconds: 5, PeriodSeconds: 2, TimeoutSeconds: 3}); got != (Timing{5 * time.Second, 2 * time.Second, 3 * time.Second}) {
		t.Errorf("got %v", got)
	}
	if got := TimingOf(Liveness, &v1.Probe{}); got.InitialDelay != time.Second {
		t.Errorf("liveness is first asked after %v, want 1 s: nothing answers at the very start", got.InitialDelay)
	}
}

func TestOnlyAContainerThatWasNeverReadyIsAskedEarly(t *testing.T) {
	timing := Timing{Period: time.Second}
	for _, c := range []struct {
		kind     Kind
		result   Result
		failures int
		want     time.Duration
	}{
		{Readiness, Unknown, 1, 50 * time.Millisecond}, {Readiness, Unknown, 2, 100 * time.Millisecond}, {Readiness, Failure, 4, 400 * time.Millisecond},
		{Readiness, Failure, 6, time.Second}, {Readiness, Failure, 100, time.Second}, {Readiness, Success, 0, time.Second},
		{Liveness, Unknown, 1, time.Second}, {Startup, Unknown, 1, time.Second},
	} {
		if got := Pause(c.kind, timing, c.result, c.failures); got != c.want {
			t.Errorf("%+v: pause %v", c, got)
		}
	}
}

// target is a container whose only address is reached by a dialer that the test sees.
func target(t *testing.T, handler http.HandlerFunc) (*Target, intstr.IntOrString) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	at := server.Listener.Addr().(*net.TCPAddr)
	return &Target{
		Address:   "10.77.0.10",
		Container: &v1.Container{Name: "c", Ports: []v1.ContainerPort{{Name: "http", ContainerPort: int32(at.Port)}}},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, strings.Replace(address, "10.77.0.10", "127.0.0.1", 1))
		},
	}, intstr.FromInt(at.Port)
}

func TestHTTPProbesAskAsToldAndJudgeByStatus(t *testing.T) {
	var seen *http.Request
	status := 200
	c, _ := target(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r
		w.Header().Set("Location", "http://elsewhere.example/")
		w.WriteHeader(status)
	})
	handler := &v1.ProbeHandler{HTTPGet: &v1.HTTPGetAction{
		Path: "health?full=1", Port: intstr.FromString("http"), HTTPHeaders: []v1.HTTPHeader{{Name: "Host", Value: "blue"}, {Name: "X-A", Value: "1"}}}}
	for code, ok := range map[int]bool{200: true, 204: true, 302: true, 399: true, 400: false, 404: false, 503: false} {
		status = code
		if err := Ask(context.Background(), c, handler, time.Second); (err == nil) != ok {
			t.Errorf("status %d: %v, want success %v (a redirect away from the pod counts as an answer)", code, err, ok)
		}
	}
	if seen.URL.String() != "/health?full=1" || seen.Host != "blue" || seen.Header.Get("X-A") != "1" || !strings.HasPrefix(seen.UserAgent(), "kube-probe/") {
		t.Errorf("asked %s of %s with %v", seen.URL, seen.Host, seen.Header)
	}
}

func TestAProbeThatTakesTooLongIsAFailure(t *testing.T) {
	c, port := target(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	began := time.Now()
	if err := Ask(context.Background(), c, &v1.ProbeHandler{HTTPGet: &v1.HTTPGetAction{Port: port}}, 50*time.Millisecond); err == nil || time.Since(began) > 2*time.Second {
		t.Errorf("got %v after %v", err, time.Since(began))
	}
}

func TestTCPAndExecProbes(t *testing.T) {
	c, port := target(t, func(http.ResponseWriter, *http.Request) {})
	c.Exec = func(_ context.Context, command []string) (string, error) {
		if command[0] == "true" {
			return "", nil
		}
		return "told why", errors.New("exit 1")
	}
	for name, want := range map[string]struct {
		handler v1.ProbeHandler
		problem string
	}{
		"open port":    {v1.ProbeHandler{TCPSocket: &v1.TCPSocketAction{Port: port}}, ""},
		"closed port":  {v1.ProbeHandler{TCPSocket: &v1.TCPSocketAction{Port: intstr.FromInt(1)}}, "refused"},
		"unknown name": {v1.ProbeHandler{TCPSocket: &v1.TCPSocketAction{Port: intstr.FromString("nope")}}, `"nope"`},
		"code 0":       {v1.ProbeHandler{Exec: &v1.ExecAction{Command: []string{"true"}}}, ""},
		"code 1":       {v1.ProbeHandler{Exec: &v1.ExecAction{Command: []string{"false"}}}, "told why"},
		"no handler":   {v1.ProbeHandler{}, "no httpGet"},
	} {
		err := Ask(context.Background(), c, &want.handler, time.Second)
		if want.problem == "" && err != nil || want.problem != "" && (err == nil || !strings.Contains(err.Error(), want.problem)) {
			t.Errorf("%s: got %v, want %q", name, err, want.problem)
		}
	}
}

func TestAWorkerReportsChangesOnly(t *testing.T) {
	answers := make(chan bool)
	c := &Target{Exec: func(ctx context.Context, _ []string) (string, error) {
		select {
		case ok := <-answers:
			if ok {
				return "", nil
			}
		case <-ctx.Done():
		}
		return "", errors.New("no")
	}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	changes := make(chan Result, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		Run(ctx, Readiness, &v1.Probe{PeriodSeconds: 1, FailureThreshold: 1, TimeoutSeconds: 5, ProbeHandler: v1.ProbeHandler{Exec: &v1.ExecAction{}}}, c,
			func(Kind, error) { t.Error("an early extra probe was told as a failure") },
			func(_ Kind, result Result) bool { changes <- result; return result != Success })
	}()
	for _, ok := range []bool{false, false, true} {
		answers <- ok
	}
	<-done
	if first, second := <-changes, <-changes; first != Failure || second != Success || len(changes) != 0 {
		t.Errorf("changes %v %v and %d more, want Failure, Success and the end", first, second, len(changes))
	}
}
