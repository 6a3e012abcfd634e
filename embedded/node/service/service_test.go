package service

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"servicefailover.dev/embedded/node/network"
)

func pointer[T any](value T) *T { return &value }

func slice(portName string, port int32, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: endpoints,
		Ports: []discoveryv1.EndpointPort{{Name: &portName, Port: &port, Protocol: pointer(v1.ProtocolTCP)}},
	}
}

func endpoint(address string, ready, serving, terminating bool) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{
		Ready: &ready, Serving: &serving, Terminating: &terminating}}
}

func TestConnectionsGoToReadyEndpoints(t *testing.T) {
	slices := []*discoveryv1.EndpointSlice{
		slice("http", 10000, endpoint("10.77.0.12", true, true, false), endpoint("10.77.0.11", false, false, false)),
		slice("http", 10000, endpoint("10.77.0.10", true, true, false), endpoint("10.77.0.12", true, true, false), endpoint("10.77.0.13", false, true, true)),
		slice("admin", 19000, endpoint("10.77.0.10", true, true, false)),
	}
	if got := fmt.Sprint(Endpoints(slices, "http")); got != "[10.77.0.10:10000 10.77.0.12:10000]" {
		t.Errorf("got %s: want the ready ones of that port, sorted, once each", got)
	}
	if got := Endpoints(slices, "other"); len(got) != 0 {
		t.Errorf("a port that no slice has gets %v", got)
	}
}

func TestWhatServesWhileItTerminatesIsTheLastResort(t *testing.T) {
	only := []*discoveryv1.EndpointSlice{slice("", 80, endpoint("10.77.0.13", false, true, true), endpoint("10.77.0.14", false, false, true), endpoint("10.77.0.15", false, true, false))}
	if got := fmt.Sprint(Endpoints(only, "")); got != "[10.77.0.13:80]" {
		t.Errorf("got %s, want the serving, terminating one", got)
	}
}

func TestAServiceIsReachedOnAllItsAddresses(t *testing.T) {
	service := &v1.Service{Spec: v1.ServiceSpec{Type: v1.ServiceTypeLoadBalancer, ClusterIP: "10.77.128.9"}}
	port := v1.ServicePort{Port: 8080, NodePort: 32000}
	got := fmt.Sprint(Listen(service, port, netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("10.77.192.4")))
	if got != "[10.77.128.9:8080 10.77.192.4:8080 10.77.0.1:32000]" {
		t.Errorf("got %s", got)
	}
	service.Spec.ClusterIP = v1.ClusterIPNone
	if got := Listen(service, v1.ServicePort{Port: 80}, netip.MustParseAddr("10.77.0.1"), netip.Addr{}); len(got) != 0 {
		t.Errorf("a headless Service listens on %v", got)
	}
}

func balancer(name, wanted, status string) *v1.Service {
	s := &v1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: v1.ServiceSpec{Type: v1.ServiceTypeLoadBalancer, LoadBalancerIP: wanted}}
	if status != "" {
		s.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{IP: status}}
	}
	return s
}

func TestLoadBalancerAddressesAreStableAndUnique(t *testing.T) {
	l := NewLoadBalancers(netip.MustParsePrefix("10.77.192.0/29"))
	assign := func(s *v1.Service) string {
		address, err := l.Assign(s)
		if err != nil {
			t.Fatal(err)
		}
		return address.String()
	}
	l.Claim(balancer("kept", "", "10.77.192.3"))
	if got := assign(balancer("kept", "", "10.77.192.3")); got != "10.77.192.3" {
		t.Errorf("kept has %s, want what its status says", got)
	}
	first := assign(balancer("a", "", ""))
	if again := assign(balancer("a", "", "")); again != first {
		t.Errorf("asked again before the status is written, a has %s instead of %s", again, first)
	}
	l.Release(key(balancer("a", "", "")))
	if again := assign(balancer("a", "", "")); again != first {
		t.Errorf("made anew, a has %s instead of %s", again, first)
	}
	seen := []string{"10.77.192.3", first}
	for i := range 5 { // /29 without its .0: seven addresses
		seen = append(seen, assign(balancer(fmt.Sprint("more", i), "", "")))
	}
	slices.Sort(seen)
	if len(slices.Compact(seen)) != 7 {
		t.Errorf("not unique: %v", seen)
	}
	if _, err := l.Assign(balancer("eighth", "", "")); err == nil {
		t.Error("a full range gives an address twice")
	}
}

