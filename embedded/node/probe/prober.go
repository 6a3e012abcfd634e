package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Target is the container that is probed.
type Target struct {
	Address   string // the pod's address as the API has it; Dial realises it
	Container *v1.Container
	Dial      func(ctx context.Context, network, address string) (net.Conn, error)
	Exec      func(ctx context.Context, command []string) (output string, err error)
}

// Ask runs a probe once. The error says why the answer is no.
func Ask(ctx context.Context, target *Target, handler *v1.ProbeHandler, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch {
	case handler.HTTPGet != nil:
		return HTTP(ctx, target, handler.HTTPGet)
	case handler.TCPSocket != nil:
		return tcp(ctx, target, handler.TCPSocket)
	case handler.Exec != nil:
		output, err := target.Exec(ctx, handler.Exec.Command)
		if err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
		return nil
	}
	return errors.New("the probe has no httpGet, tcpSocket or exec")
}

// HTTP makes the request of an httpGet action: any status from 200 to 399 is a yes.
func HTTP(ctx context.Context, target *Target, action *v1.HTTPGetAction) error {
	port, err := Port(action.Port, target.Container)
	if err != nil {
		return err
	}
	host := action.Host
	if host == "" {
		host = target.Address
	}
	scheme, path := "http", action.Path
	if action.Scheme == v1.URISchemeHTTPS {
		scheme = "https"
	}
	if path == "" || path[0] != '/' {
		path = "/" + path
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, strconv.Itoa(port))+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "kube-probe/1.37")
	request.Header.Set("Accept", "*/*")
	for _, header := range action.HTTPHeaders {
		if http.CanonicalHeaderKey(header.Name) == "Host" {
			request.Host = header.Value
		} else {
			request.Header.Add(header.Name, header.Value)
		}
	}
	client := http.Client{
		Transport: &http.Transport{
			DialContext:       target.Dial,
			DisableKeepAlives: true,
			// A probe asks whether the server answers, not who it is: a kubelet does not verify either.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			if next.URL.Hostname() != via[0].URL.Hostname() || len(via) >= 10 {
				return http.ErrUseLastResponse // leaving the pod: the redirect itself is the answer
			}
			return nil
		},
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 10<<10))
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("HTTP probe failed with statuscode: %d", response.StatusCode)
	}
	return nil
}

func tcp(ctx context.Context, target *Target, action *v1.TCPSocketAction) error {
	port, err := Port(action.Port, target.Container)
	if err != nil {
		return err
	}
	host := action.Host
	if host == "" {
		host = target.Address
	}
	conn, err := target.Dial(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return conn.Close()
}

// Port resolves a port that is a number or the name of one of the container's ports.
func Port(port intstr.IntOrString, container *v1.Container) (int, error) {
	if port.Type == intstr.Int {
		return port.IntValue(), nil
	}
	for _, candidate := range container.Ports {
		if candidate.Name == port.StrVal {
			return int(candidate.ContainerPort), nil
		}
	}
	if number, err := strconv.Atoi(port.StrVal); err == nil {
		return number, nil
	}
	return 0, fmt.Errorf("port %q: container %s has no port of that name", port.StrVal, container.Name)
}
