package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/node/api"

	"servicefailover.dev/embedded/node/network"
	"servicefailover.dev/embedded/node/pods"
)

const (
	// apiServerName is the common name of the API server's client certificate, mastersGroup the organisation of an administrator's.
	apiServerName = "kube-apiserver-kubelet-client"
	mastersGroup  = "system:masters"
	// streamIdleTimeout is a kubelet's: exec and port-forward sessions may be silent for long.
	streamIdleTimeout = 4 * time.Hour
)

// server gives the API server what it asks of a kubelet (logs, exec, port-forward), and is its proxy into the cluster: an egress selector sends
// every connection to a node, pod or Service here as an HTTP CONNECT, because the API server knows only addresses that nothing can dial.
type server struct {
	http *http.Server
}

func startServer(c *Config, dialer *network.Dialer, provider *pods.Provider) (*server, error) {
	certificate, err := tls.LoadX509KeyPair(c.ServingCert, c.ServingKey)
	if err != nil {
		return nil, err
	}
	authorities, err := os.ReadFile(c.ClientCAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("clientCaFile: %s holds no certificate", c.ClientCAFile)
	}
	listener, err := net.Listen("tcp4", c.listen.String())
	if err != nil {
		return nil, fmt.Errorf("listen: %w (does another node agent run? python -m embedded list)", err)
	}
	s := &server{http: &http.Server{
		ReadHeaderTimeout: 30 * time.Second,
		Handler:           onlyAPIServer(routes(dialer, provider)),
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		},
		// HTTP/1.1 only: exec, port-forward and CONNECT take the connection over.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}}
	go func() { _ = s.http.ServeTLS(listener, "", "") }()
	return s, nil
}

func (s *server) close() { _ = s.http.Close() }

func routes(dialer *network.Dialer, provider *pods.Provider) http.Handler {
	kubelet := api.PodHandler(api.PodHandlerConfig{
		RunInContainer: provider.RunInContainer, AttachToContainer: provider.AttachToContainer, PortForward: provider.PortForward,
		GetContainerLogs: provider.GetContainerLogs, GetPods: provider.GetPods, GetPodsFromKubernetes: provider.GetPods,
		StreamIdleTimeout: streamIdleTimeout, StreamCreationTimeout: streamIdleTimeout, // virtual-kubelet swaps the two for port-forward
	}, false)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodConnect:
			connect(w, r, dialer)
		case r.URL.Path == "/healthz":
			_, _ = w.Write([]byte("ok"))
		case strings.HasPrefix(r.URL.Path, "/containerLogs/") && r.URL.Query().Get("tailLines") == "0":
			kubelet.ServeHTTP(w, r.WithContext(pods.WithTailZero(r.Context())))
		default:
			kubelet.ServeHTTP(w, r)
		}
	})
}

// onlyAPIServer lets the API server and administrators in; TLS has already verified the certificate.
func onlyAPIServer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		subject := r.TLS.PeerCertificates[0].Subject
		if subject.CommonName != apiServerName && !slices.Contains(subject.Organization, mastersGroup) {
			http.Error(w, fmt.Sprintf("%s may not use this node's API", subject), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// connect opens a connection into the cluster. Addresses that are not the cluster's are refused: this is no general proxy.
func connect(w http.ResponseWriter, r *http.Request, dialer *network.Dialer) {
	target, err := netip.ParseAddrPort(r.Host)
	if requested, ok := strings.CutPrefix(r.RequestURI, "//"); err != nil || ok {
		http.Error(w, fmt.Sprintf("CONNECT %s%s: want address:port", r.Host, requested), http.StatusBadRequest)
		return
	}
	if !dialer.Mapping().Covers(target.Addr()) {
		http.Error(w, fmt.Sprintf("CONNECT %s: not an address of the cluster", target), http.StatusForbidden)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	backend, err := dialer.DialContext(ctx, "tcp4", target.String())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	client, _, err := http.NewResponseController(w).Hijack() // the client waits for the answer before it sends: nothing is buffered
	if err != nil {
		_ = backend.Close()
		return
	}
	if _, err := client.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		_ = backend.Close()
		_ = client.Close()
		return
	}
	network.Relay(client.(network.CloseWriter), backend.(network.CloseWriter))
}