func TestAServiceGetsTheAddressItAsksForOrLearnsWhyNot(t *testing.T) {
	l := NewLoadBalancers(netip.MustParsePrefix("10.77.192.0/24"))
	if got, err := l.Assign(balancer("a", "10.77.192.44", "10.77.192.9")); err != nil || got.String() != "10.77.192.44" {
		t.Errorf("got %s, %v", got, err)
	}
	for wanted, problem := range map[string]string{"10.77.192.44": "ns/a", "10.1.2.3": "10.77.192.0/24", "x": "spec.loadBalancerIP x"} {
		if _, err := l.Assign(balancer("b", wanted, "")); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: got %v, want an error with %q", wanted, err, problem)
		}
	}
	class := balancer("c", "", "")
	class.Spec.LoadBalancerClass = pointer("somebody.else/lb")
	if got, err := l.Assign(class); got.IsValid() || err != nil {
		t.Errorf("somebody else's load balancer gets %s, %v", got, err)
	}
}

// backend answers each line with its name, and "bye" by ending.
func backend(t *testing.T, dialer *network.Dialer, address string) (at netip.AddrPort, listener net.Listener) {
	t.Helper()
	l, err := dialer.Listen(context.Background(), netip.MustParseAddrPort(address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					fmt.Fprintln(conn, address)
				}
				conn.Close()
			}()
		}
	}()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	return netip.AddrPortFrom(netip.MustParseAddrPort(address).Addr(), port), l
}

func ask(t *testing.T, conn net.Conn) string {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintln(conn, "who")
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func TestConnectionsSurviveAChangeOfEndpointsAndNoneIsARefusal(t *testing.T) {
	mapping, _ := network.ParseMapping("10.64.0.0/10=127.64.0.0/10")
	dialer := network.NewDialer(mapping)
	one, _ := backend(t, dialer, "10.125.255.1:0")
	two, twoListener := backend(t, dialer, "10.125.255.2:0")
	f := &forward{dialer: dialer, at: netip.MustParseAddrPort("10.125.255.3:18080")}
	set := func(endpoints ...netip.AddrPort) {
		if err := f.set(context.Background(), endpoints); err != nil {
			t.Fatal(err)
		}
	}
	dial := func() (net.Conn, error) { return dialer.DialContext(context.Background(), "tcp", f.at.String()) }
	mustDial := func() net.Conn {
		conn, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	set(one)
	old := mustDial()
	if got := ask(t, old); got != "10.125.255.1:0" {
		t.Fatalf("answered by %s", got)
	}
	set(two)
	if got := ask(t, mustDial()); got != "10.125.255.2:0" {
		t.Errorf("a new connection is answered by %s, want the new endpoint", got)
	}
	if got := ask(t, old); got != "10.125.255.1:0" {
		t.Errorf("the old connection is answered by %s, want the endpoint it had", got)
	}
	set(one, two)
	twoListener.Close()
	for range 4 {
		if got := ask(t, mustDial()); got != "10.125.255.1:0" {
			t.Errorf("answered by %s, want the endpoint that still answers", got)
		}
	}
	set()
	if _, err := dial(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("without endpoints: %v, want a refusal", err)
	}
	if got := ask(t, old); got != "10.125.255.1:0" {
		t.Errorf("the old connection is answered by %s after the last endpoint left", got)
	}
	set(two) // listed, but nothing listens there
	conn, err := dial()
	if err == nil { // the reset may come before or after connect returns
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, err = conn.Read(make([]byte, 1))
		conn.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("when no endpoint answers: %v, want a reset", err)
	}
	f.close()
}
