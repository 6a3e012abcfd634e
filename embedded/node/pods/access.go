package pods

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/errdefs"
	"github.com/virtual-kubelet/virtual-kubelet/node/api"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"servicefailover.dev/embedded/node/logs"
	"servicefailover.dev/embedded/node/network"
)

// patiently asks again for about a second while the API server refuses: it learns a little later than the agent which objects the node's pods name.
func patiently[T any](ctx context.Context, get func() (T, error)) (T, error) {
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		out, err := get()
		if !apierrors.IsForbidden(err) || pause > time.Second {
			return out, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return out, err
		}
	}
}

func hostPort(server string) (host, port string, err error) {
	parsed, err := url.Parse(server)
	if err != nil {
		return "", "", err
	}
	return parsed.Hostname(), parsed.Port(), nil
}

type tailZeroKey struct{}

// WithTailZero marks a log request for no lines but new ones; virtual-kubelet's options cannot tell it from a request for all.
func WithTailZero(ctx context.Context) context.Context {
	return context.WithValue(ctx, tailZeroKey{}, true)
}

// GetContainerLogs gives the log of a container's present or previous run. The files outlive the agent that wrote them.
func (p *Provider) GetContainerLogs(ctx context.Context, namespace, podName, container string, opts api.ContainerLogOpts) (io.ReadCloser, error) {
	pod, err := p.Pods.Pods(namespace).Get(podName)
	if err != nil {
		return nil, errdefs.AsNotFound(err)
	}
	uid := pod.UID
	directory := filepath.Join(p.podDir(uid), "logs", container)
	numbers, err := runNumbers(directory)
	if err != nil {
		return nil, err
	}
	index := len(numbers) - 1
	if opts.Previous {
		index--
	}
	if index < 0 && opts.Previous {
		return nil, errdefs.InvalidInputf("previous terminated container %q in pod %q not found", container, podName)
	}
	if index < 0 {
		return nil, errdefs.InvalidInputf("container %q in pod %q is waiting to start", container, podName)
	}
	path := logFile(directory, numbers[index])
	options := logs.Options{Since: opts.SinceTime, LimitBytes: opts.LimitBytes, Timestamps: opts.Timestamps, Follow: opts.Follow && !opts.Previous}
	if opts.SinceSeconds > 0 {
		options.Since = time.Now().Add(-time.Duration(opts.SinceSeconds) * time.Second)
	}
	if opts.Tail > 0 || ctx.Value(tailZeroKey{}) != nil {
		options.Tail = &opts.Tail
	}
	reader, writer := io.Pipe()
	go func() {
		_ = writer.CloseWithError(logs.Read(ctx, path, p.logWriter(uid, container, path), options, writer))
	}()
	return reader, nil
}

// runNumbers lists the runs that have a log, oldest first.
func runNumbers(directory string) ([]int, error) {
	entries, err := os.ReadDir(directory)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var numbers []int
	for _, entry := range entries {
		if number, err := strconv.Atoi(strings.TrimSuffix(entry.Name(), ".log")); err == nil {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// logWriter gives the writer of a log that is still written to.
func (p *Provider) logWriter(uid types.UID, container, path string) *logs.Writer {
	p.mu.Lock()
	r := p.runners[uid]
	p.mu.Unlock()
	if r == nil {
		return nil
	}
	if _, current := r.find(container); current != nil && current.log.Path() == path {
		return current.log
	}
	return nil
}

// RunInContainer runs a command in a container's environment (kubectl exec).
func (p *Provider) RunInContainer(ctx context.Context, namespace, podName, container string, command []string, attach api.AttachIO) error {
	current, err := p.running(namespace, podName, container)
	if err != nil {
		return err
	}
	streams := execStreams{stdin: attach.Stdin(), tty: attach.TTY(), resize: attach.Resize()}
	// An absent stream must stay a nil interface.
	if out := attach.Stdout(); out != nil {
		streams.stdout = out
	}
	if out := attach.Stderr(); out != nil {
		streams.stderr = out
	}
	return runCommand(ctx, p.Starter, current, command, streams)
}

// AttachToContainer is refused: the output of a process goes to its log, which kubectl logs -f follows.
func (p *Provider) AttachToContainer(context.Context, string, string, string, api.AttachIO) error {
	return errors.New("attach is not supported by this node: use kubectl logs -f, or kubectl exec")
}

// PortForward connects a stream to a port of a pod.
func (p *Provider) PortForward(ctx context.Context, namespace, podName string, port int32, stream io.ReadWriteCloser) error {
	p.mu.Lock()
	r := p.byName[types.NamespacedName{Namespace: namespace, Name: podName}]
	p.mu.Unlock()
	if r == nil || r.address() == "" {
		return errdefs.NotFoundf("pod %s/%s does not run on this node", namespace, podName)
	}
	conn, err := p.Dialer.DialContext(ctx, "tcp", net.JoinHostPort(r.address(), strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	network.Relay(halfStream{stream}, conn.(network.CloseWriter))
	return nil
}

// halfStream is a stream of a forwarded connection, whose Close ends its sending direction only.
type halfStream struct{ io.ReadWriteCloser }

func (s halfStream) CloseWrite() error { return s.ReadWriteCloser.Close() }

// Reset ends both directions without the other side taking the stream for complete.
func (s halfStream) Reset() error {
	if stream, ok := s.ReadWriteCloser.(interface{ Reset() error }); ok {
		return stream.Reset()
	}
	return s.ReadWriteCloser.Close()
}

func (p *Provider) running(namespace, podName, container string) (*run, error) {
	p.mu.Lock()
	r := p.byName[types.NamespacedName{Namespace: namespace, Name: podName}]
	p.mu.Unlock()
	if r == nil {
		return nil, errdefs.NotFoundf("pod %s/%s does not run on this node", namespace, podName)
	}
	c, current := r.find(container)
	if c == nil {
		return nil, errdefs.NotFoundf("pod %s/%s has no container %q", namespace, podName, container)
	}
	if current == nil {
		return nil, fmt.Errorf("container %q of pod %s/%s is not running", container, namespace, podName)
	}
	return current, nil
}
