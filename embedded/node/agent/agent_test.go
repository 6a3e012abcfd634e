package agent

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"servicefailover.dev/embedded/node/network"
)

func config() map[string]any {
	return map[string]any{
		"clusterName": "local", "nodeName": "local-node", "kubeconfig": "/k", "stateDir": "/state", "apiServer": "https://127.77.0.1:6443", "caFile": "/ca",
		"realise": "10.64.0.0/10=127.64.0.0/10", "nodeAddress": "10.77.0.1", "podCidr": "10.77.0.0/18", "loadBalancerCidr": "10.77.192.0/18",
		"listen": "127.77.0.1:10250", "servingCert": "/c", "servingKey": "/k", "clientCaFile": "/ca", "labels": map[string]string{"topology.kubernetes.io/region": "us-east-1"},
		"capacity": map[string]string{"cpu": "8", "memory": "16Gi", "pods": "110"},
		"images":   map[string]any{"hashicorp/http-echo": map[string]any{"entrypoint": []string{"/http-echo"}}},
	}
}

func readConfig(t *testing.T, content map[string]any) (*Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "node-agent.json")
	text, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return ReadConfig(file)
}

func TestTheNodeIsReadyAndNamesTheAgentsPort(t *testing.T) {
	c, err := readConfig(t, config())
	if err != nil {
		t.Fatal(err)
	}
	node := nodeObject(c)
	if node.Status.Conditions[0].Type != v1.NodeReady || node.Status.Conditions[0].Status != v1.ConditionTrue || len(node.Spec.Taints) != 0 {
		t.Errorf("conditions %v, taints %v: nothing would be scheduled", node.Status.Conditions[0], node.Spec.Taints)
	}
	if node.Status.DaemonEndpoints.KubeletEndpoint.Port != 10250 || node.Status.Addresses[0].Address != "10.77.0.1" {
		t.Errorf("endpoint %v, addresses %v", node.Status.DaemonEndpoints, node.Status.Addresses)
	}
	if pods := node.Status.Allocatable[v1.ResourcePods]; pods.Value() != 110 {
		t.Errorf("allocatable %v", node.Status.Allocatable)
	}
	if node.Labels["topology.kubernetes.io/region"] != "us-east-1" || node.Labels[v1.LabelHostname] != "local-node" {
		t.Errorf("labels %v", node.Labels)
	}
}

func TestAWrongConfigurationNamesItsField(t *testing.T) {
	for field, value := range map[string]any{
		"nodeName": "", "stateDir": "relative", "realise": "10.0.0.0/8", "nodeAddress": "192.168.0.1", "podCidr": "10.77.0.0", "loadBalancerCidr": "172.16.0.0/16",
		"listen": "127.78.0.1:10250", "capacity": map[string]string{"cpu": "8", "memory": "lots", "pods": "110"},
		"images": map[string]any{"x": map[string]any{}},
	} {
		content := config()
		content[field] = value
		if _, err := readConfig(t, content); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s = %v: got %v, want an error that names the field", field, value, err)
		}
	}
}

func TestOnlyTheAPIServerAndAdministratorsUseTheNodesAPI(t *testing.T) {
	handler := onlyAPIServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, c := range []struct {
		subject pkix.Name
		want    int
	}{
		{pkix.Name{CommonName: "kube-apiserver-kubelet-client"}, http.StatusOK},
		{pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}, http.StatusOK},
		{pkix.Name{CommonName: "system:node:local-node", Organization: []string{"system:nodes"}}, http.StatusForbidden},
		{pkix.Name{CommonName: "system:kube-scheduler"}, http.StatusForbidden},
	} {
		request := httptest.NewRequest(http.MethodGet, "/pods", nil)
		request.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Subject: c.subject}}}
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		if recorder.Code != c.want {
			t.Errorf("%s gets %d, want %d", c.subject, recorder.Code, c.want)
		}
	}
}

// tunnel sends a CONNECT and gives the status, and what comes after the answer.
func tunnel(t *testing.T, server *httptest.Server, target string) (int, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", target)
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, reader
}

func TestTheAPIServersProxyReachesTheClusterAndNothingElse(t *testing.T) {
	mapping, err := network.ParseMapping("10.64.0.0/10=127.64.0.0/10")
	if err != nil {
		t.Fatal(err)
	}
	dialer := network.NewDialer(mapping)
	server := httptest.NewServer(routes(dialer, nil))
	defer server.Close()
	inside, err := dialer.Listen(context.Background(), netip.MustParseAddrPort("10.125.253.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	go func() {
		conn, err := inside.Accept()
		if err == nil {
			fmt.Fprintln(conn, "inside")
			conn.Close()
		}
	}()
	status, rest := tunnel(t, server, fmt.Sprintf("10.125.253.1:%d", inside.Addr().(*net.TCPAddr).Port))
	if status != http.StatusOK {
		t.Fatalf("a pod's address gets %d", status)
	}
	if line, err := rest.ReadString('\n'); line != "inside\n" || err != nil {
		t.Errorf("read %q, %v", line, err)
	}
	for target, want := range map[string]int{
		"127.0.0.1:22": http.StatusForbidden, "192.0.2.1:80": http.StatusForbidden, "example.com:80": http.StatusBadRequest, "10.125.253.1:1": http.StatusBadGateway,
	} {
		if status, _ := tunnel(t, server, target); status != want {
			t.Errorf("%s gets %d, want %d", target, status, want)
		}
	}
}
